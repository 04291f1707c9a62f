import type { JsonValue } from './ast.ts';
import { formatDurationValue, formatTimestamp } from './time.ts';
import { Duration, ExpressionMap, Failure, isList, Timestamp, TypeName, Uint, type Value } from './values.ts';

/** Deeper results are cut off with null. */
const MAX_RESULT_DEPTH = 200;

/** A double as C's shortest `%g`: 9.1, 1e+06, 1.5e-07. */
export function formatDouble(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [digits = '', exponent = '0'] = value.toExponential().split('e');
  const power = Number(exponent);
  return power < -4 || power >= 6 ? scientific(digits, power) : String(value);
}

function scientific(digits: string, power: number): string {
  return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

/** The result as JSON: integers as numbers while exact, else as text; instants as RFC 3339; bytes as a list. */
export function toJson(value: Value, depth = 0): JsonValue {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : formatDouble(value);
  if (typeof value === 'bigint') return BigInt.asIntN(54, value) === value ? Number(value) : String(value);
  if (value instanceof Uint) return toJson(value.value);
  if (value instanceof Timestamp) return formatTimestamp(value);
  if (value instanceof Duration) return formatDurationValue(value);
  if (value instanceof TypeName) return value.name;
  if (value instanceof Uint8Array) return [...value];
  if (depth > MAX_RESULT_DEPTH || value instanceof Failure || typeof value === 'symbol') return null;
  if (isList(value)) return value.map((item) => toJson(item, depth + 1));
  if (value instanceof ExpressionMap) {
    return Object.fromEntries(
      [...value.entries.values()].map(([key, item]) => [String(toJson(key)), toJson(item, depth + 1)]),
    );
  }
  return value as JsonValue;
}
