import { functionsOf } from '../apps.ts';
import { InngestError } from '../errors.ts';
import { cellOf } from '../http.ts';
import type { RouteContext, RouteHandler } from '../http.ts';
import { newEventId } from '../ids.ts';
import { taskIdOf } from '../names.ts';

const RESET_POLL_MS = 10;
const RESET_TIMEOUT_MS = 10_000;

/** Routes of the vendor's own test suites: there with `TEST_MODE=true`, and in dev mode only. Else they do not exist. */
export function inTestMode(handler: RouteHandler): RouteHandler {
  return (c) => {
    const { mode, vars } = c.var.host.context;
    return mode === 'dev' && vars['TEST_MODE'] === 'true' ? handler(c) : c.notFound();
  };
}

export function testRoot(c: RouteContext): Response {
  return c.text('OK');
}

/** POST /test/reset: cancels whatever runs. What is stored of runs and events that are over stays to be read. */
export async function testReset(c: RouteContext): Promise<Response> {
  const cell = cellOf(c);
  const id = `inngest/reset/${newEventId(c.var.host.context.wallClockMs())}`;
  await cell.apply([
    { type: 'sweep', sweep: { id, filter: { taskPrefix: taskIdOf('') }, action: { do: 'cancel', reason: 'reset' } } },
  ]);
  const deadline = Date.now() + RESET_TIMEOUT_MS;
  while ((await cell.query({ type: 'sweep', id }))?.status === 'running' && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, RESET_POLL_MS));
  return c.text('ok');
}

/** POST /test/function/runs/cancel?runId= */
export async function testCancelRun(c: RouteContext): Promise<Response> {
  const run = await parameter(c, 'runId');
  const [result] = await cellOf(c).apply([{ type: 'cancel', run }]);
  if (result?.type === 'cancel' && result.result === 'unknown')
    throw new InngestError(404, 'unknown-run', 'No such run.');
  return c.text('ok');
}

/** GET /test/queue/function-queue-size?accountId=&fnId=: runs of the function that are not over. */
export async function testQueueSize(c: RouteContext): Promise<Response> {
  const id = await parameter(c, 'fnId');
  const found = (await functionsOf(cellOf(c))).find(({ fn }) => fn.id === id);
  if (!found) return c.json({ count: 0 });
  const { count } = await cellOf(c).query({ type: 'run-count', task: found.task.id, status: 'running' });
  return c.json({ count });
}

async function parameter(c: RouteContext, name: string): Promise<string> {
  const query = Object.entries(c.req.query()).find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
  const form = query === undefined && c.req.method === 'POST' ? await c.req.parseBody().catch(() => ({})) : {};
  const value = query ?? (form as Record<string, unknown>)[name];
  if (typeof value !== 'string' || value === '') throw new InngestError(400, 'invalid_request', `${name} is missing.`);
  return value;
}
