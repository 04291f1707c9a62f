import { describe, expect, it } from 'vitest';
import type { LeasedCall } from '../model/call.ts';
import type { TaskSpec } from '../model/task.ts';
import type { Translator } from '../ports.ts';
import { taskSpec, TestEngine } from '../testing/harness.ts';
import { NodeSql } from '../testing/node-sql.ts';

const POOL = 'p';

function open(translator: Translator = {}): TestEngine {
  return new TestEngine({ sql: new NodeSql(), translators: { test: translator } });
}

/** The task in a further version; earlier ones stay known. */
function build(t: TestEngine, n: number, more: Partial<TaskSpec> = {}): void {
  t.register({
    id: 'work',
    mode: 'pull',
    pool: POOL,
    binding: 'lease',
    versionPool: `${POOL}/v${n}`,
    data: `{"build":${n}}`,
    ...more,
  });
}

/** As the workers of the current build ask, or those of the pools named. */
function lease(t: TestEngine, ...pools: string[]): LeasedCall | undefined {
  const version = t.engine.query({ type: 'task', id: 'work' })?.version ?? 0;
  const [pool = '', ...also] = pools.length > 0 ? pools : [POOL, `${POOL}/v${version}`];
  return t.engine.lease({ pool, also, max: 1, holdMs: 10_000, holder: 'w' })[0];
}

function again(t: TestEngine, call: LeasedCall | undefined): void {
  t.report(call as LeasedCall, { op: 'fail', error: '"x"', retry: { at: t.nowMs } });
}

describe('a task whose first lease decides about the version', () => {
  it('ties a run to what is current when a worker takes it, and its retries to the same workers', () => {
    const t = open();
    build(t, 1);
    const run = t.start('work');
    build(t, 2);
    expect(t.engine.query({ type: 'run', run })).toMatchObject({ versionLocked: false });
    const first = lease(t);
    expect(first?.task).toMatchObject({ version: 2, data: '{"build":2}' });
    build(t, 3);
    t.restart();
    again(t, first);
    expect(lease(t)).toBeUndefined();
    const second = lease(t, `${POOL}/v2`, POOL);
    expect(second).toMatchObject({ run, attempt: 1, task: { version: 2 } });
    t.report(second as LeasedCall, { op: 'complete', output: null });
    t.restart();
    expect(t.engine.query({ type: 'run', run })).toMatchObject({
      taskVersion: 2,
      versionLocked: true,
      status: 'completed',
    });
  });

  it('takes attempts and backoff from that version, unless the start named them', () => {
    const t = open();
    build(t, 1, { maxAttempts: 1 });
    const run = t.start('work');
    const own = t.start('work', { maxAttempts: 1 });
    build(t, 2, { maxAttempts: 3 });
    const calls = [lease(t), lease(t)];
    expect(calls.map((call) => [call?.run, call?.maxAttempts])).toEqual([
      [run, 3],
      [own, 1],
    ]);
    for (const call of calls) again(t, call);
    expect([t.status(run), t.status(own)]).toEqual(['running', 'failed']);
  });

  it('leaves a run that names its version with it, current or not', () => {
    const t = open();
    build(t, 1);
    build(t, 2);
    const run = t.start('work', { version: 1, pool: `${POOL}/v1` });
    expect(lease(t)).toBeUndefined();
    expect(lease(t, `${POOL}/v1`)).toMatchObject({ run, task: { version: 1 } });
    expect(() => t.start('work', { version: 7 })).toThrow('with version 7');
  });

  it('leaves what is free to the workers of the current version', () => {
    const t = open();
    build(t, 1);
    const run = t.start('work');
    build(t, 2);
    expect(lease(t, `${POOL}/v1`, POOL)).toBeUndefined();
    expect(lease(t, `${POOL}/v2`, POOL)).toMatchObject({ run, task: { version: 2 } });
  });

  it('serves several pools in the order of time', () => {
    const t = open();
    build(t, 1);
    const runs = ['a', 'b', 'a'].map((pool) => {
      t.nowMs += 1;
      return t.start('work', { pool, version: 1 });
    });
    const taken = t.engine.lease({ pool: 'b', also: ['a'], max: 5, holdMs: 1_000, holder: 'w' });
    expect(taken.map((call) => call.run)).toEqual(runs);
  });
});

