/**
 * How many takings in how much time.
 * `gcra`: after an idle time `burst` of them at once, then one every `periodMs / max`: in any span of t ms at most `burst + t * max / periodMs`.
 * `fixed`: at most `max` in a window of `periodMs` that begins with the first taking after the one before has ended.
 * `sliding`: at most `max` in any span of `periodMs`, wherever it begins.
 */
export interface RateBound {
  max: number;
  periodMs: number;
  shape: 'gcra' | 'fixed' | 'sliding';
  /** For `gcra` only: default 1, evenly spaced. */
  burst?: number;
}

/** `takes`: every call counts, its retries too; or a run's first call alone, whose later ones are not subject to it. */
export interface Rate extends RateBound {
  takes: 'call' | 'first-call';
}

/** `max` of a limit that bounds by its rate alone. */
export const UNBOUNDED = Number.MAX_SAFE_INTEGER;

/** What was set for a limit from outside: a bound here counts instead of the one that runs bring. Kept until it is taken back. */
export interface LimitRule {
  key: string;
  max?: number;
  rate?: Rate;
  paused: boolean;
}

/** Between a limit's key and the value of its sub-key, in the name of a counter. */
const SEPARATOR = '\u0001';
const ESCAPE = '\u0002';

/** The name of what counts: a limit, or one value of its sub-key. Two different pairs never have the same. */
export function counterOf(limit: { key: string; sub?: string }): string {
  const key = escaped(limit.key);
  return limit.sub === undefined ? key : key + SEPARATOR + limit.sub;
}

/** Bounds of the names of a limit's counters with a sub-key: from (inclusive) and to (exclusive). */
export function subCounters(key: string): { from: string; to: string } {
  return { from: escaped(key) + SEPARATOR, to: escaped(key) + ESCAPE };
}

/** The value of the sub-key in a counter's name, or null. */
export function subOf(key: string, counter: string): string | null {
  const { from } = subCounters(key);
  return counter.startsWith(from) ? counter.slice(from.length) : null;
}

function escaped(key: string): string {
  return key.includes(SEPARATOR) || key.includes(ESCAPE)
    ? key.replaceAll(ESCAPE, `${ESCAPE}e`).replaceAll(SEPARATOR, `${ESCAPE}s`)
    : key;
}
