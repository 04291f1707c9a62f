import { describe, expect, it } from 'vitest';
import type { LeasedCall } from '../model/call.ts';
import { type Rate, UNBOUNDED } from '../model/limit.ts';
import type { LimitSpec } from '../model/task.ts';
import { TestEngine } from '../testing/harness.ts';
import { NodeSql } from '../testing/node-sql.ts';

function open(): TestEngine {
  return new TestEngine({ sql: new NodeSql() });
}

const tenASecond: Rate = { max: 10, periodMs: 1_000, shape: 'fixed', takes: 'call' };
const oneASecond: Rate = { max: 1, periodMs: 1_000, shape: 'gcra', takes: 'call' };

function rated(rate: Rate, more: Partial<LimitSpec> = {}): LimitSpec {
  return { key: 'rate', max: UNBOUNDED, hold: 'call', rate, ...more };
}

const complete = { op: 'complete' as const, output: null };

function leasePull(t: TestEngine, max = 10): LeasedCall[] {
  return t.engine.lease({ pool: 'p', max, holdMs: 10_000, holder: 'w' });
}

describe('a limit with a rate', () => {
  it('lets its number through in a period, in order, and the next ones when it opens', () => {
    const t = open();
    t.register({ id: 'work', limits: [rated({ ...tenASecond, max: 2 })] });
    for (let i = 0; i < 5; i++) t.start('work', { input: `${i}` });
    expect(t.take().map((call) => call.input)).toEqual(['0', '1']);
    t.advance(999);
    expect(t.take()).toEqual([]);
    expect(t.engine.query({ type: 'stats' }).nextDueAt).toBe(t.nowMs + 1);
    t.advance(1);
    expect(t.take().map((call) => call.input)).toEqual(['2', '3']);
    t.advance(1_000);
    expect(t.take().map((call) => call.input)).toEqual(['4']);
  });

  it('is not given a second time by a restart', () => {
    const t = open();
    t.register({ id: 'work', limits: [rated({ ...tenASecond, max: 2, takes: 'first-call' })] });
    for (let i = 0; i < 4; i++) t.start('work', { input: `${i}` });
    for (const call of t.take()) t.report(call, complete);
    t.restart();
    expect(t.take()).toEqual([]);
    t.advance(1_000);
    expect(t.take().map((call) => call.input)).toEqual(['2', '3']);
  });

  it('is not used up by a transaction that failed', () => {
    const t = open();
    t.register({ id: 'work', limits: [rated(oneASecond)] });
    const spec = { task: 'work', input: null };
    expect(() =>
      t.engine.apply([
        { type: 'start', spec },
        { type: 'start', spec: { ...spec, task: 'nothing' } },
      ]),
    ).toThrow('unknown-task');
    t.start('work');
    expect(t.take()).toHaveLength(1);
  });

  it('counts retries where it counts calls, and only starts where it counts runs', () => {
    for (const [takes, expected] of [
      ['call', 0],
      ['first-call', 1],
    ] as const) {
      const t = open();
      t.register({
        id: 'work',
        retry: { kind: 'constant', delayMs: 10 },
        limits: [rated({ ...oneASecond, periodMs: 60_000, takes })],
      });
      t.start('work');
      t.report(t.one(), { op: 'fail', error: '1', retry: 'policy' });
      t.advance(10);
      expect(t.take()).toHaveLength(expected);
    }
  });

  it('lets the later calls of a run pass those that have not begun', () => {
    const t = open();
    t.register({ id: 'work', limits: [rated({ ...oneASecond, periodMs: 60_000, takes: 'first-call' })] });
    const [first] = ['1', '2', '3'].map((input) => t.start('work', { input }));
    t.report(t.one(), { op: 'step', key: 'a', data: null, again: 'each' });
    expect(t.one()).toMatchObject({ run: first, steps: [{ key: 'a' }] });
  });

  it('bounds what workers lease', () => {
    const t = open();
    t.register({ id: 'work', mode: 'pull', pool: 'p', limits: [rated({ ...tenASecond, max: 2 })] });
    for (let i = 0; i < 5; i++) t.start('work', { input: `${i}` });
    expect(leasePull(t).map((call) => call.input)).toEqual(['0', '1']);
    expect(leasePull(t)).toEqual([]);
    t.readyPools = [];
    t.advance(1_000);
    expect(t.readyPools).toEqual(['p']);
    expect(leasePull(t).map((call) => call.input)).toEqual(['2', '3']);
  });

  it('counts each value of its sub-key by itself', () => {
    const t = open();
    t.register({ id: 'work', limits: [{ ...rated(oneASecond), expression: 'event.u' }] });
    for (const u of ['a', 'a', 'b']) t.start('work', { input: JSON.stringify({ u }) });
    expect(t.take().map((call) => call.input)).toEqual(['{"u":"a"}', '{"u":"b"}']);
    expect(t.engine.query({ type: 'limit', key: 'rate', subs: true })).toMatchObject({
      held: 2,
      waiting: 1,
      subs: [
        { sub: 'a', held: 1, waiting: 1 },
        { sub: 'b', held: 1, waiting: 0 },
      ],
    });
  });

  it('bounds how many are under way too, in one line', () => {
    const t = open();
    t.register({ id: 'work', limits: [rated({ ...tenASecond, max: 3 }, { max: 2 })] });
    for (let i = 0; i < 6; i++) t.start('work', { input: `${i}` });
    const [a] = t.take();
    t.report(a as LeasedCall, complete);
    const third = t.one();
    expect(third.input).toBe('2');
    t.report(third, complete);
    expect(t.take()).toEqual([]);
    t.advance(1_000);
    expect(t.take().map((call) => call.input)).toEqual(['3']);
  });

  it('does not take when another limit holds the call back', () => {
    const t = open();
    const slow = { key: 'one', max: 1, hold: 'call' as const };
    t.register(
      { id: 'work', limits: [rated({ ...oneASecond, periodMs: 60_000 }), slow] },
      { id: 'other', limits: [slow] },
    );
    t.start('other');
    const other = t.one();
    t.start('work');
    t.advance(3_600_000);
    expect(t.take()).toEqual([]);
    t.report(other, complete);
    t.report(t.one(), complete);
    t.start('work');
    t.advance(59_999);
    expect(t.take()).toEqual([]);
    t.advance(1);
    expect(t.take()).toHaveLength(1);
  });

  it('does not move those who wait for it to and fro while another limit is full', () => {
    const t = open();
    t.register({ id: 'work', limits: [rated({ ...oneASecond, takes: 'call' }), { key: 'one', max: 1, hold: 'call' }] });
    for (let i = 0; i < 500; i++) t.start('work', { input: `${i}` });
    for (let i = 0; i < 20; i++) {
      const call = t.one();
      expect(call.input).toBe(`${i}`);
      const before = t.sql.rowsWritten();
      t.advance(2_500);
      t.report(call, complete);
      t.advance(1_000);
      expect(t.sql.rowsWritten() - before).toBeLessThan(40);
    }
  });

  it('leaves no row when nothing of it counts any more', () => {
    const t = open();
    t.register({ id: 'work', limits: [{ ...rated(oneASecond), expression: 'event.u' }] });
    for (let u = 0; u < 300; u++) t.start('work', { input: JSON.stringify({ u }) });
    while (t.calls.length > 0) for (const call of t.take()) t.report(call, complete);
    const rows = (): number => t.sql.all<{ n: number }>(`SELECT count(*) AS n FROM rates`)[0]?.n ?? -1;
    expect(rows()).toBe(300);
    t.advance(3_600_000);
    for (let i = 0; i < 3; i++) t.advance(1);
    expect(rows()).toBe(0);
  });

  it('costs one row a transaction, however many it lets through', () => {
    const t = open();
    t.register({ id: 'free' }, { id: 'work', limits: [rated({ ...tenASecond, max: 100 })] });
    const rowsOf = (task: string): number => {
      const before = t.sql.rowsWritten();
      t.engine.apply(Array.from({ length: 20 }, () => ({ type: 'start', spec: { task, input: null } })));
      expect(t.take()).toHaveLength(20);
      return t.sql.rowsWritten() - before;
    };
    const free = rowsOf('free');
    expect(rowsOf('work') - free).toBe(1);
  });
});

