import type { Command } from '../../../core/model/command.ts';
import type { LimitRecord, StoredRecord } from '../../../core/model/query.ts';
import { readJson } from '../body.ts';
import { COLLECTION, queueLimitKey } from '../constants.ts';
import { json, notFound } from '../errors.ts';
import type { Route } from '../route.ts';
import { parse, QueueSchema } from '../schema.ts';

interface QueueData {
  parallelism: number;
  paused: boolean;
  createdAt?: number;
}

export async function upsertQueue(route: Route): Promise<Response> {
  const { queueName, parallelism, paused } = parse(QueueSchema, await readJson(route.request));
  const before = await route.ask({ type: 'record', collection: COLLECTION.queue, id: queueName });
  const data = before ? (JSON.parse(before.data) as QueueData) : null;
  await route.apply(
    setQueue(queueName, {
      parallelism: parallelism ?? data?.parallelism ?? 1,
      paused: paused ?? data?.paused ?? false,
      createdAt: data?.createdAt ?? before?.updatedAt ?? (await route.now()),
    }),
  );
  return json({});
}

/** Messages name the queue's limit too, with the bound of a queue that nobody configured: what is set counts instead. */
function setQueue(name: string, data: QueueData): Command[] {
  return [
    { type: 'put-record', collection: COLLECTION.queue, id: name, data: JSON.stringify(data) },
    {
      type: 'set-limit',
      key: queueLimitKey(name),
      max: data.parallelism,
      paused: data.paused,
    },
  ];
}

export function pauseQueue(paused: boolean) {
  return async (route: Route): Promise<Response> => {
    const name = route.param('name');
    const record = await route.ask({ type: 'record', collection: COLLECTION.queue, id: name });
    if (!record) throw notFound(`queue ${name}`);
    const data = JSON.parse(record.data) as QueueData;
    await route.apply(setQueue(name, { ...data, createdAt: data.createdAt ?? record.updatedAt, paused }));
    return json({});
  };
}

export async function listQueues(route: Route): Promise<Response> {
  const [limits, page] = await Promise.all([
    route.ask({ type: 'limits', prefix: queueLimitKey('') }),
    route.ask({ type: 'records', collection: COLLECTION.queue, order: 'asc', limit: 1_000 }),
  ]);
  const byKey = new Map(limits.map((limit) => [limit.key, limit]));
  return json(page.items.map((record) => queueView(record, byKey.get(queueLimitKey(record.id)))));
}

export async function getQueue(route: Route): Promise<Response> {
  const name = route.param('name');
  const [limit, record] = await Promise.all([
    route.ask({ type: 'limit', key: queueLimitKey(name) }),
    route.ask({ type: 'record', collection: COLLECTION.queue, id: name }),
  ]);
  if (!record) throw notFound(`queue ${name}`);
  return json(queueView(record, limit));
}

/** Messages that are still in it run on; answers 200 also for a queue that is not there, as clean-ups expect. */
export async function deleteQueue(route: Route): Promise<Response> {
  const name = route.param('name');
  await route.apply([
    { type: 'delete-record', collection: COLLECTION.queue, id: name },
    { type: 'set-limit', key: queueLimitKey(name), max: null, paused: false },
  ]);
  return json({});
}

/** All six fields are read without a default by the Python client. `lag`: messages that have not ended. */
function queueView(record: StoredRecord, limit: LimitRecord | undefined): Record<string, unknown> {
  const data = JSON.parse(record.data) as QueueData;
  return {
    name: record.id,
    createdAt: data.createdAt ?? record.updatedAt,
    updatedAt: record.updatedAt,
    parallelism: data.parallelism,
    lag: (limit?.held ?? 0) + (limit?.waiting ?? 0),
    paused: data.paused,
  };
}
