import type { RunHead } from '../history/state.ts';
import type { CallSpec } from '../model/call.ts';
import { counterOf } from '../model/limit.ts';
import type { LimitSpec } from '../model/task.ts';

/**
 * What a call names for itself takes the place of what other calls of its run are subject to, not of what the run holds as a whole. That it asks for first,
 * whatever the names: a run that has it may come to wait for what a call names, so nobody who has that may wait for it.
 */
export function limitsUnder({ limits }: RunHead, call: CallSpec | null): readonly LimitSpec[] {
  if (!call?.limits) return limits;
  const whole = limits.filter(({ hold }) => hold === 'run');
  const counters = new Set(whole.map((limit) => counterOf(limit)));
  const own = inOrder(call.limits).filter((limit) => !counters.has(counterOf(limit)));
  return [...whole, ...own];
}

/**
 * The order in which a call asks its limits. What a run holds as a whole first, by key, always the same, so that two runs never wait for each other. Then
 * what only some calls are subject to before what is shared: rates, sub-keys, the rest. So those who wait for a shared limit could go but for it.
 */
export function inOrder(limits: readonly LimitSpec[]): LimitSpec[] {
  if (limits.length < 2) return [...limits];
  // One that is named twice is asked once, as it was named last: a run that is started anew brings those of its template too.
  return [...new Map(limits.map((limit) => [counterOf(limit), limit])).values()].sort(
    (a, b) => rankOf(a) - rankOf(b) || compareText(counterOf(a), counterOf(b)),
  );
}

function rankOf(limit: LimitSpec): number {
  return limit.hold === 'run' ? 0 : limit.rate ? 1 : limit.sub === undefined ? 3 : 2;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
