import type { Sql } from '../ports.ts';
import { PAUSE } from './limit-rules.ts';

export interface BacklogItem {
  run: string;
  key: string;
  due: number;
}

interface Backlog {
  name: string;
  /** The next ones, in order; taken from the front. */
  buffer: BacklogItem[];
  /** Everything up to here is in the buffer or was taken. */
  cursor: BacklogItem | null;
  exhausted: boolean;
}

const FETCH = 100;
const POOL = 'p:';
const LIMIT = 'l:';

/** Bucket of the ready calls of a pull pool. */
export function poolBucket(pool: string): string {
  return POOL + pool;
}

/** Bucket of the ready calls that wait for room in a limit. */
export function limitBucket(limit: string): string {
  return LIMIT + limit;
}

/** The limit for which a bucket's calls wait, or null for a pool's. */
export function limitOfBucket(bucket: string): string | null {
  return bucket.startsWith(LIMIT) ? bucket.slice(LIMIT.length) : null;
}

/**
 * Ready calls that wait: on disk as pending rows of a bucket, ordered by due time. A call waits in one bucket at a time: that of the first
 * limit without room for it, or its pool's. Here: a window on each backlog, and the limits that may have room again. A backlog behind a
 * full limit costs nothing. Rows of push calls stay where they are while the call is leased; `free` tells them from those that wait.
 */
export class Backlogs {
  #sql: Sql;
  #backlogs = new Map<string, Backlog>();
  #open = new Set<string>();
  #pauses = 0;
  /** Told when nothing waits in a bucket any more. */
  onEmpty: (name: string) => void = () => {};

  constructor(sql: Sql) {
    this.#sql = sql;
    this.reload();
  }

  reload(): void {
    this.#backlogs.clear();
    this.#pauses = 0;
    this.#open.clear();
    for (let after = ''; ;) {
      const row = this.#sql.all<{ bucket: string }>(
        `SELECT bucket FROM pending WHERE bucket > ? ORDER BY bucket LIMIT 1`,
        after,
      )[0];
      if (!row) break;
      this.#ensure(row.bucket);
      const limit = limitOfBucket(row.bucket);
      if (limit !== null) this.#open.add(limit);
      after = row.bucket;
    }
  }

  #ensure(name: string): Backlog {
    let backlog = this.#backlogs.get(name);
    if (!backlog) {
      this.#backlogs.set(name, (backlog = { name, buffer: [], cursor: null, exhausted: false }));
      if (isPause(name)) this.#pauses++;
    }
    return backlog;
  }

  /** Whether calls wait that a pause held back, though it may be over. */
  get heldBack(): boolean {
    return this.#pauses > 0;
  }

  /** A row of this bucket was written, or given back. */
  added(name: string, item: BacklogItem): void {
    const backlog = this.#ensure(name);
    if (backlog.cursor && compareItems(item, backlog.cursor) <= 0) {
      backlog.buffer = [];
      backlog.cursor = null;
    }
    backlog.exhausted = false;
  }

  /** A limit's counter may have room: its backlog is to be looked at. */
  opened(counter: string): void {
    if (this.#backlogs.has(limitBucket(counter))) this.#open.add(counter);
  }

  /** All of a limit's counters may have room. Looks at the name of every backlog: for what people do, not for what calls do. */
  openedAll(counter: string, subs: { from: string; to: string }): void {
    this.opened(counter);
    const [from, to] = [limitBucket(subs.from), limitBucket(subs.to)];
    for (const name of this.#backlogs.keys()) if (name >= from && name < to) this.#open.add(name.slice(LIMIT.length));
  }

  /** The limits opened since the last time. */
  takeOpen(): string[] {
    const open = [...this.#open];
    this.#open.clear();
    return open;
  }

  hasBacklog(name: string): boolean {
    return this.#backlogs.has(name);
  }

  /** The oldest one that waits, or null. */
  head(name: string, free: (item: BacklogItem) => boolean): BacklogItem | null {
    const backlog = this.#backlogs.get(name);
    if (!backlog) return null;
    for (;;) {
      const item = backlog.buffer[0];
      if (item) {
        if (free(item)) return item;
        backlog.buffer.shift();
        continue;
      }
      if (backlog.exhausted) return null;
      this.#fetch(backlog);
      if (backlog.buffer.length === 0) {
        // Nothing to take until a row is added or given back.
        backlog.exhausted = true;
        if (backlog.cursor === null) this.#gone(name);
        return null;
      }
    }
  }

  /** The head was taken or has gone elsewhere. */
  shift(name: string): void {
    this.#backlogs.get(name)?.buffer.shift();
  }

  /** A row left. A backlog with nothing to take is forgotten when its last row goes. */
  removed(name: string): void {
    const backlog = this.#backlogs.get(name);
    if (!backlog?.exhausted) return;
    const row = this.#sql.all(`SELECT 1 AS x FROM pending WHERE bucket = ? LIMIT 1`, name)[0];
    if (!row) this.#gone(name);
  }

  #gone(name: string): void {
    if (this.#backlogs.delete(name) && isPause(name)) this.#pauses--;
    this.onEmpty(name);
  }

  #fetch(backlog: Backlog): void {
    const after = backlog.cursor;
    const rows = after
      ? this.#sql.all<{ owner: string; key: string; due: number }>(
          `SELECT owner, key, due FROM pending WHERE bucket = ? AND (due, owner, key) > (?, ?, ?) ORDER BY due, owner, key LIMIT ?`,
          backlog.name,
          after.due,
          after.run,
          after.key,
          FETCH,
        )
      : this.#sql.all<{ owner: string; key: string; due: number }>(
          `SELECT owner, key, due FROM pending WHERE bucket = ? ORDER BY due, owner, key LIMIT ?`,
          backlog.name,
          FETCH,
        );
    backlog.buffer = rows.map((row) => ({ run: row.owner, key: row.key, due: row.due }));
    backlog.cursor = backlog.buffer.at(-1) ?? backlog.cursor;
  }
}

function isPause(name: string): boolean {
  return name.startsWith(LIMIT + PAUSE);
}

/** The order of a backlog: SQLite's for (due, owner, key), whose text is compared by bytes; ids and keys are ASCII or compared alike. */
export function compareItems(a: BacklogItem, b: BacklogItem): number {
  return a.due - b.due || (a.run < b.run ? -1 : a.run > b.run ? 1 : a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
}
