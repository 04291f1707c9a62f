import type { LimitSpec } from '../model/task.ts';
import type { Sql } from '../ports.ts';

export interface LimitState extends LimitSpec {
  paused: boolean;
  pinned: boolean;
  /** In the table: set by a command or named by a start. Others live while something holds them. */
  stored: boolean;
}

/**
 * The bounds that are known, and who holds which limit. Holders live in memory and follow from the leases, and after a restart from the
 * pending rows marked as held. `take` and `release` are each other's inverse, so a rolled-back transaction can be undone.
 */
export class LimitBook {
  #sql: Sql;
  #limits = new Map<string, LimitState>();
  /** Limit key → holder (a run, or one call of it) → how often it was taken. */
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
    for (const { key, max, hold, paused, pinned } of rows)
      this.#limits.set(key, { key, max, hold, paused: paused === 1, pinned: pinned === 1, stored: true });
  }

  get(key: string): LimitState | undefined {
    return this.#limits.get(key);
  }

  list(): LimitState[] {
    return [...this.#limits.values()];
  }

  /** The newest bound of a limit that a task's template names: in memory only, every run carries its own. Returns true when more may now be taken. */
  declare(spec: LimitSpec): boolean {
    const before = this.#limits.get(spec.key);
    if (before?.stored) return false;
    if (before?.max === spec.max) return false;
    if (this.held(spec.key) === 0 && !before) return false;
    this.#limits.set(spec.key, { ...spec, paused: false, pinned: false, stored: false });
    return before === undefined || spec.max > before.max;
  }

  /** Stores a bound; a pinned one is changed by `force` alone. Returns true when more may now be taken. */
  put(spec: LimitSpec, changes: { paused?: boolean; pinned?: boolean } = {}, force = false): boolean {
    const before = this.#limits.get(spec.key);
    if (before?.pinned && !force) return false;
    const after: LimitState = {
      key: spec.key,
      max: spec.max,
      hold: spec.hold,
      paused: changes.paused ?? before?.paused ?? false,
      pinned: changes.pinned ?? before?.pinned ?? false,
      stored: true,
    };
    const same =
      before?.stored &&
      before.max === after.max &&
      before.hold === after.hold &&
      before.paused === after.paused &&
      before.pinned === after.pinned;
    if (same) return false;
    this.#limits.set(after.key, after);
    this.#sql.run(
      `INSERT OR REPLACE INTO limits (key, max, hold, paused, pinned) VALUES (?, ?, ?, ?, ?)`,
      after.key,
      after.max,
      after.hold,
      after.paused ? 1 : 0,
      after.pinned ? 1 : 0,
    );
    // Of one that is not known here, runs may wait under a bound of their own.
    return before === undefined || after.max > before.max || (before.paused && !after.paused);
  }

  forget(key: string): void {
    this.#limits.delete(key);
    this.#sql.run(`DELETE FROM limits WHERE key = ?`, key);
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

  /** How many more may take the limit now. The newest bound known counts, not the one that an older run carries. */
  room(spec: LimitSpec): number {
    const known = this.#limits.get(spec.key);
    return known?.paused ? 0 : Math.max(0, (known?.max ?? spec.max) - this.held(spec.key));
  }

  take(spec: LimitSpec, holder: string): void {
    if (!this.#limits.has(spec.key))
      this.#limits.set(spec.key, { ...spec, paused: false, pinned: false, stored: false });
    let holders = this.#holders.get(spec.key);
    if (!holders) this.#holders.set(spec.key, (holders = new Map()));
    holders.set(holder, (holders.get(holder) ?? 0) + 1);
  }

  /** Takes a hold back, or with `all` every one of this holder. */
  release(key: string, holder: string, all = false): void {
    const holders = this.#holders.get(key);
    const n = holders?.get(holder);
    if (!holders || n === undefined) return;
    if (n > 1 && !all) holders.set(holder, n - 1);
    else holders.delete(holder);
    if (holders.size > 0) return;
    this.#holders.delete(key);
    if (!this.#limits.get(key)?.stored) this.#limits.delete(key);
  }

  /** Puts a holder back as it was before `release`. */
  restore(spec: LimitSpec, holder: string, count: number): void {
    this.take(spec, holder);
    this.#holders.get(spec.key)?.set(holder, count);
  }
}

/** The name under which a call of a run holds a limit. */
export function holderOf(spec: LimitSpec, run: string, callKey: string): string {
  return spec.hold === 'run' ? run : `${run} ${callKey}`;
}
