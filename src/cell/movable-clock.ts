import type { Clock } from '../../core/ports.ts';

/** The wall clock plus an offset that a test moves; kept on disk, so that a restart does not undo time that has passed. */
export class MovableClock implements Clock {
  #sql: SqlStorage;
  #offsetMs: number;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS host (key TEXT PRIMARY KEY, value) WITHOUT ROWID`);
    this.#offsetMs = Number(sql.exec(`SELECT value FROM host WHERE key = 'clock-offset'`).toArray()[0]?.value ?? 0);
  }

  now(): number {
    return Date.now() + this.#offsetMs;
  }

  /** Wall time at which this clock will show `atMs`. */
  wallTimeOf(atMs: number): number {
    return atMs - this.#offsetMs;
  }

  /** Never moves back: what has happened has happened. */
  set(atMs: number): void {
    const offsetMs = atMs - Date.now();
    if (offsetMs <= this.#offsetMs) return;
    this.#offsetMs = offsetMs;
    this.#sql.exec(`INSERT OR REPLACE INTO host (key, value) VALUES ('clock-offset', ?)`, offsetMs);
  }
}
