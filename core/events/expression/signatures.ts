import type { Macro } from './ast.ts';

interface Signature {
  /** Arguments, the receiver included. */
  arity: readonly [min: number, max: number];
  form: 'call' | 'method' | 'both';
  /** Allowed under the restrictive policy. */
  simple?: true;
}

const call = (min: number, max = min, simple?: true): Signature => ({ arity: [min, max], form: 'call', simple });
const both = (arity: number): Signature => ({ arity: [arity, arity], form: 'both' });
const method = (min: number, max = min): Signature => ({ arity: [min, max], form: 'method' });

/** Functions of the standard library and those added to it (`pkg/expressions/exprenv`: celDeclarations). */
const FUNCTIONS: Record<string, Signature> = {
  size: both(1),
  contains: method(2),
  startsWith: method(2),
  endsWith: method(2),
  matches: both(2),
  int: call(1, 1, true),
  uint: call(1, 1, true),
  double: call(1, 1, true),
  string: call(1),
  bytes: call(1),
  bool: call(1),
  dyn: call(1),
  type: call(1),
  timestamp: call(1),
  duration: call(1, 1, true),
  date: call(1, 1, true),
  now: call(0),
  now_plus: call(1, 1, true),
  now_minus: call(1, 1, true),
  lowercase: call(1),
  uppercase: call(1),
  b64decode: call(1),
  json_parse: call(1),
  getFullYear: method(1, 2),
  getMonth: method(1, 2),
  getDate: method(1, 2),
  getDayOfMonth: method(1, 2),
  getDayOfWeek: method(1, 2),
  getDayOfYear: method(1, 2),
  getHours: method(1, 2),
  getMinutes: method(1, 2),
  getSeconds: method(1, 2),
  getMilliseconds: method(1, 2),
};

const MACRO_ARITY: Record<Macro, readonly number[]> = {
  all: [2],
  exists: [2],
  exists_one: [2],
  map: [2, 3],
  filter: [2],
};

/** Names that mean something without being declared: the variables, and types as values (`type(x) == int`). */
export const VARIABLES: readonly string[] = ['event', 'async', 'vars'];
export const TYPE_NAMES: readonly string[] = [
  'null_type',
  'bool',
  'int',
  'uint',
  'double',
  'string',
  'bytes',
  'list',
  'map',
  'type',
];

export function macroOf(name: string, argCount: number): Macro | null {
  return Object.hasOwn(MACRO_ARITY, name) && MACRO_ARITY[name as Macro].includes(argCount) ? (name as Macro) : null;
}

/** What is wrong with a call of this function, or null. `argCount` includes the receiver. */
export function faultOfCall(name: string, isMethod: boolean, argCount: number, restrictive: boolean): string | null {
  const signature = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
  if (signature === undefined || signature.form === (isMethod ? 'call' : 'method')) {
    return `undeclared reference to '${name}'${isMethod ? ' as a method' : ''}`;
  }
  if (restrictive && signature.simple !== true) return `function calls are disallowed (uses '${name}')`;
  const [min, max] = signature.arity;
  if (argCount < min || argCount > max) return `'${name}' does not take ${argCount - (isMethod ? 1 : 0)} argument(s)`;
  return null;
}
