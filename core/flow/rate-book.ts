import { type Rate, subCounters } from '../model/limit.ts';
import type { Sql } from '../ports.ts';
import { rateIdleAt, rateOpensAt, rateRoom, type RateState, rateTake, rateUsage } from './rate.ts';

/** Counters whose state is kept in memory; the rest is read again. */
const CACHED_COUNTERS = 20_000;

interface Entry {
  state: RateState | null;
  rate: Rate | null;
  dirty: boolean;
}

/**
 * What each counter with a rate has taken: on disk in the transaction that takes, so that a restart gives no second burst. In memory a cache
 * only: a transaction that fails forgets it.
 */
export class RateBook {
  #sql: Sql;
  #entries = new Map<string, Entry>();
  #dirty = new Set<string>();

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  room(counter: string, rate: Rate, nowMs: number): number {
    return rateRoom(rate, this.#entry(counter).state, nowMs);
  }

  /** When it opens after `more` that are promised already. */
  opensAt(counter: string, rate: Rate, nowMs: number, more = 0): number {
    const { state } = this.#entry(counter);
    return rateOpensAt(rate, more === 0 ? state : rateTake(rate, state, nowMs, more), nowMs);
  }

  take(counter: string, rate: Rate, nowMs: number): void {
    const entry = this.#entry(counter);
    entry.state = rateTake(rate, entry.state, nowMs);
    entry.rate = rate;
    entry.dirty = true;
    this.#dirty.add(counter);
  }

  usage(counter: string, rate: Rate, nowMs: number): { used: number; startMs: number | null } {
    return rateUsage(rate, this.#entry(counter).state, nowMs);
  }

  /** Forgets what a limit's counters have taken. */
  reset(key: string, counter: string, nowMs: number): void {
    this.flush(nowMs);
    const { from, to } = subCounters(key);
    this.#sql.run(`DELETE FROM rates WHERE counter = ? OR (counter >= ? AND counter < ?)`, counter, from, to);
    this.forget();
  }

  /** One row a counter and transaction, however many were taken. */
  flush(nowMs: number): void {
    if (this.#dirty.size === 0) return;
    for (const counter of this.#dirty) {
      const entry = this.#entries.get(counter);
      if (!entry?.dirty || entry.state === null || entry.rate === null) continue;
      this.#sql.run(
        `INSERT OR REPLACE INTO rates (counter, state, idle_at) VALUES (?, ?, ?)`,
        counter,
        JSON.stringify(entry.state),
        rateIdleAt(entry.rate, entry.state, nowMs),
      );
      entry.dirty = false;
    }
    this.#dirty.clear();
    if (this.#entries.size > CACHED_COUNTERS) this.forget();
  }

  /** Memory is read again from disk. */
  forget(): void {
    this.#entries.clear();
    this.#dirty.clear();
  }

  /** Deletes a counter of which nothing counts any more. */
  drop(counter: string): void {
    this.#sql.run(`DELETE FROM rates WHERE counter = ?`, counter);
    this.#entries.delete(counter);
  }

  #entry(counter: string): Entry {
    let entry = this.#entries.get(counter);
    if (!entry) {
      const row = this.#sql.all<{ state: string }>(`SELECT state FROM rates WHERE counter = ?`, counter)[0];
      entry = { state: row ? (JSON.parse(row.state) as RateState) : null, rate: null, dirty: false };
      this.#entries.set(counter, entry);
    }
    return entry;
  }
}
