import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { durationText, parseKeyTtl, parseMoment, parseNaturalDuration } from './durations.ts';
import { branchOf } from './environment-keys.ts';
import { parseSnapshotId, publicRunId, runIdOf, snapshotId } from './ids.ts';
import { allows, issueToken, peekSubject, tokenEndSeconds, verifyToken } from './jwt.ts';
import { changeDocument } from '../../core/model/document.ts';
import { FlushedMetadataSchema, type MetadataOperation } from './metadata.ts';
import { changeOf } from './metadata-store.ts';
import { plainValue } from './packets.ts';
import { notifyFrame, readFrame } from './socket/frames.ts';
import { failureStatusOf, retryWishOf } from './task-errors.ts';
import { versionAfter, versionOfWorker, workerIdOf } from './versions.ts';

type Document = Parameters<typeof changeDocument>[0];
const applyMetadata = (document: Document, operations: MetadataOperation[]): Document =>
  changeDocument(document, operations.map(changeOf));

describe('branches', () => {
  it('are called as the request calls them, or as their environment does; no other environment is one', () => {
    expect(branchOf('preview~feature-one-x1', 'feature/one')).toBe('feature/one');
    expect(branchOf('preview~feature', undefined)).toBe('feature');
    expect(branchOf('default', 'feature/one')).toBeNull();
  });
});

describe('ids', () => {
  it('a run id goes out and comes back', () => {
    const id = '01M83N0DN5002WXJR9NE21BJYR';
    expect(publicRunId(id)).toBe('run_01m83n0dn5002wxjr9ne21bjyr');
    expect(runIdOf(publicRunId(id))).toBe(id);
    expect(runIdOf('run_short')).toBeNull();
  });

  it('snapshot ids sort by their position and give back what they carry', () => {
    const ref = fc.record({
      seq: fc.integer({ min: 0, max: 2 ** 40 }),
      attempt: fc.integer({ min: 0, max: 249 }),
      lease: fc.option(fc.stringMatching(/^[a-z0-9]{1,4}\.[a-z0-9]{1,4}\.[a-z0-9]{1,7}$/)),
    });
    fc.assert(
      fc.property(ref, ref, (a, b) => {
        expect(parseSnapshotId(snapshotId(a))).toEqual(a);
        if (a.seq < b.seq) expect(snapshotId(a) < snapshotId(b)).toBe(true);
      }),
    );
    expect(parseSnapshotId('snapshot_x')).toBeNull();
  });

  it('versions count within a day and never go back', () => {
    const day = Date.UTC(2026, 10, 23);
    expect(versionAfter(null, day)).toBe('20261123.1');
    expect(versionAfter('20261123.9', day)).toBe('20261123.10');
    expect(versionAfter('20261122.4', day)).toBe('20261123.1');
    expect(versionAfter('20261201.1', day)).toBe('20261201.2');
    expect(versionOfWorker(workerIdOf('20261123.10', 'ab'.repeat(8)))).toBe('20261123.10');
    expect(versionOfWorker('worker_else')).toBeNull();
  });
});

describe('durations', () => {
  it.each([
    ['10m', 600_000],
    ['1w2d3h4m5s', 788_645_000],
    ['5s1h', 3_605_000],
    ['2hr', 7_200_000],
    ['', null],
    ['1.5h', null],
    ['10 m', null],
    ['10x', null],
  ])('%s', (text, ms) => expect(parseNaturalDuration(text)).toBe(ms));

  it('a moment is a length of time or a date', () => {
    expect(parseMoment('1h')).toEqual({ kind: 'after', ms: 3_600_000 });
    expect(parseMoment('2026-01-01T00:00:00Z')).toEqual({ kind: 'at', wallMs: Date.UTC(2026, 0, 1) });
    expect(parseMoment('soon')).toBeNull();
    expect([0, 30, 90, 3_600, 3_660, 694_861].map(durationText)).toEqual([
      undefined,
      '30s',
      '1m30s',
      '1h',
      '1h1m',
      '1w1d1h1m1s',
    ]);
    expect(parseKeyTtl('5m')).toBe(300_000);
    expect(parseKeyTtl('nonsense')).toBe(parseKeyTtl(undefined));
  });
});

