/** Instructions of a compiled pattern. `split` goes on at both places. */
export type Instruction =
  | { op: 'char'; test: (codePoint: number) => boolean }
  | { op: 'assert'; kind: 'start' | 'end' | 'line-start' | 'line-end' | 'boundary' | 'no-boundary' }
  | { op: 'split'; first: number; second: number }
  | { op: 'jump'; to: number }
  | { op: 'match' };

export class RegexError extends Error {}

const MAX_PATTERN_LENGTH = 1_000;
/** After repeats are written out. RE2 limits its programs too. */
const MAX_INSTRUCTIONS = 5_000;
/** RE2's limit of one counted repeat. */
const MAX_REPEAT = 1_000;
const MAX_GROUP_DEPTH = 50;

type Test = (codePoint: number) => boolean;
interface Flags {
  i: boolean;
  m: boolean;
  s: boolean;
  U: boolean;
}

const isDigit: Test = (c) => c >= 48 && c <= 57;
const isWord: Test = (c) => isDigit(c) || (c >= 65 && c <= 90) || c === 95 || (c >= 97 && c <= 122);
const isSpace: Test = (c) => c === 32 || c === 9 || c === 10 || c === 12 || c === 13;
const PERL: Record<string, Test> = { d: isDigit, w: isWord, s: isSpace };
const CONTROL: Record<string, number> = { n: 10, r: 13, t: 9, f: 12, v: 11, a: 7 };
const POSIX: Record<string, Test> = {
  digit: isDigit,
  word: isWord,
  space: (c) => isSpace(c) || c === 11,
  alpha: (c) => (c >= 65 && c <= 90) || (c >= 97 && c <= 122),
  alnum: (c) => isWord(c) && c !== 95,
  upper: (c) => c >= 65 && c <= 90,
  lower: (c) => c >= 97 && c <= 122,
  xdigit: (c) => isDigit(c) || (c >= 65 && c <= 70) || (c >= 97 && c <= 102),
  punct: (c) => c >= 33 && c <= 126 && !(isWord(c) && c !== 95),
  blank: (c) => c === 32 || c === 9,
  cntrl: (c) => c < 32 || c === 127,
  print: (c) => c >= 32 && c <= 126,
  graph: (c) => c >= 33 && c <= 126,
  ascii: (c) => c <= 127,
};

/** Compiles RE2 syntax, without capturing and back references (which RE2 has not either). Throws RegexError. */
export function compileRegex(pattern: string): Instruction[] {
  if (pattern.length > MAX_PATTERN_LENGTH)
    throw new RegexError(`the pattern is longer than ${MAX_PATTERN_LENGTH} characters`);
  return new RegexCompiler(pattern).compile();
}

/** A piece of program whose jumps are relative to its own start. */
type Piece = readonly Instruction[];

class RegexCompiler {
  private readonly input: string[];
  private at = 0;
  private depth = 0;
  private flags: Flags = { i: false, m: false, s: false, U: false };

  constructor(pattern: string) {
    this.input = [...pattern];
  }

  compile(): Instruction[] {
    const piece = this.alternatives();
    if (this.at < this.input.length) throw new RegexError("unexpected ')'");
    return [...piece, { op: 'match' }];
  }

  private alternatives(): Piece {
    let left = this.sequence();
    while (this.take('|')) {
      const right = this.sequence();
      left = this.checked([
        { op: 'split', first: 1, second: left.length + 2 },
        ...shift(left, 1),
        { op: 'jump', to: left.length + 2 + right.length },
        ...shift(right, left.length + 2),
      ]);
    }
    return left;
  }

  private sequence(): Piece {
    const pieces: Instruction[] = [];
    while (this.at < this.input.length && this.input[this.at] !== '|' && this.input[this.at] !== ')') {
      const piece = this.repeated(this.atom());
      pieces.push(...shift(piece, pieces.length));
      this.checked(pieces);
    }
    return pieces;
  }

