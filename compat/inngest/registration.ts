import { parseCron } from '../../core/schedule/cron.ts';
import type { TaskSpec, Trigger } from '../../core/model/task.ts';
import type { RetryPolicy } from '../../core/schedule/backoff.ts';
import type { CellApi, EnvironmentContext } from '../../core/ports.ts';
import { keepApp } from './apps.ts';
import type { AppRecord } from './apps.ts';
import { parseDurationMs } from './duration.ts';
import { InngestError } from './errors.ts';
import { checkExpression, invalid } from './invalid-function.ts';
import { toLimits } from './flow-control.ts';
import { readFunctionData } from './function-data.ts';
import type { FunctionData } from './function-data.ts';
import { overridesOf } from './limit-overrides.ts';
import { uuidOf } from './hex.ts';
import { EXECUTOR, groupOf, poolOf, taskIdOf } from './names.ts';
import { POLICY_FIELDS, toPolicies } from './policies.ts';
import type { FunctionConfig, RegisterRequest } from './schema.ts';

/** Attempts when a function says nothing: four retries. */
export const DEFAULT_RETRIES = 4;
/** inngest/inngest: pkg/backoff/backoff.go. */
const BACKOFF: RetryPolicy = {
  kind: 'table',
  delaysMs: [15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_200_000, 2_400_000, 3_600_000, 7_200_000],
  jitterMs: 30_000,
};
/** Bounds of a cron's jitter. */
const MIN_JITTER_MS = 1_000;
const MAX_JITTER_MS = 300_000;
/** What a function may say and mean something by here, or nothing anywhere. All else is refused: a policy that is ignored is worse. */
const SERVED_FIELDS = new Set<string>([
  ...POLICY_FIELDS,
  'checkpoint',
  'concurrency',
  'throttle',
  'description',
  'id',
  'name',
  'retries',
  'slug',
  'steps',
  'triggers',
  'version',
]);

/** Turns a registration into the tasks of its app. Throws InngestError: then nothing has changed. */
async function toTasks(cell: CellApi, request: RegisterRequest, context: EnvironmentContext): Promise<TaskSpec[]> {
  const retry = retryPolicy(context);
  const overrides = await overridesOf(cell);
  const appId = await appIdOf(request.appName);
  const seen = new Set<string>();
  const tasks: TaskSpec[] = [];
  for (const config of request.functions ?? []) {
    if (seen.has(config.id)) throw invalid(config, 'its id is used twice');
    seen.add(config.id);
    const task = await toTask(config, request.appName, appId, retry);
    const override = overrides.get(config.id);
    tasks.push(override ? { ...task, data: JSON.stringify({ ...readFunctionData(task.data), ...override }) } : task);
  }
  return tasks;
}

export function appIdOf(app: string): Promise<string> {
  return uuidOf(`inngest app ${app}`);
}

/** Registers an app: its functions as told, and no others. */
export async function registerApp(
  cell: CellApi,
  request: RegisterRequest,
  context: EnvironmentContext,
): Promise<{ modified: boolean; app_id: string; sync_id: string }> {
  const tasks = await toTasks(cell, request, context);
  const [result] = await cell.apply([{ type: 'register', group: groupOf(request.appName), tasks, replace: true }]);
  if (result?.type !== 'register') throw new Error('the engine did not answer a registration');
  await keepApp(cell, {
    id: await appIdOf(request.appName),
    name: request.appName,
    url: request.url,
    sdk: request.sdk ?? '',
    framework: request.framework ?? '',
    appVersion: request.appVersion ?? null,
    method: 'SERVE',
    syncedAt: context.wallClockMs(),
    ...readinessOf(request.featureObservations),
  });
  const versions = JSON.stringify(Object.entries(result.versions).sort());
  return {
    modified: result.modified,
    app_id: await appIdOf(request.appName),
    sync_id: await uuidOf(`inngest sync ${request.appName} ${versions}`),
  };
}

/** Reasons as the SDK writes them, by their number (npm inngest: feature_observations.proto). */
const AI_REASONS = [
  'UNSPECIFIED',
  'READY',
  'DISABLED_BY_USER',
  'OTEL_PROVIDER_MISSING',
  'OTEL_SPAN_PROCESSOR_NOT_ADDED',
];
const TRACES_REASONS = [
  'UNSPECIFIED',
  'READY',
  'NOT_ENABLED_BY_USER',
  'DISABLED_BY_USER',
  'OTEL_PROVIDER_MISSING',
  'OTEL_SPAN_PROCESSOR_NOT_ADDED',
  'OTEL_PROVIDER_CREATION_FAILED',
];

