import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { type CompileResult, type Expression, type JsonValue, MAX_DEPTH, MAX_SOURCE_LENGTH, type Node } from './ast.ts';
import { faultOfCall, macroOf, TYPE_NAMES, VARIABLES } from './signatures.ts';

const MIN_INT = -(2n ** 63n);
const MAX_INT = 2n ** 63n - 1n;
const MAX_UINT = 2n ** 64n - 1n;

/** Only its parser is used: the library's own evaluation is stricter than the language served here. */
const environment = new Environment({
  unlistedVariablesAreDyn: true,
  limits: { maxDepth: MAX_DEPTH, maxAstNodes: MAX_SOURCE_LENGTH },
});

export interface CompileOptions {
  /**
   * Refuses macros, `in` and all functions but conversions of numbers and dates
   * (`pkg/expressions/validation.go`: DefaultRestrictiveValidationPolicy).
   */
  restrictive?: boolean;
}

/** Parses and checks an expression. Unknown functions and variables are errors; types are not checked. Never throws. */
export function compileExpression(source: string, options: CompileOptions = {}): CompileResult {
  if (source.length > MAX_SOURCE_LENGTH) {
    return { ok: false, error: { message: `the expression is longer than ${MAX_SOURCE_LENGTH} characters` } };
  }
  try {
    const root = new Converter(options.restrictive === true).convert(environment.parse(source).ast, 0, VARIABLES);
    const expression: Expression = { source, root };
    return { ok: true, expression };
  } catch (error) {
    return { ok: false, error: describe(error) };
  }
}

class CompileError extends Error {
  readonly position: number;
  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

function describe(error: unknown): { message: string; position?: number } {
  if (error instanceof CompileError) return { message: error.message, position: error.position };
  // The parser's errors carry a one-line summary and a range; a stack overflow in it has neither.
  const { summary, range } = error as { summary?: unknown; range?: { start?: unknown } };
  const position = typeof range?.start === 'number' ? range.start : undefined;
  return { message: typeof summary === 'string' ? summary : 'the expression is nested too deeply', position };
}

class Converter {
  private readonly restrictive: boolean;

  constructor(restrictive: boolean) {
    this.restrictive = restrictive;
  }

  convert(ast: ASTNode, depth: number, scope: readonly string[]): Node {
    if (depth > MAX_DEPTH) throw new CompileError(`the expression is nested deeper than ${MAX_DEPTH}`, ast.pos);
    const sub = (child: ASTNode) => this.convert(child, depth + 1, scope);
    switch (ast.op) {
      case 'value':
        return literal(ast.args, ast.pos);
      case 'id':
        if (!scope.includes(ast.args) && !TYPE_NAMES.includes(ast.args)) {
          throw new CompileError(`undeclared reference to '${ast.args}'; known: ${scope.join(', ')}`, ast.pos);
        }
        return { op: 'name', name: ast.args };
      case '.':
        return { op: 'select', on: sub(ast.args[0]), field: ast.args[1] };
      case '[]':
        return { op: 'index', on: sub(ast.args[0]), key: sub(ast.args[1]) };
      case '&&':
        return { op: 'and', terms: chain(ast, '&&').map(sub) };
      case '||':
        return { op: 'or', terms: chain(ast, '||').map(sub) };
      case '!_':
        return { op: 'not', on: sub(ast.args) };
      case '-_':
        return ast.args.op === 'value' ? literal(negated(ast.args.args), ast.pos) : { op: 'negate', on: sub(ast.args) };
      case '?:':
        return { op: 'choose', test: sub(ast.args[0]), yes: sub(ast.args[1]), no: sub(ast.args[2]) };
      case 'list':
        return { op: 'list', items: ast.args.map(sub) };
      case 'map':
        return { op: 'map', entries: ast.args.map(([key, value]) => [sub(key), sub(value)]) };
      case 'call':
        return this.call(ast.args[0], null, ast.args[1], ast.pos, depth, scope);
      case 'rcall':
        return this.call(ast.args[0], ast.args[1], ast.args[2], ast.pos, depth, scope);
      case 'in':
        if (this.restrictive) throw new CompileError("function calls are disallowed (uses 'in')", ast.pos);
        return { op: 'binary', operator: 'in', left: sub(ast.args[0]), right: sub(ast.args[1]) };
      case '==':
      case '!=':
      case '<':
      case '<=':
      case '>':
      case '>=':
      case '+':
      case '-':
      case '*':
      case '/':
      case '%':
        return { op: 'binary', operator: ast.op, left: sub(ast.args[0]), right: sub(ast.args[1]) };
      default:
        throw new CompileError(`'${String((ast as { op: unknown }).op)}' is not supported`, (ast as ASTNode).pos);
    }
  }

  private call(
    name: string,
    receiver: ASTNode | null,
    args: ASTNode[],
    pos: number,
    depth: number,
    scope: readonly string[],
  ): Node {
    const sub = (child: ASTNode, inner = scope) => this.convert(child, depth + 1, inner);
    const [first, second, third] = args;
    if (receiver === null && name === 'has') {
      if (this.restrictive) throw new CompileError("macros are disallowed (uses 'has')", pos);
      if (first?.op !== '.' || args.length !== 1)
        throw new CompileError('has() takes one field selection, such as has(event.data.id)', pos);
      return { op: 'has', on: sub(first.args[0]), field: first.args[1] };
    }
    const macro = receiver === null ? null : macroOf(name, args.length);
    if (receiver !== null && macro !== null && first !== undefined && second !== undefined) {
      if (this.restrictive) throw new CompileError(`macros are disallowed (uses '${macro}')`, pos);
      if (first.op !== 'id') throw new CompileError(`the first argument of ${macro}() names a variable`, first.pos);
      const inner = [...scope, first.args];
      const each = { op: 'each' as const, macro, on: sub(receiver), variable: first.args };
      if (third === undefined) return { ...each, body: sub(second, inner) };
      return { ...each, body: sub(third, inner), filter: sub(second, inner) };
    }
    const fault = faultOfCall(name, receiver !== null, args.length + (receiver === null ? 0 : 1), this.restrictive);
    if (fault !== null) throw new CompileError(fault, pos);
    return { op: 'call', name, args: [...(receiver === null ? [] : [receiver]), ...args].map((child) => sub(child)) };
  }
}

/** The terms of `a && b && c`, which the parser nests to the left: flat, so that long filters are not deep. */
function chain(ast: ASTNode, op: '&&' | '||'): ASTNode[] {
  const terms: ASTNode[] = [];
  let rest = ast;
  while (rest.op === op) {
    terms.push(rest.args[1]);
    rest = rest.args[0];
  }
  return [...terms, rest].reverse();
}

function literal(value: unknown, position: number): Node {
  if (value === null || typeof value === 'boolean' || typeof value === 'string' || typeof value === 'number') {
    return { op: 'json', value: value satisfies JsonValue };
  }
  if (typeof value === 'bigint') {
    if (value < MIN_INT || value > MAX_INT)
      throw new CompileError(`'${value}' does not fit a 64-bit integer`, position);
    return { op: 'int', value: String(value) };
  }
  if (value instanceof Uint8Array) return { op: 'bytes', value: [...value] };
  // What is left is the parser's own class for `5u`.
  const unsigned = BigInt(String((value as { value?: unknown }).value));
  if (unsigned > MAX_UINT) throw new CompileError(`'${unsigned}u' does not fit a 64-bit integer`, position);
  return { op: 'uint', value: String(unsigned) };
}

function negated(value: unknown): unknown {
  if (typeof value === 'bigint' || typeof value === 'number') return -value;
  throw new CompileError('only a number can be negated', 0);
}
