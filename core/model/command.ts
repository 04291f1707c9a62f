import type { Outcome, RunStatus, StartSpec } from './call.ts';
import type { EventInput } from './event.ts';
import type { Rate } from './limit.ts';
import type { JsonText, Payload } from './payload.ts';
import type { SweepSpec } from './sweep.ts';
import type { LimitSpec, ScheduleSpec, TaskSpec } from './task.ts';

export type PauseScope = { task: string } | { pool: string } | { all: true };

/** Everything that changes a cell's state from outside. Several are applied in one transaction. */
export type Command =
  | { type: 'ingest'; events: EventInput[] }
  | { type: 'start'; spec: StartSpec }
  /**
   * A report of a call. `final` ends the lease. Without a live lease (`lease` absent or stale) finished steps of a running run are
   * kept once by key and nothing else happens, unless `anyLease`: then all ops apply to a running run (messages that continue a run by themselves).
   */
  | {
      type: 'report';
      run: string;
      lease?: string;
      /** Pull: the lease counts at this attempt (from 0) only; a kept lease outlives one. */ attempt?: number;
      outcome: Outcome;
      final: boolean;
      anyLease?: boolean;
    }
  /** Pull: the holder lives; a time that is not ahead gives the call back. Answers `stale` when the lease is not its own any more. */
  | { type: 'extend'; run: string; lease: string; untilMs: number }
  | {
      type: 'cancel';
      run: string;
      reason?: string;
      /** Pull: time for the worker to end by itself. */ graceMs?: number;
    }
  /** Changes a run that has not begun. `delayed`: only while its time is still to come. */
  | { type: 'amend'; run: string; change: Amendment; when?: 'delayed' }
  /**
   * Resolves waits for a token. `keep`: when nobody waits, 'latch' resolves every later wait, 'queue' resolves one later wait for each completion.
   */
  | {
      type: 'complete-token';
      token: string;
      data: Payload | null;
      error?: boolean;
      meta?: JsonText;
      keep?: 'latch' | 'queue';
      keepUntilMs?: number;
    }
  /** Registers a group's tasks; `replace` removes the group's other tasks. Their cron triggers become schedules. */
  | { type: 'register'; group: string; tasks: TaskSpec[]; replace: boolean }
  | { type: 'unregister'; group: string }
  /** Makes earlier versions of a group's tasks current again; the group's other tasks go. Refused when one of them is unknown. */
  | { type: 'promote'; group: string; versions: Record<string, number> }
  /** An idempotency key (`dedupe.key`) does not count any more. */
  | { type: 'release-key'; key: string }
  | { type: 'put-schedule'; schedule: ScheduleSpec }
  | { type: 'pause-schedule'; id: string; paused: boolean }
  | { type: 'delete-schedule'; id: string }
  /** Sets a limit's bounds instead of those that runs bring (`null`: theirs again), or pauses it: whoever waits for it waits on. What is left out stays. */
  | {
      type: 'set-limit';
      key: string;
      max?: number | null;
      rate?: Rate | null;
      paused?: boolean;
      /** Forgets what its rate has let through so far. */ resetRate?: boolean;
    }
  /** Sets the bound of one value of a limit's sub-key instead of all that counts for the limit, until then; `null`: what counts for the others again. */
  | { type: 'set-sub-limit'; key: string; sub: string; max: number | null; untilMs?: number }
  /** Holds back all calls of a task, a pool or the cell. `skip`: runs that start meanwhile end at once as cancelled, reason 'skipped'; else they wait too. */
  | { type: 'pause'; scope: PauseScope; starts?: 'wait' | 'skip' }
  | { type: 'unpause'; scope: PauseScope }
  | {
      type: 'put-record';
      collection: string;
      id: string;
      data: JsonText;
      expiresAt?: number;
      /** Instead of `expiresAt`: from now. */ keepMs?: number;
      ifAbsent?: boolean;
    }
  | { type: 'delete-record'; collection: string; id: string }
  /**
   * Starts a run anew, from its start, or from its own prefix: with the steps it had at a position of its history, or before a step was finished
   * (`key`; it and all that came after it are done again). What was pending then is pending again. `reopen`: further steps that are not taken over.
   */
  | {
      type: 'rerun';
      run: string;
      from: 'start' | { seq: number } | { key: string };
      reopen?: string[];
      overrides?: Partial<StartSpec>;
    }
  /** Does one thing to every run of a filter, a batch at a time (model/sweep.ts). An id that is known changes nothing. */
  | { type: 'sweep'; sweep: SweepSpec }
  /** Ends a sweep where it stands; `forget` removes its record too. */
  | { type: 'stop-sweep'; id: string; forget?: boolean }
  /** Starts the dead letter's run anew (a new run with the same task, input, meta) and removes the letter. */
  | { type: 'retry-dead-letter'; id: string; overrides?: Partial<StartSpec> }
  | { type: 'delete-dead-letter'; id: string }
  /** Commands for another cell, kept with this transaction and applied there once, in order. For this cell itself: at once. */
  | { type: 'post'; cell: string; commands: Command[] };