describe('metadata', () => {
  it('operations are applied in order, by key or path', () => {
    const after = applyMetadata({ keep: 1, list: [1, { a: 1 }], deep: {} }, [
      { type: 'set', key: '$.nowhere.er', value: 'left out' },
      { type: 'append', key: '$.keep.er', value: 'left out' },
      { type: 'set', key: '$.deep.er', value: 'x' },
      { type: 'set', key: '$.dotted\\.name', value: 2 },
      { type: 'append', key: 'list', value: 3 },
      { type: 'append', key: 'keep', value: 2 },
      { type: 'remove', key: 'list', value: { a: 1 } },
      { type: 'increment', key: '$.deep.count', value: 2 },
      { type: 'increment', key: '$.deep.count', value: -1 },
      { type: 'delete', key: 'gone' },
    ]);
    expect(after).toEqual({ keep: [1, 2], list: [1, 3], deep: { er: 'x', count: 1 }, 'dotted.name': 2 });
    expect(applyMetadata({ a: 1 }, [{ type: 'update', value: { b: 2 } }])).toEqual({ b: 2 });
  });

  it('keys that reach a prototype are refused, and the input is never changed', () => {
    for (const key of ['__proto__', '$.__proto__.x', '$.a.constructor', '$.a\\.prototype', '$.'])
      expect(FlushedMetadataSchema.safeParse({ operations: [{ type: 'set', key, value: 1 }] }).success).toBe(false);
    const before = { a: { b: [1] } };
    applyMetadata(before, [{ type: 'append', key: '$.a.b', value: 2 }]);
    expect(before).toEqual({ a: { b: [1] } });
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe('packets', () => {
  it('are unwrapped to plain values', () => {
    expect(plainValue({ data: '{"json":{"a":1},"meta":{}}', dataType: 'application/super+json' })).toEqual({ a: 1 });
    expect(plainValue({ data: 'null', dataType: 'application/json' })).toBeNull();
    expect(plainValue({ data: 'text', dataType: 'text/plain' })).toBe('text');
    expect(plainValue({ data: '{', dataType: 'application/json' })).toBeUndefined();
    expect(plainValue({ dataType: 'application/json' })).toBeUndefined();
  });
});

describe('public tokens', () => {
  const now = Date.now();

  it('hold with their key and time, and with no other', async () => {
    const token = await issueToken('key', 'env_1', ['read:runs:run_1'], now, 60);
    expect(peekSubject(token)).toBe('env_1');
    expect(await verifyToken(token, 'key')).toMatchObject({ sub: 'env_1', scopes: ['read:runs:run_1'] });
    expect(await verifyToken(token, 'other')).toBeNull();
    expect(await verifyToken(await issueToken('key', 'env_1', [], now - 120_000, 60), 'key')).toBeNull();
    expect(peekSubject('tr_dev_abc')).toBeNull();
    expect(peekSubject('a.b.c')).toBeNull();
  });

  it('allow what their scopes say', () => {
    const run = [['runs', 'run_1']] as const;
    expect(allows(['read:runs:run_1'], 'read', run)).toBe(true);
    expect(allows(['read:runs'], 'read', run)).toBe(true);
    expect(allows(['read:runs:run_2'], 'read', run)).toBe(false);
    expect(allows(['write:runs:run_1'], 'read', run)).toBe(false);
    expect(allows(['read:tags:a:b'], 'read', [['tags', 'a:b']])).toBe(true);
    expect(allows([], 'read', run)).toBe(false);
  });
});

describe('the end of a public token', () => {
  it.each([
    [undefined, 1_900],
    ['24h', 87_400],
    ['1.5 hours', 6_400],
    ['2 days from now', 173_800],
    ['1w', 605_800],
    ['5m ago', 700],
    ['-5m', 700],
    [1_893_456_000, 1_893_456_000],
    ['soon', null],
    ['- 5m ago', null],
  ])('written as %s, of a token made at 1000, is %s', (text, end) => {
    expect(tokenEndSeconds(text, 1_000)).toBe(end);
  });
});

describe('errors of tasks', () => {
  const internal = (code: string): { type: 'INTERNAL_ERROR'; code: string } => ({ type: 'INTERNAL_ERROR', code });

  it('say who decides about the next attempt, and how the run ends', () => {
    expect(retryWishOf({ type: 'STRING_ERROR', raw: 'x' }, true)).toEqual({ kind: 'worker' });
    expect(retryWishOf({ type: 'STRING_ERROR', raw: 'x' }, false)).toEqual({ kind: 'never' });
    expect(retryWishOf(internal('TASK_PROCESS_SIGTERM'), false)).toEqual({ kind: 'policy' });
    expect(retryWishOf(internal('MAX_DURATION_EXCEEDED'), true)).toEqual({ kind: 'never' });
    expect(failureStatusOf(internal('TASK_PROCESS_SIGSEGV'))).toBe('CRASHED');
    expect(failureStatusOf(internal('SOMETHING_NEW'))).toBe('SYSTEM_FAILURE');
  });
});

describe('socket frames', () => {
  it('are read as a worker writes them', () => {
    expect(readFrame('/dev-worker', '40/dev-worker,')).toEqual({ kind: 'connect' });
    expect(
      readFrame('/dev-worker', '42/dev-worker,["run:subscribe",{"version":"1","runFriendlyIds":["run_a"]}]'),
    ).toEqual({
      kind: 'subscribe',
      runs: ['run_a'],
    });
    expect(readFrame('/dev-worker', '42/dev-worker,7["run:unsubscribe",{"runFriendlyIds":["run_a",3]}]')).toEqual({
      kind: 'unsubscribe',
      runs: ['run_a'],
    });
    expect(
      readFrame('/workload', '42/workload,["run:start",{"version":"1","run":{"friendlyId":"run_a"},"snapshot":{}}]'),
    ).toEqual({
      kind: 'subscribe',
      runs: ['run_a'],
    });
    expect(readFrame('/workload', '42/dev-worker,["run:subscribe",{"runFriendlyIds":["run_a"]}]')).toEqual({
      kind: 'other',
    });
    expect(notifyFrame('/dev-worker', 'run_a')).toBe(
      '42/dev-worker,["run:notify",{"version":"1","run":{"friendlyId":"run_a"}}]',
    );
  });

  it('never throw, whatever comes', () => {
    fc.assert(fc.property(fc.string(), (text) => void readFrame('/dev-worker', text)));
    fc.assert(fc.property(fc.json(), (text) => void readFrame('/dev-worker', `42/dev-worker,${text}`)));
  });
});
