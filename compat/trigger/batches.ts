import type { Op, StartSpec } from '../../core/model/call.ts';
import type { Command, CommandResult, StartResult } from '../../core/model/command.ts';
import type { RunDetail, RunState } from '../../core/model/query.ts';
import type { TaskRecord } from '../../core/model/task.ts';
import type { CellApi } from '../../core/ports.ts';
import { ApiError } from './errors.ts';
import { newId } from './ids.ts';
import { COLLECTIONS, labelOf, taskIdOf } from './names.ts';
import { isRecord, parseJson } from './packets.ts';
import { readRunMeta } from './run-meta.ts';
import type { BatchItem, TriggerOptions } from './schema.ts';
import { attemptOf, startSpecOf, type TriggerRequest } from './start-run.ts';
import { namedLimitsOf, type QueueBounds, queueBoundsOf } from './limits.ts';
import { startAndWait, taskOrUnknown, type Triggered } from './trigger-run.ts';
import { writeWaitMeta } from './waitpoints.ts';
import { lockFor } from './workers.ts';

export interface Batch {
  id: string;
  project: string;
  runCount: number;
  createdAt: number;
  sealed: boolean;
  /** Run that started it. */
  parent?: string;
  /** That run waits for all items. */
  resume?: boolean;
  idempotencyKey?: string;
}

/** An item that is not simply a run labelled with the batch: a run made earlier under the same key, or one that could not be triggered. */
export type OddItem = { index: number; task: string } & ({ run: string } | { error: string });

/** How long a batch and its items are remembered. */
export const BATCH_RETENTION_MS = 30 * 86_400_000;

export async function readBatch(cell: CellApi, id: string): Promise<Batch | null> {
  const record = await cell.query({ type: 'record', collection: COLLECTIONS.batches, id });
  const value = record === null ? null : parseJson(record.data);
  return isRecord(value) && typeof value.id === 'string' ? (value as unknown as Batch) : null;
}

/** Makes the batch, or answers the one that this request or its idempotency key made before. */
export async function claimBatch(
  cell: CellApi,
  wanted: Batch,
  expiresAt: number,
): Promise<{ batch: Batch; isNew: boolean }> {
  const [put] = await cell.apply([
    {
      type: 'put-record',
      collection: COLLECTIONS.batches,
      id: wanted.id,
      data: JSON.stringify(wanted),
      ifAbsent: true,
      expiresAt,
    },
  ]);
  if (put?.type === 'put-record' && put.written) return { batch: wanted, isNew: true };
  return { batch: (await readBatch(cell, wanted.id)) ?? wanted, isNew: false };
}

export async function sealBatch(cell: CellApi, batch: Batch, expiresAt: number): Promise<void> {
  if (!batch.sealed)
    await cell.apply([
      {
        type: 'put-record',
        collection: COLLECTIONS.batches,
        id: batch.id,
        data: JSON.stringify({ ...batch, sealed: true }),
        expiresAt,
      },
    ]);
}

export interface ItemContext {
  cell: CellApi;
  batch: Batch;
  parent: RunDetail | null;
  tasks: ReadonlyMap<string, TaskRecord>;
  traceContext: Record<string, string>;
  nowMs: number;
  clockOffsetMs: number;
  isDevelopment: boolean;
  /** Bounds of the queues that items name, as far as they have been asked for. */
  queueBounds: Map<string, QueueBounds>;
  /** What items are locked to, by what they say of it. */
  locks: Map<string, TriggerRequest['lock']>;
}

/** `refusal`: why it is not to be triggered. */
export type IndexedItem = BatchItem & { index: number; refusal?: string };

export interface ItemResult {
  index: number;
  task: string;
  triggered: Triggered | null;
}

/**
 * Triggers some items of a batch in one transaction. One that cannot be triggered becomes an error of the batch, and the result of its
 * wait. Items that came before (the stream is sent again) change nothing.
 */
export async function triggerItems(context: ItemContext, items: readonly IndexedItem[]): Promise<ItemResult[]> {
  const { batch, parent } = context;
  const planned: Array<{ item: IndexedItem; spec: StartSpec }> = [];
  const odd: OddItem[] = [];
  for (const item of items) {
    if (item.refusal !== undefined) {
      odd.push({ index: item.index, task: item.task, error: item.refusal });
      continue;
    }
    try {
      planned.push({ item, spec: await specOf(context, item) });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      odd.push({ index: item.index, task: item.task, error: error.message });
    }
  }
  const refused = odd.map(({ index, task }): ItemResult => ({ index, task, triggered: null }));
  const started =
    batch.resume && parent
      ? await startWaited(context, parent, planned, odd)
      : startsOf(
          await context.cell.apply([
            ...planned.map(({ spec }): Command => ({ type: 'start', spec })),
            ...odd.map((item) => oddCommand(context, item)),
          ]),
        );
  const results = planned.map(({ item }, i): ItemResult => {
    const result = started[i];
    const triggered = result ? { run: result.run, cached: result.deduplicated } : null;
    return { index: item.index, task: item.task, triggered };
  });
  await keepForeign(context, planned, results);
  return [...results, ...refused];
}

function startsOf(results: readonly CommandResult[]): StartResult[] {
  return results.flatMap((result) => (result.type === 'start' ? [result] : []));
}

