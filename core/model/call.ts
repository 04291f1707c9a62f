import type { RetryPolicy } from '../schedule/backoff.ts';
import type { DocumentPatch } from './document.ts';
import type { EventInput, EventRecord } from './event.ts';
import type { JsonText, Payload } from './payload.ts';
import type { Admission, Guards, LimitSpec } from './task.ts';

/** Key of a run's main call: the one that discovers what comes next. */
export const MAIN = '';

export type RunStatus = 'running' | 'completed' | 'failed' | 'cancelled';

/**
 * What follows when a key of a run is resolved. `each`: the main call runs again. `last`: it runs again once no other
 * pending key of the run is waiting with `last`. `none`: nothing.
 */
export type Again = 'none' | 'each' | 'last';

/** A call or wait resolves into a step of this source; compat chooses the memo's shape from it. */
export type StepSource = 'call' | 'sleep' | 'event' | 'timeout' | 'run' | 'token';

export interface EndedRef {
  run: string;
  status: RunStatus;
  reason: string | null;
  meta?: JsonText;
}

export interface StepEntry {
  seq: number;
  atMs: number;
  key: string;
  source: StepSource;
  error: boolean;
  data: Payload | null;
  meta: JsonText | null;
  /** Source 'run': which run, how it ended, and the meta of the outcome that ended it. */
  from: EndedRef | null;
}

export interface CallSpec {
  key: string;
  /** Default: now. */
  dueAt?: number;
  data?: Payload;
  meta?: JsonText;
  again?: Again;
  maxAttempts?: number;
  retry?: RetryPolicy;
  /**
   * In the place of the limits that the run's other calls hold one by one; what the run holds as a whole counts for all. One that is named here with
   * `hold: 'run'` the run holds from this call's first lease until the call is resolved, its retries included.
   */
  limits?: LimitSpec[];
  /** Larger runs earlier within its lane, by so many ms; default 0. */
  priorityMs?: number;
}

export interface ParentRef {
  run: string;
  /** Absent: the parent does not wait. */
  key?: string;
  /** It is cancelled when its parent is; a worker that has begun gets so long to end by itself. */
  cancelGraceMs?: number;
}

export interface StartSpec {
  /** A bare id (ids.ts), made by the engine when absent. An id that exists answers `deduplicated`. */
  id?: string;
  /** A further name by which the run is found; unique among runs that are kept. */
  alias?: string;
  /** The alias keeps others away only while its run runs: a start after its end begins a new run, which is found by it from then on. */
  aliasUntil?: 'ended';
  task: string;
  input: Payload | null;
  /** Stored events that the run receives, besides or instead of input. */
  eventIds?: string[];
  /** Opaque, per run: what compat must remember (headers, options, trace context). */
  meta?: JsonText;
  dueAt?: number;
  /** First call; default the main call without data. */
  call?: CallSpec;
  limits?: LimitSpec[];
  /** Places that a run keeps in a limit as a whole are kept under this name: another run's id, to go on with that run's place. Free when the last run of the name has ended. */
  holder?: string;
  maxAttempts?: number;
  retry?: RetryPolicy;
  /** All calls of the run stand this much before their time where they wait for room; default as the task says. */
  priorityMs?: number;
  /** In place of the task's; keys as they are. */
  admit?: Admission[];
  guards?: Guards;
  /** The same key again before `untilMs` answers the first run with `deduplicated`, `unless` that run has one of these statuses: then the key is the new run's. */
  dedupe?: { key: string; untilMs: number; unless?: RunStatus[] };
  /** Who started it. With a key: when this run ends, the parent's wait of this key is resolved (source 'run'). */
  parent?: ParentRef;
  labels?: string[];
  /** The time for which a schedule made this run. */
  scheduledAt?: number;
  /** Ends unstarted as failed with code 'expired' if its first lease has not happened by then. While it is parked it does not expire. */
  expireAt?: number;
  /** The run's calls are made with this version of the task, current or not, whatever the task's binding. */
  version?: number;
  /** Pull: the workers that take its calls, where they are not those of the task's pool. */
  pool?: string;
  /** The task may not be registered yet: then the run waits until it is. Without this the start is refused as `unknown-task`. */
  ifUnknown?: { executor: string; mode: 'push' | 'pull'; pool?: string };
  /**
   * Waits, parked, for a version of the task that is registered under this name (TaskSpec.release), and is tied to that. Where none has come
   * `forMs` after the run is due, it ends unstarted as failed with code 'unreleased' and the name as its error.
   */
  awaits?: { release: string; forMs: number };
  /** Its app has begun it already: the first call is in this holder's hands until then, and goes the ordinary way when that lapses. Limits do not hold it up. */
  leased?: { holder: string; untilMs: number };
}

interface WaitBase {
  key: string;
  /** Absent: waits for ever. Reached: resolved with source 'timeout'. */
  untilMs?: number;
  meta?: JsonText;
  again?: Again;
  /** What to call when it is resolved, instead of the main call. */
  then?: CallSpec;
}

