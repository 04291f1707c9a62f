import { describe, expect, it } from 'vitest';
import type { LeasedCall, StartSpec } from '../model/call.ts';
import { NodeSql } from '../testing/node-sql.ts';
import { TestEngine } from '../testing/harness.ts';

const POOL = 'p';
const HOUR = 3_600_000;

function open(): TestEngine {
  return new TestEngine({ sql: new NodeSql(), translators: { test: {} } });
}

/** The task in a further version, which may be part of something that has a name. */
function build(t: TestEngine, n: number, release?: string): void {
  t.register({
    id: 'work',
    mode: 'pull',
    pool: POOL,
    binding: 'lease',
    versionPool: `${POOL}/v${n}`,
    data: `{"build":${n}}`,
    ...(release === undefined ? {} : { release }),
  });
}

const lease = (t: TestEngine, n: number): LeasedCall | undefined =>
  t.engine.lease({ pool: POOL, also: [`${POOL}/v${n}`], max: 1, holdMs: 10_000, holder: 'w' })[0];
const later = (t: TestEngine, n: number): LeasedCall | undefined =>
  t.engine.lease({ pool: `${POOL}/v${n}`, max: 1, holdMs: 10_000, holder: 'w' })[0];

const ifUnknown = { executor: 'test', mode: 'pull' as const, pool: POOL };
const start = (t: TestEngine, more: Partial<StartSpec> = {}): string =>
  t.start('work', { ifUnknown, awaits: { release: 'r', forMs: HOUR }, ...more });
const shown = (t: TestEngine, run: string): unknown => t.engine.query({ type: 'run', run });

describe('a run that waits for a release', () => {
  it('is tied to the version that has its name, whatever is current before and after', () => {
    const t = open();
    build(t, 1);
    const run = start(t);
    expect(lease(t, 1)).toBeUndefined();
    build(t, 2, 'another');
    expect(lease(t, 2)).toBeUndefined();
    t.restart();
    expect(shown(t, run)).toMatchObject({ status: 'running', parked: true });
    build(t, 3, 'r');
    expect(shown(t, run)).toMatchObject({ parked: false, versionLocked: true, taskVersion: 3 });
    build(t, 4);
    t.restart();
    expect(lease(t, 4)).toBeUndefined();
    expect(later(t, 3)).toMatchObject({ run, task: { version: 3 } });
    t.advance(2 * HOUR);
    expect(shown(t, run)).toMatchObject({ status: 'running' });
  });

  it('does not wait where that is current already, nor for a task that is not there', () => {
    const t = open();
    const early = start(t);
    build(t, 1, 'r');
    const run = start(t);
    expect([early, run].map((id) => shown(t, id))).toMatchObject([
      { parked: false, taskVersion: 1 },
      { parked: false, taskVersion: 1 },
    ]);
    build(t, 2);
    expect([later(t, 1)?.run, later(t, 1)?.run]).toEqual([early, run]);
  });

  it('ends when none has come in the time that it gave, counted from when it is due', () => {
    const t = open();
    build(t, 1);
    const [now, put] = [start(t), start(t, { dueAt: t.nowMs + HOUR })];
    t.apply({ type: 'amend', run: put, change: { dueAt: t.nowMs + 2 * HOUR } });
    t.advance(HOUR - 1);
    t.restart();
    expect(t.status(now)).toBe('running');
    t.advance(1);
    expect(shown(t, now)).toMatchObject({ status: 'failed', reason: 'unreleased', error: '"r"' });
    t.advance(2 * HOUR - 1);
    expect(t.status(put)).toBe('running');
    t.advance(1);
    expect(shown(t, put)).toMatchObject({ status: 'failed', reason: 'unreleased' });
    build(t, 2, 'r');
    expect(later(t, 2)).toBeUndefined();
  });

  it('keeps its own time: it is taken when it is due, and lives from then on', () => {
    const t = open();
    build(t, 1);
    const run = start(t, { dueAt: t.nowMs + HOUR, expireAt: t.nowMs + HOUR + 1_000 });
    build(t, 2, 'r');
    expect(later(t, 2)).toBeUndefined();
    t.advance(HOUR + 999);
    expect(t.status(run)).toBe('running');
    t.advance(1);
    expect(shown(t, run)).toMatchObject({ status: 'failed', reason: 'expired' });
  });

  it('is canceled as any other, and leaves no timer', () => {
    const t = open();
    build(t, 1);
    const run = start(t);
    t.apply({ type: 'cancel', run });
    expect(t.status(run)).toBe('cancelled');
    build(t, 2, 'r');
    t.advance(2 * HOUR);
    expect(t.status(run)).toBe('cancelled');
  });

  it('is one of many, however many there are, and though another version is current when the last of them is looked at', () => {
    const t = open();
    build(t, 1);
    const runs = Array.from({ length: 1_203 }, () => start(t));
    build(t, 2, 'r');
    build(t, 3);
    for (let i = 0; i < 3; i++) t.advance(1);
    const taken: string[] = [];
    for (let i = 0; i < 13; i++)
      taken.push(
        ...t.engine.lease({ pool: `${POOL}/v2`, max: 100, holdMs: 1_000, holder: 'w' }).map((call) => call.run),
      );
    expect(taken).toEqual(runs);
  });
});
