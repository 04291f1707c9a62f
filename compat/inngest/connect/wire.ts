import { joinBytes } from '../../../core/model/bytes.ts';

/**
 * The part of Protocol Buffers' binary format that Connect and OTLP use: varints, fixed 64 bits, strings, bytes and messages, each by a table of fields. A generated
 * codec and its runtime would be ten times as long. Fields nobody knows are skipped, as newer SDKs send some.
 */

type Scalar = 'string' | 'bytes' | 'bool' | 'number' | 'fixed64' | 'double';
export type Field =
  readonly [number: number, type: Scalar] | readonly [number: number, type: 'message' | 'messages', of: Fields];
export interface Fields {
  readonly [name: string]: Field;
}

type ValueOf<F extends Field> = F extends readonly [number, 'string']
  ? string
  : F extends readonly [number, 'bytes']
    ? Uint8Array
    : F extends readonly [number, 'fixed64']
      ? bigint
      : F extends readonly [number, 'bool']
        ? boolean
        : F extends readonly [number, 'number' | 'double']
          ? number
          : F extends readonly [number, 'message', infer T extends Fields]
            ? Message<T>
            : F extends readonly [number, 'messages', infer T extends Fields]
              ? Message<T>[]
              : never;

/** What was in the bytes, and nothing else: a field that was not there is absent. */
export type Message<T extends Fields> = { -readonly [K in keyof T]?: ValueOf<T[K]> };

export class WireError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'WireError';
  }
}

const VARINT = 0;
const FIXED_64 = 1;
const LENGTH = 2;
const FIXED_32 = 5;
/** Bytes of a 64-bit varint. */
const MAX_VARINT_BYTES = 10;
/** Deeper messages than any of Connect's or of OTLP's. */
const MAX_DEPTH = 8;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** @throws WireError for what is no message of this kind */
export function decode<T extends Fields>(fields: T, bytes: Uint8Array, depth = 0): Message<T> {
  if (depth > MAX_DEPTH) throw new WireError('nested too deeply');
  const byNumber = tableOf(fields);
  const message: Record<string, unknown> = {};
  const reader = new Reader(bytes);
  while (!reader.done) {
    const tag = reader.varint();
    const known = byNumber.get(Math.floor(tag / 8));
    const wireType = tag % 8;
    if (!known) reader.skip(wireType);
    else {
      const [name, field] = known;
      const value = readField(reader, wireType, field, depth);
      if (field[1] === 'messages') ((message[name] ??= []) as unknown[]).push(value);
      else message[name] = value;
    }
  }
  return message as Message<T>;
}

function readField(reader: Reader, wireType: number, field: Field, depth: number): unknown {
  const type = field[1];
  const expected =
    type === 'bool' || type === 'number' ? VARINT : type === 'fixed64' || type === 'double' ? FIXED_64 : LENGTH;
  if (wireType !== expected) throw new WireError(`field ${field[0]} has wire type ${wireType}`);
  switch (type) {
    case 'bool':
      return reader.varint() !== 0;
    case 'number':
      return reader.varint();
    case 'fixed64':
      return reader.fixed64().getBigUint64(0, true);
    case 'double':
      return reader.fixed64().getFloat64(0, true);
    case 'string':
      return decoder.decode(reader.bytes());
    case 'bytes':
      return reader.bytes();
    case 'message':
    case 'messages':
      return decode(field[2], reader.bytes(), depth + 1);
  }
}

export function encode<T extends Fields>(fields: T, message: Message<T>): Uint8Array<ArrayBuffer> {
  const chunks: Uint8Array[] = [];
  const put = (number: number, wireType: number, payload: Uint8Array): void => {
    chunks.push(varint(number * 8 + wireType));
    if (wireType === LENGTH) chunks.push(varint(payload.length));
    chunks.push(payload);
  };
  for (const [name, field] of Object.entries(fields)) {
    const value = (message as Record<string, unknown>)[name];
    if (value === undefined) continue;
    switch (field[1]) {
      case 'bool':
        put(field[0], VARINT, varint(value === true ? 1 : 0));
        break;
      case 'number':
        put(field[0], VARINT, varint(value as number));
        break;
      case 'fixed64':
      case 'double': {
        const bytes = new Uint8Array(8);
        const view = new DataView(bytes.buffer);
        if (field[1] === 'double') view.setFloat64(0, value as number, true);
        else view.setBigUint64(0, value as bigint, true);
        put(field[0], FIXED_64, bytes);
        break;
      }
      case 'string':
        put(field[0], LENGTH, encoder.encode(value as string));
        break;
      case 'bytes':
        put(field[0], LENGTH, value as Uint8Array);
        break;
      case 'message':
        put(field[0], LENGTH, encode(field[2], value as object));
        break;
      case 'messages':
        for (const one of value as object[]) put(field[0], LENGTH, encode(field[2], one));
    }
  }
  return joinBytes(chunks);
}

const tables = new WeakMap<Fields, Map<number, readonly [string, Field]>>();

function tableOf(fields: Fields): Map<number, readonly [string, Field]> {
  let table = tables.get(fields);
  if (!table) {
    table = new Map(Object.entries(fields).map(([name, field]) => [field[0], [name, field]]));
    tables.set(fields, table);
  }
  return table;
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** As a number: exact up to 2^53; a negative one is what its 64 bits say. */
  varint(): number {
    let value = 0n;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new WireError('a number is cut off');
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
    throw new WireError('a number is too long');
  }

  bytes(): Uint8Array {
    const length = this.varint();
    return this.#take(length);
  }

  fixed64(): DataView {
    const bytes = this.#take(8);
    return new DataView(bytes.buffer, bytes.byteOffset, 8);
  }

  skip(wireType: number): void {
    switch (wireType) {
      case VARINT:
        this.varint();
        return;
      case FIXED_64:
        this.#take(8);
        return;
      case LENGTH:
        this.bytes();
        return;
      case FIXED_32:
        this.#take(4);
        return;
      default:
        throw new WireError(`wire type ${wireType} is not known`);
    }
  }

  #take(length: number): Uint8Array {
    const end = this.#at + length;
    if (length < 0 || end > this.#bytes.length) throw new WireError('a field is cut off');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

function varint(value: number): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(Math.trunc(value)));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}
