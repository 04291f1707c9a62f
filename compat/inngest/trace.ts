import { MAIN } from '../../core/model/call.ts';
import type { HistoryEntry } from '../../core/model/history.ts';
import type { PendingRecord, RunRecord } from '../../core/model/query.ts';
import { METADATA_NOTE } from './step-notes.ts';
import { readMeta } from './step-meta.ts';
import type { StepMeta } from './step-meta.ts';
import { textOf } from './events.ts';
import type { UserSpan } from './otlp.ts';
import { derivedUlid } from './ids.ts';
import { spanId } from './trace-context.ts';

export type SpanStatus = 'COMPLETED' | 'FAILED' | 'RUNNING' | 'QUEUED' | 'WAITING' | 'CANCELLED';
export type StepOp = 'RUN' | 'SLEEP' | 'WAIT_FOR_EVENT' | 'INVOKE' | 'AI_GATEWAY' | 'WAIT_FOR_SIGNAL';

export type StepInfo =
  | { kind: 'RunStepInfo'; type: string | null }
  | { kind: 'SleepStepInfo'; sleepUntil: number }
  | {
      kind: 'WaitForEventStepInfo';
      eventName: string;
      expression: string | null;
      timeout: number;
      foundEventID: string | null;
      timedOut: boolean | null;
    }
  | {
      kind: 'InvokeStepInfo';
      triggeringEventID: string;
      functionID: string;
      timeout: number;
      returnEventID: string | null;
      runID: string | null;
      timedOut: boolean | null;
    }
  | { kind: 'WaitForSignalStepInfo'; signal: string; timeout: number; timedOut: boolean | null };

export interface SpanMetadata {
  scope: 'run' | 'step';
  kind: string;
  values: unknown;
  updatedAt: number;
}

/**
 * The vendor shows a run in two ways, and people's clients ask for either (inngest/inngest: pkg/run, pkg/coreapi/graph/loaders): the older
 * names the function's own end after its outcome, the newer calls it its finalization.
 */
export type TraceStyle = 'older' | 'newer';

export const FINALIZATION = 'Finalization';
/** Names of the function's own attempts in the older way, and of those that have led to nothing yet. */
const FUNCTION_OK = 'function success';
const FUNCTION_ERROR = 'function error';
const EXECUTE = 'execute';

/** One line of a run's trace: the run itself, a step, the function's own end, or an attempt of what was tried more than once. */
export interface Span {
  spanID: string;
  parentSpanID: string | null;
  runID: string;
  name: string;
  status: SpanStatus;
  /** Number of its last attempt, from 0; of what failed for good in the older way, how many there were. */
  attempts: number;
  queuedAt: number;
  startedAt: number | null;
  endedAt: number | null;
  stepID: string | null;
  stepOp: StepOp | null;
  stepInfo: StepInfo | null;
  /** Position of the history's entry that holds the result; null: there is none yet. */
  outputSeq: number | null;
  isRoot: boolean;
  metadata: SpanMetadata[];
  children: Span[];
  /** The app's own span that this line is; null: it is the server's. */
  userland: UserSpan | null;
}

const OPS: Readonly<Record<string, StepOp>> = {
  Sleep: 'SLEEP',
  WaitForEvent: 'WAIT_FOR_EVENT',
  InvokeFunction: 'INVOKE',
  AIGateway: 'AI_GATEWAY',
  WaitForSignal: 'WAIT_FOR_SIGNAL',
};

/** Attempts that led to nothing. */
interface Attempt {
  queuedAt: number;
  startedAt: number;
  endedAt: number;
  seq: number;
}

interface Step {
  key: string;
  meta: StepMeta;
  queuedAt: number;
  startedAt: number;
  wait: Extract<HistoryEntry['body'], { kind: 'wait' }> | null;
  /** Failed calls of the function itself, before the one that found this step. */
  before: Attempt[];
  failures: Attempt[];
  /** The time from which its next attempt is made. */
  dueAt: number;
  end: { entry: HistoryEntry; body: Extract<HistoryEntry['body'], { kind: 'step' }> } | null;
}