describe('what is set for a limit', () => {
  const work = { id: 'work', limits: [{ key: 'q', max: 1, hold: 'call' as const, expression: 'event.u' }] };
  const start = (t: TestEngine, ...users: string[]): void => {
    for (const u of users) t.start('work', { input: JSON.stringify({ u }) });
  };

  it('counts for each of its sub-keys instead of what runs bring, until it is taken back', () => {
    const t = open();
    t.register(work);
    start(t, 'a', 'a', 'a', 'b', 'b');
    expect(t.take()).toHaveLength(2);
    t.apply({ type: 'set-limit', key: 'q', max: 2 });
    expect(t.take()).toHaveLength(2);
    t.restart();
    expect(t.take()).toHaveLength(4);
    t.apply({ type: 'set-limit', key: 'q', max: null });
    expect(t.engine.query({ type: 'limits' })).toMatchObject([{ key: 'q', max: 1, set: {}, held: 4, waiting: 1 }]);
    expect(t.sql.all(`SELECT * FROM limit_rules`)).toEqual([]);
  });

  it('may be 0: then nothing goes until it is more', () => {
    const t = open();
    t.register(work);
    t.apply({ type: 'set-limit', key: 'q', max: 0 });
    start(t, 'a');
    t.advance(86_400_000);
    expect(t.take()).toEqual([]);
    t.apply({ type: 'set-limit', key: 'q', max: 1 });
    expect(t.take()).toHaveLength(1);
  });

  it('pauses all of its sub-keys, over a restart, and they go on in order', () => {
    const t = open();
    t.register(work);
    t.apply({ type: 'set-limit', key: 'q', paused: true });
    start(t, 'a', 'b');
    t.restart();
    expect(t.take()).toEqual([]);
    expect(t.engine.query({ type: 'limit', key: 'q' })).toMatchObject({ paused: true, held: 0, waiting: 2 });
    t.apply({ type: 'set-limit', key: 'q', paused: false });
    expect(t.take().map((call) => call.input)).toEqual(['{"u":"a"}', '{"u":"b"}']);
  });

  it('is a rate too, whose count can be forgotten', () => {
    const t = open();
    t.register({ id: 'work', limits: [{ key: 'q', max: UNBOUNDED, hold: 'call' }] });
    t.apply({ type: 'set-limit', key: 'q', rate: { ...tenASecond, max: 1, periodMs: 60_000 } });
    for (let i = 0; i < 3; i++) t.start('work');
    t.one();
    expect(t.engine.query({ type: 'limit', key: 'q' })).toMatchObject({ used: 1, usedSinceMs: t.nowMs, waiting: 2 });
    t.apply({ type: 'set-limit', key: 'q', resetRate: true });
    t.one();
    t.apply({ type: 'set-limit', key: 'q', rate: null });
    t.one();
  });
});

