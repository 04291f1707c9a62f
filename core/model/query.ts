import type { ParentRef, RunStatus, StepEntry } from './call.ts';
import type { EventRecord } from './event.ts';
import type { HistoryEntry } from './history.ts';
import type { JsonText, Payload } from './payload.ts';
import type { SweepRecord } from './sweep.ts';
import type { LimitSpec, ScheduleRecord, TaskRecord } from './task.ts';

export interface RunRecord {
  id: string;
  alias: string | null;
  task: string;
  taskVersion: number;
  /** That version is settled; else it is the one that was current when the run started. */
  versionLocked: boolean;
  /** It waits for its task to be registered. */
  parked: boolean;
  status: RunStatus;
  reason: string | null;
  createdAt: number;
  /** First lease. Known after the first report or, for pull, the first lease. */
  startedAt: number | null;
  endedAt: number | null;
  seq: number;
  input: Payload | null;
  output: Payload | null;
  error: Payload | null;
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

export interface LimitRecord extends LimitSpec {
  paused: boolean;
  pinned: boolean;
  /** In progress now. */
  held: number;
  /** Ready calls that wait for it. */
  waiting: number;
}

export interface StoredRecord {
  id: string;
  data: JsonText;
  updatedAt: number;
  expiresAt: number | null;
}

interface PageRequest {
  /** Exclusive: the last id of the page before. */
  cursor?: string;
  limit?: number;
  /** Default 'desc': newest first. */
  order?: 'asc' | 'desc';
}

export interface Page<T> {
  items: T[];
  /** Absent on the last page. */
  cursor?: string;
}

interface Queries {
  /** By id or alias. */
  run: { request: { run: string }; result: RunRecord | null };
  'run-detail': { request: { run: string }; result: RunDetail | null };
  /** A document of a run (operation `patch`), and the run's position when it changed last. */
  document: { request: { run: string; document: string }; result: { data: JsonText; seq: number } | null };
  history: { request: { run: string; afterSeq?: number; limit?: number }; result: HistoryEntry[] };
  runs: {
    request: PageRequest & {
      task?: string;
      taskPrefix?: string;
      status?: RunStatus;
      label?: string;
      fromMs?: number;
      toMs?: number;
      parent?: string;
    };
    result: Page<RunRecord>;
  };
  event: { request: { id: string }; result: EventRecord | null };
  events: { request: PageRequest & { name?: string; fromMs?: number; toMs?: number }; result: Page<EventRecord> };
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
  limits: { request: { prefix?: string }; result: LimitRecord[] };
  waiters: { request: { token: string }; result: PendingRecord[] };
  stats: { request: Record<never, never>; result: EngineStats };
  /** The engine's clock, which a test may have moved. */
  clock: { request: Record<never, never>; result: { nowMs: number } };
}

export interface EngineStats {
  nowMs: number;
  runs: number;
  pending: number;
  inFlight: number;
  ready: number;
  nextDueAt: number | null;
  rowsWritten: number;
}

export type QueryType = keyof Queries;
export type Query = { [T in QueryType]: { type: T } & Queries[T]['request'] }[QueryType];
export type QueryResult<Q extends Query> = Queries[Q['type']]['result'];
