import type { LeasedCall, ParentRef, RunStatus, StepEntry } from './call.ts';
import type { EventRecord } from './event.ts';
import type { HistoryEntry } from './history.ts';
import type { Rate } from './limit.ts';
import type { JsonText, Payload } from './payload.ts';
import type { SweepRecord } from './sweep.ts';
import type { ScheduleRecord, TaskRecord } from './task.ts';

/** What is known of a run without its payloads. */
export interface RunFacts {
  id: string;
  alias: string | null;
  task: string;
  taskVersion: number;
  /** That version is settled; else it is the one that was current when the run started. */
  versionLocked: boolean;
  /** Configuration of the task in that version. */
  taskData: JsonText | null;
  /** It waits for its task to be registered. */
  parked: boolean;
  status: RunStatus;
  reason: string | null;
  createdAt: number;
  /** First lease. Known after the first report or, for pull, the first lease. */
  startedAt: number | null;
  endedAt: number | null;
  seq: number;
  /** When its first call is due, or was: in the future while the run is delayed. */
  startDueAt: number;
  /** It still collects what it will work on (admission by debounce or batch). */
  open: boolean;
  /** Meta of the outcome that ended it. */
  outcomeMeta: JsonText | null;
  /** A cancellation waits for the worker that holds it. */
  cancelling: boolean;
  meta: JsonText | null;
  eventIds: string[];
  labels: string[];
  parent: ParentRef | null;
  scheduledAt: number | null;
  /** It was started anew from this run, with what that had at `seq`; 0: from the start. */
  from: { run: string; seq: number } | null;
}

export interface RunRecord extends RunFacts {
  input: Payload | null;
  output: Payload | null;
  error: Payload | null;
}

/** A run in a list: its payloads are told by their size only, so a page of them is always small. */
export interface RunSummary extends RunFacts {
  inputBytes: number;
  /** Of the output, or of the error. */
  outputBytes: number;
  /** When the earliest of what is pending is due; a time that has passed means ready, waiting for room, or in hand. Null: nothing is pending. */
  dueAt: number | null;
  /** Highest attempt (from 0) of its pending calls. */
  attempt: number;
  /** An executor or a worker has one of its calls in hand. */
  leased: boolean;
}

/**
 * Which runs. Fields: all of them. What is indexed: `ids`, `parent`, labels, `status: 'running'`, and what a task says in TaskSpec.index; the rest is
 * looked at run by run, a bounded number for each page.
 */
export interface RunFilter {
  /** Any of them, MAX_PAGE at most. */
  ids?: string[];
  task?: string;
  /** Any of them. */
  tasks?: string[];
  taskPrefix?: string;
  status?: RunStatus | RunStatus[];
  label?: string;
  /** All of them. The first is the one that is walked: put the rarest first. */
  labels?: string[];
  /** At least one of them. */
  anyLabels?: string[];
  parent?: string;
  /** Of creation, both inclusive. */
  fromMs?: number;
  toMs?: number;
}

/** One line of a log over many runs (TaskSpec.log): a run's start, or an entry of its history. */
export interface LogItem {
  atMs: number;
  run: string;
  /** 0: the start. */
  seq: number;
  entry: HistoryEntry | null;
  /** A page may begin behind this line or, with `inclusive`, at it. */
  cursor: string;
}

/** A call that an executor has in hand now. */
export interface ActiveCall {
  run: string;
  key: string;
  attempt: number;
  sinceMs: number;
}

/** A call or wait of a run that is not resolved. */
export interface PendingRecord {
  run: string;
  key: string;
  kind: 'call' | 'sleep' | 'event' | 'run' | 'token';
  dueAt: number;
  attempt: number;
  leased: boolean;
  /** Whoever has it in hand executes the attempt. */
  begun: boolean;
  /** Leases of this attempt that ran out. */
  lapses: number;
  lease: string | null;
  lane: string;
  data: Payload | null;
  meta: JsonText | null;
  /** Token, run id or event name that is awaited. */
  target: string | null;
}

/** What a list of many runs needs. */
export interface RunState {
  id: string;
  status: RunStatus;
  reason: string | null;
  endedAt: number | null;
}

export interface RunDetail extends RunRecord {
  steps: StepEntry[];
  pending: PendingRecord[];
}

export interface DeadLetterRecord {
  id: string;
  run: string;
  at: number;
  data: JsonText;
}

/** One limit as it is now, all its sub-keys together. */
export interface LimitRecord {
  key: string;
  /** What counts: what was set, else what the newest run in it brought; null: nobody uses it. */
  max: number | null;
  rate: Rate | null;
  paused: boolean;
  /** What was set from outside, instead of what runs bring. */
  set: { max?: number; rate?: Rate };
  /** In progress now. */
  held: number;
  /** Ready calls that wait for it. */
  waiting: number;
  /** Where asked for: calls that are due, not under way and subject to it, whatever they wait for, a worker among it; the first 10,000 of all are looked at. */
  ready?: number;
  /** What its rate counts, and since when; of a limit without sub-keys. */
  used: number;
  usedSinceMs: number | null;
  /** Where asked for: the sub-keys that are in use. */
  subs?: Array<{ sub: string; held: number; waiting: number }>;
}

export interface StoredRecord {
  id: string;
  data: JsonText;
  updatedAt: number;
  expiresAt: number | null;
}

interface PageRequest {
  /** Exclusive: the cursor of the page before. */
  cursor?: string;
  limit?: number;
  /** Default 'desc': newest first. */
  order?: 'asc' | 'desc';
}

