/** Codes of everything the engine refuses. Compat renders them in its vendor's shape. */
export const ERROR_CODES = {
  'bad-request': { status: 400, retryable: false },
  'unknown-task': { status: 404, retryable: false },
  'unknown-run': { status: 404, retryable: false },
  'unknown-step': { status: 404, retryable: false },
  'unknown-schedule': { status: 404, retryable: false },
  'unknown-dead-letter': { status: 404, retryable: false },
  'run-ended': { status: 400, retryable: false },
  'stale-lease': { status: 409, retryable: false },
  'payload-too-large': { status: 413, retryable: false },
  'too-many': { status: 422, retryable: false },
  'bad-expression': { status: 400, retryable: false },
  'bad-cron': { status: 400, retryable: false },
  'signal-conflict': { status: 409, retryable: false },
  unserved: { status: 501, retryable: false },
  overloaded: { status: 503, retryable: true },
  internal: { status: 500, retryable: true },
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export class EngineError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    // Error classes do not survive RPC between Workers: the code travels in the message's head too.
    super(`${code}: ${message}`, options);
    this.name = 'EngineError';
    this.code = code;
  }
}

/** Works for an error that crossed an RPC boundary and lost its class. */
export function errorCodeOf(error: unknown): ErrorCode | null {
  if (!(error instanceof Error)) return null;
  const head = /^(?:\w*Error: )?([a-z-]+): /.exec(error.message)?.[1];
  return head !== undefined && head in ERROR_CODES ? (head as ErrorCode) : null;
}

/** The message without the code's head. */
export function errorMessageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = errorCodeOf(error);
  return code ? error.message.slice(error.message.indexOf(`${code}: `) + code.length + 2) : error.message;
}

export function assertNever(value: never): never {
  throw new EngineError('internal', `unexpected ${JSON.stringify(value)}`);
}
