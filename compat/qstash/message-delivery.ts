import type { LeasedCall, Op, Outcome } from '../../core/model/call.ts';
import type { HttpResult } from '../../core/ports.ts';
import { callbackBody, callbackStart } from './callback.ts';
import { MAX_LOGGED_RESPONSE_BYTES, MAX_RESPONSE_BYTES } from './constants.ts';
import type { Delivery } from './delivery.ts';
import { bytesOf, payloadOf } from './encoding.ts';
import type { HeaderList } from './headers.ts';
import { messageIdOf } from './ids.ts';
import type { ExchangeMeta, RunMeta } from './meta.ts';
import { exchangeMeta, failOp, isSuccess, responseRecord, willRetry } from './outcome.ts';

export function messageRequest(call: LeasedCall, meta: RunMeta): Delivery {
  const headers: HeaderList = [...meta.headers];
  if (meta.schedule !== undefined) headers.push(['upstash-schedule-id', meta.schedule]);
  if (meta.topic !== undefined) headers.push(['upstash-topic-name', meta.topic]);
  if (meta.callerIp !== '') headers.push(['upstash-caller-ip', meta.callerIp]);
  if (meta.workflow) {
    headers.push(['upstash-workflow-runid', meta.workflow.runId], ['upstash-workflow-init', 'false']);
    if (meta.workflow.url !== undefined) headers.push(['upstash-workflow-url', meta.workflow.url]);
    if (meta.workflow.createdAt !== undefined)
      headers.push(['upstash-workflow-createdat', String(meta.workflow.createdAt)]);
  }
  return {
    messageId: messageIdOf(call.run),
    url: meta.url,
    method: meta.method,
    contentType: meta.contentType,
    headers,
    body: bytesOf(call.input),
    timeoutMs: meta.timeoutMs,
    maxResponseBytes: meta.callback || meta.failureCallback ? MAX_RESPONSE_BYTES : MAX_LOGGED_RESPONSE_BYTES,
  };
}

/** Whether the end of a message lets something else begin: its callback, who stands behind it in a queue, behind a key or a schedule, a workflow. */
function hasFollowers({ callback, callbackOf, queue, flowControl, schedule, workflow }: RunMeta): boolean {
  return [callback, callbackOf, queue, flowControl, schedule, workflow].some((one) => one !== undefined);
}

export function messageOutcome(call: LeasedCall, meta: RunMeta, result: HttpResult): Outcome {
  const exchange = exchangeMeta(result);
  if (isSuccess(result))
    return {
      ops: [{ op: 'complete', output: payloadOf(result.body) }],
      meta: JSON.stringify(exchange),
      ...(hasFollowers(meta) ? {} : { patient: true }),
    };
  const response = responseRecord(result);
  const failure = failOp(call, result, response);
  const ops: Op[] = [failure];
  // A callback follows every attempt. The last one's comes from the translator, when the engine has ended the run.
  if (meta.callback && willRetry(call, failure)) {
    const body = callbackBody({
      messageId: messageIdOf(call.run),
      meta,
      input: call.input,
      response,
      retried: call.attempt,
      notBeforeMs: call.dueAt,
      createdAt: call.runCreatedAt,
    });
    const of = { messageId: messageIdOf(call.run), failure: false };
    ops.unshift({
      op: 'start',
      spec: callbackStart(meta.callback, body, meta, of, { holder: call.holder ?? call.run }),
    });
  }
  return {
    ops,
    meta: JSON.stringify({ status: exchange.status, durationMs: exchange.durationMs } satisfies ExchangeMeta),
  };
}
