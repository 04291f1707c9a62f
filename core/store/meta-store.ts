import type { Sql } from '../ports.ts';

/** Small values that the engine keeps for itself: cursors, numbers of messages. */
export class MetaStore {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  get(key: string): string | null {
    return this.#sql.all<{ value: string }>(`SELECT value FROM meta WHERE key = ?`, key)[0]?.value ?? null;
  }

  set(key: string, value: string): void {
    this.#sql.run(`INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)`, key, value);
  }

  delete(key: string): void {
    this.#sql.run(`DELETE FROM meta WHERE key = ?`, key);
  }
}
