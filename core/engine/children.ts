import type { Kernel } from './kernel.ts';
import { putTimer } from './timers.ts';

/** Owner of the timer that cancels a run's children: this and the run's id. */
export const CHILDREN_OWNER = 'children:';

/** The run is cancelled: those of its children that end with it follow, by a timer, however many and however deep they are. */
export function cancelChildrenOf(k: Kernel, run: string): void {
  k.flush();
  if (runningChildren(k, run, '', 1).length > 0) putTimer(k, CHILDREN_OWNER + run, '', 'children', k.now);
}

/** Unended children that are to be cancelled with the run, oldest first. */
export function runningChildren(
  k: Kernel,
  run: string,
  after: string,
  limit: number,
): Array<{ id: string; graceMs: number }> {
  return k.sql
    .all<{ id: string; grace: number }>(
      `SELECT id, json_extract(head, '$.parent.cancelGraceMs') AS grace FROM runs
       WHERE parent = ? AND id > ? AND status = 'running' AND json_extract(head, '$.parent.cancelGraceMs') IS NOT NULL ORDER BY id LIMIT ?`,
      run,
      after,
      limit,
    )
    .map(({ id, grace }) => ({ id, graceMs: grace }));
}
