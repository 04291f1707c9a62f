import { json, notFound } from '../errors.ts';
import type { Route } from '../route.ts';
import { cancelRuns, messageRuns } from './cancel-messages.ts';
import { readableMessage } from './get-message.ts';

/** 404 for a message that is not there; one that has just been delivered is, and there is nothing left of it to cancel. */
export async function cancelMessage(route: Route): Promise<Response> {
  const messageId = route.param('id');
  const cancelled = await cancelRuns(route, await messageRuns(route, [messageId]));
  if (cancelled === 0 && !(await readableMessage(route, messageId))) throw notFound(`message ${messageId}`);
  return json({ cancelled });
}
