import type { BinaryOperator } from './ast.ts';
import type { Meter } from './meter.ts';
import { formatDouble } from './format.ts';
import { timestampOf } from './time.ts';
import { Duration, Failure, isAbsent, isList, isNumeric, numberOf, Timestamp, Uint, type Value } from './values.ts';

type ArithmeticOperator = Extract<BinaryOperator, '+' | '-' | '*' | '/' | '%'>;

const MIN_INT = -(2n ** 63n);
const MAX_INT = 2n ** 63n - 1n;
const MAX_UINT = 2n ** 64n - 1n;
/** Text that an expression may build, in UTF-16 units. */
const MAX_TEXT_LENGTH = 4_000_000;

/**
 * `missing + x` is x and both missing is false; any other operation on a missing value is false. Null adds as nothing.
 * Text joined with a number or boolean is text. Integers and doubles mix as doubles: numbers of an event are doubles.
 */
export function calculate(operator: ArithmeticOperator, left: Value, right: Value, meter: Meter): Value {
  if (isAbsent(left) || isAbsent(right)) {
    if (operator !== '+') return false;
    return !isAbsent(left) ? left : !isAbsent(right) ? right : false;
  }
  if (operator === '+') {
    if (left === null) return right;
    if (right === null) return left;
    if (typeof left === 'string' || typeof right === 'string') return joined(left, right, meter);
    if (isList(left) && isList(right)) {
      meter.spend(left.length + right.length);
      return [...left, ...right];
    }
  }
  if (isNumeric(left) && isNumeric(right)) return numeric(operator, left, right);
  if (operator === '+' || operator === '-') return shifted(operator, left, right);
  return noOverload(operator, left, right);
}

export function negate(value: Value): Value {
  if (isAbsent(value)) return false;
  if (typeof value === 'bigint') return int(-value);
  if (typeof value === 'number') return -value;
  return value instanceof Duration ? new Duration(-value.ns) : new Failure('no such overload: -x');
}

export function int(value: bigint): bigint | Failure {
  return value < MIN_INT || value > MAX_INT ? new Failure('integer overflow') : value;
}

export function uint(value: bigint): Uint | Failure {
  return value < 0n || value > MAX_UINT ? new Failure('unsigned integer overflow') : new Uint(value);
}

/** Text of a scalar as it appears when joined to text; null for what has none. */
export function textOf(value: Value): string | null {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return formatDouble(value);
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  return value instanceof Uint ? String(value.value) : null;
}

function joined(left: Value, right: Value, meter: Meter): Value {
  const [first, second] = [textOf(left), textOf(right)];
  if (first === null || second === null) return noOverload('+', left, right);
  const length = first.length + second.length;
  if (length > MAX_TEXT_LENGTH) return new Failure('the text is too long');
  meter.spendText(length);
  return first + second;
}

function numeric(operator: ArithmeticOperator, left: number | bigint | Uint, right: number | bigint | Uint): Value {
  const [a, b] = [numberOf(left), numberOf(right)];
  if (typeof a === 'bigint' && typeof b === 'bigint') {
    if (b === 0n && (operator === '/' || operator === '%')) return new Failure('division by zero');
    const result = integer(operator, a, b);
    return left instanceof Uint && right instanceof Uint ? uint(result) : int(result);
  }
  const [x, y] = [Number(a), Number(b)];
  switch (operator) {
    case '+':
      return x + y;
    case '-':
      return x - y;
    case '*':
      return x * y;
    case '/':
      return x / y;
    default:
      if (!Number.isInteger(x) || !Number.isInteger(y)) return new Failure('% needs whole numbers');
      return y === 0 ? new Failure('division by zero') : x % y;
  }
}

function integer(operator: ArithmeticOperator, a: bigint, b: bigint): bigint {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    default:
      return a % b;
  }
}

function shifted(operator: '+' | '-', left: Value, right: Value): Value {
  const sign = operator === '+' ? 1n : -1n;
  if (left instanceof Timestamp && right instanceof Duration) return timestampOf(left.ns + sign * right.ns);
  if (left instanceof Duration && right instanceof Timestamp && operator === '+')
    return timestampOf(left.ns + right.ns);
  if (left instanceof Timestamp && right instanceof Timestamp && operator === '-')
    return new Duration(left.ns - right.ns);
  if (left instanceof Duration && right instanceof Duration) return new Duration(left.ns + sign * right.ns);
  return noOverload(operator, left, right);
}

function noOverload(operator: string, left: Value, right: Value): Failure {
  return new Failure(`no such overload: ${kind(left)} ${operator} ${kind(right)}`);
}

function kind(value: Value): string {
  return value === null ? 'null' : isList(value) ? 'list' : typeof value;
}
