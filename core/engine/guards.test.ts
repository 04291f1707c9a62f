import { describe, expect, it } from 'vitest';
import type { Guards, TaskSpec } from '../model/task.ts';
import { TestEngine } from '../testing/harness.ts';
import { NodeSql } from '../testing/node-sql.ts';

function open(guards: Guards, more: Partial<TaskSpec> = {}): TestEngine {
  const t = new TestEngine({ sql: new NodeSql() });
  t.register({ id: 'work', guards, triggers: [{ kind: 'event', pattern: 'begin' }], ...more });
  return t;
}

function send(t: TestEngine, name: string, data: object = {}): string | undefined {
  return t.apply({ type: 'ingest', events: [{ name, ts: t.nowMs, body: JSON.stringify({ name, data }) }] }).runs[0]
    ?.run;
}

function end(t: TestEngine, run: string | undefined): unknown {
  const record = t.engine.query({ type: 'run', run: run! });
  return record?.status === 'running' ? 'running' : `${record?.status} ${record?.reason}`;
}

describe('an event that cancels', () => {
  const guards: Guards = {
    cancelOn: [{ name: 'stop', expression: 'event.data.id == async.data.id', withinMs: 60_000 }],
  };

  it('ends exactly the runs whose expression holds, whatever they are doing', () => {
    const t = open(guards);
    const [a, b, c] = [send(t, 'begin', { id: 1 }), send(t, 'begin', { id: 2 }), send(t, 'begin', { id: 1 })];
    const calls = t.take();
    t.report(calls[0]!, { op: 'sleep', key: 's', untilMs: t.nowMs + 1000 });
    t.report(calls[1]!, { op: 'sleep', key: 's', untilMs: t.nowMs + 1000 });
    t.restart();
    send(t, 'stop', { id: 1 });
    expect([end(t, a), end(t, b), end(t, c)]).toEqual([
      'cancelled cancelled-by-event',
      'running',
      'cancelled cancelled-by-event',
    ]);
    expect(t.sql.all(`SELECT owner FROM pending WHERE kind = 'guard'`)).toHaveLength(1);
  });

  it('does so only within its time', () => {
    const t = open(guards);
    const run = send(t, 'begin', { id: 1 });
    t.advance(60_000);
    send(t, 'stop', { id: 1 });
    expect(end(t, run)).toBe('running');
    expect(t.sql.all(`SELECT owner FROM pending WHERE kind = 'guard'`)).toEqual([]);
  });

  it('does so only until its date, and not at all when that is past', () => {
    const t = new TestEngine({ sql: new NodeSql() });
    const untilMs = t.nowMs + 60_000;
    t.register({
      id: 'work',
      guards: { cancelOn: [{ name: 'stop', untilMs }] },
      triggers: [{ kind: 'event', pattern: 'begin' }],
    });
    const early = send(t, 'begin');
    t.advance(59_999);
    send(t, 'stop');
    expect(end(t, early)).toBe('cancelled cancelled-by-event');
    t.advance(1);
    const late = send(t, 'begin');
    expect(t.sql.all(`SELECT owner FROM pending WHERE kind = 'guard'`)).toEqual([]);
    send(t, 'stop');
    expect(end(t, late)).toBe('running');
  });

  it('ends the run that it finds, and not the one that it starts', () => {
    const t = open({ cancelOn: [{ name: 'begin' }] });
    const first = send(t, 'begin');
    const second = send(t, 'begin');
    expect([end(t, first), end(t, second)]).toEqual(['cancelled cancelled-by-event', 'running']);
  });

  it('leaves no guard behind after any end', () => {
    const t = open({ ...guards, startWithinMs: 1000, finishWithinMs: 1000 });
    send(t, 'begin', { id: 1 });
    t.report(t.one(), { op: 'complete', output: null });
    send(t, 'begin', { id: 2 });
    t.take();
    t.advance(1000);
    expect(t.sql.all(`SELECT owner, key FROM pending WHERE kind = 'guard'`)).toEqual([]);
  });

  it('names are told apart however they are written', () => {
    const t = open({ cancelOn: [{ name: 'a\nb' }] });
    const run = send(t, 'begin');
    send(t, 'a');
    expect(end(t, run)).toBe('running');
    send(t, 'a\nb');
    expect(end(t, run)).toBe('cancelled cancelled-by-event');
  });
});

describe('a start timeout', () => {
  const limits = [{ key: 'one', max: 1, hold: 'run' as const }];

  it('ends a run that waits for room, and none that has begun', () => {
    const t = open({ startWithinMs: 1000 }, { limits });
    const [a, b] = [send(t, 'begin'), send(t, 'begin')];
    t.restart();
    t.advance(999);
    expect([end(t, a), end(t, b)]).toEqual(['running', 'running']);
    t.advance(1);
    expect([end(t, a), end(t, b)]).toEqual(['running', 'cancelled start-timeout']);
  });

  it('counts on when a worker gave the first call back without a word', () => {
    const t = open({ startWithinMs: 1000, finishWithinMs: 1000 }, { mode: 'pull', pool: 'p' });
    const run = send(t, 'begin');
    t.engine.lease({ pool: 'p', max: 1, holdMs: 900, holder: 'w' });
    t.advance(900);
    expect(end(t, run)).toBe('running');
    t.advance(99);
    expect(end(t, run)).toBe('running');
    t.advance(1);
    expect(end(t, run)).toBe('cancelled start-timeout');
  });
});

