import { describe, expect, it } from 'vitest';
import type { LeasedCall, Op } from '../model/call.ts';
import { TestEngine } from '../testing/harness.ts';
import { NodeSql } from '../testing/node-sql.ts';

// Cases that the simulation (sim/) found first, each as small as it gets.

function open(): TestEngine {
  return new TestEngine({ sql: new NodeSql() });
}

function leasePull(t: TestEngine, holdMs = 10_000): LeasedCall | undefined {
  return t.engine.lease({ pool: 'p', max: 1, holdMs, holder: 'w' })[0];
}

describe('a call that another report resolves while it is leased', () => {
  it('gives back its lease and its limits', () => {
    const t = open();
    t.register({ id: 'work', limits: [{ key: 'one', max: 1, hold: 'call' }] });
    t.start('work');
    t.report(t.one(), { op: 'plan', calls: [{ key: 'a', again: 'each' }] });
    const old = t.one();
    t.restart();
    expect(t.one().key).toBe('a');
    t.report(old, { op: 'step', key: 'a', data: '1' });
    expect(t.one()).toMatchObject({ key: '', steps: [{ key: 'a' }] });
    expect(t.engine.query({ type: 'stats' }).inFlight).toBe(1);
    expect(t.engine.query({ type: 'limits' })[0]?.held).toBe(1);
  });
});

describe('a pull lease', () => {
  it('is over, with what it held, when another report resolves its call and lets it follow itself', () => {
    const t = open();
    t.register({ id: 'work', mode: 'pull', pool: 'p', limits: [{ key: 'two', max: 2, hold: 'call' }] });
    t.start('work');
    t.report(leasePull(t) as LeasedCall, { op: 'plan', calls: [{ key: 'a', again: 'each' }, { key: 'b' }] });
    const a = leasePull(t) as LeasedCall;
    const b = leasePull(t) as LeasedCall;
    t.report(
      b,
      { op: 'step', key: 'a', data: '1', again: 'none', then: { key: 'a' } },
      { op: 'step', key: 'b', data: null },
    );
    expect(t.engine.query({ type: 'limits' }).map(({ held }) => held)).toEqual([]);
    expect(t.report(a, { op: 'step', key: 'a', data: '2' }).result).toBe('stale');
    expect(leasePull(t)).toMatchObject({ key: 'a', steps: [{ key: 'a', data: '1' }, { key: 'b' }] });
  });

  it('that is to end at once is given back', () => {
    const t = open();
    t.register({ id: 'work', mode: 'pull', pool: 'p' });
    t.start('work');
    const first = leasePull(t, 0);
    t.advance(1);
    expect(leasePull(t)).toMatchObject({ run: first?.run, attempt: 0 });
  });

  it('stays live through the steps of a later attempt', () => {
    const t = open();
    t.register({ id: 'work', mode: 'pull', pool: 'p', retry: { kind: 'constant', delayMs: 0 } });
    const run = t.start('work');
    t.report(leasePull(t) as LeasedCall, { op: 'fail', error: '1', retry: 'policy' });
    const held = leasePull(t) as LeasedCall;
    expect(held.attempt).toBe(1);
    t.progress(held, { op: 'step', key: 'a', data: null });
    const outcome = { ops: [{ op: 'complete' as const, output: null }] };
    expect(t.apply({ type: 'report', run, lease: held.lease, attempt: 1, outcome, final: true }).result).toBe('live');
  });

  it('is not shortened by a wait that ends while it is held', () => {
    const t = open();
    t.register({ id: 'work', mode: 'pull', pool: 'p' });
    t.start('work');
    const held = leasePull(t) as LeasedCall;
    t.progress(held, { op: 'sleep', key: 's', untilMs: t.nowMs + 10 });
    t.advance(20);
    expect(leasePull(t)).toBeUndefined();
    expect(t.report(held).result).toBe('live');
    expect(leasePull(t)?.steps).toMatchObject([{ key: 's' }]);
  });
});

