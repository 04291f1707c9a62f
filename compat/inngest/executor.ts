import type { LeasedCall, Outcome } from '../../core/model/call.ts';
import type { HttpResult, PushExecutor } from '../../core/ports.ts';
import { canonicalJson, NestingError } from './canonical.ts';
import { failure } from './failure.ts';
import { gatewayOutcome, isGatewayCall } from './gateway.ts';
import { outputTooLarge } from './limits.ts';
import { readOpcodes, valueText } from './opcode.ts';
import type { Reply } from './opcode.ts';
import { translateOpcodes } from './opcodes.ts';
import { requestOf } from './request.ts';
import { parseRetryAfter } from './retry-after.ts';

/** Of an answer that is not an SDK's, quoted in the run's error, and kept in its stack. */
const QUOTED_CHARS = 500;
const STACK_CHARS = 8_192;
/** The vendor's words, which people's tests look for (inngest/inngest: pkg/execution/state FatalServerErrorName, httpdriver). */
const FATAL_ANSWER = 'Server returned a fatal error';
const RESET = 'Your server reset the connection while we were reading the reply';
const FOREIGN = /"message":"The answer \(2\d\d\) is not an Inngest SDK's: /;
const NO_OPCODES = 'error reading generator opcode response';

export const inngestExecutor: PushExecutor = {
  request: requestOf,

  outcome(call, result) {
    // The engine's clock, not this process': a test may have moved it.
    return Promise.resolve(safeOutcomeOf(call, result, call.leasedAt + result.durationMs));
  },
};

/** Whatever an app sends ends its own call, never ours. */
function safeOutcomeOf(call: LeasedCall, result: HttpResult, nowMs: number): Outcome {
  try {
    return isGatewayCall(call) ? gatewayOutcome(call, result, nowMs) : outcomeOf(call, result, nowMs);
  } catch (error) {
    const why = error instanceof NestingError ? `: it is ${error.message}` : '';
    return failure(errorText(`The app's answer could not be understood${why}`), { noRetry: false, retryAt: null });
  }
}

interface Answer {
  status: number;
  headers: ReadonlyMap<string, string>;
  body: string;
}

function outcomeOf(call: LeasedCall, result: HttpResult, nowMs: number): Outcome {
  if (!result.ok) {
    const noRetry = result.code === 'refused-destination' || result.code === 'bad-url';
    const message = `Unable to reach the app: ${result.message}`;
    const error = result.answered ? canonicalJson({ message, name: 'Error', stack: RESET }) : errorText(message);
    return failure(error, { noRetry, retryAt: null });
  }
  // An attempt like any other: the next answer may be smaller (inngest/inngest: pkg/execution/driver/httpdriver, CodeOutputTooLarge).
  if (result.truncated) return failure(canonicalJson(outputTooLarge()), { noRetry: false, retryAt: null });
  const outer: Answer = {
    status: result.status,
    headers: new Map(result.headers.map(([name, value]) => [name.toLowerCase(), value])),
    body: new TextDecoder().decode(result.body),
  };
  const answer = outer.status === 201 ? unwrap(outer) : outer;
  if (answer === null)
    return failure(errorText('The app ended its stream without an answer'), { noRetry: false, retryAt: null });
  const reply: Reply = {
    version: Number(answer.headers.get('x-inngest-req-version')) === 2 ? 2 : 1,
    noRetry: answer.headers.get('x-inngest-no-retry') === 'true',
    retryAt: parseRetryAfter(answer.headers.get('retry-after'), nowMs),
    nowMs,
  };
  const isSdk = answer.headers.has('x-inngest-sdk');
  if (answer.status === 200 || answer.status === 206) {
    if (!isSdk) return failure(notSdk(answer), { noRetry: false, retryAt: null });
    const value = parse(answer.body);
    if (value === undefined)
      return failure(
        errorText(
          `${answer.status === 206 ? `${NO_OPCODES}: t` : 'T'}he app answered ${answer.status} with a body that is not JSON`,
        ),
        reply,
      );
    if (answer.status === 200) return { ops: [{ op: 'complete', output: textOrNull(value) }] };
    const opcodes = readOpcodes(value);
    if (opcodes === null) return failure(errorText(`${NO_OPCODES}: the app answered 206 with something else`), reply);
    return translateOpcodes(call, opcodes, reply);
  }
  return failure(functionError(answer, isSdk), reply);
}

/** A streamed answer: status, headers and body come inside, after white space that kept the connection alive. */
function unwrap(outer: Answer): Answer | null {
  const value = parse(outer.body);
  if (typeof value !== 'object' || value === null) return null;
  const { status, headers, body, error } = value as Record<string, unknown>;
  if (typeof status !== 'number') return null;
  const merged = new Map(outer.headers);
  merged.delete('retry-after');
  if (typeof headers === 'object' && headers !== null) {
    for (const [name, text] of Object.entries(headers))
      if (typeof text === 'string') merged.set(name.toLowerCase(), text);
  }
  if (typeof error === 'string' && error !== '')
    return { status: 500, headers: merged, body: JSON.stringify({ message: error, name: 'Error' }) };
  return { status, headers: merged, body: typeof body === 'string' ? body : valueText(body) };
}

function parse(text: string): unknown {
  if (text.trim() === '') return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function textOrNull(value: unknown): string {
  return valueText(value ?? null);
}

/** The error as the app sent it, or one that says what it sent instead. */
function functionError(answer: Answer, isSdk: boolean): string {
  const value = parse(answer.body);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const { message, error } = value as Record<string, unknown>;
    if (typeof message === 'string') return canonicalJson(value);
    if (typeof error === 'string') return canonicalJson({ name: 'Error', message: error, ...value });
  }
  return isSdk ? errorText(`The app answered ${answer.status}: ${quote(answer.body)}`) : notSdk(answer);
}

function notSdk({ status, headers, body }: Answer): string {
  const hint = `is not an Inngest SDK's: does the app's serve URL point at its handler? It began: ${quote(body)}`;
  if (status === 206) return errorText(`${NO_OPCODES}: the answer (206) ${hint}`);
  const message = `The answer (${status}) ${hint}`;
  if (status < 300) return canonicalJson({ message, name: 'Error', stack: body.slice(0, STACK_CHARS) });
  // Between the app and this server stands something else, whose answer is worth to be read whole.
  const stack = `${headers.get('content-type') ?? 'no content type'}\n${body.slice(0, STACK_CHARS)}`;
  return canonicalJson({ message: `HTTP ${status}: the answer ${hint}`, name: FATAL_ANSWER, stack });
}

/** The answer itself, of a run that failed by an answer of success that was no SDK's; null: it failed by something else. */
export function foreignAnswer(error: string): string | null {
  if (!FOREIGN.test(error)) return null;
  const { stack } = JSON.parse(error) as { stack?: unknown };
  return typeof stack === 'string' ? stack : null;
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, QUOTED_CHARS));
}

function errorText(message: string): string {
  return canonicalJson({ message, name: 'Error' });
}
