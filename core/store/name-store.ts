import type { Sql, Transition } from '../ports.ts';

/** Names that stand for runs for a time: aliases, idempotency keys, places of admissions. */
export class NameStore {
  readonly #sql: Sql;
  readonly #transition: Transition;

  constructor(sql: Sql, transition: Transition) {
    this.#sql = sql;
    this.#transition = transition;
  }

  put(name: string, run: string, untilMs: number): void {
    this.#sql.run(`INSERT OR REPLACE INTO names (key, run, until) VALUES (?, ?, ?)`, name, run, untilMs);
  }

  runOf(name: string): string | null {
    const { now } = this.#transition;
    return (
      this.#sql.all<{ run: string }>(`SELECT run FROM names WHERE key = ? AND until > ?`, name, now)[0]?.run ?? null
    );
  }

  /** Returns the run that bore it. */
  release(name: string): string | null {
    const run = this.runOf(name);
    if (run !== null) this.#sql.run(`DELETE FROM names WHERE key = ?`, name);
    return run;
  }

  /** A name stands for a run no more, where it still does. */
  drop(name: string, run: string): void {
    this.#sql.run(`DELETE FROM names WHERE key = ? AND run = ?`, name, run);
  }
}
