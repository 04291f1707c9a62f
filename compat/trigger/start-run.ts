import type { StartSpec } from '../../core/model/call.ts';
import type { RunDetail } from '../../core/model/query.ts';
import type { TaskRecord } from '../../core/model/task.ts';
import { debounceOf } from './debounce.ts';
import { durationText, parseKeyTtl, parseMoment, parseNaturalDuration, type Moment } from './durations.ts';
import { ApiError, notServed } from './errors.ts';
import { runIdOf } from './ids.ts';
import { EXECUTOR, INLINE_PREFIX, labelOf, poolOf, slugOf } from './names.ts';
import { limitsOfRun, type QueueBounds } from './limits.ts';
import { packetOf } from './packets.ts';
import {
  readRunMeta,
  readTaskData,
  writeRunMeta,
  type NamedLimit,
  type RunMeta,
  type ScheduleRef,
  type TriggerFunction,
} from './run-meta.ts';
import { MAX_TAGS, type TriggerOptions } from './schema.ts';
import { mainCallOf } from './waitpoints.ts';
import type { AwaitedDeployment, VersionLock } from './workers.ts';

/** Time for a worker to run its onCancel hooks (30 s) and answer (trigger.dev: PENDING_CANCEL stall). */
export const CANCEL_GRACE_MS = 60_000;

/** How long a repeated HTTP request answers the run that it made the first time. */
const REQUEST_KEY_MS = 3_600_000;
/** trigger.dev: a run of a development environment that nobody picks up in this time expires. */
export const DEVELOPMENT_TTL = '10m';
/** How long a run waits for the deployment that it names, unless its time to live is shorter (trigger.dev: run-engine pendingVersionSystem). */
const DEPLOYMENT_WAIT_MS = 3_600_000;
const MIN_MAX_DURATION_S = 5;
const MAX_INT32 = 2_147_483_647;

export interface TriggerRequest {
  project: string;
  /** Of a task that no build has: its id and no settings. */
  task: Pick<TaskRecord, 'id' | 'data'>;
  /** The build to which the run is tied from the start, or the deployment that it waits for. */
  lock?: VersionLock | AwaitedDeployment | null;
  payload: unknown;
  options: TriggerOptions;
  /** Bounds of the queue that the run goes to, when it is not the task's own. */
  queueBounds?: QueueBounds;
  /** What `options.concurrency` names. */
  namedLimits?: NamedLimit[];
  parent: RunDetail | null;
  batch?: { id: string; index: number };
  requestKey: string;
  traceContext: Record<string, string>;
  nowMs: number;
  /** The engine's clock minus the callers': a moment that a caller names is meant by its own. */
  clockOffsetMs: number;
  isDevelopment: boolean;
  schedule?: ScheduleRef;
  replayOf?: string;
}

