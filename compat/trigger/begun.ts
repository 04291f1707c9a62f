import { MAIN } from '../../core/model/call.ts';
import type { RunDetail } from '../../core/model/query.ts';
import type { CellApi } from '../../core/ports.ts';
import { parseJson, isRecord } from './packets.ts';
import { mainCallOf } from './waitpoints.ts';

/** Written when a worker starts an attempt; data: `{attempt, startedAt}`. */
export const ATTEMPT_NOTE = 'attempt';
/** A retry and the start of its attempt lie close together; further back the attempt has been running for long. */
const LOOK_BACK = 200;

/** Whether a worker has started the attempt that the run is at. */
export async function hasBegun(cell: CellApi, detail: RunDetail): Promise<boolean> {
  const main = mainCallOf(detail);
  if (!main?.lease) return false;
  const entries = await cell.query({
    type: 'history',
    run: detail.id,
    afterSeq: Math.max(0, detail.seq - LOOK_BACK),
    limit: LOOK_BACK,
  });
  for (const { body, data } of entries.toReversed()) {
    if (body.kind === 'note' && body.name === ATTEMPT_NOTE) {
      const note = typeof data === 'string' ? parseJson(data) : null;
      return isRecord(note) && note.attempt === main.attempt;
    }
    if (body.kind === 'retry' && body.key === MAIN) return false;
    if (body.kind === 'lease' && body.key === MAIN) return false;
  }
  return true;
}
