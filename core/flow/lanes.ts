import type { Sql } from '../ports.ts';

export interface LaneItem {
  run: string;
  key: string;
  due: number;
}

interface Lane {
  name: string;
  /** The next of the backlog, in order; taken from the front. */
  buffer: LaneItem[];
  /** Everything up to here is in the buffer or was taken. */
  cursor: LaneItem | null;
  exhausted: boolean;
  blockedBy: string | null;
}

const FETCH = 100;
const POOL = 'p:';
const SEPARATOR = '\n';

/** A lane's name is its pool (pull) and its limits' keys: calls of one lane are subject to the same limits. '' needs no lane. */
export function laneName(pool: string | null, limits: readonly string[]): string {
  if (pool === null && limits.length === 0) return '';
  return [pool === null ? '' : POOL + pool, ...limits].join(SEPARATOR);
}

export function limitsOf(lane: string): string[] {
  return lane.split(SEPARATOR).slice(1);
}

export function poolOf(lane: string): string | null {
  const head = lane.split(SEPARATOR, 1)[0] as string;
  return head.startsWith(POOL) ? head.slice(POOL.length) : null;
}

/**
 * The ready calls that wait in lanes: on disk as pending rows whose bucket is the lane's name, ordered by due time. Here: which lanes
 * have a backlog, which are blocked and by what limit. A blocked lane costs nothing until that limit has room again.
 */
export class Lanes {
  #sql: Sql;
  #lanes = new Map<string, Lane>();
  #open = new Set<string>();
  #blocked = new Map<string, Set<string>>();
  #pools = new Map<string, Set<string>>();

  constructor(sql: Sql) {
    this.#sql = sql;
    this.reload();
  }

  reload(): void {
    this.#lanes.clear();
    this.#open.clear();
    this.#blocked.clear();
    this.#pools.clear();
    for (let after = ''; ;) {
      const row = this.#sql.all<{ bucket: string }>(
        `SELECT bucket FROM pending WHERE bucket > ? ORDER BY bucket LIMIT 1`,
        after,
      )[0];
      if (!row) break;
      this.#ensure(row.bucket);
      after = row.bucket;
    }
  }

  #ensure(name: string): Lane {
    let lane = this.#lanes.get(name);
    if (!lane) {
      lane = { name, buffer: [], cursor: null, exhausted: false, blockedBy: null };
      this.#lanes.set(name, lane);
      const pool = poolOf(name);
      if (pool === null) this.#open.add(name);
      else {
        let set = this.#pools.get(pool);
        if (!set) this.#pools.set(pool, (set = new Set()));
        set.add(name);
      }
    }
    return lane;
  }

  hasBacklog(name: string): boolean {
    return this.#lanes.has(name);
  }

  /** A row of this lane was written. */
  added(name: string, item: LaneItem): void {
    const lane = this.#ensure(name);
    if (lane.cursor && compare(item, lane.cursor) <= 0) {
      lane.buffer = [];
      lane.cursor = null;
      // Another head may have room where the one before had none: its run may hold its place already.
      lane.blockedBy = null;
    }
    lane.exhausted = false;
    if (lane.blockedBy === null && poolOf(name) === null) this.#open.add(name);
  }

  /** Lanes of push calls that may have room, in the order in which they became so. */
  open(): Iterable<string> {
    return this.#open;
  }

  lanesOfPool(pool: string): Iterable<string> {
    return this.#pools.get(pool) ?? [];
  }

  isBlocked(name: string): boolean {
    return this.#lanes.get(name)?.blockedBy != null;
  }

  block(name: string, limit: string): void {
    const lane = this.#lanes.get(name);
    if (!lane) return;
    lane.blockedBy = limit;
    this.#open.delete(name);
    let set = this.#blocked.get(limit);
    if (!set) this.#blocked.set(limit, (set = new Set()));
    set.add(name);
  }

  /** A limit has room again. Returns the pools whose workers may look again. */
  unblock(limit: string): string[] {
    const set = this.#blocked.get(limit);
    if (!set) return [];
    this.#blocked.delete(limit);
    const pools: string[] = [];
    for (const name of set) {
      const lane = this.#lanes.get(name);
      if (!lane) continue;
      lane.blockedBy = null;
      const pool = poolOf(name);
      if (pool === null) this.#open.add(name);
      else pools.push(pool);
    }
    return pools;
  }

  /** The head of the backlog for which `free` holds; the lane is forgotten when nothing is left. */
  head(name: string, free: (item: LaneItem) => boolean): LaneItem | null {
    const lane = this.#lanes.get(name);
    if (!lane) return null;
    for (;;) {
      const item = lane.buffer[0];
      if (item) {
        if (free(item)) return item;
        lane.buffer.shift();
        continue;
      }
      if (lane.exhausted) {
        this.#open.delete(name);
        return null;
      }
      this.#fetch(lane);
      if (lane.buffer.length === 0) {
        // Nothing to take until a row is added or given back.
        lane.exhausted = true;
        this.#open.delete(name);
        if (lane.cursor === null) this.#forget(name);
        return null;
      }
    }
  }

  /** The head was taken. */
  shift(name: string): void {
    this.#lanes.get(name)?.buffer.shift();
  }

  /** Rows left: push calls keep theirs until they end, so an exhausted lane is forgotten when its last row goes. */
  removed(name: string): void {
    const lane = this.#lanes.get(name);
    if (!lane || !lane.exhausted) return;
    const row = this.#sql.all(`SELECT 1 AS x FROM pending WHERE bucket = ? LIMIT 1`, name)[0];
    if (!row) this.#forget(name);
  }

  #forget(name: string): void {
    this.#lanes.delete(name);
    this.#open.delete(name);
    for (const set of this.#blocked.values()) set.delete(name);
    const pool = poolOf(name);
    if (pool !== null) {
      const set = this.#pools.get(pool);
      set?.delete(name);
      if (set?.size === 0) this.#pools.delete(pool);
    }
  }

  #fetch(lane: Lane): void {
    const after = lane.cursor;
    const rows = after
      ? this.#sql.all<{ owner: string; key: string; due: number }>(
          `SELECT owner, key, due FROM pending WHERE bucket = ? AND (due, owner, key) > (?, ?, ?) ORDER BY due, owner, key LIMIT ?`,
          lane.name,
          after.due,
          after.run,
          after.key,
          FETCH,
        )
      : this.#sql.all<{ owner: string; key: string; due: number }>(
          `SELECT owner, key, due FROM pending WHERE bucket = ? ORDER BY due, owner, key LIMIT ?`,
          lane.name,
          FETCH,
        );
    lane.buffer = rows.map((row) => ({ run: row.owner, key: row.key, due: row.due }));
    lane.cursor = lane.buffer.at(-1) ?? lane.cursor;
  }
}

function compare(a: LaneItem, b: LaneItem): number {
  return a.due - b.due || (a.run < b.run ? -1 : a.run > b.run ? 1 : a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
}
