import type { RunRecord } from '../../../core/model/query.ts';
import { TASK_MESSAGE } from '../constants.ts';
import { json, notFound } from '../errors.ts';
import { runOfMessage } from '../ids.ts';
import { messageView } from '../message-view.ts';
import type { Route } from '../route.ts';

/**
 * The vendor removes a message "shortly after" its delivery (Upstash documentation: sdks/ts/examples/messages), and its own tests read
 * one that they have just published, to a destination that may have answered by then.
 */
const READABLE_AFTER_DELIVERY_MS = 3_000;

export async function getMessage(route: Route): Promise<Response> {
  const messageId = route.param('id');
  const run = await readableMessage(route, messageId);
  if (!run) throw notFound(`message ${messageId}`);
  return json(await messageView(run));
}

/** Readable from the publish on until shortly after its delivery, or until it has failed for good or is cancelled. */
export async function readableMessage(route: Route, messageId: string): Promise<RunRecord | null> {
  const id = runOfMessage(messageId);
  const run = id === null ? null : await route.ask({ type: 'run', run: id });
  if (run?.task !== TASK_MESSAGE) return null;
  if (run.status === 'running') return run;
  if (run.status !== 'completed' || run.endedAt === null) return null;
  return (await route.now()) - run.endedAt < READABLE_AFTER_DELIVERY_MS ? run : null;
}