/**
 * The trace of a run: its steps in the order in which they began, and the function's own end, from its history. `pending`: what is under way;
 * `more`: metadata by step, and of the run under ''.
 */
export function traceOf(
  run: RunRecord,
  history: readonly HistoryEntry[],
  pending: readonly PendingRecord[],
  more: ReadonlyMap<string, SpanMetadata[]> = new Map(),
  style: TraceStyle = 'newer',
): Span {
  const { steps, own } = stepsOf(run, history);
  const metadata = metadataOf(history);
  const end = history.find((entry) => entry.body.kind === 'end') ?? null;
  const root: Span = {
    spanID: spanId(run.id, 0),
    parentSpanID: null,
    runID: run.id,
    name: 'Run',
    status: rootStatus(run),
    attempts: history.filter(({ body }) => isOwnRetry(body)).length,
    queuedAt: run.createdAt,
    startedAt: run.startedAt,
    endedAt: run.endedAt,
    stepID: null,
    stepOp: null,
    stepInfo: null,
    outputSeq: end?.seq ?? null,
    isRoot: true,
    metadata: more.get('') ?? [],
    children: [],
    userland: null,
  };
  for (const step of steps) {
    const span = spanOf(run, step, pending, root.spanID, style);
    span.metadata = [...(metadata.get(step.key) ?? []), ...(more.get(step.key) ?? [])];
    root.children.push(span);
  }
  const last = ownSpan(run, own, end, pending, root.spanID, style);
  if (last) root.children.push(last);
  return root;
}

function isOwnRetry(body: HistoryEntry['body']): boolean {
  return body.kind === 'retry' && body.key === MAIN && !readMeta(body.meta ?? null).k;
}

/** The function's own calls since the last step: those that failed, and when the present one is due or was made. */
interface Own {
  failures: Attempt[];
  dueAt: number;
}

function stepsOf(run: RunRecord, history: readonly HistoryEntry[]): { steps: Step[]; own: Own } {
  const steps = new Map<string, Step>();
  // An inline step began when the entry before it was made: that is when its call went out.
  let before = run.startedAt ?? run.createdAt;
  let own: Attempt[] = [];
  const at = (key: string, meta: StepMeta, queuedAt: number): Step => {
    const known = steps.get(key);
    if (known) {
      known.meta = { ...known.meta, ...meta };
      return known;
    }
    const step: Step = {
      key,
      meta,
      queuedAt,
      startedAt: queuedAt,
      wait: null,
      before: own,
      failures: [],
      dueAt: queuedAt,
      end: null,
    };
    own = [];
    steps.set(key, step);
    return step;
  };
  for (const entry of history) {
    const { body, atMs } = entry;
    if (body.kind === 'plan') for (const call of body.calls) at(call.key, readMeta(call.meta ?? null), atMs);
    if (body.kind === 'wait') at(body.key, readMeta(body.meta ?? null), atMs).wait = body;
    if (body.kind === 'retry') {
      const meta = readMeta(body.meta ?? null);
      const key = meta.k ?? body.key;
      if (key === MAIN) {
        own.push({ queuedAt: before, startedAt: before, endedAt: atMs, seq: entry.seq });
        before = body.dueAt;
        continue;
      }
      const step = at(key, meta, before);
      step.failures.push({ queuedAt: step.dueAt, startedAt: step.dueAt, endedAt: atMs, seq: entry.seq });
      step.dueAt = body.dueAt;
    }
    if (body.kind === 'step') {
      const meta = readMeta(body.meta ?? null);
      if (meta.o?.startsWith('Defer')) continue;
      at(body.key, meta, before).end = { entry, body };
    }
    if (body.kind === 'step' || body.kind === 'retry' || body.kind === 'again') before = atMs;
  }
  return { steps: [...steps.values()], own: { failures: own, dueAt: before } };
}

