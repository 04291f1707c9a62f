import type { EventRecord } from '../../../core/model/event.ts';
import type { PendingRecord, RunFacts, RunRecord } from '../../../core/model/query.ts';
import type { AppRecord, KnownFunction } from '../apps.ts';
import { appOf, pickFunction } from '../apps.ts';
import { storedAnswer } from '../endpoint.ts';
import { nameIn, textOf } from '../events.ts';
import { foreignAnswer } from '../executor.ts';
import { uuidOf } from '../hex.ts';
import { DEFERRED_SCHEDULE, ENVIRONMENT_ID, slugOf } from '../names.ts';
import { batchIdOf, originEvents } from '../read.ts';
import { readRunMeta } from '../run-meta.ts';
import { outputId, traceOfRun } from '../run-view.ts';
import type { UserSpan } from '../otlp.ts';
import { readMeta } from '../step-meta.ts';
import { FINALIZATION } from '../trace.ts';
import type { Span } from '../trace.ts';
import { traceId } from '../trace-context.ts';
import { configurationView } from './configuration.ts';
import { deferredFromView, defersView, siblingDefersView } from './defers.ts';
import type { Show } from './defers.ts';
import { time } from './reader.ts';
import type { Reader } from './reader.ts';
import { historyOutput, historyView } from './run-history.ts';

/** "Ready" among the reasons of the SDK's features (npm inngest: feature_observations.proto). */
const READY = 1;

const STATUS = { completed: 'COMPLETED', failed: 'FAILED', cancelled: 'CANCELLED', running: 'RUNNING' } as const;

export function statusOf(run: RunFacts): string {
  if (run.reason === 'skipped') return 'SKIPPED';
  return run.status === 'running' && run.startedAt === null ? 'QUEUED' : STATUS[run.status];
}

async function outputText(reader: Reader, facts: RunFacts): Promise<string | null> {
  const run = await reader.whole(facts);
  if (!run) return null;
  const result = run.status === 'completed' ? run.output : run.error;
  if (result === null) return null;
  const text = textOf(result);
  if (run.status === 'failed') return failedOutput(text);
  // Of a durable endpoint: what the app says that it answered, without status and headers.
  return readRunMeta(run.meta).h === 1 ? storedAnswer(text).body : text;
}

/**
 * As the vendor's queries show it: what the server itself ends a run with like its state errors, in their order, and an answer that was no SDK's as it
 * came. What is wrong with that one is told by the run's error everywhere else.
 */