/** One trigger as a run to start. @throws ApiError for options that cannot be read or are not served */
export function startSpecOf(request: TriggerRequest): StartSpec {
  const { options, task, project, nowMs, parent, batch } = request;
  refuseUnserved(options);
  const settings = readTaskData(task.data);
  const packet = packetOf(request.payload, options.payloadType);
  const delay = options.delay === undefined ? null : momentOf(options.delay, 'delay');
  const delayedUntilMs = delay === null ? undefined : at(delay, nowMs, request.clockOffsetMs);
  const maxDuration = options.maxDuration ? clampedMaxDuration(options.maxDuration) : settings.maxDuration;
  const debounce = options.debounce
    ? debounceOf(options.debounce, task.id, delayedUntilMs, {
        payloadType: packet.dataType,
        ...(options.metadata === undefined || options.metadata === null
          ? {}
          : { metadata: packetOf(options.metadata, options.metadataType) }),
        ...(options.machine === undefined ? {} : { machine: options.machine }),
        ...(options.maxAttempts === undefined ? {} : { maxAttempts: options.maxAttempts }),
        ...(options.maxDuration && maxDuration ? { maxDuration } : {}),
      })
    : null;
  const delayUntilMs = delayedUntilMs ?? (debounce ? nowMs + debounce.delayMs : undefined);
  const ttl = ttlOf(options.ttl ?? settings.ttl ?? (request.isDevelopment ? DEVELOPMENT_TTL : undefined));
  const ttlMs = ttl === undefined ? null : parseNaturalDuration(ttl);
  if (ttl !== undefined && ttlMs === null) throw new ApiError('invalid', `Invalid ttl: "${ttl}"`);
  const tags = [...new Set(options.tags ?? [])];
  if (tags.length > MAX_TAGS)
    throw new ApiError('invalid', `Runs can only have ${MAX_TAGS} tags, you're trying to set ${tags.length}.`);
  const queue = options.queue?.name ?? settings.queue;
  const own: QueueBounds = {
    ...(settings.queueLimit === undefined ? {} : { limit: settings.queueLimit }),
    ...(settings.queueTotal === undefined ? {} : { total: settings.queueTotal }),
  };
  // Of a task that no build has yet the machine is not known either (adopt-parked.ts).
  const machine = options.machine ?? (settings.workerId === '' ? undefined : settings.machine);
  const parentMeta = parent ? readRunMeta(parent.meta) : null;
  const meta: RunMeta = {
    payloadType: packet.dataType,
    queue,
    depth: parentMeta ? parentMeta.depth + 1 : 0,
    triggerFunction: triggerFunctionOf(options.resumeParentOnCompletion === true, batch !== undefined),
    traceContext: request.traceContext,
    ...(machine === undefined ? {} : { machine }),
    ...(request.namedLimits === undefined ? {} : { limits: request.namedLimits.map(({ name }) => name) }),
    ...(options.concurrencyKey === undefined ? {} : { concurrencyKey: options.concurrencyKey }),
    ...(options.idempotencyKey === undefined
      ? {}
      : { idempotencyKey: options.idempotencyKeyOptions?.key ?? options.idempotencyKey }),
    ...(options.idempotencyKeyOptions === undefined
      ? {}
      : { idempotencyKeyScope: options.idempotencyKeyOptions.scope }),
    ...(delayUntilMs === undefined ? {} : { delayUntilMs }),
    ...(ttl === undefined ? {} : { ttl }),
    ...(options.maxAttempts === undefined ? {} : { maxAttempts: options.maxAttempts }),
    ...(maxDuration === undefined ? {} : { maxDuration }),
    ...(options.priority === undefined ? {} : { priority: options.priority }),
    ...(options.test === undefined ? {} : { test: options.test }),
    ...(options.metadata === undefined || options.metadata === null
      ? {}
      : { metadata: packetOf(options.metadata, options.metadataType) }),
    ...(parent && parentMeta ? { parentRun: parent.id, rootRun: parentMeta.rootRun ?? parent.id } : {}),
    ...(batch === undefined ? {} : { batch }),
    ...(options.lockToVersion === undefined ? {} : { lockToVersion: options.lockToVersion }),
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(request.schedule === undefined ? {} : { schedule: request.schedule }),
    ...(request.replayOf === undefined ? {} : { replayOf: request.replayOf }),
  };
  const labels = [
    ...tags.map(labelOf.tag),
    ...(batch ? [labelOf.batch(batch.id)] : []),
    ...(request.schedule ? [labelOf.schedule(request.schedule.id)] : []),
  ];
  return {
    task: task.id,
    ifUnknown: { executor: EXECUTOR, mode: 'pull', pool: poolOf(project) },
    ...lockOf(request.lock, ttlMs, debounce !== null),
    input: packet.data ?? null,
    meta: writeRunMeta(meta),
    dedupe: dedupeOf(request),
    ...(delayUntilMs === undefined ? {} : { dueAt: delayUntilMs }),
    ...(debounce ? { admit: [debounce] } : {}),
    limits: limitsOfRun({
      project,
      queue,
      bounds: options.queue === undefined ? own : (request.queueBounds ?? {}),
      concurrencyKey: options.concurrencyKey,
      named: namedOf(settings.limits ?? [], request.namedLimits),
    }),
    ...(options.maxAttempts === undefined ? {} : { maxAttempts: options.maxAttempts }),
    ...(options.priority === undefined ? {} : { priorityMs: clampedPriorityMs(options.priority) }),
    ...(labels.length === 0 ? {} : { labels }),
    ...(parent ? { parent: { run: parent.id, cancelGraceMs: CANCEL_GRACE_MS } } : {}),
    ...(ttlMs === null || ttlMs === 0 ? {} : { expireAt: Math.max(nowMs, delayUntilMs ?? nowMs) + ttlMs }),
  };
}

function lockOf(
  lock: TriggerRequest['lock'],
  ttlMs: number | null,
  isDebounced: boolean,
): Pick<StartSpec, 'version' | 'pool' | 'awaits'> {
  if (!lock || !('deployment' in lock)) return lock ?? {};
  if (isDebounced)
    throw notServed(`A debounced run that waits for a deployment ("${lock.deployment}" is not deployed)`);
  return { awaits: { release: lock.deployment, forMs: Math.min(ttlMs || DEPLOYMENT_WAIT_MS, DEPLOYMENT_WAIT_MS) } };
}

