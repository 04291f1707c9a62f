import { DEFAULT_ENVIRONMENT } from '../../../core/model/placement.ts';
import { gatewayOf } from '../connect/ask.ts';
import { CONNECT_PROTOCOL } from '../connect/gateway.ts';
import { SUBPROTOCOL } from '../connect/messages.ts';
import { isSession } from '../connect/session-token.ts';
import { InngestError } from '../errors.ts';
import type { RouteContext } from '../http.ts';

/** GET /v0/connect: the WebSocket of a worker. It shows its token when it introduces itself. */
export async function connectSocket(c: RouteContext): Promise<Response> {
  if (c.req.header('upgrade')?.toLowerCase() !== 'websocket')
    throw new InngestError(426, 'upgrade_required', 'This is the WebSocket of Connect workers.');
  const offered = (c.req.header('sec-websocket-protocol') ?? '').split(',').map((one) => one.trim());
  if (!offered.includes(SUBPROTOCOL))
    throw new InngestError(400, 'invalid_request', `A Connect worker offers the sub-protocol ${SUBPROTOCOL}.`);
  const { context } = c.var.host;
  if (
    context.environment !== DEFAULT_ENVIRONMENT &&
    !(await isSession(c.req.query('token') ?? '', c.req.query('connection') ?? '', context))
  )
    throw new InngestError(
      401,
      'connect_authentication_failed',
      'Ask /v0/connect/start for the address to connect to.',
    );
  return gatewayOf(c).connect(c.req.raw, { protocol: CONNECT_PROTOCOL, subprotocol: SUBPROTOCOL });
}
