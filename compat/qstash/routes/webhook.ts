import { readBody } from '../body.ts';
import { eventToken, LOOKBACK_MS, MAX_MESSAGE_BYTES, TASK_WORKFLOW } from '../constants.ts';
import { base64 } from '../encoding.ts';
import { json, notFound } from '../errors.ts';
import { headerMap } from '../headers.ts';
import type { Route } from '../route.ts';
import { eventIdOf } from './wait.ts';

/**
 * The URL that `context.createWebhook` gave out: no key, any method. One call serves one wait; a call that comes before its wait is kept.
 * The workflow gets the request as it was: `${proto}://${host}${url}` is this very address.
 */
export async function webhook(route: Route): Promise<Response> {
  const eventId = eventIdOf(route);
  const runId = route.param('run');
  const body = await readBody(route.request, MAX_MESSAGE_BYTES);
  const run = await route.ask({ type: 'run', run: runId });
  if (!run || run.status !== 'running' || run.task !== TASK_WORKFLOW) throw notFound(`workflow run ${runId}`);
  const url = new URL(route.url);
  const data = JSON.stringify({
    method: route.request.method,
    header: headerMap(route.request.headers),
    body: base64(body),
    proto: url.protocol.slice(0, -1),
    host: url.host,
    url: route.url.slice(url.origin.length),
  });
  const keepUntilMs = (await route.now()) + LOOKBACK_MS;
  await route.one({ type: 'complete-token', token: eventToken(runId, eventId), data, keep: 'queue', keepUntilMs });
  return json({});
}
