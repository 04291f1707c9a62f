import { TASK_WORKFLOW } from '../constants.ts';
import { json, unserved } from '../errors.ts';
import { type Filter, parseFilter } from '../filters.ts';
import type { Route } from '../route.ts';
import { scanRuns } from '../scan.ts';
import { runState, workflowRunView } from '../workflow-log.ts';

const MAX_RUNS = 10;

/** Runs, newest first. SDKs read `/v2/workflows/events`, the documentation says `/v2/workflows/logs`. */
export async function workflowLogs(route: Route): Promise<Response> {
  const query = route.query();
  if (query.get('groupBy') !== 'workflowRunId') {
    throw unserved('qstash-workflow-events', 'workflow events are served by run: add groupBy=workflowRunId');
  }
  const state = query.get('state');
  query.delete('state');
  const filter: Filter = {
    ...parseFilter(query, { strict: false, maxCount: MAX_RUNS, defaultCount: MAX_RUNS }),
    ascending: false,
  };
  const count = filter.count ?? MAX_RUNS;
  const runs: unknown[] = [];
  let last: string | undefined;
  for await (const { run, meta } of scanRuns(route, filter, { task: TASK_WORKFLOW, cursor: filter.cursor })) {
    if (state !== null && runState(run.status) !== state) continue;
    if (runs.length === count) return json({ runs, cursor: last });
    runs.push(await workflowRunView(route, run.id, meta));
    last = run.id;
  }
  return json({ runs });
}
