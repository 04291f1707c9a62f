import type { JsonValue } from './ast.ts';

/** An unsigned integer. Signed ones are bigints, doubles are numbers. */
export class Uint {
  readonly value: bigint;
  constructor(value: bigint) {
    this.value = value;
  }
}

/** An instant, in nanoseconds since the epoch. */
export class Timestamp {
  readonly ns: bigint;
  constructor(ns: bigint) {
    this.ns = ns;
  }
}

export class Duration {
  readonly ns: bigint;
  constructor(ns: bigint) {
    this.ns = ns;
  }
}

export class TypeName {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** A map made by the expression itself; its keys need not be text. Keyed by `mapKey`. */
export class ExpressionMap {
  readonly entries: ReadonlyMap<string, readonly [key: Value, value: Value]>;
  constructor(entries: ReadonlyMap<string, readonly [key: Value, value: Value]>) {
    this.entries = entries;
  }
}

/** An operation that has no result, such as 1/0. Where it is compared it counts as absent. */
export class Failure {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

/** What a path that leads nowhere gives. Neither null nor an error. */
export const ABSENT: unique symbol = Symbol('absent');

export interface JsonObject {
  readonly [key: string]: JsonValue;
}

export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint
  | Uint8Array
  | Timestamp
  | Duration
  | TypeName
  | readonly Value[]
  | ExpressionMap
  | JsonObject
  | Failure
  | typeof ABSENT;

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isJsonObject(value: Value): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && isPlain(value);
}

export function isMap(value: Value): value is ExpressionMap | JsonObject {
  return value instanceof ExpressionMap || isJsonObject(value);
}

/** Absent, or a failure: the two count as one wherever values meet. */
export function isAbsent(value: Value): value is typeof ABSENT | Failure {
  return value === ABSENT || value instanceof Failure;
}

export function isNumeric(value: Value): value is number | bigint | Uint {
  return typeof value === 'number' || typeof value === 'bigint' || value instanceof Uint;
}

/** The number itself; JavaScript compares bigints and doubles exactly. */
export function numberOf(value: number | bigint | Uint): number | bigint {
  return value instanceof Uint ? value.value : value;
}

export function typeOf(value: Value): string {
  if (value === null) return 'null_type';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return 'double';
  if (typeof value === 'bigint') return 'int';
  if (typeof value === 'string') return 'string';
  if (value instanceof Uint) return 'uint';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof Timestamp) return 'google.protobuf.Timestamp';
  if (value instanceof Duration) return 'google.protobuf.Duration';
  if (value instanceof TypeName) return 'type';
  if (isList(value)) return 'list';
  return isAbsent(value) ? 'unknown' : 'map';
}

/** Identity of a map key: equal numbers of any type are one key. Null for what cannot be a key. */
export function mapKey(key: Value): string | null {
  if (typeof key === 'string') return `s${key}`;
  if (typeof key === 'boolean') return `b${key}`;
  if (!isNumeric(key)) return null;
  const number = numberOf(key);
  return Number.isNaN(number) ? null : `n${number === 0 ? 0 : number}`;
}

/** JSON as it is written back: with one zero. So an expression that has been stored says what it said before. */
export function jsonValue(value: Value): Value {
  return value === 0 ? 0 : value;
}

/** Value of a key, ABSENT when there is none or `on` has no keys. */
export function lookUp(on: Value, key: Value): Value {
  if (isList(on)) {
    if (!isNumeric(key)) return ABSENT;
    const at = Number(numberOf(key));
    return Number.isInteger(at) && at >= 0 && at < on.length ? jsonValue(on[at] ?? null) : ABSENT;
  }
  if (on instanceof ExpressionMap) {
    const id = mapKey(key);
    const entry = id === null ? undefined : on.entries.get(id);
    return entry === undefined ? ABSENT : entry[1];
  }
  if (isJsonObject(on) && typeof key === 'string' && Object.hasOwn(on, key)) return jsonValue(on[key] ?? null);
  return ABSENT;
}

/** As in JavaScript, but lists and maps are true even when empty, and NaN is true (`pkg/expressions/unknown.go`: isTruthy). */
export function isTruthy(value: Value): boolean {
  if (value === null || isAbsent(value) || value === '') return false;
  if (typeof value === 'boolean') return value;
  if (isNumeric(value)) {
    const number = numberOf(value);
    return !(number === 0 || number === 0n);
  }
  return true;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
