import type { ResultOf } from '../../core/model/command.ts';
import type { CellApi } from '../../core/ports.ts';
import { labelOf } from './names.ts';
import { mainCallOf } from './waitpoints.ts';

/** Time for a worker to run its onCancel hooks (30 s) and answer (trigger.dev: PENDING_CANCEL stall). */
export const CANCEL_GRACE_MS = 60_000;
/** Descendants looked at for one cancellation. */
const MAX_DESCENDANTS = 1_000;

type Cancelled = ResultOf<'cancel'>['result'];

/** Cancels a run and, as the vendor does, everything that it started. A worker that executes it gets time to end by itself. */
export async function cancelRun(
  cell: CellApi,
  run: string,
  { reason, graceMs = CANCEL_GRACE_MS }: { reason?: string; graceMs?: number } = {},
): Promise<Cancelled> {
  const result = await cancelOne(cell, run, reason, graceMs);
  if (result !== 'cancelled' && result !== 'cancelling') return result;
  const queue = [run];
  const seen = new Set(queue);
  for (let parent = queue.shift(); parent !== undefined && seen.size < MAX_DESCENDANTS; parent = queue.shift()) {
    for (const child of await runningChildren(cell, parent)) {
      if (seen.has(child)) continue;
      seen.add(child);
      queue.push(child);
      await cancelOne(cell, child, reason ?? 'Parent run was canceled', graceMs);
    }
  }
  return result;
}

async function cancelOne(cell: CellApi, run: string, reason: string | undefined, graceMs: number): Promise<Cancelled> {
  const detail = graceMs > 0 ? await cell.query({ type: 'run-detail', run }) : null;
  const grace = detail && mainCallOf(detail)?.begun ? graceMs : 0;
  const [result] = await cell.apply([
    { type: 'cancel', run, ...(reason === undefined ? {} : { reason }), ...(grace > 0 ? { graceMs: grace } : {}) },
  ]);
  return result?.type === 'cancel' ? result.result : 'unknown';
}

async function runningChildren(cell: CellApi, parent: string): Promise<string[]> {
  const [waited, started] = await Promise.all([
    cell.query({ type: 'runs', parent, status: 'running', limit: MAX_DESCENDANTS }),
    cell.query({ type: 'runs', label: labelOf.parent(parent), status: 'running', limit: MAX_DESCENDANTS }),
  ]);
  return [...waited.items, ...started.items].map((child) => child.id);
}
