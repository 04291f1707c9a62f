import { TASK_MESSAGE } from '../constants.ts';
import { json, notFound } from '../errors.ts';
import { runOfMessage } from '../ids.ts';
import { messageView } from '../message-view.ts';
import type { Route } from '../route.ts';

/** Readable from the publish on until it is delivered, failed for good or cancelled. */
export async function getMessage(route: Route): Promise<Response> {
  const messageId = route.param('id');
  const id = runOfMessage(messageId);
  const run = id === null ? null : await route.ask({ type: 'run', run: id });
  if (!run || run.status !== 'running' || run.task !== TASK_MESSAGE) throw notFound(`message ${messageId}`);
  return json(await messageView(run));
}
