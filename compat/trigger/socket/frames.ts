import { isRecord, parseJson } from '../packets.ts';

/**
 * Engine.IO v4 with Socket.IO v5 on top, as text frames: what a worker needs to hear that a run has changed, and no more
 * (protocol: socketio/engine.io-protocol, socketio/socket.io-protocol).
 */
/** Of development sessions, and of deployed workers. */
export type Namespace = '/dev-worker' | '/workload';
export const PING_EVERY_MS = 25_000;
const PING_TIMEOUT_MS = 20_000;
const MAX_PAYLOAD_BYTES = 1_000_000;

export const PING = '2';

export function openFrame(sid: string): string {
  return `0${JSON.stringify({ sid, upgrades: [], pingInterval: PING_EVERY_MS, pingTimeout: PING_TIMEOUT_MS, maxPayload: MAX_PAYLOAD_BYTES })}`;
}

export function connectedFrame(namespace: Namespace, sid: string): string {
  return `40${namespace},${JSON.stringify({ sid })}`;
}

export function refusedFrame(namespace: Namespace, message: string): string {
  return `44${namespace},${JSON.stringify({ message })}`;
}

export function notifyFrame(namespace: Namespace, publicRunId: string): string {
  return `42${namespace},${JSON.stringify(['run:notify', { version: '1', run: { friendlyId: publicRunId } }])}`;
}

export type ClientFrame =
  | { kind: 'ping' }
  | { kind: 'pong' }
  | { kind: 'connect' }
  | { kind: 'close' }
  | { kind: 'subscribe' | 'unsubscribe'; runs: string[] }
  | { kind: 'other' };

export function readFrame(namespace: Namespace, text: string): ClientFrame {
  if (text === '2') return { kind: 'ping' };
  if (text === '3') return { kind: 'pong' };
  if (text === '1' || text.startsWith(`41${namespace}`)) return { kind: 'close' };
  if (text.startsWith(`40${namespace}`)) return { kind: 'connect' };
  if (!text.startsWith(`42${namespace},`)) return { kind: 'other' };
  const body = text.slice(`42${namespace},`.length).replace(/^\d+(?=\[)/, '');
  const event = parseJson(body);
  if (!Array.isArray(event) || !isRecord(event[1])) return { kind: 'other' };
  const [name, { runFriendlyIds, run }] = event as [unknown, Record<string, unknown>];
  // A deployed worker has one run at a time, and speaks of that (trigger.dev: managed/controller).
  const named = Array.isArray(runFriendlyIds) ? (runFriendlyIds as unknown[]) : isRecord(run) ? [run.friendlyId] : [];
  const runs = named.filter((id): id is string => typeof id === 'string');
  if (name === 'run:subscribe' || name === 'run:start') return { kind: 'subscribe', runs };
  return name === 'run:unsubscribe' || name === 'run:stop' ? { kind: 'unsubscribe', runs } : { kind: 'other' };
}
