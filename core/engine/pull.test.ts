import { describe, expect, it } from 'vitest';
import type { LapsedCall, LeasedCall, Outcome } from '../model/call.ts';
import { TestEngine } from '../testing/harness.ts';
import { NodeSql } from '../testing/node-sql.ts';

const HOLD_MS = 60_000;

/** A vendor whose vanished workers take what they had begun with them. */
function cancelsBegun({ begun }: LapsedCall): Outcome | null {
  return begun ? { ops: [{ op: 'cancel', reason: 'gone' }] } : null;
}

function open(lapsed: (call: LapsedCall) => Outcome | null = cancelsBegun): {
  t: TestEngine;
  run: string;
  lease(): LeasedCall | undefined;
} {
  const t = new TestEngine({ sql: new NodeSql(), translators: { test: { lapsed } } });
  t.register({ id: 'work', mode: 'pull', pool: 'p' });
  const run = t.start('work');
  return {
    t,
    run,
    lease: () => t.engine.lease({ pool: 'p', max: 1, holdMs: HOLD_MS, holder: 'w' })[0],
  };
}

describe('a pull lease', () => {
  it('shows its call again to a holder that has lost it, as long as it lives', () => {
    const { t, run, lease } = open();
    const call = lease() as LeasedCall;
    const asked = (token: string): LeasedCall | null => t.engine.query({ type: 'leased-call', run, lease: token });
    expect(asked(call.lease)).toEqual(call);
    expect(asked('1.2.x')).toBeNull();
    t.advance(HOLD_MS);
    expect(asked(call.lease)).toBeNull();
    expect(t.engine.query({ type: 'leased-call', run: 'nobody', lease: call.lease })).toBeNull();
  });
});

describe('the end of a pull lease', () => {
  it('is no attempt when the holder never reported: the call is handed out again', () => {
    const { t, lease } = open();
    const first = lease();
    t.advance(HOLD_MS);
    expect(lease()).toMatchObject({ run: first?.run, attempt: 0 });
  });

  it('does not count as a start: the run can still expire unstarted', () => {
    const { t, lease } = open();
    t.apply({
      type: 'report',
      run: lease()?.run ?? '',
      outcome: { ops: [{ op: 'complete', output: null }] },
      final: true,
      anyLease: true,
    });
    const run = t.start('work', { expireAt: t.nowMs + 2 * HOLD_MS });
    expect(lease()?.run).toBe(run);
    t.advance(HOLD_MS);
    expect(t.engine.query({ type: 'run', run })?.startedAt).toBeNull();
    t.advance(HOLD_MS);
    expect(t.engine.query({ type: 'run', run })).toMatchObject({ status: 'failed', reason: 'expired' });
    const late = t.start('work', { expireAt: t.nowMs + HOLD_MS / 2 });
    expect(lease()?.run).toBe(late);
    t.advance(HOLD_MS);
    expect(t.status(late)).toBe('failed');
  });

  it('is what its vendor says once the holder has begun, by word or by a report on its way', () => {
    const { t, run, lease } = open();
    t.progress(lease() as LeasedCall, { op: 'begin' });
    const second = t.start('work');
    t.progress(lease() as LeasedCall, { op: 'note', name: 'log', data: null });
    t.advance(HOLD_MS);
    for (const one of [run, second])
      expect(t.engine.query({ type: 'run', run: one })).toMatchObject({ status: 'cancelled', reason: 'gone' });
    const kinds = t.engine.query({ type: 'history', run }).map(({ body }) => body.kind);
    expect(kinds).toEqual(['lease', 'begin', 'end']);
  });

  it('does not take a call for begun that only others have told about', () => {
    const { t, run, lease } = open();
    lease();
    t.apply({ type: 'report', run, outcome: { ops: [{ op: 'label', labels: ['x'] }] }, final: false, anyLease: true });
    t.advance(HOLD_MS);
    expect(t.status(run)).toBe('running');
    expect(t.engine.query({ type: 'run', run })?.startedAt).toBeNull();
  });

  it('is counted for each attempt, until its vendor has enough; a call that is given back is not', () => {
    const seen: Array<Pick<LapsedCall, 'attempt' | 'begun' | 'lapses'>> = [];
    const { t, run, lease } = open(({ attempt, begun, lapses, nowMs }) => {
      seen.push({ attempt, begun, lapses });
      return lapses < 2 ? null : { ops: [{ op: 'fail', error: '"stalled"', retry: { at: nowMs + 250 } }] };
    });
    const returned = lease();
    t.apply({ type: 'extend', run, lease: returned?.lease ?? '', untilMs: 0 });
    for (let i = 0; i < 2; i++) {
      lease();
      t.advance(HOLD_MS);
      t.restart();
    }
    expect(lease()).toBeUndefined();
    t.advance(250);
    expect(lease()).toMatchObject({ attempt: 1 });
    t.advance(HOLD_MS);
    expect(seen).toEqual([
      { attempt: 0, begun: false, lapses: 1 },
      { attempt: 0, begun: false, lapses: 2 },
      { attempt: 1, begun: false, lapses: 1 },
    ]);
    expect(t.engine.query({ type: 'run-detail', run })?.pending).toMatchObject([
      { attempt: 1, lapses: 1, begun: false },
    ]);
  });

  it('is now when the holder gives the call back, at whatever moment it names that is not ahead', () => {
    const { t, run, lease } = open();
    for (const untilMs of [0, t.nowMs]) {
      const held = lease();
      expect(t.apply({ type: 'extend', run, lease: held?.lease ?? '', untilMs }).result).toBe('live');
      expect(t.apply({ type: 'extend', run, lease: held?.lease ?? '', untilMs }).result).toBe('stale');
    }
    expect(lease()).toMatchObject({ run, attempt: 0 });
  });
});

