import { laneName, Lanes } from '../flow/lanes.ts';
import { LimitBook } from '../flow/limit-book.ts';
import { ReadyQueue } from '../flow/ready-queue.ts';
import { applyEntry, openRun } from '../history/fold.ts';
import type { Pending, RunHead, RunState } from '../history/state.ts';
import type { EventRecord } from '../model/event.ts';
import type { HistoryBody, HistoryEntry } from '../model/history.ts';
import { IdFactory, isId } from '../model/ids.ts';
import { CACHED_RUNS, CACHED_STATE_CHARS, NEVER_MS, READY_IN_MEMORY, RETENTION_MS } from '../model/limits.ts';
import type { JsonText, Payload } from '../model/payload.ts';
import type { LimitSpec } from '../model/task.ts';
import type { Clock, Effects, Random, Sql, Translator } from '../ports.ts';
import { PayloadStore } from '../store/payloads.ts';
import { type PendingRow, pendingRowOf, RunStore } from '../store/run-store.ts';
import { migrate } from '../store/schema.ts';
import { EventStore } from '../store/event-store.ts';
import { TaskBook } from './task-book.ts';
import { LeaseBook, type PushLease } from './lease-book.ts';
import { WaitIndex } from './matching.ts';

export interface KernelOptions {
  sql: Sql;
  clock: Clock;
  random: Random;
  effects: Effects;
  /** By executor name. */
  translators: Readonly<Record<string, Translator>>;
  /** Number of this cell in its environment. */
  cell: number;
  /** Name of this cell for others (model/placement.ts). */
  address: string;
  retentionMs?: number;
}

/** A run in memory: its state, what of it is on disk, and what this transaction adds. */
export interface RunHandle {
  state: RunState;
  /** Pending rows as on disk, with the state they were made from. */
  rows: Map<string, { row: PendingRow; pending: Pending }>;
  entries: HistoryEntry[];
  isNew: boolean;
  /** Waits by event: the index value, by key. */
  matches: Map<string, string>;
  events: EventRecord[] | null;
  chars: number;
}

export interface ReadyItem {
  run: string;
  key: string;
}

/**
 * What every transition works on: the store, and the memory beside it. All memory is a cache of the store or follows from it;
 * a transaction that fails takes back what it did to it (`undo`).
 */
export class Kernel {
  readonly sql: Sql;
  readonly runs: RunStore;
  readonly events: EventStore;
  readonly payloads: PayloadStore;
  readonly tasks: TaskBook;
  readonly limits: LimitBook;
  readonly lanes: Lanes;
  readonly waits: WaitIndex;
  readonly leases = new LeaseBook();
  readonly effects: Effects;
  readonly retentionMs: number;
  readonly cell: number;
  readonly address: string;
  readonly epoch: number;
  readonly ids: IdFactory;
  readonly translators: Readonly<Record<string, Translator>>;
  readonly random: Random;
  readonly #clock: Clock;

  /** Time of the transition under way: never runs backwards within this start. */
  now = 0;
  /** Calls and waits that are due, oldest first. */
  readonly ready = new ReadyQueue<ReadyItem>();
  /** There are due rows on disk beyond those in `ready`. */
  spilled = false;
  /** Rows due up to here are known to `ready`, to a lane, or are leased. */
  watermark = -1;
  nextDue = NEVER_MS;
  /** The process is about to end: reports are taken, no call is started. What is ready is found again after the restart. */
  draining = false;
  #leaseCount = 0;
  #cache = new Map<string, RunHandle>();
  readonly touched = new Map<string, RunHandle>();
  readonly changed = new Map<string, number>();
  readonly readyPools = new Set<string>();
  /** Cells for which this transaction keeps messages. */
  readonly mailFor = new Set<string>();
  #undo: Array<() => void> = [];