describe('a finish timeout', () => {
  it('does not stand any more when the lease from which it counts is taken back at the same moment', () => {
    const t = open({ finishWithinMs: 5000 }, { mode: 'pull', pool: 'p' });
    const run = send(t, 'begin');
    const lease = (): number => t.engine.lease({ pool: 'p', max: 1, holdMs: 5000, holder: 'w' }).length;
    expect(lease()).toBe(1);
    t.advance(5000);
    expect(end(t, run)).toBe('running');
    expect(lease()).toBe(1);
    t.advance(4999);
    expect(end(t, run)).toBe('running');
  });

  it('counts from the first lease, through retries, sleeps and restarts', () => {
    const t = open({ finishWithinMs: 10_000 });
    const run = send(t, 'begin');
    t.report(t.one(), { op: 'fail', error: '1', retry: 'policy' });
    t.advance(1000);
    t.report(t.one(), { op: 'sleep', key: 's', untilMs: t.nowMs + 60_000 });
    t.restart();
    t.advance(8999);
    expect(end(t, run)).toBe('running');
    t.advance(1);
    expect(end(t, run)).toBe('cancelled finish-timeout');
    expect(t.take()).toEqual([]);
  });

  it('is not begun anew by a start after a lost process', () => {
    const t = open({ finishWithinMs: 1000 });
    const run = send(t, 'begin');
    t.advance(500);
    t.restart();
    expect(t.one().run).toBe(run);
    t.advance(500);
    expect(end(t, run)).toBe('cancelled finish-timeout');
  });

  it('drops the answer of the call that was under way', () => {
    const t = open({ finishWithinMs: 1000 });
    send(t, 'begin');
    const call = t.one();
    t.advance(1000);
    expect(t.report(call, { op: 'complete', output: '1' }).result).toBe('ended');
  });
});

describe('many runs that wait for one event', () => {
  function waiting(n: number, expression: string): TestEngine {
    const t = new TestEngine({ sql: new NodeSql() });
    t.register({ id: 'work' });
    for (let from = 0; from < n; from += 1000) {
      t.engine.apply(
        Array.from({ length: Math.min(1000, n - from) }, (_, i) => ({
          type: 'start' as const,
          spec: { task: 'work', input: JSON.stringify({ id: from + i }) },
        })),
      );
      // Calls are taken as there is room for them.
      for (let calls = t.take(); calls.length > 0; calls = t.take())
        t.engine.apply(
          calls.map((call) => ({
            type: 'report' as const,
            run: call.run,
            lease: call.lease,
            final: true,
            outcome: { ops: [{ op: 'wait-event' as const, key: 'w', name: 'paid', expression }] },
          })),
        );
    }
    return t;
  }

  /** Median time of an event that ends none of them, and what it read. */
  function cost(t: TestEngine): { ms: number; rows: number } {
    const { sql } = t;
    let rows = 0;
    const all = sql.all.bind(sql);
    sql.all = ((query: string, ...params: never[]) => {
      const result = all(query, ...params);
      rows += result.length;
      return result;
    }) as typeof sql.all;
    const times: number[] = [];
    for (let i = 0; i < 9; i++) {
      const from = performance.now();
      t.apply({
        type: 'ingest',
        events: [{ name: 'paid', ts: t.nowMs, body: `{"id":-${i + 1},"total":0}`, transient: true }],
      });
      times.push(performance.now() - from);
    }
    sql.all = all;
    return { ms: times.sort((a, b) => a - b)[4]!, rows };
  }

  it('cost an event the same by an equality, be they ten or twenty thousand', () => {
    const few = cost(waiting(10, 'async.id == event.id'));
    const t = waiting(20_000, 'async.id == event.id');
    const many = cost(t);
    expect(many.rows).toBe(few.rows);
    expect(many.ms).toBeLessThan(few.ms * 5 + 1);
    t.apply({ type: 'ingest', events: [{ name: 'paid', ts: t.nowMs, body: '{"id":15000}' }] });
    expect(t.take().map((call) => call.input)).toEqual(['{"id":15000}']);
  }, 60_000);

  it('without an equality are held against it without being read', () => {
    const t = waiting(3_000, 'async.total > event.id');
    const many = cost(t);
    // One row each, and nothing of their histories.
    expect(many.rows).toBeLessThanOrEqual(9 * (3_000 + 20));
    t.apply({ type: 'ingest', events: [{ name: 'paid', ts: t.nowMs, body: '{"total":2}' }] });
    expect(t.take().map((call) => call.input)).toEqual(['{"id":0}', '{"id":1}']);
  }, 60_000);
});
