import type { Amendment, Command, ResultOf } from '../model/command.ts';
import { moveExpiry } from './guards.ts';
import type { Kernel, RunHandle } from './kernel.ts';
import { inOrder } from './limit-order.ts';
import { closeWindow } from './window.ts';

/** Changes a run from outside, until its first lease. */
export function amend(k: Kernel, command: Extract<Command, { type: 'amend' }>): ResultOf<'amend'> {
  const handle = k.findNamed(command.run);
  const answer = (result: ResultOf<'amend'>['result']): ResultOf<'amend'> => ({ type: 'amend', result });
  if (!handle) return answer('unknown');
  if (handle.state.status !== 'running') return answer('ended');
  if (hasBegun(k, handle)) return answer('begun');
  if (command.when === 'delayed' && handle.state.head.dueAt <= k.now) return answer('due');
  amendRun(k, handle, command.change);
  return answer('amended');
}

export function hasBegun(k: Kernel, { state }: RunHandle): boolean {
  const { id, call } = state.head;
  return (
    state.startedAt !== null || state.steps.length > 0 || !state.pending.has(call.key) || !!k.leases.of(id, call.key)
  );
}

/** The change as an entry of the run's history, and what follows from it. */
export function amendRun(k: Kernel, handle: RunHandle, { input, limits, ...change }: Amendment): void {
  const { head } = handle.state;
  // A run that waits for one limit may hold another as a whole: it starts again from the beginning.
  if (limits)
    for (const limit of k.places.runLimitsOf(handle)) k.places.release(limit, head.holder ?? head.id, head.id);
  for (const limit of limits ?? []) k.places.declare(limit);
  if (change.labels) handle.labelsBefore ??= head.labels;
  if (change.events || change.addEvents) handle.events = null;
  // One that waits for quiet belongs to no event yet.
  if (head.window?.kind !== 'debounce') {
    const after = change.events ?? [...head.eventIds, ...(change.addEvents ?? [])];
    for (const event of head.eventIds) if (!after.includes(event)) k.events.removeRun(event, head.id);
    for (const event of after) if (!head.eventIds.includes(event)) k.events.addRun(event, head.id);
  }
  k.append(
    handle,
    {
      kind: 'amend',
      ...change,
      ...(limits ? { limits: inOrder(limits) } : {}),
      ...(input === undefined ? {} : { input: true as const }),
    },
    input ?? null,
  );
  if (change.expireAt !== undefined) moveExpiry(k, handle);
  if (handle.state.head.window && handle.state.head.dueAt <= k.now) closeWindow(k, handle);
}
