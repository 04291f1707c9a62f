import { calculate, negate } from './arithmetic.ts';
import { type Expression, type ExpressionError, type JsonValue, MAX_STEPS, type Node } from './ast.ts';
import { compare, equals } from './compare.ts';
import { toJson } from './format.ts';
import { callFunction } from './functions.ts';
import { BudgetExceeded, Meter } from './meter.ts';
import { TYPE_NAMES } from './signatures.ts';
import {
  ABSENT,
  ExpressionMap,
  Failure,
  isAbsent,
  isJsonObject,
  isList,
  isMap,
  isTruthy,
  jsonValue,
  lookUp,
  mapKey,
  TypeName,
  Uint,
  type Value,
} from './values.ts';

export interface Inputs {
  event?: JsonValue;
  async?: JsonValue;
  vars?: JsonValue;
  /** What `now()` says. */
  nowMs: number;
}

export type EvaluateResult = { ok: true; value: JsonValue } | { ok: false; error: ExpressionError };

/** Evaluates an expression. What is absent in the end is false. Never throws and never takes more than MAX_STEPS. */
export function evaluate(expression: Expression, inputs: Inputs): EvaluateResult {
  try {
    const value = evaluateNode(expression.root, inputs, new Meter(MAX_STEPS));
    if (value instanceof Failure) return { ok: false, error: { message: value.message } };
    return { ok: true, value: value === ABSENT ? false : toJson(value) };
  } catch (error) {
    // Anything else thrown here is a fault of the interpreter; a filter must not take its caller down with it.
    const message = error instanceof BudgetExceeded ? error.message : 'the expression cannot be evaluated';
    return { ok: false, error: { message } };
  }
}

/** Whether the value is exactly true: anything else, errors included, does not match. */
export function isTrue(expression: Expression, inputs: Inputs): boolean {
  const result = evaluate(expression, inputs);
  return result.ok && result.value === true;
}

/** Throws BudgetExceeded. */
export function evaluateNode(node: Node, inputs: Inputs, meter: Meter): Value {
  const scope = new Map<string, Value>();
  for (const name of ['event', 'async', 'vars'] as const) scope.set(name, inputs[name] ?? ABSENT);
  return new Interpreter(scope, inputs.nowMs, meter).value(node);
}

class Interpreter {
  private readonly scope: Map<string, Value>;
  private readonly nowMs: number;
  private readonly meter: Meter;

  constructor(scope: Map<string, Value>, nowMs: number, meter: Meter) {
    this.scope = scope;
    this.nowMs = nowMs;
    this.meter = meter;
  }

  value(node: Node): Value {
    this.meter.spend(1);
    switch (node.op) {
      case 'json':
        return jsonValue(node.value);
      case 'int':
        return BigInt(node.value);
      case 'uint':
        return new Uint(BigInt(node.value));
      case 'bytes':
        return Uint8Array.from(node.value);
      case 'absent':
        return ABSENT;
      case 'name':
        return (
          this.scope.get(node.name) ??
          (TYPE_NAMES.includes(node.name) && !this.scope.has(node.name) ? new TypeName(node.name) : null)
        );
      case 'select':
        return lookUp(this.value(node.on), node.field);
      case 'has':
        return lookUp(this.value(node.on), node.field) !== ABSENT;
      case 'index':
        return lookUp(this.value(node.on), this.value(node.key));
      case 'and':
      case 'or':
        return this.logical(node.op, node.terms);
      case 'not':
        return this.not(this.value(node.on));
      case 'negate':
        return negate(this.value(node.on));
      case 'binary':
        return this.binary(node.operator, this.value(node.left), this.value(node.right));
      case 'choose':
        return this.choose(node);
      case 'list':
        return node.items.map((item) => this.value(item));
      case 'map':
        return this.map(node.entries);
      case 'call':
        return callFunction(
          node.name,
          node.args.map((arg) => this.value(arg)),
          this.nowMs,
          this.meter,
        );
      case 'each':
        return this.each(node);
    }
  }

