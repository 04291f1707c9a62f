import { json, notFound } from '../errors.ts';
import type { Route } from '../route.ts';
import { cancelRuns, messageRuns } from './cancel-messages.ts';

export async function cancelMessage(route: Route): Promise<Response> {
  const messageId = route.param('id');
  const cancelled = await cancelRuns(route, await messageRuns(route, [messageId]));
  if (cancelled === 0) throw notFound(`message ${messageId}`);
  return json({ cancelled });
}