describe('a pull call that was asked for again while it was held', () => {
  it('is made once more, not for ever', () => {
    const t = open();
    t.register({ id: 'work', mode: 'pull', pool: 'p' });
    t.start('work');
    const first = leasePull(t) as LeasedCall;
    t.progress(
      first,
      { op: 'sleep', key: 's', untilMs: t.nowMs + 10 },
      { op: 'sleep', key: 'long', untilMs: t.nowMs + 1e6 },
    );
    t.advance(20);
    t.report(first);
    t.report(leasePull(t) as LeasedCall);
    expect(leasePull(t)).toBeUndefined();
  });
});

describe('a run that holds its place in a full lane', () => {
  const limits = [{ key: 'queue', max: 1, hold: 'run' as const }];

  it('takes it for all its calls, when it had lost it over a restart with nothing pending', () => {
    const t = open();
    t.register({ id: 'work', limits });
    const run = t.start('work', { input: 'first' });
    t.report(t.one());
    t.restart();
    t.start('work', { input: 'holder' });
    const holder = t.one();
    const post = (...ops: Op[]): void =>
      void t.apply({ type: 'report', run, outcome: { ops }, final: false, anyLease: true });
    post({ op: 'again' });
    t.nowMs += 1;
    t.start('work', { input: 'between' });
    t.nowMs += 1;
    post({ op: 'plan', calls: [{ key: 'a' }] });
    expect(t.take()).toEqual([]);
    t.report(holder, { op: 'complete', output: null });
    expect(t.take().map((call) => [call.run, call.key])).toEqual([
      [run, ''],
      [run, 'a'],
    ]);
  });

  it('goes on though those behind it are blocked', () => {
    const t = open();
    t.register({ id: 'work', limits });
    const runs = ['1', '2', '3'].map((input) => t.start('work', { input }));
    t.report(t.one(), { op: 'complete', output: null });
    const second = t.one();
    expect(second.run).toBe(runs[1]);
    t.report(second, { op: 'step', key: 'a', data: null, again: 'each' });
    expect(t.one()).toMatchObject({ run: runs[1], steps: [{ key: 'a' }] });
  });

  it('is called again after its executor was lost, before one of higher priority that waits', () => {
    const t = open();
    t.register({ id: 'work', limits, leaseMs: 1000 });
    const [, second] = ['1', '2'].map((input) => t.start('work', { input }));
    t.report(t.one(), { op: 'complete', output: null });
    expect(t.one().run).toBe(second);
    t.start('work', { priorityMs: 60_000 });
    t.advance(1000);
    expect(t.one().run).toBe(second);
  });

  it('is leased again before them after a worker was lost', () => {
    const t = open();
    t.register({ id: 'work', mode: 'pull', pool: 'p', limits });
    const [first] = ['1', '2'].map((input) => t.start('work', { input }));
    expect(leasePull(t)?.run).toBe(first);
    expect(leasePull(t)).toBeUndefined();
    t.advance(10_000);
    expect(leasePull(t)?.run).toBe(first);
  });
});

describe('a lane', () => {
  it('goes on after a restart with a clock that was set back', () => {
    const t = open();
    t.register({ id: 'work', mode: 'pull', pool: 'p' });
    const run = t.start('work');
    t.nowMs -= 60_000;
    t.restart();
    expect(leasePull(t)?.run).toBe(run);
  });
});

describe('a follower', () => {
  it('is not called when it was finished before', () => {
    const t = open();
    t.register({ id: 'work' });
    t.start('work');
    const call = t.one();
    t.progress(call, { op: 'step', key: 'b', data: '1' });
    t.report(call, { op: 'step', key: 'a', data: '1', then: { key: 'b' } });
    expect(t.take()).toEqual([]);
  });
});

