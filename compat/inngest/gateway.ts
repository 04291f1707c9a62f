import type { LeasedCall, Op, Outcome } from '../../core/model/call.ts';
import type { HttpCall, HttpResult } from '../../core/ports.ts';
import { canonicalJson } from './canonical.ts';
import { textOf as payloadText } from './events.ts';
import { MAX_STEP_OUTPUT, STEP_OUTPUT_TOO_LARGE } from './limits.ts';
import { metaOf, nameOf, optionOf, Refusal, textOption } from './opcode.ts';
import type { Opcode, OpcodeContext } from './opcode.ts';
import { parseRetryAfter } from './retry-after.ts';
import { readMeta, writeMeta } from './step-meta.ts';

/** A provider may take this long (inngest/inngest: the gateway's client uses a call's own timeout). */
const TIMEOUT_MS = 2 * 3_600_000;
/** Of a provider's refusal, kept in the error. */
const QUOTED_CHARS = 100_000;
/** Connection headers are the server's own affair. */
const OWN_HEADERS = new Set(['host', 'content-length', 'connection', 'transfer-encoding', 'accept-encoding']);

/** A request that the server makes for the run; kept as the data of the call. */
interface GatewayRequest {
  url: string;
  method: string;
  headers: Array<[string, string]>;
  body: string | null;
}

/** `step.fetch` and `step.ai.infer`: a call of the run whose request is this one instead of the app's (wire: Gateway, AIGateway). */
export function planGateway(opcode: Opcode, context: OpcodeContext): Op | Refusal {
  const url = textOption(opcode, 'url') ?? '';
  if (!URL.canParse(url)) return new Refusal('Error', `step "${nameOf(opcode)}" calls "${url}", which is not a URL`);
  const request = opcode.op === 'AIGateway' ? inference(opcode, url) : plain(opcode, url);
  return {
    op: 'plan',
    calls: [
      {
        key: opcode.id,
        again: context.again,
        meta: metaOf(opcode, context),
        data: JSON.stringify(request),
      },
    ],
  };
}

export function isGatewayCall(call: LeasedCall): boolean {
  return call.callData !== null && /^\{"o":"(AI)?Gateway"/.test(call.callMeta ?? '');
}

export function gatewayRequest(call: LeasedCall): HttpCall {
  const request = JSON.parse(payloadText(call.callData ?? '{}')) as GatewayRequest;
  return { ...request, timeoutMs: TIMEOUT_MS, maxResponseBytes: MAX_STEP_OUTPUT };
}

/** Any answer to a fetch is its result; an inference has succeeded below status 300. What fails is tried again by the function's policy. */
export function gatewayOutcome(call: LeasedCall, result: HttpResult, nowMs: number): Outcome {
  const kept = readMeta(call.callMeta);
  const isInference = kept.o === 'AIGateway';
  const name = isInference ? 'AIGatewayError' : 'GatewayError';
  const meta = writeMeta(kept);
  const failed = (message: string, retry: 'never' | 'policy' | { at: number }, more: object = {}): Outcome => ({
    ops: [{ op: 'fail', error: canonicalJson({ message, name, ...more }), retry, memoKey: call.key, meta }],
  });
  if (!result.ok) {
    const final = result.code === 'refused-destination' || result.code === 'bad-url';
    return failed(`Error making request: ${result.message}`, final ? 'never' : 'policy');
  }
  const body = new TextDecoder().decode(result.body);
  const headers = Object.fromEntries(result.headers.map(([key, value]) => [key.toLowerCase(), value]));
  if (result.truncated) return failed(STEP_OUTPUT_TOO_LARGE, 'never');
  if (!isInference) {
    const value = canonicalJson({ body, headers, status_code: result.status, url: gatewayRequest(call).url });
    if (value.length > MAX_STEP_OUTPUT) return failed(STEP_OUTPUT_TOO_LARGE, 'never');
    return { ops: [{ op: 'step', key: call.key, data: value, meta }] };
  }
  if (result.status >= 300) {
    const at = parseRetryAfter(headers['retry-after'], nowMs);
    const message = `unsuccessful status code: ${result.status}: ${body.slice(0, QUOTED_CHARS)}`;
    return failed(message, at === null ? 'policy' : { at }, { status: result.status });
  }
  return { ops: [{ op: 'step', key: call.key, data: canonicalJson(parsed(body)), meta }] };
}

function plain(opcode: Opcode, url: string): GatewayRequest {
  const method = (textOption(opcode, 'method') ?? 'GET').toUpperCase();
  const body = optionOf(opcode, 'body');
  return {
    url,
    method,
    headers: headersOf(opcode),
    body: body === undefined || body === null ? null : typeof body === 'string' ? body : JSON.stringify(body),
  };
}

/** The provider's own way to say the key (inngest/inngest: pkg/util/aigateway). */
function inference(opcode: Opcode, url: string): GatewayRequest {
  const key = textOption(opcode, 'auth_key') ?? '';
  const headers = headersOf(opcode).filter(([name]) => name !== 'content-type');
  headers.push(['content-type', 'application/json']);
  let target = url;
  switch (key === '' ? 'none' : textOption(opcode, 'format')) {
    case 'none':
      break;
    case 'gemini': {
      const parsedUrl = new URL(url);
      parsedUrl.searchParams.set('key', key);
      target = parsedUrl.href;
      break;
    }
    case 'anthropic':
      headers.push(['x-api-key', key]);
      break;
    case 'bedrock':
      headers.push(['authorization', key]);
      break;
    default:
      headers.push(['authorization', `Bearer ${key}`]);
  }
  return { url: target, method: 'POST', headers, body: JSON.stringify(optionOf(opcode, 'body') ?? {}) };
}

function headersOf(opcode: Opcode): Array<[string, string]> {
  const given = optionOf(opcode, 'headers');
  if (typeof given !== 'object' || given === null) return [];
  return Object.entries(given).flatMap(([name, value]): Array<[string, string]> => {
    const lower = name.toLowerCase();
    const isName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(lower);
    return isName && !OWN_HEADERS.has(lower) && typeof value === 'string' && !/[\r\n\0]/.test(value)
      ? [[lower, value]]
      : [];
  });
}

/** A provider answers JSON; anything else is its text. */
function parsed(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return body;
  }
}
