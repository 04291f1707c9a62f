import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RateBound } from '../model/limit.ts';
import { NEVER_MS } from '../model/limits.ts';
import { rateIdleAt, rateIsIdle, rateOpensAt, rateRoom, type RateState, rateTake, rateUsage } from './rate.ts';

const START = Date.UTC(2026, 0, 1);

const bounds = fc.record({
  max: fc.integer({ min: 1, max: 200 }),
  periodMs: fc.integer({ min: 1, max: 100_000 }),
  shape: fc.constantFrom('gcra' as const, 'fixed' as const, 'sliding' as const),
  burst: fc.integer({ min: 1, max: 250 }),
});
/** Pauses between looks: mostly short against the period, so that the bound is reached. */
const pauses = fc.array(fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1.5, noNaN: true })), { maxLength: 60 });
const wishes = fc.infiniteStream(fc.integer({ min: 0, max: 300 }));

/** Takes as much as is wished for and allowed after each pause. Returns the time of each taking. */
function drive(bound: RateBound, waits: readonly number[], wish: Iterable<number>): number[] {
  const wanted = wish[Symbol.iterator]();
  const times: number[] = [];
  let state: RateState | null = null;
  let now = START;
  for (const wait of waits) {
    now += Math.round(wait * bound.periodMs);
    const n = Math.min(rateRoom(bound, state, now), wanted.next().value as number);
    if (n === 0) continue;
    // What was written is what is read after a restart.
    state = JSON.parse(JSON.stringify(rateTake(bound, state, now, n))) as RateState;
    for (let i = 0; i < n; i++) times.push(now);
  }
  return times;
}

/** The most takings in any span of `spanMs`, its end left out. */
function densest(times: readonly number[], spanMs: number): number {
  let most = 0;
  for (let from = 0, to = 0; from < times.length; from++) {
    while (to < times.length && (times[to] as number) < (times[from] as number) + spanMs) to++;
    most = Math.max(most, to - from);
  }
  return most;
}

describe('a rate', () => {
  it('never lets more through than its shape allows, whatever is asked and when', () => {
    fc.assert(
      fc.property(bounds, pauses, wishes, fc.double({ min: 0.01, max: 3, noNaN: true }), (bound, waits, wish, part) => {
        const times = drive(bound, waits, wish);
        if (bound.shape === 'sliding') expect(densest(times, bound.periodMs)).toBeLessThanOrEqual(bound.max);
        if (bound.shape === 'fixed') expect(densest(times, bound.periodMs)).toBeLessThanOrEqual(2 * bound.max);
        if (bound.shape === 'gcra') {
          const spanMs = Math.max(1, Math.round(part * bound.periodMs));
          const most = bound.burst + (spanMs * bound.max) / bound.periodMs;
          expect(densest(times, spanMs)).toBeLessThanOrEqual(Math.ceil(most));
        }
      }),
    );
  });

  it('has windows of at most max when they are fixed, each beginning with a taking', () => {
    fc.assert(
      fc.property(bounds, pauses, wishes, (any, waits, wish) => {
        const bound: RateBound = { ...any, shape: 'fixed' };
        const times = drive(bound, waits, wish);
        for (let i = 0; i < times.length;) {
          const inWindow = times.filter(
            (at) => at >= (times[i] as number) && at < (times[i] as number) + bound.periodMs,
          );
          expect(inWindow.length).toBeLessThanOrEqual(bound.max);
          i += inWindow.length;
        }
      }),
    );
  });

  it('opens exactly when it says, neither later nor a millisecond earlier', () => {
    fc.assert(
      fc.property(bounds, pauses, fc.integer({ min: 0, max: 1000 }), (bound, waits, laterMs) => {
        let state: RateState | null = null;
        let now = START;
        for (const wait of waits) {
          now += Math.round(wait * bound.periodMs);
          const room = rateRoom(bound, state, now);
          if (room > 0) state = rateTake(bound, state, now, room);
        }
        now += laterMs;
        const opensAt = rateOpensAt(bound, state, now);
        expect(rateRoom(bound, state, opensAt)).toBeGreaterThan(0);
        if (opensAt > now) expect(rateRoom(bound, state, opensAt - 1)).toBe(0);
        expect(opensAt).toBeLessThanOrEqual(now + bound.periodMs);
      }),
    );
  });

  it('forgets all when it is idle, and is idle when it says', () => {
    fc.assert(
      fc.property(bounds, fc.integer({ min: 1, max: 250 }), (bound, wanted) => {
        const n = Math.min(wanted, rateRoom(bound, null, START));
        const state = rateTake(bound, null, START, n);
        const idleAt = rateIdleAt(bound, state, START);
        expect(rateIsIdle(bound, state, START)).toBe(false);
        expect(rateIsIdle(bound, state, idleAt - 1)).toBe(false);
        expect(rateIsIdle(bound, state, idleAt)).toBe(true);
        expect(rateRoom(bound, state, idleAt)).toBe(rateRoom(bound, null, idleAt));
        expect(rateUsage(bound, state, idleAt)).toEqual({ used: 0, startMs: null });
      }),
    );
  });

  it('is not shut for longer than its period when the clock is set back, and gives nothing for it', () => {
    fc.assert(
      fc.property(bounds, fc.integer({ min: 1, max: 1e9 }), (bound, backMs) => {
        const state = rateTake(bound, null, START, rateRoom(bound, null, START));
        const now = START - backMs;
        expect(rateRoom(bound, state, now)).toBe(0);
        expect(rateOpensAt(bound, state, now)).toBeLessThanOrEqual(now + bound.periodMs);
      }),
    );
  });
});