  private repeated(atom: Piece): Piece {
    let piece = atom;
    for (;;) {
      const bounds = this.bounds();
      if (bounds === null) return piece;
      // Greedy or not makes no difference to whether there is a match.
      this.take('?');
      const [min, max] = bounds;
      if (piece.length * Math.max(min, max === Infinity ? 1 : max) > MAX_INSTRUCTIONS)
        throw new RegexError('the pattern is too large');
      const out: Instruction[] = [];
      for (let n = 0; n < min; n++) out.push(...shift(piece, out.length));
      if (max === Infinity) {
        const start = out.length;
        out.push({ op: 'split', first: start + 1, second: start + piece.length + 2 }, ...shift(piece, start + 1), {
          op: 'jump',
          to: start,
        });
      } else {
        const end = out.length + (max - min) * (piece.length + 1);
        for (let n = min; n < max; n++)
          out.push({ op: 'split', first: out.length + 1, second: end }, ...shift(piece, out.length + 1));
      }
      piece = this.checked(out);
    }
  }

  private bounds(): [number, number] | null {
    if (this.take('*')) return [0, Infinity];
    if (this.take('+')) return [1, Infinity];
    if (this.take('?')) return [0, 1];
    const counted = /^\{(\d{1,5})(,(\d{1,5})?)?\}/.exec(this.input.slice(this.at, this.at + 14).join(''));
    if (counted === null) return null;
    const min = Number(counted[1]);
    const max = counted[2] === undefined ? min : counted[3] === undefined ? Infinity : Number(counted[3]);
    if (min > MAX_REPEAT || (max !== Infinity && (max > MAX_REPEAT || max < min)))
      throw new RegexError(`bad repeat ${counted[0]}`);
    this.at += counted[0].length;
    return [min, max];
  }

  private atom(): Piece {
    const character = this.next();
    switch (character) {
      case '.': {
        const { s } = this.flags;
        return [{ op: 'char', test: (c) => s || c !== 10 }];
      }
      case '^':
        return [{ op: 'assert', kind: this.flags.m ? 'line-start' : 'start' }];
      case '$':
        return [{ op: 'assert', kind: this.flags.m ? 'line-end' : 'end' }];
      case '(':
        return this.group();
      case '[':
        return [{ op: 'char', test: this.bracket() }];
      case '\\':
        return this.escape();
      case '*':
      case '+':
      case '?':
        throw new RegexError(`nothing to repeat before '${character}'`);
      default:
        return [{ op: 'char', test: this.folded(single(character.codePointAt(0) ?? 0)) }];
    }
  }

