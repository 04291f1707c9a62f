import { Backlogs, type BacklogItem, limitBucket, limitOfBucket } from '../flow/backlogs.ts';
import { LimitBook } from '../flow/limit-book.ts';
import { Openings } from '../flow/openings.ts';
import { ReadyQueue } from '../flow/ready-queue.ts';
import { applyEntry, openRun } from '../history/fold.ts';
import type { Pending, RunHead, RunState } from '../history/state.ts';
import type { RunStatus } from '../model/call.ts';
import type { EventRecord } from '../model/event.ts';
import type { HistoryBody, HistoryEntry } from '../model/history.ts';
import { IdFactory, isId } from '../model/ids.ts';
import {
  CACHED_RUNS,
  CACHED_STATE_CHARS,
  LARGE_STATE_CHARS,
  LARGE_STATES,
  MAX_IN_FLIGHT,
  NEVER_MS,
  READY_IN_MEMORY,
  RETENTION_MS,
} from '../model/limits.ts';
import type { JsonText, Payload } from '../model/payload.ts';
import type { TaskRecord } from '../model/task.ts';
import type { Clock, Effects, Random, Sql, Translator } from '../ports.ts';
import { PayloadStore } from '../store/payloads.ts';
import { type PendingRow, RunStore } from '../store/run-store.ts';
import { DeadLetterStore } from '../store/dead-letter-store.ts';
import { MetaStore } from '../store/meta-store.ts';
import { NameStore } from '../store/name-store.ts';
import { RecordStore } from '../store/record-store.ts';
import { migrate } from '../store/schema.ts';
import { EventStore } from '../store/event-store.ts';
import { Places } from './places.ts';
import { Rows } from './rows.ts';
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
  /** How long ended runs, events and dead letters are kept, where their task says nothing else. */
  retentionMs?: number;
  /** Calls in the hands of push executors at once; default MAX_IN_FLIGHT. */
  maxInFlight?: number;
  /** Whether a worker asks for this pool's work now. Default: as if one did. */
  present?: (pool: string) => boolean;
}

/** A pending row as on disk, with the state that it was made from. */
export interface Saved {
  row: PendingRow;
  pending: Pending;
}

/** A run in memory: its state, what of it is on disk, and what this transaction adds. */
export interface RunHandle {
  state: RunState;
  rows: Map<string, Saved>;
  entries: HistoryEntry[];
  isNew: boolean;
  /** Waits by event: the index value, by key. */
  matches: Map<string, string>;
  events: EventRecord[] | null;
  /** Labels on disk that this transaction has replaced. */
  labelsBefore: readonly string[] | null;
  chars: number;
}

export interface Ending {
  status: Exclude<RunStatus, 'running'>;
  /** Output of a completed run, error of another. */
  data: Payload | null;
  reason?: string;
  meta?: JsonText;
  /** Attempt (from 0) of the call that ended it. */
  attempt?: number;
}