describe('a rate of 10 a minute', () => {
  const room = (bound: Partial<RateBound>, taken: number, afterMs: number): number => {
    const full: RateBound = { max: 10, periodMs: 60_000, shape: 'gcra', ...bound };
    return rateRoom(full, taken === 0 ? null : rateTake(full, null, START, taken), START + afterMs);
  };

  it('gives the burst at once and then one every 6 seconds', () => {
    expect(room({ burst: 3 }, 0, 0)).toBe(3);
    expect(room({ burst: 3 }, 3, 5_999)).toBe(0);
    expect(room({ burst: 3 }, 3, 6_000)).toBe(1);
    expect(room({ burst: 3 }, 3, 12_000)).toBe(2);
    expect(room({}, 1, 5_999)).toBe(0);
  });

  it('gives ten again when a window is over', () => {
    expect(room({ shape: 'fixed' }, 10, 59_999)).toBe(0);
    expect(room({ shape: 'fixed' }, 10, 60_000)).toBe(10);
    expect(room({ shape: 'sliding' }, 4, 59_999)).toBe(6);
    expect(room({ shape: 'sliding' }, 4, 60_000)).toBe(10);
  });

  it('lets nothing through when it is set to 0', () => {
    const none: RateBound = { max: 0, periodMs: 1000, shape: 'fixed' };
    expect([rateRoom(none, null, START), rateOpensAt(none, null, START)]).toEqual([0, NEVER_MS]);
  });

  it('keeps what was taken when its bound changes', () => {
    const before: RateBound = { max: 10, periodMs: 60_000, shape: 'gcra', burst: 10 };
    const state = rateTake(before, null, START, 10);
    for (const shape of ['gcra', 'fixed', 'sliding'] as const)
      expect(rateRoom({ max: 12, periodMs: 1_000, burst: 12, shape }, state, START)).toBe(2);
  });

  it('keeps a sliding window of many takings small', () => {
    const bound: RateBound = { max: 100_000, periodMs: 60_000, shape: 'sliding' };
    let state: RateState | null = null;
    for (let i = 0; i < 60_000; i++) state = rateTake(bound, state, START + i);
    expect(JSON.stringify(state).length).toBeLessThan(2_000);
    expect(rateUsage(bound, state, START + 59_999).used).toBe(60_000);
  });
});
