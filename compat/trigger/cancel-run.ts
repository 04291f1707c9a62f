import type { ResultOf } from '../../core/model/command.ts';
import type { CellApi } from '../../core/ports.ts';
import { CANCEL_GRACE_MS } from './start-run.ts';
import { mainCallOf } from './waitpoints.ts';

type Cancelled = ResultOf<'cancel'>['result'];

/** Cancels a run; what it started follows by itself (`parent.cancelGraceMs`). A worker that executes it gets time to end by itself. */
export async function cancelRun(
  cell: CellApi,
  run: string,
  { reason, graceMs = CANCEL_GRACE_MS }: { reason?: string; graceMs?: number } = {},
): Promise<Cancelled> {
  const detail = graceMs > 0 ? await cell.query({ type: 'run-detail', run }) : null;
  const grace = detail && mainCallOf(detail)?.begun ? graceMs : 0;
  const [result] = await cell.apply([
    { type: 'cancel', run, ...(reason === undefined ? {} : { reason }), ...(grace > 0 ? { graceMs: grace } : {}) },
  ]);
  return result?.type === 'cancel' ? result.result : 'unknown';
}
