import { MAIN } from '../../core/model/call.ts';
import type { LeasedCall } from '../../core/model/call.ts';
import type { EnvironmentContext, HttpCall } from '../../core/ports.ts';
import { serverKind, signingKeys } from './auth.ts';
import type { JsonText } from '../../core/model/payload.ts';
import { endpointRequest } from './endpoint.ts';
import { eventsOf, textOf } from './events.ts';
import { defersOf, visibleSteps } from './defers.ts';
import { readFunctionData } from './function-data.ts';
import { gatewayRequest, isGatewayCall } from './gateway.ts';
import { MAX_RESPONSE_BYTES } from './limits.ts';
import type { FunctionData } from './function-data.ts';
import { memosOf } from './memo.ts';
import { DISCOVERY_STEP } from './names.ts';
import { sign } from './signature.ts';
import { EVENT_INPUT_META, readRunMeta } from './run-meta.ts';
import { readMeta } from './step-meta.ts';
import { traceHeaders } from './trace-context.ts';

/** Some platforms answer with a redirect again and again until a slow call is done (inngest/inngest: pkg/execution/exechttp MaxRedirects). */
const MAX_REDIRECTS = 60;
/** An app may take this long for one call (inngest/inngest: pkg/consts MaxFunctionTimeout of a request). */
const CALL_TIMEOUT_MS = 2 * 3_600_000;
/** A larger state is fetched by the SDK itself (inngest/inngest: 4 MiB less 1 KiB). */
const MAX_INLINE_STATE = 4 * 1_048_576 - 1_024;

/** The request version of a run before its app has answered once. */
const UNKNOWN_VERSION = -1;

/** Version the SDK answered with last, from what the newest steps remember of it. */
export function requestVersionOf(call: LeasedCall): number {
  const planned = call.callMeta === null ? undefined : readMeta(call.callMeta).v;
  if (planned !== undefined) return planned;
  for (let i = call.steps.length - 1; i >= 0; i--) {
    const version = readMeta(call.steps[i]?.meta ?? null).v;
    if (version !== undefined) return version;
  }
  return UNKNOWN_VERSION;
}

/**
 * Whether the SDK has to plan a step instead of running it at once: while parallel work is pending; in version 1 for the rest of
 * a run that had a group (inngest/inngest: executor/force_step_plan.go).
 */
export function mustPlan(call: LeasedCall, version: number): boolean {
  if (call.key !== MAIN || call.pending.length > 0) return true;
  return version === 1 && call.steps.some((step) => readMeta(step.meta).p === 1);
}

/** Canonical body of a call: stored texts are put in their places, members in the order that RFC 8785 wants. */
export function bodyOf(call: LeasedCall, fn: FunctionData): string {
  const version = requestVersionOf(call);
  const visible = visibleSteps(call.steps);
  const steps = memosOf(visible, editedInputs(call));
  const events = eventsOf({
    events: call.events,
    input: call.input,
    meta: call.meta,
    scheduledAt: call.scheduledAt,
    createdAt: call.runCreatedAt,
    startDueAt: call.runDueAt,
    run: call.run,
    crons: fn.crons,
    jitter: fn.jitter,
  });
  const size = events.reduce((sum, event) => sum + event.length, steps.length);
  const useApi = size > MAX_INLINE_STATE;
  const stepId = call.key === MAIN ? DISCOVERY_STEP : call.key;
  const stack = visible.map((step) => JSON.stringify(step.key)).join(',');
  const ctx =
    `{"attempt":${call.attempt},"disable_immediate_execution":${mustPlan(call, version)},"env":""${awaitsInput(call) ? '' : `,"fn_id":"${fn.id}"`}` +
    `,"max_attempts":${call.maxAttempts},"qi_id":${JSON.stringify(call.lease)},"run_id":"${call.run}"` +
    `,"stack":{"current":${visible.length},"stack":[${stack}]},"step_id":${JSON.stringify(stepId)},"use_api":${useApi}}`;
  return (
    `{"ctx":${ctx},"defers":${defersOf(call.steps)},"event":${events[0] ?? '{}'},"events":[${useApi ? '' : events.join(',')}]` +
    `,"steps":${useApi ? '{}' : steps},"use_api":${useApi},"version":${version}}`
  );
}

/**
 * The whole HTTP request of a call. Without `x-inngest-req-version`: it says what `version` in the body says, no SDK wants it, and npm inngest from 3.54 on
 * builds a schema to read it in every call, 6 to 7 % of an app's CPU.
 */
export async function requestOf(call: LeasedCall, context: EnvironmentContext): Promise<HttpCall> {
  if (isGatewayCall(call)) return gatewayRequest(call);
  if (call.meta !== null && readRunMeta(call.meta).h === 1)
    return endpointRequest(call, context, mustPlan(call, requestVersionOf(call)));
  const fn = readFunctionData(call.task.data);
  const stepId = call.key === MAIN ? DISCOVERY_STEP : call.key;
  const body = bodyOf(call, fn);
  const headers: Array<[string, string]> = [
    ['content-type', 'application/json'],
    ['x-run-id', call.run],
    ['x-request-id', call.lease],
    ['x-inngest-generation-id', String(call.attempt + 1)],
    ['x-inngest-job-id', `${call.run}.${stepId}.${call.callSeq}`],
    ['x-inngest-step-id', stepId],
    ['x-inngest-server-kind', serverKind(context)],
    ...traceHeaders(call.run, { seq: call.callSeq, key: call.key, attempt: call.attempt }, fn),
  ];
  const signingKey = signingKeys(context)[0];
  if (signingKey !== undefined)
    headers.push(['x-inngest-signature', await sign(signingKey, body, context.wallClockMs())]);
  return {
    url: stepUrl(fn.url, stepId),
    method: 'POST',
    headers,
    body,
    timeoutMs: CALL_TIMEOUT_MS,
    maxResponseBytes: MAX_RESPONSE_BYTES,
    redirects: MAX_REDIRECTS,
  };
}

/** Every SDK writes `stepId` last or not at all; any other place goes through the URL parser. */
function stepUrl(url: string, stepId: string): string {
  if (stepId === DISCOVERY_STEP && /[?&]stepId=step$/.test(url)) return url;
  const parsed = new URL(url);
  parsed.searchParams.set('stepId', stepId);
  return parsed.href;
}

/** Inputs that a rerun gives steps which have not run yet. */
function editedInputs(call: LeasedCall): Readonly<Record<string, JsonText>> | undefined {
  return call.meta === null || call.meta === EVENT_INPUT_META ? undefined : readRunMeta(call.meta).i;
}

/**
 * An edited input waits for its step. A checkpointing SDK would take it for the step's result, and one that has to plan never finds the step
 * (npm inngest 4.24.0): without `fn_id` it does neither, and uses it as the input that it is.
 */
function awaitsInput(call: LeasedCall): boolean {
  const inputs = editedInputs(call);
  return inputs !== undefined && Object.keys(inputs).some((key) => !call.steps.some((step) => step.key === key));
}

/** Bytes of memoised state, for the bound on a run. */
export function stateSize(call: LeasedCall): number {
  return call.steps.reduce((sum, step) => sum + (step.data === null ? 0 : textOf(step.data).length), 0);
}