/** A trigger's named limits take the place of those that its task names; the limit that a task has for itself stays. */
export function namedOf(ofTask: readonly NamedLimit[], ofTrigger: readonly NamedLimit[] | undefined): NamedLimit[] {
  return ofTrigger === undefined
    ? [...ofTask]
    : [...ofTask.filter(({ name }) => name.startsWith(INLINE_PREFIX)), ...ofTrigger];
}

/** Seconds as the vendor shows them; none for 0 (@trigger.dev/core: isomorphic/duration.ts stringifyDuration). */
function ttlOf(ttl: string | number | undefined): string | undefined {
  return typeof ttl === 'number' ? durationText(ttl) : ttl;
}

/** trigger.dev: v3/utils/maxDuration.ts clampMaxDuration */
function clampedMaxDuration(seconds: number): number {
  return Math.min(Math.max(seconds, MIN_MAX_DURATION_S), MAX_INT32);
}

/** trigger.dev: v3/utils/priority.ts clampPriorityMs */
function clampedPriorityMs(priority: number): number {
  return Math.min(Math.max(Math.round(priority * 1_000), -MAX_INT32 - 1), MAX_INT32);
}

function refuseUnserved(options: TriggerOptions): void {
  if (options.gates?.length) throw notServed('The trigger option "gates"');
}

/** The key of an idempotent trigger, unique per project and task; else the HTTP request's own. */
function dedupeOf({
  project,
  task,
  options,
  requestKey,
  batch,
  nowMs,
}: TriggerRequest): NonNullable<StartSpec['dedupe']> {
  if (options.idempotencyKey !== undefined)
    return {
      key: dedupeKeyOf(project, slugOf(task.id), options.idempotencyKey),
      untilMs: nowMs + parseKeyTtl(options.idempotencyKeyTTL),
      // trigger.dev: a failed or expired run's key is free again (idempotencyKeys concern).
      unless: ['failed'],
    };
  return {
    key: batch === undefined ? `trigger/request/${requestKey}` : `trigger/batch/${batch.id}/${batch.index}`,
    untilMs: nowMs + REQUEST_KEY_MS,
  };
}

/** An idempotency key is one task's: the hash that the SDK sends. */
export function dedupeKeyOf(project: string, slug: string, key: string): string {
  return `trigger/${project}/${slug}/${key}`;
}

function triggerFunctionOf(waits: boolean, inBatch: boolean): TriggerFunction {
  if (inBatch) return waits ? 'batchTriggerAndWait' : 'batchTrigger';
  return waits ? 'triggerAndWait' : 'trigger';
}

export function momentOf(value: string | Date, name: string): Moment {
  const moment = parseMoment(value);
  if (moment === null)
    throw new ApiError(
      'invalid',
      `Invalid ${name}: "${String(value)}" is neither a date nor a duration such as 1h or 30m`,
    );
  return moment;
}

export function at(moment: Moment, nowMs: number, clockOffsetMs: number): number {
  return moment.kind === 'after' ? nowMs + moment.ms : moment.wallMs + clockOffsetMs;
}

/** @throws ApiError when the run that waits is unknown or over */
export function requireParent(parent: RunDetail | null): RunDetail {
  if (!parent) throw new ApiError('invalid', 'The parent run does not exist');
  if (parent.status !== 'running') throw new ApiError('invalid', 'The parent run has already finished');
  return parent;
}

/** The attempt (from 0) that a run is at. */
export function attemptOf(detail: RunDetail): number {
  return mainCallOf(detail)?.attempt ?? 0;
}

export function parentIdOf(options: { parentRunId?: string | undefined } | undefined): string | null {
  if (options?.parentRunId === undefined) return null;
  const run = runIdOf(options.parentRunId);
  if (run === null) throw new ApiError('invalid', `Not a run id: "${options.parentRunId}"`);
  return run;
}

/** W3C trace context of the trigger, or a new trace. */
export function traceContextOf(
  headers: { traceparent?: string | undefined; tracestate?: string | undefined },
  random: () => string,
): Record<string, string> {
  const { traceparent, tracestate } = headers;
  if (traceparent !== undefined && /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(traceparent))
    return { traceparent, ...(tracestate === undefined ? {} : { tracestate }) };
  const digits = random();
  return { traceparent: `00-${digits.slice(0, 32)}-${digits.slice(32, 48)}-01` };
}
