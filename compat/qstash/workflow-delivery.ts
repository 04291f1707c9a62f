import type { LeasedCall, Op, Outcome, StepEntry } from '../../core/model/call.ts';
import type { HttpResult } from '../../core/ports.ts';
import { callbackBody } from './callback.ts';
import { LAZY_FETCH_BYTES, MAX_LOGGED_RESPONSE_BYTES, MAX_RESPONSE_BYTES } from './constants.ts';
import type { Delivery } from './delivery.ts';
import { base64, bytesOf } from './encoding.ts';
import { type HeaderList, headerValue, mergeHeaders } from './headers.ts';
import { deliveredMessage, deliveryKey, messageIdOf } from './ids.ts';
import { DEFAULT_FLOW_PERIOD_MS } from './limits.ts';
import type { CallMeta, ExchangeMeta, RunMeta, StepSettings, WaitMeta, WorkflowMeta } from './meta.ts';
import { failOp, isSuccess, responseRecord, willRetry } from './outcome.ts';

export const SDK_VERSION = 'upstash-workflow-sdk-version';
/** Text of the vendor's server, shown by its clients. */
const NOT_A_WORKFLOW =
  'detected a non-workflow destination for trigger/invoke. make sure you are sending the request to the correct endpoint';
const OLD_SDK = 'trigger rest api is only usable with sdk versions after v1.0.0 major version';

export interface RawStep {
  messageId: string;
  /** Base 64. */
  body: string;
  callType: 'step' | 'toCallback' | 'fromCallback';
}

/** Null: nothing to send. */
export function workflowRequest(call: LeasedCall, meta: RunMeta): Delivery | null {
  const callMeta = parseCallMeta(call);
  const workflow = meta.workflow as WorkflowMeta;
  const messageId = deliveredMessage(call.key, call.run);
  switch (callMeta.kind) {
    case 'none':
      return null;
    case 'call':
      return {
        messageId,
        url: callMeta.url,
        method: callMeta.method,
        contentType: callMeta.contentType,
        headers: callMeta.headers,
        body: bytesOf(call.callData),
        timeoutMs: callMeta.timeoutMs,
        maxResponseBytes: MAX_RESPONSE_BYTES,
      };
    case 'result': {
      // Without the version header the SDK takes the body as a call's result and not as the run's steps.
      const stored = meta.headers.filter(([name]) => name !== SDK_VERSION);
      return {
        messageId,
        url: callMeta.callback.url,
        method: callMeta.callback.method ?? 'POST',
        contentType: 'application/json',
        headers: [...mergeHeaders(stored, callMeta.callback.forward), ...runHeaders(call, workflow, false)],
        body: bytesOf(call.callData),
        timeoutMs: callMeta.callback.timeoutMs ?? meta.timeoutMs,
        maxResponseBytes: MAX_LOGGED_RESPONSE_BYTES,
      };
    }
    case 'step': {
      const first = call.key === '';
      const unknownSdk = first && workflow.unknownSdk === true;
      const headers = mergeHeaders(meta.headers, callMeta.headers ?? []).filter(
        ([name]) => !unknownSdk || name !== SDK_VERSION,
      );
      if (unknownSdk) headers.push(['upstash-workflow-unknown-sdk', 'true']);
      return {
        messageId,
        url: meta.url,
        method: meta.method,
        contentType: callMeta.contentType ?? meta.contentType,
        headers: [...headers, ...runHeaders(call, workflow, first), ...settingsHeaders(callMeta.settings, meta)],
        // The SDK looks a delivery's message up among the fetched steps; a bare one is not there.
        body: bytesOf(stepsBody(call, workflow, callMeta.bare === true)),
        timeoutMs: meta.timeoutMs,
        maxResponseBytes: meta.failureCallback ? MAX_RESPONSE_BYTES : MAX_LOGGED_RESPONSE_BYTES,
      };
    }
  }
}

function runHeaders(call: LeasedCall, workflow: WorkflowMeta, init: boolean): HeaderList {
  const headers: HeaderList = [
    ['upstash-workflow-runid', workflow.runId],
    ['upstash-workflow-createdat', String(call.runCreatedAt)],
    ['upstash-workflow-init', String(init)],
  ];
  if (workflow.url !== undefined) headers.push(['upstash-workflow-url', workflow.url]);
  return headers;
}

/** What a step's own settings have become together with the run's, as the SDK compares it: without spaces, the period in seconds. */
function settingsHeaders(settings: StepSettings | undefined, run: RunMeta): HeaderList {
  if (!settings) return [];
  const flow = settings.flowControl ?? run.flowControl;
  const retryDelay = settings.retryDelay ?? run.retryDelay;
  const headers: HeaderList = [
    ['upstash-workflow-step-config', 'true'],
    ['upstash-max-retries', String(settings.retries ?? run.retries)],
  ];
  if (retryDelay !== undefined) headers.push(['upstash-retry-delay', retryDelay]);
  if (flow) {
    const parts = [
      ...(flow.parallelism === undefined ? [] : [`parallelism=${flow.parallelism}`]),
      ...(flow.rate === undefined ? [] : [`rate=${flow.rate}`]),
      `period=${Math.round((flow.periodMs ?? DEFAULT_FLOW_PERIOD_MS) / 1000)}`,
    ];
    headers.push(['upstash-flow-control-key', flow.key], ['upstash-flow-control-value', parts.join(',')]);
  }
  return headers;
}

