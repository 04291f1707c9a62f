import type { Command, ResultOf } from '../../../core/model/command.ts';
import { readJson } from '../body.ts';
import { COLLECTION, eventToken, MAX_DELAY_MS, MAX_NAME_LENGTH } from '../constants.ts';
import { json, WireError } from '../errors.ts';
import { headerMap, isHeaderValue, mergeHeaders } from '../headers.ts';
import { newMessageId } from '../ids.ts';
import type { WaitMeta } from '../meta.ts';
import { duration, parseOptions } from '../options.ts';
import type { Route } from '../route.ts';
import { parse, WaitSchema } from '../schema.ts';
import { waiterId, type WaiterView } from '../waiters.ts';
import { deliveryCall, requireRunning, requireWorkflowRunId } from '../workflow.ts';

const DEFAULT_TIMEOUT = '7d';

/** `context.waitForEvent` and `waitForWebhook`: the run goes on with the event's data, or without it after the timeout. */
export async function waitForEvent(route: Route): Promise<Response> {
  const eventId = eventIdOf(route);
  const options = parseOptions(route.request.headers);
  if (!options.workflow) throw new WireError(400, 'invalid header Upstash-Workflow-RunId: it is missing');
  requireWorkflowRunId(options.workflow.runId);
  const request = parse(WaitSchema, await readJson(route.request));
  const untilMs = (await route.now()) + duration('timeout', String(request.timeout ?? DEFAULT_TIMEOUT), MAX_DELAY_MS);
  const messageId = newMessageId();
  const runId = options.workflow.runId;
  const meta: WaitMeta = { kind: 'wait', step: request.step, eventId };
  const view: WaiterView = {
    url: request.url,
    headers: headerMap(mergeHeaders(options.forward)),
    deadline: Math.floor(untilMs / 1000),
    timeoutUrl: request.timeoutUrl,
    timeoutBody: request.timeoutBody,
    timeoutHeaders: request.timeoutHeaders,
  };
  const wait: Command = {
    type: 'report',
    run: runId,
    outcome: {
      ops: [
        {
          op: 'wait-token',
          token: eventToken(runId, eventId),
          key: messageId,
          untilMs,
          meta: JSON.stringify(meta),
          again: 'none',
          then: deliveryCall(messageId, options, undefined),
        },
      ],
    },
    final: false,
    anyLease: true,
  };
  const record: Command = {
    type: 'put-record',
    collection: COLLECTION.waiter,
    id: waiterId(eventId, runId, messageId),
    data: JSON.stringify(view),
    expiresAt: untilMs,
  };
  const [result] = await route.apply([wait, record]);
  requireRunning(result as ResultOf<'report'>, runId);
  return json({ messageId });
}

export function eventIdOf(route: Route): string {
  const eventId = route.param('event');
  if (eventId.length === 0 || eventId.length > MAX_NAME_LENGTH || !isHeaderValue(eventId)) {
    throw new WireError(400, `invalid event id: it must have 1 to ${MAX_NAME_LENGTH} printable characters`);
  }
  return eventId;
}
