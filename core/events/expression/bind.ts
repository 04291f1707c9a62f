import {
  type Expression,
  type ExpressionError,
  type JsonValue,
  MAX_BOUND_LENGTH,
  MAX_STEPS,
  type Node,
  childrenOf,
} from './ast.ts';
import { evaluateNode } from './evaluate.ts';
import { BudgetExceeded, Meter } from './meter.ts';
import { ABSENT, Failure, Uint, type Value } from './values.ts';

export type BindResult = { ok: true; expression: Expression } | { ok: false; error: ExpressionError };

/** A value that a path of the arriving event must have. */
export interface Equality {
  /** Keys from the event itself on, such as `['data', 'orderId']`. */
  path: string[];
  value: string | number | boolean;
}

/**
 * Puts the event in: paths from `event` become literals, and what depends on nothing else is computed. The result no
 * longer mentions `event` and is plain JSON, to be stored and evaluated with `async`. Evaluating it gives what
 * evaluating the whole would. Fails only when it would become too large.
 */
export function bindEvent(expression: Expression, event: JsonValue): BindResult {
  try {
    const root = new Binder(event, new Meter(MAX_STEPS)).bind(expression.root, []);
    const bound: Expression = { source: expression.source, root };
    if (JSON.stringify(root).length <= MAX_BOUND_LENGTH) return { ok: true, expression: bound };
    return {
      ok: false,
      error: { message: `the expression takes in more than ${MAX_BOUND_LENGTH} characters of the event` },
    };
  } catch (error) {
    const message = error instanceof BudgetExceeded ? error.message : 'the expression cannot be bound';
    return { ok: false, error: { message } };
  }
}

/**
 * Conditions without which the expression cannot be true: top-level terms of the form `async.x.y == literal`. For every
 * event that matches, `pathGet(event, path) === value` for each of them. Not all of its conditions; often none.
 */
export function equalities(expression: Expression): Equality[] {
  const found: Equality[] = [];
  collect(expression.root, found);
  return found;
}

/** Value at a path of an event; undefined when it leads nowhere. */
export function pathGet(event: JsonValue | undefined, path: readonly string[]): JsonValue | undefined {
  let at: JsonValue | undefined = event;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  return at;
}

function collect(node: Node, into: Equality[]): void {
  // A conjunction is true only if each of its terms is truthy, and a comparison is truthy only when true.
  if (node.op === 'and') for (const term of node.terms) collect(term, into);
  if (node.op !== 'binary' || node.operator !== '==') return;
  for (const [one, other] of [
    [node.left, node.right],
    [node.right, node.left],
  ] as const) {
    const path = asyncPath(one);
    const value = scalarOf(other);
    if (path !== null && path.length > 0 && value !== null) into.push({ path, value });
  }
}

function asyncPath(node: Node): string[] | null {
  if (node.op === 'name') return node.name === 'async' ? [] : null;
  if (node.op !== 'select' && node.op !== 'index') return null;
  const field = node.op === 'select' ? node.field : node.key.op === 'json' ? node.key.value : null;
  const head = typeof field === 'string' ? asyncPath(node.on) : null;
  return head === null || typeof field !== 'string' ? null : [...head, field];
}

/** The literal as the event's JSON would have it. Null for what has no single form there: null itself, NaN, too large integers. */
function scalarOf(node: Node): string | number | boolean | null {
  if (node.op === 'json') {
    const { value } = node;
    if (typeof value === 'string' || typeof value === 'boolean') return value;
    return typeof value === 'number' && Number.isFinite(value) ? value + 0 : null;
  }
  if (node.op !== 'int' && node.op !== 'uint') return null;
  const value = Number(node.value);
  return Number.isSafeInteger(value) ? value + 0 : null;
}

class Binder {
  private readonly event: JsonValue;
  private readonly meter: Meter;

  constructor(event: JsonValue, meter: Meter) {
    this.event = event;
    this.meter = meter;
  }

  /** `shadowed`: variables of the macros around, which may be called `event` too. */
  bind(node: Node, shadowed: readonly string[]): Node {
    this.meter.spend(1);
    if (!shadowed.includes('event') && isEventPath(node)) return this.reduced(node);
    const bound = this.rebuilt(node, shadowed);
    return childrenOf(bound).every(isLiteral) && !isLiteral(bound) && isConstant(bound) ? this.reduced(bound) : bound;
  }

  private rebuilt(node: Node, shadowed: readonly string[]): Node {
    const sub = (child: Node) => this.bind(child, shadowed);
    switch (node.op) {
      case 'select':
      case 'has':
      case 'not':
      case 'negate':
        return { ...node, on: sub(node.on) };
      case 'index':
        return { ...node, on: sub(node.on), key: sub(node.key) };
      case 'and':
      case 'or':
        return { ...node, terms: node.terms.map(sub) };
      case 'binary':
        return { ...node, left: sub(node.left), right: sub(node.right) };
      case 'choose':
        return { ...node, test: sub(node.test), yes: sub(node.yes), no: sub(node.no) };
      case 'list':
        return { ...node, items: node.items.map(sub) };
      case 'map':
        return { ...node, entries: node.entries.map(([key, value]) => [sub(key), sub(value)]) };
      case 'call':
        return { ...node, args: node.args.map(sub) };
      case 'each': {
        const inner = [...shadowed, node.variable];
        const filter = node.filter === undefined ? {} : { filter: this.bind(node.filter, inner) };
        return { ...node, on: sub(node.on), body: this.bind(node.body, inner), ...filter };
      }
      default:
        return node;
    }
  }

  /** The node's value as a literal, or the node itself where a literal cannot say it. */
  private reduced(node: Node): Node {
    const value = evaluateNode(node, { event: this.event, nowMs: 0 }, this.meter);
    return literalOf(value, isEventPath(node)) ?? node;
  }
}

/** `event`, or selections from it by literal keys. */
function isEventPath(node: Node): boolean {
  if (node.op === 'name') return node.name === 'event';
  if (node.op === 'select') return isEventPath(node.on);
  return node.op === 'index' && (node.key.op === 'json' || node.key.op === 'int') && isEventPath(node.on);
}

function isLiteral(node: Node): boolean {
  return node.op === 'json' || node.op === 'int' || node.op === 'uint' || node.op === 'absent';
}

/** Whether literal children are all its value depends on: not so for variables, the clock and macros. */
function isConstant(node: Node): boolean {
  if (node.op === 'call') return !node.name.startsWith('now');
  return node.op !== 'name' && node.op !== 'each' && node.op !== 'bytes';
}

function literalOf(value: Value, fromEvent: boolean): Node | null {
  if (value === ABSENT) return { op: 'absent' };
  if (typeof value === 'bigint') return { op: 'int', value: String(value) };
  if (value instanceof Uint) return { op: 'uint', value: String(value.value) };
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return { op: 'json', value };
  if (Object.is(value, -0)) return { op: 'negate', on: { op: 'json', value: 0 } };
  // NaN and infinities have no JSON; lists and maps made by the expression hold more than JSON does.
  if (typeof value === 'number') return Number.isFinite(value) ? { op: 'json', value } : null;
  if (value instanceof Failure || !fromEvent) return null;
  return { op: 'json', value: value as JsonValue };
}

/** Whether the name occurs, as a variable of a macro too. */
export function mentions(node: Node, name: string): boolean {
  if (node.op === 'name') return node.name === name;
  return childrenOf(node).some((child) => mentions(child, name));
}
