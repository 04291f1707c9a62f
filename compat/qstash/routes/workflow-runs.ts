import { readBody } from '../body.ts';
import { bulkCancelled, bulkFilter } from '../bulk.ts';
import { COLLECTION, MAX_MESSAGE_BYTES, TASK_WORKFLOW } from '../constants.ts';
import { bytesOf, payloadOf, base64 } from '../encoding.ts';
import { json, notFound, WireError } from '../errors.ts';
import type { CallMeta } from '../meta.ts';
import { deliveredMessage, isWorkflowRunId } from '../ids.ts';
import type { Route } from '../route.ts';
import { scanRuns } from '../scan.ts';
import { initialStep, rawStep, rawStepText } from '../workflow-delivery.ts';
import { cancelRuns } from './cancel-messages.ts';

const MAX_COUNT = 500;

/** The step log, for deliveries that came without it. 404 tells the SDK that the run has ended. */
export async function getSteps(route: Route): Promise<Response> {
  const runId = route.param('run');
  const run = await route.ask({ type: 'run-detail', run: runId });
  if (!run || run.status !== 'running' || run.task !== TASK_WORKFLOW) throw notFound(`workflow run ${runId}`);
  const parts = [initialStep(run.id, run.input), ...run.steps.map(rawStepText)];
  for (const pending of run.pending) {
    if (pending.kind !== 'call' || pending.meta === null) continue;
    if ((JSON.parse(pending.meta) as CallMeta).kind !== 'result') continue;
    parts.push(rawStep(deliveredMessage(pending.key, run.id), base64(pending.data), 'fromCallback'));
  }
  return new Response(bytesOf(`[${parts.join(',')}]`) as Uint8Array<ArrayBuffer>, {
    headers: { 'content-type': 'application/json' },
  });
}

/** The end of a run: its result in the body with `cancel=false`, as SDKs say it, else its cancellation. The SDK stops silently on 400. */
export async function endRun(route: Route): Promise<Response> {
  const runId = route.param('run');
  if (!isWorkflowRunId(runId)) throw notFound(`workflow run ${runId}`);
  if (route.query().get('cancel') !== 'false') {
    const { result } = await route.one({ type: 'cancel', run: runId });
    if (result !== 'cancelled' && result !== 'cancelling') throw notFound(`workflow run ${runId}`);
    return json({ cancelled: 1 });
  }
  const body = await readBody(route.request, MAX_MESSAGE_BYTES);
  const output = body.byteLength === 0 ? null : payloadOf(body);
  const { result, status } = await route.one({
    type: 'report',
    run: runId,
    outcome: { ops: [{ op: 'complete', output }] },
    final: false,
    anyLease: true,
  });
  if (result === 'unknown') throw notFound(`workflow run ${runId}`);
  // Said again after a crash in between: the same end.
  if (result === 'ended' && status !== 'completed') throw new WireError(400, `workflow run ${runId} has already ended`);
  return json({});
}

/** By ids, by URL (prefix, or exact) and other filters, or all. Answers how many were really cancelled. */
export async function cancelWorkflows(route: Route): Promise<Response> {
  const sinceMs = await route.now();
  const filter = await bulkFilter(route, { maxCount: MAX_COUNT });
  if (filter.has('workflowRunIds'))
    return json({ cancelled: await cancelRuns(route, filter.values('workflowRunIds').filter(isWorkflowRunId)) });
  const runs: string[] = [];
  for await (const { run } of scanRuns(route, filter, { task: TASK_WORKFLOW, status: 'running' })) {
    runs.push(run.id);
    if (filter.count !== undefined && runs.length >= filter.count) break;
  }
  const cancelled = await cancelRuns(route, runs);
  return bulkCancelled(route, filter, COLLECTION.bulkRuns, { total: runs.length, cancelled, sinceMs });
}
