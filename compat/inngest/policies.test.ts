import { describe, expect, it } from 'vitest';
import { toPolicies } from './policies.ts';

describe("a function's policies", () => {
  it('cost nothing where there are none, and null is none', () => {
    expect(toPolicies('app-f', {})).toEqual({});
    expect(toPolicies('app-f', { debounce: null, cancel: [], timeouts: null, priority: {}, idempotency: '' })).toEqual(
      {},
    );
  });

  it('are asked in the order in which the vendor asks them', () => {
    const { admit } = toPolicies('app-f', {
      singleton: { mode: 'skip' },
      debounce: { period: '5s' },
      rateLimit: { limit: 25, period: '1m', key: 'event.data.a' },
    });
    expect(admit).toEqual([
      {
        kind: 'rate',
        key: 'inngest/rate/app-f',
        expression: 'event.data.a',
        bound: { max: 25, periodMs: 60_000, shape: 'gcra', burst: 3 },
      },
      { kind: 'debounce', key: 'inngest/debounce/app-f', delayMs: 6_050, atMax: 'hold', keep: 'last' },
      { kind: 'single', key: 'inngest/singleton/app-f', taken: 'skip' },
    ]);
  });

  it('idempotency takes the place of a rate', () => {
    const { admit } = toPolicies('app-f', { idempotency: 'event.data.id', rateLimit: { limit: 1, period: '1m' } });
    expect(admit).toEqual([
      { kind: 'once', key: 'inngest/once/app-f', expression: 'event.data.id', ttlMs: 86_400_000 },
    ]);
  });

  it('a batch has the defaults of the vendor, and no start timeout', () => {
    expect(toPolicies('app-f', { batchEvents: {}, timeouts: { start: '1s', finish: '1h' } })).toEqual({
      admit: [{ kind: 'batch', key: 'inngest/batch/app-f', size: 100, waitMs: 60_000, maxBytes: 10 * 1_048_576 }],
      guards: { finishWithinMs: 3_600_000 },
    });
  });

  it('a cancellation waits for a year where it says nothing else', () => {
    expect(toPolicies('app-f', { cancel: [{ event: 'x', if: 'event.data.a == async.data.a' }] })).toEqual({
      guards: { cancelOn: [{ name: 'x', expression: 'event.data.a == async.data.a', withinMs: 365 * 86_400_000 }] },
    });
  });

  it.each([
    'async.data.a in [1, 2]',
    'async.data.a + 1 == 2',
    'has(async.data.a)',
    'async.data.a ? true : false',
    'lowercase(async.data.a) == "x"',
  ])('a cancellation by "%s" is refused', (condition) => {
    expect(() => toPolicies('app-f', { cancel: [{ event: 'x', if: condition }] })).toThrow(
      /"app-f".*cancelOn\[0\]\.if/,
    );
  });

  it.each([
    '!(async.data.a == -1) || async.data["b"] >= 2.5 && event.user.id != null',
    'async.data.list[0] == event.data.id',
  ])('a cancellation by "%s" is taken', (condition) => {
    expect(toPolicies('app-f', { cancel: [{ event: 'x', if: condition }] }).guards).toBeDefined();
  });
});
