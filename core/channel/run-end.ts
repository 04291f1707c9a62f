import type { ChannelApi, RunView } from '../ports.ts';

/** Name of the view that says no more than whether a run has ended. */
export const END_VIEW = 'end';

export const endView: RunView = async (run, cell) => {
  const record = await cell.query({ type: 'run', run });
  return record && JSON.stringify({ ended: record.status !== 'running' });
};

/** As long as a channel holds a request. */
const HOLD_MS = 55_000;

/** Resolves once the run has ended, or is no more; `isWanted` is asked now and then whether anybody still waits for it. */
export async function untilEnded(channel: ChannelApi, run: string, isWanted: () => boolean): Promise<void> {
  let afterSeq = -1;
  while (isWanted()) {
    const seen = await channel.watchRun({ run, view: END_VIEW, afterSeq, waitMs: afterSeq < 0 ? 0 : HOLD_MS });
    if (seen === null || (JSON.parse(seen.view) as { ended: boolean }).ended) return;
    afterSeq = seen.seq;
  }
}
