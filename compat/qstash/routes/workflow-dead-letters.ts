import type { Command, ResultOf } from '../../../core/model/command.ts';
import { COLLECTION, TASK_MESSAGE, TASK_WORKFLOW } from '../constants.ts';
import { failureCallback, type Letter } from '../dead-letters.ts';
import { json, notFound, WireError } from '../errors.ts';
import { wholeHistory } from '../history.ts';
import { dueTime } from '../item.ts';
import { messageIdOf, newWorkflowRunId } from '../ids.ts';
import { limitsOf, retryPolicy } from '../limits.ts';
import { type CallMeta, parseMeta, type RunMeta } from '../meta.ts';
import { parseOptions } from '../options.ts';
import { eventOf, type OpenWork, openWork, resumeOps } from '../resume.ts';
import type { Route } from '../route.ts';
import { failureCallbackAlias } from '../translator.ts';
import { waiterId } from '../waiters.ts';
import { cancelRuns } from './cancel-messages.ts';
import { chosen, oneLetter } from './dead-letters.ts';

/** New runs with the same initial payload; headers of the request override what the run was started with. */
export async function restartWorkflows(route: Route): Promise<Response> {
  const { letters, cursor } = await chosen(route, 'workflow');
  const workflowRuns = await restartAll(route, letters);
  return json({ workflowRuns, ...(cursor === undefined ? {} : { cursor }) });
}

export async function restartWorkflow(route: Route): Promise<Response> {
  return json((await restartAll(route, [await oneRun(route)]))[0]);
}

async function oneRun(route: Route): Promise<Letter> {
  const letter = await oneLetter(route);
  if (letter.source !== 'workflow') throw notFound(`dlq message ${letter.id} of a workflow run`);
  return letter;
}

interface StartedRun {
  workflowRunId: string;
  workflowCreatedAt: number;
}

async function restartAll(route: Route, letters: Letter[]): Promise<StartedRun[]> {
  const overrides = parseOptions(route.request.headers);
  const dueAt = await dueTime(route, overrides);
  const ids = letters.map(() => newWorkflowRunId());
  const commands = letters.map(({ id, meta }, i): Command => {
    const next = restarted(meta, ids[i] as string, overrides);
    return {
      type: 'retry-dead-letter',
      id,
      overrides: {
        alias: next.workflow?.runId,
        dueAt,
        meta: JSON.stringify(next),
        maxAttempts: next.retries + 1,
        retry: retryPolicy(next.retryDelay),
        limits: limitsOf(next),
        labels: next.labels,
      },
    };
  });
  const results = commands.length === 0 ? [] : await route.apply(commands);
  return results.map((result, i) => ({
    workflowRunId: ids[i] as string,
    workflowCreatedAt: (result as ResultOf<'retry-dead-letter'>).createdAt,
  }));
}

function restarted(before: RunMeta, runId: string, overrides: ReturnType<typeof parseOptions>): RunMeta {
  return {
    ...before,
    notBeforeMs: undefined,
    retries: overrides.retries ?? before.retries,
    retryDelay: overrides.retryDelay ?? before.retryDelay,
    flowControl: overrides.flowControl ?? before.flowControl,
    labels: overrides.labels ?? before.labels,
    failureCallback: failureCallbackOf(before, runId, overrides.failureCallback?.url),
    workflow: { ...before.workflow, runId },
  };
}

/** The failure callback names the run that it reports; another URL gets what the first one would have got. */
function failureCallbackOf(
  { failureCallback: before }: RunMeta,
  runId: string,
  url: string | undefined,
): RunMeta['failureCallback'] {
  const failureCallback = url === undefined ? before : { forward: [], ...before, url };
  if (!failureCallback?.workflow) return failureCallback;
  return { ...failureCallback, workflow: { ...failureCallback.workflow, runId } };
}

/** New runs that go on where the failed ones stopped: finished steps are kept, open deliveries are made again. */
export async function resumeWorkflows(route: Route): Promise<Response> {
  const { letters, cursor } = await chosen(route, 'workflow');
  const workflowRuns = await resumeAll(route, letters);
  return json({ workflowRuns, ...(cursor === undefined ? {} : { cursor }) });
}

export async function resumeWorkflow(route: Route): Promise<Response> {
  return json((await resumeAll(route, [await oneRun(route)]))[0]);
}

