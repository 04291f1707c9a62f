import type { Op } from '../model/call.ts';
import type { Command, ResultOf } from '../model/command.ts';
import type { WaitKind } from '../model/history.ts';
import { NEVER_MS } from '../model/limits.ts';
import type { JsonText, Payload } from '../model/payload.ts';
import type { Kernel, RunHandle } from './kernel.ts';
import { tokenMatch } from './matching.ts';
import { resolve } from './resolve.ts';
import { waiters } from './timers.ts';

/** Collection of completions that nobody has waited for yet, by token and sequence. */
const KEPT = '$token';

/** The length keeps one token from being the beginning of another. */
function keptPrefix(token: string): string {
  return `${token.length}:${token}\n`;
}

interface Kept {
  data: string | null;
  error: boolean;
  keep: 'latch' | 'queue';
  meta?: JsonText;
}

type WaitToken = Extract<Op, { op: 'wait-token' }>;

/** Waits for a token, or takes a completion that came before. False: the token is taken and this wait may not replace the other. */
export function awaitToken(k: Kernel, handle: RunHandle, op: WaitToken, wait: (kind: WaitKind) => void): boolean {
  if (op.exclusive) {
    for (const waiter of waiters(k, tokenMatch(op.token))) {
      if (waiter.run === handle.state.head.id && waiter.key === op.key) continue;
      if (op.exclusive === 'fail') return false;
      resolve(k, waiter.run, waiter.key, { source: 'timeout', data: null });
    }
  }
  wait({ kind: 'token', token: op.token });
  const kept = k.records
    .from(KEPT, keptPrefix(op.token))
    .find((record) => record.expiresAt === null || record.expiresAt > k.now);
  if (kept) {
    const completion = JSON.parse(kept.data) as Kept;
    if (completion.keep === 'queue') k.records.delete(KEPT, kept.id);
    resolve(k, handle.state.head.id, op.key, {
      source: 'token',
      data: decode(completion.data),
      ...(completion.error ? { error: true } : {}),
      ...(completion.meta === undefined ? {} : { meta: completion.meta }),
    });
  }
  return true;
}

export function completeToken(
  k: Kernel,
  command: Extract<Command, { type: 'complete-token' }>,
): ResultOf<'complete-token'> {
  const resumed: Array<{ run: string; key: string }> = [];
  const latched = command.keep === 'latch' && k.records.from(KEPT, keptPrefix(command.token)).length > 0;
  // A latch is set once: what it was completed with first stays.
  if (latched) return { type: 'complete-token', waiters: resumed, kept: true };
  for (const waiter of waiters(k, tokenMatch(command.token))) {
    const resolved = resolve(k, waiter.run, waiter.key, {
      source: 'token',
      data: command.data,
      ...(command.error ? { error: true } : {}),
      ...(command.meta === undefined ? {} : { meta: command.meta }),
    });
    if (resolved) resumed.push(waiter);
    if (command.keep === 'queue' && resolved) break;
  }
  const keep = command.keep === 'latch' || (command.keep === 'queue' && resumed.length === 0);
  if (keep) {
    const kept: Kept = {
      data: encode(command.data),
      error: command.error ?? false,
      keep: command.keep as Kept['keep'],
      ...(command.meta === undefined ? {} : { meta: command.meta }),
    };
    k.records.put(
      KEPT,
      keptPrefix(command.token) + k.ids.next(k.now),
      JSON.stringify(kept),
      command.keepUntilMs ?? NEVER_MS,
    );
  }
  return { type: 'complete-token', waiters: resumed, kept: keep };
}

// Records hold JSON text: bytes travel as base 64 with a mark.
function encode(data: Payload | null): string | null {
  if (data === null) return null;
  if (typeof data === 'string') return `s${data}`;
  let binary = '';
  for (const byte of data) binary += String.fromCharCode(byte);
  return `b${btoa(binary)}`;
}

function decode(text: string | null): Payload | null {
  if (text === null) return null;
  return text[0] === 's' ? text.slice(1) : Uint8Array.from(atob(text.slice(1)), (char) => char.charCodeAt(0));
}
