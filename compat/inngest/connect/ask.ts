import type { ChannelApi } from '../../../core/ports.ts';
import type { RouteContext } from '../http.ts';
import { CONNECT_CHANNEL, CONNECT_PROTOCOL, type GatewayQuestion } from './gateway.ts';

export function gatewayOf(c: RouteContext): ChannelApi {
  const { host } = c.var;
  return host.channel(host.context.environment, CONNECT_CHANNEL);
}

/** Asks the gateway of the request's environment. */
export async function askGateway<Answer>(c: RouteContext, question: GatewayQuestion): Promise<Answer> {
  return JSON.parse(await gatewayOf(c).ask(CONNECT_PROTOCOL, JSON.stringify(question))) as Answer;
}
