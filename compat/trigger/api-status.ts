import { generatorOf } from './schedules.ts';
import type { RunRecord } from '../../core/model/query.ts';
import { endedStatusOf, type EngineRunStatus } from './engine-status.ts';
import { publicRunId } from './ids.ts';
import { plainObject, plainValue } from './packets.ts';
import { readOutcomeMeta, readRunMeta, readTaskData, type RunMeta } from './run-meta.ts';
import { slugOf, tagsOf } from './names.ts';
import { serializedErrorOf } from './task-errors.ts';
import { runErrorOf } from './waitpoints.ts';

/** The vocabulary of `/api/*` (@trigger.dev/core: v3/schemas/api.ts RunStatus). The engine routes' own is in engine-status.ts. */
export type ApiRunStatus =
  | 'PENDING_VERSION'
  | 'QUEUED'
  | 'DEQUEUED'
  | 'EXECUTING'
  | 'COMPLETED'
  | 'CANCELED'
  | 'FAILED'
  | 'CRASHED'
  | 'SYSTEM_FAILURE'
  | 'DELAYED'
  | 'EXPIRED'
  | 'TIMED_OUT';

const FROM_ENGINE: Record<EngineRunStatus, ApiRunStatus> = {
  PENDING_VERSION: 'PENDING_VERSION',
  DELAYED: 'DELAYED',
  PENDING: 'QUEUED',
  DEQUEUED: 'DEQUEUED',
  EXECUTING: 'EXECUTING',
  RETRYING_AFTER_FAILURE: 'EXECUTING',
  CANCELED: 'CANCELED',
  COMPLETED_SUCCESSFULLY: 'COMPLETED',
  COMPLETED_WITH_ERRORS: 'FAILED',
  SYSTEM_FAILURE: 'SYSTEM_FAILURE',
  CRASHED: 'CRASHED',
  EXPIRED: 'EXPIRED',
  TIMED_OUT: 'TIMED_OUT',
};

/** Status of a run as its record shows it; `nowMs` tells a delayed run from a queued one. */
export function engineStatusOf(record: RunRecord, nowMs: number): EngineRunStatus {
  if (record.status !== 'running') return endedStatusOf(record);
  if (record.cancelling) return 'CANCELED';
  if (record.parked) return 'PENDING_VERSION';
  if (record.startedAt !== null) return 'EXECUTING';
  return (delayedUntil(record) ?? 0) > nowMs ? 'DELAYED' : 'PENDING';
}

/** Until when a run is or was delayed: its trigger said so, and it may have been put off since. Null for one that was to start at once. */
export function delayedUntil(record: Pick<RunRecord, 'meta' | 'startDueAt' | 'createdAt'>): number | null {
  const { delayUntilMs } = readRunMeta(record.meta);
  if (delayUntilMs === undefined) return null;
  return delayUntilMs > record.createdAt ? record.startDueAt : delayUntilMs;
}

export function apiStatusOf(record: RunRecord, nowMs: number): ApiRunStatus {
  return FROM_ENGINE[engineStatusOf(record, nowMs)];
}

const QUEUED = new Set<ApiRunStatus>(['PENDING_VERSION', 'QUEUED', 'DELAYED', 'DEQUEUED']);
const FAILED = new Set<ApiRunStatus>(['FAILED', 'CRASHED', 'SYSTEM_FAILURE', 'EXPIRED', 'TIMED_OUT']);

