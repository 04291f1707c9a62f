import type { ResultOf } from '../model/command.ts';
import { cancelChildrenOf, CHILDREN_OWNER, runningChildren } from './children.ts';
import { endRun } from './end.ts';
import type { Kernel } from './kernel.ts';
import { dropTimer, putTimer } from './timers.ts';

/** Children cancelled in one transaction. */
const BATCH = 200;

/** Ends a run now; a pull call that a worker holds gets `graceMs` to end by itself. */
export function cancel(
  k: Kernel,
  run: string,
  reason: string | undefined,
  graceMs: number | undefined,
  /** The grace is for a worker that has begun: one that has not is not waited for. */
  begunOnly = false,
): ResultOf<'cancel'>['result'] {
  const handle = k.findNamed(run);
  if (!handle) return 'unknown';
  if (handle.state.status !== 'running') return 'ended';
  const held = [...handle.state.pending.values()].find((pending) => pending.lease !== null);
  if (held && graceMs !== undefined && graceMs > 0 && (!begunOnly || held.begun)) {
    if (!handle.state.cancelling) {
      const untilMs = k.now + graceMs;
      k.append(handle, { kind: 'cancelling', untilMs, ...(reason === undefined ? {} : { reason }) });
      k.moveLease(handle, held.key, untilMs);
      cancelChildrenOf(k, handle.state.head.id);
    }
    return 'cancelling';
  }
  endRun(k, handle, { status: 'cancelled', data: null, reason: reason ?? 'cancelled' });
  return 'cancelled';
}

/** The next batch. Called by the timer, which is set again while there are more. */
export function cancelChildren(k: Kernel, owner: string): void {
  const run = owner.slice(CHILDREN_OWNER.length);
  const cursor = k.meta.get(owner) ?? '';
  const children = runningChildren(k, run, cursor, BATCH);
  for (const { id, graceMs } of children) cancel(k, id, 'parent-cancelled', graceMs, true);
  const last = children.at(-1);
  if (children.length === BATCH && last) {
    k.meta.set(owner, last.id);
    putTimer(k, owner, '', 'children', k.now);
  } else {
    dropTimer(k, owner, '');
    if (cursor !== '') k.meta.delete(owner);
  }
}
