import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { ZodError } from 'zod';
import { errorCodeOf, errorMessageOf, ERROR_CODES } from '../../core/model/errors.ts';

/** Stable codes beside the vendor's `error` text. */
export type ApiErrorCode =
  | 'bad_request'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'conflict'
  | 'invalid'
  | 'stale_snapshot'
  | 'payload_too_large'
  | 'not_served'
  | 'rate_limited'
  | 'overloaded'
  | 'internal';

const STATUS: Record<ApiErrorCode, ContentfulStatusCode> = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  invalid: 422,
  // Permanent for this snapshot: 409 would be retried by the clients (@trigger.dev/core: apiClient/core.ts shouldRetry).
  stale_snapshot: 400,
  payload_too_large: 413,
  not_served: 501,
  rate_limited: 429,
  overloaded: 503,
  internal: 500,
};

export class ApiError extends Error {
  readonly code: ApiErrorCode;
  /** Of a 429: when the next request is taken, and how many are in a period. */
  readonly resetAtMs?: number;
  readonly limit?: number;
  constructor(code: ApiErrorCode, message: string, rate?: { limit: number; resetAtMs: number }) {
    super(message);
    if (rate) Object.assign(this, rate);
    this.name = 'ApiError';
    this.code = code;
  }
}

/** What is not served says so, and the clients do not try again. */
export function notServed(what: string): ApiError {
  return new ApiError('not_served', `${what} is not served by Repoint`);
}

/** A worker speaks about a state of its run that is over. */
export function staleSnapshot(): ApiError {
  return new ApiError('stale_snapshot', 'Snapshot is not the latest one of this run');
}

export function invalidBody(error: ZodError): ApiError {
  const issue = error.issues[0];
  const path = issue?.path.length ? ` at "${issue.path.join('.')}"` : '';
  return new ApiError('bad_request', issue ? `Invalid request body: ${issue.message}${path}` : 'Invalid request body');
}

/** The vendor's error body `{error}` with its status; an engine's refusal keeps its own message. */
export function renderError(c: Context, error: unknown): Response {
  const known = error instanceof ApiError ? error : fromEngine(error);
  const status = STATUS[known.code];
  // The clients retry a 409 and every 5xx unless told otherwise.
  if (status === 501 || status === 409) c.header('x-should-retry', 'false');
  if (known.resetAtMs !== undefined) {
    // The clients wait until then: milliseconds since the epoch (@trigger.dev/core: apiClient/core.ts).
    c.header('x-ratelimit-limit', String(known.limit ?? 0));
    c.header('x-ratelimit-remaining', '0');
    c.header('x-ratelimit-reset', String(known.resetAtMs));
  }
  return c.json({ error: known.message, code: known.code }, status);
}

function fromEngine(error: unknown): ApiError {
  const code = errorCodeOf(error);
  const message = errorMessageOf(error);
  if (code === null) return new ApiError('internal', 'Internal Server Error');
  if (code === 'unknown-task') return new ApiError('not_found', `Task not found: ${message}`);
  if (code === 'unknown-run') return new ApiError('not_found', 'Run not found');
  if (code === 'payload-too-large') return new ApiError('payload_too_large', message);
  if (code === 'too-many' || code === 'run-ended') return new ApiError('invalid', message);
  if (code === 'overloaded') return new ApiError('overloaded', message);
  if (code === 'unserved') return new ApiError('not_served', message);
  return new ApiError(ERROR_CODES[code].status >= 500 ? 'internal' : 'bad_request', message);
}
