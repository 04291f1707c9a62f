import { describe, expect, it } from 'vitest';
import type { SweepRecord, SweepSpec } from '../model/sweep.ts';
import { TestEngine } from '../testing/harness.ts';
import { NodeSql } from '../testing/node-sql.ts';

function open(): TestEngine {
  const t = new TestEngine({ sql: new NodeSql() });
  t.register({ id: 'work', triggers: [{ kind: 'event', pattern: 'go' }] }, { id: 'other' });
  return t;
}

/** Starts n runs that sleep for a year. */
function sleepers(t: TestEngine, task: string, n: number, spec: object = {}): string[] {
  const runs: string[] = [];
  for (let i = 0; i < n; i++) {
    runs.push(t.start(task, { input: `{"data":{"i":${i}}}`, ...spec }));
    for (const call of t.take()) t.report(call, { op: 'sleep', key: 's', untilMs: t.nowMs + 31_536_000_000 });
  }
  return runs;
}

function sweep(t: TestEngine, spec: Partial<SweepSpec>): SweepRecord {
  t.apply({ type: 'sweep', sweep: { id: 'w', filter: {}, action: { do: 'cancel' }, ...spec } });
  // Each batch has its own millisecond.
  for (let i = 0; i < 3; i++) t.advance(1);
  return t.engine.query({ type: 'sweep', id: 'w' }) as SweepRecord;
}

describe('a sweep', () => {
  it('cancels every run of its filter, in several transactions, and counts them', () => {
    const t = open();
    const others = sleepers(t, 'other', 2);
    const runs = sleepers(t, 'work', 450);
    expect(sweep(t, { filter: { task: 'work' } })).toMatchObject({
      status: 'done',
      matched: 450,
      changed: 450,
      refused: 0,
      endedAt: t.nowMs,
    });
    expect(runs.every((run) => t.status(run) === 'cancelled')).toBe(true);
    expect(others.every((run) => t.status(run) === 'running')).toBe(true);
  });

  it('looks at the run’s event or input', () => {
    const t = open();
    const runs = sleepers(t, 'work', 5);
    sweep(t, { filter: { expression: 'event.data.i >= 3' } });
    expect(runs.map((run) => t.status(run))).toEqual(['running', 'running', 'running', 'cancelled', 'cancelled']);
  });

  it('takes runs of its time and label only, and none that is started later', () => {
    const t = open();
    const early = sleepers(t, 'work', 1);
    t.advance(1_000);
    const from = t.nowMs;
    const labelled = sleepers(t, 'work', 1, { labels: ['x'] });
    const plain = sleepers(t, 'work', 1);
    t.apply({ type: 'sweep', sweep: { id: 'w', filter: { fromMs: from, label: 'x' }, action: { do: 'cancel' } } });
    t.nowMs += 1;
    const later = t.start('work', { labels: ['x'] });
    t.wake();
    expect([...early, ...labelled, ...plain, later].map((run) => t.status(run))).toEqual([
      'running',
      'cancelled',
      'running',
      'running',
    ]);
  });

  it('starts each run of a list anew, once, and says which could not be', () => {
    const t = open();
    const runs = sleepers(t, 'work', 3);
    const gone = sleepers(t, 'other', 1);
    t.register({ id: 'work' });
    const record = sweep(t, { filter: { runs: [...runs, ...gone, 'nobody'] }, action: { do: 'rerun' } });
    expect(record).toMatchObject({ status: 'done', matched: 5, changed: 3, refused: 2 });
    expect(t.take().map((call) => t.engine.query({ type: 'run', run: call.run })?.from?.run)).toEqual(runs);
    t.apply({ type: 'sweep', sweep: { id: 'w', filter: { runs }, action: { do: 'rerun' } } });
    t.advance(100);
    expect(t.take()).toEqual([]);
  });

  it('goes on after a restart, and stops when it is told to', () => {
    const t = open();
    const runs = sleepers(t, 'work', 450);
    t.apply({ type: 'sweep', sweep: { id: 'w', filter: {}, action: { do: 'cancel' } } });
    t.nowMs += 1;
    t.engine.wake();
    expect(t.engine.query({ type: 'sweep', id: 'w' })).toMatchObject({ status: 'running', matched: 200 });
    t.restart();
    expect(t.engine.query({ type: 'sweep', id: 'w' })).toMatchObject({ matched: 200 });
    expect(t.apply({ type: 'stop-sweep', id: 'w' }).result).toBe('stopped');
    t.advance(1_000);
    expect(t.engine.query({ type: 'sweep', id: 'w' })).toMatchObject({ status: 'stopped', matched: 200 });
    expect(runs.filter((run) => t.status(run) === 'cancelled').length).toBe(200);
    expect(t.apply({ type: 'stop-sweep', id: 'w', forget: true }).result).toBe('done');
    expect(t.engine.query({ type: 'sweeps' }).items).toEqual([]);
  });

  it('is refused with an expression that cannot be read', () => {
    const t = open();
    expect(() => sweep(t, { filter: { expression: 'event.' } })).toThrow(/bad-expression/);
    expect(t.engine.query({ type: 'sweep', id: 'w' })).toBeNull();
  });
});