/** Calls and waits of a run that are looked at to see whether it rests. */
const FEW = 4;
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
  readonly backlogs: Backlogs;
  /** Backlogs that time opens. */
  readonly openings = new Openings();
  readonly names: NameStore;
  readonly records: RecordStore;
  readonly deadLetters: DeadLetterStore;
  readonly meta: MetaStore;
  readonly waits: WaitIndex;
  readonly places: Places;
  readonly rows: Rows;
  readonly leases = new LeaseBook();
  readonly effects: Effects;
  readonly retentionMs: number;
  readonly maxInFlight: number;
  readonly cell: number;
  readonly address: string;
  readonly epoch: number;
  readonly ids: IdFactory;
  readonly translators: Readonly<Record<string, Translator>>;
  readonly random: Random;
  readonly present: (pool: string) => boolean;
  readonly #clock: Clock;

  /** Time of the transition under way: never runs backwards within this start. */
  now = 0;
  /** Calls and waits that are due, oldest first. */
  readonly ready = new ReadyQueue<ReadyItem>();
  /** There are due rows on disk beyond those in `ready`. */
  spilled = false;
  /** Rows due up to here are known to `ready`, to a backlog, or are leased. */
  watermark = -1;
  nextDue = NEVER_MS;
  /** Ends a run (engine/end.ts), for what an end may lead to in turn: what starts a run may end another. */
  end!: (handle: RunHandle, ending: Ending) => void;
  /** The process is about to end: reports are taken, no call is started. What is ready is found again after the restart. */
  draining = false;
  #leaseCount = 0;
  #cache = new Map<string, RunHandle>();
  #large = new Map<string, RunHandle>();
  readonly touched = new Map<string, RunHandle>();
  readonly changed = new Map<string, RunState>();
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
    this.backlogs = new Backlogs(options.sql);
    this.limits = new LimitBook(options.sql, (counter) => this.backlogs.hasBacklog(limitBucket(counter)));
    this.backlogs.onEmpty = (bucket) => this.limits.forgetIdle(limitOfBucket(bucket) ?? '');
    this.names = new NameStore(options.sql, this);
    this.records = new RecordStore(options.sql, this.payloads, this);
    this.deadLetters = new DeadLetterStore(options.sql, this.payloads, this);
    this.meta = new MetaStore(options.sql);
    this.waits = new WaitIndex(options.sql);
    this.places = new Places(this);
    this.rows = new Rows(this);
    this.effects = options.effects;
    this.translators = options.translators;
    this.random = options.random;
    this.present = options.present ?? (() => true);
    this.cell = options.cell;
    this.address = options.address;
    this.ids = new IdFactory(options.random, options.cell);
    this.retentionMs = options.retentionMs ?? RETENTION_MS;
    this.maxInFlight = options.maxInFlight ?? MAX_IN_FLIGHT;
    this.#clock = options.clock;
    this.tick();
    this.places.restore();
  }

  tick(): number {
    this.now = Math.max(this.now, this.#clock.now());
    return this.now;
  }

  onUndo(inverse: () => void): void {
    this.#undo.push(inverse);
  }

  /** A run if it is in memory: for lists, which must not push out those at work. */
  peek(run: string): RunHandle | null {
    return this.touched.get(run) ?? this.#cache.get(run) ?? this.#large.get(run) ?? null;
  }

  /** A run for reading or changing, or null. Changing goes through `append`. */
  find(run: string): RunHandle | null {
    const cached = this.touched.get(run) ?? this.#cache.get(run) ?? this.#large.get(run);
    if (cached) {
      if (this.#cache.delete(run)) this.#cache.set(run, cached);
      return cached;
    }
    const state = this.runs.load(run);
    if (!state) return null;
    const rows = new Map<string, Saved>();
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
    state.pending.changed.clear();
    const handle: RunHandle = {
      state,
      rows,
      entries: [],
      isNew: false,
      matches: new Map(),
      events: null,
      labelsBefore: null,
      chars: sizeOf(state),
    };
    this.#remember(run, handle);
    return handle;
  }

  /** A run by its id or its alias, or null. */
  findNamed(idOrAlias: string): RunHandle | null {
    if (isId(idOrAlias)) return this.find(idOrAlias);
    const run = this.names.runOf(`alias:${idOrAlias}`);
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
      labelsBefore: null,
      chars: 0,
    };
    this.touched.set(head.id, handle);
    return handle;
  }

  append(handle: RunHandle, body: HistoryBody, data: Payload | null = null): HistoryEntry {
    const { seq, startedAt, startKept } = handle.state;
    const begun = !startKept && startedAt !== null ? { ...body, begunAt: startedAt } : body;
    const entry: HistoryEntry = { seq: seq + 1, atMs: this.now, body: begun, data };
    this.touched.set(handle.state.head.id, handle);
    handle.entries.push(entry);
    handle.chars += data?.length ?? 0;
    applyEntry(handle.state, entry);
    return entry;
  }

  /** A pull lease's due time moved, or where a call waits is decided anew: no history, the row only. */
  moveLease(handle: RunHandle, key: string, dueAt: number): void {
    const pending = handle.state.pending.get(key);
    if (!pending) return;
    this.touched.set(handle.state.head.id, handle);
    handle.state.pending.set(key, { ...pending, dueAt });
  }

  /** The task as this run's next call sees it. */
  taskOf(handle: RunHandle): TaskRecord | null {
    const { version, locked, head } = handle.state;
    const current = this.tasks.get(head.task);
    const follows = current?.binding === 'current' || (current?.binding === 'lease' && !locked);
    return follows ? current : this.tasks.at(head.task, version);
  }

  /** Where workers look for the calls of a run; null: they are pushed. A task that is bound to its current version takes its runs along, however they began. */
  poolOf({ state: { head, pool } }: RunHandle): string | null {
    const task = this.tasks.get(head.task);
    if (task?.binding !== 'current' || head.ownPool !== undefined) return pool;
    return task.mode === 'pull' ? (task.pool ?? '') : null;
  }

  maxAttemptsOf(handle: RunHandle, key: string): number {
    const call = handle.state.pending.get(key)?.call;
    return call?.maxAttempts ?? handle.state.head.maxAttempts ?? this.taskOf(handle)?.maxAttempts ?? 1;
  }

  eventsOf(handle: RunHandle): EventRecord[] {
    handle.events ??= handle.state.head.eventIds.map((id) => this.events.get(id)).filter((event) => event !== null);
    return handle.events;
  }

  /** The first event of a run, without reading the others: the newest of a batch is stored at the end of its transition. */
  firstEventOf(handle: RunHandle): EventRecord | null {
    const id = handle.state.head.eventIds[0];
    return handle.events?.[0] ?? (id === undefined ? null : this.events.get(id));
  }

  /** A row of a bucket was due when it came there: a clock that was set back since does not take it out again. */
  waitsIn(bucket: string, item: BacklogItem): boolean {
    const handle = this.find(item.run);
    const pending = handle?.state.pending.get(item.key);
    const row = handle?.rows.get(item.key)?.row;
    // The call may have come back to the bucket since, at another place.
    return (
      handle?.state.status === 'running' &&
      pending?.kind === 'call' &&
      pending.lease === null &&
      row?.bucket === bucket &&
      row.due === item.due &&
      !this.leases.of(item.run, item.key)
    );
  }

  /** Writes what the transaction did to its runs. Called once, before the commit. */
  flush(): void {
    for (const [run, handle] of this.touched) this.rows.write(run, handle);
  }

  pushReady(item: ReadyItem): void {
    // Once something older had no room, what comes after it waits on disk too: nothing overtakes.
    if (!this.spilled && this.ready.size < READY_IN_MEMORY) this.ready.push(item);
    else this.spilled = true;
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

  /** After a commit: keeps what was touched in the cache and hands out what changed. */
  committed(): void {
    for (const [run, handle] of this.touched) this.#remember(run, handle);
    this.touched.clear();
    this.#undo = [];
    if (this.changed.size > 0) {
      const changed = [...this.changed.values()].map(({ head, seq, status }) => ({
        run: head.id,
        seq,
        status,
        labels: head.labels,
      }));
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
    for (const run of this.touched.keys()) this.forget(run);
    this.touched.clear();
    this.changed.clear();
    this.readyPools.clear();
    this.mailFor.clear();
    this.tasks.reload();
    this.backlogs.reload();
    this.limits.reload();
    this.waits.reload();
    this.ready.clear();
    // Everything that is due is found again on disk.
    this.watermark = -1;
    this.spilled = true;
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
    this.nextDue = Math.min(due ?? NEVER_MS, this.openings.nextAt());
  }

  listens(eventName: string): boolean {
    return this.tasks.listens(eventName) || this.waits.waitsFor(eventName);
  }

  #remember(run: string, handle: RunHandle): void {
    this.forget(run);
    if (handle.chars > LARGE_STATE_CHARS || handle.state.status !== 'running' || this.#rests(handle)) return;
    const isLarge = handle.chars > CACHED_STATE_CHARS;
    const cache = isLarge ? this.#large : this.#cache;
    cache.set(run, handle);
    if (cache.size > (isLarge ? LARGE_STATES : CACHED_RUNS)) cache.delete(cache.keys().next().value as string);
  }

  /** A run that only waits for time or others is read again when it goes on: thousands of sleepers take no memory. One that collects is asked for again soon. */
  #rests(handle: RunHandle): boolean {
    const { pending, head } = handle.state;
    if (head.window) return false;
    if (pending.size === 0 || pending.size > FEW) return false;
    for (const one of pending.values()) {
      if (one.lease !== null || one.dueAt <= this.now || this.leases.of(head.id, one.key)) return false;
    }
    return true;
  }

  forget(run: string): void {
    this.#cache.delete(run);
    this.#large.delete(run);
  }
}

function sizeOf(state: RunState): number {
  let chars = state.input?.length ?? 0;
  for (const step of state.steps) chars += step.data?.length ?? 0;
  return chars;
}
