import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideRetry, MAX_DELAY_MS, retryDelay, type RetryPolicy } from './backoff.ts';

const table: RetryPolicy = { kind: 'table', delaysMs: [15_000, 30_000, 60_000], jitterMs: 30_000 };
const power: RetryPolicy = { kind: 'power', factor: 2.5, capMs: 86_400_000 };

describe('retryDelay', () => {
  it('walks a table, repeats its last entry and adds jitter', () => {
    expect([1, 2, 3, 4, 99].map((n) => retryDelay(table, n, 0))).toEqual([15_000, 30_000, 60_000, 60_000, 60_000]);
    expect(retryDelay(table, 1, 0.5)).toBe(30_000);
  });

  it('grows by a power of e up to the cap', () => {
    expect([1, 2, 3, 4, 5, 6].map((n) => retryDelay(power, n, 0))).toEqual([
      12_000, 148_000, 1_808_000, 22_026_000, 86_400_000, 86_400_000,
    ]);
  });

  it('grows exponentially from the minimum to the maximum, spread by up to two', () => {
    const policy: RetryPolicy = { kind: 'exponential', factor: 2, minMs: 1_000, maxMs: 60_000, randomize: true };
    expect([1, 2, 3, 10].map((n) => retryDelay(policy, n, 0))).toEqual([1_000, 2_000, 4_000, 60_000]);
    expect(retryDelay(policy, 1, 0.5)).toBe(1_500);
    expect(retryDelay({ ...policy, randomize: false }, 1, 0.5)).toBe(1_000);
  });

  it('computes a formula from the retries made so far', () => {
    expect([1, 2, 3].map((n) => retryDelay({ kind: 'expression', source: '1000 * (1 + retried)' }, n, 0))).toEqual([
      1_000, 2_000, 3_000,
    ]);
    expect(retryDelay({ kind: 'expression', source: '1 / retried', capMs: 5_000 }, 1, 0)).toBe(5_000);
    expect(retryDelay({ kind: 'expression', source: '0 / retried' }, 1, 0)).toBe(0);
    expect(retryDelay({ kind: 'expression', source: '0 - 5' }, 1, 0)).toBe(0);
    expect(retryDelay({ kind: 'expression', source: 'oops(' }, 1, 0)).toBe(60_000);
  });
});

describe('decideRetry', () => {
  const base = {
    maxAttempts: 4,
    policy: { kind: 'constant', delayMs: 2_000 } as RetryPolicy,
    random01: 0,
    nowMs: 1_000_000,
  };

  it('retries only while attempts are left', () => {
    expect(decideRetry({ ...base, attempt: 3 })).toEqual({ retry: true, atMs: 1_002_000 });
    expect(decideRetry({ ...base, attempt: 4 })).toEqual({ retry: false });
    expect(decideRetry({ ...base, attempt: 1, maxAttempts: 1 })).toEqual({ retry: false });
  });

  it('prefers the time asked for, but never the past', () => {
    expect(decideRetry({ ...base, attempt: 1, retryAtMs: 1_500_000 })).toEqual({ retry: true, atMs: 1_500_000 });
    expect(decideRetry({ ...base, attempt: 1, retryAtMs: 5 })).toEqual({ retry: true, atMs: 1_000_000 });
  });

  it('gives a whole time between now and the longest delay for any policy', () => {
    const num = fc.double({ min: -1e6, max: 1e15, noNaN: true });
    const policy: fc.Arbitrary<RetryPolicy> = fc.oneof(
      fc.record({ kind: fc.constant('table' as const), delaysMs: fc.array(num), jitterMs: num }),
      fc.record({ kind: fc.constant('constant' as const), delayMs: num }),
      fc.record({
        kind: fc.constant('exponential' as const),
        factor: num,
        minMs: num,
        maxMs: num,
        randomize: fc.boolean(),
      }),
      fc.record({ kind: fc.constant('power' as const), factor: num, capMs: num }),
      fc.record({
        kind: fc.constant('expression' as const),
        source: fc.constantFrom('pow(retried, retried)', 'sqrt(0-1)', '1/0', 'x'),
      }),
    );
    fc.assert(
      fc.property(
        policy,
        fc.integer({ min: 1, max: 1_000 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (p, attempt, random01) => {
          const decision = decideRetry({ attempt, maxAttempts: 2_000, policy: p, random01, nowMs: 7 });
          if (!decision.retry) throw new Error('no retry');
          return Number.isInteger(decision.atMs) && decision.atMs >= 7 && decision.atMs <= 7 + MAX_DELAY_MS;
        },
      ),
    );
  });
});
