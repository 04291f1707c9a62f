import { readBody } from '../body.ts';
import { MAX_MESSAGE_BYTES } from '../constants.ts';
import { parseDestination, splitTarget } from '../destination.ts';
import { payloadOf } from '../encoding.ts';
import { json, WireError } from '../errors.ts';
import { isWorkflowRunId, newWorkflowRunId } from '../ids.ts';
import { parseOptions } from '../options.ts';
import { type ItemPlan, type PublishItem, sharedCommands } from '../item.ts';
import type { Route } from '../route.ts';
import { workflowStart } from '../workflow.ts';
import type { ResultOf } from '../../../core/model/command.ts';

/** Starts a run without an SDK. */
export async function trigger(route: Route): Promise<Response> {
  const { destination, options: fromQuery } = splitTarget(route.url, '/v2/trigger/');
  const options = parseOptions([...fromQuery, ...route.request.headers]);
  const body = await readBody(route.request, MAX_MESSAGE_BYTES);
  const { commands, answer } = await planPlainTrigger(route, { destination, options, body });
  route.spend(1);
  return json(answer(await route.apply(commands)).body);
}

/** A run whose first delivery asks the workflow's SDK to send the run's configuration. */
export async function planPlainTrigger(route: Route, item: PublishItem): Promise<ItemPlan> {
  const { options } = item;
  const target = parseDestination(item.destination);
  if (target.kind === 'group') throw new WireError(400, 'invalid destination: a workflow needs a URL');
  const asked = options.workflow?.runId;
  const runId = asked === undefined ? newWorkflowRunId() : isWorkflowRunId(asked) ? asked : `wfr_${asked}`;
  const configured = { ...options, workflow: { runId, init: true }, unknownSdk: true };
  const shared = sharedCommands(options);
  const spec = await workflowStart(route, configured, target.url, payloadOf(item.body));
  return {
    commands: [...shared, { type: 'start', spec }],
    messages: 1,
    answer: (results) => {
      const result = results[shared.length] as ResultOf<'start'>;
      const body = {
        workflowRunId: runId,
        workflowCreatedAt: result.createdAt,
        ...(result.deduplicated ? { deduplicated: true } : {}),
      };
      return { body, deduplicated: result.deduplicated };
    },
  };
}
