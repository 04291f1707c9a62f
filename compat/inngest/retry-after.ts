/** Bounds of `retry-after` (inngest/inngest: httpdriver parseRetry). */
const MIN_RETRY_MS = 1_000;
const MAX_RETRY_MS = 86_400_000;
/** A longer value is a date. */
const MAX_SECONDS_CHARS = 7;

/** The time that a `retry-after` header names: seconds from now, or a date; between a second and a day from now. Null: it says nothing. */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | null {
  if (header === undefined || header === '') return null;
  if (header.length <= MAX_SECONDS_CHARS && /^\d+(\.\d+)?$/.test(header)) return nowMs + clamp(Number(header) * 1_000);
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : nowMs + clamp(date - nowMs);
}

function clamp(delayMs: number): number {
  return Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, delayMs));
}
