import { MAIN } from '../../../core/model/call.ts';
import type { LeasedCall, Op } from '../../../core/model/call.ts';
import type { HttpResult } from '../../../core/ports.ts';
import { canonicalJson } from '../canonical.ts';
import { readFunctionData } from '../function-data.ts';
import { MAX_RESPONSE_BYTES } from '../limits.ts';
import { DISCOVERY_STEP } from '../names.ts';
import { readOpcodes, valueText } from '../opcode.ts';
import { bodyOf } from '../request.ts';
import { EXECUTOR_REQUEST, KIND, type SdkResponse, STATUS, frame } from './messages.ts';
import { encode } from './wire.ts';

/** What the vendor's own local server calls them (inngest/inngest: pkg/consts DevServerAccountID, DevServerEnvID). Workers only send them back. */
const ACCOUNT_ID = '00000000-0000-4000-a000-000000000000';
const ENVIRONMENT_ID = '00000000-0000-4000-b000-000000000000';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** Trace contexts are JSON objects to the SDKs. */
const NO_TRACE = encoder.encode('{}');

/** A request's id carries all that is needed to report it, also after the gateway has forgotten it. */
export function requestIdOf(call: LeasedCall): string {
  return `${call.run}.${call.lease}`;
}

export function readRequestId(id: string): { run: string; lease: string } | null {
  const dot = id.indexOf('.');
  return dot < 1 || id.length > 512 ? null : { run: id.slice(0, dot), lease: id.slice(dot + 1) };
}

/** A call as the worker receives it: the payload is the body of the HTTP request. */
export function requestFrame(call: LeasedCall): Uint8Array<ArrayBuffer> {
  const fn = readFunctionData(call.task.data);
  const stepId = call.key === MAIN ? DISCOVERY_STEP : call.key;
  const payload = encode(EXECUTOR_REQUEST, {
    requestId: requestIdOf(call),
    accountId: ACCOUNT_ID,
    envId: ENVIRONMENT_ID,
    appId: fn.appId,
    appName: fn.app,
    functionId: fn.id,
    functionSlug: fn.slug,
    stepId,
    payload: encoder.encode(bodyOf(call, fn)),
    systemTrace: NO_TRACE,
    userTrace: NO_TRACE,
    runId: call.run,
    leaseId: call.lease,
    jobId: `${call.run}.${stepId}.${call.callSeq}`,
  });
  return frame(KIND.executorRequest, payload);
}

/** A worker's reply as the HTTP answer that the same SDK would have given. */
export function answerOf(response: SdkResponse, durationMs: number): HttpResult {
  const body = response.body ?? new Uint8Array();
  const failed = response.status === STATUS.error || isFinalError(response);
  const status = failed ? 500 : response.status === STATUS.done ? 200 : 206;
  const headers: Array<[string, string]> = [
    ['x-inngest-sdk', response.sdkVersion || 'connect'],
    ['x-inngest-req-version', String(response.requestVersion ?? 0)],
  ];
  if (response.noRetry) headers.push(['x-inngest-no-retry', 'true']);
  if (response.retryAfter) headers.push(['retry-after', response.retryAfter]);
  return {
    ok: true,
    status,
    headers,
    body: failed ? errorBody(body) : body,
    truncated: body.length > MAX_RESPONSE_BYTES,
    durationMs,
  };
}

/** The TypeScript SDK calls an error that is not to be retried "done" (npm inngest: components/connect/config: status 400 has no case). */
function isFinalError(response: SdkResponse): boolean {
  if (response.status !== STATUS.done || !response.noRetry) return false;
  const value = parse(decoder.decode(response.body ?? new Uint8Array()));
  return typeof value === 'object' && value !== null && (value as { __serialized?: unknown }).__serialized === true;
}

/** The Go SDK sends its errors as plain text. */
function errorBody(body: Uint8Array): Uint8Array {
  const text = decoder.decode(body);
  const value = parse(text);
  if (typeof value === 'object' && value !== null) return body;
  const message = (typeof value === 'string' ? value : text).replace(/^error calling function: /, '');
  return encoder.encode(canonicalJson({ message, name: 'Error' }));
}

/** What is kept of a reply whose lease is not live any more: finished steps. */
export function finishedSteps(response: SdkResponse): Op[] {
  if (response.status !== STATUS.notCompleted && response.status !== undefined) return [];
  const opcodes = readOpcodes(parse(decoder.decode(response.body ?? new Uint8Array()))) ?? [];
  return opcodes.flatMap((opcode): Op[] =>
    opcode.op === 'StepRun' ? [{ op: 'step', key: opcode.id, data: valueText(opcode.data) }] : [],
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