function failedOutput(text: string): string {
  const page = foreignAnswer(text);
  if (page !== null) return page;
  if (!/"name":"(InngestErr|InvalidExpression|output_too_large)/.test(text)) return text;
  const { error, name, message, stack, ...rest } = JSON.parse(text) as Record<string, unknown>;
  const shown = name === 'output_too_large' || stack === undefined ? {} : { stack };
  // As Go writes JSON, with what HTML would take for its own in escapes.
  const json = JSON.stringify({ error: { error, name, message, ...shown, ...rest } });
  return json.replace(/[<>&]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);
}

export function appView(reader: Reader, app: AppRecord): object {
  const own = async (): Promise<KnownFunction[]> => (await reader.functions()).filter(({ fn }) => fn.app === app.name);
  const [language = '', version = ''] = app.sdk.split(':');
  return {
    id: app.id,
    externalID: app.name,
    name: app.name,
    sdkLanguage: language,
    sdkVersion: version.replace(/^v/, ''),
    framework: app.framework,
    url: app.url,
    checksum: '',
    error: null,
    method: app.method,
    appVersion: app.appVersion,
    connected: true,
    autodiscovered: false,
    sdkFeatureReadiness: readinessOf(app),
    functionCount: async () => (await own()).length,
    functions: async () => (await own()).map((known) => functionView(reader, known)),
  };
}

function readinessOf({ readiness }: AppRecord): object {
  const status = (reason: number | undefined): object | null =>
    reason === undefined ? null : { ready: reason === READY, reason };
  return { aiMetadataExtraction: status(readiness?.ai), extendedTraces: status(readiness?.traces) };
}

export function functionView(reader: Reader, { task, fn }: KnownFunction): object {
  reader.spend(1);
  return {
    id: fn.id,
    name: task.name,
    slug: fn.slug,
    config: () => JSON.stringify({ id: fn.slug, name: task.name, triggers: task.triggers, concurrency: task.limits }),
    configuration: () => configurationView(task),
    failureHandler: async () => {
      const handler = pickFunction(await reader.functions(), null, `${fn.slug}-failure`);
      return handler && functionView(reader, handler);
    },
    concurrency: task.limits.length,
    triggers: () =>
      task.triggers.map((trigger) =>
        trigger.kind === 'cron'
          ? { type: 'CRON', value: trigger.cron, condition: null }
          : { type: 'EVENT', value: trigger.pattern, condition: trigger.expression ?? null },
      ),
    url: fn.url,
    appID: fn.appId,
    app: async () => appView(reader, await appOf(reader.cell, fn)),
  };
}

async function idsOf(reader: Reader, run: RunFacts): Promise<{ fn: string; app: string }> {
  const known = await reader.functionOf(run);
  if (known) return { fn: known.fn.id, app: known.fn.appId };
  const slug = slugOf(run.task);
  return { fn: await uuidOf(`inngest function ${slug}`), app: await uuidOf(`inngest app ${slug}`) };
}

const known = async (reader: Reader, run: RunFacts): Promise<object> => {
  const found = await reader.functionOf(run);
  return found ? functionView(reader, found) : removedFunction(reader, run);
};

/** A function that its app does not tell any more: its runs are still there to be read. */
async function removedFunction(reader: Reader, run: RunFacts): Promise<object> {
  const slug = slugOf(run.task);
  const ids = await idsOf(reader, run);
  return {
    id: ids.fn,
    name: slug,
    slug,
    config: '{}',
    configuration: { cancellations: [], retries: { value: 0, isDefault: false }, concurrency: [] },
    concurrency: 0,
    triggers: [],
    url: '',
    appID: ids.app,
    app: () => removedApp(reader, ids.app),
  };
}

function removedApp(reader: Reader, id: string): object {
  const app = { name: '', url: '', sdk: '', framework: '', appVersion: null, method: 'API', syncedAt: 0 } as const;
  return appView(reader, { id, ...app });
}

/** `FunctionRun`, as the first generation of queries asks for it. */
export function runView(reader: Reader, run: RunFacts): object {
  reader.spend(1);
  const events = async (): Promise<object[]> => {
    const found = await Promise.all(run.eventIds.map((id) => reader.cell.query({ type: 'event', id })));
    return found.flatMap((event) => (event ? [eventView(reader, event)] : []));
  };
  return {
    id: run.id,
    functionID: async () => (await idsOf(reader, run)).fn,
    function: () => known(reader, run),
    event: async () => (await events())[0] ?? null,
    events,
    batchID: () => batchIdOf(reader.cell, run),
    batchCreatedAt: async () => ((await batchIdOf(reader.cell, run)) === null ? null : time(run.createdAt)),
    status: statusOf(run),
    startedAt: time(run.startedAt),
    finishedAt: time(run.endedAt),
    waitingFor: async () => waitedFor((await reader.cell.query({ type: 'run-detail', run: run.id }))?.pending ?? []),
    pendingSteps: async () => (await reader.cell.query({ type: 'run-detail', run: run.id }))?.pending.length ?? 0,
    history: () => historyView(reader, run),
    historyItemOutput: ({ id }: { id: string }) => historyOutput(reader, run, id),
    output: () => outputText(reader, run),
    eventID: run.eventIds[0] ?? run.id,
    cron: async () => cronOf(reader, run),
  };
}

/** The oldest of the events that it waits for. */
function waitedFor(pending: readonly PendingRecord[]): object | null {
  const wait = pending.find(({ kind }) => kind === 'event');
  if (!wait) return null;
  const expression = readMeta(wait.meta).x ?? null;
  return { eventName: wait.target, expression, expiryTime: time(wait.dueAt) };
}

async function cronOf(reader: Reader, run: RunFacts): Promise<string | null> {
  return run.scheduledAt === null ? null : ((await reader.functionOf(run))?.fn.crons[0] ?? '');
}

/** `FunctionRunV2`. */
export function runV2View(reader: Reader, run: RunFacts): object {
  reader.spend(1);
  return {
    id: run.id,
    appID: async () => (await idsOf(reader, run)).app,
    app: async () => {
      const found = await reader.functionOf(run);
      if (!found) return removedApp(reader, (await idsOf(reader, run)).app);
      return appView(reader, await appOf(reader.cell, found.fn));
    },
    functionID: async () => (await idsOf(reader, run)).fn,
    function: () => known(reader, run),
    traceID: traceId(run.id),
    queuedAt: time(run.createdAt),
    startedAt: time(run.startedAt),
    endedAt: time(run.endedAt),
    status: statusOf(run),
    sourceID: run.from?.run ?? null,
    triggerIDs: run.eventIds,
    eventName: async () => nameIn((await originEvents(reader.cell, run))[0] ?? '{}'),
    isBatch: async () => (await batchIdOf(reader.cell, run)) !== null,
    batchCreatedAt: async () => ((await batchIdOf(reader.cell, run)) === null ? null : time(run.createdAt)),
    cronSchedule: async () => cronOf(reader, run),
    output: () => outputText(reader, run),
    trace: async ({ preview }: { preview?: boolean | null }) =>
      spanView(reader, run, await traceOfRun(reader.cell, run, preview ? 'newer' : 'older')),
    defers: () => defersView(reader, run, SHOW),
    siblingDefers: () => siblingDefersView(reader, run, SHOW),
    deferredFrom: () => deferredFromView(reader, run, SHOW),
    isDeferred: async () => nameIn((await originEvents(reader.cell, run))[0] ?? '{}') === DEFERRED_SCHEDULE,
    hasAI: async () => {
      const { children } = await traceOfRun(reader.cell, run);
      return children.some((span) => span.stepOp === 'AI_GATEWAY');
    },
  };
}

const SHOW: Show = { run: runV2View, fn: functionView };

export function spanView(reader: Reader, run: RunFacts, span: Span, parent: object | null = null): object {
  const info = span.stepInfo;
  const view = {
    appID: async () => (await idsOf(reader, run)).app,
    functionID: async () => (await idsOf(reader, run)).fn,
    runID: run.id,
    run: () => runView(reader, run),
    spanID: span.spanID,
    traceID: traceId(run.id),
    name: span.name,
    status: span.status,
    attempts: span.attempts,
    duration: span.startedAt === null || span.endedAt === null ? null : span.endedAt - span.startedAt,
    outputID: outputId(span),
    queuedAt: time(span.queuedAt),
    scheduledAt: time(span.queuedAt),
    startedAt: time(span.startedAt),
    endedAt: time(span.endedAt),
    childrenSpans: (): object[] => span.children.map((child) => spanView(reader, run, child, view)),
    stepOp: span.stepOp,
    stepID: span.stepID,
    stepInfo: info && { ...info, __typename: info.kind, ...timesOf(info) },
    stepType: span.name === FINALIZATION ? 'FINALIZATION' : (span.stepOp ?? ''),
    isRoot: span.isRoot,
    parentSpanID: span.parentSpanID,
    parentSpan: parent,
    isUserland: span.userland !== null,
    userlandSpan: span.userland && userlandView(span.userland),
    debugRunID: null,
    debugSessionID: null,
    // Status and headers of the app's answer: kept nowhere here. The vendor has them for what a request of its own answered, and none for
    // what was told while a call went on: checkpointed steps, and the end of their run (inngest/inngest: pkg/execution/executor, runCompleteAttrs).
    response: null,
    groupID: null,
    debugPaused: false,
    skipReason: span.isRoot && run.reason === 'skipped' ? 'SingletonSkipped' : null,
    skipExistingRunID: null,
    metadata: span.metadata.map((one) => ({ ...one, updatedAt: time(one.updatedAt) })),
  };
  return view;
}

function userlandView(user: UserSpan): object {
  return {
    spanName: user.name,
    spanKind: user.kind,
    serviceName: user.service,
    scopeName: user.scope,
    scopeVersion: user.scopeVersion,
    spanAttrs: JSON.stringify(user.attributes),
    resourceAttrs: JSON.stringify(user.resource),
  };
}

function timesOf(info: NonNullable<Span['stepInfo']>): object {
  if (info.kind === 'RunStepInfo') return {};
  return info.kind === 'SleepStepInfo' ? { sleepUntil: time(info.sleepUntil) } : { timeout: time(info.timeout) };
}

/** `Event`, as the first generation of queries asks for it. */
export function eventView(reader: Reader, event: EventRecord): object {
  reader.spend(1);
  const runs = async (): Promise<RunRecord[]> => reader.cell.query({ type: 'event-runs', event: event.id });
  return {
    id: event.id,
    externalID: event.dedupeId,
    name: event.name,
    createdAt: time(event.receivedAt),
    payload: () => JSON.stringify((JSON.parse(event.body) as { data?: unknown }).data ?? {}),
    raw: () => rawOf(event),
    totalRuns: event.runs.length,
    pendingRuns: async () => (await runs()).filter((run) => run.status === 'running').length,
    status: async () => eventStatus(await runs()),
    functionRuns: async () => (await runs()).map((run) => runView(reader, run)),
  };
}

/** An event as the vendor shows it in full: with `v`, and without a `user` of which nothing is known. */
function rawOf(event: EventRecord): string {
  const { user, v, ...rest } = JSON.parse(event.body) as { user?: object; v?: string };
  const known = user !== undefined && Object.keys(user).length > 0;
  return JSON.stringify({ ...rest, ...(known ? { user } : {}), v: v ?? null });
}

function eventStatus(runs: RunRecord[]): string {
  if (runs.length === 0) return 'NO_FUNCTIONS';
  if (runs.some((run) => run.status === 'running')) return 'RUNNING';
  const failed = runs.filter((run) => run.status === 'failed').length;
  return failed === 0 ? 'COMPLETED' : failed === runs.length ? 'FAILED' : 'PARTIALLY_FAILED';
}

export function eventV2View(reader: Reader, event: EventRecord): object {
  reader.spend(1);
  return {
    id: event.id,
    externalID: event.dedupeId,
    idempotencyKey: event.dedupeId,
    name: event.name,
    occurredAt: time(event.ts),
    receivedAt: time(event.receivedAt),
    raw: () => rawOf(event),
    envID: ENVIRONMENT_ID,
    source: null,
    runs: async () => {
      const runs = await reader.cell.query({ type: 'event-runs', event: event.id });
      return runs.map((run) => runV2View(reader, run));
    },
    version: () => (JSON.parse(event.body) as { v?: string }).v ?? null,
  };
}
