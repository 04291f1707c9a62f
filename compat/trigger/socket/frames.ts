import { isRecord, parseJson } from '../packets.ts';

/**
 * Engine.IO v4 with Socket.IO v5 on top, as text frames: what a worker needs to hear that a run has changed, and no more
 * (protocol: socketio/engine.io-protocol, socketio/socket.io-protocol).
 */
export const NAMESPACE = '/dev-worker';
export const PING_EVERY_MS = 25_000;
const PING_TIMEOUT_MS = 20_000;
const MAX_PAYLOAD_BYTES = 1_000_000;

export const PING = '2';

export function openFrame(sid: string): string {
  return `0${JSON.stringify({ sid, upgrades: [], pingInterval: PING_EVERY_MS, pingTimeout: PING_TIMEOUT_MS, maxPayload: MAX_PAYLOAD_BYTES })}`;
}

export function connectedFrame(sid: string): string {
  return `40${NAMESPACE},${JSON.stringify({ sid })}`;
}

export function refusedFrame(message: string): string {
  return `44${NAMESPACE},${JSON.stringify({ message })}`;
}

export function notifyFrame(publicRunId: string): string {
  return `42${NAMESPACE},${JSON.stringify(['run:notify', { version: '1', run: { friendlyId: publicRunId } }])}`;
}

export type ClientFrame =
  | { kind: 'ping' }
  | { kind: 'pong' }
  | { kind: 'connect' }
  | { kind: 'close' }
  | { kind: 'subscribe' | 'unsubscribe'; runs: string[] }
  | { kind: 'other' };

export function readFrame(text: string): ClientFrame {
  if (text === '2') return { kind: 'ping' };
  if (text === '3') return { kind: 'pong' };
  if (text === '1' || text.startsWith(`41${NAMESPACE}`)) return { kind: 'close' };
  if (text.startsWith(`40${NAMESPACE}`)) return { kind: 'connect' };
  if (!text.startsWith(`42${NAMESPACE},`)) return { kind: 'other' };
  const body = text.slice(`42${NAMESPACE},`.length).replace(/^\d+(?=\[)/, '');
  const event = parseJson(body);
  if (!Array.isArray(event) || !isRecord(event[1]) || !Array.isArray(event[1].runFriendlyIds)) return { kind: 'other' };
  const runs = event[1].runFriendlyIds.filter((run): run is string => typeof run === 'string');
  if (event[0] === 'run:subscribe') return { kind: 'subscribe', runs };
  return event[0] === 'run:unsubscribe' ? { kind: 'unsubscribe', runs } : { kind: 'other' };
}
