import { Cron as Croner } from 'croner';
import { normaliseFields } from './cron-fields.ts';

/** Source of the number: the longest cron text the wire formats allow. */
const MAX_TEXT_LENGTH = 255;
const DEFAULT_TIMEZONE = 'UTC';
/** Searches start within these bounds; outside them there is no next occurrence. */
const MIN_MS = 0;
const MAX_MS = Date.UTC(9000, 0, 1);
/** Any fixed instant: a cron without an occurrence in the years after it has none at all. */
const PROBE_MS = Date.UTC(2000, 0, 1);

/** A parsed cron. Cheap to make (parse again rather than store), holds no clock and no timer. */
export interface Cron {
  /** Five fields, without zone prefix or alias. */
  readonly fields: string;
  readonly timezone: string;
  readonly next: (afterMs: number) => number | null;
}

export type ParsedCron = { ok: true; cron: Cron } | { ok: false; error: string };

/**
 * Reads `[TZ=Area/City |CRON_TZ=Area/City ]minute hour day month weekday` or an alias (`@daily`). A prefix wins over
 * `timezone`; UTC without either. Day and weekday both given: either matches. The error says how to mend the text.
 *
 * Daylight saving: a *fixed* cron has neither `*` nor a step in minute and hour. Its times inside a spring gap fire once,
 * at the first minute after the gap; its times in the repeated autumn hour fire once, the first time round. Every other
 * cron follows the clock on the wall: times in the gap do not happen, the repeated hour happens twice. So `30 2 * * *`
 * fires every day, and a step within one hour (`0-30/10 2 * * *`) misses the day on which that hour is skipped.
 */
export function parseCron(text: string, options: { timezone?: string } = {}): ParsedCron {
  if (text.length > MAX_TEXT_LENGTH) return fail(`the cron is longer than ${MAX_TEXT_LENGTH} characters`);
  const prefix = /^\s*(?:CRON_)?TZ=(\S*)\s+/.exec(text);
  const timezone = prefix?.[1] ?? options.timezone ?? DEFAULT_TIMEZONE;
  if (!isTimezone(timezone))
    return fail(`'${timezone}' is not an IANA time zone; use one such as Europe/Stockholm or UTC`);
  const normalised = normaliseFields(text.slice(prefix?.[0].length ?? 0));
  if (!normalised.ok) return normalised;
  const { fields } = normalised;
  try {
    const job = new Croner(fields, { mode: '5-part', timezone, fixedTimeRule: 'no-wildcard', paused: true });
    const cron: Cron = { fields, timezone, next: (afterMs) => search(job, afterMs) };
    if (cron.next(PROBE_MS) === null) return fail(`'${fields}' never occurs: no month has that day`);
    return { ok: true, cron };
  } catch (error) {
    return fail(`'${fields}' is not a cron: ${mend(error)}`);
  }
}

/** First occurrence strictly after `afterMs`, on a whole minute; null when there is none. */
export function nextOccurrence(cron: Cron, afterMs: number): number | null {
  return cron.next(afterMs);
}

/** Occurrences in (`fromMs`, `toMs`], oldest first, at most `limit`. */
export function occurrencesBetween(cron: Cron, fromMs: number, toMs: number, limit: number): number[] {
  const found: number[] = [];
  let at = cron.next(fromMs);
  while (at !== null && at <= toMs && found.length < limit) {
    found.push(at);
    at = cron.next(at);
  }
  return found;
}

function search(job: Croner, afterMs: number): number | null {
  if (!(afterMs <= MAX_MS)) return null;
  const startMs = Math.max(afterMs, MIN_MS - 1);
  const next = job.nextRun(new Date(startMs))?.getTime() ?? null;
  return next !== null && next > startMs && next <= MAX_MS ? next : null;
}

export function isTimezone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+\-/]*$/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function mend(error: unknown): string {
  return error instanceof Error ? error.message.replace(/^Cron\w+: /, '') : 'it cannot be read';
}

function fail(error: string): { ok: false; error: string } {
  return { ok: false, error };
}