  private group(): Piece {
    if (++this.depth > MAX_GROUP_DEPTH) throw new RegexError('groups are nested too deeply');
    const outer = { ...this.flags };
    if (this.take('?')) {
      const head = /^(?:P?<[A-Za-z_]\w*>|([imsU]*)(?:-([imsU]+))?([:)]))/.exec(
        this.input.slice(this.at, this.at + 200).join(''),
      );
      if (head === null) throw new RegexError('look-around and other extensions of (? are not supported');
      this.at += head[0].length;
      for (const flag of head[1] ?? '') this.flags[flag as keyof Flags] = true;
      for (const flag of head[2] ?? '') this.flags[flag as keyof Flags] = false;
      if (head[3] === ')') {
        // (?i) holds to the end of the group around it, which restores its own flags.
        this.depth--;
        return [];
      }
    }
    const piece = this.alternatives();
    if (!this.take(')')) throw new RegexError("missing ')'");
    this.flags = outer;
    this.depth--;
    return piece;
  }

  private escape(): Piece {
    const character = this.next();
    if (character === 'b') return [{ op: 'assert', kind: 'boundary' }];
    if (character === 'B') return [{ op: 'assert', kind: 'no-boundary' }];
    if (character === 'A') return [{ op: 'assert', kind: 'start' }];
    if (character === 'z') return [{ op: 'assert', kind: 'end' }];
    const escaped = this.escapeOf(character);
    return [{ op: 'char', test: typeof escaped === 'number' ? this.folded(single(escaped)) : escaped }];
  }

  /** What `\x` stands for outside and inside brackets: a class, or one code point. */
  private escapeOf(character: string): Test | number {
    const perl = PERL[character.toLowerCase()];
    if (perl !== undefined && /[dws]/i.test(character)) return /[DWS]/.test(character) ? (c) => !perl(c) : perl;
    if (character === 'p' || character === 'P') return this.unicodeClass(character === 'P');
    if (Object.hasOwn(CONTROL, character)) return CONTROL[character] ?? 0;
    if (character === 'x') {
      const hex = /^(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/.exec(this.input.slice(this.at, this.at + 8).join(''));
      if (hex === null) throw new RegexError('bad \\x escape');
      this.at += hex[0].length;
      return Number.parseInt(hex[1] ?? hex[2] ?? '0', 16);
    }
    if (/[A-Za-z0-9]/.test(character)) throw new RegexError(`unknown escape \\${character}`);
    return character.codePointAt(0) ?? 0;
  }

  private unicodeClass(outerNegated: boolean): Test {
    const name = /^(?:([A-Z])|\{(\^?)([A-Za-z_]{1,30})\})/.exec(this.input.slice(this.at, this.at + 34).join(''));
    if (name === null) throw new RegexError('bad \\p class');
    this.at += name[0].length;
    const negated = outerNegated !== (name[2] === '^');
    const label = name[1] ?? name[3] ?? '';
    for (const property of [label, `Script=${label}`]) {
      try {
        const one = new RegExp(`^\\p{${property}}$`, 'u');
        return (c) => one.test(String.fromCodePoint(c)) !== negated;
      } catch {
        continue;
      }
    }
    throw new RegexError(`unknown class \\p{${label}}`);
  }

  private bracket(): Test {
    const negated = this.take('^');
    const tests: Test[] = [];
    for (let first = true; first || this.input[this.at] !== ']'; first = false) {
      const low = this.bracketItem();
      if (typeof low !== 'number') {
        tests.push(low);
        continue;
      }
      if (this.input[this.at] === '-' && this.input[this.at + 1] !== ']' && this.at + 1 < this.input.length) {
        this.at++;
        const high = this.bracketItem();
        if (typeof high !== 'number' || high < low) throw new RegexError('bad range in brackets');
        tests.push(this.folded((c) => c >= low && c <= high));
      } else {
        tests.push(this.folded(single(low)));
      }
    }
    this.at++;
    return (c) => tests.some((test) => test(c)) !== negated;
  }

  private bracketItem(): Test | number {
    const posix = /^\[:(\^?)([a-z]{4,6}):\]/.exec(this.input.slice(this.at, this.at + 12).join(''));
    if (posix !== null) {
      const known = Object.hasOwn(POSIX, posix[2] ?? '') ? POSIX[posix[2] ?? ''] : undefined;
      if (known === undefined) throw new RegexError(`unknown class ${posix[0]}`);
      this.at += posix[0].length;
      return posix[1] === '^' ? (c) => !known(c) : known;
    }
    const character = this.next();
    return character === '\\' ? this.escapeOf(this.next()) : (character.codePointAt(0) ?? 0);
  }

  /** Case is ignored by trying both cases of the character. */
  private folded(test: Test): Test {
    if (!this.flags.i) return test;
    return (c) => {
      if (test(c)) return true;
      const text = String.fromCodePoint(c);
      return test(text.toLowerCase().codePointAt(0) ?? c) || test(text.toUpperCase().codePointAt(0) ?? c);
    };
  }

  private checked<T extends Piece>(piece: T): T {
    if (piece.length > MAX_INSTRUCTIONS) throw new RegexError('the pattern is too large');
    return piece;
  }

  private take(character: string): boolean {
    if (this.input[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private next(): string {
    const character = this.input[this.at++];
    if (character === undefined) throw new RegexError('the pattern ends too early');
    return character;
  }
}

function single(codePoint: number): Test {
  return (c) => c === codePoint;
}

function shift(piece: Piece, by: number): Instruction[] {
  return piece.map((instruction) => {
    if (instruction.op === 'split')
      return { op: 'split', first: instruction.first + by, second: instruction.second + by };
    return instruction.op === 'jump' ? { op: 'jump', to: instruction.to + by } : instruction;
  });
}
