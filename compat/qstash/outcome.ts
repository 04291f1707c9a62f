import type { LeasedCall, Op } from '../../core/model/call.ts';
import type { HttpResult } from '../../core/ports.ts';
import { parseDuration } from '../../core/schedule/durations.ts';
import { MAX_RETRY_AFTER_MS } from './constants.ts';
import { base64 } from './encoding.ts';
import { type HeaderList, headerMap, headerValue } from './headers.ts';
import type { ExchangeMeta, ResponseRecord } from './meta.ts';

const NON_RETRYABLE_STATUS = 489;

export type FailOp = Extract<Op, { op: 'fail' }>;

/** The attempt failed: whether and when it may be made again. */
export function failOp(call: LeasedCall, result: HttpResult, response: ResponseRecord): FailOp {
  return { op: 'fail', error: JSON.stringify(response), retry: retryOf(call, result) };
}

function retryOf(call: LeasedCall, result: HttpResult): FailOp['retry'] {
  if (!result.ok) return result.code === 'refused-destination' || result.code === 'bad-url' ? 'never' : 'policy';
  if (result.status === NON_RETRYABLE_STATUS || headerValue(result.headers, 'upstash-nonretryable-error') === 'true')
    return 'never';
  const endedAt = call.leasedAt + result.durationMs;
  const afterMs = retryAfterMs(result.headers, endedAt);
  return afterMs === null ? 'policy' : { at: endedAt + afterMs };
}

export function willRetry(call: LeasedCall, failure: FailOp): boolean {
  return failure.retry !== 'never' && call.attempt + 1 < call.maxAttempts;
}

const RETRY_HEADERS = ['retry-after', 'x-ratelimit-reset', 'x-ratelimit-reset-requests', 'x-ratelimit-reset-tokens'];

/** Seconds, an HTTP date or a Go duration; null when absent, unreadable or too long to be believed. */
export function retryAfterMs(headers: HeaderList, nowMs: number): number | null {
  for (const name of RETRY_HEADERS) {
    const text = headerValue(headers, name)?.trim();
    if (!text) continue;
    let ms: number | null = null;
    if (/^\d+(\.\d+)?$/.test(text)) ms = Number(text) * 1000;
    else ms = parseDuration(text) ?? (Number.isNaN(Date.parse(text)) ? null : Math.max(0, Date.parse(text) - nowMs));
    if (ms !== null && ms >= 0 && ms <= MAX_RETRY_AFTER_MS) return Math.round(ms);
  }
  return null;
}

export function isSuccess(result: HttpResult): result is Extract<HttpResult, { ok: true }> {
  return result.ok && result.status >= 200 && result.status < 300;
}

export function exchangeMeta(result: HttpResult): ExchangeMeta {
  return result.ok
    ? { status: result.status, header: headerMap(result.headers), durationMs: result.durationMs }
    : { status: 0, durationMs: result.durationMs };
}

export function responseRecord(result: HttpResult): ResponseRecord {
  if (!result.ok) return { message: result.message, status: 0, header: {}, body: base64(result.message) };
  return {
    message: statusLine(result.status),
    status: result.status,
    header: headerMap(result.headers),
    body: base64(result.body),
  };
}

const STATUS_TEXT: Record<number, string> = {
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length Required',
  412: 'Precondition Failed',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
  418: "I'm a teapot",
  422: 'Unprocessable Entity',
  425: 'Too Early',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

/** Go's `http.Response.Status`, which the vendor's logs show. */
function statusLine(status: number): string {
  const text = STATUS_TEXT[status];
  return text === undefined ? String(status) : `${status} ${text}`;
}
