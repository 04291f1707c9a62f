import type { Sql } from '../../core/ports.ts';

/** Several timers of an object over its one alarm; they survive hibernation. */
export class Timers {
  readonly #sql: Sql;
  readonly #storage: DurableObjectStorage;

  constructor(sql: Sql, storage: DurableObjectStorage) {
    this.#sql = sql;
    this.#storage = storage;
    sql.run(`CREATE TABLE IF NOT EXISTS timers (name TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID`);
  }

  /** No later than `atMs`; a timer that stands for an earlier time stays. */
  arm(name: string, atMs: number): void {
    const known = this.#sql.all<{ at: number }>(`SELECT at FROM timers WHERE name = ?`, name)[0]?.at;
    if (known !== undefined && known <= atMs) return;
    this.#sql.run(`INSERT OR REPLACE INTO timers (name, at) VALUES (?, ?)`, name, atMs);
    this.#setAlarm();
  }

  /** The names of those that are due; they have to be armed again. */
  take(nowMs: number): string[] {
    const due = this.#sql.all<{ name: string }>(`SELECT name FROM timers WHERE at <= ? ORDER BY at`, nowMs);
    if (due.length > 0) this.#sql.run(`DELETE FROM timers WHERE at <= ?`, nowMs);
    this.#setAlarm();
    return due.map(({ name }) => name);
  }

  #setAlarm(): void {
    const at = this.#sql.all<{ at: number | null }>(`SELECT MIN(at) AS at FROM timers`)[0]?.at;
    if (typeof at === 'number') void this.#storage.setAlarm(at);
  }
}
