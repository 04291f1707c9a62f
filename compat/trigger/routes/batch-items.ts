import { requireScope } from '../auth.ts';
import {
  BATCH_RETENTION_MS,
  countItems,
  readBatch,
  sealBatch,
  triggerItems,
  type Batch,
  type IndexedItem,
  type ItemContext,
} from '../batches.ts';
import { ApiError, invalidBody } from '../errors.ts';
import { groupOf } from '../names.ts';
import { parseJson } from '../packets.ts';
import { bodyOf, engineNow, open, param, type RouteContext } from '../request.ts';
import { BatchLineSchema, MAX_BATCH_ITEM_BYTES, type BatchLine } from '../schema.ts';
import { requireParent, traceContextOf } from '../start-run.ts';
import { randomDigits } from './trigger.ts';

/** Items triggered in one transaction, so that a long stream starts to run before it ends. */
const CHUNK_ITEMS = 250;
/** Items held before a transaction, in bytes of their lines. */
const CHUNK_BYTES = 4 * 1_024 * 1_024;

/** Kept of an item that is too large. */
const HEAD_CHARS = 1_024;

/** POST /api/v3/batches/:batch/items — the second phase: one JSON line per item. Sealed when all have come. */
export async function streamBatchItems(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret', 'public']);
  const { cell } = call;
  const batch = await readBatch(cell, param(c, 'batch'));
  if (!batch) throw new ApiError('not_found', 'Batch not found');
  requireScope(call.access, 'batchTrigger', [['tasks', '']]);
  if (batch.sealed) return c.json({ id: batch.id, itemsAccepted: 0, itemsDeduplicated: batch.runCount, sealed: true });
  const context = await itemContext(c, cell, batch);
  const seen = new Uint8Array(batch.runCount);
  let distinct = 0;
  let held = 0;
  let accepted = 0;
  let deduplicated = 0;
  let chunk: IndexedItem[] = [];
  const flush = async (): Promise<void> => {
    for (const { triggered } of await triggerItems(context, chunk)) {
      if (triggered?.cached) deduplicated++;
      else accepted++;
    }
    chunk = [];
    held = 0;
  };
  let position = -1;
  for await (const { line, isWhole, isTooLong, number } of linesOf(c)) {
    position++;
    const value = isTooLong ? null : parseJson(line);
    // The stream was cut within a line: what came before it counts, and the client sends all again.
    if (value === undefined && !isWhole) break;
    const item = isTooLong ? tooLongItem(line, position) : parseLine(value, number);
    if (item.index >= batch.runCount)
      throw new ApiError(
        'bad_request',
        `Item index ${item.index} is out of range: the batch was announced with ${batch.runCount} items`,
      );
    if (seen[item.index] === 1) {
      deduplicated++;
      continue;
    }
    seen[item.index] = 1;
    distinct++;
    chunk.push(item);
    held += line.length;
    if (chunk.length >= CHUNK_ITEMS || held >= CHUNK_BYTES) await flush();
  }
  if (chunk.length > 0) await flush();
  const enqueued = distinct === batch.runCount ? distinct : await countItems(cell, batch.id);
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
    queueBounds: new Map(),
    locks: new Map(),
  };
}

function parseLine(value: unknown, number: number): BatchLine {
  if (value === undefined) throw new ApiError('bad_request', `Line ${number} of the batch is not valid JSON`);
  const parsed = BatchLineSchema.safeParse(value);
  if (!parsed.success) throw invalidBody(parsed.error);
  return parsed.data;
}

/**
 * An item that is too large fails by itself, the others are triggered (trigger.dev: streamBatchItems.test.ts). What it is stands at its
 * beginning, as the SDK writes it, else its place in the stream says its index.
 */
function tooLongItem(head: string, position: number): IndexedItem {
  const before = head.split('{', 2)[1] ?? '';
  const index = /"index"\s*:\s*(\d{1,6})\b/.exec(before)?.[1];
  return {
    index: index === undefined ? position : Number(index),
    task: /"task"\s*:\s*"([^"\\]{1,128})"/.exec(before)?.[1] ?? '',
    refusal: `The batch item is too large: it may have at most ${MAX_BATCH_ITEM_BYTES} bytes`,
  };
}

interface Line {
  line: string;
  /** It ended with a line break. */
  isWhole: boolean;
  /** Only its beginning is kept. */
  isTooLong: boolean;
  /** From 1. */
  number: number;
}

async function* linesOf(c: RouteContext): AsyncGenerator<Line> {
  const decoder = new TextDecoder();
  let number = 1;
  let rest = '';
  let isTooLong = false;
  for await (const bytes of bodyOf(c)) {
    const lines = decoder.decode(bytes, { stream: true }).split('\n');
    for (const [i, part] of lines.entries()) {
      if (i > 0) {
        if (rest.trim() !== '') yield { line: rest, isWhole: true, isTooLong, number };
        number++;
        rest = '';
        isTooLong = false;
      }
      if (!isTooLong) rest += part;
      if (rest.length > MAX_BATCH_ITEM_BYTES) {
        isTooLong = true;
        rest = rest.slice(0, HEAD_CHARS);
      }
    }
  }
  rest += decoder.decode();
  if (rest.trim() !== '') yield { line: rest, isWhole: false, isTooLong, number };
}
