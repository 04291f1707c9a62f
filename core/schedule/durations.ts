export type DurationUnit = 'ns' | 'us' | 'ms' | 's' | 'm' | 'h' | 'd' | 'w';

const UNIT_NS: Record<DurationUnit, bigint> = {
  ns: 1n,
  us: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
  w: 604_800_000_000_000n,
};

export const ALL_UNITS: readonly DurationUnit[] = ['ns', 'us', 'ms', 's', 'm', 'h', 'd', 'w'];
/** The units of Go's `time.ParseDuration`. */
export const GO_UNITS: readonly DurationUnit[] = ['ns', 'us', 'ms', 's', 'm', 'h'];

/** Longer than any duration worth writing; keeps the digits, and so the arithmetic, small. */
const MAX_TEXT_LENGTH = 64;
/** A signed 64-bit count of nanoseconds, about 292 years: what Go's `time.Duration` holds. */
const MAX_NS = 9_223_372_036_854_775_807n;
const NS_PER_MS = 1_000_000n;

const PART = /^(\d+)(?:\.(\d+))?([a-zµμ]+)/;

export interface DurationOptions {
  /** Units taken; all by default. `µs` is `us`. */
  units?: readonly DurationUnit[];
  /** `1.5h`; true by default. */
  allowFloat?: boolean;
  /** `-5m`; false by default. */
  allowNegative?: boolean;
}

/**
 * Reads a compound duration (`1d10h30m`, `1.5h`, `250ms`, `0`) exactly, in nanoseconds. Null when it is not one.
 * Units may come in any order and more than once, as in Go. A fraction finer than a nanosecond is cut off.
 */
export function parseDurationNs(text: string, options: DurationOptions = {}): bigint | null {
  const { units = ALL_UNITS, allowFloat = true, allowNegative = false } = options;
  if (text.length > MAX_TEXT_LENGTH) return null;
  let rest = text;
  const negative = rest.startsWith('-');
  if (negative && !allowNegative) return null;
  if (negative || rest.startsWith('+')) rest = rest.slice(1);
  if (rest === '0') return 0n;
  if (rest === '') return null;
  let total = 0n;
  while (rest !== '') {
    const part = PART.exec(rest);
    if (part === null) return null;
    const [whole, digits = '', fraction = '', suffix = ''] = part;
    const unit = unitOf(suffix);
    if (unit === null || !units.includes(unit)) return null;
    if (fraction !== '' && !allowFloat) return null;
    const unitNs = UNIT_NS[unit];
    total += BigInt(digits) * unitNs;
    if (fraction !== '') total += (BigInt(fraction) * unitNs) / 10n ** BigInt(fraction.length);
    if (total > MAX_NS) return null;
    rest = rest.slice(whole.length);
  }
  return negative ? -total : total;
}

/** As `parseDurationNs`, in milliseconds; a fraction of a millisecond stays as a fraction. */
export function parseDuration(text: string, options: DurationOptions = {}): number | null {
  const ns = parseDurationNs(text, options);
  if (ns === null) return null;
  const whole = ns / NS_PER_MS;
  return Number(whole) + Number(ns - whole * NS_PER_MS) / 1e6;
}

/**
 * Writes a duration of whole milliseconds in compound form (`1d10h30m`, `1s500ms`, `0s`), largest unit first.
 * A fraction is rounded; what is not finite counts as zero. `parseDuration` reads it back.
 */
export function formatDuration(
  durationMs: number,
  units: readonly DurationUnit[] = ['d', 'h', 'm', 's', 'ms'],
): string {
  const rounded = Number.isFinite(durationMs) ? Math.round(durationMs) : 0;
  let rest = BigInt(Math.abs(rounded)) * NS_PER_MS;
  if (rest === 0n) return '0s';
  const ordered = [...units].sort((a, b) => (UNIT_NS[a] > UNIT_NS[b] ? -1 : 1));
  let text = rounded < 0 ? '-' : '';
  for (const unit of ordered) {
    const count = rest / UNIT_NS[unit];
    if (count === 0n) continue;
    text += `${count}${unit}`;
    rest -= count * UNIT_NS[unit];
  }
  return text === '' || text === '-' ? '0s' : text;
}

function unitOf(suffix: string): DurationUnit | null {
  if (suffix === 'µs' || suffix === 'μs') return 'us';
  return Object.hasOwn(UNIT_NS, suffix) ? (suffix as DurationUnit) : null;
}
