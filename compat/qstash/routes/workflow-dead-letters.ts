import type { Command, ResultOf } from '../../../core/model/command.ts';
import { json, unserved } from '../errors.ts';
import { newWorkflowRunId } from '../ids.ts';
import { limitsOf, retryPolicy } from '../limits.ts';
import type { RunMeta } from '../meta.ts';
import { parseOptions } from '../options.ts';
import type { Route } from '../route.ts';
import { chosen } from './dead-letters.ts';

/** New runs with the same initial payload; headers of the request override what the run was started with. */
export async function restartWorkflows(route: Route): Promise<Response> {
  const { letters, cursor } = await chosen(route, 'workflow');
  const overrides = parseOptions(route.request.headers);
  const ids = letters.map(() => newWorkflowRunId());
  const commands = letters.map(({ id, meta }, i): Command => {
    const next = restarted(meta, ids[i] as string, overrides);
    return {
      type: 'retry-dead-letter',
      id,
      overrides: {
        alias: next.workflow?.runId,
        meta: JSON.stringify(next),
        maxAttempts: next.retries + 1,
        retry: retryPolicy(next.retryDelay),
        limits: limitsOf(next),
        labels: next.labels,
      },
    };
  });
  const results = commands.length === 0 ? [] : await route.apply(commands);
  const workflowRuns = results.map((result, i) => ({
    workflowRunId: ids[i],
    workflowCreatedAt: (result as ResultOf<'retry-dead-letter'>).createdAt,
  }));
  return json({ workflowRuns, ...(cursor === undefined ? {} : { cursor }) });
}

function restarted(before: RunMeta, runId: string, overrides: ReturnType<typeof parseOptions>): RunMeta {
  return {
    ...before,
    notBeforeMs: undefined,
    retries: overrides.retries ?? before.retries,
    retryDelay: overrides.retryDelay ?? before.retryDelay,
    flowControl: overrides.flowControl ?? before.flowControl,
    labels: overrides.labels ?? before.labels,
    failureCallback: failureCallbackOf(before, runId),
    workflow: { ...before.workflow, runId },
  };
}

/** The failure callback names the run that it reports. */
function failureCallbackOf({ failureCallback }: RunMeta, runId: string): RunMeta['failureCallback'] {
  if (!failureCallback?.workflow) return failureCallback;
  return { ...failureCallback, workflow: { ...failureCallback.workflow, runId } };
}

export function resumeWorkflows(): Promise<Response> {
  throw unserved('qstash-workflow-resume', 'resuming a failed run is not served yet; restart it');
}

export function failureCallbackAgain(): Promise<Response> {
  throw unserved('qstash-workflow-dlq-callback', 'repeating or cancelling a failure callback is not served yet');
}
