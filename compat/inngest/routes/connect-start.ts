import { DEFAULT_ENVIRONMENT } from '../../../core/model/placement.ts';
import { newEventId } from '../ids.ts';
import { askGateway } from '../connect/ask.ts';
import { START_RESPONSE } from '../connect/messages.ts';
import { sessionToken } from '../connect/session-token.ts';
import { encode } from '../connect/wire.ts';
import { InngestError } from '../errors.ts';
import type { RouteContext } from '../http.ts';

/** The one gateway there is; its name is in no way special. */
const GATEWAY_GROUP = 'repoint';

/** POST /v0/connect/start: where the gateway is, and a token for it. What the worker would rather avoid does not matter: there is one. */
export async function connectStart(c: RouteContext): Promise<Response> {
  const { context } = c.var.host;
  const { draining } = await askGateway<{ draining: boolean }>(c, { type: 'state' });
  if (draining)
    throw new InngestError(503, 'connect_gateway_closing', 'connect_gateway_closing: this server is about to end.');
  const connectionId = newEventId(context.wallClockMs());
  const token = await sessionToken(connectionId, context);
  // Of the default environment there is one gateway, and anybody may knock. Another's address says whose it is, and proves the right to know.
  const claim =
    context.environment === DEFAULT_ENVIRONMENT
      ? ''
      : `?${new URLSearchParams({ env: context.environment, connection: connectionId, token })}`;
  const body = encode(START_RESPONSE, {
    connectionId,
    gatewayEndpoint: `${context.serverUrl.replace(/^http/, 'ws')}/v0/connect${claim}`,
    gatewayGroup: GATEWAY_GROUP,
    sessionToken: token,
    syncToken: token,
  });
  return c.body(body, 200, { 'content-type': 'application/octet-stream' });
}