describe('a run that expires unless it is started in time', () => {
  it('has started when a step of it is finished, whoever was lost since', () => {
    const t = open();
    t.register({ id: 'work', mode: 'pull', pool: 'p' });
    const run = t.start('work', { expireAt: t.nowMs + 1000 });
    const lost = leasePull(t, 100) as LeasedCall;
    t.advance(100);
    expect(t.progress(lost, { op: 'step', key: 'a', data: null }).result).toBe('stale');
    const held = leasePull(t) as LeasedCall;
    t.advance(1500);
    t.apply({ type: 'extend', run, lease: held.lease, untilMs: t.nowMs });
    expect(t.status(run)).toBe('running');
  });

  it('may have a step of any name', () => {
    const t = open();
    t.register({ id: 'work', mode: 'pull', pool: 'p' });
    const run = t.start('work', { expireAt: t.nowMs + 1000 });
    t.apply({
      type: 'report',
      run,
      outcome: { ops: [{ op: 'sleep', key: '$expire', untilMs: t.nowMs + 10_000 }] },
      final: false,
      anyLease: true,
    });
    t.advance(1000);
    expect(t.engine.query({ type: 'run', run })).toMatchObject({ status: 'failed', reason: 'expired' });
  });
});

describe('retention', () => {
  it('keeps the events of a run that was started anew from a dead letter', () => {
    const translators = { test: { ended: () => ({ deadLetter: { data: '{}' } }) } };
    const t = new TestEngine({ sql: new NodeSql(), translators });
    t.register({ id: 'work', maxAttempts: 1, triggers: [{ kind: 'event', pattern: 'go' }] });
    t.apply({ type: 'ingest', events: [{ name: 'go', ts: t.nowMs, body: '{"name":"go"}' }] });
    t.report(t.one(), { op: 'fail', error: '1', retry: 'policy' });
    const letter = t.engine.query({ type: 'dead-letters' }).items[0];
    t.apply({ type: 'retry-dead-letter', id: letter?.id ?? '' });
    t.report(t.one(), { op: 'sleep', key: 's', untilMs: t.nowMs + 90 * 86_400_000 });
    t.advance(60 * 86_400_000);
    t.advance(30 * 86_400_000);
    expect(t.one().events.map((event) => event.body)).toEqual(['{"name":"go"}']);
  });

  it('is done when it has passed over all that has to stay', () => {
    const t = open();
    t.register({ id: 'work', triggers: [{ kind: 'event', pattern: 'go' }] });
    // As many runs and events as make two batches of each, but not in step.
    for (let i = 0; i < 150; i++) t.start('work');
    for (let i = 0; i < 250; i++) t.apply({ type: 'ingest', events: [{ name: 'go', ts: t.nowMs, body: '{}' }] });
    t.nowMs += 40 * 86_400_000;
    t.wake();
    for (let i = 0; i < 20; i++) t.advance(1);
    expect(t.engine.kernel.nextDue).toBeGreaterThan(t.nowMs + 60_000);
  });
});

describe('a call of a group that reports another one as done', () => {
  it('leaves a history that folds to the same state', () => {
    const t = open();
    t.register({ id: 'work' });
    const run = t.start('work');
    t.report(t.one(), { op: 'plan', calls: ['a', 'b'].map((key) => ({ key, again: 'last' as const })) });
    t.report(t.take()[0] as LeasedCall, { op: 'step', key: 'b', data: '1', again: 'last' });
    const warm = t.engine.query({ type: 'run-detail', run })?.pending.map(({ key }) => key);
    t.restart();
    expect(t.engine.query({ type: 'run-detail', run })?.pending.map(({ key }) => key)).toEqual(warm);
  });
});