/** What a run that has not begun may be changed in; what is absent stays. */
export interface Amendment {
  dueAt?: number;
  input?: Payload | null;
  /** Stored events, in place of those it has; or besides them. */
  events?: string[];
  addEvents?: string[];
  meta?: JsonText | null;
  scheduledAt?: number | null;
  /** In place of all. */
  labels?: string[];
  priorityMs?: number;
  maxAttempts?: number;
  expireAt?: number | null;
  limits?: LimitSpec[];
}

export interface StartResult {
  /** The run that was started, is known, was joined, or is kept as skipped (it has ended: `cancelled`, reason `skipped`). Empty when `dropped`: there is none. */
  run: string;
  outcome: 'started' | 'known' | 'joined' | 'dropped' | 'skipped';
  /** The outcome is `known`: an id, alias or idempotency key named a run that is there. */
  deduplicated: boolean;
  createdAt: number;
  /** With `leased`: the fencing token of its first call. */
  lease?: string;
}

export type CommandResult =
  | { type: 'ingest'; ids: string[]; runs: Array<{ event: string; task: string; run: string }> }
  | ({ type: 'start' } & StartResult)
  /** `live`: the report counted as this lease's. `stale`: only finished steps were kept. `ended`, `unknown`: nothing happened. */
  | {
      type: 'report';
      result: 'live' | 'stale' | 'ended' | 'unknown';
      seq: number;
      status: RunStatus | null;
      started: StartResult[];
    }
  | { type: 'extend'; result: 'live' | 'stale'; status: RunStatus | null }
  | { type: 'cancel'; result: 'cancelled' | 'cancelling' | 'ended' | 'unknown' }
  /** `due`: it was to be changed only while delayed. Whatever is not `amended` is as it was. */
  | { type: 'amend'; result: 'amended' | 'due' | 'begun' | 'ended' | 'unknown' }
  | { type: 'complete-token'; waiters: Array<{ run: string; key: string }>; kept: boolean }
  | { type: 'register'; modified: boolean; versions: Record<string, number>; removed: string[] }
  | { type: 'unregister'; removed: string[] }
  | { type: 'promote'; removed: string[] }
  /** The run that the key named. */
  | { type: 'release-key'; run: string | null }
  | { type: 'put-schedule'; id: string; nextAt: number | null }
  | { type: 'pause-schedule'; found: boolean }
  | { type: 'delete-schedule'; found: boolean }
  | { type: 'set-limit' }
  | { type: 'set-sub-limit' }
  | { type: 'pause' }
  | { type: 'unpause' }
  | { type: 'put-record'; written: boolean; data: JsonText }
  | { type: 'delete-record'; found: boolean }
  | ({ type: 'rerun' } & StartResult)
  | { type: 'sweep'; id: string; known: boolean }
  | { type: 'stop-sweep'; result: 'stopped' | 'done' | 'unknown' }
  | ({ type: 'retry-dead-letter' } & StartResult)
  | { type: 'delete-dead-letter'; found: boolean }
  | { type: 'post' };

export type ResultOf<T extends Command['type']> = Extract<CommandResult, { type: T }>;
