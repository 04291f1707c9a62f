import { joinBytes } from '../model/bytes.ts';
import { BINARY_CHUNK_BYTES, TEXT_CHUNK_CHARS } from '../model/limits.ts';
import type { Payload } from '../model/payload.ts';
import type { Sql, SqlValue } from '../ports.ts';

/**
 * Payload columns hold the payload itself (TEXT or BLOB) or, for a long one, the INTEGER number of its chunks, kept under the owner's name.
 */
export class PayloadStore {
  #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** The value for the owner's payload column. */
  put(owner: string, payload: Payload | null): SqlValue {
    if (payload === null) return null;
    const limit = typeof payload === 'string' ? TEXT_CHUNK_CHARS : BINARY_CHUNK_BYTES;
    if (payload.length <= limit) return payload;
    let n = 0;
    for (let from = 0; from < payload.length; n++) {
      let to = Math.min(payload.length, from + limit);
      if (typeof payload === 'string' && to < payload.length && isHighSurrogate(payload.charCodeAt(to - 1))) to--;
      this.#sql.run(
        `INSERT OR REPLACE INTO chunks (owner, n, data) VALUES (?, ?, ?)`,
        owner,
        n,
        payload.slice(from, to),
      );
      from = to;
    }
    return n;
  }

  get(owner: string, value: SqlValue): Payload | null {
    if (typeof value !== 'number') return typeof value === 'object' && value !== null ? toBytes(value) : value;
    const chunks = this.#sql.all<{ data: SqlValue }>(`SELECT data FROM chunks WHERE owner = ? ORDER BY n`, owner);
    if (chunks.length !== value) throw new Error(`payload of ${owner} has ${chunks.length} of ${value} chunks`);
    if (typeof chunks[0]?.data === 'string') return chunks.map((chunk) => chunk.data as string).join('');
    return joinBytes(chunks.map((chunk) => toBytes(chunk.data)));
  }

  /** Only for a column that held a chunk count. */
  drop(owner: string, value: SqlValue): void {
    if (typeof value === 'number') this.#sql.run(`DELETE FROM chunks WHERE owner = ?`, owner);
  }
}

/** A BLOB comes back as an ArrayBuffer from a Durable Object and as a Uint8Array from Node. */
export function toBytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  throw new Error('not a BLOB');
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}
