import type { HistoryEntry } from '../../core/model/history.ts';
import type { RunRecord } from '../../core/model/query.ts';
import { base64 } from './encoding.ts';
import { messageIdOf } from './ids.ts';
import { deliveryFields, shownHeaders } from './message-view.ts';
import { type ExchangeMeta, parseResponse, type RunMeta } from './meta.ts';

export type MessageState =
  'CREATED' | 'ACTIVE' | 'RETRY' | 'ERROR' | 'DELIVERED' | 'FAILED' | 'CANCEL_REQUESTED' | 'CANCELED';

export interface LogEvent {
  time: number;
  state: MessageState;
  [field: string]: unknown;
}

/** A message whose events are shown. */
export interface LoggedRun {
  run: Pick<RunRecord, 'id' | 'createdAt' | 'input'>;
  meta: RunMeta;
}

/** What the events of one message have in common; made once for each message of a page. */
export type EventFields = Record<string, unknown>;

export async function commonFields({ run, meta }: LoggedRun): Promise<EventFields> {
  const {
    body,
    bodyBase64,
    header: _header,
    callbackHeader,
    failureCallbackHeader,
    retryDelayExpression,
    ...fields
  } = await deliveryFields(meta, run.input);
  return {
    messageId: messageIdOf(run.id),
    ...fields,
    header: await shownHeaders(meta),
    ...(typeof body === 'string' ? { body: base64(body) } : bodyBase64 === undefined ? {} : { body: bodyBase64 }),
    ...(callbackHeader === undefined ? {} : { callbackHeaders: callbackHeader }),
    ...(failureCallbackHeader === undefined ? {} : { failureCallbackHeaders: failureCallbackHeader }),
    // Docs and the Python client spell it differently.
    ...(retryDelayExpression === undefined ? {} : { retryDelayExpression, retryDelayExpr: retryDelayExpression }),
  };
}

/**
 * The events that one line of the log stands for, newest first. Over a message's life: `CREATED ACTIVE (ERROR RETRY ACTIVE)* DELIVERED`, or
 * `ERROR FAILED` at the end. An attempt's start has no line of its own; it follows from the answer's duration.
 */
export function eventsOf({ run, meta }: LoggedRun, fields: EventFields, entry: HistoryEntry | null): LogEvent[] {
  const event = (time: number, state: MessageState, more: Record<string, unknown> = {}): LogEvent => ({
    time,
    state,
    ...fields,
    ...more,
  });
  if (entry === null)
    return [event(run.createdAt, 'CREATED', { nextDeliveryTime: Math.max(run.createdAt, meta.notBeforeMs ?? 0) })];
  const { body, atMs } = entry;
  if (body.kind === 'retry') {
    const { durationMs } = exchangeOf(body.meta);
    return [
      event(atMs, 'RETRY', { nextDeliveryTime: body.dueAt }),
      event(atMs, 'ERROR', failure(entry)),
      event(atMs - durationMs, 'ACTIVE'),
    ];
  }
  if (body.kind !== 'end') return [];
  if (body.status === 'cancelled') {
    // The first attempt was under way: it has no answer whose duration says since when.
    const active = body.begunAt === undefined ? [] : [event(body.begunAt, 'ACTIVE')];
    return [event(atMs, 'CANCELED'), event(atMs, 'CANCEL_REQUESTED'), ...active];
  }
  const exchange = exchangeOf(body.meta);
  const active = event(atMs - exchange.durationMs, 'ACTIVE');
  if (body.status === 'completed') return [event(atMs, 'DELIVERED', success(entry, exchange)), active];
  return [event(atMs, 'FAILED', failure(entry)), event(atMs, 'ERROR', failure(entry)), active];
}

export function activeEvent(fields: EventFields, sinceMs: number): LogEvent {
  return { time: sinceMs, state: 'ACTIVE', ...fields };
}

function failure(entry: HistoryEntry): Record<string, unknown> {
  const response = parseResponse(entry.data);
  return {
    error: response.message ?? `status ${response.status}`,
    ...(response.status === 0 ? {} : { responseStatus: response.status }),
    responseBody: response.body,
    responseHeader: response.header,
    responseHeaders: response.header,
  };
}

function success(entry: HistoryEntry, exchange: ExchangeMeta): Record<string, unknown> {
  return {
    responseStatus: exchange.status,
    responseBody: base64(entry.data),
    ...(exchange.header === undefined ? {} : { responseHeader: exchange.header, responseHeaders: exchange.header }),
  };
}

function exchangeOf(meta: string | undefined): ExchangeMeta {
  const exchange = JSON.parse(meta ?? '{}') as Partial<ExchangeMeta>;
  return { ...exchange, status: exchange.status ?? 0, durationMs: Math.round(exchange.durationMs ?? 0) };
}
