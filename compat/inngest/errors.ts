import { ERROR_CODES, errorCodeOf, errorMessageOf } from '../../core/model/errors.ts';
import { NestingError } from './canonical.ts';

/** An answer in the vendor's error shape (inngest/inngest: pkg/publicerr). The SDK needs `error` and `status`. */
export class InngestError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'InngestError';
    this.status = status;
    this.code = code;
  }
}

export interface ErrorBody {
  code: string;
  error: string;
  data: null;
  status: number;
}

/** Everything a route may throw, in one shape. What nobody foresaw says nothing about itself. */
export function toErrorBody(error: unknown): ErrorBody {
  if (error instanceof InngestError) return body(error.status, error.code, error.message);
  if (error instanceof NestingError) return body(400, 'invalid_json', `The body is ${error.message}.`);
  const code = errorCodeOf(error);
  if (code === null || code === 'internal') return body(500, 'internal', 'The server could not answer this request.');
  return body(ERROR_CODES[code].status, code, errorMessageOf(error));
}

function body(status: number, code: string, message: string): ErrorBody {
  return { code, error: message, data: null, status };
}

export function unserved(what: string): InngestError {
  return new InngestError(501, 'not_implemented', `${what} is not served by this server yet.`);
}
