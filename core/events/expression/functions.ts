import { int, textOf, uint } from './arithmetic.ts';
import type { JsonValue } from './ast.ts';

import type { Meter } from './meter.ts';
import { regexMatches } from './regex-match.ts';
import { RegexError } from './regex-parse.ts';
import {
  formatDurationValue,
  formatTimestamp,
  parseDurationValue,
  parseTimestamp,
  timePart,
  timestampOf,
  timestampOfMs,
  timestampOfNumber,
} from './time.ts';
import {
  Duration,
  ExpressionMap,
  Failure,
  isAbsent,
  isJsonObject,
  isList,
  isNumeric,
  numberOf,
  Timestamp,
  TypeName,
  type Uint,
  typeOf,
  type Value,
} from './values.ts';

const MAX_TEXT_LENGTH = 4_000_000;

/** Calls a function whose name and arity were checked at compile time. Something absent among the arguments: `size` is 0, all else false. */
export function callFunction(name: string, args: readonly Value[], nowMs: number, meter: Meter): Value {
  if (args.some(isAbsent)) return name === 'size' ? 0n : false;
  const [first = null, second = null] = args;
  switch (name) {
    case 'size':
      return sizeOf(first, meter);
    case 'contains':
    case 'startsWith':
    case 'endsWith':
      return search(name, first, second, meter);
    case 'matches':
      return matches(first, second, meter);
    case 'lowercase':
    case 'uppercase':
      return recased(name, first, meter);
    case 'b64decode':
      return typeof first === 'string' ? decodeBase64(first, meter) : '';
    case 'json_parse':
      return typeof first === 'string' ? parseObject(first, meter) : {};
    case 'dyn':
      return first;
    case 'type':
      return new TypeName(typeOf(first));
    case 'now':
      return timestampOfMs(nowMs);
    case 'now_plus':
    case 'now_minus': {
      const duration = typeof first === 'string' ? parseDurationValue(first) : noOverload(name, first);
      if (duration instanceof Failure) return duration;
      return timestampOf(timestampOfMs(nowMs).ns + (name === 'now_plus' ? duration.ns : -duration.ns));
    }
    case 'date':
    case 'timestamp':
      if (first instanceof Timestamp) return first;
      if (typeof first === 'string') return parseTimestamp(first);
      if (!isNumeric(first) || !Number.isFinite(Number(numberOf(first)))) return noOverload(name, first);
      return name === 'date' ? timestampOfNumber(whole(first)) : timestampOf(whole(first) * 1_000_000_000n);
    case 'duration':
      return first instanceof Duration
        ? first
        : typeof first === 'string'
          ? parseDurationValue(first)
          : noOverload(name, first);
    case 'int':
    case 'uint':
      return toInteger(name, first);
    case 'double':
      if (isNumeric(first)) return Number(numberOf(first));
      return typeof first === 'string' && first.length <= 64 && first.trim() !== '' && !Number.isNaN(Number(first))
        ? Number(first)
        : noOverload(name, first);
    case 'bool':
      if (typeof first === 'boolean') return first;
      if (first === 'true' || first === '1' || first === 't' || first === 'True' || first === 'TRUE') return true;
      return first === 'false' || first === '0' || first === 'f' || first === 'False' || first === 'FALSE'
        ? false
        : noOverload(name, first);
    case 'string':
      return toText(first, meter);
    case 'bytes':
      if (typeof first !== 'string') return first instanceof Uint8Array ? first : noOverload(name, first);
      meter.spendText(first.length);
      return new TextEncoder().encode(first);
    default:
      return timePart(name, first, args[1], meter);
  }
}

/** Code points of a text, elements of anything else that has some. */
function sizeOf(value: Value, meter: Meter): Value {
  if (typeof value === 'string') {
    meter.spend(Math.ceil(value.length / 32));
    let size = 0n;
    for (const _ of value) size++;
    return size;
  }
  if (value instanceof Uint8Array || isList(value)) return BigInt(value.length);
  if (value instanceof ExpressionMap) return BigInt(value.entries.size);
  if (!isJsonObject(value)) return noOverload('size', value);
  const { length } = Object.keys(value);
  meter.spend(Math.ceil(length / 8));
  return BigInt(length);
}

function search(name: 'contains' | 'startsWith' | 'endsWith', text: Value, part: Value, meter: Meter): Value {
  if (typeof text !== 'string' || typeof part !== 'string') return noOverload(name, text);
  meter.spendText(part.length);
  if (name === 'startsWith') return text.startsWith(part);
  if (name === 'endsWith') return text.endsWith(part);
  // The native search may look at every pair of characters in the worst case.
  meter.spend(Math.ceil(text.length / 256 + (text.length * part.length) / 16_384));
  return text.includes(part);
}

function matches(text: Value, pattern: Value, meter: Meter): Value {
  if (typeof text !== 'string' || typeof pattern !== 'string') return noOverload('matches', text);
  try {
    return regexMatches(pattern, text, meter);
  } catch (error) {
    if (error instanceof RegexError) return new Failure(error.message);
    throw error;
  }
}

function recased(name: 'lowercase' | 'uppercase', value: Value, meter: Meter): string {
  if (typeof value !== 'string') return '';
  meter.spendText(value.length * 4);
  return name === 'lowercase' ? value.toLowerCase() : value.toUpperCase();
}

/** Standard base64 to UTF-8 text; empty when it is not base64. */
function decodeBase64(text: string, meter: Meter): string {
  meter.spendText(text.length * 8);
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)));
  } catch {
    return '';
  }
}

/** Only objects are read; anything else gives an empty map. */
function parseObject(text: string, meter: Meter): Value {
  if (text.length > MAX_TEXT_LENGTH) return new Failure('the text is too long');
  meter.spendText(text.length * 8);
  try {
    const parsed = JSON.parse(text) as JsonValue;
    return isJsonObject(parsed) ? parsed : {};
  } catch {
    return {};
  }
}

function toInteger(name: 'int' | 'uint', value: Value): Value {
  let integer: bigint | null = null;
  if (isNumeric(value)) integer = Number.isFinite(Number(numberOf(value))) ? whole(value) : null;
  else if (typeof value === 'string' && /^[+-]?\d{1,20}$/.test(value)) integer = BigInt(value.replace('+', ''));
  else if (value instanceof Timestamp && name === 'int') integer = value.ns / 1_000_000_000n;
  if (integer === null) return noOverload(name, value);
  return name === 'int' ? int(integer) : uint(integer);
}

function toText(value: Value, meter: Meter): Value {
  if (value instanceof Timestamp) return formatTimestamp(value);
  if (value instanceof Duration) return formatDurationValue(value);
  if (value instanceof Uint8Array) {
    meter.spendText(value.length);
    return new TextDecoder().decode(value);
  }
  return textOf(value) ?? noOverload('string', value);
}

/** Towards zero. */
function whole(value: number | bigint | Uint): bigint {
  const number = numberOf(value);
  return typeof number === 'bigint' ? number : BigInt(Math.trunc(number));
}

function noOverload(name: string, value: Value): Failure {
  return new Failure(`no such overload: ${name}(${typeOf(value)})`);
}
