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

/**
 * The events of one message, oldest first: `CREATED ACTIVE (ERROR RETRY ACTIVE)* DELIVERED`, or `ERROR FAILED` at the end. An
 * attempt's start is not in the history; it follows from the answer's duration.
 */
export async function logEvents(run: RunRecord, meta: RunMeta, history: HistoryEntry[]): Promise<LogEvent[]> {
  const fields = await commonFields(run, meta);
  const events: LogEvent[] = [];
  const add = (time: number, state: MessageState, more: Record<string, unknown> = {}): void => {
    events.push({ time, state, ...fields, ...more });
  };
  add(run.createdAt, 'CREATED', { nextDeliveryTime: meta.notBeforeMs ?? run.createdAt });
  for (const entry of history) {
    const { body, atMs } = entry;
    if (body.kind === 'retry') {
      const exchange = exchangeOf(body.meta);
      add(atMs - exchange.durationMs, 'ACTIVE');
      add(atMs, 'ERROR', failure(entry));
      add(atMs, 'RETRY', { nextDeliveryTime: body.dueAt });
    } else if (body.kind === 'end') {
      const exchange = exchangeOf(body.meta);
      if (body.status === 'cancelled') {
        add(atMs, 'CANCEL_REQUESTED');
        add(atMs, 'CANCELED');
      } else {
        add(atMs - exchange.durationMs, 'ACTIVE');
        if (body.status === 'completed') add(atMs, 'DELIVERED', success(entry, exchange));
        else {
          add(atMs, 'ERROR', failure(entry));
          add(atMs, 'FAILED', failure(entry));
        }
      }
    }
  }
  return events;
}

async function commonFields(run: RunRecord, meta: RunMeta): Promise<Record<string, unknown>> {
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
