import { describe, expect, it } from 'vitest';
import { errorCodeOf } from '../model/errors.ts';
import type { Op } from '../model/call.ts';
import { TestEngine } from '../testing/harness.ts';
import { NodeSql } from '../testing/node-sql.ts';

const open = (): TestEngine => new TestEngine({ sql: new NodeSql() });

function beside(t: TestEngine, run: string, ...ops: Op[]): string {
  return t.apply({ type: 'report', run, anyLease: true, final: false, outcome: { ops } }).result;
}

const patch = (id: string, changes: Extract<Op, { op: 'patch' }>['changes'], more: object = {}): Op => ({
  op: 'patch',
  document: 'd',
  id,
  changes,
  maxBytes: 1_000,
  ...more,
});

describe('a document of a run', () => {
  it('is changed by operations in order, once by id, and every change is a position of the run', () => {
    const t = open();
    t.register({ id: 'work' });
    const run = t.start('work');
    const seq = (): number => t.engine.query({ type: 'run', run })?.seq ?? -1;
    const before = seq();
    const changes = [
      { path: ['n'], do: 'add' as const, value: '2' },
      { path: ['a', 'b'], do: 'append' as const, value: '"x"' },
      { path: ['a', 'b'], do: 'append' as const, value: '"y"' },
      { path: ['a', 'b'], do: 'remove' as const, value: '"x"' },
      { path: ['m'], do: 'merge' as const, value: '{"k":1}' },
      { path: ['m'], do: 'merge' as const, value: '{"l":2}' },
      { path: ['gone'], do: 'delete' as const },
      { path: ['__proto__', 'evil'], do: 'set' as const, value: '1' },
    ];
    beside(t, run, patch('1', changes, { initial: '{"gone":1,"kept":true}' }));
    beside(t, run, patch('1', changes));
    const document = t.engine.query({ type: 'document', run, document: 'd' });
    expect(JSON.parse(document?.data ?? '')).toEqual({ n: 2, a: { b: ['y'] }, m: { k: 1, l: 2 }, kept: true });
    expect(document?.seq).toBe(seq());
    expect(seq()).toBe(before + 1);
  });

  it('may be changed after the end, by another run too, and goes with its run', () => {
    const t = open();
    t.register({ id: 'work' });
    const [first, second] = [t.start('work'), t.start('work')];
    for (const call of t.take()) t.report(call, { op: 'complete', output: '"done"' });
    const set = { path: ['x'], do: 'set' as const, value: '1' };
    expect(beside(t, second, patch('a', [set], { run: first }))).toBe('ended');
    expect(beside(t, second, patch('b', [set], { run: 'nobody' }))).toBe('ended');
    expect(t.engine.query({ type: 'document', run: first, document: 'd' })?.data).toBe('{"x":1}');
    expect(t.engine.query({ type: 'document', run: second, document: 'd' })).toBeNull();
    const runs = [second, first, 'nobody'];
    expect(t.engine.query({ type: 'documents', runs, document: 'd' })).toEqual([null, '{"x":1}', null]);
    // The end's own facts are still found, and the position has grown.
    const record = t.engine.query({ type: 'run', run: first });
    expect(record).toMatchObject({ status: 'completed', output: '"done"' });
    expect(record?.seq).toBe(t.engine.query({ type: 'history', run: first }).at(-1)?.seq);
    t.restart();
    expect(t.engine.query({ type: 'run', run: first })).toMatchObject({ status: 'completed', output: '"done"' });
    t.advance(40 * 86_400_000);
    expect(t.engine.query({ type: 'run', run: first })).toBeNull();
    expect(t.sql.all(`SELECT 1 FROM records WHERE collection = '$document'`)).toEqual([]);
  });

  it('refuses a report that makes it too large, whole', () => {
    const t = open();
    t.register({ id: 'work' });
    const run = t.start('work');
    let code: string | null = null;
    try {
      beside(
        t,
        run,
        { op: 'label', labels: ['l'] },
        patch('1', [{ path: ['x'], do: 'set', value: JSON.stringify('é'.repeat(600)) }]),
      );
    } catch (error) {
      code = errorCodeOf(error);
    }
    expect(code).toBe('payload-too-large');
    expect(t.engine.query({ type: 'run', run })?.labels).toEqual([]);
  });
});

it('labels are added and removed, also after the end', () => {
  const t = open();
  t.register({ id: 'work' });
  const run = t.start('work', { labels: ['a'] });
  beside(t, run, { op: 'label', labels: ['b'], remove: ['a'] });
  t.report(t.one(), { op: 'complete', output: null });
  beside(t, run, { op: 'label', labels: ['c'], remove: ['b', 'unknown'] });
  const labelled = (label: string): string[] =>
    t.engine.query({ type: 'runs', label }).items.map((record) => record.id);
  expect([labelled('a'), labelled('b'), labelled('c')]).toEqual([[], [], [run]]);
  expect(t.engine.query({ type: 'run', run })?.labels).toEqual(['c']);
  t.restart();
  expect(t.engine.kernel.find(run)?.state.head.labels).toEqual(['c']);
});

