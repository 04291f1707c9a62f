import { NEVER_MS } from '../model/limits.ts';
import { eventTextOf, KeyReader } from './binding.ts';
import { armGuards } from './guards.ts';
import type { Kernel, RunHandle } from './kernel.ts';
import { inOrder } from './limit-order.ts';
import { takeSingle } from './single.ts';
import { priorityOf, templateLimits } from './templates.ts';

/**
 * A run that collects stops doing so: it takes no more, and stands from now on like one that was just started. What depends on the event
 * that it ends up with (limits, priority, guards, whether it is the only one) is decided here. `dueAt`: when its first call is due.
 */
export function closeWindow(k: Kernel, handle: RunHandle, dueAt = handle.state.head.dueAt): void {
  const { head, input } = handle.state;
  const { window } = head;
  if (!window) return;
  k.names.drop(window.name, head.id);
  const first = k.firstEventOf(handle);
  const keys = new KeyReader(k.now, () => eventTextOf(first ? [first] : null, input));
  const task = k.taskOf(handle) ?? k.tasks.at(head.task, head.version);
  const holds: string[] = [];
  let skipped = k.places.skipsStarts(head.task, task, {});
  for (const rule of task?.admit ?? []) {
    if (rule.kind !== 'single') continue;
    const name = takeSingle(k, rule, keys);
    skipped ||= name === 'taken';
    if (name !== null && name !== 'taken') holds.push(name);
  }
  if (window.kind === 'debounce') for (const id of head.eventIds) k.events.addRun(id, head.id);
  const priorityMs = task && head.priorityMs === 0 ? priorityOf(task, keys) : head.priorityMs;
  k.append(handle, {
    kind: 'amend',
    closed: true,
    // An event of the future waits for its time after all.
    dueAt: window.kind === 'debounce' ? Math.max(dueAt, first?.ts ?? 0) : dueAt,
    limits: task ? inOrder([...head.limits, ...templateLimits(k, task, keys)]) : head.limits,
    ...(priorityMs === head.priorityMs ? {} : { priorityMs }),
    ...(skipped || holds.length === 0 ? {} : { holds }),
  });
  if (skipped) return k.end(handle, { status: 'cancelled', data: null, reason: 'skipped' });
  for (const name of holds) k.names.put(name, head.id, NEVER_MS);
  armGuards(k, handle);
}

/** The run that collects under this name. */
export function openRun(k: Kernel, name: string): RunHandle | null {
  const run = k.names.runOf(name);
  const handle = run === null ? null : k.find(run);
  if (handle?.state.head.window?.name !== name) return null;
  if (handle.state.head.dueAt > k.now) return handle;
  // Its time is over, though nobody has looked at the clock yet.
  closeWindow(k, handle);
  return null;
}
