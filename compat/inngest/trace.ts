import { MAIN } from '../../core/model/call.ts';
import type { HistoryEntry } from '../../core/model/history.ts';
import type { PendingRecord, RunRecord } from '../../core/model/query.ts';
import { METADATA_NOTE } from './step-notes.ts';
import { readMeta } from './step-meta.ts';
import type { StepMeta } from './step-meta.ts';
import { textOf } from './events.ts';
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

/** One line of a run's trace: the run itself, a step, or an attempt of a step that was tried more than once. */
export interface Span {
  spanID: string;
  parentSpanID: string | null;
  runID: string;
  name: string;
  status: SpanStatus;
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
}

const OPS: Readonly<Record<string, StepOp>> = {
  Sleep: 'SLEEP',
  WaitForEvent: 'WAIT_FOR_EVENT',
  InvokeFunction: 'INVOKE',
  AIGateway: 'AI_GATEWAY',
  WaitForSignal: 'WAIT_FOR_SIGNAL',
};

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
  failures: Attempt[];
  /** The time from which its next attempt is made. */
  dueAt: number;
  end: { entry: HistoryEntry; body: Extract<HistoryEntry['body'], { kind: 'step' }> } | null;
}

/** The trace of a run: its steps in the order in which they began, from its history. `pending`: what is under way. */
export function traceOf(
  run: RunRecord,
  history: readonly HistoryEntry[],
  pending: readonly PendingRecord[],
  more: ReadonlyMap<string, SpanMetadata[]> = new Map(),
): Span {
  const steps = stepsOf(run, history);
  const metadata = metadataOf(history);
  const end = history.find((entry) => entry.body.kind === 'end');
  const root: Span = {
    spanID: spanId(run.id, 0),
    parentSpanID: null,
    runID: run.id,
    name: 'Run',
    status: rootStatus(run),
    attempts:
      1 +
      history.filter(({ body }) => body.kind === 'retry' && body.key === MAIN && !readMeta(body.meta ?? null).k).length,
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
  };
  for (const step of steps) {
    const span = spanOf(run, step, pending, root.spanID);
    span.metadata = [...(metadata.get(step.key) ?? []), ...(more.get(step.key) ?? [])];
    root.children.push(span);
  }
  return root;
}

function stepsOf(run: RunRecord, history: readonly HistoryEntry[]): Step[] {
  const steps = new Map<string, Step>();
  // An inline step began when the entry before it was made: that is when its call went out.
  let before = run.startedAt ?? run.createdAt;
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
      failures: [],
      dueAt: queuedAt,
      end: null,
    };
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
      if (key === MAIN) continue;
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
  return [...steps.values()];
}

function spanOf(run: RunRecord, step: Step, pending: readonly PendingRecord[], parent: string): Span {
  const { meta, end } = step;
  const ended = end?.entry.atMs ?? null;
  const op: StepOp = OPS[meta.o ?? ''] ?? 'RUN';
  const spanID = spanId(run.id, end?.entry.seq ?? step.queuedAt, step.key);
  const base = { runID: run.id, stepID: step.key, stepOp: op, isRoot: false, metadata: [] };
  const status = statusOf(run, step, pending);
  const span: Span = {
    ...base,
    spanID,
    parentSpanID: parent,
    name: meta.n ?? step.key,
    status,
    attempts: step.failures.length + 1,
    queuedAt: step.queuedAt,
    startedAt: status === 'QUEUED' ? null : step.startedAt,
    endedAt: ended ?? (run.endedAt !== null ? run.endedAt : null),
    stepInfo: infoOf(step, op),
    outputSeq: end?.entry.seq ?? null,
    children: [],
  };
  if (step.failures.length === 0) return span;
  span.children = step.failures.map((attempt, i) => ({
    ...base,
    spanID: spanId(run.id, attempt.seq, `${step.key}/${i}`),
    parentSpanID: spanID,
    name: `Attempt ${i}`,
    status: 'FAILED',
    attempts: i + 1,
    queuedAt: attempt.queuedAt,
    startedAt: attempt.startedAt,
    endedAt: attempt.endedAt,
    stepInfo: null,
    outputSeq: attempt.seq,
    children: [],
  }));
  span.children.push({
    ...base,
    spanID: `${spanID}-last`,
    parentSpanID: spanID,
    name: `Attempt ${step.failures.length}`,
    status: span.status,
    attempts: step.failures.length + 1,
    queuedAt: step.dueAt,
    startedAt: span.status === 'QUEUED' ? null : step.dueAt,
    endedAt: span.endedAt,
    stepInfo: null,
    outputSeq: span.outputSeq,
    children: [],
  });
  return span;
}

function statusOf(run: RunRecord, step: Step, pending: readonly PendingRecord[]): SpanStatus {
  if (step.end) return step.end.body.error ? 'FAILED' : 'COMPLETED';
  if (run.status === 'cancelled') return 'CANCELLED';
  if (run.status !== 'running') return step.wait ? 'CANCELLED' : 'FAILED';
  const own = pending.find((one) => one.key === step.key);
  if (own && own.kind !== 'call') return 'WAITING';
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

function infoOf(step: Step, op: StepOp): StepInfo {
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
        returnEventID: null,
        runID: wait?.wait.kind === 'run' && wait.wait.run !== '' ? wait.wait.run : null,
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
  const { id } = JSON.parse(textOf(entry.data)) as { id?: unknown };
  return typeof id === 'string' ? id : null;
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
