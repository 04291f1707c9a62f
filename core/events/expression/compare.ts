import type { BinaryOperator } from './ast.ts';
import type { Meter } from './meter.ts';
import {
  ABSENT,
  Duration,
  ExpressionMap,
  isAbsent,
  isJsonObject,
  isList,
  isNumeric,
  type JsonObject,
  numberOf,
  Timestamp,
  TypeName,
  Uint,
  type Value,
} from './values.ts';

/** Deeper JSON than this is not compared further and counts as different. */
const MAX_COMPARE_DEPTH = 100;

type Comparison = Extract<BinaryOperator, '==' | '!=' | '<' | '<=' | '>' | '>='>;

/**
 * The six comparisons over any two values (`pkg/expressions/unknown.go`): what is absent equals null only, is smaller
 * than anything when on the left and never larger; null equals null only and orders as the zero of the other side's
 * type; types that do not go together are unequal and in no order.
 */
export function compare(operator: Comparison, left: Value, right: Value, meter: Meter): boolean {
  if (operator === '==' || operator === '!=') {
    const absent = isAbsent(left) || isAbsent(right);
    const equal = absent ? left === null || right === null : equals(left, right, meter, 0);
    return (operator === '==') === equal;
  }
  if (isAbsent(left)) return operator === '<' || operator === '<=';
  if (isAbsent(right)) return operator === '>' || operator === '>=';
  const order = orderOf(left === null ? zeroLike(right) : left, right === null ? zeroLike(left) : right, meter);
  switch (operator) {
    case '<':
      return order === -1;
    case '<=':
      return order === -1 || order === 0;
    case '>':
      return order === 1;
    default:
      return order === 1 || order === 0;
  }
}

/** Equality of two present values, element by element. */
export function equals(left: Value, right: Value, meter: Meter, depth: number): boolean {
  meter.spend(1);
  if (depth > MAX_COMPARE_DEPTH) return false;
  if (isNumeric(left)) return isNumeric(right) && orderOf(left, right, meter) === 0;
  if (typeof left === 'string') {
    if (typeof right !== 'string' || left.length !== right.length) return false;
    meter.spendText(left.length);
    return left === right;
  }
  if (isList(left)) {
    return (
      isList(right) &&
      left.length === right.length &&
      left.every((item, at) => equals(item, right[at] ?? null, meter, depth + 1))
    );
  }
  if (left instanceof TypeName) return right instanceof TypeName && left.name === right.name;
  if (left instanceof ExpressionMap || isJsonObject(left)) {
    if (!(right instanceof ExpressionMap || isJsonObject(right))) return false;
    const [first, second] = [entriesOf(left), entriesOf(right)];
    meter.spend(first.size + second.size);
    if (first.size !== second.size) return false;
    for (const [key, value] of first) {
      const other = second.get(key);
      if (other === undefined || !equals(value, other, meter, depth + 1)) return false;
    }
    return true;
  }
  return left === right || orderOf(left, right, meter) === 0;
}

/** -1, 0 or 1; null when the two have no order. */
function orderOf(left: Value, right: Value, meter: Meter): -1 | 0 | 1 | null {
  if (isNumeric(left) && isNumeric(right)) return order(numberOf(left), numberOf(right));
  if (typeof left === 'string' && typeof right === 'string') {
    meter.spendText(Math.min(left.length, right.length));
    return orderOfTexts(left, right);
  }
  if (typeof left === 'boolean' && typeof right === 'boolean') return order(Number(left), Number(right));
  if (left instanceof Timestamp && right instanceof Timestamp) return order(left.ns, right.ns);
  if (left instanceof Duration && right instanceof Duration) return order(left.ns, right.ns);
  if (left instanceof Uint8Array && right instanceof Uint8Array) {
    meter.spend(Math.min(left.length, right.length));
    const at = left.findIndex((byte, index) => byte !== right[index]);
    return at === -1 || at >= right.length ? order(left.length, right.length) : order(left[at] ?? 0, right[at] ?? 0);
  }
  return null;
}

function order(left: number | bigint, right: number | bigint): -1 | 0 | 1 | null {
  if (left < right) return -1;
  if (left > right) return 1;
  return Number.isNaN(left) || Number.isNaN(right) ? null : 0;
}

/** By code point, which is the order of the UTF-8 bytes; JavaScript's own order differs beyond the first plane. */
function orderOfTexts(left: string, right: string): -1 | 0 | 1 {
  if (left === right) return 0;
  const shared = Math.min(left.length, right.length);
  let at = 0;
  while (at < shared && left.charCodeAt(at) === right.charCodeAt(at)) at++;
  if (at === shared) return left.length < right.length ? -1 : 1;
  return rank(left.charCodeAt(at)) < rank(right.charCodeAt(at)) ? -1 : 1;
}

function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

function zeroLike(other: Value): Value {
  if (typeof other === 'bigint') return 0n;
  if (typeof other === 'number') return 0;
  if (typeof other === 'string') return '';
  return other instanceof Uint ? new Uint(0n) : ABSENT;
}

function entriesOf(map: ExpressionMap | JsonObject): ReadonlyMap<string, Value> {
  if (map instanceof ExpressionMap) return new Map([...map.entries].map(([id, [, value]]) => [id, value]));
  return new Map(Object.entries(map).map(([key, value]) => [`s${key}`, value]));
}