describe('room that was promised to a call in its pool', () => {
  it('is there for a push call when the pull calls before it are cancelled', () => {
    const t = open();
    const limits = [{ key: 'one', max: 1, hold: 'call' as const }];
    t.register({ id: 'work', mode: 'pull', pool: 'p', limits }, { id: 'pushed', limits });
    const [, second] = ['1', '2'].map((input) => t.start('work', { input }));
    const first = leasePull(t) as LeasedCall;
    const third = t.start('work');
    expect(leasePull(t)).toBeUndefined();
    t.start('pushed');
    t.report(first, { op: 'complete', output: null });
    t.apply({ type: 'cancel', run: third });
    expect(t.one().task.id).toBe('pushed');
    expect(t.status(second as string)).toBe('running');
  });

  it('goes to the next one when that call is cancelled before a worker came', () => {
    const t = open();
    t.register({ id: 'work', mode: 'pull', pool: 'p', limits: [{ key: 'one', max: 1, hold: 'call' }] });
    const [, second, third] = ['1', '2', '3'].map((input) => t.start('work', { input }));
    const first = leasePull(t) as LeasedCall;
    expect(leasePull(t)).toBeUndefined();
    t.report(first, { op: 'complete', output: null });
    t.readyPools = [];
    t.apply({ type: 'cancel', run: second as string });
    expect(t.readyPools).toEqual(['p']);
    expect(leasePull(t)?.run).toBe(third);
  });
});

describe('a call that comes back to the backlog of a limit', () => {
  it('does not wait for its own former place', () => {
    const t = open();
    t.register({ id: 'work', limits: [{ key: 'one', max: 1, hold: 'call' }] });
    const runs = ['1', '2', '3'].map((input) => t.start('work', { input }));
    t.report(t.one(), { op: 'complete', output: null });
    const second = t.one();
    t.advance(5);
    t.report(second, { op: 'step', key: 'a', data: null }, { op: 'sleep', key: 's', untilMs: t.nowMs });
    t.report(t.one(), { op: 'complete', output: null });
    expect(t.one()).toMatchObject({ run: runs[1], steps: [{ key: 'a' }, { key: 's' }] });
  });
});

describe('a call that follows a wait', () => {
  it('does not take the place of a call that is there already', () => {
    const t = open();
    t.register({ id: 'work' });
    const run = t.start('work');
    const main = t.one();
    t.report(main, { op: 'plan', calls: [{ key: 'k' }] });
    const held = t.one();
    t.apply({
      type: 'report',
      run,
      outcome: { ops: [{ op: 'sleep', key: 's', untilMs: t.nowMs + 10, then: { key: 'k' } }] },
      final: false,
      anyLease: true,
    });
    t.advance(10);
    expect(t.take().map((call) => call.key)).not.toContain('k');
    expect(t.report(held, { op: 'step', key: 'k', data: '1' }).result).toBe('live');
  });
});

describe('a call that is planned anew under its own key while it is leased', () => {
  it('is made after that lease', () => {
    const t = open();
    t.register({ id: 'work' });
    const run = t.start('work');
    t.report(t.one(), { op: 'plan', calls: [{ key: 'a' }] });
    const held = t.one();
    const outcome = { ops: [{ op: 'step' as const, key: 'a', data: '1', then: { key: 'a' } }] };
    t.apply({ type: 'report', run, lease: held.lease, outcome, final: false });
    t.report(held);
    t.advance(60_000);
    expect([...t.calls].map((call) => call.key)).toContain('a');
  });
});

describe('the end of a run', () => {
  it('does not fail because what should follow it was removed', () => {
    const translators = { test: { ended: () => ({ starts: [{ task: 'gone', input: null }] }) } };
    const t = new TestEngine({ sql: new NodeSql(), translators });
    t.register({ id: 'work', mode: 'pull', pool: 'p' });
    const run = t.start('work', { expireAt: t.nowMs + 1000 });
    t.advance(1000);
    expect(t.status(run)).toBe('failed');
  });
});

describe('a limit that is given more room', () => {
  it('lets the next one go, also after a request that was refused', () => {
    const t = open();
    t.register({ id: 'work', limits: [{ key: 'one', max: 1, hold: 'run' }] });
    const [, second] = ['1', '2'].map((input) => t.start('work', { input }));
    t.take();
    expect(() => t.start('nothing')).toThrow('unknown-task');
    t.apply({ type: 'set-limit', key: 'one', max: 2 });
    expect(t.one().run).toBe(second);
  });
});
