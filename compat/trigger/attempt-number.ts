import type { RunDetail } from '../../core/model/query.ts';
import type { CellApi } from '../../core/ports.ts';
import { readOutcomeMeta } from './run-meta.ts';

const HISTORY_PAGE = 200;

/**
 * Number of the last attempt that a worker began of a run that has ended; null: none. A completion leaves it with the run; what ended otherwise
 * (a cancellation whose time ran out, a worker that vanished) is looked up in its history, from the newest on.
 */
export async function endedAttemptOf(cell: CellApi, detail: RunDetail): Promise<number | null> {
  const recorded = readOutcomeMeta(detail.outcomeMeta).attemptNumber;
  if (recorded !== undefined) return recorded;
  if (detail.startedAt === null) return null;
  for (let upTo = detail.seq; upTo > 0; upTo -= HISTORY_PAGE) {
    const afterSeq = Math.max(0, upTo - HISTORY_PAGE);
    const entries = await cell.query({ type: 'history', run: detail.id, afterSeq, limit: upTo - afterSeq });
    const begun = entries.map(({ body }) => body).findLast((body) => body.kind === 'begin');
    if (begun) return begun.attempt + 1;
  }
  return null;
}
