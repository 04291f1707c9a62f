import { describe, expect, it } from 'vitest';
import type { Admission } from '../model/task.ts';
import { open, send, end, record } from '../testing/admitted.ts';

const DAY_MS = 86_400_000;

describe('a rate', () => {
  const rate: Admission = {
    kind: 'rate',
    key: 'r',
    expression: 'event.data.user',
    bound: { max: 2, periodMs: 60_000, shape: 'gcra', burst: 1 },
  };

  it('drops what is beyond it, by key, and lets it through again later, also after a restart', () => {
    const t = open([rate]);
    expect(send(t, { user: 'a' })).toHaveLength(1);
    expect(send(t, { user: 'a' })).toEqual([]);
    expect(send(t, { user: 'b' })).toHaveLength(1);
    t.restart();
    t.advance(29_999);
    expect(send(t, { user: 'a' })).toEqual([]);
    t.advance(1);
    expect(send(t, { user: 'a' })).toHaveLength(1);
  });

  it('does not bound a key that is false', () => {
    const t = open([{ ...rate, expression: 'event.data.user == "a"' }]);
    expect(
      [send(t, { user: 'b' }), send(t, { user: 'b' }), send(t, { user: 'a' }), send(t, { user: 'a' })].map(
        (runs) => runs.length,
      ),
    ).toEqual([1, 1, 1, 0]);
  });

  it('answers a start and a waiting parent that there is no run', () => {
    const t = open([{ kind: 'rate', key: 'r', bound: { max: 1, periodMs: 60_000, shape: 'gcra' } }]);
    t.register(
      { id: 'work', admit: [{ kind: 'rate', key: 'r', bound: { max: 1, periodMs: 60_000, shape: 'gcra' } }] },
      { id: 'parent' },
    );
    t.start('work');
    t.take();
    expect(t.apply({ type: 'start', spec: { task: 'work', input: null } })).toMatchObject({
      outcome: 'dropped',
      run: '',
    });
    t.start('parent');
    t.report(t.one(), { op: 'wait-run', key: 'w', start: { task: 'work', input: null } });
    expect(t.one().steps).toMatchObject([{ key: 'w', error: true, from: { run: '', reason: 'dropped' } }]);
  });

  it('is forgotten when it is idle', () => {
    const t = open([rate]);
    for (let i = 0; i < 5; i++) send(t, { user: i });
    t.advance(2 * 3_600_000);
    expect(t.sql.all(`SELECT key FROM names WHERE key LIKE 'rate:%'`)).toEqual([]);
  });
});

describe('once a key', () => {
  const once: Admission = { kind: 'once', key: 'o', expression: 'event.data.id', ttlMs: DAY_MS };

  it('starts one run until its time is over, whatever became of the run', () => {
    const t = open([once]);
    expect(send(t, { id: 1 })).toHaveLength(1);
    end(t, t.one());
    expect(send(t, { id: 1 })).toEqual([]);
    expect(send(t, { id: '1' })).toEqual([]);
    expect(send(t, { id: 2 })).toHaveLength(1);
    t.advance(DAY_MS);
    expect(send(t, { id: 1 })).toHaveLength(1);
  });
});

describe('the only run of a key', () => {
  const single = (taken: 'skip' | 'replace'): Admission => ({
    kind: 'single',
    key: 's',
    expression: 'event.data.k',
    taken,
  });

  it('keeps its place from start to end; another is kept as skipped', () => {
    const t = open([single('skip')]);
    const [first] = send(t, { k: 1 });
    const call = t.one();
    const [second] = send(t, { k: 1 });
    expect(record(t, second!.run)).toMatchObject({ status: 'cancelled', reason: 'skipped', startedAt: null });
    expect(send(t, { k: 2 })).toHaveLength(1);
    t.take();
    t.report(call, { op: 'sleep', key: 'z', untilMs: t.nowMs + 1000 });
    t.restart();
    const [third] = send(t, { k: 1 });
    expect(t.status(third!.run)).toBe('cancelled');
    t.advance(1000);
    end(
      t,
      t.take().find((one) => one.run === first!.run)!,
    );
    const [fourth] = send(t, { k: 1 });
    expect(t.status(fourth!.run)).toBe('running');
  });

  it('gives way to the next one, where the task says so', () => {
    const t = open([single('replace')]);
    const [first] = send(t, { k: 1 });
    const old = t.one();
    const [second] = send(t, { k: 1 });
    expect(record(t, first!.run)).toMatchObject({ status: 'cancelled', reason: 'replaced' });
    expect(t.one().run).toBe(second!.run);
    expect(t.report(old, { op: 'complete', output: '1' }).result).toBe('ended');
    expect(t.status(second!.run)).toBe('running');
  });

  it('bounds nothing where the key is false', () => {
    const t = open([single('skip')]);
    send(t, { k: false });
    send(t, { k: false });
    expect(t.take()).toHaveLength(2);
  });

  it('ends the run that asks for its own successor, and nothing else of that report counts', () => {
    const t = open([{ kind: 'single', key: 's', taken: 'replace' }]);
    const run = t.start('work', {});
    const call = t.one();
    t.report(
      call,
      { op: 'wait-run', key: 'self', start: { task: 'work', input: null } },
      { op: 'step', key: 'x', data: '1' },
    );
    expect(record(t, run)).toMatchObject({ status: 'cancelled', reason: 'replaced' });
    expect(t.engine.query({ type: 'run-detail', run })?.steps).toEqual([]);
    expect(t.one().run).not.toBe(run);
  });
});

describe('a task without any of them', () => {
  it('writes no row more for a start', () => {
    const t = open([], {});
    const before = t.sql.rowsWritten();
    t.start('work');
    // The run and its call; this database does not count indexes.
    expect(t.sql.rowsWritten() - before).toBe(2);
  });
});
