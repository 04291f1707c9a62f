import { errorCodeOf, errorMessageOf, type ErrorCode, ERROR_CODES } from '../../core/model/errors.ts';

/** An answer in the vendor's error shape: `{"error": text}` with its status. */
export class WireError extends Error {
  readonly status: number;
  readonly code: string | null;
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    status: number,
    message: string,
    code: string | null = null,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = 'WireError';
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

export function badHeader(name: string, value: string, reason: string): WireError {
  return new WireError(400, `invalid header ${name}: ${JSON.stringify(value.slice(0, 200))} ${reason}`);
}

export function notFound(what: string): WireError {
  return new WireError(404, `${what} not found`);
}

/** Not served yet. `code` is stable; the answer never pretends. */
export function unserved(code: string, message: string): WireError {
  return new WireError(501, message, code);
}

/** SDKs compare only the status; a few codes have another one on this wire. */
const STATUS: Partial<Record<ErrorCode, number>> = { 'too-many': 412, 'stale-lease': 400, 'signal-conflict': 400 };

export function renderError(error: unknown): Response {
  if (error instanceof WireError) {
    const body = { error: error.message, ...(error.code === null ? {} : { code: error.code }) };
    return json(body, error.status, error.headers);
  }
  const code = errorCodeOf(error);
  if (code === null) throw error;
  return json({ error: errorMessageOf(error) }, STATUS[code] ?? ERROR_CODES[code].status);
}

export function json(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(value), { status, headers: { 'content-type': 'application/json', ...headers } });
}
