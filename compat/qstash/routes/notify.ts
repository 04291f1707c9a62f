import type { Command, ResultOf } from '../../../core/model/command.ts';
import { readBody } from '../body.ts';
import { COLLECTION, eventToken, LOOKBACK_MS, MAX_MESSAGE_BYTES, TASK_WORKFLOW } from '../constants.ts';
import { payloadOf } from '../encoding.ts';
import { json, notFound } from '../errors.ts';
import type { Route } from '../route.ts';
import { type Waiter, waitersOf } from '../waiters.ts';
import { eventIdOf } from './wait.ts';

/** To everyone who waits now; with nobody waiting the event is lost. */
export async function notify(route: Route): Promise<Response> {
  const eventId = eventIdOf(route);
  const data = payloadOf(await readBody(route.request, MAX_MESSAGE_BYTES));
  const waiters = await waitersOf(route, eventId);
  const runs = [...new Set(waiters.map(({ workflowRunId }) => workflowRunId))];
  const commands: Command[] = [
    ...runs.map((run): Command => ({ type: 'complete-token', token: eventToken(run, eventId), data })),
    ...waiters.map(({ id }): Command => ({ type: 'delete-record', collection: COLLECTION.waiter, id })),
  ];
  const results = commands.length === 0 ? [] : await route.apply(commands);
  const notified = results.slice(0, runs.length).flatMap((result) => (result as ResultOf<'complete-token'>).waiters);
  return json(await entries(route, notified, waiters));
}

/** To one run; kept for it when it does not wait yet. */
export async function notifyRun(route: Route): Promise<Response> {
  const eventId = eventIdOf(route);
  const runId = route.param('run');
  const data = payloadOf(await readBody(route.request, MAX_MESSAGE_BYTES));
  const run = await route.ask({ type: 'run', run: runId });
  if (!run || run.status !== 'running' || run.task !== TASK_WORKFLOW) throw notFound(`workflow run ${runId}`);
  const waiters = (await waitersOf(route, eventId)).filter((waiter) => waiter.workflowRunId === runId);
  const token = eventToken(runId, eventId);
  const [first] = await route.apply([
    { type: 'complete-token', token, data },
    ...waiters.map(({ id }): Command => ({ type: 'delete-record', collection: COLLECTION.waiter, id })),
  ]);
  let notified = (first as ResultOf<'complete-token'>).waiters;
  if (notified.length === 0) {
    const kept = await route.one({
      type: 'complete-token',
      token,
      data,
      keep: 'queue',
      keepUntilMs: (await route.now()) + LOOKBACK_MS,
    });
    notified = kept.waiters;
  }
  return json(await entries(route, notified, waiters));
}

async function entries(
  route: Route,
  notified: Array<{ run: string; key: string }>,
  waiters: Waiter[],
): Promise<unknown[]> {
  const byMessage = new Map(waiters.map((waiter) => [waiter.messageId, waiter]));
  return Promise.all(
    notified.map(async ({ run, key }) => {
      const record = await route.ask({ type: 'run', run });
      return {
        waiter: byMessage.get(key)?.view,
        messageId: key,
        workflowRunId: record?.alias,
        workflowCreatedAt: record?.createdAt,
      };
    }),
  );
}

export async function listWaiters(route: Route): Promise<Response> {
  const eventId = eventIdOf(route);
  const waiters = await waitersOf(route, eventId);
  const runs = [...new Set(waiters.map(({ workflowRunId }) => workflowRunId))];
  const waiting = await Promise.all(runs.map((run) => route.ask({ type: 'waiters', token: eventToken(run, eventId) })));
  const live = new Set(waiting.flat().map(({ key }) => key));
  return json(waiters.filter(({ messageId }) => live.has(messageId)).map(({ view }) => view));
}
