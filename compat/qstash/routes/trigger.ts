import { readBody } from '../body.ts';
import { MAX_MESSAGE_BYTES } from '../constants.ts';
import { parseDestination, splitTarget } from '../destination.ts';
import { payloadOf } from '../encoding.ts';
import { json, WireError } from '../errors.ts';
import { newWorkflowRunId } from '../ids.ts';
import { parseOptions } from '../options.ts';
import { sharedCommands } from '../item.ts';
import type { Route } from '../route.ts';
import { workflowStart } from '../workflow.ts';
import type { ResultOf } from '../../../core/model/command.ts';

/** Starts a run without an SDK. The first delivery asks the workflow's SDK to send the run's configuration. */
export async function trigger(route: Route): Promise<Response> {
  const { destination, options: fromQuery } = splitTarget(route.url, '/v2/trigger/');
  const options = parseOptions([...fromQuery, ...route.request.headers]);
  const target = parseDestination(destination);
  if (target.kind === 'group') throw new WireError(400, 'invalid destination: a workflow needs a URL');
  const asked = options.workflow?.runId;
  const runId = asked === undefined ? newWorkflowRunId() : asked.startsWith('wfr_') ? asked : `wfr_${asked}`;
  const body = payloadOf(await readBody(route.request, MAX_MESSAGE_BYTES));
  const configured = { ...options, workflow: { runId, init: true }, unknownSdk: true };
  const shared = sharedCommands(options);
  const spec = await workflowStart(route, configured, target.url, body);
  const results = await route.apply([...shared, { type: 'start', spec }]);
  const result = results[shared.length] as ResultOf<'start'>;
  return json({
    workflowRunId: runId,
    workflowCreatedAt: result.createdAt,
    ...(result.deduplicated ? { deduplicated: true } : {}),
  });
}
