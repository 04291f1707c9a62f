import { MAX_PAGE, NEVER_MS } from '../model/limits.ts';
import type { JsonText } from '../model/payload.ts';
import type { RecordReader, Sql, Transition } from '../ports.ts';
import type { PayloadStore } from './payloads.ts';

/** Records of the translations: JSON by collection and id, some of them for a time. */
export class RecordStore {
  readonly #sql: Sql;
  readonly #payloads: PayloadStore;
  readonly #transition: Transition;

  constructor(sql: Sql, payloads: PayloadStore, transition: Transition) {
    this.#sql = sql;
    this.#payloads = payloads;
    this.#transition = transition;
  }

  get(collection: string, id: string): { data: JsonText; updatedAt: number; expiresAt: number | null } | null {
    const row = this.#sql.all<{ data: string | number; updated_at: number; expires_at: number | null }>(
      `SELECT data, updated_at, expires_at FROM records WHERE collection = ? AND id = ? AND (expires_at IS NULL OR expires_at > ?)`,
      collection,
      id,
      this.#transition.now,
    )[0];
    return row
      ? {
          data: this.#payloads.get(`k:${collection}:${id}`, row.data) as string,
          updatedAt: row.updated_at,
          expiresAt: row.expires_at,
        }
      : null;
  }

  /** For translators: what they may look at within a transition. */
  get reader(): RecordReader {
    return {
      get: (collection, id) => this.get(collection, id)?.data ?? null,
      list: (collection, prefix) =>
        this.from(collection, prefix, MAX_PAGE).filter(
          ({ expiresAt }) => expiresAt === null || expiresAt > this.#transition.now,
        ),
    };
  }

  from(
    collection: string,
    prefix: string,
    limit = -1,
  ): Array<{ id: string; data: JsonText; expiresAt: number | null }> {
    return this.#sql
      .all<{ id: string; data: string | number; expires_at: number | null }>(
        `SELECT id, data, expires_at FROM records WHERE collection = ? AND id >= ? AND id < ? ORDER BY id LIMIT ?`,
        collection,
        prefix,
        `${prefix}\uffff`,
        limit,
      )
      .map((row) => ({
        id: row.id,
        data: this.#payloads.get(`k:${collection}:${row.id}`, row.data) as string,
        expiresAt: row.expires_at,
      }));
  }

  put(collection: string, id: string, data: JsonText, expiresAt: number | null): void {
    this.delete(collection, id, true);
    this.#sql.run(
      `INSERT OR REPLACE INTO records (collection, id, data, updated_at, expires_at) VALUES (?, ?, ?, ?, ?)`,
      collection,
      id,
      this.#payloads.put(`k:${collection}:${id}`, data),
      this.#transition.now,
      expiresAt === null || expiresAt >= NEVER_MS ? null : expiresAt,
    );
  }

  delete(collection: string, id: string, chunksOnly = false): boolean {
    const row = this.#sql.all<{ data: string | number }>(
      `SELECT data FROM records WHERE collection = ? AND id = ?`,
      collection,
      id,
    )[0];
    if (!row) return false;
    this.#payloads.drop(`k:${collection}:${id}`, row.data);
    if (!chunksOnly) this.#sql.run(`DELETE FROM records WHERE collection = ? AND id = ?`, collection, id);
    return true;
  }
}
