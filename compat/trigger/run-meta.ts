import type { JsonText } from '../../core/model/payload.ts';
import { isRecord, parseJson, type Packet } from './packets.ts';

export type TriggerFunction = 'trigger' | 'triggerAndWait' | 'batchTrigger' | 'batchTriggerAndWait';

/** What the translation remembers of a trigger, beside the engine's run. */
export interface RunMeta {
  payloadType: string;
  queue: string;
  concurrencyKey?: string;
  /** The user's own key, not the hash that the SDK sends. */
  idempotencyKey?: string;
  idempotencyKeyScope?: 'run' | 'attempt' | 'global';
  delayUntilMs?: number;
  ttl?: string;
  maxAttempts?: number;
  maxDuration?: number;
  machine?: string;
  /** Named limits that its trigger asked for, in place of those of its task. */
  limits?: string[];
  priority?: number;
  test?: boolean;
  /** Metadata given at the trigger; later versions lie in their own record. */
  metadata?: Packet;
  /** Bare ids. */
  parentRun?: string;
  rootRun?: string;
  depth: number;
  batch?: { id: string; index: number };
  triggerFunction: TriggerFunction;
  lockToVersion?: string;
  traceContext?: Record<string, string>;
  region?: string;
  /** Bare id of the run that this one repeats. */
  replayOf?: string;
  /** The schedule that made it. */
  schedule?: ScheduleRef;
}

export interface ScheduleRef {
  id: string;
  externalId?: string;
  deduplicationKey?: string;
  cron: string;
}

export function writeRunMeta(meta: RunMeta): JsonText {
  return JSON.stringify(meta);
}

const FALLBACK: RunMeta = {
  payloadType: 'application/json',
  queue: '',
  depth: 0,
  triggerFunction: 'trigger',
};

/** Runs that were not started by this translation (the native API, say) read as plain triggers. */
export function readRunMeta(text: JsonText | null): RunMeta {
  const value = text === null ? null : parseJson(text);
  return isRecord(value) ? ({ ...FALLBACK, ...value } as RunMeta) : FALLBACK;
}

/** Kept with the outcome that ended an attempt or the run. */
export interface OutcomeMeta {
  outputType?: string;
  attemptNumber?: number;
  /** Of all attempts together (trigger.dev: runAttemptSystem, usageDurationMs). */
  durationMs?: number;
}

export function readOutcomeMeta(text: JsonText | null | undefined): OutcomeMeta {
  const value = text === null || text === undefined ? null : parseJson(text);
  return isRecord(value) ? (value as OutcomeMeta) : {};
}

/** What one attempt of a run differs in from the run (the engine's `callMeta`). */
export interface AttemptMeta {
  machine?: string;
  /** What the attempts before have used. */
  usedMs?: number;
}

export function readAttemptMeta(text: JsonText | null | undefined): AttemptMeta {
  const value = text === null || text === undefined ? null : parseJson(text);
  if (!isRecord(value)) return {};
  return {
    ...(typeof value.machine === 'string' ? { machine: value.machine } : {}),
    ...(typeof value.usedMs === 'number' ? { usedMs: value.usedMs } : {}),
  };
}

/** A limit that tasks share by its name: for each concurrency key, and in all. */
export interface NamedLimit {
  name: string;
  perKey?: number;
  total?: number;
}

/** A registered task's own settings (the engine's `TaskSpec.data`). */
export interface TaskData {
  filePath: string;
  exportName?: string;
  queue: string;
  queueLimit?: number;
  /** Of all concurrency keys together. */
  queueTotal?: number;
  /** Named limits that its runs are subject to, with the bounds that this build gives them. */
  limits?: NamedLimit[];
  machine: string;
  maxDuration?: number;
  ttl?: string | number;
  /** 'schedule' for a task that schedules may start. */
  triggerSource?: string;
  hasRetry: boolean;
  /** Of its retry settings, where they say it. */
  maxAttempts?: number;
  /** Machine for the attempt after one that ran out of memory. */
  outOfMemoryMachine?: string;
  workerId: string;
  version: string;
  environmentType: EnvironmentType;
  /** Of a deployed build: what its runs see of it (@trigger.dev/core: TaskRunExecutionDeployment). */
  deployment?: {
    id: string;
    shortCode: string;
    version: string;
    runtime: string;
    runtimeVersion: string;
    externalId?: string;
  };
}

/** @trigger.dev/core: v3/schemas/common.ts RuntimeEnvironmentType */
export type EnvironmentType = 'DEVELOPMENT' | 'STAGING' | 'PREVIEW' | 'PRODUCTION';

const SLUGS = { DEVELOPMENT: 'dev', STAGING: 'stg', PREVIEW: 'preview', PRODUCTION: 'prod' } as const;

export function slugOfType(type: EnvironmentType): (typeof SLUGS)[EnvironmentType] {
  return SLUGS[type];
}

export function readTaskData(text: JsonText): TaskData {
  const value = parseJson(text);
  return {
    filePath: '',
    queue: '',
    machine: 'small-1x',
    hasRetry: false,
    workerId: '',
    version: '',
    environmentType: 'DEVELOPMENT',
    ...(isRecord(value) ? value : {}),
  };
}
