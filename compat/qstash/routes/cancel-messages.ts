import type { Command, CommandResult } from '../../../core/model/command.ts';
import { bulkCancelled, bulkFilter } from '../bulk.ts';
import { COLLECTION, TASK_MESSAGE } from '../constants.ts';
import { json } from '../errors.ts';
import { runOfMessage } from '../ids.ts';
import type { Route } from '../route.ts';
import { scanRuns } from '../scan.ts';

const MAX_COUNT = 500;
const CANCELS_PER_TRANSACTION = 200;

/** By ids (query, or JSON body as Python and Go send them), by filter, or all. Answers how many were really cancelled. */
export async function cancelMessages(route: Route): Promise<Response> {
  const sinceMs = await route.now();
  const filter = await bulkFilter(route, { maxCount: MAX_COUNT });
  if (filter.has('messageIds'))
    return json({ cancelled: await cancelRuns(route, await messageRuns(route, filter.values('messageIds'))) });
  const runs: string[] = [];
  for await (const { run } of scanRuns(route, filter, { task: TASK_MESSAGE, status: 'running' })) {
    runs.push(run.id);
    if (filter.count !== undefined && runs.length >= filter.count) break;
  }
  const cancelled = await cancelRuns(route, runs);
  return bulkCancelled(route, filter, COLLECTION.bulkMessages, { total: runs.length, cancelled, sinceMs });
}

/** The runs behind message ids; those of workflows and of other vendors are none. */
export async function messageRuns(route: Route, messageIds: string[]): Promise<string[]> {
  const runs = await Promise.all(
    messageIds.map(async (messageId) => {
      const run = runOfMessage(messageId);
      const record = run === null ? null : await route.ask({ type: 'run', run });
      return record?.task === TASK_MESSAGE ? [record.id] : [];
    }),
  );
  return runs.flat();
}

export async function cancelRuns(route: Route, runs: string[]): Promise<number> {
  let cancelled = 0;
  for (let i = 0; i < runs.length; i += CANCELS_PER_TRANSACTION) {
    const results = await route.apply(
      runs.slice(i, i + CANCELS_PER_TRANSACTION).map((run): Command => ({ type: 'cancel', run })),
    );
    cancelled += results.filter(isCancelled).length;
  }
  return cancelled;
}

function isCancelled(result: CommandResult): boolean {
  return result.type === 'cancel' && (result.result === 'cancelled' || result.result === 'cancelling');
}
