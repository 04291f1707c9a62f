import type { LimitRule, Rate } from '../model/limit.ts';
import type { Sql, SqlRow } from '../ports.ts';

interface RuleRow extends SqlRow {
  key: string;
  max: number | null;
  rate: string | null;
  paused: number;
}

/** `null` takes a bound back: what runs bring counts again. What is left out stays. */
export interface RuleChange {
  key: string;
  max?: number | null;
  rate?: Rate | null;
  paused?: boolean;
}

/** Whether what starts while its task is paused waits, or ends at once as skipped. */
export type PausedStarts = 'wait' | 'skip';

/** How the key of a limit begins that stands for a pause; no vendor's key does. */
export const PAUSE = '$pause:';

/** How the name of a counter's rule begins on disk, beside those of limits. */
const SUB = '$sub:';

/** What was set from outside: rules of limits, and pauses of tasks, pools and everything. All of it in memory, all of it on disk. */
export class LimitRules {
  #sql: Sql;
  #rules = new Map<string, LimitRule>();
  /** Counter → the bound of one value of a limit's sub-key. */
  #subs = new Map<string, number>();
  #pauses = new Map<string, PausedStarts>();

  constructor(sql: Sql) {
    this.#sql = sql;
    this.reload();
  }

  reload(): void {
    this.#rules.clear();
    this.#subs.clear();
    for (const { key, max, rate, paused } of this.#sql.all<RuleRow>(`SELECT * FROM limit_rules`)) {
      if (key.startsWith(SUB)) this.#subs.set(key.slice(SUB.length), max ?? 0);
      else
        this.#rules.set(key, {
          key,
          ...(max === null ? {} : { max }),
          ...(rate === null ? {} : { rate: JSON.parse(rate) as Rate }),
          paused: paused === 1,
        });
    }
    this.#pauses.clear();
    for (const { scope, starts } of this.#sql.all<{ scope: string; starts: PausedStarts }>(`SELECT * FROM pauses`))
      this.#pauses.set(scope, starts);
  }

  get(key: string): LimitRule | undefined {
    return this.#rules.get(key);
  }

  list(): LimitRule[] {
    return [...this.#rules.values()];
  }

  /** A rule that says nothing any more is not kept. */
  set(change: RuleChange): void {
    const before = this.#rules.get(change.key);
    const max = change.max === undefined ? (before?.max ?? null) : change.max;
    const rate = change.rate === undefined ? (before?.rate ?? null) : change.rate;
    const paused = change.paused ?? before?.paused ?? false;
    if (max === null && rate === null && !paused) {
      if (before === undefined) return;
      this.#rules.delete(change.key);
      this.#sql.run(`DELETE FROM limit_rules WHERE key = ?`, change.key);
      return;
    }
    const same =
      before !== undefined &&
      (before.max ?? null) === max &&
      JSON.stringify(before.rate ?? null) === JSON.stringify(rate) &&
      before.paused === paused;
    if (same) return;
    this.#rules.set(change.key, {
      key: change.key,
      ...(max === null ? {} : { max }),
      ...(rate === null ? {} : { rate }),
      paused,
    });
    this.#sql.run(
      `INSERT OR REPLACE INTO limit_rules (key, max, rate, paused) VALUES (?, ?, ?, ?)`,
      change.key,
      max,
      rate === null ? null : JSON.stringify(rate),
      paused ? 1 : 0,
    );
  }

  subMax(counter: string): number | undefined {
    return this.#subs.get(counter);
  }

  setSub(counter: string, max: number | null): void {
    if (max === null) {
      if (!this.#subs.delete(counter)) return;
      this.#sql.run(`DELETE FROM limit_rules WHERE key = ?`, SUB + counter);
      return;
    }
    this.#subs.set(counter, max);
    this.#sql.run(
      `INSERT OR REPLACE INTO limit_rules (key, max, rate, paused) VALUES (?, ?, NULL, 0)`,
      SUB + counter,
      max,
    );
  }

  get anyPause(): boolean {
    return this.#pauses.size > 0;
  }

  /** The limits that stand for pauses over a call, in force or not. */
  pausesOver(task: string, pool: string | null): Array<{ key: string; max: number; hold: 'call'; inForce: boolean }> {
    return scopesOf(task, pool).map((scope) => ({
      key: PAUSE + scope,
      max: 0,
      hold: 'call',
      inForce: this.#pauses.has(scope),
    }));
  }

  /** What a start does: null when nothing over it is paused. */
  pausedStarts(task: string, pool: string | null): PausedStarts | null {
    let found: PausedStarts | null = null;
    for (const scope of scopesOf(task, pool)) {
      const starts = this.#pauses.get(scope);
      if (starts === 'skip') return 'skip';
      found = starts ?? found;
    }
    return found;
  }

  pauses(): Array<{ scope: string; starts: PausedStarts }> {
    return [...this.#pauses].map(([scope, starts]) => ({ scope, starts }));
  }

  /** Returns the key under which calls may wait that can go on now, or null. */
  setPause(scope: string, starts: PausedStarts | null): string | null {
    const before = this.#pauses.get(scope) ?? null;
    if (before === starts) return null;
    if (starts === null) {
      this.#pauses.delete(scope);
      this.#sql.run(`DELETE FROM pauses WHERE scope = ?`, scope);
      return PAUSE + scope;
    }
    this.#pauses.set(scope, starts);
    this.#sql.run(`INSERT OR REPLACE INTO pauses (scope, starts) VALUES (?, ?)`, scope, starts);
    return null;
  }
}

export function scopeText(scope: { task: string } | { pool: string } | { all: true }): string {
  if ('task' in scope) return `task:${scope.task}`;
  return 'pool' in scope ? `pool:${scope.pool}` : '*';
}

function scopesOf(task: string, pool: string | null): string[] {
  return ['*', `task:${task}`, ...(pool === null ? [] : [`pool:${pool}`])];
}
