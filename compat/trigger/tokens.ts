import type { CellApi } from '../../core/ports.ts';
import { COLLECTIONS, tokenOf } from './names.ts';
import { isRecord, parseJson, type Packet } from './packets.ts';
import { timeoutOutput, writePacket } from './waitpoints.ts';
import { hex } from './ids.ts';

/** A wait token as made; how it was completed lies in a record of its own, written once. */
export interface Token {
  id: string;
  createdAt: number;
  timeoutAt?: number;
  tags: string[];
  idempotencyKey?: string;
  idempotencyKeyExpiresAt?: number;
}

interface Completion {
  completedAt: number;
  packet: Packet;
}

export const TOKEN_RETENTION_MS = 400 * 86_400_000;

/** Sorts tokens by age, for lists. */
export function indexIdOf(token: Token): string {
  return `${String(token.createdAt).padStart(14, '0')}-${token.id}`;
}

export async function readToken(cell: CellApi, id: string): Promise<Token | null> {
  const record = await cell.query({ type: 'record', collection: COLLECTIONS.waitpoints, id });
  const value = record === null ? null : parseJson(record.data);
  return isRecord(value) && typeof value.id === 'string' ? (value as unknown as Token) : null;
}

async function readCompletion(cell: CellApi, id: string): Promise<Completion | null> {
  const record = await cell.query({ type: 'record', collection: COLLECTIONS.waitpointResults, id });
  const value = record === null ? null : parseJson(record.data);
  return isRecord(value) ? (value as unknown as Completion) : null;
}

/** Completes a token once; later completions, and any after its time, change nothing. */
export async function completeToken(cell: CellApi, token: Token, packet: Packet, nowMs: number): Promise<void> {
  if (token.timeoutAt !== undefined && token.timeoutAt <= nowMs) return;
  const completion: Completion = { completedAt: nowMs, packet };
  const expiresAt = nowMs + TOKEN_RETENTION_MS;
  await cell.apply([
    {
      type: 'put-record',
      collection: COLLECTIONS.waitpointResults,
      id: token.id,
      data: JSON.stringify(completion),
      ifAbsent: true,
      expiresAt,
    },
  ]);
  // What was written first is what counts; said again after a crash between the two it changes nothing.
  const first = (await readCompletion(cell, token.id)) ?? completion;
  await cell.apply([
    {
      type: 'complete-token',
      token: tokenOf(token.id),
      data: writePacket(first.packet),
      keep: 'latch',
      keepUntilMs: expiresAt,
    },
  ]);
}

/** @trigger.dev/core: v3/schemas/api.ts WaitpointRetrieveTokenResponse */
export async function tokenResponse(
  cell: CellApi,
  token: Token,
  url: string,
  nowMs: number,
): Promise<Record<string, unknown>> {
  const completion = await readCompletion(cell, token.id);
  const timedOut = completion === null && token.timeoutAt !== undefined && token.timeoutAt <= nowMs;
  return {
    id: token.id,
    url,
    status: completion ? 'COMPLETED' : timedOut ? 'TIMED_OUT' : 'WAITING',
    createdAt: iso(token.createdAt),
    tags: token.tags,
    ...(token.timeoutAt === undefined ? {} : { timeoutAt: iso(token.timeoutAt) }),
    ...(token.idempotencyKey === undefined ? {} : { idempotencyKey: token.idempotencyKey }),
    ...(token.idempotencyKeyExpiresAt === undefined
      ? {}
      : { idempotencyKeyExpiresAt: iso(token.idempotencyKeyExpiresAt) }),
    ...(completion
      ? {
          completedAt: iso(completion.completedAt),
          outputIsError: false,
          outputType: completion.packet.dataType,
          ...(completion.packet.data === undefined ? {} : { output: completion.packet.data }),
        }
      : {}),
    ...(timedOut && token.timeoutAt !== undefined
      ? { completedAt: iso(token.timeoutAt), outputIsError: true, ...timeoutOutput(token.timeoutAt) }
      : {}),
  };
}

/** Any value as the vendor's server stores it (@trigger.dev/core: stringifyIO, without super JSON: the value came as JSON). */
export function packetOfValue(value: unknown): Packet {
  if (value === undefined) return { dataType: 'application/json' };
  return typeof value === 'string'
    ? { data: value, dataType: 'text/plain' }
    : { data: JSON.stringify(value), dataType: 'application/json' };
}

/** Anyone who knows the address may complete the token: its hash is an HMAC of the id with the environment's key. */
export async function callbackHash(id: string, key: string): Promise<string> {
  const secret = await crypto.subtle.importKey(
    'raw',
    new TextEncoder().encode(key),
    { name: 'HMAC', hash: 'SHA-256' },
    false,
    ['sign'],
  );
  return hex(new Uint8Array(await crypto.subtle.sign('HMAC', secret, new TextEncoder().encode(id))));
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