describe('a retry that keeps its lease', () => {
  const failing = (t: TestEngine) => ({
    op: 'fail' as const,
    error: 'no',
    retry: { at: t.nowMs },
    keepLeaseUntilMs: t.nowMs + HOLD_MS,
  });

  it('stays with its holder, and a report of the attempt before does not count for the next', () => {
    const { t, run, lease } = open();
    const held = lease() as LeasedCall;
    const report = (attempt: number, ...ops: Parameters<TestEngine['report']>[1][]) =>
      t.apply({ type: 'report', run, lease: held.lease, attempt, outcome: { ops }, final: true }).result;
    expect(report(0, failing(t))).toBe('live');
    expect(lease()).toBeUndefined();
    expect(report(0, failing(t))).toBe('stale');
    expect(report(1, { op: 'complete', output: '1' })).toBe('live');
    expect(t.status(run)).toBe('completed');
  });

  it('goes back to the pool when the holder does not begin it in time', () => {
    const { t, lease } = open();
    t.report(lease() as LeasedCall, failing(t));
    t.advance(HOLD_MS);
    expect(lease()).toMatchObject({ attempt: 1 });
  });
});

describe('a wait for a run', () => {
  it('carries the meta of the outcome that ended it', () => {
    const { t, run, lease } = open();
    const held = lease() as LeasedCall;
    t.progress(held, { op: 'wait-run', key: 'child', again: 'none', start: { task: 'work', input: null } });
    const child = lease() as LeasedCall;
    t.report(child, { op: 'complete', output: '1', meta: '{"type":"text"}' });
    const detail = t.engine.query({ type: 'run-detail', run });
    expect(detail?.steps[0]?.from).toEqual({
      run: child.run,
      status: 'completed',
      reason: null,
      meta: '{"type":"text"}',
    });
    expect(t.engine.query({ type: 'run', run: child.run })?.outcomeMeta).toBe('{"type":"text"}');
  });
});

describe('labels added to a run', () => {
  it('are found by, are listed, and outlive a restart and the end', () => {
    const { t, run, lease } = open();
    const held = lease() as LeasedCall;
    t.progress(held, { op: 'label', labels: ['a', 'b'] });
    t.progress(held, { op: 'label', labels: ['b', 'c'] });
    t.restart();
    t.report(held, { op: 'complete', output: null });
    t.restart();
    for (const label of ['a', 'b', 'c'])
      expect(t.engine.query({ type: 'runs', label }).items).toMatchObject([{ id: run, labels: ['a', 'b', 'c'] }]);
    expect(t.engine.query({ type: 'history', run }).filter((entry) => entry.body.kind === 'label').length).toBe(2);
  });
});
