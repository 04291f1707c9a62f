import type { Outcome } from '../../core/model/call.ts';
import { canonicalJson } from './canonical.ts';
import type { LimitError } from './limits.ts';

/** What the headers of an answer say of its retry. */
export interface RetryWish {
  noRetry: boolean;
  retryAt: number | null;
}

/** Kept with the end of a run whose app said that it must not be tried again. */
export const NO_RETRY_META = '{"noRetry":true}';

/** The call failed: retried as the answer wishes. `error` is canonical text. */
export function failure(error: string, wish: RetryWish): Outcome {
  const retry = wish.noRetry ? 'never' : wish.retryAt === null ? 'policy' : { at: wish.retryAt };
  return { ops: [{ op: 'fail', error, retry }], ...(wish.noRetry ? { meta: NO_RETRY_META } : {}) };
}

/** The run fails, whatever attempts are left. */
export function runFailure(name: string, message: string, more: object = {}): Outcome {
  return { ops: [{ op: 'fail', error: canonicalJson({ ...more, message, name }), retry: 'never' }] };
}

/** The run has met one of the vendor's bounds. */
export function limitFailure(error: LimitError): Outcome {
  return { ops: [{ op: 'fail', error: canonicalJson(error), retry: 'never' }] };
}
