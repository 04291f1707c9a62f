import type { HistoryEntry } from '../../core/model/history.ts';
import type { PendingRecord } from '../../core/model/query.ts';
import { bytesOf } from './encoding.ts';
import { type HeaderMap, headerMap, headerValue } from './headers.ts';
import { type CallMeta, parseMeta, type WaitMeta } from './meta.ts';
import { shownHeaders, shownPayload } from './message-view.ts';
import type { Route } from './route.ts';

type ThirdPartyCall = Extract<CallMeta, { kind: 'call' }>;
type Wait = Extract<HistoryEntry['body'], { kind: 'wait' }>;

/** What a run's history says of its steps beyond their memos, by the step's id or message. */
export interface StepDetails {
  /** Calls to third parties, by the id of the step that they are. */
  calls: Map<string, Record<string, unknown>>;
  waits: Map<string, { wait: Wait; atMs: number }>;
}

export function stepDetails(history: HistoryEntry[]): StepDetails {
  const details: StepDetails = { calls: new Map(), waits: new Map() };
  for (const { body, atMs } of history) {
    if (body.kind === 'wait') details.waits.set(body.key, { wait: body, atMs });
    if (body.kind !== 'plan') continue;
    for (const call of body.calls) {
      const meta = callOf(call.meta);
      const stepId = meta && headerValue(meta.callback.forward, 'upstash-workflow-stepid');
      if (meta && stepId) details.calls.set(stepId, callFields(meta, call.data ?? null));
    }
  }
  return details;
}

/** Null for any other call of a run than one to a third party. */
function callOf(meta: string | null | undefined): ThirdPartyCall | null {
  const call = typeof meta === 'string' ? (JSON.parse(meta) as CallMeta) : null;
  return call?.kind === 'call' ? call : null;
}

function callFields(call: ThirdPartyCall, body: PendingRecord['data']): Record<string, unknown> {
  const contentType = call.contentType === undefined ? [] : [['content-type', call.contentType] as const];
  return {
    callUrl: call.url,
    callMethod: call.method,
    callHeaders: headerMap([...contentType, ...call.headers]),
    callBody: new TextDecoder().decode(bytesOf(body)),
  };
}

/** A call under way: it has no memo yet, so what it is stands in its callback's headers. */
export function pendingCallFields({ meta, data }: Pick<PendingRecord, 'meta' | 'data'>): Record<string, unknown> {
  const call = callOf(meta);
  if (!call) return {};
  const stepName = headerValue(call.callback.forward, 'upstash-workflow-stepname');
  return {
    ...(stepName === null ? {} : { stepName }),
    stepType: 'Call',
    callType: 'toCallback',
    ...callFields(call, data),
  };
}

/** `callUrl`, `callResponseStatus`, ... of a finished call (`@upstash/workflow`: StepLog). */
export function finishedCallFields(details: StepDetails, stepId: number, out: unknown): Record<string, unknown> {
  const response = responseOf(out);
  return {
    ...details.calls.get(String(stepId)),
    ...(response === null
      ? {}
      : {
          callResponseStatus: response.status,
          callResponseBody: response.body,
          callResponseHeaders: response.header,
        }),
  };
}

function responseOf(out: unknown): { status?: number; body?: unknown; header?: HeaderMap } | null {
  try {
    const value: unknown = typeof out === 'string' ? JSON.parse(out) : null;
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}

/** Of a wait for an event, begun at `atMs`: how long it may take, and until when (milliseconds). */
export function waitFields(details: StepDetails, messageId: string): Record<string, unknown> {
  const begun = details.waits.get(messageId);
  if (!begun) return {};
  return {
    waitTimeoutDuration: `${Math.round((begun.wait.untilMs - begun.atMs) / 1000)}s`,
    waitTimeoutDeadline: begun.wait.untilMs,
  };
}

/** Of `context.invoke`: the run that it has started. */
export async function invokeFields(
  route: Route,
  details: StepDetails,
  messageId: string,
): Promise<Record<string, unknown>> {
  const wait = details.waits.get(messageId)?.wait;
  if (wait?.wait.kind !== 'run') return {};
  const child = await route.ask({ type: 'run', run: wait.wait.run });
  if (!child) return {};
  const meta = parseMeta(child.meta);
  return {
    invokedWorkflowRunId: meta.workflow?.runId ?? (JSON.parse(wait.meta ?? '{}') as Partial<WaitMeta>).childRunId,
    invokedWorkflowUrl: meta.workflow?.url ?? meta.url,
    invokedWorkflowCreatedAt: child.createdAt,
    invokedWorkflowRunBody: await shownPayload(meta, child.input),
    invokedWorkflowRunHeaders: await shownHeaders(meta),
  };
}