describe('a run of a task that is not registered', () => {
  const ifUnknown = { executor: 'test', mode: 'pull' as const, pool: POOL };

  it('waits for it, without expiring, and its time to live counts from then on', () => {
    const t = open();
    const run = t.start('work', { ifUnknown, expireAt: t.nowMs + 1_000 });
    expect(() => t.start('work')).toThrow('unknown-task');
    t.advance(5_000);
    t.restart();
    expect(t.engine.query({ type: 'run', run })).toMatchObject({ status: 'running', parked: true });
    expect(lease(t)).toBeUndefined();
    build(t, 1);
    expect(t.engine.query({ type: 'run', run })).toMatchObject({ parked: false });
    t.advance(999);
    t.restart();
    expect(t.status(run)).toBe('running');
    t.advance(1);
    expect(t.engine.query({ type: 'run', run })).toMatchObject({ status: 'failed', reason: 'expired' });
  });

  it('is taken when its task comes, after its delay', () => {
    const t = open();
    const run = t.start('work', { ifUnknown, dueAt: t.nowMs + 5_000 });
    build(t, 1);
    expect(lease(t)).toBeUndefined();
    t.advance(5_000);
    expect(lease(t)).toMatchObject({ run, task: { version: 1 } });
  });

  it('whose task comes before it is due lives its time from when it is due', () => {
    const t = open();
    const run = t.start('work', { ifUnknown, dueAt: t.nowMs + 5_000, expireAt: t.nowMs + 6_000 });
    t.advance(1_000);
    build(t, 1);
    t.advance(4_999);
    t.restart();
    expect(t.status(run)).toBe('running');
    t.advance(1);
    expect(t.engine.query({ type: 'run', run })).toMatchObject({ status: 'failed', reason: 'expired' });
  });

  it('is opened with all others, however many there are', () => {
    const t = open();
    const runs = Array.from({ length: 1_203 }, () => t.start('work', { ifUnknown }));
    build(t, 1);
    // Some in each transaction.
    for (let i = 0; i < 3; i++) t.advance(1);
    const taken: string[] = [];
    for (let i = 0; i < 13; i++)
      taken.push(
        ...t.engine
          .lease({ pool: POOL, also: [`${POOL}/v1`], max: 100, holdMs: 1_000, holder: 'w' })
          .map((call) => call.run),
      );
    expect(taken).toEqual(runs);
  });

  it('may be waited for, by a parent that is told of its end', () => {
    const t = open();
    t.register({ id: 'parent' });
    t.start('parent');
    t.report(t.one(), { op: 'wait-run', key: 'child', start: { task: 'work', input: null, ifUnknown } });
    expect(t.take()).toEqual([]);
    t.apply({ type: 'register', group: 'late', tasks: [taskSpec({ id: 'work', mode: 'push' })], replace: true });
    t.report(t.one(), { op: 'complete', output: '1' });
    expect(t.one().steps).toMatchObject([{ key: 'child', data: '1' }]);
  });
});

