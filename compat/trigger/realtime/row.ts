import type { JsonText } from '../../../core/model/payload.ts';
import type { RunRecord } from '../../../core/model/query.ts';
import type { RunView } from '../../../core/ports.ts';
import { delayedUntil, engineStatusOf, seedMetadata } from '../api-status.ts';
import { publicRunId } from '../ids.ts';
import { readMetadata } from '../metadata-store.ts';
import { slugOf, streamsOf, tagsOf } from '../names.ts';
import { JSON_TYPE } from '../packets.ts';
import { readOutcomeMeta, readRunMeta } from '../run-meta.ts';
import { runErrorOf } from '../waitpoints.ts';

/** A column's type, as the `electric-schema` header names it. */
type ColumnType = { type: 'text' | 'timestamp' | 'int4' | 'float8' | 'bool' | 'jsonb'; dims?: 1 };

/** The columns of a run that a subscriber sees (@trigger.dev/core: v3/schemas/api.ts SubscribeRunRawShape). */
export const COLUMNS = {
  id: { type: 'text' },
  taskIdentifier: { type: 'text' },
  friendlyId: { type: 'text' },
  status: { type: 'text' },
  createdAt: { type: 'timestamp' },
  updatedAt: { type: 'timestamp' },
  startedAt: { type: 'timestamp' },
  delayUntil: { type: 'timestamp' },
  queuedAt: { type: 'timestamp' },
  expiredAt: { type: 'timestamp' },
  completedAt: { type: 'timestamp' },
  idempotencyKey: { type: 'text' },
  number: { type: 'int4' },
  isTest: { type: 'bool' },
  usageDurationMs: { type: 'int4' },
  costInCents: { type: 'float8' },
  baseCostInCents: { type: 'float8' },
  ttl: { type: 'text' },
  payload: { type: 'text' },
  payloadType: { type: 'text' },
  metadata: { type: 'text' },
  metadataType: { type: 'text' },
  output: { type: 'text' },
  outputType: { type: 'text' },
  runTags: { type: 'text', dims: 1 },
  error: { type: 'jsonb' },
  realtimeStreams: { type: 'text', dims: 1 },
} as const satisfies Record<string, ColumnType>;

export type Column = keyof typeof COLUMNS;
export type Row = Record<Column, string | null>;

/** Cannot be left out: without them a client knows no run (trigger.dev: apps/webapp realtimeClient RESERVED_COLUMNS). */
export const FIXED_COLUMNS: ReadonlySet<string> = new Set([
  'id',
  'taskIdentifier',
  'friendlyId',
  'status',
  'createdAt',
]);

/** Name of the view under which channels make rows. */
export const ROW_VIEW = 'trigger/row';

/** A run as a row of text columns; null for an unknown run. `status` is the engine's word here: the client translates it. */
export const rowView: RunView = async (run, cell, context) => {
  const record = await cell.query({ type: 'run', run });
  if (!record) return null;
  const [metadata, newest, nowMs] = await Promise.all([
    readMetadata(cell, run),
    cell.query({ type: 'history', run, afterSeq: record.seq - 1, limit: 1 }),
    context.mode === 'production' ? context.wallClockMs() : cell.query({ type: 'clock' }).then((clock) => clock.nowMs),
  ]);
  return JSON.stringify(rowOf(record, metadata, newest[0]?.atMs ?? record.createdAt, nowMs)) satisfies JsonText;
};

export function rowOf(
  record: RunRecord,
  metadata: Record<string, unknown> | null,
  updatedAtMs: number,
  nowMs: number,
): Row {
  const meta = readRunMeta(record.meta);
  const outcome = readOutcomeMeta(record.outcomeMeta);
  const status = engineStatusOf(record, nowMs);
  const delayed = delayedUntil(record);
  const shown = metadata ?? seedMetadata(meta);
  const output = typeof record.output === 'string' ? record.output : null;
  return {
    id: record.id,
    taskIdentifier: slugOf(record.task),
    friendlyId: publicRunId(record.id),
    status,
    createdAt: timestamp(record.createdAt),
    updatedAt: timestamp(updatedAtMs),
    startedAt: timestamp(record.startedAt),
    delayUntil: timestamp(delayed),
    queuedAt: status === 'DELAYED' ? null : timestamp(Math.max(record.createdAt, delayed ?? 0)),
    expiredAt: status === 'EXPIRED' ? timestamp(record.endedAt) : null,
    completedAt: timestamp(record.endedAt),
    idempotencyKey: meta.idempotencyKey ?? null,
    number: '0',
    isTest: meta.test === true ? 't' : 'f',
    usageDurationMs: String(Math.round(outcome.durationMs ?? 0)),
    costInCents: '0',
    baseCostInCents: '0',
    ttl: meta.ttl ?? null,
    payload: typeof record.input === 'string' ? record.input : null,
    payloadType: meta.payloadType,
    metadata: shown === null ? null : JSON.stringify(shown),
    metadataType: JSON_TYPE,
    output,
    outputType: output === null ? null : (outcome.outputType ?? JSON_TYPE),
    runTags: textArray(tagsOf(record)),
    error:
      record.status === 'failed'
        ? JSON.stringify(runErrorOf(record.error, record.status, record.reason, meta.ttl))
        : null,
    realtimeStreams: textArray(streamsOf(record)),
  };
}

/** Without a zone: the client appends it. */
function timestamp(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString().slice(0, -1);
}

/** A literal of the database that the protocol comes from: `{"a","b"}`. */
export function textArray(items: readonly string[]): string {
  return `{${items.map((item) => `"${item.replace(/[\\"]/g, '\\$&')}"`).join(',')}}`;
}