describe('a limit that a start names', () => {
  it('is no row and takes no memory when its runs have ended', () => {
    const t = open();
    t.register({ id: 'work' });
    for (let i = 0; i < 1_000; i++) {
      t.start('work', { limits: [{ key: `k${i}`, max: 1, hold: 'run' }] });
      t.report(t.one(), complete);
    }
    expect(t.sql.all(`SELECT * FROM limit_rules`)).toEqual([]);
    expect(t.engine.kernel.limits.counters()).toEqual([]);
  });

  it('has the bound of the newest run, also for those who wait already', () => {
    const t = open();
    t.register({ id: 'work' });
    const start = (max: number): string => t.start('work', { limits: [{ key: 'k', max, hold: 'call' }] });
    for (let i = 0; i < 4; i++) start(1);
    const first = t.one();
    start(3);
    expect(t.take()).toHaveLength(2);
    start(1);
    t.report(first, complete);
    expect(t.take()).toEqual([]);
  });
});

describe('a pause', () => {
  it('of a task holds all its calls back and no others, over a restart; waits still end', () => {
    const t = open();
    t.register({ id: 'work' }, { id: 'other' });
    t.start('work');
    t.report(t.one(), { op: 'sleep', key: 's', untilMs: t.nowMs + 10 });
    t.apply({ type: 'pause', scope: { task: 'work' } });
    t.start('other');
    expect(t.one().task.id).toBe('other');
    t.restart();
    t.take();
    t.advance(10);
    expect(t.take()).toEqual([]);
    t.apply({ type: 'unpause', scope: { task: 'work' } });
    expect(t.one()).toMatchObject({ task: { id: 'work' }, steps: [{ key: 's' }] });
    expect(t.engine.query({ type: 'pauses' })).toEqual([]);
  });

  it('of a pool or of everything gives workers nothing, and tells them when it is over', () => {
    for (const scope of [{ pool: 'p' }, { all: true as const }]) {
      const t = open();
      t.register({ id: 'work', mode: 'pull', pool: 'p' });
      t.apply({ type: 'pause', scope });
      t.start('work');
      t.start('work');
      expect(leasePull(t)).toEqual([]);
      t.readyPools = [];
      t.apply({ type: 'unpause', scope });
      expect(t.readyPools).toEqual(['p']);
      expect(leasePull(t)).toHaveLength(2);
    }
  });

  it('that skips ends what starts meanwhile, and a parent learns of it', () => {
    const t = open();
    t.register({ id: 'work' }, { id: 'parent' });
    t.apply({ type: 'pause', scope: { task: 'work' }, starts: 'skip' });
    const skipped = t.start('work');
    expect(t.engine.query({ type: 'run', run: skipped })).toMatchObject({ status: 'cancelled', reason: 'skipped' });
    t.start('parent');
    t.report(t.one(), { op: 'wait-run', key: 'c', start: { task: 'work', input: null } });
    expect(t.one().steps).toMatchObject([{ key: 'c', error: true, from: { status: 'cancelled', reason: 'skipped' } }]);
  });

  it('keeps the order of those it held back, before what starts when it ends', () => {
    const t = open();
    t.register({ id: 'work', limits: [{ key: 'one', max: 1, hold: 'run' }] });
    t.apply({ type: 'pause', scope: { task: 'work' } });
    for (const input of ['1', '2']) {
      t.start('work', { input });
      t.nowMs += 1;
    }
    t.engine.apply([
      { type: 'unpause', scope: { task: 'work' } },
      { type: 'start', spec: { task: 'work', input: '3' } },
    ]);
    const order: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      const call = t.one();
      order.push(call.input);
      t.report(call, complete);
    }
    expect(order).toEqual(['1', '2', '3']);
  });
});

