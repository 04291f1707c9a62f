import { describe, expect, it } from 'vitest';
import type { Outcome } from '../model/call.ts';
import type { Sql } from '../ports.ts';
import { TestEngine } from './harness.ts';

const step = (key: string, data = `"${key}"`) => ({ op: 'step' as const, key, data, again: 'each' as const });

/** What an engine does, whatever its SQLite is: run once over `node:sqlite` and once inside a Durable Object. `open` gives each test an empty database. */
export function engineSuite(open: (body: (sql: Sql) => void) => void | Promise<void>): void {
  const test = (name: string, body: (t: TestEngine) => void): void =>
    it(name, () => open((sql) => body(new TestEngine({ sql }))));

  describe('a run of steps', () => {
    test('asks for the next step with the memo of those before, and ends with the output', (t) => {
      t.register({ id: 'work' });
      const run = t.start('work', { input: '{"n":1}' });
      const first = t.one();
      expect(first).toMatchObject({ run, key: '', attempt: 0, input: '{"n":1}', steps: [] });
      t.report(first, step('a'));
      const second = t.one();
      expect(second.steps.map((memo) => [memo.key, memo.data])).toEqual([['a', '"a"']]);
      t.report(second, step('b'));
      const third = t.one();
      expect(third.steps.map((memo) => memo.key)).toEqual(['a', 'b']);
      t.report(third, { op: 'complete', output: '"done"' });
      expect(t.engine.query({ type: 'run', run })).toMatchObject({ status: 'completed', output: '"done"' });
      expect(t.engine.query({ type: 'stats' })).toMatchObject({ inFlight: 0, ready: 0 });
      expect(t.take()).toEqual([]);
    });

    test('writes at most three rows a call', (t) => {
      t.register({ id: 'work', triggers: [{ kind: 'event', pattern: 'go' }] });
      const before = t.sql.rowsWritten();
      t.apply({ type: 'ingest', events: [{ name: 'go', ts: t.nowMs, body: '{"name":"go"}' }] });
      for (const key of ['a', 'b', 'c']) t.report(t.one(), step(key));
      t.report(t.one(), { op: 'complete', output: null });
      expect(t.sql.rowsWritten() - before).toBeLessThanOrEqual(4 * 3);
    });

    test('retries after the backoff, with the attempt counted, and fails when attempts are used up', (t) => {
      t.register({ id: 'work', maxAttempts: 2 });
      const run = t.start('work');
      t.report(t.one(), { op: 'fail', error: '"first"', retry: 'policy' });
      expect(t.take()).toEqual([]);
      t.advance(999);
      expect(t.take()).toEqual([]);
      t.advance(1);
      const again = t.one();
      expect(again.attempt).toBe(1);
      t.report(again, { op: 'fail', error: '"second"', retry: 'policy' });
      expect(t.engine.query({ type: 'run', run })).toMatchObject({ status: 'failed', error: '"second"' });
    });

    test('starts the retries of a step anew after the one before has succeeded', (t) => {
      t.register({ id: 'work' });
      t.start('work');
      t.report(t.one(), { op: 'fail', error: '1', retry: 'policy' });
      t.advance(1000);
      t.report(t.one(), step('a'));
      expect(t.one().attempt).toBe(0);
    });

    test('keeps the error of a step whose attempts are used up as its memo', (t) => {
      t.register({ id: 'work', maxAttempts: 1 });
      t.start('work');
      t.report(t.one(), { op: 'fail', error: '"bad"', retry: 'policy', memoKey: 'a' });
      expect(t.one().steps).toMatchObject([{ key: 'a', error: true, data: '"bad"' }]);
    });
  });

  describe('waits', () => {
    test('sleeps until the time and not before', (t) => {
      t.register({ id: 'work' });
      t.start('work');
      t.report(t.one(), { op: 'sleep', key: 's', untilMs: t.nowMs + 30 * 86_400_000 });
      expect(t.alarmAt).not.toBeNull();
      t.advance(30 * 86_400_000 - 1);
      expect(t.take()).toEqual([]);
      t.advance(1);
      expect(t.one().steps).toMatchObject([{ key: 's', source: 'sleep', data: null }]);
    });

    test('ends a wait by the first matching event, and only that run', (t) => {
      t.register({ id: 'work', triggers: [{ kind: 'event', pattern: 'order/made' }] });
      for (const id of [1, 2])
        t.apply({
          type: 'ingest',
          events: [{ name: 'order/made', ts: t.nowMs, body: JSON.stringify({ data: { id } }) }],
        });
      for (const call of t.take())
        t.report(call, {
          op: 'wait-event',
          key: 'w',
          name: 'order/paid',
          expression: 'event.data.id == async.data.id',
          untilMs: t.nowMs + 1000,
        });
      t.apply({ type: 'ingest', events: [{ name: 'order/paid', ts: t.nowMs, body: '{"data":{"id":2,"by":"card"}}' }] });
      const call = t.one();
      expect(call.events[0]?.body).toBe('{"data":{"id":2}}');
      expect(call.steps).toMatchObject([{ key: 'w', source: 'event', data: '{"data":{"id":2,"by":"card"}}' }]);
      t.advance(1000);
      expect(t.one().steps).toMatchObject([{ key: 'w', source: 'timeout', data: null }]);
    });

    test('starts a child and goes on with its output', (t) => {
      t.register({ id: 'parent' }, { id: 'child' });
      t.start('parent');
      t.report(t.one(), { op: 'wait-run', key: 'c', start: { task: 'child', input: '7' } });
      const child = t.one();
      expect(child).toMatchObject({ task: { id: 'child' }, input: '7' });
      t.report(child, { op: 'complete', output: '14' });
      expect(t.one().steps).toMatchObject([
        { key: 'c', source: 'run', error: false, data: '14', from: { status: 'completed' } },
      ]);
    });

    test('takes a completion that came before the wait', (t) => {
      t.register({ id: 'work' });
      t.apply({ type: 'complete-token', token: 'k', data: '"early"', keep: 'latch' });
      t.start('work');
      t.report(t.one(), { op: 'wait-token', key: 't', token: 'k' });
      expect(t.one().steps).toMatchObject([{ key: 't', source: 'token', data: '"early"' }]);
    });

    test('runs the main call once after the last of a group', (t) => {
      t.register({ id: 'work' });
      t.start('work');
      t.report(t.one(), { op: 'plan', calls: ['a', 'b'].map((key) => ({ key, again: 'last' as const })) });
      const [a, b] = t.take();
      expect([a?.key, b?.key]).toEqual(['a', 'b']);
      t.report(b!, { op: 'step', key: 'b', data: '2' });
      expect(t.take()).toEqual([]);
      t.report(a!, { op: 'step', key: 'a', data: '1' });
      expect(t.one().steps.map((memo) => memo.key)).toEqual(['b', 'a']);
    });

    test('runs the main call again when a wait ended while it was under way', (t) => {
      t.register({ id: 'work' });
      t.start('work');
      t.report(
        t.one(),
        { op: 'sleep', key: 's1', untilMs: t.nowMs + 10 },
        { op: 'sleep', key: 's2', untilMs: t.nowMs + 20 },
      );
      t.advance(10);
      const main = t.one();
      t.advance(10);
      expect(t.take()).toEqual([]);
      t.report(main);
      expect(t.one().steps.map((memo) => memo.key)).toEqual(['s1', 's2']);
    });
  });

  describe('fencing', () => {
    test('keeps the finished steps of a stale lease once and nothing else', (t) => {
      t.register({ id: 'work' });
      const run = t.start('work');
      const old = t.one();
      t.restart();
      const fresh = t.one();
      expect(fresh).toMatchObject({ attempt: 0, key: '' });
      expect(t.progress(old, { op: 'step', key: 'a', data: '1' }).result).toBe('stale');
      expect(t.report(old, { op: 'complete', output: '"old"' }).result).toBe('stale');
      expect(t.status(run)).toBe('running');
      expect(t.report(fresh, { op: 'step', key: 'a', data: '2' }, { op: 'complete', output: null }).result).toBe(
        'live',
      );
      expect(t.engine.query({ type: 'run-detail', run })?.steps.map((memo) => memo.data)).toEqual(['1']);
      expect(t.report(fresh, { op: 'complete', output: null }).result).toBe('ended');
    });

    test('keeps what was started together with a finished step of a stale lease, once', (t) => {
      t.register({ id: 'work' });
      const run = t.start('work');
      const old = t.one();
      t.restart();
      const fresh = t.one();
      const spec = { task: 'work', input: '"child"', dedupe: { key: `${run} a`, untilMs: t.nowMs + 60_000 } };
      const told = { op: 'step' as const, key: 'a', data: '1' };
      const kept = t.report(old, told, { op: 'start', spec });
      expect(kept).toMatchObject({ result: 'stale', started: [{ outcome: 'started' }] });
      expect(t.one().input).toBe('"child"');
      expect(t.report(old, told, { op: 'start', spec: { ...spec, dedupe: undefined } })).toMatchObject({ started: [] });
      expect(t.report(fresh, told, { op: 'start', spec }, { op: 'complete', output: null })).toMatchObject({
        result: 'live',
        started: [{ deduplicated: true, run: kept.started[0]?.run }],
      });
      expect(t.take()).toEqual([]);
    });
  });

  describe('a repeated report', () => {
    test('goes on when a live call tells only what a stale one had told before', (t) => {
      t.register({ id: 'work' });
      t.start('work');
      const old = t.one();
      t.restart();
      const fresh = t.one();
      t.progress(old, { op: 'step', key: 'a', data: '1', again: 'none' });
      t.report(fresh, step('a'));
      expect(t.one().steps.map((memo) => memo.data)).toEqual(['1']);
    });

    test('goes on when a live call asks for what is done since it was shown the run, and not again and again', (t) => {
      t.register({ id: 'work' });
      const asks: Outcome['ops'] = [
        { op: 'plan', calls: [{ key: 'a' }] },
        { op: 'sleep', key: 'a', untilMs: t.nowMs },
        { op: 'wait-event', key: 'a', name: 'ping' },
        { op: 'wait-run', key: 'a', run: 'other' },
        { op: 'wait-token', key: 'a', token: 'other' },
      ];
      for (const ask of asks) {
        const run = t.start('work');
        const first = t.one();
        t.progress(first, { op: 'step', key: 'a', data: '1', again: 'none' });
        t.report(first, ask);
        const second = t.one();
        expect(second).toMatchObject({ run, key: '', steps: [{ key: 'a' }] });
        t.report(second, ask);
        expect(t.take()).toEqual([]);
      }
    });

    test('goes on when a live call fails for good at a step that a stale one had finished', (t) => {
      t.register({ id: 'work' });
      t.start('work');
      const old = t.one();
      t.restart();
      const fresh = t.one();
      t.progress(old, { op: 'step', key: 'a', data: '1', again: 'none' });
      t.report(fresh, { op: 'fail', error: '"late"', retry: 'never', memoKey: 'a' });
      expect(t.one().steps.map((memo) => [memo.data, memo.error])).toEqual([['1', false]]);
    });
  });

  describe('a run that was started with an input instead of an event', () => {
    test('shows it to expressions as its event', (t) => {
      t.register({ id: 'work', limits: [{ key: 'l', max: 1, hold: 'call', expression: 'event.data.user' }] });
      t.start('work', { input: '{"data":{"user":"x"}}' });
      t.start('work', { input: '{"data":{"user":"y"}}' });
      t.start('work', { input: 'not JSON' });
      const calls = t.take();
      expect(calls).toHaveLength(3);
      const wait = {
        op: 'wait-event' as const,
        key: 'w',
        name: 'ok',
        expression: 'event.data.user == async.data.user',
      };
      for (const call of calls.slice(0, 2)) t.report(call, wait);
      t.apply({ type: 'ingest', events: [{ name: 'ok', ts: t.nowMs, body: '{"name":"ok","data":{"user":"y"}}' }] });
      expect(t.one().run).toBe(calls[1]?.run);
    });
  });

  describe('pull', () => {
    test('leases by pool, extends, lapses to the same attempt, and refuses the old holder', (t) => {
      t.register({ id: 'work', mode: 'pull', pool: 'p' });
      t.start('work');
      expect(t.readyPools).toEqual(['p']);
      const lease = () => t.engine.lease({ pool: 'p', max: 5, holdMs: 1000, holder: 'w' });
      const [held] = lease();
      expect(lease()).toEqual([]);
      expect(t.apply({ type: 'extend', run: held!.run, lease: held!.lease, untilMs: t.nowMs + 5000 }).result).toBe(
        'live',
      );
      t.advance(1000);
      expect(lease()).toEqual([]);
      t.restart();
      t.advance(4000);
      const [again] = lease();
      expect(again).toMatchObject({ run: held!.run, attempt: 0 });
      expect(t.report(held!, { op: 'complete', output: '"old"' }).result).toBe('stale');
      expect(t.report(again!, { op: 'complete', output: '"new"' }).result).toBe('live');
    });
  });

  describe('schedules', () => {
    test('fires on the minute, once for what was missed', (t) => {
      t.register({ id: 'work' });
      t.apply({
        type: 'put-schedule',
        schedule: { id: 's', cron: '*/5 * * * *', start: { task: 'work', input: '1' } },
      });
      t.advance(300_000);
      expect(t.one().scheduledAt).toBe(t.nowMs);
      t.nowMs += 3_600_000;
      t.restart();
      expect(t.take().filter((call) => call.scheduledAt === t.nowMs)).toHaveLength(1);
    });
  });

  describe('mail between cells', () => {
    test('arrives once and in order, whatever the transport does and whichever side is lost', (t) => {
      const [a, b] = [t, new TestEngine({ sql: t.sql, address: 'test/0' })];
      const batch = (from: number, to: number) => ({
        source: 'test/1',
        epoch: 'e',
        messages: Array.from({ length: to - from + 1 }, (_, i) => ({
          seq: from + i,
          commands: [{ type: 'put-record' as const, collection: 'log', id: `${from + i}`, data: '1', ifAbsent: true }],
        })),
      });
      expect(a.engine.receive(batch(1, 2))).toBe(2);
      expect(a.engine.receive(batch(1, 2))).toBe(2);
      expect(a.engine.receive(batch(4, 5))).toBe(2);
      expect(a.engine.receive(batch(2, 4))).toBe(4);
      b.restart();
      expect(b.engine.receive(batch(1, 5))).toBe(5);
      expect(b.engine.query({ type: 'records', collection: 'log' }).items.map((item) => item.id)).toEqual([
        '5',
        '4',
        '3',
        '2',
        '1',
      ]);
    });

    test('stays in the outbox until it is acknowledged', (t) => {
      t.apply({
        type: 'post',
        cell: 'test/0',
        commands: [{ type: 'put-record', collection: 'c', id: 'own', data: '1' }],
      });
      expect(t.mailFor).toEqual([]);
      for (const id of ['x', 'y'])
        t.apply({ type: 'post', cell: 'test/7', commands: [{ type: 'put-record', collection: 'c', id, data: '1' }] });
      expect(t.mailFor).toEqual(['test/7', 'test/7']);
      t.restart();
      expect(t.engine.destinations()).toEqual(['test/7']);
      expect(t.engine.outgoing('test/7')?.messages.map((message) => message.seq)).toEqual([1, 2]);
      t.engine.acknowledged('test/7', 1);
      expect(t.engine.outgoing('test/7')?.messages.map((message) => message.seq)).toEqual([2]);
      t.engine.acknowledged('test/7', 2);
      expect(t.engine.outgoing('test/7')).toBeNull();
    });
  });

  describe('what changes while a run waits', () => {
    test('a task bound to its current version is called as it is now', (t) => {
      t.register({ id: 'work', data: '"old"', binding: 'current' }, { id: 'kept', data: '"old"' });
      for (const id of ['work', 'kept']) t.start(id);
      for (const call of t.take()) t.report(call, { op: 'sleep', key: 's', untilMs: t.nowMs + 10 });
      t.register({ id: 'work', data: '"new"', binding: 'current' }, { id: 'kept', data: '"new"' });
      t.advance(10);
      expect(t.take().map((call) => call.task)).toMatchObject([
        { id: 'work', data: '"new"' },
        { id: 'kept', data: '"old"' },
      ]);
    });

    test('a run that has begun does not expire, also after a restart', (t) => {
      t.register({ id: 'work' });
      const run = t.start('work', { expireAt: t.nowMs + 10 });
      t.report(t.one(), { op: 'sleep', key: 's', untilMs: t.nowMs + 60 });
      t.restart();
      t.advance(20);
      expect(t.status(run)).toBe('running');
    });

    test('it is known since when a run goes on, also after a restart', (t) => {
      t.register({ id: 'work' });
      const run = t.start('work');
      const startedAt = t.nowMs;
      const call = t.one();
      t.nowMs += 5;
      t.report(call, { op: 'sleep', key: 's', untilMs: t.nowMs + 60 });
      t.restart();
      expect(t.engine.query({ type: 'run', run })?.startedAt).toBe(startedAt);
      t.advance(60);
      t.report(t.one(), { op: 'complete', output: null });
      expect(t.engine.query({ type: 'run', run })?.startedAt).toBe(startedAt);
    });

    test('it is known since when, though somebody else had something to tell first', (t) => {
      t.register({ id: 'work' });
      const run = t.start('work', { dueAt: t.nowMs + 10 });
      const label = { op: 'label' as const, labels: ['early'] };
      t.apply({ type: 'report', run, outcome: { ops: [label] }, final: false, anyLease: true });
      t.advance(10);
      const startedAt = t.nowMs;
      const call = t.one();
      t.nowMs += 5;
      t.report(call, { op: 'sleep', key: 's', untilMs: t.nowMs + 60 });
      t.restart();
      expect(t.engine.query({ type: 'run', run })?.startedAt).toBe(startedAt);
    });

    test('a wait for a token is not ended by a longer one', (t) => {
      t.register({ id: 'work' });
      t.apply({ type: 'complete-token', token: 'a\nb', data: '1', keep: 'latch' });
      t.start('work');
      t.report(t.one(), { op: 'wait-token', key: 't', token: 'a' });
      expect(t.take()).toEqual([]);
    });
  });
}
