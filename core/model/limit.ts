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
