import type { LimitSpec } from '../model/task.ts';
import type { Sql } from '../ports.ts';

export interface StoredLimit extends LimitSpec {
  paused: boolean;
  pinned: boolean;
}

/**
 * Who holds which limit. Bounds are stored; holders live in memory and follow from the leases, and after a restart from the pending
 * rows marked as held. `take` and `release` are each other's inverse, so a rolled-back transaction can be undone.
 */
export class LimitBook {
  #sql: Sql;
  #limits = new Map<string, StoredLimit>();
  /** Limit key → holder (a run, or a lease) → how many of its calls hold it. */
  #holders = new Map<string, Map<string, number>>();

  constructor(sql: Sql) {
    this.#sql = sql;
    this.reload();
  }

  reload(): void {
    this.#limits.clear();
    const rows = this.#sql.all<{ key: string; max: number; hold: 'call' | 'run'; paused: number; pinned: number }>(
      `SELECT * FROM limits`,
    );
    for (const row of rows)
      this.#limits.set(row.key, {
        key: row.key,
        max: row.max,
        hold: row.hold,
        paused: row.paused === 1,
        pinned: row.pinned === 1,
      });
  }

  get(key: string): StoredLimit | undefined {
    return this.#limits.get(key);
  }

  list(): StoredLimit[] {
    return [...this.#limits.values()];
  }

  /** Stores a bound given with a start; a pinned one keeps its own. Returns true when more may now be taken. */
  put(spec: LimitSpec, changes: { paused?: boolean; pinned?: boolean } = {}, force = false): boolean {
    const before = this.#limits.get(spec.key);
    if (before?.pinned && !force) return false;
    const after: StoredLimit = {
      key: spec.key,
      max: spec.max,
      hold: spec.hold,
      paused: changes.paused ?? before?.paused ?? false,
      pinned: changes.pinned ?? before?.pinned ?? false,
    };
    if (
      before &&
      before.max === after.max &&
      before.hold === after.hold &&
      before.paused === after.paused &&
      before.pinned === after.pinned
    )
      return false;
    this.#limits.set(after.key, after);
    this.#sql.run(
      `INSERT OR REPLACE INTO limits (key, max, hold, paused, pinned) VALUES (?, ?, ?, ?, ?)`,
      after.key,
      after.max,
      after.hold,
      after.paused ? 1 : 0,
      after.pinned ? 1 : 0,
    );
    return before !== undefined && (after.max > before.max || (before.paused && !after.paused));
  }

  held(key: string): number {
    return this.#holders.get(key)?.size ?? 0;
  }

  holds(key: string, holder: string): boolean {
    return this.#holders.get(key)?.has(holder) ?? false;
  }

  count(key: string, holder: string): number {
    return this.#holders.get(key)?.get(holder) ?? 0;
  }

  /** The first limit that has no room for one more call of this run, or null. */
  blockedBy(keys: readonly string[], run: string): string | null {
    for (const key of keys) {
      const limit = this.#limits.get(key);
      if (!limit) continue;
      if (limit.hold === 'run' && this.holds(key, run)) continue;
      if (limit.paused || this.held(key) >= limit.max) return key;
    }
    return null;
  }

  /** The name under which a call of a run holds a limit. */
  holderOf(key: string, run: string, callKey: string): string {
    return this.#limits.get(key)?.hold === 'run' ? run : `${run} ${callKey}`;
  }

  take(key: string, holder: string): void {
    let holders = this.#holders.get(key);
    if (!holders) this.#holders.set(key, (holders = new Map()));
    holders.set(holder, (holders.get(holder) ?? 0) + 1);
  }

  release(key: string, holder: string): void {
    const holders = this.#holders.get(key);
    const n = holders?.get(holder);
    if (!holders || n === undefined) return;
    if (n > 1) holders.set(holder, n - 1);
    else holders.delete(holder);
    if (holders.size === 0) this.#holders.delete(key);
  }

  /** Puts back a holder that `drop` removed. */
  restore(key: string, holder: string, count: number): void {
    let holders = this.#holders.get(key);
    if (!holders) this.#holders.set(key, (holders = new Map()));
    holders.set(holder, count);
  }

  /** Removes a holder whatever its count; returns the count. */
  drop(key: string, holder: string): number {
    const holders = this.#holders.get(key);
    const n = holders?.get(holder) ?? 0;
    holders?.delete(holder);
    if (holders?.size === 0) this.#holders.delete(key);
    return n;
  }
}