/**
 * The run's steps up to and including this message, as JSON. Stored memos are JSON of a RawStep already, so they are joined, not
 * parsed. Empty when it grows large and the SDK can fetch it (`GET /v2/workflows/runs/{id}`).
 */
function stepsBody(call: LeasedCall, workflow: WorkflowMeta, whole: boolean): string {
  const parts = [initialStep(call.run, call.input)];
  for (const step of call.steps) if (step.seq <= call.callSeq) parts.push(rawStepText(step));
  const body = `[${parts.join(',')}]`;
  return !whole && body.length > LAZY_FETCH_BYTES && workflow.features?.includes('LazyFetch') ? '' : body;
}

export function initialStep(run: string, input: LeasedCall['input']): string {
  return rawStep(messageIdOf(run), base64(input));
}

export function rawStep(messageId: string, body: string, callType: RawStep['callType'] = 'step'): string {
  return JSON.stringify({ messageId, body, callType } satisfies RawStep);
}

/** A memo as the SDK wants to see it. */
export function rawStepText(entry: StepEntry): string {
  if (entry.meta === null)
    return typeof entry.data === 'string' ? entry.data : new TextDecoder().decode(bytesOf(entry.data));
  const wait = JSON.parse(entry.meta) as WaitMeta;
  const step = wait.kind === 'wait' ? waitedStep(entry, wait) : invokedStep(entry, wait);
  return rawStep(entry.key, base64(JSON.stringify(step)));
}

function waitedStep(entry: StepEntry, wait: WaitMeta): Record<string, unknown> {
  const common = { ...wait.step, waitEventId: wait.eventId };
  return entry.source === 'timeout'
    ? { ...common, waitTimeout: true }
    : { ...common, out: base64(entry.data), waitTimeout: false };
}

function invokedStep(entry: StepEntry, wait: WaitMeta): Record<string, unknown> {
  const cancelled = entry.from?.status === 'cancelled';
  const out = {
    ...(entry.error || entry.data === null ? {} : { body: new TextDecoder().decode(bytesOf(entry.data)) }),
    isFailed: entry.error && !cancelled,
    isCanceled: cancelled,
    workflowRunId: wait.childRunId,
  };
  return { ...wait.step, out: JSON.stringify(out) };
}

function parseCallMeta(call: LeasedCall): CallMeta {
  return call.callMeta === null ? { kind: 'step' } : (JSON.parse(call.callMeta) as CallMeta);
}

export function workflowOutcome(call: LeasedCall, meta: RunMeta, result: HttpResult): Outcome {
  const callMeta = parseCallMeta(call);
  const outcomeMeta = JSON.stringify({
    status: result.ok ? result.status : 0,
    durationMs: result.durationMs,
    call: call.key,
  } satisfies ExchangeMeta);
  if (callMeta.kind === 'call') return { ops: thirdPartyOps(call, callMeta, meta, result), meta: outcomeMeta };
  if (isSuccess(result)) {
    const refusal = call.key === '' ? refusalOf(result, meta.workflow as WorkflowMeta) : null;
    if (refusal !== null) {
      const error = JSON.stringify({ ...responseRecord(result), message: refusal });
      return { ops: [{ op: 'fail', error, retry: 'never' }], meta: outcomeMeta };
    }
    // The step that this delivery led to has come by itself; nothing of the delivery remains.
    return { ops: [], meta: outcomeMeta };
  }
  return { ops: [failOp(call, result, responseRecord(result))], meta: outcomeMeta };
}

/** A destination that answers 2xx but is no workflow would leave the run waiting for ever. */
function refusalOf(result: Extract<HttpResult, { ok: true }>, workflow: WorkflowMeta): string | null {
  if (!workflow.plain && !workflow.unknownSdk && !workflow.features?.includes('WF_DetectTrigger')) return null;
  if (headerValue(result.headers, SDK_VERSION) === null) return NOT_A_WORKFLOW;
  if ((workflow.plain || workflow.unknownSdk) && headerValue(result.headers, 'upstash-workflow-sdk') === null)
    return OLD_SDK;
  return null;
}

/** A call never fails its run: every attempt's answer goes to the workflow, which waits while more attempts follow. */
function thirdPartyOps(
  call: LeasedCall,
  callMeta: Extract<CallMeta, { kind: 'call' }>,
  meta: RunMeta,
  result: HttpResult,
): Op[] {
  const messageId = deliveredMessage(call.key, call.run);
  const response = responseRecord(result);
  const body = callbackBody({
    messageId,
    meta: { ...callMeta, callerIp: meta.callerIp, labels: meta.labels },
    input: call.callData,
    response,
    retried: call.attempt,
    notBeforeMs: call.dueAt,
    createdAt: call.runCreatedAt,
  });
  const plan: Op = {
    op: 'plan',
    calls: [
      {
        key: deliveryKey(`${messageId}-${call.attempt}`),
        data: body,
        meta: JSON.stringify({ kind: 'result', callback: callMeta.callback } satisfies CallMeta),
        ...(callMeta.callback.retries === undefined ? {} : { maxAttempts: callMeta.callback.retries + 1 }),
      },
    ],
  };
  if (isSuccess(result)) return [plan];
  const failure = failOp(call, result, response);
  return willRetry(call, failure) ? [plan, failure] : [plan];
}