  /** The first term that decides, or the last one: as `||` and `&&` in JavaScript. Failures and absent terms are falsy. */
  private logical(op: 'and' | 'or', terms: readonly Node[]): Value {
    let last: Value = ABSENT;
    for (const term of terms) {
      last = this.value(term);
      if (isTruthy(last) === (op === 'or')) return last;
    }
    return last;
  }

  /** An operator without a rule of its own for what is absent gives false: also `!missing` (`unknown.go`: handleUnknownCall). */
  private not(value: Value): Value {
    if (isAbsent(value)) return false;
    return typeof value === 'boolean' ? !value : new Failure('no such overload: !x');
  }

  private binary(operator: Extract<Node, { op: 'binary' }>['operator'], left: Value, right: Value): Value {
    switch (operator) {
      case '==':
      case '!=':
      case '<':
      case '<=':
      case '>':
      case '>=':
        return compare(operator, left, right, this.meter);
      case 'in':
        return this.contained(left, right);
      default:
        return calculate(operator, left, right, this.meter);
    }
  }

  private contained(left: Value, right: Value): Value {
    if (isAbsent(left) || isAbsent(right)) return false;
    if (isList(right)) return right.some((item) => equals(left, item, this.meter, 0));
    return isMap(right) ? lookUp(right, left) !== ABSENT : new Failure('no such overload: in');
  }

  private choose(node: Extract<Node, { op: 'choose' }>): Value {
    const test = this.value(node.test);
    if (isAbsent(test)) return ABSENT;
    if (typeof test !== 'boolean') return new Failure('no such overload: x ? y : z');
    return this.value(test ? node.yes : node.no);
  }

  private map(entries: ReadonlyArray<readonly [key: Node, value: Node]>): Value {
    const made = new Map<string, readonly [Value, Value]>();
    for (const [keyNode, valueNode] of entries) {
      const key = this.value(keyNode);
      const id = mapKey(key);
      if (id === null) return new Failure('unsupported type of map key');
      made.set(id, [key, this.value(valueNode)]);
    }
    return new ExpressionMap(made);
  }

  /** The macros, over the elements of a list or the keys of a map; nothing to go over is absent. */
  private each(node: Extract<Node, { op: 'each' }>): Value {
    const on = this.value(node.on);
    if (isAbsent(on)) return ABSENT;
    const items = itemsOf(on);
    if (items === null) return new Failure(`no such overload: ${node.macro}()`);
    const hidden = this.scope.get(node.variable);
    try {
      return this.fold(node, items);
    } finally {
      if (hidden === undefined) this.scope.delete(node.variable);
      else this.scope.set(node.variable, hidden);
    }
  }

  private fold(node: Extract<Node, { op: 'each' }>, items: readonly Value[]): Value {
    const kept: Value[] = [];
    for (const item of items) {
      this.meter.spend(1);
      this.scope.set(node.variable, jsonValue(item));
      if (node.macro === 'map') {
        if (node.filter !== undefined && !isTruthy(this.value(node.filter))) continue;
        const mapped = this.value(node.body);
        kept.push(isAbsent(mapped) ? null : mapped);
        continue;
      }
      const holds = isTruthy(this.value(node.body));
      if (node.macro === 'all' && !holds) return false;
      if (node.macro === 'exists' && holds) return true;
      if (holds) kept.push(item);
    }
    if (node.macro === 'all') return true;
    if (node.macro === 'exists') return false;
    return node.macro === 'exists_one' ? kept.length === 1 : kept;
  }
}

function itemsOf(value: Value): readonly Value[] | null {
  if (isList(value)) return value;
  if (value instanceof ExpressionMap) return [...value.entries.values()].map(([key]) => key);
  return isJsonObject(value) ? Object.keys(value) : null;
}