function spanOf(
  run: RunRecord,
  step: Step,
  pending: readonly PendingRecord[],
  parent: string,
  style: TraceStyle,
): Span {
  const { meta, end } = step;
  const ended = end?.entry.atMs ?? null;
  const op: StepOp = OPS[meta.o ?? ''] ?? 'RUN';
  const status = statusOf(run, step, pending);
  const span: Span = {
    runID: run.id,
    stepID: step.key,
    stepOp: op,
    isRoot: false,
    metadata: [],
    spanID: spanId(run.id, end?.entry.seq ?? step.queuedAt, step.key),
    parentSpanID: parent,
    name: meta.n ?? step.key,
    status,
    attempts: attemptsOf(style, status, step.failures.length, op !== 'RUN'),
    queuedAt: step.queuedAt,
    startedAt: status === 'QUEUED' ? null : step.startedAt,
    endedAt: ended ?? (run.endedAt !== null ? run.endedAt : null),
    stepInfo: infoOf(run.id, step, op),
    // A sleep has no result to be asked for.
    outputSeq: op === 'SLEEP' ? null : (end?.entry.seq ?? null),
    children: [],
    userland: null,
  };
  withAttempts(span, [...step.before, ...step.failures], step.dueAt, style);
  return span;
}

/** The function's own end; or its attempts, where they have led to nothing yet. */
function ownSpan(
  run: RunRecord,
  own: Own,
  end: HistoryEntry | null,
  pending: readonly PendingRecord[],
  parent: string,
  style: TraceStyle,
): Span | null {
  const { failures } = own;
  const failed = run.status === 'failed';
  if (run.status === 'cancelled' || (run.status === 'running' && failures.length === 0)) return null;
  const leased = pending.some((one) => one.key === MAIN && one.leased);
  const older =
    run.status === 'running' || (failed && failures.length > 0) ? EXECUTE : failed ? FUNCTION_ERROR : FUNCTION_OK;
  const status = run.status === 'running' ? 'RUNNING' : failed ? 'FAILED' : 'COMPLETED';
  const span: Span = {
    spanID: spanId(run.id, end?.seq ?? 0, FINALIZATION),
    parentSpanID: parent,
    runID: run.id,
    name: style === 'older' ? older : FINALIZATION,
    status,
    attempts: run.status === 'running' ? failures.length - 1 : attemptsOf(style, status, failures.length, false),
    queuedAt: failures[0]?.queuedAt ?? own.dueAt,
    startedAt: failures[0]?.startedAt ?? own.dueAt,
    endedAt: run.endedAt,
    stepID: null,
    stepOp: null,
    stepInfo: null,
    outputSeq: end?.seq ?? null,
    isRoot: false,
    metadata: [],
    children: [],
    userland: null,
  };
  withAttempts(span, failures, own.dueAt, style);
  // The older way has a line for the only attempt too where the answer itself could not be taken.
  if (style === 'older' && failed && failures.length === 0 && isTooLarge(run))
    span.children.push({ ...span, spanID: `${span.spanID}-last`, name: 'Attempt 0', attempts: 0, children: [] });
  const last = span.children.at(-1);
  if (run.status === 'running' && last && !leased) Object.assign(last, { status: 'QUEUED', startedAt: null });
  return span;
}

function isTooLarge({ error }: RunRecord): boolean {
  return error !== null && textOf(error).includes('"name":"output_too_large"');
}

function attemptsOf(style: TraceStyle, status: SpanStatus, failures: number, once: boolean): number {
  return failures + (style === 'older' && status === 'FAILED' && !once ? 1 : 0);
}

/** Shows what was tried more than once by its attempts. In the older way their parent is the run. */
function withAttempts(span: Span, failures: readonly Attempt[], dueAt: number, style: TraceStyle): void {
  if (failures.length === 0) return;
  const parentSpanID = style === 'older' ? span.parentSpanID : span.spanID;
  const base = { ...span, parentSpanID };
  span.children = failures.map((attempt, i) => ({
    ...base,
    metadata: [],
    children: [],
    spanID: spanId(span.runID, attempt.seq, `${span.stepID ?? span.name}/${i}`),
    name: `Attempt ${i}`,
    status: 'FAILED',
    attempts: i,
    queuedAt: attempt.queuedAt,
    startedAt: attempt.startedAt,
    endedAt: attempt.endedAt,
    stepInfo: null,
    outputSeq: attempt.seq,
  }));
  span.children.push({
    ...base,
    metadata: [],
    children: [],
    spanID: `${span.spanID}-last`,
    name: `Attempt ${failures.length}`,
    attempts: failures.length,
    queuedAt: dueAt,
    startedAt: span.status === 'QUEUED' ? null : dueAt,
    stepInfo: null,
  });
}

