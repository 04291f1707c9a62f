import type { JsonText } from '../model/payload.ts';
import type { Sql, Transition } from '../ports.ts';
import type { PayloadStore } from './payloads.ts';

/** What has failed for good and may be tried again. */
export class DeadLetterStore {
  readonly #sql: Sql;
  readonly #payloads: PayloadStore;
  readonly #transition: Transition;

  constructor(sql: Sql, payloads: PayloadStore, transition: Transition) {
    this.#sql = sql;
    this.#payloads = payloads;
    this.#transition = transition;
  }

  put(id: string, run: string, data: JsonText): void {
    this.#sql.run(
      `INSERT OR REPLACE INTO dead_letters (id, run, at, data) VALUES (?, ?, ?, ?)`,
      id,
      run,
      this.#transition.now,
      this.#payloads.put(`d:${id}`, data),
    );
  }

  /** False: there is none with this id. */
  delete(id: string): boolean {
    const row = this.#sql.all<{ data: string | number }>(`SELECT data FROM dead_letters WHERE id = ?`, id)[0];
    if (!row) return false;
    this.#payloads.drop(`d:${id}`, row.data);
    this.#sql.run(`DELETE FROM dead_letters WHERE id = ?`, id);
    return true;
  }
}