/** The parent waits for each: those that could not be triggered end their wait at once, with the reason. */
async function startWaited(
  context: ItemContext,
  parent: RunDetail,
  planned: ReadonlyArray<{ item: IndexedItem; spec: StartSpec }>,
  odd: readonly OddItem[],
): Promise<Array<StartResult | undefined>> {
  const { cell, batch } = context;
  const attempt = attemptOf(parent);
  const waitFor = (index: number, start: StartSpec, error?: string): Op => {
    const place = { id: batch.id, index };
    const meta = writeWaitMeta({
      type: 'RUN',
      id: newId('waitpoint'),
      attempt,
      batch: place,
      ...(error === undefined ? {} : { error }),
    });
    return { op: 'wait-run', key: waitKeyOf(place), again: 'none', meta, start };
  };
  const ops = [
    ...planned.map(({ item, spec }) => waitFor(item.index, spec)),
    // A task that is registered nowhere: the engine ends this wait with an error at once.
    ...odd.map((item) => waitFor(item.index, { task: '', input: null }, 'error' in item ? item.error : undefined)),
  ];
  const [reported] = await cell.apply([
    { type: 'report', run: parent.id, anyLease: true, final: false, outcome: { ops } },
    ...odd.map((item) => oddCommand(context, item)),
  ]);
  if (reported?.type !== 'report' || reported.result === 'ended' || reported.result === 'unknown')
    throw new ApiError('invalid', 'The parent run has already finished');
  if (reported.started.length === planned.length) return reported.started;
  // A part of them are waits already: which ones, only each can say.
  const found: StartResult[] = [];
  for (const { item, spec } of planned) {
    const { run } = await startAndWait(cell, parent, spec, waitKeyOf({ id: batch.id, index: item.index }), false);
    found.push({ run, deduplicated: true, createdAt: context.nowMs, outcome: 'known' });
  }
  return found;
}

/** A run that an idempotency key named is no run of this batch's label: the batch remembers it by itself. */
async function keepForeign(
  context: ItemContext,
  planned: ReadonlyArray<{ item: IndexedItem }>,
  results: readonly ItemResult[],
): Promise<void> {
  const { cell, batch } = context;
  const keyed = results.filter(
    ({ triggered }, i) => triggered?.cached && planned[i]?.item.options?.idempotencyKey !== undefined,
  );
  const foreign: Command[] = [];
  for (const { index, task, triggered } of keyed) {
    if (!triggered) continue;
    const record = await cell.query({ type: 'run', run: triggered.run });
    const of = record && readRunMeta(record.meta).batch;
    if (of?.id !== batch.id || of.index !== index)
      foreign.push(oddCommand(context, { index, task, run: triggered.run }));
  }
  if (foreign.length > 0) await cell.apply(foreign);
}

async function specOf(context: ItemContext, item: IndexedItem): Promise<StartSpec> {
  const { cell, batch, parent, tasks, queueBounds } = context;
  const options = { ...item.options, ...(batch.resume ? { resumeParentOnCompletion: true } : {}) };
  const queue = options.queue?.name;
  if (queue !== undefined && !queueBounds.has(queue))
    queueBounds.set(queue, await queueBoundsOf(cell, batch.project, queue));
  const bounds = queue === undefined ? undefined : queueBounds.get(queue);
  const namedLimits = await namedLimitsOf(cell, batch.project, options.concurrency);
  return startSpecOf({
    project: batch.project,
    task: taskOrUnknown(tasks.get(taskIdOf(batch.project, item.task)) ?? null, item.task, batch.project),
    lock: await lockOf(context, item.task, options),
    payload: item.payload,
    options,
    parent,
    batch: { id: batch.id, index: item.index },
    requestKey: '',
    traceContext: context.traceContext,
    nowMs: context.nowMs,
    clockOffsetMs: context.clockOffsetMs,
    isDevelopment: context.isDevelopment,
    ...(bounds === undefined ? {} : { queueBounds: bounds }),
    ...(namedLimits === undefined ? {} : { namedLimits }),
  });
}

async function lockOf(
  { cell, batch, locks }: ItemContext,
  task: string,
  options: TriggerOptions,
): Promise<TriggerRequest['lock']> {
  const { lockToVersion, externalDeploymentId, queue } = options;
  const key = JSON.stringify([task, lockToVersion, externalDeploymentId, queue?.name]);
  const known = locks.get(key);
  if (known !== undefined) return known;
  const lock = await lockFor(cell, batch.project, task, options);
  locks.set(key, lock);
  return lock;
}

function oddCommand({ batch, nowMs }: ItemContext, item: OddItem): Command {
  return {
    type: 'put-record',
    collection: oddCollection(batch.id),
    id: String(item.index).padStart(6, '0'),
    data: JSON.stringify(item),
    expiresAt: nowMs + BATCH_RETENTION_MS,
  };
}

function oddCollection(batchId: string): string {
  return `${COLLECTIONS.batchItems}/${batchId}`;
}

export function waitKeyOf(place: { id: string; index: number }): string {
  return `${place.id}:${place.index}`;
}

export async function oddItems(cell: CellApi, batchId: string): Promise<OddItem[]> {
  const items: OddItem[] = [];
  let cursor: string | undefined;
  do {
    const page = await cell.query({
      type: 'records',
      collection: oddCollection(batchId),
      limit: 1_000,
      order: 'asc',
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const { data } of page.items) items.push(JSON.parse(data) as OddItem);
    ({ cursor } = page);
  } while (cursor !== undefined);
  return items;
}

/** Items that have come so far. */
export async function countItems(cell: CellApi, batchId: string): Promise<number> {
  const [runs, odd] = await Promise.all([
    cell.query({ type: 'label-count', label: labelOf.batch(batchId) }),
    oddItems(cell, batchId),
  ]);
  return runs + odd.length;
}

/** All runs of a batch with their states, in the order in which they were made. */
export async function runsOfBatch(cell: CellApi, batchId: string): Promise<RunState[]> {
  const runs: RunState[] = [];
  let cursor: string | undefined;
  do {
    const page = await cell.query({
      type: 'label-runs',
      label: labelOf.batch(batchId),
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const run of page.items) runs.push(run);
    ({ cursor } = page);
  } while (cursor !== undefined);
  return runs;
}
