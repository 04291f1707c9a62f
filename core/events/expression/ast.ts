export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

/** Longer than any filter people write; bounds the parser. */
export const MAX_SOURCE_LENGTH = 10_000;
/** Nesting of a compiled expression; bounds the interpreter's recursion. */
export const MAX_DEPTH = 200;
/** Work allowed for one evaluation, in steps: about one per node visited, element compared or few dozen characters read. */
export const MAX_STEPS = 100_000;
/** JSON length of an expression after `bindEvent`, which may embed parts of the event. */
export const MAX_BOUND_LENGTH = 262_144;

export type Macro = 'all' | 'exists' | 'exists_one' | 'map' | 'filter';
export type BinaryOperator = '==' | '!=' | '<' | '<=' | '>' | '>=' | '+' | '-' | '*' | '/' | '%' | 'in';

/** A node of a compiled expression. Plain JSON, so that an expression is stored as it is. */
export type Node =
  /** A literal, or a part of the event put in place of its path. Numbers are doubles, as in every JSON document. */
  | { op: 'json'; value: JsonValue }
  /** Decimal digits of a 64-bit integer. */
  | { op: 'int' | 'uint'; value: string }
  | { op: 'bytes'; value: number[] }
  /** A path that led nowhere when the event was put in. Not the same as null. */
  | { op: 'absent' }
  | { op: 'name'; name: string }
  | { op: 'select'; on: Node; field: string }
  | { op: 'has'; on: Node; field: string }
  | { op: 'index'; on: Node; key: Node }
  | { op: 'and' | 'or'; terms: Node[] }
  | { op: 'not' | 'negate'; on: Node }
  | { op: 'binary'; operator: BinaryOperator; left: Node; right: Node }
  | { op: 'choose'; test: Node; yes: Node; no: Node }
  | { op: 'list'; items: Node[] }
  | { op: 'map'; entries: Array<[key: Node, value: Node]> }
  /** The receiver, if there is one, is the first argument. */
  | { op: 'call'; name: string; args: Node[] }
  /** `body` is the predicate, for `map` the transformation; `filter` is the predicate of a three-argument `map`. */
  | { op: 'each'; macro: Macro; on: Node; variable: string; body: Node; filter?: Node };

/** A compiled expression: plain JSON. After `bindEvent` it no longer mentions `event`. */
export interface Expression {
  source: string;
  root: Node;
}

export interface ExpressionError {
  message: string;
  /** Offset in the source. */
  position?: number;
}

export type CompileResult = { ok: true; expression: Expression } | { ok: false; error: ExpressionError };

/** Direct children, in order of evaluation. */
export function childrenOf(node: Node): Node[] {
  switch (node.op) {
    case 'select':
    case 'has':
    case 'not':
    case 'negate':
      return [node.on];
    case 'index':
      return [node.on, node.key];
    case 'and':
    case 'or':
      return node.terms;
    case 'binary':
      return [node.left, node.right];
    case 'choose':
      return [node.test, node.yes, node.no];
    case 'list':
      return node.items;
    case 'map':
      return node.entries.flat();
    case 'call':
      return node.args;
    case 'each':
      return node.filter === undefined ? [node.on, node.body] : [node.on, node.filter, node.body];
    default:
      return [];
  }
}