async function resumeAll(route: Route, letters: Letter[]): Promise<StartedRun[]> {
  const overrides = parseOptions(route.request.headers);
  const workflowRuns: StartedRun[] = [];
  for (const letter of letters) {
    const runId = newWorkflowRunId();
    const meta = restarted(letter.meta, runId, overrides);
    const results = await route.apply(await resumption(route, letter, meta, runId, await dueTime(route, overrides)));
    workflowRuns.push({ workflowRunId: runId, workflowCreatedAt: (results[0] as ResultOf<'start'>).createdAt });
  }
  return workflowRuns;
}

async function resumption(
  route: Route,
  letter: Letter,
  meta: RunMeta,
  runId: string,
  dueAt: number | undefined,
): Promise<Command[]> {
  const [run, history] = await Promise.all([
    route.ask({ type: 'run-detail', run: letter.run.id }),
    wholeHistory(route, letter.run.id),
  ]);
  if (!run) throw notFound(`workflow run ${letter.meta.workflow?.runId}`);
  const open = openWork(history);
  const start: Command = {
    type: 'start',
    spec: {
      alias: runId,
      task: TASK_WORKFLOW,
      input: letter.run.input,
      meta: JSON.stringify(meta),
      ...(open.first ? { dueAt } : {}),
      maxAttempts: meta.retries + 1,
      retry: retryPolicy(meta.retryDelay),
      limits: limitsOf({ flowControl: meta.flowControl }),
      labels: meta.labels,
      // A run begins with a call; when the first delivery is over there is nothing to send for it.
      ...(open.first
        ? {}
        : { call: { key: 'resumed', meta: JSON.stringify({ kind: 'none' } satisfies CallMeta), limits: [] } }),
    },
  };
  const report: Command = {
    type: 'report',
    run: runId,
    outcome: { ops: resumeOps(run, open, runId, dueAt) },
    final: false,
    anyLease: true,
  };
  const waiters = await movedWaiters(route, letter, open, runId);
  return [start, report, ...waiters, { type: 'delete-dead-letter', id: letter.id }];
}

async function movedWaiters(route: Route, letter: Letter, open: OpenWork, runId: string): Promise<Command[]> {
  const before = letter.meta.workflow?.runId ?? '';
  const moved: Command[] = [];
  for (const wait of open.waits.values()) {
    if (wait.wait.kind !== 'token') continue;
    const id = waiterId(eventOf(wait), before, wait.key);
    const record = await route.ask({ type: 'record', collection: COLLECTION.waiter, id });
    if (!record) continue;
    moved.push({
      type: 'put-record',
      collection: COLLECTION.waiter,
      id: waiterId(eventOf(wait), runId, wait.key),
      data: record.data,
      expiresAt: wait.untilMs,
    });
    moved.push({ type: 'delete-record', collection: COLLECTION.waiter, id });
  }
  return moved;
}

/** Calls the failure function of a run once more. 400 unless its last call failed. */
export async function failureCallbackAgain(route: Route): Promise<Response> {
  const letter = await oneLetter(route);
  const callback = await failureCallback(route, letter.id);
  if (callback?.run.status !== 'failed') {
    throw new WireError(400, `the failure callback of ${letter.id} has not failed`);
  }
  const meta = parseMeta(callback.run.meta);
  const result = await route.one({
    type: 'start',
    spec: {
      alias: failureCallbackAlias(letter.id, callback.n + 1),
      task: TASK_MESSAGE,
      input: callback.run.input,
      meta: callback.run.meta ?? undefined,
      maxAttempts: meta.retries + 1,
      retry: retryPolicy(meta.retryDelay),
      limits: limitsOf(meta),
      labels: meta.labels,
    },
  });
  return json({
    workflowRunId: letter.meta.workflow?.runId,
    workflowCreatedAt: letter.run.createdAt,
    messageId: messageIdOf(result.run),
  });
}

/** Ends a failure callback that is under way; 400 when there is none. The documentation says 302 and means that it is done. */
export async function cancelFailureCallback(route: Route): Promise<Response> {
  const letter = await oneLetter(route);
  const callback = await failureCallback(route, letter.id);
  const cancelled = callback === null ? 0 : await cancelRuns(route, [callback.run.id]);
  if (cancelled === 0) throw new WireError(400, `no failure callback of ${letter.id} is under way`);
  return json({ cancelled });
}
