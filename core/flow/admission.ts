import type { Admission } from '../model/task.ts';

type Debounce = Extract<Admission, { kind: 'debounce' }>;
type Batch = Extract<Admission, { kind: 'batch' }>;

export interface OpenDebounce {
  openedMs: number;
  dueAt: number;
  /** When what it will work on happened, as its sender says. */
  ts: number;
}

export type DebounceDecision =
  /** What came is older than what is kept: it has no effect. */
  | { do: 'ignore' }
  /** The run goes as it is, and what came begins another. */
  | { do: 'renew' }
  | { do: 'push'; dueAt: number; replace: boolean };

/** What one more does to a run that waits for quiet. Times in ms since the epoch. */
export function decideDebounce(
  rule: Debounce,
  open: OpenDebounce,
  arrival: { nowMs: number; ts: number },
): DebounceDecision {
  const wantedAt = arrival.nowMs + rule.delayMs;
  const lastAt = rule.maxDelayMs === undefined ? Infinity : open.openedMs + rule.maxDelayMs;
  if (rule.atMax === 'renew' && wantedAt > lastAt) return { do: 'renew' };
  if (rule.keep === 'last' && arrival.ts < open.ts) return { do: 'ignore' };
  // Never earlier than it would have gone anyway.
  return { do: 'push', dueAt: Math.max(open.dueAt, Math.min(wantedAt, lastAt)), replace: rule.keep === 'last' };
}

/** Whether a batch with so many events, of so many characters altogether, goes at once. */
export function isFull(rule: Batch, events: number, chars: number): boolean {
  return events >= rule.size || chars >= rule.maxBytes;
}
