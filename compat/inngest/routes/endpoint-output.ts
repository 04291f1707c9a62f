import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { isId } from '../../../core/model/ids.ts';
import { storedAnswer } from '../endpoint.ts';
import { mayReadOutput } from '../endpoint-token.ts';
import { InngestError } from '../errors.ts';
import { textOf } from '../events.ts';
import type { RouteContext } from '../http.ts';
import { untilEnded } from '../run-view.ts';

/** inngest/inngest: apiv1 checkpoint Output, 5 minutes. */
const MAX_WAIT_MS = 5 * 60_000;
/** They belong to the connection that is gone, or to the server that sends. */
const NOT_REPLAYED = new Set([
  'connection',
  'content-length',
  'content-encoding',
  'date',
  'keep-alive',
  'transfer-encoding',
]);

/** GET /v1/checkpoint/:run/output?token=: what a durable endpoint answered, for the visitor whom it sent here; held open until it is there. */
export async function endpointOutput(c: RouteContext): Promise<Response> {
  const run = c.req.param('run') ?? '';
  if (!isId(run)) throw new InngestError(400, 'invalid_request', 'The run id is not a ULID.');
  if (!(await mayReadOutput(c.var.host.context, c.req.query('token') ?? '', run)))
    throw new InngestError(401, 'unauthorized', 'The token is not one for the result of this run.');
  const detail = await untilEnded(c.var.host, run, MAX_WAIT_MS);
  if (!detail) throw new InngestError(404, 'unknown-run', 'No such run.');
  switch (detail.status) {
    case 'running':
      return c.json({ status: 'running', run_id: run }, 200);
    case 'completed': {
      const { status, headers, body } = storedAnswer(detail.output);
      const kept = Object.entries(headers).filter(([name]) => !NOT_REPLAYED.has(name.toLowerCase()));
      return new Response(bodyless(status) ? null : body, { status, headers: kept });
    }
    case 'failed':
    case 'cancelled': {
      const error: unknown = detail.error === null ? null : JSON.parse(textOf(detail.error));
      return c.json({ status: detail.status, run_id: run, error }, 502 as ContentfulStatusCode);
    }
  }
}

function bodyless(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}