export type Op =
  /** Memoises a result under a key, once. Resolves whatever is pending under that key. */
  | { op: 'step'; key: string; data: Payload | null; error?: boolean; meta?: JsonText; again?: Again; then?: CallSpec }
  | { op: 'plan'; calls: CallSpec[] }
  | ({ op: 'sleep'; untilMs: number } & WaitBase)
  /** `expression` sees `event` (the run's first) and `async` (the arriving one). Resolves with the arriving event's body. */
  | ({ op: 'wait-event'; name: string; expression?: string } & WaitBase)
  /** Waits for another run; with `start`, starts it in the same transaction. Resolves with its output, or its error (`error: true`). */
  | ({ op: 'wait-run'; run?: string; start?: StartSpec } & WaitBase)
  /** `exclusive`: at most one waiter; 'fail' ends this run, 'replace' ends the other's wait as timed out. */
  | ({ op: 'wait-token'; token: string; exclusive?: 'fail' | 'replace' } & WaitBase)
  | { op: 'emit'; events: EventInput[] }
  | { op: 'start'; spec: StartSpec }
  | { op: 'again'; meta?: JsonText }
  | { op: 'complete'; output: Payload | null; meta?: JsonText }
  /**
   * The attempt failed. `policy`: the engine decides by attempts left; `at`: as policy, but not before that time (and not the backoff's).
   * Exhausted (or `never`): the run fails, or, with `memoKey`, the error becomes that step's memo and the main call goes on.
   */
  | {
      op: 'fail';
      error: Payload;
      retry: 'never' | 'policy' | { at: number };
      memoKey?: string;
      meta?: JsonText;
      /** Pull: a retry stays leased by the same holder until then. */
      keepLeaseUntilMs?: number;
      /** What the next attempt differs in: its `callMeta`, the workers that take the run. */
      next?: { meta?: JsonText; pool?: string };
    }
  | { op: 'cancel'; reason?: string }
  /** The holder of a lease executes the attempt. A report on the way says so too. */
  | { op: 'begin' }
  /** Adds and removes labels of the run. Without a lease (`anyLease`) also after its end. */
  | { op: 'label'; labels: string[]; remove?: string[] }
  /** Changes a document beside the run. Without a lease (`anyLease`) also after its end. */
  | ({ op: 'patch' } & DocumentPatch)
  /** An entry of the history that changes no state: log lines, metadata. */
  | { op: 'note'; name: string; data: Payload | null };

/** What came back from a call. Applying it twice changes nothing. */
export interface Outcome {
  ops: Op[];
  /** Facts of the exchange kept with the history entry: status, headers, timing. */
  meta?: JsonText;
  /** Nothing follows from it that anybody waits for: it may be written a moment later, together with what comes then. */
  patient?: true;
}

/** A call on its way to an executor: everything needed to make the request, without asking again. */
export interface LeasedCall {
  /** Fencing token of this lease. */
  lease: string;
  run: string;
  alias: string | null;
  runCreatedAt: number;
  /** When the run's first call was due: later than its start where it was delayed. */
  runDueAt: number;
  key: string;
  /** From 0. */
  attempt: number;
  maxAttempts: number;
  dueAt: number;
  leasedAt: number;
  task: { id: string; version: number; executor: string; data: JsonText };
  input: Payload | null;
  meta: JsonText | null;
  scheduledAt: number | null;
  callData: Payload | null;
  callMeta: JsonText | null;
  /** History position at which the call was planned: steps above it are not part of its view, where a vendor wants that. */
  callSeq: number;
  /** Newest position of the run. */
  seq: number;
  events: EventRecord[];
  /** In order of completion. */
  steps: StepEntry[];
  /** Other keys of this run that are not resolved yet. */
  pending: string[];
  /** Labels and priority etc. as at start. */
  labels: string[];
  /** As in EndedRun, where it is not the run's own id. */
  holder?: string;
}

/** A call that is due, and its task is not registered any more. */
export interface OrphanedCall {
  run: string;
  key: string;
  attempt: number;
  /** As it was when the run started. */
  task: { id: string; version: number; executor: string; data: JsonText };
  meta: JsonText | null;
}

/** A pull call whose lease ran out, for its vendor to decide about. */
export interface LapsedCall {
  run: string;
  key: string;
  /** From 0. */
  attempt: number;
  /** The holder had said that it executes the attempt. */
  begun: boolean;
  /** Leases of this attempt that ran out, this one included. */
  lapses: number;
  task: { id: string; version: number; executor: string; data: JsonText };
  meta: JsonText | null;
  callMeta: JsonText | null;
  nowMs: number;
}

export interface EndedRun {
  run: string;
  alias: string | null;
  task: { id: string; executor: string; data: JsonText };
  status: Exclude<RunStatus, 'running'>;
  output: Payload | null;
  error: Payload | null;
  /** Why it ended other than by its own outcome: 'expired', 'cancelled', 'timeout', ... */
  reason: string | null;
  input: Payload | null;
  meta: JsonText | null;
  events: EventRecord[];
  createdAt: number;
  /** When its first call was due. */
  startDueAt: number;
  endedAt: number;
  /** Attempt (from 0) of the call that ended it, and that outcome's meta. */
  attempt: number;
  outcomeMeta: JsonText | null;
  parent: ParentRef | null;
  scheduledAt: number | null;
  labels: string[];
  /** The name under which it kept its places: a run that follows and names it goes on with them. */
  holder: string;
  /** In order of completion. */
  steps: readonly StepEntry[];
  /** Id of the dead letter that is written if the effects ask for one. */
  deadLetterId: string;
  /** True when some task or wait listens to this event name. */
  listens(eventName: string): boolean;
}

export interface EndEffects {
  events?: EventInput[];
  starts?: StartSpec[];
  deadLetter?: { data: JsonText };
}
