import { readBody } from '../body.ts';
import { MAX_MESSAGE_BYTES } from '../constants.ts';
import { parseDestination, splitTarget } from '../destination.ts';
import { payloadOf } from '../encoding.ts';
import { json, WireError } from '../errors.ts';
import { mergeHeaders, type HeaderList } from '../headers.ts';
import { isWorkflowRunId, newWorkflowRunId } from '../ids.ts';
import { parseOptions, type PublishOptions, type Target } from '../options.ts';
import { type ItemPlan, type PublishItem, sharedCommands } from '../item.ts';
import type { Route } from '../route.ts';
import { workflowStart } from '../workflow.ts';
import { SDK_VERSION } from '../workflow-delivery.ts';
import type { ResultOf } from '../../../core/model/command.ts';

/** What SDKs say of themselves since this way of starting a run exists (`@upstash/workflow` 1.0). */
const FEATURES = 'LazyFetch,InitialBody,WF_DetectTrigger,WF_TriggerOnConfig';

/** Starts a run without an SDK. */
export async function trigger(route: Route): Promise<Response> {
  const { destination, options: fromQuery } = splitTarget(route.url, '/v2/trigger/');
  const options = parseOptions([...fromQuery, ...route.request.headers]);
  const body = await readBody(route.request, MAX_MESSAGE_BYTES);
  const { commands, answer } = await planPlainTrigger(route, { destination, options, body });
  route.spend(1);
  return json(answer(await route.apply(commands)).body);
}

/**
 * A run that no SDK started. Its first delivery is that of an SDK's own start, unless `Upstash-Workflow-Unknown-Sdk` asks for one more
 * round: then the workflow's SDK sends the run once more, with the configuration that it has for it.
 */
export async function planPlainTrigger(route: Route, item: PublishItem): Promise<ItemPlan> {
  const { options } = item;
  const target = parseDestination(item.destination);
  if (target.kind === 'group') throw new WireError(400, 'invalid destination: a workflow needs a URL');
  const asked = options.workflow?.runId;
  const runId = asked === undefined ? newWorkflowRunId() : isWorkflowRunId(asked) ? asked : `wfr_${asked}`;
  const configured: PublishOptions = {
    ...options,
    workflow: { runId, init: true },
    forward: mergeHeaders(options.forward, [[SDK_VERSION, '1']]),
    failureCallback: options.failureCallback ?? failureFunctionOf(target.url, options.forward),
    features: options.features ?? FEATURES,
  };
  const shared = sharedCommands(options);
  const spec = await workflowStart(route, configured, target.url, payloadOf(item.body), { plain: true });
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

/** Where an SDK's own start would have a failure reported: to the workflow itself, which has a failure function or says that it has none. */
function failureFunctionOf(url: string, forward: HeaderList): Target {
  const marks: HeaderList = [
    ['upstash-workflow-is-failure', 'true'],
    ['upstash-workflow-failure-callback', 'true'],
  ];
  return { url, forward: mergeHeaders(forward, marks) };
}
