import type { Random } from '../ports.ts';

declare const brand: unique symbol;
export type Brand<T, B extends string> = T & { readonly [brand]: B };

/** 26 characters of Crockford base 32: 10 of time, 2 of the cell that made it, 14 of randomness. A valid ULID, so ids sort by age. */
export type RunId = Brand<string, 'RunId'>;
export type EventId = Brand<string, 'EventId'>;
export type TaskId = Brand<string, 'TaskId'>;

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const TIME_CHARS = 10;
const CELL_CHARS = 2;
const RANDOM_CHARS = 14;
/** Two base-32 characters. */
const MAX_CELLS = 1024;

function encode(value: number, chars: number): string {
  let text = '';
  for (let i = 0; i < chars; i++) {
    text = ALPHABET[value % 32] + text;
    value = Math.floor(value / 32);
  }
  return text;
}

function decode(text: string): number {
  let value = 0;
  for (const char of text) {
    const digit = ALPHABET.indexOf(char);
    if (digit < 0) return -1;
    value = value * 32 + digit;
  }
  return value;
}

export class IdFactory {
  #random: Random;
  #cell: string;
  #lastMs = -1;
  #tail: number[] = [];

  constructor(random: Random, cell: number) {
    if (cell < 0 || cell >= MAX_CELLS) throw new RangeError(`cell ${cell} is not within 0 and ${MAX_CELLS - 1}`);
    this.#random = random;
    this.#cell = encode(cell, CELL_CHARS);
  }

  /** Monotonic within a millisecond: a later call never sorts before an earlier one of the same factory. */
  next(nowMs: number): string {
    const ms = Math.max(nowMs, this.#lastMs);
    if (ms === this.#lastMs) {
      let i = RANDOM_CHARS - 1;
      while (i >= 0 && this.#tail[i] === 31) this.#tail[i--] = 0;
      if (i >= 0) this.#tail[i] = (this.#tail[i] as number) + 1;
    } else {
      this.#lastMs = ms;
      // The first digit starts low, so counting up within a millisecond cannot overflow.
      this.#tail = Array.from({ length: RANDOM_CHARS }, (_, i) =>
        Math.floor(this.#random.next() * (i === 0 ? 16 : 32)),
      );
    }
    return encode(ms, TIME_CHARS) + this.#cell + this.#tail.map((digit) => ALPHABET[digit]).join('');
  }
}

/** The cell that made this id, or 0 for an id of another form. */
export function cellOf(id: string): number {
  const cell =
    id.length === TIME_CHARS + CELL_CHARS + RANDOM_CHARS ? decode(id.slice(TIME_CHARS, TIME_CHARS + CELL_CHARS)) : 0;
  return cell < 0 ? 0 : cell;
}

/** Milliseconds since the epoch at which the id was made, or null for an id of another form. */
export function timeOf(id: string): number | null {
  const time = id.length === 26 ? decode(id.slice(0, TIME_CHARS)) : -1;
  return time < 0 ? null : time;
}

export function isId(text: string): boolean {
  return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(text);
}
