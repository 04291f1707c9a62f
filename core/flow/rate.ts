import type { RateBound } from '../model/limit.ts';
import { NEVER_MS } from '../model/limits.ts';

/**
 * What a rate remembers of the takings so far; null: nothing, as after a long idle time. Plain JSON, so that it outlives a restart.
 * `gcra`: the debt at `atMs`, in units of which a taking costs `cost` (the period in ms) and of which `max` drain each ms: whole numbers, no rounding.
 * `fixed`: takings since the window's beginning. `sliding`: takings by time, a few neighbours counted together at the time of the latest of them.
 */
export type RateState =
  | { shape: 'gcra'; atMs: number; debt: number; cost: number }
  | { shape: 'fixed'; startMs: number; used: number }
  | { shape: 'sliding'; takings: Array<[atMs: number, count: number]> };

/** Entries that a sliding window keeps: with more takings than this in a period, neighbours within a 64th of it are counted together. */
const SLIDING_ENTRIES = 64;

/** How many may be taken now. */
export function rateRoom(bound: RateBound, state: RateState | null, nowMs: number): number {
  if (bound.max <= 0) return 0;
  const now = upToDate(bound, state, nowMs);
  switch (now.shape) {
    case 'gcra':
      return Math.max(0, Math.floor((burstOf(bound) * bound.periodMs - now.debt) / bound.periodMs));
    case 'fixed':
      return Math.max(0, bound.max - now.used);
    case 'sliding':
      return Math.max(0, bound.max - countOf(now.takings));
  }
}

/** The earliest time, at `nowMs` or later, at which one more may be taken; NEVER_MS where the bound is 0. */
export function rateOpensAt(bound: RateBound, state: RateState | null, nowMs: number): number {
  if (bound.max <= 0) return NEVER_MS;
  const now = upToDate(bound, state, nowMs);
  switch (now.shape) {
    case 'gcra': {
      const over = now.debt - (burstOf(bound) - 1) * bound.periodMs;
      return over <= 0 ? nowMs : nowMs + Math.ceil(over / bound.max);
    }
    case 'fixed':
      return now.used < bound.max ? nowMs : now.startMs + bound.periodMs;
    case 'sliding': {
      let over = countOf(now.takings) - bound.max + 1;
      if (over <= 0) return nowMs;
      for (const [atMs, count] of now.takings) {
        over -= count;
        if (over <= 0) return atMs + bound.periodMs;
      }
      return nowMs;
    }
  }
}

/** Counts takings now. That there is room is the caller's to ask: what is taken beyond it is owed. */
export function rateTake(bound: RateBound, state: RateState | null, nowMs: number, count = 1): RateState {
  const now = upToDate(bound, state, nowMs);
  switch (now.shape) {
    case 'gcra':
      return { ...now, debt: now.debt + count * bound.periodMs };
    case 'fixed':
      return { ...now, used: now.used + count };
    case 'sliding': {
      const grain = bound.max <= SLIDING_ENTRIES ? 1 : Math.ceil(bound.periodMs / SLIDING_ENTRIES);
      const last = now.takings.at(-1);
      // The later time stands for both: they leave the window late rather than early.
      const joins = last !== undefined && Math.floor(last[0] / grain) === Math.floor(nowMs / grain);
      return joins
        ? { shape: 'sliding', takings: [...now.takings.slice(0, -1), [nowMs, last[1] + count]] }
        : { shape: 'sliding', takings: [...now.takings, [nowMs, count]] };
    }
  }
}

/** Whether nothing of the past counts any more: the state may be forgotten. */
export function rateIsIdle(bound: RateBound, state: RateState | null, nowMs: number): boolean {
  const now = upToDate(bound, state, nowMs);
  switch (now.shape) {
    case 'gcra':
      return now.debt === 0;
    case 'fixed':
      return now.used === 0;
    case 'sliding':
      return now.takings.length === 0;
  }
}

/** The earliest time at which nothing of the past counts. */
export function rateIdleAt(bound: RateBound, state: RateState | null, nowMs: number): number {
  const now = upToDate(bound, state, nowMs);
  switch (now.shape) {
    case 'gcra':
      return nowMs + Math.ceil(now.debt / Math.max(1, bound.max));
    case 'fixed':
      return now.used === 0 ? nowMs : now.startMs + bound.periodMs;
    case 'sliding':
      return (now.takings.at(-1)?.[0] ?? nowMs - bound.periodMs) + bound.periodMs;
  }
}

/** For people: takings that count now, and since when; null when none does. */
export function rateUsage(
  bound: RateBound,
  state: RateState | null,
  nowMs: number,
): { used: number; startMs: number | null } {
  const now = upToDate(bound, state, nowMs);
  switch (now.shape) {
    case 'gcra':
      return now.debt === 0
        ? { used: 0, startMs: null }
        : { used: Math.ceil(now.debt / bound.periodMs), startMs: nowMs };
    case 'fixed':
      return { used: now.used, startMs: now.used === 0 ? null : now.startMs };
    case 'sliding':
      return { used: countOf(now.takings), startMs: now.takings[0]?.[0] ?? null };
  }
}

/**
 * The state as it counts now and under this bound. A bound of another period or shape takes over what is owed; a time ahead (the clock was set back)
 * is now: what was taken then still counts, for at most as long as it would have.
 */
function upToDate(bound: RateBound, state: RateState | null, nowMs: number): RateState {
  switch (bound.shape) {
    case 'gcra': {
      if (state?.shape !== 'gcra')
        return { shape: 'gcra', atMs: nowMs, debt: takingsOf(state) * bound.periodMs, cost: bound.periodMs };
      const drained = Math.max(0, nowMs - state.atMs) * bound.max;
      const debt = state.cost === bound.periodMs ? state.debt : Math.ceil((state.debt / state.cost) * bound.periodMs);
      return { shape: 'gcra', atMs: nowMs, debt: Math.max(0, debt - drained), cost: bound.periodMs };
    }
    case 'fixed': {
      if (state?.shape !== 'fixed') return { shape: 'fixed', startMs: nowMs, used: takingsOf(state) };
      const startMs = Math.min(state.startMs, nowMs);
      return nowMs >= startMs + bound.periodMs
        ? { shape: 'fixed', startMs: nowMs, used: 0 }
        : { shape: 'fixed', startMs, used: state.used };
    }
    case 'sliding': {
      const used = takingsOf(state);
      if (state?.shape !== 'sliding') return { shape: 'sliding', takings: used === 0 ? [] : [[nowMs, used]] };
      return {
        shape: 'sliding',
        takings: state.takings
          .map(([atMs, count]): [number, number] => [Math.min(atMs, nowMs), count])
          .filter(([atMs]) => atMs + bound.periodMs > nowMs),
      };
    }
  }
}

function takingsOf(state: RateState | null): number {
  switch (state?.shape) {
    case undefined:
      return 0;
    case 'gcra':
      return Math.ceil(state.debt / state.cost);
    case 'fixed':
      return state.used;
    case 'sliding':
      return countOf(state.takings);
  }
}

function countOf(takings: ReadonlyArray<[number, number]>): number {
  let sum = 0;
  for (const [, count] of takings) sum += count;
  return sum;
}

function burstOf(bound: RateBound): number {
  return Math.max(1, bound.burst ?? 1);
}
