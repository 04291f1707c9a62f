import { UNBOUNDED } from '../../core/model/limit.ts';
import type { LimitSpec } from '../../core/model/task.ts';
import type { CellApi } from '../../core/ports.ts';
import { ApiError } from './errors.ts';
import { COLLECTIONS, limitKeyOf } from './names.ts';
import { isRecord, parseJson } from './packets.ts';
import type { NamedLimit } from './run-meta.ts';

/** What a build says of a queue. */
export interface QueueBounds {
  /** For each concurrency key; of runs without one, for all of them. */
  limit?: number;
  /** All concurrency keys together. */
  total?: number;
}

export interface RunLimits {
  project: string;
  queue: string;
  bounds: QueueBounds;
  concurrencyKey?: string | undefined;
  named: readonly NamedLimit[];
}

/**
 * What a run is subject to while a worker has it in hand: its queue, the limits it names, the environment. Each is there without a bound too: it is
 * what is paused, overridden and counted. A run that is suspended holds none.
 */
export function limitsOfRun({ project, queue, bounds, concurrencyKey, named }: RunLimits): LimitSpec[] {
  const sub = concurrencyKey === undefined ? {} : { sub: concurrencyKey };
  const limit = (key: string, max: number | undefined, keyed: { sub?: string } = {}): LimitSpec => ({
    key,
    ...keyed,
    max: max ?? UNBOUNDED,
    hold: 'call',
  });
  return [
    limit(limitKeyOf.queue(project, queue), bounds.limit, sub),
    ...(bounds.total === undefined ? [] : [limit(limitKeyOf.queueTotal(project, queue), bounds.total)]),
    ...named.flatMap(({ name, perKey, total }) => [
      limit(limitKeyOf.named(project, name), perKey, sub),
      limit(limitKeyOf.namedTotal(project, name), total),
    ]),
    limit(limitKeyOf.environment(project), undefined),
  ];
}

/** A queue as the newest build declares it, by name. */
export async function queueBoundsOf(cell: CellApi, project: string, queue: string | undefined): Promise<QueueBounds> {
  if (queue === undefined) return {};
  const record = await cell.query({ type: 'record', collection: COLLECTIONS.queues, id: `${project}/${queue}` });
  return readQueue(record?.data ?? null);
}

export function readQueue(text: string | null): QueueBounds {
  const value = text === null ? null : parseJson(text);
  if (!isRecord(value)) return {};
  return {
    ...(typeof value.concurrencyLimit === 'number' ? { limit: value.concurrencyLimit } : {}),
    ...(typeof value.combinedConcurrencyLimit === 'number' ? { total: value.combinedConcurrencyLimit } : {}),
  };
}

/** The limits that a trigger names. @throws ApiError 422 for a name that no build has declared */
export async function namedLimitsOf(
  cell: CellApi,
  project: string,
  names: readonly string[] | undefined,
): Promise<NamedLimit[] | undefined> {
  if (names === undefined) return undefined;
  return Promise.all(
    names.map(async (name) => {
      const record = await cell.query({ type: 'record', collection: COLLECTIONS.limits, id: `${project}/${name}` });
      if (!record) throw new ApiError('invalid', `The concurrency limit "${name}" does not exist in this environment`);
      return readNamed(name, record.data);
    }),
  );
}

export function readNamed(name: string, text: string): NamedLimit {
  const value = parseJson(text);
  return {
    name,
    ...(isRecord(value) && typeof value.perKey === 'number' ? { perKey: value.perKey } : {}),
    ...(isRecord(value) && typeof value.total === 'number' ? { total: value.total } : {}),
  };
}
