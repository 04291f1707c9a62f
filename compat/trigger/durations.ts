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

/** What a caller means by a delay or timeout: a length of time, or a moment by its own clock. */
export type Moment = { kind: 'after'; ms: number } | { kind: 'at'; wallMs: number };

export function parseMoment(value: string | Date): Moment | null {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : { kind: 'at', wallMs: value.getTime() };
  const ms = parseNaturalDuration(value);
  if (ms !== null) return { kind: 'after', ms };
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : { kind: 'at', wallMs: at };
}

/** Seconds as a number, or a duration; `ttl` (trigger.dev: run-engine ttlSystem). */
export function parseTtl(value: string | number): number | null {
  if (typeof value === 'number') return value * 1_000;
  return parseNaturalDuration(value);
}

const KEY_TTL = /^(\d+)([smhd])$/;
const KEY_UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** trigger.dev: apps/webapp/app/utils/idempotencyKeys.server.ts */
export const DEFAULT_KEY_TTL_MS = 30 * 86_400_000;

export function parseKeyTtl(value: string | undefined): number {
  const match = value === undefined ? null : KEY_TTL.exec(value);
  return match ? Number(match[1]) * (KEY_UNITS[match[2] as string] as number) : DEFAULT_KEY_TTL_MS;
}