  constructor(options: KernelOptions) {
    this.sql = options.sql;
    this.epoch = migrate(options.sql);
    this.payloads = new PayloadStore(options.sql);
    this.runs = new RunStore(options.sql, this.payloads);
    this.events = new EventStore(options.sql, this.payloads);
    this.tasks = new TaskBook(options.sql);
    this.limits = new LimitBook(options.sql);
    this.lanes = new Lanes(options.sql);
    this.waits = new WaitIndex(options.sql);
    this.effects = options.effects;
    this.translators = options.translators;
    this.random = options.random;
    this.cell = options.cell;
    this.address = options.address;
    this.ids = new IdFactory(options.random, options.cell);
    this.retentionMs = options.retentionMs ?? RETENTION_MS;
    this.#clock = options.clock;
    this.tick();
    this.#restoreHolds();
  }

  tick(): number {
    this.now = Math.max(this.now, this.#clock.now());
    return this.now;
  }

  // After a restart the runs that held a limit across a retry or a sleep hold it again.
  #restoreHolds(): void {
    const rows = this.sql.all<{ owner: string; key: string; lease: string | null }>(
      `SELECT owner, key, lease FROM pending WHERE held IS NOT NULL`,
    );
    for (const row of rows) {
      const handle = this.find(row.owner);
      if (!handle) continue;
      for (const key of this.limitsOfCall(handle, row.key)) {
        const hold = this.limits.get(key)?.hold;
        const holder = this.limits.holderOf(key, row.owner, row.key);
        if (hold === 'run' ? !this.limits.holds(key, holder) : row.lease !== null) this.limits.take(key, holder);
      }
    }
  }

  onUndo(inverse: () => void): void {
    this.#undo.push(inverse);
  }

