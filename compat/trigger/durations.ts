const UNITS: Array<[RegExp, number]> = [
  [/(\d+)w/, 604_800_000],
  [/(\d+)d/, 86_400_000],
  [/(\d+)(?:hr|h)/, 3_600_000],
  [/(\d+)m/, 60_000],
  [/(\d+)s/, 1_000],
];
const SHAPE = /^(?:\d+(?:w|d|hr|h|m|s))+$/;
const MAX_LENGTH = 100;

/** `1w2d3h4m5s` in any order; of a unit that occurs twice the first counts (@trigger.dev/core: isomorphic/duration.ts). Null when it is not one. */
export function parseNaturalDuration(text: string): number | null {
  if (text.length > MAX_LENGTH || !SHAPE.test(text)) return null;
  let totalMs = 0;
  for (const [unit, unitMs] of UNITS) totalMs += Number(unit.exec(text)?.[1] ?? 0) * unitMs;
  return totalMs;
}

const WRITTEN: Array<[unit: string, seconds: number]> = [
  ['w', 604_800],
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
];

/** `90` as `1m30s`. Undefined for nothing (@trigger.dev/core: isomorphic/duration.ts). */
export function durationText(seconds: number): string | undefined {
  let rest = seconds;
  let text = '';
  for (const [unit, unitSeconds] of WRITTEN) {
    const count = Math.floor(rest / unitSeconds);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * unitSeconds;
  }
  return text === '' ? undefined : text;
}

/** What a caller means by a delay or timeout: a length of time, or a moment by its own clock. */
export type Moment = { kind: 'after'; ms: number } | { kind: 'at'; wallMs: number };

export function parseMoment(value: string | Date): Moment | null {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : { kind: 'at', wallMs: value.getTime() };
  const ms = parseNaturalDuration(value);
  if (ms !== null) return { kind: 'after', ms };
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : { kind: 'at', wallMs: at };
}

const KEY_TTL = /^(\d+)([smhd])$/;
const KEY_UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** trigger.dev: apps/webapp/app/utils/idempotencyKeys.server.ts */
export const DEFAULT_KEY_TTL_MS = 30 * 86_400_000;

export function parseKeyTtl(value: string | undefined): number {
  const match = value === undefined ? null : KEY_TTL.exec(value);
  return match ? Number(match[1]) * (KEY_UNITS[match[2] as string] as number) : DEFAULT_KEY_TTL_MS;
}

const WINDOW = /^(0|[1-9]\d{0,9})([mh%])$/;
const DAY_MINUTES = 1_440;

/** What is wrong with a schedule's window (@trigger.dev/core: parseScheduleWindow). */
export const NO_WINDOW =
  'A window is a whole number of minutes or hours up to 24 hours, or of per cent up to 100, such as "30m", "2h" or "50%"';

/** A schedule's window as the vendor writes it (trigger.dev: formatScheduleWindow). Null for a text that is none. */
export function scheduleWindow(text: string): string | null {
  const [, digits, unit] = WINDOW.exec(text) ?? [];
  if (digits === undefined) return null;
  const amount = Number(digits);
  if (unit === '%') return amount > 100 ? null : `${amount}%`;
  const minutes = unit === 'h' ? amount * 60 : amount;
  if (minutes > DAY_MINUTES) return null;
  return minutes > 0 && minutes % 60 === 0 ? `${minutes / 60}h` : `${minutes}m`;
}
