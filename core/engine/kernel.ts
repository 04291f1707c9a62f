import { Backlogs, type BacklogItem, compareItems, limitBucket, limitOfBucket, poolBucket } from '../flow/backlogs.ts';
import { scopeText, type RuleChange } from '../flow/limit-rules.ts';
import { holderOf, LimitBook } from '../flow/limit-book.ts';
import { Openings } from '../flow/openings.ts';
import { ReadyQueue } from '../flow/ready-queue.ts';
import { applyEntry, openRun } from '../history/fold.ts';
import type { Pending, RunHead, RunState } from '../history/state.ts';
import type { CallSpec, RunStatus } from '../model/call.ts';
import type { EventRecord } from '../model/event.ts';
import type { HistoryBody, HistoryEntry } from '../model/history.ts';
import { IdFactory, isId } from '../model/ids.ts';
import { counterOf, subCounters, UNBOUNDED } from '../model/limit.ts';
import type { PauseScope } from '../model/command.ts';
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
import type { LimitSpec, TaskRecord } from '../model/task.ts';
import type { Clock, Effects, Random, Sql, Translator } from '../ports.ts';
import { PayloadStore } from '../store/payloads.ts';
import { IDLE_INDEX, type PendingRow, pendingRowOf, RunStore, statusIndex, taskIndex } from '../store/run-store.ts';
import { DeadLetterStore } from '../store/dead-letter-store.ts';
import { MetaStore } from '../store/meta-store.ts';
import { NameStore } from '../store/name-store.ts';
import { RecordStore } from '../store/record-store.ts';
import { migrate } from '../store/schema.ts';
import { EventStore } from '../store/event-store.ts';
import { TaskBook } from './task-book.ts';
import { LeaseBook, type PushLease } from './lease-book.ts';
import { taskMatch, WaitIndex } from './matching.ts';

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
interface Saved {
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
/** In a pending row's `held`: the unit of what the call holds by itself, beside what its run holds. */
const OWN_HELD = 1000;

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
  /** Places that runs have again since the start, and the backlogs in which their calls may stand all the same. */
  #placed: Array<{ run: string; bucket: string }> = [];
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
    this.#restoreHolds();
  }

  tick(): number {
    this.now = Math.max(this.now, this.#clock.now());
    return this.now;
  }

  // After a restart the runs that held a limit across a retry or a sleep hold it again, and the calls that workers have in hand.
  #restoreHolds(): void {
    const rows = this.sql.all<{ owner: string; key: string; lease: string | null; held: number }>(
      `SELECT owner, key, lease, held FROM pending WHERE held IS NOT NULL`,
    );
    for (const row of rows) {
      const handle = this.find(row.owner);
      if (!handle) continue;
      const ofRun = handle.state.head.limits.filter((limit) => limit.hold === 'run').slice(0, row.held % OWN_HELD);
      const own = inOrder(handle.state.pending.get(row.key)?.call?.limits ?? []);
      const ofCall = own.filter((limit) => limit.hold === 'run').slice(0, Math.floor(row.held / OWN_HELD));
      const inHand = row.lease === null ? [] : this.limitsOfCall(handle, row.key);
      for (const limit of [...ofRun, ...ofCall, ...inHand.filter(({ hold }) => hold === 'call')]) {
        const holder = holderOf(limit, handle.state.head, row.key);
        const member = limit.hold === 'run' ? row.owner : holder;
        if (this.limits.holds(counterOf(limit), holder, member)) continue;
        this.limits.take(limit, holder, member);
        if (limit.hold === 'run') this.#placed.push({ run: row.owner, bucket: limitBucket(counterOf(limit)) });
      }
    }
  }

  /** In the first transaction: calls that executors had in hand stay where they waited before; those whose run has its place again wait there no more. */
  recheckPlaced(): void {
    for (const { run, bucket } of this.#placed.splice(0)) {
      const handle = this.find(run);
      for (const [key, { row }] of handle?.rows ?? []) if (handle && row.bucket === bucket) this.recheck(handle, key);
    }
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

  /** What a call is subject to: first what its run holds as a whole, always in the same order, so that two runs never wait for each other. */
  limitsOfCall(handle: RunHandle, key: string): readonly LimitSpec[] {
    return limitsUnder(handle.state.head, handle.state.pending.get(key)?.call ?? null);
  }

  /**
   * The first limit that has no room for a call, or for which somebody older waits; null when there is room in all. Nobody overtakes, and a
   * run that holds its place is not asked again. A pause is asked like a limit without room.
   */
  blockedBy(handle: RunHandle, key: string): LimitSpec | null {
    const { head, startedAt } = handle.state;
    if (this.limits.rules.anyPause || this.backlogs.heldBack)
      for (const pause of this.limits.rules.pausesOver(head.task, this.poolOf(handle)))
        if (pause.inForce || this.#isOlderIn(counterOf(pause), handle, key)) return pause;
    for (const limit of this.limitsOfCall(handle, key)) {
      const counter = counterOf(limit);
      if (limit.hold === 'run' && this.limits.holds(counter, holderOf(limit, head, key))) continue;
      // A run that has begun does not stand in the line of those that have not.
      const begun = limit.rate?.takes === 'first-call' && startedAt !== null;
      if (begun && limit.max === UNBOUNDED) continue;
      if (this.limits.room(limit, this.now, !begun, counter) === 0) return limit;
      if (!begun && this.#isOlderIn(counter, handle, key)) return limit;
    }
    return null;
  }

  /** Whether somebody waits for a counter who is before this call. */
  #isOlderIn(counter: string, handle: RunHandle, key: string): boolean {
    const bucket = limitBucket(counter);
    const row = handle.rows.get(key)?.row;
    const first = this.backlogs.head(bucket, (item) => this.waitsIn(bucket, item));
    if (!first || !row) return false;
    const due = orderOf(row, handle.state.pending.get(key));
    return compareItems(first, { run: handle.state.head.id, key, due }) < 0;
  }

  /** Somebody waits for a limit: when time alone opens it, it is looked at then. `promised`: room that others are on their way to take. */
  awaitOpening(limit: LimitSpec, promised = 0): void {
    const counter = counterOf(limit);
    const { max, rate, paused } = this.limits.bound(limit, counter);
    if (!rate || paused || this.limits.held(counter) >= max) return;
    // There is room: whoever waits ahead is looked at already, or is on the way.
    if (this.limits.rates.room(counter, rate, this.now) > promised) return;
    const atMs = this.limits.rates.opensAt(counter, rate, this.now, promised);
    if (atMs < NEVER_MS) this.lookAgain(counter, Math.max(atMs, this.now + 1));
  }

  /**
   * How many of those who wait for a limit may be sent on without taking it: to their pool, as many as there is room for; to another limit without room (`elsewhere`),
   * as many as the rate lets through, for who waits for time alone must not be moved to and fro in masses.
   */
  roomToPass(handle: RunHandle, limit: LimitSpec, elsewhere: boolean): number {
    const counter = counterOf(limit);
    const begun = limit.rate?.takes === 'first-call' && handle.state.startedAt !== null;
    if (!elsewhere) return this.limits.room(limit, this.now, !begun, counter);
    const { rate } = this.limits.bound(limit, counter);
    return !rate || begun ? Infinity : this.limits.rates.room(counter, rate, this.now);
  }

  /** A backlog is looked at again at this time. */
  lookAgain(counter: string, atMs: number): void {
    this.openings.set(counter, atMs);
    this.nextDue = Math.min(this.nextDue, atMs);
  }

  /** A call goes: what its rates let through is counted. Before the run counts as begun. */
  takeRates(handle: RunHandle, key: string): void {
    for (const limit of this.limitsOfCall(handle, key)) {
      if (limit.rate?.takes === 'first-call' && handle.state.startedAt !== null) continue;
      const counter = counterOf(limit);
      const { rate } = this.limits.bound(limit, counter);
      if (rate) this.limits.rates.take(counter, rate, this.now);
    }
  }

  /** Takes what the run holds as a whole, as far as there is room: it keeps that while it waits for the rest. */
  holdRunLimits(handle: RunHandle, key: string, until: LimitSpec | null): void {
    const limits = this.limitsOfCall(handle, key);
    // Who is held back by a pause has asked for nothing yet.
    if (until && !limits.includes(until)) return;
    for (const limit of limits) {
      if (limit === until || limit.hold !== 'run') return;
      if (!this.#hold(handle, limit, key)) continue;
      // Its other calls wait for that no more. There are some if it lost its place, with nothing pending, over a restart.
      for (const [other, { row }] of handle.rows)
        if (other !== key && row.bucket === limitBucket(counterOf(limit))) this.recheck(handle, other);
    }
  }

  /** False: it has it already. */
  #hold(handle: RunHandle, limit: LimitSpec, key: string): boolean {
    const { head } = handle.state;
    const holder = holderOf(limit, head, key);
    const member = limit.hold === 'run' ? head.id : holder;
    if (this.limits.holds(counterOf(limit), holder, member)) return false;
    this.takeLimit(limit, holder, member);
    return true;
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
    for (const [run, handle] of this.touched) this.#flushRun(run, handle);
  }

  #flushRun(run: string, handle: RunHandle): void {
    const { state, rows } = handle;
    const { head } = state;
    const { index, log } = this.tasks.get(head.task) ?? this.tasks.at(head.task, head.version) ?? {};
    if (handle.isNew) {
      this.runs.insertRun(state, index?.includes('task') ? [taskIndex(head.task)] : []);
      if (log !== undefined) this.runs.putLogLine(log, head.createdAt, run, 0);
      handle.isNew = false;
    }
    for (const entry of handle.entries) {
      this.runs.insertEntry(run, entry);
      if (log !== undefined) this.runs.putLogLine(log, entry.atMs, run, entry.seq);
    }
    if (handle.entries.length > 0) this.changed.set(run, state);
    for (const { body } of handle.entries) if (body.kind === 'label') this.runs.putLabels(head, body.remove ?? []);
    // Events that a batch takes are written when it has them all: nobody is shown a run that collects them.
    if (handle.entries.some(({ body }) => body.kind === 'amend' && !('grown' in body)))
      this.runs.putHead(state, handle.labelsBefore ?? head.labels);
    handle.labelsBefore = null;
    const ended = state.status !== 'running';
    if (ended && handle.entries.some((entry) => entry.body.kind === 'end')) {
      this.runs.endRun(state);
      if (index?.includes('status')) this.runs.putLabel(statusIndex(state.status, head.task), run);
    } else if (!ended && state.pending.size === 0) this.runs.putLabel(IDLE_INDEX, run);
    handle.entries = [];
    const { changed } = state.pending;
    if (changed.size === 0) return;
    for (const key of changed) {
      const saved = rows.get(key);
      if (!saved || state.pending.has(key)) continue;
      const { row, pending } = saved;
      this.#letGo(handle, pending);
      this.runs.deletePending(run, key);
      rows.delete(key);
      if (row.bucket === '') continue;
      this.#left(handle, pending, row.bucket);
      // Who stood behind it in a limit's backlog may be one that can go.
      const limit = limitOfBucket(row.bucket);
      if (limit !== null) this.backlogs.opened(limit);
    }
    for (const key of changed) {
      const pending = state.pending.get(key);
      const saved = rows.get(key);
      if (!pending || saved?.pending === pending) continue;
      // Resolved, and followed by a call under the same key: whoever has the one before in hand has nothing any more.
      if (saved && saved.pending.seq !== pending.seq) this.#letGo(handle, saved.pending);
      const isParked = state.parked && pending.kind === 'call';
      const match = pending.wait ? this.#matchFor(handle, pending) : isParked ? taskMatch(state.head.task) : null;
      const isDueCall = pending.kind === 'call' && pending.lease === null && pending.dueAt <= this.now && !isParked;
      const pool = isDueCall ? this.poolOf(handle) : null;
      // A pull call that is due waits in its pool's bucket; a push call is looked at first (see pump).
      const bucket = pool === null ? '' : poolBucket(pool);
      const row = pendingRowOf(run, pending, bucket, match, this.#heldBy(handle, pending));
      if (bucket !== '') row.due -= pending.priorityMs;
      if (isParked) row.due = NEVER_MS;
      // A lease that is to end now or earlier still has to be found by the next look at the clock.
      if (pending.lease !== null) row.due = Math.max(row.due, this.now + 1);
      if (saved) this.runs.updatePending(saved.row, row);
      else this.runs.insertPending(row);
      if (saved && saved.row.bucket !== '' && saved.row.bucket !== bucket)
        this.#left(handle, saved.pending, saved.row.bucket);
      rows.set(key, { row, pending });
      if (bucket !== '') {
        this.backlogs.added(bucket, { run, key, due: row.due });
        this.readyPools.add(pool as string);
      } else if (row.due > this.now) {
        this.nextDue = Math.min(this.nextDue, row.due);
      } else {
        this.pushReady({ run, key });
      }
    }
    changed.clear();
    this.#keepPlace(handle);
  }

  /**
   * Some row of a run says that it holds its place, or a restart would give it to somebody else: those that were written before it had one
   * do not, and the call that took it has gone. One that is still in hand takes the place again by itself.
   */
  #keepPlace(handle: RunHandle): void {
    const { head, status } = handle.state;
    if (status !== 'running' || !head.limits.some((limit) => limit.hold === 'run')) return;
    let first: Saved | null = null;
    for (const saved of handle.rows.values()) {
      if ((saved.row.held ?? 0) % OWN_HELD > 0 || this.leases.of(head.id, saved.row.key)) return;
      first ??= saved;
    }
    const held = first && this.#heldBy(handle, first.pending);
    if (first && held) this.#rewrite(handle, first, { ...first.row, held });
  }

  /** Another row for a call or wait that stays as it is: the run counts as untouched, so memory is taken back here. */
  #rewrite(handle: RunHandle, saved: Saved, row: PendingRow): void {
    this.runs.updatePending(saved.row, row);
    handle.rows.set(row.key, { row, pending: saved.pending });
    this.onUndo(() => handle.rows.set(row.key, saved));
  }

  /** A call that was resolved while it was leased, by somebody else's report: its lease is over, and what it held is free. */
  #letGo(handle: RunHandle, pending: Pending): void {
    if (pending.kind !== 'call') return;
    const { head } = handle.state;
    const push = this.leases.of(head.id, pending.key);
    if (push) this.dropPush(push);
    for (const limit of limitsUnder(head, pending.call))
      if (limit.hold === 'call') this.releaseLimit(limit, holderOf(limit, head, pending.key));
  }

  #matchFor(handle: RunHandle, pending: Pending): string | null {
    let match = handle.matches.get(pending.key);
    if (match === undefined) {
      match = (pending.wait && this.waits.matchOf(pending.wait)) ?? '';
      handle.matches.set(pending.key, match);
    }
    return match || null;
  }

  /**
   * What a restart must know of the run-level limits that the run holds: how many of its own (they are taken in order) and how many of
   * those that the call names for itself. Null when it holds nothing.
   */
  #heldBy(handle: RunHandle, pending: Pending): number | null {
    const { head } = handle.state;
    const holds = (limit: LimitSpec): boolean =>
      limit.hold === 'run' && this.limits.holds(counterOf(limit), holderOf(limit, head, pending.key), head.id);
    const count = (limits: readonly LimitSpec[]): number => {
      let n = 0;
      for (const limit of limits) if (holds(limit)) n++;
      return n;
    };
    const held = count(head.limits) + OWN_HELD * count(pending.call?.limits ?? []);
    return held > 0 || pending.lease !== null ? held : null;
  }

  pushReady(item: ReadyItem): void {
    // Once something older had no room, what comes after it waits on disk too: nothing overtakes.
    if (!this.spilled && this.ready.size < READY_IN_MEMORY) this.ready.push(item);
    else this.spilled = true;
  }

  /** A ready call waits in this bucket from now on. */
  moveTo(handle: RunHandle, key: string, bucket: string): void {
    const saved = handle.rows.get(key);
    if (!saved || saved.row.bucket === bucket) return;
    const row: PendingRow = {
      ...saved.row,
      bucket,
      due: orderOf(saved.row, saved.pending),
      held: this.#heldBy(handle, saved.pending),
    };
    this.#rewrite(handle, saved, row);
    if (saved.row.bucket !== '') this.#left(handle, saved.pending, saved.row.bucket);
    this.backlogs.added(bucket, { run: row.owner, key, due: row.due });
  }

  /** A row left its bucket. The room that was promised to a call in a pool's bucket is there for others now, unless it was leased: then there is none. */
  #left(handle: RunHandle, pending: Pending, bucket: string): void {
    this.backlogs.removed(bucket);
    if (limitOfBucket(bucket) !== null) return;
    for (const limit of limitsUnder(handle.state.head, pending.call)) this.backlogs.opened(counterOf(limit));
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

  takeLimit(limit: LimitSpec, holder: string, member = holder): void {
    this.limits.take(limit, holder, member);
    this.onUndo(() => this.limits.release(counterOf(limit), holder, member));
  }

  /** `member`: the run that keeps the place no longer; it is free when no other does. */
  releaseLimit(limit: LimitSpec, holder: string, member = holder): void {
    const counter = counterOf(limit);
    if (!this.limits.holds(counter, holder, member)) return;
    const freed = this.limits.release(counter, holder, member);
    this.onUndo(() => this.limits.take(limit, holder, member));
    if (freed) this.backlogs.opened(counter);
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

  /** A call that stays as it is was given back: it is ready again. */
  recheck(handle: RunHandle, key: string): void {
    const saved = handle.rows.get(key);
    if (!saved) return;
    const run = handle.state.head.id;
    const { row } = saved;
    const limit = limitOfBucket(row.bucket);
    if (limit !== null && this.limits.holds(limit, handle.state.head.holder ?? run)) {
      // Its place is taken already: it does not wait behind those that have none.
      const after = { ...row, bucket: '', due: saved.pending.dueAt, held: this.#heldBy(handle, saved.pending) };
      this.#rewrite(handle, saved, after);
      this.backlogs.removed(row.bucket);
      this.pushReady({ run, key });
    } else if (row.bucket === '') this.pushReady({ run, key });
    else {
      this.backlogs.added(row.bucket, { run, key, due: row.due });
      if (limit !== null) this.backlogs.opened(limit);
    }
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

  holdCall(handle: RunHandle, key: string): void {
    for (const limit of this.limitsOfCall(handle, key)) this.#hold(handle, limit, key);
  }

  /** A run that goes on with the place of another keeps it from its start. */
  shareHolds(handle: RunHandle): void {
    const { head } = handle.state;
    if (head.holder === undefined) return;
    for (const limit of head.limits)
      if (limit.hold !== 'run' || !this.limits.holds(counterOf(limit), head.holder)) return;
      else this.#hold(handle, limit, '');
  }

  /** The call's lease is over. What a run holds as a whole it keeps. */
  releaseCall(handle: RunHandle, key: string): void {
    for (const limit of this.limitsOfCall(handle, key))
      if (limit.hold === 'call') this.releaseLimit(limit, holderOf(limit, handle.state.head, key));
  }

  /** Every limit that a run as a whole may hold, its own or named by one of its calls. */
  runLimitsOf(handle: RunHandle): LimitSpec[] {
    return [
      ...handle.state.head.limits,
      ...[...handle.state.pending.values()].flatMap((pending) => pending.call?.limits ?? []),
    ].filter((limit) => limit.hold === 'run');
  }

  /** A bound that a run brings: known while it is in use. */
  declareLimit(spec: LimitSpec): void {
    const counter = counterOf(spec);
    const before = this.limits.newest(counter);
    if (!this.limits.declare(spec)) return;
    this.onUndo(() => this.limits.undeclare(counter, before));
    this.backlogs.opened(counter);
  }

  /** What is set for a limit from outside. */
  setLimit(change: RuleChange, resetRate: boolean): void {
    this.limits.rules.set(change);
    if (resetRate) this.limits.rates.reset(change.key, counterOf(change), this.now);
    this.backlogs.openedAll(counterOf(change), subCounters(change.key));
  }

  /** Whether a run that starts now is to be skipped. */
  skipsStarts(id: string, task: TaskRecord | null, { pool }: { pool?: string }): boolean {
    const pulledFrom = task?.mode === 'pull' ? (pool ?? task.pool ?? '') : null;
    return this.limits.rules.anyPause && this.limits.rules.pausedStarts(id, pulledFrom) === 'skip';
  }

  setPause(scope: PauseScope, starts: 'wait' | 'skip' | null): void {
    const freed = this.limits.rules.setPause(scopeText(scope), starts);
    if (freed !== null) this.backlogs.opened(counterOf({ key: freed }));
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

/** Position in a backlog. In a bucket the row's due time is the position already. */
function orderOf(row: PendingRow, pending: Pending | undefined): number {
  return row.bucket === '' ? row.due - (pending?.priorityMs ?? 0) : row.due;
}

/** What a call names for itself takes the place of what other calls of its run are subject to, not of what the run holds as a whole. */
export function limitsUnder({ limits }: RunHead, call: CallSpec | null): readonly LimitSpec[] {
  return call?.limits ? inOrder([...limits.filter(({ hold }) => hold === 'run'), ...call.limits]) : limits;
}

/**
 * The order in which a call asks its limits. What a run holds as a whole first, by key, always the same, so that two runs never wait for each other. Then
 * what only some calls are subject to before what is shared: rates, sub-keys, the rest. So those who wait for a shared limit could go but for it.
 */
export function inOrder(limits: readonly LimitSpec[]): LimitSpec[] {
  if (limits.length < 2) return [...limits];
  // One that is named twice is asked once, as it was named last: a run that is started anew brings those of its template too.
  return [...new Map(limits.map((limit) => [counterOf(limit), limit])).values()].sort(
    (a, b) => rankOf(a) - rankOf(b) || compareText(counterOf(a), counterOf(b)),
  );
}

function rankOf(limit: LimitSpec): number {
  return limit.hold === 'run' ? 0 : limit.rate ? 1 : limit.sub === undefined ? 3 : 2;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
