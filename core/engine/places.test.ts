import { describe, expect, it } from 'vitest';
import type { LeasedCall } from '../model/call.ts';
import { TestEngine } from '../testing/harness.ts';
import { NodeSql } from '../testing/node-sql.ts';

const queue = [{ key: 'queue', max: 1, hold: 'run' as const }];
const complete = { op: 'complete' as const, output: null };

function open(): TestEngine {
  const t = new TestEngine({ sql: new NodeSql() });
  t.register({ id: 'work' });
  return t;
}

/** A run in the queue that is started from where another stood, with what that had pending there. */
function goOnFrom(t: TestEngine, run: string): string {
  const { seq } = t.engine.query({ type: 'run-detail', run }) ?? { seq: 0 };
  return t.apply({ type: 'rerun', run, from: { seq }, overrides: { limits: queue } }).run;
}

function sleeping(t: TestEngine): string {
  const run = t.start('work');
  t.report(
    t.one(),
    { op: 'step', key: 'a', data: null, again: 'each' },
    { op: 'sleep', key: 'nap', untilMs: t.nowMs + 60_000 },
  );
  t.take();
  return run;
}

describe('the place of a run that goes on from another', () => {
  it('is kept over a restart by waits that were there before it had the place', () => {
    const t = open();
    const run = goOnFrom(t, sleeping(t));
    t.report(t.one());
    const next = t.start('work', { limits: queue });
    t.restart();
    expect(t.take().map((call) => call.run)).not.toContain(next);
    t.advance(60_000);
    const main = t.take().find((call) => call.run === run) as LeasedCall;
    t.report(main, complete);
    expect(t.one().run).toBe(next);
  });

  it('is asked for before what a call names for itself, or two runs would wait for each other', () => {
    const t = open();
    const parts = [{ key: 'a part', max: 2, hold: 'run' as const }];
    const first = t.start('work', { limits: queue });
    const main = t.one();
    const source = t.start('work');
    t.report(t.one(), { op: 'plan', calls: [{ key: 'part', limits: parts }] });
    expect(t.one().run).toBe(source);
    goOnFrom(t, source);
    expect(t.take()).toEqual([]);
    t.report(main, { op: 'plan', calls: [{ key: 'part', limits: parts }] });
    expect(t.one()).toMatchObject({ run: first, key: 'part' });
  });

  it('is asked for by calls that have limits of their own too', () => {
    const t = open();
    const first = t.start('work', { limits: queue });
    const holder = t.one();
    const source = t.start('work');
    t.report(t.one(), {
      op: 'plan',
      calls: [{ key: 'part', limits: [{ key: 'parts', max: 5, hold: 'call' }] }],
    });
    t.take();
    const run = goOnFrom(t, source);
    expect(t.take()).toEqual([]);
    expect(holder.run).toBe(first);
    t.report(holder, complete);
    expect(t.one()).toMatchObject({ run, key: 'part' });
  });

  it('is not waited for behind others once it is there again after a restart', () => {
    const t = open();
    t.start('work', { limits: queue });
    const holder = t.one();
    const run = goOnFrom(t, sleeping(t));
    t.report(holder, complete);
    const main = t.one();
    expect(main.run).toBe(run);
    t.progress(main, { op: 'sleep', key: 'longer', untilMs: t.nowMs + 3_600_000 });
    t.start('work', { limits: queue, priorityMs: 60_000 });
    t.restart();
    expect(t.take().filter((call) => call.task.id === 'work' && call.run === run)).toHaveLength(1);
  });
});

describe('a place that a run has for one of its calls', () => {
  const part = [{ key: 'part', max: 1, hold: 'run' as const }];

  /** A run that has planned calls, and another that waits for the same place. */
  function planned(...keys: string[]): { t: TestEngine; calls: LeasedCall[]; behind: string } {
    const t = open();
    t.start('work');
    t.report(t.one(), { op: 'plan', calls: keys.map((key) => ({ key, limits: part, maxAttempts: 3, again: 'none' })) });
    const calls = t.take();
    const behind = t.start('work', { limits: part });
    expect(t.take()).toEqual([]);
    return { t, calls, behind };
  }

  const done = (key: string) => ({ op: 'step' as const, key, data: null, again: 'none' as const });

  it('is free once the call is resolved, while the run goes on', () => {
    const { t, calls, behind } = planned('a');
    t.report(calls[0] as LeasedCall, done('a'));
    expect(t.one().run).toBe(behind);
  });

  it('is kept through the retries of the call, and over a restart', () => {
    const { t, calls, behind } = planned('a');
    t.report(calls[0] as LeasedCall, { op: 'fail', error: '""', retry: { at: t.nowMs + 60_000 } });
    expect(t.take()).toEqual([]);
    t.restart();
    expect(t.take()).toEqual([]);
    t.advance(60_000);
    const again = t.one();
    expect(again).toMatchObject({ key: 'a', attempt: 1 });
    t.report(again, done('a'));
    expect(t.one().run).toBe(behind);
  });

  it('is kept while another of its calls names it', () => {
    const { t, calls, behind } = planned('a', 'b');
    expect(calls.map(({ key }) => key)).toEqual(['a', 'b']);
    t.report(calls[0] as LeasedCall, done('a'));
    expect(t.take()).toEqual([]);
    t.report(calls[1] as LeasedCall, done('b'));
    expect(t.one().run).toBe(behind);
  });

  it('is free when the call is resolved by another, and when the run is cancelled', () => {
    for (const end of ['step', 'cancel'] as const) {
      const { t, calls, behind } = planned('a');
      const { run } = calls[0] as LeasedCall;
      if (end === 'cancel') t.apply({ type: 'cancel', run });
      else t.apply({ type: 'report', run, outcome: { ops: [done('a')] }, final: false, anyLease: true });
      expect(t.one().run).toBe(behind);
    }
  });

  it('is the run’s own where the run holds it as a whole', () => {
    const t = open();
    t.start('work', { limits: part });
    t.report(t.one(), { op: 'plan', calls: [{ key: 'a', limits: part, again: 'none' }] });
    const call = t.one();
    t.start('work', { limits: part });
    t.report(call, done('a'));
    expect(t.take()).toEqual([]);
  });
});

describe('what a place costs', () => {
  it('is no row more for an ordinary run in a queue: start 3, sleep 3, end 3', () => {
    const t = open();
    const rows = (limits: object): number => {
      const before = t.sql.rowsWritten();
      t.start('work', limits);
      t.report(t.one(), { op: 'sleep', key: 'nap', untilMs: t.nowMs + 1_000 });
      t.advance(1_000);
      t.report(t.one(), complete);
      return t.sql.rowsWritten() - before;
    };
    const without = rows({});
    expect(rows({ limits: queue }) - without).toBeLessThanOrEqual(3);
  });
});
