import type { EndEffects, EndedRun, StartSpec } from '../../core/model/call.ts';
import type { Translator } from '../../core/ports.ts';
import { callbackBody, callbackStart } from './callback.ts';
import { EXECUTOR, TASK_FAN_OUT, TASK_WORKFLOW } from './constants.ts';
import { base64 } from './encoding.ts';
import { messageIdOf } from './ids.ts';
import {
  type ExchangeMeta,
  parseMeta,
  parseResponse,
  type ResponseRecord,
  type RunMeta,
  type WorkflowMeta,
} from './meta.ts';
import { initialStep } from './workflow-delivery.ts';

/** What a dead letter of this wire remembers besides its run. */
export interface DeadLetterData {
  executor: typeof EXECUTOR;
  source: 'message' | 'workflow';
  responseStatus: number;
}

/** By it the state of a failure callback is found from the dead letter. */
export function failureCallbackAlias(deadLetterId: string, n = 1): string {
  return `qstash:failure-callback:${deadLetterId}:${n}`;
}

export const qstashTranslator: Translator = {
  ended(run) {
    if (run.status === 'cancelled' || run.task.id === TASK_FAN_OUT) return {};
    const meta = parseMeta(run.meta);
    return run.task.id === TASK_WORKFLOW ? workflowEnded(run, meta) : messageEnded(run, meta);
  },
};

function messageEnded(run: EndedRun, meta: RunMeta): EndEffects {
  const messageId = messageIdOf(run.run);
  const failed = run.status === 'failed';
  const response = failed ? parseResponse(run.error) : deliveredResponse(run);
  const report = {
    messageId,
    meta,
    input: run.input,
    response,
    retried: run.attempt,
    notBeforeMs: meta.notBeforeMs ?? run.createdAt,
    createdAt: run.createdAt,
  };
  const starts: StartSpec[] = [];
  if (meta.callback) {
    starts.push(
      callbackStart(meta.callback, callbackBody(report), meta, { messageId, failure: false }, { holder: run.holder }),
    );
  }
  if (!failed) return { starts };
  // A workflow's failure callback that fails shows in that run's dead letter, not in one of its own.
  if (meta.callbackOf?.deadLetterId !== undefined && meta.workflow) return { starts };
  const deadLetterId = run.deadLetterId;
  if (meta.failureCallback) {
    const body = callbackBody({ ...report, deadLetterId });
    const of = { messageId, failure: true, deadLetterId };
    starts.push(callbackStart(meta.failureCallback, body, meta, of, { holder: run.holder }));
  }
  return { starts, deadLetter: { data: deadLetter('message', response) } };
}

function workflowEnded(run: EndedRun, meta: RunMeta): EndEffects {
  if (run.status !== 'failed') return {};
  const response = parseResponse(run.error);
  const deadLetterId = run.deadLetterId;
  const effects: EndEffects = { deadLetter: { data: deadLetter('workflow', response) } };
  if (!meta.failureCallback) return effects;
  const messageId = messageIdOf(run.run);
  const workflow = meta.workflow as WorkflowMeta;
  const body = callbackBody({
    messageId,
    meta,
    // Whatever step failed: the run's initial payload. Older SDKs, without that feature, read a delivery's body there.
    input: workflow.features?.includes('InitialBody') ? run.input : `[${initialStep(run.run, run.input)}]`,
    response,
    retried: run.attempt,
    notBeforeMs: run.createdAt,
    createdAt: run.createdAt,
    deadLetterId,
    workflow: { runId: workflow.runId, createdAt: run.createdAt },
  });
  const options = {
    alias: failureCallbackAlias(deadLetterId),
    workflow: { runId: workflow.runId, url: workflow.url, createdAt: run.createdAt },
    holder: run.holder,
  };
  effects.starts = [
    callbackStart(meta.failureCallback, body, meta, { messageId, failure: true, deadLetterId }, options),
  ];
  return effects;
}

function deadLetter(source: DeadLetterData['source'], response: ResponseRecord): string {
  return JSON.stringify({ executor: EXECUTOR, source, responseStatus: response.status } satisfies DeadLetterData);
}

function deliveredResponse(run: EndedRun): ResponseRecord {
  const exchange = JSON.parse(run.outcomeMeta ?? '{}') as Partial<ExchangeMeta>;
  return { status: exchange.status ?? 0, header: exchange.header ?? {}, body: base64(run.output) };
}
