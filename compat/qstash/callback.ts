import type { StartSpec } from '../../core/model/call.ts';
import type { Payload } from '../../core/model/payload.ts';
import { TASK_MESSAGE } from './constants.ts';
import { base64 } from './encoding.ts';
import { headerMap, mergeHeaders } from './headers.ts';
import { limitsOf, retryPolicy } from './limits.ts';
import type { ResponseRecord, RunMeta } from './meta.ts';
import type { Target } from './options.ts';

/** One finished attempt, as its callback reports it. */
export interface AttemptReport {
  messageId: string;
  meta: Pick<
    RunMeta,
    'url' | 'method' | 'headers' | 'contentType' | 'topic' | 'endpoint' | 'schedule' | 'callerIp' | 'labels' | 'retries'
  >;
  input: Payload | null;
  response: ResponseRecord;
  retried: number;
  notBeforeMs: number;
  createdAt: number;
  deadLetterId?: string;
  workflow?: { runId: string; createdAt: number };
}

/** The JSON that a callback or failure callback receives (Upstash documentation: features/callbacks). */
export function callbackBody(report: AttemptReport): string {
  const { meta, response } = report;
  return JSON.stringify({
    status: response.status,
    header: response.header,
    body: response.body,
    retried: report.retried,
    maxRetries: meta.retries,
    ...(report.deadLetterId === undefined ? {} : { dlqId: report.deadLetterId }),
    sourceMessageId: report.messageId,
    ...(meta.topic === undefined ? {} : { topicName: meta.topic }),
    ...(meta.endpoint === undefined ? {} : { endpointName: meta.endpoint }),
    ...(meta.schedule === undefined ? {} : { scheduleId: meta.schedule }),
    url: meta.url,
    method: meta.method,
    sourceHeader: headerMap([
      ...meta.headers,
      ...(meta.contentType === undefined ? [] : [['content-type', meta.contentType] as const]),
    ]),
    sourceBody: base64(report.input),
    notBefore: String(report.notBeforeMs),
    createdAt: String(report.createdAt),
    callerIP: meta.callerIp,
    ...(meta.labels === undefined ? {} : { label: meta.labels[0], labels: meta.labels }),
    ...(report.workflow === undefined
      ? {}
      : { workflowRunId: report.workflow.runId, workflowCreatedAt: report.workflow.createdAt }),
  });
}

/** The message that brings a callback. `source` lends what the callback's own options leave open. */
export function callbackStart(
  target: Target,
  body: string,
  source: RunMeta,
  of: NonNullable<RunMeta['callbackOf']>,
  options: { alias?: string; workflow?: RunMeta['workflow']; holder: string },
): StartSpec {
  const retries = target.retries ?? source.retries;
  const retryDelay = target.retryDelay ?? source.retryDelay;
  const meta: RunMeta = {
    url: target.url,
    method: target.method ?? 'POST',
    contentType: target.contentType ?? 'application/json',
    headers: mergeHeaders(target.forward),
    retries,
    retryDelay,
    timeoutMs: target.timeoutMs,
    callback: target.callback,
    failureCallback: target.failureCallback,
    flowControl: target.flowControl,
    labels: source.labels,
    // The next message of a queue waits for the callbacks of the one before: they go on with its place.
    queue: source.queue,
    callerIp: source.callerIp,
    workflow: options.workflow,
    callbackOf: of,
  };
  return {
    task: TASK_MESSAGE,
    input: body,
    meta: JSON.stringify(meta),
    alias: options.alias,
    maxAttempts: retries + 1,
    retry: retryPolicy(retryDelay),
    limits: limitsOf(meta),
    labels: meta.labels,
    holder: meta.queue === undefined ? undefined : options.holder,
  };
}
