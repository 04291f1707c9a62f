import { parseDuration } from '../../core/schedule/durations.ts';

/** Shorter texts are never dates (inngest/inngest: pkg/execution/state, sleep options). */
const MIN_DATE_CHARS = 10;
/** Longest sleep or wait (inngest/inngest: pkg/consts, 366 days). */
export const MAX_WAIT_MS = 366 * 86_400_000;

/** Milliseconds of a Go-like duration with days and weeks. The SDKs write a zero duration as the empty text. Null: not a duration. */
export function parseDurationMs(text: string): number | null {
  if (text === '') return 0;
  const ms = parseDuration(text);
  return ms === null ? null : Math.round(ms);
}

/** The moment that a duration or a date means, seen from `nowMs`; a past date is now. Null: neither of both. */
export function parseMoment(text: string, nowMs: number): number | null {
  const duration = parseDurationMs(text);
  if (duration !== null) return nowMs + duration;
  if (text.length < MIN_DATE_CHARS) return null;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(date, nowMs);
}
