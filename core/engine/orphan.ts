import { MAIN } from '../model/call.ts';
import type { TaskRecord } from '../model/task.ts';
import { TIMERS_PER_TICK } from '../model/limits.ts';
import { moveExpiry, released } from './guards.ts';
import type { Kernel, RunHandle } from './kernel.ts';
import { releaseMatch, taskMatch } from './matching.ts';
import { endLease } from './report.ts';
import { putTimer, waiters } from './timers.ts';

/** Owner of the timer that goes on opening the runs that waited for a task: this and the task's id. */
export const OPENING_OWNER = 'open:';

/**
 * A call is due. If its task was removed and the run is not tied to the version that it began with, its translator decides, or the run waits
 * for the task. True: the call is not to be made now.
 */
export function isOrphaned(k: Kernel, handle: RunHandle, key: string): boolean {
  const { head, version, locked } = handle.state;
  if (k.tasks.get(head.task) !== null) return false;
  const task = k.tasks.at(head.task, version);
  if (locked || (task?.binding ?? 'start') === 'start') return false;
  const outcome = k.translators[head.executor]?.orphaned?.({
    run: head.id,
    key,
    attempt: handle.state.pending.get(key)?.attempt ?? 0,
    task: { id: head.task, version, executor: head.executor, data: task?.data ?? '{}' },
    meta: head.meta,
  });
  if (outcome) endLease(k, handle, { key, seenSeq: handle.state.seq, pullLease: null }, outcome);
  else if (task?.binding === 'lease') k.append(handle, { kind: 'park' });
  return outcome ? true : handle.state.parked;
}

/** A task is registered: the runs that waited for it are queued, oldest first, so many in one transaction. */
export function openParked(k: Kernel, task: TaskRecord): void {
  const waiting = waiters(k, taskMatch(task.id), TIMERS_PER_TICK);
  for (const { run } of waiting) {
    const handle = k.find(run);
    if (!handle?.state.parked) continue;
    k.append(handle, {
      kind: 'open',
      version: handle.state.locked ? handle.state.version : task.version,
      pool: task.mode === 'push' ? null : (handle.state.head.ownPool ?? task.pool ?? ''),
    });
    if (handle.state.startedAt === null) moveExpiry(k, handle);
  }
  if (waiting.length === TIMERS_PER_TICK) putTimer(k, OPENING_OWNER + task.id, MAIN, 'open', k.now);
  openReleased(k, task);
}

/** Those that waited for what this version is part of are tied to it. */
export function openReleased(k: Kernel, { id, release, version, mode, versionPool, pool = '' }: TaskRecord): void {
  if (release === undefined) return;
  const waiting = waiters(k, releaseMatch(id, release), TIMERS_PER_TICK);
  for (const { run } of waiting) {
    const handle = k.find(run);
    if (!handle?.state.parked) continue;
    k.append(handle, { kind: 'open', version, pool: mode === 'push' ? null : (versionPool ?? pool), locked: true });
    released(k, handle);
  }
  if (waiting.length === TIMERS_PER_TICK) putTimer(k, OPENING_OWNER + id, String(version), 'open', k.now);
}
