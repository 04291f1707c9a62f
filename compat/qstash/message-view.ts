import type { Payload } from '../../core/model/payload.ts';
import type { RunRecord } from '../../core/model/query.ts';
import { bodyFields, bytesOf, sha256Hex } from './encoding.ts';
import { type HeaderMap, headerMap } from './headers.ts';
import { messageIdOf } from './ids.ts';
import { parseMeta, type RunMeta } from './meta.ts';
import type { Target } from './options.ts';

/** The message object of the API. Python reads url, method, maxRetries, notBefore and createdAt without a default. */
export async function messageView(run: RunRecord): Promise<Record<string, unknown>> {
  const meta = parseMeta(run.meta);
  return {
    messageId: messageIdOf(run.id),
    ...(await deliveryFields(meta, run.input)),
    notBefore: meta.notBeforeMs ?? run.scheduledAt ?? run.createdAt,
    createdAt: run.createdAt,
  };
}

/** The fields that messages, schedules and dead letters share. */
export async function deliveryFields(meta: RunMeta, input: Payload | null): Promise<Record<string, unknown>> {
  const fields: Record<string, unknown> = {
    url: meta.url,
    method: meta.method,
    header: await shownHeaders(meta),
    ...(await shownBody(meta, input)),
    maxRetries: meta.retries,
    callerIP: meta.callerIp,
    callerIp: meta.callerIp,
  };
  if (meta.topic !== undefined) fields.topicName = meta.topic;
  if (meta.endpoint !== undefined) fields.endpointName = meta.endpoint;
  if (meta.schedule !== undefined) fields.scheduleId = meta.schedule;
  if (meta.queue !== undefined) fields.queueName = meta.queue;
  if (meta.retryDelay !== undefined) fields.retryDelayExpression = meta.retryDelay;
  if (meta.timeoutMs !== undefined) fields.timeout = meta.timeoutMs;
  if (meta.labels !== undefined) Object.assign(fields, { label: meta.labels[0], labels: meta.labels });
  if (meta.callback)
    Object.assign(fields, { callback: meta.callback.url, callbackHeader: await targetHeaders(meta.callback, meta) });
  if (meta.failureCallback) {
    Object.assign(fields, {
      failureCallback: meta.failureCallback.url,
      failureCallbackHeader: await targetHeaders(meta.failureCallback, meta),
    });
  }
  const flow = meta.flowControl;
  if (flow) {
    fields.flowControlKey = flow.key;
    if (flow.parallelism !== undefined) fields.parallelism = flow.parallelism;
    if (flow.rate !== undefined)
      Object.assign(fields, { rate: flow.rate, period: Math.round((flow.periodMs ?? 1000) / 1000) });
  }
  return fields;
}

/** Header map as the destination gets it from the publisher, secrets hashed where the publisher asked for it. */
export async function shownHeaders(meta: RunMeta): Promise<HeaderMap> {
  const map = headerMap([
    ...(meta.contentType === undefined ? [] : [['content-type', meta.contentType] as const]),
    ...meta.headers,
  ]);
  return hideHeaders(map, meta);
}

async function hideHeaders(map: HeaderMap, { redact }: RunMeta): Promise<HeaderMap> {
  const hidden = redact?.headers;
  if (hidden === undefined) return map;
  for (const [name, values] of Object.entries(map)) {
    if (hidden === true || hidden.includes(name.toLowerCase())) map[name] = await Promise.all(values.map(redacted));
  }
  return map;
}

export async function shownBody(meta: RunMeta, input: Payload | null): Promise<Record<string, string>> {
  return hidesBody(meta, input) ? { body: await redacted(input) } : bodyFields(input);
}

/** A workflow's initial payload, as its log shows it. */
export async function shownPayload(meta: RunMeta, input: Payload | null): Promise<string> {
  return hidesBody(meta, input) ? redacted(input) : new TextDecoder().decode(bytesOf(input));
}

function hidesBody({ redact }: RunMeta, input: Payload | null): input is Payload {
  return redact?.body === true && input !== null && input.length > 0;
}

async function redacted(value: Payload): Promise<string> {
  return `REDACTED:${await sha256Hex(value)}`;
}

/** A callback may forward what its message's headers are. */
function targetHeaders(target: Target, meta: RunMeta): Promise<HeaderMap> {
  return hideHeaders(headerMap(target.forward), meta);
}
