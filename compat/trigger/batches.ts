import type { Op } from '../../core/model/call.ts';
import type { RunDetail, RunRecord } from '../../core/model/query.ts';
import type { TaskRecord } from '../../core/model/task.ts';
import type { CellApi } from '../../core/ports.ts';
import { ApiError } from './errors.ts';
import { newId } from './ids.ts';
import { COLLECTIONS, labelOf, taskIdOf } from './names.ts';
import { isRecord, parseJson } from './packets.ts';
import type { BatchItem } from './schema.ts';
import { attemptOf, startSpecOf } from './start-run.ts';
import { queueLimitOf, startRun, startAndWait, taskOrUnknown, type Triggered } from './trigger-run.ts';
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
}

export interface ItemResult {
  index: number;
  task: string;
  triggered: Triggered | null;
}

/** Triggers some items of a batch, those without an idempotency key in one transaction. One that cannot be triggered becomes an error of the batch. */
export async function triggerItems(
  context: ItemContext,
  items: ReadonlyArray<BatchItem & { index: number }>,
): Promise<ItemResult[]> {
  const { cell, batch, parent } = context;
  const results: ItemResult[] = [];
  const plain: Array<{ item: BatchItem & { index: number }; spec: ReturnType<typeof startSpecOf> }> = [];
  for (const item of items) {
    try {
      const spec = await specOf(context, item);
      if (item.options?.idempotencyKey === undefined) plain.push({ item, spec });
      else results.push({ index: item.index, task: item.task, triggered: await triggerKeyed(context, item, spec) });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      await recordError(context, item, error.message);
      results.push({ index: item.index, task: item.task, triggered: null });
    }
  }
  if (plain.length === 0) return results;
  if (batch.resume && parent) {
    const attempt = attemptOf(parent);
    const ops = plain.map(({ item, spec }): Op => {
      const place = { id: batch.id, index: item.index };
      return {
        op: 'wait-run',
        key: waitKeyOf(place),
        again: 'none',
        start: spec,
        meta: writeWaitMeta({ type: 'RUN', id: newId('waitpoint'), attempt, batch: place }),
      };
    });
    const [reported] = await cell.apply([
      { type: 'report', run: parent.id, anyLease: true, final: false, outcome: { ops } },
    ]);
    if (reported?.type !== 'report' || reported.result === 'ended' || reported.result === 'unknown')
      throw new ApiError('invalid', 'The parent run has already finished');
    // Items of a repeated stream are waits already: their runs are read from the label, not from here.
    results.push(
      ...plain.map(({ item }, i) => ({
        index: item.index,
        task: item.task,
        triggered: { run: reported.started[i]?.run ?? '', cached: reported.started.length < plain.length },
      })),
    );
    return results;
  }
  const started = await cell.apply(plain.map(({ spec }) => ({ type: 'start' as const, spec })));
  plain.forEach(({ item }, i) => {
    const result = started[i];
    if (result?.type === 'start')
      results.push({ index: item.index, task: item.task, triggered: { run: result.run, cached: result.deduplicated } });
  });
  return results;
}

async function specOf(
  context: ItemContext,
  item: BatchItem & { index: number },
): Promise<ReturnType<typeof startSpecOf>> {
  const { cell, batch, parent, tasks } = context;
  const options = { ...item.options, ...(batch.resume ? { resumeParentOnCompletion: true } : {}) };
  const queueLimit = await queueLimitOf(cell, batch.project, options.queue?.name);
  return startSpecOf({
    project: batch.project,
    task: taskOrUnknown(tasks.get(taskIdOf(batch.project, item.task)) ?? null, item.task, batch.project),
    lock: await lockFor(cell, batch.project, item.task, options.lockToVersion),
    payload: item.payload,
    options,
    parent,
    batch: { id: batch.id, index: item.index },
    requestKey: '',
    traceContext: context.traceContext,
    nowMs: context.nowMs,
    clockOffsetMs: context.clockOffsetMs,
    isDevelopment: context.isDevelopment,
    ...(queueLimit === undefined ? {} : { queueLimit }),
  });
}

async function triggerKeyed(
  context: ItemContext,
  item: BatchItem & { index: number },
  spec: ReturnType<typeof startSpecOf>,
): Promise<Triggered> {
  const { cell, batch, parent } = context;
  const place = { id: batch.id, index: item.index };
  const triggered =
    batch.resume && parent
      ? await startAndWait(cell, parent, spec, waitKeyOf(place), true, place)
      : await startRun(cell, spec, true);
  if (triggered.cached) await recordOdd(context, { index: item.index, task: item.task, run: triggered.run });
  return triggered;
}

/** A waiting parent gets the failure as the item's result. */
async function recordError(context: ItemContext, item: BatchItem & { index: number }, message: string): Promise<void> {
  const { cell, batch, parent } = context;
  await recordOdd(context, { index: item.index, task: item.task, error: message });
  if (!batch.resume || !parent) return;
  const place = { id: batch.id, index: item.index };
  const meta = writeWaitMeta({
    type: 'RUN',
    id: newId('waitpoint'),
    attempt: attemptOf(parent),
    batch: place,
    error: message,
  });
  // A task that is registered nowhere: the engine ends this wait with an error at once.
  await cell.apply([
    {
      type: 'report',
      run: parent.id,
      anyLease: true,
      final: false,
      outcome: {
        ops: [{ op: 'wait-run', key: waitKeyOf(place), again: 'none', meta, start: { task: '', input: null } }],
      },
    },
  ]);
}

async function recordOdd({ cell, batch, nowMs }: ItemContext, item: OddItem): Promise<void> {
  await cell.apply([
    {
      type: 'put-record',
      collection: oddCollection(batch.id),
      id: String(item.index).padStart(6, '0'),
      data: JSON.stringify(item),
      expiresAt: nowMs + 30 * 86_400_000,
    },
  ]);
}

function oddCollection(batchId: string): string {
  return `${COLLECTIONS.batchItems}/${batchId}`;
}

export function waitKeyOf(place: { id: string; index: number }): string {
  return `${place.id}:${place.index}`;
}

export async function oddItems(cell: CellApi, batchId: string): Promise<OddItem[]> {
  const page = await cell.query({ type: 'records', collection: oddCollection(batchId), limit: 1_000, order: 'asc' });
  return page.items.map(({ data }) => JSON.parse(data) as OddItem);
}

/** All runs of a batch, in no order that means anything. */
export async function runsOfBatch(cell: CellApi, batchId: string): Promise<RunRecord[]> {
  const page = await cell.query({ type: 'runs', label: labelOf.batch(batchId), limit: 1_000, order: 'asc' });
  return page.items;
}