  /** A run for reading or changing, or null. Changing goes through `append`. */
  find(run: string): RunHandle | null {
    const cached = this.touched.get(run) ?? this.#cache.get(run);
    if (cached) {
      if (this.#cache.delete(run)) this.#cache.set(run, cached);
      return cached;
    }
    const state = this.runs.load(run);
    if (!state) return null;
    const rows = new Map<string, { row: PendingRow; pending: Pending }>();
    for (const row of this.runs.pendingRows(run)) {
      let pending = state.pending.get(row.key);
      if (!pending) continue;
      // A lease that was extended has moved in the row only.
      if (pending.lease !== null && pending.dueAt !== row.due) {
        pending = { ...pending, dueAt: row.due };
        state.pending.set(row.key, pending);
      }
      rows.set(row.key, { row, pending });
    }
    const handle: RunHandle = {
      state,
      rows,
      entries: [],
      isNew: false,
      matches: new Map(),
      events: null,
      chars: sizeOf(state),
    };
    this.#remember(run, handle);
    return handle;
  }

  /** A run by its id or its alias, or null. */
  findNamed(idOrAlias: string): RunHandle | null {
    if (isId(idOrAlias)) return this.find(idOrAlias);
    const run = this.nameOf(`alias:${idOrAlias}`);
    return this.find(run ?? idOrAlias);
  }

  create(head: RunHead, input: Payload | null): RunHandle {
    const handle: RunHandle = {
      state: openRun(head, input),
      rows: new Map(),
      entries: [],
      isNew: true,
      matches: new Map(),
      events: null,
      chars: 0,
    };
    this.touched.set(head.id, handle);
    return handle;
  }

  append(handle: RunHandle, body: HistoryBody, data: Payload | null = null): HistoryEntry {
    const entry: HistoryEntry = { seq: handle.state.seq + 1, atMs: this.now, body, data };
    this.touched.set(handle.state.head.id, handle);
    handle.entries.push(entry);
    handle.chars += data?.length ?? 0;
    applyEntry(handle.state, entry);
    return entry;
  }

  /** A pull lease's due time moved: no history, the row only. */
  moveLease(handle: RunHandle, key: string, dueAt: number): void {
    const pending = handle.state.pending.get(key);
    if (!pending) return;
    this.touched.set(handle.state.head.id, handle);
    handle.state.pending.set(key, { ...pending, dueAt });
  }

  eventsOf(handle: RunHandle): EventRecord[] {
    handle.events ??= handle.state.head.eventIds.map((id) => this.events.get(id)).filter((event) => event !== null);
    return handle.events;
  }

  limitsOfCall(handle: RunHandle, key: string): string[] {
    const own = handle.state.pending.get(key)?.call?.limits;
    return own ? own.map((limit) => limit.key) : handle.state.head.limits;
  }

  laneOf(handle: RunHandle, key: string): string {
    return laneName(handle.state.head.pool, this.limitsOfCall(handle, key));
  }

  /** Writes what the transaction did to its runs. Called once, before the commit. */
  flush(): void {
    for (const [run, handle] of this.touched) this.#flushRun(run, handle);
  }

  #flushRun(run: string, handle: RunHandle): void {
    const { state, rows } = handle;
    if (handle.isNew) {
      this.runs.insertRun(state);
      handle.isNew = false;
    }
    for (const entry of handle.entries) this.runs.insertEntry(run, entry);
    if (handle.entries.length > 0) this.changed.set(run, state.seq);
    const ended = state.status !== 'running';
    if (ended && handle.entries.some((entry) => entry.body.kind === 'end')) this.runs.endRun(state);
    handle.entries = [];
    for (const [key, { row, pending }] of rows) {
      if (state.pending.has(key)) continue;
      this.#letGo(handle, pending);
      this.runs.deletePending(run, key);
      rows.delete(key);
      if (row.bucket !== '') this.lanes.removed(row.bucket);
    }
    for (const [key, pending] of state.pending) {
      const saved = rows.get(key);
      if (saved?.pending === pending) continue;
      const match = pending.wait ? this.#matchFor(handle, pending) : null;
      const isDueCall = pending.kind === 'call' && pending.lease === null && pending.dueAt <= this.now;
      const pool = handle.state.head.pool;
      // A pull call that is due waits in its pool's lane; a push call goes there only when its limits are full (see pump).
      const bucket = isDueCall && pool !== null ? this.laneOf(handle, key) : '';
      const row = pendingRowOf(run, pending, bucket, match, pending.lease !== null || this.holdsRunLimit(handle, key));
      if (bucket !== '') row.due = this.holdsRunLimit(handle, key) ? 0 : row.due - (pending.call?.priorityMs ?? 0);
      // A lease that is to end now or earlier still has to be found by the next look at the clock.
      if (pending.lease !== null) row.due = Math.max(row.due, this.now + 1);
      if (saved) this.runs.updatePending(saved.row, row);
      else this.runs.insertPending(row);
      if (saved && saved.row.bucket !== '' && saved.row.bucket !== bucket) this.lanes.removed(saved.row.bucket);
      rows.set(key, { row, pending });
      if (bucket !== '') {
        this.lanes.added(bucket, { run, key, due: row.due });
        this.readyPools.add(pool as string);
      } else if (row.due > this.now) {
        this.nextDue = Math.min(this.nextDue, row.due);
      } else {
        this.pushReady({ run, key });
      }
    }
  }

