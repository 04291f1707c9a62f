import { json, notFound } from '../errors.ts';
import { runOfMessage } from '../ids.ts';
import type { Route } from '../route.ts';

export async function cancelMessage(route: Route): Promise<Response> {
  const messageId = route.param('id');
  const run = runOfMessage(messageId);
  const { result } = run === null ? { result: 'unknown' } : await route.one({ type: 'cancel', run });
  if (result !== 'cancelled' && result !== 'cancelling') throw notFound(`message ${messageId}`);
  return json({ cancelled: 1 });
}
