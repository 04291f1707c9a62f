import { assertNever } from '../model/errors.ts';
import { clampTo, compileArithmetic } from './arithmetic.ts';

/** How long to wait before the next attempt. `n` below is the number of the retry, from 1. */
export type RetryPolicy =
  /** The n-th delay, the last one repeated, plus up to `jitterMs` at random. */
  | { kind: 'table'; delaysMs: readonly number[]; jitterMs: number }
  | { kind: 'constant'; delayMs: number }
  /** min(maxMs, r * minMs * factor^(n-1)); r in [1, 2) when `randomize`. */
  | { kind: 'exponential'; factor: number; minMs: number; maxMs: number; randomize: boolean }
  /** min(capMs, floor(e^(factor * n)) * unitMs); `unitMs` is 1,000 unless told. */
  | { kind: 'power'; factor: number; capMs: number; unitMs?: number }
  /** A formula (arithmetic.ts) over `retried` = n-1 that gives milliseconds. */
  | { kind: 'expression'; source: string; capMs?: number };

/** No delay is longer: 366 days, the longest a run may sleep. */
export const MAX_DELAY_MS = 366 * 86_400_000;
/** A formula is checked when it is stored; should one be unreadable all the same, this keeps it from retrying in a loop. */
const UNREADABLE_FORMULA_DELAY_MS = 60_000;

export interface RetryInput {
  /** Number of the attempt that has just failed, from 1. */
  attempt: number;
  maxAttempts: number;
  policy: RetryPolicy;
  /** Drawn by the caller, in [0, 1). */
  random01: number;
  nowMs: number;
  /** Asked for by the executor; takes the place of the policy's delay. */
  retryAtMs?: number;
}

export type RetryDecision = { retry: false } | { retry: true; atMs: number };

/** Retries while attempts are left: at the time asked for (never in the past), else after the policy's delay. */
export function decideRetry(input: RetryInput): RetryDecision {
  const { attempt, maxAttempts, policy, random01, nowMs, retryAtMs } = input;
  if (!(attempt < maxAttempts)) return { retry: false };
  const delayMs = retryAtMs === undefined ? retryDelay(policy, attempt, random01) : retryAtMs - nowMs;
  return { retry: true, atMs: nowMs + Math.round(clampTo(delayMs, MAX_DELAY_MS)) };
}

/** Delay before retry `n` (from 1), in whole milliseconds within 0 and `MAX_DELAY_MS`. */
export function retryDelay(policy: RetryPolicy, n: number, random01: number): number {
  return Math.round(clampTo(rawDelay(policy, Math.max(1, n), random01), MAX_DELAY_MS));
}

function rawDelay(policy: RetryPolicy, n: number, random01: number): number {
  switch (policy.kind) {
    case 'table': {
      const delayMs = policy.delaysMs[Math.min(n, policy.delaysMs.length) - 1] ?? 0;
      return delayMs + random01 * policy.jitterMs;
    }
    case 'constant':
      return policy.delayMs;
    case 'exponential': {
      const spread = policy.randomize ? 1 + random01 : 1;
      return clampTo(spread * policy.minMs * policy.factor ** (n - 1), policy.maxMs);
    }
    case 'power':
      return clampTo(Math.floor(Math.exp(policy.factor * n)) * (policy.unitMs ?? 1_000), policy.capMs);
    case 'expression': {
      const formula = compileArithmetic(policy.source);
      const delayMs = formula.ok ? formula.compute({ retried: n - 1 }) : UNREADABLE_FORMULA_DELAY_MS;
      return clampTo(delayMs, policy.capMs ?? MAX_DELAY_MS);
    }
    default:
      return assertNever(policy);
  }
}
