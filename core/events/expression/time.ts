import { parseDurationNs } from '../../schedule/durations.ts';
import type { Meter } from './meter.ts';
import { Duration, Failure, Timestamp, type Value } from './values.ts';

const NS_PER_MS = 1_000_000n;
const NS_PER_SECOND = 1_000_000_000n;
/** Looking a zone up takes some 50 µs, as long as a hundred plain steps. */
const ZONE_STEPS = 100;
/** Years 1 to 9999: what RFC 3339 can write. */
const MIN_NS = -62_135_596_800_000n * NS_PER_MS;
const MAX_NS = (BigInt(Date.UTC(9999, 11, 31, 23, 59, 59)) + 1_000n) * NS_PER_MS - 1n;

const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(Z|z|[+-]\d\d:\d\d)?)?$/;

export function timestampOfMs(ms: number): Timestamp {
  return new Timestamp(BigInt(Math.trunc(ms)) * NS_PER_MS);
}

export function timestampOf(ns: bigint): Timestamp | Failure {
  return ns < MIN_NS || ns > MAX_NS ? new Failure('timestamp out of range') : new Timestamp(ns);
}

/** RFC 3339, also without zone (UTC) or time, and RFC 1123 and its kin if they name GMT, UTC or an offset. */
export function parseTimestamp(text: string): Timestamp | Failure {
  const iso = ISO.exec(text);
  if (iso === null) {
    const named = /(?:GMT|UTC|[+-]\d{4})$/.test(text) && text.length <= 40 ? Date.parse(text) : Number.NaN;
    return Number.isNaN(named) ? new Failure(`'${text.slice(0, 40)}' is not a date`) : timestampOfMs(named);
  }
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '', zone = 'Z'] = iso;
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone.toUpperCase()}`);
  // Date.parse takes 31 February for 3 March.
  const exists = Number(day) <= new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  if (Number.isNaN(ms) || !exists) return new Failure(`'${text}' is not a date`);
  return timestampOf(BigInt(ms) * NS_PER_MS + BigInt(fraction.padEnd(9, '0')));
}

/** Seconds, milliseconds or nanoseconds by size; nothing before 2000 (`pkg/dateutil`: ParseInt). */
export function timestampOfNumber(value: bigint): Timestamp | Failure {
  if (value < 946_684_800n) return new Failure(`${value} is not a date`);
  if (value < 9_999_999_999n) return timestampOf(value * NS_PER_SECOND);
  return timestampOf(value < 9_999_999_999_999n ? value * NS_PER_MS : value);
}

export function parseDurationValue(text: string): Duration | Failure {
  const ns = parseDurationNs(text, { allowNegative: true });
  return ns === null ? new Failure(`'${text.slice(0, 40)}' is not a duration`) : new Duration(ns);
}

/** RFC 3339 with as many decimals as needed. */
export function formatTimestamp(timestamp: Timestamp): string {
  const ms = floorDiv(timestamp.ns, NS_PER_MS);
  const nanos = timestamp.ns - floorDiv(timestamp.ns, NS_PER_SECOND) * NS_PER_SECOND;
  const head = new Date(Number(ms)).toISOString().slice(0, 19);
  const fraction = nanos === 0n ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`;
  return `${head}${fraction}Z`;
}

/** Seconds with a unit (`5400s`, `0.25s`). */
export function formatDurationValue(duration: Duration): string {
  const negative = duration.ns < 0n;
  const ns = negative ? -duration.ns : duration.ns;
  const nanos = ns % NS_PER_SECOND;
  const fraction = nanos === 0n ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`;
  return `${negative ? '-' : ''}${ns / NS_PER_SECOND}${fraction}s`;
}

/** Methods of timestamps (with an optional zone) and of durations (whole units contained). */
export function timePart(method: string, receiver: Value, zone: Value | undefined, meter: Meter): Value {
  if (receiver instanceof Duration) {
    const unit = {
      getHours: 3_600n * NS_PER_SECOND,
      getMinutes: 60n * NS_PER_SECOND,
      getSeconds: NS_PER_SECOND,
      getMilliseconds: NS_PER_MS,
    }[method];
    return unit === undefined ? new Failure(`a duration has no ${method}()`) : receiver.ns / unit;
  }
  if (!(receiver instanceof Timestamp)) return new Failure(`${method}() needs a timestamp`);
  if (zone !== undefined) meter.spend(ZONE_STEPS);
  const utcMs = Number(floorDiv(receiver.ns, NS_PER_MS));
  const offsetMs = zone === undefined ? 0 : typeof zone === 'string' ? offsetOf(zone, utcMs) : null;
  if (offsetMs === null) return new Failure('unknown time zone');
  const local = new Date(utcMs + offsetMs);
  switch (method) {
    case 'getFullYear':
      return BigInt(local.getUTCFullYear());
    case 'getMonth':
      return BigInt(local.getUTCMonth());
    case 'getDate':
      return BigInt(local.getUTCDate());
    case 'getDayOfMonth':
      return BigInt(local.getUTCDate() - 1);
    case 'getDayOfWeek':
      return BigInt(local.getUTCDay());
    case 'getDayOfYear':
      return BigInt(Math.floor((local.getTime() - Date.UTC(local.getUTCFullYear(), 0, 1)) / 86_400_000));
    case 'getHours':
      return BigInt(local.getUTCHours());
    case 'getMinutes':
      return BigInt(local.getUTCMinutes());
    case 'getSeconds':
      return BigInt(local.getUTCSeconds());
    default:
      return BigInt(local.getUTCMilliseconds());
  }
}

/** Offset from UTC in ms at that instant: `+02:00`, or an IANA zone. Null when unknown. */
function offsetOf(zone: string, utcMs: number): number | null {
  const fixed = /^([+-]?)(\d\d):(\d\d)$/.exec(zone);
  if (fixed !== null) return (fixed[1] === '-' ? -1 : 1) * (Number(fixed[2]) * 60 + Number(fixed[3])) * 60_000;
  if (zone.length > 64) return null;
  try {
    const format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' });
    const name = format.formatToParts(utcMs).find((part) => part.type === 'timeZoneName')?.value ?? '';
    const found = /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(name);
    if (found === null) return null;
    const seconds = Number(found[2] ?? 0) * 3_600 + Number(found[3] ?? 0) * 60 + Number(found[4] ?? 0);
    return (found[1] === '-' ? -1 : 1) * seconds * 1_000;
  } catch {
    return null;
  }
}

function floorDiv(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value % by < 0n ? quotient - 1n : quotient;
}