function statusOf(run: RunRecord, step: Step, pending: readonly PendingRecord[]): SpanStatus {
  const invokes = step.meta.o === 'InvokeFunction';
  if (step.end) {
    // Of the waits only an invocation fails when its time is over.
    const failed = step.end.body.error === true || (invokes && step.end.body.source === 'timeout');
    return failed ? 'FAILED' : 'COMPLETED';
  }
  if (run.status === 'cancelled') return 'CANCELLED';
  if (run.status !== 'running') return step.wait ? 'CANCELLED' : 'FAILED';
  const own = pending.find((one) => one.key === step.key);
  if (own && own.kind !== 'call') return invokes ? 'RUNNING' : 'WAITING';
  return own?.leased ? 'RUNNING' : 'QUEUED';
}

function rootStatus(run: RunRecord): SpanStatus {
  switch (run.status) {
    case 'completed':
      return 'COMPLETED';
    case 'failed':
      return 'FAILED';
    case 'cancelled':
      return 'CANCELLED';
    case 'running':
      return run.startedAt === null ? 'QUEUED' : 'RUNNING';
  }
}

function infoOf(run: string, step: Step, op: StepOp): StepInfo {
  const { wait, meta, end } = step;
  const timedOut = end === null ? null : end.body.source === 'timeout';
  const timeout = wait?.untilMs ?? 0;
  switch (op) {
    case 'SLEEP':
      return { kind: 'SleepStepInfo', sleepUntil: timeout };
    case 'WAIT_FOR_EVENT':
      return {
        kind: 'WaitForEventStepInfo',
        eventName: wait?.wait.kind === 'event' ? wait.wait.name : '',
        expression: meta.x ?? null,
        timeout,
        foundEventID: timedOut === false ? eventIdIn(end?.entry ?? null) : null,
        timedOut,
      };
    case 'INVOKE':
      return {
        kind: 'InvokeStepInfo',
        triggeringEventID: meta.e ?? '',
        functionID: meta.f ?? '',
        timeout,
        returnEventID: timedOut === false ? derivedUlid(end?.entry.atMs ?? 0, `${run} ${step.key}`) : null,
        runID: timedOut !== true && wait?.wait.kind === 'run' && wait.wait.run !== '' ? wait.wait.run : null,
        timedOut,
      };
    case 'WAIT_FOR_SIGNAL':
      return { kind: 'WaitForSignalStepInfo', signal: meta.s ?? '', timeout, timedOut };
    case 'AI_GATEWAY':
      return { kind: 'RunStepInfo', type: 'step.ai.infer' };
    case 'RUN':
      return { kind: 'RunStepInfo', type: meta.o === 'Gateway' ? 'step.fetch' : 'step.run' };
  }
}

function eventIdIn(entry: HistoryEntry | null): string | null {
  if (!entry?.data) return null;
  // An app may have said itself what came of its wait.
  const event = JSON.parse(textOf(entry.data)) as { id?: unknown } | null;
  return typeof event?.id === 'string' ? event.id : null;
}

/** What the app said of its steps beside their results. A later value of a kind is laid over an earlier one. */
function metadataOf(history: readonly HistoryEntry[]): Map<string, SpanMetadata[]> {
  const found = new Map<string, SpanMetadata[]>();
  for (const { body, data, atMs } of history) {
    if (body.kind !== 'note' || body.name !== METADATA_NOTE || data === null) continue;
    const { key, metadata } = JSON.parse(textOf(data)) as { key: string; metadata: unknown[] };
    const list = found.get(key) ?? [];
    for (const one of metadata) {
      const { kind, values } = (one ?? {}) as { kind?: unknown; values?: unknown };
      if (typeof kind === 'string') list.push({ scope: 'step', kind, values: values ?? {}, updatedAt: atMs });
    }
    found.set(key, list);
  }
  return found;
}