describe('a run whose task was removed', () => {
  it('waits for it to come back where the first lease decides, and goes on where it began with a version', () => {
    const t = open();
    build(t, 1);
    const free = t.start('work');
    t.register();
    expect(lease(t)).toBeUndefined();
    expect(t.engine.query({ type: 'run', run: free })).toMatchObject({ parked: true });
    build(t, 2);
    const held = lease(t);
    expect(held).toMatchObject({ run: free, task: { version: 2 } });
    t.register();
    again(t, held);
    expect(lease(t, `${POOL}/v2`)).toMatchObject({ run: free, attempt: 1, task: { version: 2 } });
  });

  it('ends as its vendor says where calls follow the current version', () => {
    const t = open({
      orphaned: ({ task }) => ({ ops: [{ op: 'fail', error: JSON.stringify(task.id), retry: 'never' }] }),
    });
    t.register({ id: 'work', binding: 'current' });
    const run = t.start('work');
    t.report(t.one(), { op: 'sleep', key: 's', untilMs: t.nowMs + 1_000 });
    t.register();
    t.advance(1_000);
    expect(t.take()).toEqual([]);
    expect(t.engine.query({ type: 'run', run })).toMatchObject({ status: 'failed', error: '"work"' });
  });

  it('goes on where its vendor has no word', () => {
    const t = open();
    t.register({ id: 'work', binding: 'current' });
    const run = t.start('work', { dueAt: t.nowMs + 10 });
    t.register();
    t.advance(10);
    expect(t.one()).toMatchObject({ run, task: { version: 1 } });
  });
});

describe('a retry that changes its call', () => {
  it('shows the next attempt what is different, and goes to other workers', () => {
    const t = open();
    build(t, 1);
    const run = t.start('work');
    t.report(lease(t) as LeasedCall, {
      op: 'fail',
      error: '"oom"',
      retry: { at: t.nowMs },
      next: { meta: '{"machine":"large"}', pool: 'large' },
    });
    t.restart();
    expect(lease(t)).toBeUndefined();
    expect(lease(t, 'large')).toMatchObject({ run, attempt: 1, callMeta: '{"machine":"large"}' });
    expect(t.engine.query({ type: 'run-detail', run })?.pending).toMatchObject([{ meta: '{"machine":"large"}' }]);
  });
});

describe('a task that is bound to its current version', () => {
  const spec = { id: 'work', binding: 'current' as const, maxAttempts: 9 };
  const pushed = (t: TestEngine): void => t.register({ ...spec, mode: 'push' });
  const pulled = (t: TestEngine, pool = POOL): void => t.register({ ...spec, mode: 'pull', pool });
  const ask = (t: TestEngine, pool = POOL): LeasedCall | undefined =>
    t.engine.lease({ pool, max: 1, holdMs: 10_000, holder: 'w' })[0];

  it('takes its runs along when workers ask for it from now on', () => {
    const t = open();
    pushed(t);
    const [sleeping, inHand] = [t.start('work'), t.start('work')];
    const calls = t.take();
    t.report(calls[0]!, { op: 'sleep', key: 's', untilMs: t.nowMs + 1_000 });
    pulled(t);
    t.restart();
    again(t, calls[1]);
    t.advance(1_000);
    expect(t.take()).toEqual([]);
    expect([ask(t)?.run, ask(t)?.run].sort()).toEqual([sleeping, inHand].sort());
  });

  it('takes its runs along when it is called from now on: those that wait for a worker, that sleep, and whose worker is lost', () => {
    const t = open();
    pulled(t);
    const [lost, sleeping, waiting] = [t.start('work'), t.start('work'), t.start('work')];
    expect(ask(t)?.run).toBe(lost);
    const second = ask(t);
    t.report(second!, { op: 'sleep', key: 's', untilMs: t.nowMs + 20_000 });
    expect(second?.run).toBe(sleeping);
    pushed(t);
    expect(t.take().map(({ run }) => run)).toEqual([waiting]);
    expect(ask(t)).toBeUndefined();
    t.restart();
    t.advance(10_000);
    t.advance(10_000);
    const rest = t.take().map(({ run }) => run);
    expect(rest).toContain(lost);
    expect(rest).toContain(sleeping);
  });

  it('goes with its workers to another pool', () => {
    const t = open();
    pulled(t);
    const run = t.start('work');
    pulled(t, 'other');
    expect(ask(t)).toBeUndefined();
    expect(ask(t, 'other')?.run).toBe(run);
  });
});