  /** A call that was resolved while it was leased, by somebody else's report: its lease is over, and what it held is free. */
  #letGo(handle: RunHandle, pending: Pending): void {
    if (pending.kind !== 'call') return;
    const run = handle.state.head.id;
    const push = this.leases.of(run, pending.key);
    if (push) this.dropPush(push);
    const limits = pending.call?.limits?.map((limit) => limit.key) ?? handle.state.head.limits;
    for (const limit of limits) this.releaseLimit(limit, `${run} ${pending.key}`, false);
  }

  #matchFor(handle: RunHandle, pending: Pending): string | null {
    let match = handle.matches.get(pending.key);
    if (match === undefined) {
      match = (pending.wait && this.waits.matchOf(pending.wait)) ?? '';
      handle.matches.set(pending.key, match);
    }
    return match || null;
  }

  holdsRunLimit(handle: RunHandle, key: string): boolean {
    const run = handle.state.head.id;
    return this.limitsOfCall(handle, key).some(
      (limit) => this.limits.get(limit)?.hold === 'run' && this.limits.holds(limit, run),
    );
  }

  pushReady(item: ReadyItem): void {
    // Once something older had no room, what comes after it waits on disk too: nothing overtakes.
    if (!this.spilled && this.ready.size < READY_IN_MEMORY) this.ready.push(item);
    else this.spilled = true;
  }

  /** Moves a ready call into its lane's backlog; `front`: before all others. */
  toBacklog(handle: RunHandle, key: string, lane: string, front = false): void {
    const saved = handle.rows.get(key);
    if (!saved || (saved.row.bucket === lane && !(front && saved.row.due > 0))) return;
    const row = { ...saved.row, bucket: lane, due: front ? 0 : saved.row.due - (saved.pending.call?.priorityMs ?? 0) };
    this.runs.updatePending(saved.row, row);
    handle.rows.set(key, { row, pending: saved.pending });
    this.lanes.added(lane, { run: row.owner, key, due: row.due });
  }

  newLease(): string {
    return `${this.epoch.toString(36)}.${(++this.#leaseCount).toString(36)}.${Math.floor(this.random.next() * 0xffffffff).toString(36)}`;
  }

  takePush(lease: PushLease): void {
    this.leases.add(lease);
    this.onUndo(() => this.leases.remove(lease));
  }

  dropPush(lease: PushLease): void {
    this.leases.remove(lease);
    this.onUndo(() => this.leases.add(lease));
  }

  takeLimit(limit: string, holder: string): void {
    this.limits.take(limit, holder);
    this.onUndo(() => this.limits.release(limit, holder));
  }

  /** `all`: the holder is gone for good. */
  releaseLimit(limit: string, holder: string, all: boolean): void {
    const before = this.limits.count(limit, holder);
    if (before === 0) return;
    if (all) this.limits.drop(limit, holder);
    else this.limits.release(limit, holder);
    this.onUndo(() => this.limits.restore(limit, holder, before));
    this.#unblock(limit);
  }

  #unblock(limit: string): void {
    for (const pool of this.lanes.unblock(limit)) this.readyPools.add(pool);
  }

  /** After a commit: keeps what was touched in the cache and hands out what changed. */
  committed(): void {
    for (const [run, handle] of this.touched) this.#remember(run, handle);
    this.touched.clear();
    this.#undo = [];
    if (this.changed.size > 0) {
      const changed = [...this.changed].map(([run, seq]) => ({ run, seq }));
      this.changed.clear();
      this.effects.changed(changed);
    }
    if (this.readyPools.size > 0) {
      const pools = [...this.readyPools];
      this.readyPools.clear();
      this.effects.ready(pools);
    }
    if (this.mailFor.size > 0) {
      const cells = [...this.mailFor];
      this.mailFor.clear();
      this.effects.mail(cells);
    }
  }

  /** After a rollback: memory as it was. What was only cached is read again. */
  rolledBack(): void {
    for (const inverse of this.#undo.reverse()) inverse();
    this.#undo = [];
    for (const run of this.touched.keys()) this.#cache.delete(run);
    this.touched.clear();
    this.changed.clear();
    this.readyPools.clear();
    this.mailFor.clear();
    this.tasks.reload();
    this.limits.reload();
    this.lanes.reload();
    this.waits.reload();
    this.ready.clear();
    // Everything that is due is found again on disk.
    this.watermark = -1;
    this.spilled = true;
  }

  /** A call that stays as it is was given back: it is ready again. */
  recheck(handle: RunHandle, key: string): void {
    const saved = handle.rows.get(key);
    if (!saved) return;
    const run = handle.state.head.id;
    if (saved.row.bucket === '') this.pushReady({ run, key });
    else if (saved.row.due > 0 && this.holdsRunLimit(handle, key)) this.toBacklog(handle, key, saved.row.bucket, true);
    else this.lanes.added(saved.row.bucket, { run, key, due: saved.row.due });
  }

  /** Reads due rows that memory had no room for. Only when `ready` is empty. */
  refill(): void {
    this.spilled = false;
    const rows = this.sql.all<{ owner: string; key: string }>(
      `SELECT owner, key FROM pending WHERE bucket = '' AND due <= ? AND lease IS NULL AND kind IN ('call', 'sleep', 'event', 'run', 'token') ORDER BY due LIMIT ?`,
      this.now,
      READY_IN_MEMORY + this.leases.size,
    );
    for (const row of rows) if (!this.leases.of(row.owner, row.key)) this.pushReady({ run: row.owner, key: row.key });
    if (rows.length >= READY_IN_MEMORY + this.leases.size) this.spilled = true;
  }

  findNextDue(): void {
    const due = this.sql.all<{ due: number | null }>(
      `SELECT min(due) AS due FROM pending WHERE bucket = '' AND due > ?`,
      this.watermark,
    )[0]?.due;
    this.nextDue = due ?? NEVER_MS;
  }

  holdCall(handle: RunHandle, key: string): void {
    const run = handle.state.head.id;
    for (const limit of this.limitsOfCall(handle, key)) {
      const holder = this.limits.holderOf(limit, run, key);
      if (!this.limits.holds(limit, holder)) this.takeLimit(limit, holder);
    }
  }

  /** The call's lease is over. What a run holds as a whole it keeps. */
  releaseCall(handle: RunHandle, key: string): void {
    const run = handle.state.head.id;
    for (const limit of this.limitsOfCall(handle, key))
      if (this.limits.get(limit)?.hold === 'call') this.releaseLimit(limit, `${run} ${key}`, false);
  }

  callLimits(handle: RunHandle): string[] {
    return [...handle.state.pending.values()].flatMap(
      (pending) => pending.call?.limits?.map((limit) => limit.key) ?? [],
    );
  }

  putLimit(spec: LimitSpec, changes: { paused?: boolean; pinned?: boolean } = {}, force = false): void {
    if (this.limits.put(spec, changes, force)) this.#unblock(spec.key);
  }

  putName(key: string, run: string, until: number): void {
    this.sql.run(`INSERT OR REPLACE INTO names (key, run, until) VALUES (?, ?, ?)`, key, run, until);
  }

  nameOf(key: string): string | null {
    return (
      this.sql.all<{ run: string }>(`SELECT run FROM names WHERE key = ? AND until > ?`, key, this.now)[0]?.run ?? null
    );
  }

  /** A timer that is no part of a run's history: a schedule's tick, an expiry, housekeeping. */
  putTimer(owner: string, key: string, kind: string, atMs: number): void {
    this.sql.run(
      `INSERT OR REPLACE INTO pending (owner, key, kind, bucket, due, attempt, lease, held, match) VALUES (?, ?, ?, '', ?, 0, NULL, NULL, NULL)`,
      owner,
      key,
      kind,
      // A timer set for now or earlier still has to be found by the next look at the clock.
      Math.max(atMs, this.watermark + 1),
    );
    this.nextDue = Math.min(this.nextDue, Math.max(atMs, this.watermark + 1));
  }

  dropTimer(owner: string, key: string): void {
    this.sql.run(`DELETE FROM pending WHERE owner = ? AND key = ?`, owner, key);
  }

  /** Waits that stand under an index value, oldest run first. */
  waiters(match: string): Array<{ run: string; key: string }> {
    this.flush();
    return this.sql
      .all<{ owner: string; key: string }>(`SELECT owner, key FROM pending WHERE match = ? ORDER BY owner, key`, match)
      .map((row) => ({ run: row.owner, key: row.key }));
  }

  listens(eventName: string): boolean {
    return this.tasks.listens(eventName) || this.waits.waitsFor(eventName);
  }

  putDeadLetter(id: string, run: string, data: JsonText): void {
    this.sql.run(
      `INSERT OR REPLACE INTO dead_letters (id, run, at, data) VALUES (?, ?, ?, ?)`,
      id,
      run,
      this.now,
      this.payloads.put(`d:${id}`, data),
    );
  }

  deleteDeadLetter(id: string): boolean {
    const row = this.sql.all<{ data: string | number }>(`SELECT data FROM dead_letters WHERE id = ?`, id)[0];
    if (!row) return false;
    this.payloads.drop(`d:${id}`, row.data);
    this.sql.run(`DELETE FROM dead_letters WHERE id = ?`, id);
    return true;
  }

  record(collection: string, id: string): { data: JsonText; updatedAt: number; expiresAt: number | null } | null {
    const row = this.sql.all<{ data: string | number; updated_at: number; expires_at: number | null }>(
      `SELECT data, updated_at, expires_at FROM records WHERE collection = ? AND id = ? AND (expires_at IS NULL OR expires_at > ?)`,
      collection,
      id,
      this.now,
    )[0];
    return row
      ? {
          data: this.payloads.get(`k:${collection}:${id}`, row.data) as string,
          updatedAt: row.updated_at,
          expiresAt: row.expires_at,
        }
      : null;
  }

  recordsFrom(collection: string, prefix: string): Array<{ id: string; data: JsonText; expiresAt: number | null }> {
    return this.sql
      .all<{ id: string; data: string | number; expires_at: number | null }>(
        `SELECT id, data, expires_at FROM records WHERE collection = ? AND id >= ? AND id < ? ORDER BY id`,
        collection,
        prefix,
        `${prefix}\uffff`,
      )
      .map((row) => ({
        id: row.id,
        data: this.payloads.get(`k:${collection}:${row.id}`, row.data) as string,
        expiresAt: row.expires_at,
      }));
  }

  putRecord(collection: string, id: string, data: JsonText, expiresAt: number | null): void {
    this.deleteRecord(collection, id, true);
    this.sql.run(
      `INSERT OR REPLACE INTO records (collection, id, data, updated_at, expires_at) VALUES (?, ?, ?, ?, ?)`,
      collection,
      id,
      this.payloads.put(`k:${collection}:${id}`, data),
      this.now,
      expiresAt === null || expiresAt >= NEVER_MS ? null : expiresAt,
    );
  }

  deleteRecord(collection: string, id: string, chunksOnly = false): boolean {
    const row = this.sql.all<{ data: string | number }>(
      `SELECT data FROM records WHERE collection = ? AND id = ?`,
      collection,
      id,
    )[0];
    if (!row) return false;
    this.payloads.drop(`k:${collection}:${id}`, row.data);
    if (!chunksOnly) this.sql.run(`DELETE FROM records WHERE collection = ? AND id = ?`, collection, id);
    return true;
  }

  meta(key: string): string | null {
    return this.sql.all<{ value: string }>(`SELECT value FROM meta WHERE key = ?`, key)[0]?.value ?? null;
  }

  setMeta(key: string, value: string): void {
    this.sql.run(`INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)`, key, value);
  }

  #remember(run: string, handle: RunHandle): void {
    this.#cache.delete(run);
    if (handle.chars > CACHED_STATE_CHARS || handle.state.status !== 'running') return;
    this.#cache.set(run, handle);
    if (this.#cache.size > CACHED_RUNS) {
      const oldest = this.#cache.keys().next().value as string;
      this.#cache.delete(oldest);
    }
  }

  forget(run: string): void {
    this.#cache.delete(run);
  }
}

function sizeOf(state: RunState): number {
  let chars = state.input?.length ?? 0;
  for (const step of state.steps) chars += step.data?.length ?? 0;
  return chars;
}