function readinessOf(observed: RegisterRequest['featureObservations']): Pick<AppRecord, 'readiness'> {
  const numberOf = (
    reasons: string[],
    feature?: { readinessReason?: string | undefined } | null,
  ): number | undefined => {
    const reason = feature?.readinessReason?.replace(/^.*_READINESS_REASON_/, '');
    const number = reason === undefined ? -1 : reasons.indexOf(reason);
    return number === -1 ? undefined : number;
  };
  const ai = numberOf(AI_REASONS, observed?.aiMetadataExtraction);
  const traces = numberOf(TRACES_REASONS, observed?.extendedTraces);
  if (ai === undefined && traces === undefined) return {};
  return { readiness: { ...(ai === undefined ? {} : { ai }), ...(traces === undefined ? {} : { traces }) } };
}

async function toTask(config: FunctionConfig, app: string, appId: string, retry: RetryPolicy): Promise<TaskSpec> {
  for (const [field, value] of Object.entries(config)) {
    if (!SERVED_FIELDS.has(field) && isGiven(value)) {
      throw new InngestError(
        501,
        'not_implemented',
        `Function "${config.id}" uses "${field}", which is not served by this server yet. Nothing was registered.`,
      );
    }
  }
  const steps = Object.values(config.steps);
  const step = steps[0];
  if (!step || steps.length > 1) throw invalid(config, 'it must have exactly one step');
  const triggers = (config.triggers ?? []).map((trigger) => toTrigger(config, trigger));
  const texts = triggers.map((trigger) => JSON.stringify(trigger));
  if (new Set(texts).size < texts.length) throw invalid(config, 'it has the same trigger twice');
  const url = stepUrl(config, step.runtime.url);
  const data: FunctionData = {
    slug: config.id,
    id: await uuidOf(`inngest function ${app} ${config.id}`),
    app,
    appId,
    url,
    crons: triggers.flatMap((trigger) => (trigger.kind === 'cron' ? [trigger.cron] : [])),
    ...(triggers.some((trigger) => trigger.kind === 'cron' && trigger.jitterMs) ? { jitter: true } : {}),
  };
  return {
    id: taskIdOf(config.id),
    group: groupOf(app),
    name: config.name || config.id,
    executor: EXECUTOR,
    ...(/^wss?:/.test(url) ? { mode: 'pull', pool: poolOf(app) } : { mode: 'push' }),
    triggers,
    maxAttempts: (step.retries?.attempts ?? config.retries ?? DEFAULT_RETRIES) + 1,
    retry,
    limits: toLimits(config),
    ...toPolicies(config.id, config),
    // The vendor looks a function up at each call: a run that slept over a deploy goes on in the new app.
    binding: 'current',
    data: JSON.stringify(data),
  };
}

function isGiven(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (Array.isArray(value)) return value.length > 0;
  return typeof value !== 'object' || Object.values(value).some(isGiven);
}

/** `REPOINT_RETRY_INTERVAL`, in seconds, takes the place of the table: what a test suite wants (the vendor's `--retry-interval`). */
export function retryPolicy(context: EnvironmentContext): RetryPolicy {
  const seconds = Number(context.vars['REPOINT_RETRY_INTERVAL'] ?? '');
  return seconds > 0 ? { kind: 'constant', delayMs: Math.round(seconds * 1_000) } : BACKOFF;
}

function stepUrl(config: FunctionConfig, url: string): string {
  if (!URL.canParse(url)) throw invalid(config, `"${url}" is not a URL`);
  const { protocol } = new URL(url);
  // A worker that connects has no address: its SDK makes one up.
  if (!/^(https?|wss?):$/.test(protocol)) throw invalid(config, `"${url}" is not an HTTP URL`);
  return url;
}

function toTrigger(config: FunctionConfig, trigger: NonNullable<FunctionConfig['triggers']>[number]): Trigger {
  if (trigger.cron !== undefined) {
    const parsed = parseCron(trigger.cron);
    if (!parsed.ok) throw invalid(config, `the cron "${trigger.cron}" is invalid: ${parsed.error}`);
    const jitterMs = trigger.jitter ? parseDurationMs(trigger.jitter) : undefined;
    if (jitterMs === null || (jitterMs !== undefined && (jitterMs < MIN_JITTER_MS || jitterMs > MAX_JITTER_MS))) {
      throw invalid(config, `the jitter "${trigger.jitter ?? ''}" must lie between 1s and 5m`);
    }
    return { kind: 'cron', cron: trigger.cron, ...(jitterMs === undefined ? {} : { jitterMs }) };
  }
  const { expression } = trigger;
  checkExpression(config, 'if', expression);
  return { kind: 'event', pattern: trigger.event ?? '', ...(expression ? { expression } : {}) };
}