/** A page may be short, even empty, and go on: it is also bounded by bytes and by how many rows are looked at. */
export interface Page<T> {
  items: T[];
  /** Absent on the last page. */
  cursor?: string;
}

export interface EventsFilter {
  name?: string;
  /** One of these. */
  names?: string[];
  /** Received from, and up to, both included. */
  fromMs?: number;
  toMs?: number;
}

interface Queries {
  /** By id or alias. */
  run: { request: { run: string }; result: RunRecord | null };
  'run-detail': { request: { run: string }; result: RunDetail | null };
  /** A call as its holder received it, for a holder that has lost it; null when the lease is not live. */
  'leased-call': { request: { run: string; lease: string }; result: LeasedCall | null };
  /** A document of a run (operation `patch`), and the run's position when it changed last. */
  document: { request: { run: string; document: string }; result: { data: JsonText; seq: number } | null };
  /** The same document of several runs, of MAX_PAGE at most, in their order; null where a run has none. */
  documents: { request: { runs: string[]; document: string }; result: Array<JsonText | null> };
  /** In order; fewer than asked for also where their payloads come to `maxBytes` (default PAGE_BYTES): ask again after the last. At least one, if there is one. */
  history: { request: { run: string; afterSeq?: number; limit?: number; maxBytes?: number }; result: HistoryEntry[] };
  /** Whole records, payloads included, up to `maxBytes` (default PAGE_BYTES) a page; for lists take `run-list` or `run-facts`. */
  runs: { request: PageRequest & RunFilter & { maxBytes?: number }; result: Page<RunRecord> };
  'run-list': { request: PageRequest & RunFilter; result: Page<RunSummary> };
  /** Without anything of payloads and of what is pending: not even its size is read. */
  'run-facts': { request: PageRequest & RunFilter; result: Page<RunFacts> };
  /** How many there are, counted up to `max` (default and highest MAX_PAGE). `more`: there may be others. */
  'run-count': { request: RunFilter & { max?: number }; result: { count: number; more: boolean } };
  /**
   * A log over many runs, by time. `runs` are those of the items and of `active`, by id; with `inputs` their inputs come along. `active`: calls in hand now,
   * on the first page only.
   */
  log: {
    request: PageRequest & {
      log: string;
      labels?: string[];
      fromMs?: number;
      toMs?: number;
      inputs?: boolean;
      /** The page begins with the cursor's own line. */
      inclusive?: boolean;
      maxBytes?: number;
    };
    result: Page<LogItem> & {
      runs: Record<string, RunSummary & { input: Payload | null }>;
      active: ActiveCall[];
    };
  };
  /** How many there are, counted up to MAX_PAGE, of those that one look reaches; `cursor`: where the next goes on. */
  'event-count': {
    request: EventsFilter & { cursor?: string };
    result: { count: number; more: boolean; cursor?: string };
  };
  /** Runs of a label, oldest first, with nothing but their state; pages of up to MAX_STATES. */
  'label-runs': { request: { label: string; cursor?: string; limit?: number }; result: Page<RunState> };
  'label-count': { request: { label: string }; result: number };
  event: { request: { id: string }; result: EventRecord | null };
  /** Those of these ids that are kept, in no order: a page's worth at once. `left` are ids that were not looked at, for their size. */
  'events-of': { request: { ids: string[] }; result: { items: EventRecord[]; left: string[] } };
  events: { request: PageRequest & EventsFilter; result: Page<EventRecord> };
  'event-runs': { request: { event: string }; result: RunRecord[] };
  tasks: { request: { group?: string }; result: TaskRecord[] };
  task: { request: { id: string }; result: TaskRecord | null };
  schedules: { request: { prefix?: string }; result: ScheduleRecord[] };
  schedule: { request: { id: string }; result: ScheduleRecord | null };
  records: { request: PageRequest & { collection: string }; result: Page<StoredRecord> };
  record: { request: { collection: string; id: string }; result: StoredRecord | null };
  sweep: { request: { id: string }; result: SweepRecord | null };
  /** By id: ids that sort by time list by time. */
  sweeps: { request: PageRequest & { prefix?: string }; result: Page<SweepRecord> };
  'dead-letters': { request: PageRequest; result: Page<DeadLetterRecord & { record: RunRecord | null }> };
  'dead-letter': { request: { id: string }; result: (DeadLetterRecord & { record: RunRecord | null }) | null };
  /** Limits that are set or in use, by key. */
  limits: { request: { prefix?: string; ready?: boolean }; result: LimitRecord[] };
  /** One limit, also one that nobody uses; `rate` as a caller knows it, to read an idle one by. */
  limit: { request: { key: string; subs?: boolean; ready?: boolean; rate?: Rate }; result: LimitRecord };
  /** One value of a limit's sub-key: the bound that was set for it alone, and what is in progress. */
  'sub-limit': { request: { key: string; sub: string }; result: { max: number | null; held: number } };
  pauses: { request: Record<never, never>; result: Array<{ scope: string; starts: 'wait' | 'skip' }> };
  waiters: { request: { token: string }; result: PendingRecord[] };
  stats: { request: Record<never, never>; result: EngineStats };
  /** The engine's clock, which a test may have moved. */
  clock: { request: Record<never, never>; result: { nowMs: number } };
}

export interface EngineStats {
  nowMs: number;
  inFlight: number;
  /** At most so many calls are in the hands of push executors at once. */
  maxInFlight: number;
  ready: number;
  nextDueAt: number | null;
  rowsWritten: number;
}

export type QueryType = keyof Queries;
export type Query = { [T in QueryType]: { type: T } & Queries[T]['request'] }[QueryType];
export type QueryResult<Q extends Query> = Queries[Q['type']]['result'];
