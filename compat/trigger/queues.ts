import type { Command } from '../../core/model/command.ts';
import { counterOf, UNBOUNDED } from '../../core/model/limit.ts';
import type { LimitRecord } from '../../core/model/query.ts';
import type { CellApi } from '../../core/ports.ts';
import { ApiError } from './errors.ts';
import { derivedId } from './ids.ts';
import { readNamed, readQueue } from './limits.ts';
import { COLLECTIONS, defaultQueueOf, limitKeyOf } from './names.ts';
import { isRecord, parseJson } from './packets.ts';

/** Queues and limits of one project that are listed. */
const MAX_LISTED = 1_000;
const TASK_PREFIX = defaultQueueOf('');

/** How a caller names a queue (@trigger.dev/core: v3/schemas/queues.ts). */
export type QueueType = 'task' | 'custom' | 'id';

interface Bound {
  current: number | null;
  base: number | null;
  override: number | null;
  overriddenAt: string | null;
}

/** A queue's full name by what a caller calls it. @throws ApiError 404 */
export async function findQueue(cell: CellApi, project: string, value: string, type: QueueType): Promise<string> {
  if (type === 'id') {
    for (const name of await queueNames(cell, project)) if ((await queueIdOf(project, name)) === value) return name;
    throw new ApiError('not_found', `Queue not found: ${value}`);
  }
  const name = type === 'task' ? defaultQueueOf(value) : value;
  const record = await cell.query({ type: 'record', collection: COLLECTIONS.queues, id: `${project}/${name}` });
  if (!record) throw new ApiError('not_found', `Queue not found: ${value}`);
  return name;
}

export async function queueNames(cell: CellApi, project: string): Promise<string[]> {
  return namesIn(cell, COLLECTIONS.queues, project);
}

export async function limitNames(cell: CellApi, project: string): Promise<string[]> {
  return namesIn(cell, COLLECTIONS.limits, project);
}

async function namesIn(cell: CellApi, collection: string, project: string): Promise<string[]> {
  const prefix = `${project}/`;
  const page = await cell.query({ type: 'records', collection, order: 'asc', cursor: prefix, limit: MAX_LISTED });
  return page.items.filter(({ id }) => id.startsWith(prefix)).map(({ id }) => id.slice(prefix.length));
}

/** By which a run's context names its queue. */
export function queueIdOf(project: string, name: string): Promise<string> {
  return derivedId('queue', `${project} ${name}`);
}

/** Limits by key as they are now: one question for a whole list. */
export async function limitsNow(cell: CellApi, project: string): Promise<Map<string, LimitRecord>> {
  const prefix = limitKeyOf.queue(project, '').slice(0, -'queue/'.length);
  const limits = await cell.query({ type: 'limits', prefix, ready: true });
  return new Map(limits.map((limit) => [limit.key, limit]));
}

/** A queue in the vendor's shape. Runs are `queued` while they wait for a worker or for room, not while they are delayed. */
export async function queueView(
  cell: CellApi,
  project: string,
  name: string,
  known?: Map<string, LimitRecord>,
): Promise<Record<string, unknown>> {
  const key = limitKeyOf.queue(project, name);
  const [limit, record, overriddenAt, id] = await Promise.all([
    known ? known.get(key) : cell.query({ type: 'limit', key, ready: true }),
    cell.query({ type: 'record', collection: COLLECTIONS.queues, id: `${project}/${name}` }),
    overriddenAtOf(cell, key),
    queueIdOf(project, name),
  ]);
  const bound = boundOf(readQueue(record?.data ?? null).limit, limit?.set.max, overriddenAt);
  const isTask = name.startsWith(TASK_PREFIX);
  return {
    id,
    name: isTask ? name.slice(TASK_PREFIX.length) : name,
    type: isTask ? 'task' : 'custom',
    running: limit?.held ?? 0,
    queued: limit?.ready ?? 0,
    paused: limit?.paused ?? false,
    concurrencyLimit: bound.current,
    version: 'V1',
    concurrency: { ...bound, overriddenBy: null },
  };
}

