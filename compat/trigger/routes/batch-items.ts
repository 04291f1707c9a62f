import { requireScope } from '../auth.ts';
import { oddItems, readBatch, runsOfBatch, sealBatch, triggerItems, type Batch, type ItemContext } from '../batches.ts';
import { ApiError, invalidBody } from '../errors.ts';
import { groupOf } from '../names.ts';
import { parseJson } from '../packets.ts';
import { bodyOf, engineNow, open, param, type RouteContext } from '../request.ts';
import { BatchLineSchema, MAX_BATCH_ITEM_BYTES, type BatchLine } from '../schema.ts';
import { requireParent, traceContextOf } from '../start-run.ts';
import { randomDigits } from './trigger.ts';

/** Items triggered in one transaction, so that a long stream starts to run before it ends. */
const CHUNK_ITEMS = 100;
const BATCH_RETENTION_MS = 30 * 86_400_000;

/** POST /api/v3/batches/:batch/items — the second phase: one JSON line per item. Sealed when all have come. */
export async function streamBatchItems(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret', 'public']);
  const { cell } = call;
  const batch = await readBatch(cell, param(c, 'batch'));
  if (!batch) throw new ApiError('not_found', 'Batch not found');
  requireScope(call.access, 'batchTrigger', [['tasks', '']]);
  if (batch.sealed) return c.json({ id: batch.id, itemsAccepted: 0, itemsDeduplicated: batch.runCount, sealed: true });
  const context = await itemContext(c, cell, batch);
  const seen = new Set<number>();
  let accepted = 0;
  let deduplicated = 0;
  let chunk: BatchLine[] = [];
  const flush = async (): Promise<void> => {
    for (const { triggered } of await triggerItems(context, chunk)) {
      if (triggered?.cached) deduplicated++;
      else accepted++;
    }
    chunk = [];
  };
  for await (const line of linesOf(c)) {
    const item = parseLine(line);
    if (item.index >= batch.runCount)
      throw new ApiError(
        'bad_request',
        `Item index ${item.index} is out of range: the batch was announced with ${batch.runCount} items`,
      );
    if (seen.has(item.index)) {
      deduplicated++;
      continue;
    }
    seen.add(item.index);
    chunk.push(item);
    if (chunk.length >= CHUNK_ITEMS) await flush();
  }
  if (chunk.length > 0) await flush();
  const enqueued = seen.size === batch.runCount ? seen.size : await countItems(cell, batch.id);
  const sealed = enqueued >= batch.runCount;
  if (sealed) await sealBatch(cell, batch, context.nowMs + BATCH_RETENTION_MS);
  const counts = sealed ? {} : { enqueuedCount: enqueued, expectedCount: batch.runCount };
  return c.json({ id: batch.id, itemsAccepted: accepted, itemsDeduplicated: deduplicated, sealed, ...counts });
}

export async function itemContext(c: RouteContext, cell: ItemContext['cell'], batch: Batch): Promise<ItemContext> {
  const [nowMs, tasks, parent] = await Promise.all([
    engineNow(c, cell),
    cell.query({ type: 'tasks', group: groupOf(batch.project) }),
    batch.parent === undefined ? null : cell.query({ type: 'run-detail', run: batch.parent }),
  ]);
  const { context } = c.get('host');
  return {
    cell,
    batch,
    parent: batch.resume ? requireParent(parent) : parent,
    tasks: new Map(tasks.map((task) => [task.id, task])),
    traceContext: traceContextOf(
      { traceparent: c.req.header('traceparent'), tracestate: c.req.header('tracestate') },
      randomDigits,
    ),
    nowMs,
    clockOffsetMs: nowMs - context.wallClockMs(),
    isDevelopment: context.mode === 'dev',
  };
}

async function countItems(cell: ItemContext['cell'], batchId: string): Promise<number> {
  const [runs, odd] = await Promise.all([runsOfBatch(cell, batchId), oddItems(cell, batchId)]);
  return runs.length + odd.length;
}

function parseLine(line: string): BatchLine {
  const value = parseJson(line);
  if (value === undefined) throw new ApiError('bad_request', 'A line of the batch is not valid JSON');
  const parsed = BatchLineSchema.safeParse(value);
  if (!parsed.success) throw invalidBody(parsed.error);
  return parsed.data;
}

async function* linesOf(c: RouteContext): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of bodyOf(c)) {
    rest += decoder.decode(bytes, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_BATCH_ITEM_BYTES)
      throw new ApiError('payload_too_large', `A batch item may have at most ${MAX_BATCH_ITEM_BYTES} bytes`);
    for (const line of lines) if (line.trim() !== '') yield line;
  }
  rest += decoder.decode();
  if (rest.trim() !== '') yield rest;
}