describe('a place that follow-ups keep', () => {
  const queue = [{ key: 'queue', max: 1, hold: 'run' as const }];

  function withFollowUp(): TestEngine {
    return new TestEngine({
      sql: new NodeSql(),
      translators: {
        test: {
          ended: ({ task, run, holder }) =>
            task.id === 'message' ? { starts: [{ task: 'callback', input: run, limits: queue, holder }] } : {},
        },
      },
    });
  }

  it('is free when the last of them has ended, also over a restart', () => {
    const t = withFollowUp();
    t.register({ id: 'message' }, { id: 'callback' });
    const [first, second] = ['1', '2'].map((input) => t.start('message', { input, limits: queue }));
    t.report(t.one(), complete);
    t.restart();
    const callback = t.one();
    expect(callback).toMatchObject({ task: { id: 'callback' }, input: first });
    t.report(callback, complete);
    expect(t.one().run).toBe(second);
  });

  it('is not asked for again by any of them, and one more than fits does not get in between', () => {
    const t = withFollowUp();
    t.register({ id: 'message' }, { id: 'callback' });
    t.apply({ type: 'set-limit', key: 'queue', max: 2 });
    const runs = ['1', '2', '3', '4'].map((input) => t.start('message', { input, limits: queue }));
    const [a, b] = t.take();
    t.report(a as LeasedCall, complete);
    const callback = t.one();
    expect(callback).toMatchObject({ task: { id: 'callback' }, input: runs[0] });
    t.report(b as LeasedCall, complete);
    expect(t.one()).toMatchObject({ input: runs[1] });
    t.report(callback, complete);
    expect(t.one().run).toBe(runs[2]);
  });
});

describe('many who wait', () => {
  it('are looked at when the first of them leaves the line for another reason than that it goes', () => {
    const t = open();
    const limits: LimitSpec[] = [{ key: 'shared', max: 1, hold: 'call' }];
    t.register({ id: 'pulled', mode: 'pull', pool: 'p', limits }, { id: 'pushed', limits });
    t.start('pulled');
    const [held] = leasePull(t);
    t.start('pulled');
    const second = t.start('pulled');
    expect(leasePull(t)).toEqual([]);
    const last = t.start('pushed');
    // The room is promised to the first, which waits for its worker; the second stands behind it.
    t.report(held as LeasedCall, complete);
    expect(t.take()).toEqual([]);
    t.apply({ type: 'amend', run: second, change: { dueAt: t.nowMs + 60_000 } });
    expect(t.one().run).toBe(last);
  });

  it('for one key do not slow another, and cost nothing while they wait', () => {
    const t = open();
    const waiting = 100_000;
    t.register({
      id: 'work',
      limits: [{ key: 'k', max: 1, hold: 'call', expression: 'event.u', rate: { ...tenASecond, max: 1_000_000 } }],
    });
    for (let i = 0; i < waiting; i += 1_000)
      t.engine.apply(
        Array.from({ length: 1_000 }, () => ({ type: 'start', spec: { task: 'work', input: '{"u":"full"}' } })),
      );
    const full = t.one();
    const measure = (): { rows: number; ms: number } => {
      const before = t.sql.rowsWritten();
      const startedAt = performance.now();
      for (let i = 0; i < 50; i++) {
        t.start('work', { input: `{"u":"${i}"}` });
        t.report(t.one(), complete);
      }
      return { rows: t.sql.rowsWritten() - before, ms: performance.now() - startedAt };
    };
    measure();
    const many = measure();
    // Two rows of a rate besides those of a run without limits (start 3, end 3).
    expect(many.rows / 50).toBeLessThanOrEqual(7);
    expect(many.ms / 50).toBeLessThan(5);
    t.report(full, complete);
    expect(t.take()).toHaveLength(1);
    expect(t.engine.query({ type: 'limit', key: 'k' }).waiting).toBe(waiting - 2);
  }, 60_000);
});
