import { canonicalJson } from './canonical.ts';
import { InngestError } from './errors.ts';
import type { JsonText } from '../../core/model/payload.ts';

/** Sessions of one event (inngest/inngest: pkg/event sessions). */
const MAX_SESSIONS = 5;

/**
 * `meta` of an event as user code receives it: propagated sessions under the sender's own, whose nulls remove a propagated one.
 * Undefined: no meta worth keeping. Throws InngestError.
 */
export function mergeSessions(meta: unknown): JsonText | undefined {
  if (meta === undefined || meta === null) return undefined;
  const { sessions, propagated_sessions: propagated } = record(meta, 'meta');
  // A null instead of an object means: none, not even the propagated ones.
  if (sessions === null) return undefined;
  const merged: Record<string, unknown> = {
    ...record(propagated ?? {}, 'meta.propagated_sessions'),
    ...record(sessions ?? {}, 'meta.sessions'),
  };
  const kept = Object.entries(merged).filter(([, value]) => value !== null && value !== undefined);
  if (kept.length === 0) return undefined;
  for (const [key, value] of kept) {
    if (typeof value !== 'string' && typeof value !== 'number')
      throw new InngestError(400, 'invalid_event', `meta.sessions.${key} must be a string or a number`);
  }
  if (kept.length > MAX_SESSIONS)
    throw new InngestError(400, 'invalid_event', `an event has at most ${MAX_SESSIONS} sessions`);
  return canonicalJson({ sessions: Object.fromEntries(kept) });
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InngestError(400, 'invalid_event', `${name} must be an object`);
  return value as Record<string, unknown>;
}