/** A named limit in the vendor's shape. */
export async function limitView(
  cell: CellApi,
  project: string,
  name: string,
  known?: Map<string, LimitRecord>,
): Promise<Record<string, unknown>> {
  const record = await cell.query({ type: 'record', collection: COLLECTIONS.limits, id: `${project}/${name}` });
  if (!record) throw new ApiError('not_found', `Concurrency limit not found: ${name}`);
  const keys = [limitKeyOf.named(project, name), limitKeyOf.namedTotal(project, name)] as const;
  const [perKey, total] = await Promise.all(
    keys.map((key) => (known ? known.get(key) : cell.query({ type: 'limit', key, ready: true }))),
  );
  const [perKeyAt, totalAt] = await Promise.all(keys.map((key) => overriddenAtOf(cell, key)));
  const base = readNamed(name, record.data);
  return {
    id: await derivedId('climit', `${project} ${name}`),
    name,
    perKey: boundOf(base.perKey, perKey?.set.max, perKeyAt ?? null),
    total: boundOf(base.total, total?.set.max, totalAt ?? null),
    running: total?.held ?? 0,
    queued: total?.ready ?? 0,
    paused: total?.paused ?? false,
  };
}

/** What a named limit is for one concurrency key: `base` as it is for all others. */
export async function limitKeyView(
  cell: CellApi,
  project: string,
  name: string,
  concurrencyKey: string,
): Promise<Record<string, unknown>> {
  const limit = { key: limitKeyOf.named(project, name), sub: concurrencyKey };
  const [{ perKey, paused }, { max, held }, record] = await Promise.all([
    limitView(cell, project, name) as Promise<{ perKey: Bound; paused: boolean }>,
    cell.query({ type: 'sub-limit', ...limit }),
    cell.query({ type: 'record', collection: COLLECTIONS.overrides, id: counterOf(limit) }),
  ]);
  const value = record && max !== null ? parseJson(record.data) : null;
  const until = isRecord(value) && typeof value.until === 'string' ? value.until : null;
  const bound = { current: max ?? perKey.current, base: perKey.current, override: max, expiresAt: until };
  return { name, concurrencyKey, perKey: bound, running: held, paused };
}

/** Sets the bound of one concurrency key of a named limit until then, or takes it back (`null`). `shownUntilMs`: that time by the callers' clock. */
export function keyOverrideCommands(
  limit: { key: string; sub: string },
  set: { max: number; untilMs: number; shownUntilMs: number } | null,
): Command[] {
  const { overrides } = COLLECTIONS;
  const id = counterOf(limit);
  if (set === null)
    return [
      { type: 'set-sub-limit', ...limit, max: null },
      { type: 'delete-record', collection: overrides, id },
    ];
  const { max, untilMs, shownUntilMs } = set;
  const data = JSON.stringify({ until: new Date(shownUntilMs).toISOString() });
  return [
    { type: 'set-sub-limit', ...limit, max, untilMs },
    { type: 'put-record', collection: overrides, id, data },
  ];
}

function boundOf(base: number | undefined, set: number | undefined, overriddenAt: string | null): Bound {
  const override = set === undefined || set >= UNBOUNDED ? null : set;
  return {
    current: override ?? base ?? null,
    base: base ?? null,
    override,
    overriddenAt: override === null ? null : overriddenAt,
  };
}

async function overriddenAtOf(cell: CellApi, key: string): Promise<string | null> {
  const record = await cell.query({ type: 'record', collection: COLLECTIONS.overrides, id: key });
  const value = record ? parseJson(record.data) : null;
  return isRecord(value) && typeof value.at === 'string' ? value.at : null;
}

/** Sets a limit's bound over the declared one, or takes that back (`null`). */
export function overrideCommands(key: string, max: number | null, nowMs: number): Command[] {
  const { overrides } = COLLECTIONS;
  return [
    { type: 'set-limit', key, max },
    max === null
      ? { type: 'delete-record', collection: overrides, id: key }
      : {
          type: 'put-record',
          collection: overrides,
          id: key,
          data: JSON.stringify({ at: new Date(nowMs).toISOString() }),
        },
  ];
}
