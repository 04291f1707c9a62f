import type { LeasedCall } from '../../core/model/call.ts';
import type { EnvironmentContext, HttpCall } from '../../core/ports.ts';
import { DEFAULT_TIMEOUT_MS } from './constants.ts';
import type { HeaderList } from './headers.ts';
import { regionOf } from './settings.ts';
import { sign } from './signature.ts';
import { signingKeys } from './task-data.ts';

const USER_AGENT = 'Upstash-QStash';

/** What one delivery is made of; the rest (id, attempt, signature) is the same for all. */
export interface Delivery {
  messageId: string;
  url: string;
  method: string;
  contentType?: string;
  headers: HeaderList;
  body: Uint8Array;
  timeoutMs?: number;
  maxResponseBytes: number;
}

/** Adds what every delivery has: id, attempt and the signature of this very attempt. */
export async function toRequest(call: LeasedCall, delivery: Delivery, context: EnvironmentContext): Promise<HttpCall> {
  // A GET with a body cannot be sent from here: the body is dropped and the signature says so (README, QST-1).
  const bodyless = delivery.method === 'GET' || delivery.method === 'HEAD';
  const body = bodyless ? new Uint8Array() : delivery.body;
  const headers: Array<[string, string]> = [...delivery.headers];
  if (delivery.contentType !== undefined && !bodyless) headers.push(['content-type', delivery.contentType]);
  headers.push(
    ['user-agent', USER_AGENT],
    ['upstash-message-id', delivery.messageId],
    ['upstash-retried', String(call.attempt)],
  );
  const region = regionOf(context);
  if (region !== null) headers.push(['upstash-region', region]);
  const keys = signingKeys(context, call.task.data);
  if (keys) headers.push(['upstash-signature', await sign(keys.current, delivery.url, body, context.wallClockMs())]);
  return {
    url: delivery.url,
    method: delivery.method,
    headers,
    body: bodyless ? null : body,
    timeoutMs: delivery.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    maxResponseBytes: delivery.maxResponseBytes,
  };
}