describe('idempotency keys', () => {
  it('do not count for a run that failed, where the start says so; also for a child that is waited for', () => {
    const t = open();
    t.register({ id: 'parent' }, { id: 'child', maxAttempts: 1 });
    const dedupe = { key: 'k', untilMs: t.nowMs + 1e9, unless: ['failed' as const] };
    const first = t.start('child', { dedupe });
    t.report(t.one(), { op: 'fail', error: '"e"', retry: 'never' });
    t.start('parent');
    const result = t.report(t.one(), {
      op: 'wait-run',
      key: 'w',
      start: { task: 'child', input: null, dedupe },
    });
    expect(result.started).toMatchObject([{ deduplicated: false }]);
    expect(result.started[0]?.run).not.toBe(first);
    expect(t.start('child', { dedupe })).toBe(result.started[0]?.run);
  });

  it('are released by name', () => {
    const t = open();
    t.register({ id: 'work' });
    const dedupe = { key: 'k', untilMs: t.nowMs + 1e9 };
    const first = t.start('work', { dedupe });
    expect(t.apply({ type: 'release-key', key: 'k' }).run).toBe(first);
    expect(t.apply({ type: 'release-key', key: 'k' }).run).toBeNull();
    expect(t.start('work', { dedupe })).not.toBe(first);
  });
});

describe('children that end with their parent', () => {
  it('are cancelled with it, however many and deep; those that do not, go on', () => {
    const t = open();
    t.register({ id: 'work' });
    const top = t.start('work');
    const child = (parent: string, more: object = { cancelGraceMs: 0 }): string =>
      t.start('work', { parent: { run: parent, ...more } });
    const many = Array.from({ length: 450 }, () => child(top));
    const grandchild = child(many[0]!);
    const independent = child(top, {});
    t.apply({ type: 'cancel', run: top });
    // Two hundred a tick.
    for (let i = 0; i < 4; i++) t.advance(10);
    expect(many.filter((run) => t.status(run) !== 'cancelled')).toEqual([]);
    expect([t.status(grandchild), t.status(independent)]).toEqual(['cancelled', 'running']);
    expect(t.engine.query({ type: 'run', run: grandchild })?.reason).toBe('parent-cancelled');
    expect(t.sql.all(`SELECT key FROM meta WHERE key LIKE 'children:%'`)).toEqual([]);
  });

  it('leave a worker that has begun its time', () => {
    const t = open();
    t.register({ id: 'work', mode: 'pull', pool: 'p' }, { id: 'top' });
    const top = t.start('top');
    const [begun, taken] = [0, 1].map(() => t.start('work', { parent: { run: top, cancelGraceMs: 5_000 } }));
    const calls = t.engine.lease({ pool: 'p', max: 2, holdMs: 60_000, holder: 'w' });
    const call = calls.find(({ run }) => run === begun)!;
    t.progress(call, { op: 'note', name: 'begun', data: null });
    t.apply({ type: 'cancel', run: top });
    t.advance(10);
    expect([t.status(begun!), t.status(taken!)]).toEqual(['running', 'cancelled']);
    expect(t.engine.query({ type: 'run', run: begun! })?.cancelling).toBe(true);
    t.advance(5_000);
    expect(t.status(begun!)).toBe('cancelled');
  });
});

it('a retry may change what the next attempt is told', () => {
  const t = open();
  t.register({ id: 'work', mode: 'pull', pool: 'p' });
  t.start('work');
  const lease = () => t.engine.lease({ pool: 'p', max: 1, holdMs: 60_000, holder: 'w' })[0]!;
  const first = lease();
  expect(first.callMeta).toBeNull();
  t.report(first, { op: 'fail', error: '"oom"', retry: 'policy', next: { meta: '{"machine":"large"}' } });
  t.restart();
  t.advance(1_000);
  expect(lease()).toMatchObject({ attempt: 1, callMeta: '{"machine":"large"}' });
});

it('a child that ends costs its parent no more when there are thousands of others', () => {
  const t = open();
  t.register({ id: 'parent', mode: 'pull', pool: 'p' }, { id: 'child', mode: 'pull', pool: 'c' });
  const measure = (count: number): number => {
    t.start('parent');
    const call = t.engine.lease({ pool: 'p', max: 1, holdMs: 1e9, holder: 'w' })[0]!;
    for (let i = 0; i < count; i += 500)
      t.progress(
        call,
        ...Array.from({ length: 500 }, (_, n): Op => ({
          op: 'wait-run',
          key: `w${i + n}`,
          again: 'none',
          start: { task: 'child', input: null },
        })),
      );
    const calls = t.engine.lease({ pool: 'c', max: count, holdMs: 1e9, holder: 'w' });
    const times = calls.slice(0, 400).map((child) => {
      const from = performance.now();
      t.report(child, { op: 'complete', output: '1' });
      return performance.now() - from;
    });
    for (const child of calls.slice(400)) t.report(child, { op: 'complete', output: '1' });
    t.report(call, { op: 'complete', output: null });
    return times.sort((a, b) => a - b)[200]!;
  };
  const few = measure(500);
  const many = measure(10_000);
  // With work for each pending row of the parent it was four times as much with eight times the children.
  expect(many).toBeLessThan(few * 3 + 0.2);
});
