/** Longer than any delay formula in use; bounds the work of parsing and evaluating. */
const MAX_SOURCE_LENGTH = 1_000;
const MAX_DEPTH = 50;

/** Variable of a retry delay formula: retries made so far, 0 before the first one. */
const DEFAULT_VARIABLES: readonly string[] = ['retried'];

export type Variables = Readonly<Record<string, number>>;
type Formula = (variables: Variables) => number;

export type CompiledArithmetic =
  /** `compute` returns whatever the arithmetic gives, NaN and infinities included; `clampTo` makes it usable. */
  { ok: true; compute: Formula } | { ok: false; error: string };

interface MathFunction {
  arity: readonly [min: number, max: number];
  apply: (...numbers: number[]) => number;
}

const FUNCTIONS: Record<string, MathFunction> = {
  pow: { arity: [2, 2], apply: (base = 0, exponent = 0) => base ** exponent },
  sqrt: { arity: [1, 1], apply: Math.sqrt },
  abs: { arity: [1, 1], apply: Math.abs },
  exp: { arity: [1, 1], apply: Math.exp },
  floor: { arity: [1, 1], apply: Math.floor },
  ceil: { arity: [1, 1], apply: Math.ceil },
  round: { arity: [1, 1], apply: Math.round },
  min: { arity: [1, 16], apply: Math.min },
  max: { arity: [1, 16], apply: Math.max },
};

/**
 * Compiles a formula: numbers, the named variables, `+ - * /`, parentheses and `pow sqrt abs exp floor ceil round min max`.
 * Nothing is ever handed to the JavaScript evaluator. The error says what is wrong and where.
 */
export function compileArithmetic(
  source: string,
  variables: readonly string[] = DEFAULT_VARIABLES,
): CompiledArithmetic {
  if (source.length > MAX_SOURCE_LENGTH)
    return { ok: false, error: `the formula is longer than ${MAX_SOURCE_LENGTH} characters` };
  try {
    return { ok: true, compute: new FormulaParser(source, variables).parse() };
  } catch (error) {
    if (error instanceof FormulaError) return { ok: false, error: error.message };
    throw error;
  }
}

/** NaN and negatives become 0; too large a number, infinity included, becomes `cap`. */
export function clampTo(value: number, cap: number): number {
  if (Number.isNaN(value) || value <= 0) return 0;
  return Math.min(value, cap);
}

class FormulaError extends Error {}

const TOKEN = /\s*(?:(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|([-+*/(),]))/y;

/** Recursive descent: sum ::= product (('+'|'-') product)*, product ::= factor (('*'|'/') factor)*. */
class FormulaParser {
  private readonly source: string;
  private readonly variables: readonly string[];
  private position = 0;
  private token = '';
  private tokenStart = 0;
  private depth = 0;

  constructor(source: string, variables: readonly string[]) {
    this.source = source;
    this.variables = variables;
    this.advance();
  }

  parse(): Formula {
    const formula = this.sum();
    if (this.token !== '') throw this.unexpected();
    return formula;
  }

  private sum(): Formula {
    let left = this.product();
    while (this.token === '+' || this.token === '-') {
      const [first, plus] = [left, this.token === '+'];
      this.advance();
      const second = this.product();
      left = plus ? (v) => first(v) + second(v) : (v) => first(v) - second(v);
    }
    return left;
  }

  private product(): Formula {
    let left = this.factor();
    while (this.token === '*' || this.token === '/') {
      const [first, times] = [left, this.token === '*'];
      this.advance();
      const second = this.factor();
      left = times ? (v) => first(v) * second(v) : (v) => first(v) / second(v);
    }
    return left;
  }

  private factor(): Formula {
    if (++this.depth > MAX_DEPTH) throw new FormulaError(`the formula is nested deeper than ${MAX_DEPTH}`);
    const formula = this.unary();
    this.depth--;
    return formula;
  }

  private unary(): Formula {
    const token = this.token;
    if (token === '-' || token === '+') {
      this.advance();
      const operand = this.factor();
      return token === '-' ? (v) => -operand(v) : operand;
    }
    if (token === '(') {
      this.advance();
      const inner = this.sum();
      this.expect(')');
      return inner;
    }
    if (/^[\d.]/.test(token)) {
      const value = Number(token);
      this.advance();
      return () => value;
    }
    if (/^[A-Za-z_]/.test(token)) return this.named();
    throw this.unexpected();
  }

  private named(): Formula {
    const [name, start] = [this.token, this.tokenStart];
    this.advance();
    if (this.token !== '(') {
      if (!this.variables.includes(name)) {
        throw new FormulaError(`unknown variable '${name}' at ${start}; known: ${this.variables.join(', ')}`);
      }
      return (v) => v[name] ?? Number.NaN;
    }
    const known = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
    if (known === undefined) {
      throw new FormulaError(`unknown function '${name}' at ${start}; known: ${Object.keys(FUNCTIONS).join(', ')}`);
    }
    const operands = this.operands();
    const [min, max] = known.arity;
    if (operands.length < min || operands.length > max) {
      throw new FormulaError(
        `'${name}' at ${start} takes ${min === max ? min : `${min} to ${max}`} argument(s), got ${operands.length}`,
      );
    }
    return (v) => known.apply(...operands.map((operand) => operand(v)));
  }

  private operands(): Formula[] {
    this.expect('(');
    const operands: Formula[] = [];
    if (this.token !== ')') {
      operands.push(this.sum());
      while (this.token === ',') {
        this.advance();
        operands.push(this.sum());
      }
    }
    this.expect(')');
    return operands;
  }

  private expect(token: string): void {
    if (this.token !== token) throw this.unexpected(`'${token}'`);
    this.advance();
  }

  private advance(): void {
    TOKEN.lastIndex = this.position;
    const found = TOKEN.exec(this.source);
    if (found === null) {
      const rest = this.source.slice(this.position).trimStart();
      this.tokenStart = this.source.length - rest.length;
      this.token = '';
      if (rest !== '') throw new FormulaError(`unexpected character '${rest[0]}' at ${this.tokenStart}`);
      return;
    }
    this.token = found[1] ?? found[2] ?? found[3] ?? '';
    this.position = TOKEN.lastIndex;
    this.tokenStart = this.position - this.token.length;
  }

  private unexpected(wanted?: string): FormulaError {
    const got = this.token === '' ? 'the end' : `'${this.token}'`;
    return new FormulaError(
      `unexpected ${got} at ${this.tokenStart}${wanted === undefined ? '' : `, wanted ${wanted}`}`,
    );
  }
}