/** Fields that every presentation of a run shares. The 3.x clients need `attempts`, later ones ignore it. */
export function commonFields(record: RunRecord, nowMs: number): Record<string, unknown> {
  const meta = readRunMeta(record.meta);
  const status = apiStatusOf(record, nowMs);
  const isFailed = FAILED.has(status);
  const isCompleted = status === 'COMPLETED' || status === 'CANCELED' || isFailed;
  const endedAt = record.endedAt;
  const delayed = delayedUntil(record);
  return {
    id: publicRunId(record.id),
    status,
    taskIdentifier: slugOf(record.task),
    ...(meta.idempotencyKey === undefined ? {} : { idempotencyKey: meta.idempotencyKey }),
    ...(versionOf(record) === undefined ? {} : { version: versionOf(record) }),
    isQueued: QUEUED.has(status),
    isExecuting: status === 'EXECUTING',
    isWaiting: false,
    isCompleted,
    isSuccess: status === 'COMPLETED',
    isFailed,
    isCancelled: status === 'CANCELED',
    isTest: meta.test ?? false,
    createdAt: iso(record.createdAt),
    updatedAt: iso(endedAt ?? record.startedAt ?? record.createdAt),
    ...(record.startedAt === null ? {} : { startedAt: iso(record.startedAt) }),
    ...(endedAt === null ? {} : { finishedAt: iso(endedAt) }),
    ...(delayed === null ? {} : { delayedUntil: iso(delayed) }),
    ...(meta.ttl === undefined ? {} : { ttl: meta.ttl }),
    ...(status === 'EXPIRED' && endedAt !== null ? { expiredAt: iso(endedAt) } : {}),
    // In order (trigger.dev: ApiRetrieveRunPresenter); a subscription's row has them as they were given.
    tags: tagsOf(record).sort((a, b) => a.localeCompare(b)),
    costInCents: 0,
    baseCostInCents: 0,
    durationMs: readOutcomeMeta(record.outcomeMeta).durationMs ?? 0,
    depth: meta.depth,
    triggerFunction: meta.triggerFunction,
    ...(meta.batch === undefined ? {} : { batchId: meta.batch.id }),
    ...(meta.region === undefined ? {} : { region: meta.region }),
  };
}

/** The build that executes the run: known once a worker has taken it, or when its trigger named one. */
export function versionOf({ versionLocked, taskData }: RunRecord): string | undefined {
  const { version } = readTaskData(taskData ?? '{}');
  return versionLocked && version !== '' ? version : undefined;
}

/** A run of the same family, with its metadata. */
export interface RelatedRun {
  record: RunRecord;
  metadata: Record<string, unknown> | null;
}

export interface RunPresentation {
  record: RunRecord;
  metadata: Record<string, unknown> | null;
  attemptCount: number;
  related: { root?: RelatedRun; parent?: RelatedRun; children: RelatedRun[] };
  nowMs: number;
}

/** The body of `GET /api/v3/runs/:id`: payload and output are plain JSON values here, whatever they travelled as. */
export function retrieveResponse({
  record,
  metadata,
  attemptCount,
  related,
  nowMs,
}: RunPresentation): Record<string, unknown> {
  const meta = readRunMeta(record.meta);
  const body: Record<string, unknown> = { ...commonFields(record, nowMs), attemptCount, attempts: [] };
  const shown = metadata ?? seedMetadata(meta);
  if (shown !== null) body.metadata = shown;
  if (typeof record.input === 'string') body.payload = plainValue({ data: record.input, dataType: meta.payloadType });
  if (typeof record.output === 'string')
    body.output = plainValue({
      data: record.output,
      dataType: readOutcomeMeta(record.outcomeMeta).outputType ?? 'application/json',
    });
  if (record.status === 'failed')
    body.error = serializedErrorOf(runErrorOf(record.error, record.status, record.reason, meta.ttl));
  if (meta.schedule !== undefined) {
    const { id, externalId, deduplicationKey, cron } = meta.schedule;
    body.schedule = {
      id,
      ...(externalId === undefined ? {} : { externalId }),
      ...(deduplicationKey === undefined ? {} : { deduplicationKey }),
      generator: generatorOf(cron),
    };
  }
  const relatedOf = (run: RelatedRun): Record<string, unknown> => ({
    ...commonFields(run.record, nowMs),
    ...(run.metadata === null ? {} : { metadata: run.metadata }),
  });
  body.relatedRuns = {
    ...(related.root ? { root: relatedOf(related.root) } : {}),
    ...(related.parent ? { parent: relatedOf(related.parent) } : {}),
    ...(related.children.length > 0 ? { children: related.children.map(relatedOf) } : {}),
  };
  return body;
}

/** Metadata as given at the trigger, before any operation changed it. */
export function seedMetadata(meta: RunMeta): Record<string, unknown> | null {
  return meta.metadata === undefined ? null : plainObject(meta.metadata);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
