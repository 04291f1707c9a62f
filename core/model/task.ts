import type { RetryPolicy } from '../schedule/backoff.ts';
import type { StartSpec } from './call.ts';
import type { Rate, RateBound } from './limit.ts';
import type { JsonText } from './payload.ts';

export type Trigger =
  /** Name or wildcard pattern (events/patterns.ts); the expression sees `event`. */
  | { kind: 'event'; pattern: string; expression?: string }
  | {
      kind: 'cron';
      cron: string;
      timezone?: string;
      jitterMs?: number;
    };

/**
 * A bound on how many calls (or runs) with the same key are in progress and, with `rate`, on how many begin in a time. All that it bounds waits in one line.
 * `hold: 'call'`: counted while a call is leased. `hold: 'run'`: from a run's first lease to its end, retries and sleeps included; with max 1 this is strict FIFO.
 */
export interface LimitSpec {
  /** What is set, paused and listed from outside. */
  key: string;
  /** Each value of the sub-key is counted by itself. */
  sub?: string;
  /** UNBOUNDED (limit.ts): its rate alone bounds. */
  max: number;
  /** Each run goes by the bound that it brings, where others share the counter with another one; else the newest counts for all. */
  own?: true;
  hold: 'call' | 'run';
  rate?: Rate;
}

/** A limit whose key may depend on the event that starts the run. */
export interface LimitTemplate extends Omit<LimitSpec, 'sub'> {
  /** Its value, as text, is the sub-key. */
  expression?: string;
}

/**
 * What stands between a start and a run, asked in this order. `key` with the value of `expression` as text names what is counted; a start
 * names it by `key` alone. None of them costs anything to a task without it.
 */
export type Admission =
  /** Beyond the rate a start is dropped. A key that is false is not bounded. */
  | { kind: 'rate'; key: string; expression?: string; bound: RateBound }
  /** Once a key while `ttlMs` last: what comes after it is dropped. */
  | { kind: 'once'; key: string; expression?: string; ttlMs: number }
  /** One run a key from its start to its end. Another is kept as `skipped`, or ends the one that is there. A key that is false bounds nothing. */
  | { kind: 'single'; key: string; expression?: string; taken: 'skip' | 'replace' }
  /**
   * The run waits until nothing has come for `delayMs`. `keep`: whether it works on what came first or last. At `maxDelayMs` after the
   * first it waits no longer: `hold` goes on with this run, `renew` leaves its time as it is and begins another.
   */
  | {
      kind: 'debounce';
      key: string;
      expression?: string;
      delayMs: number;
      maxDelayMs?: number;
      /** When the first is due that nothing else comes after, if not in `delayMs`; what comes later never makes it sooner. */
      firstDueAt?: number;
      atMax: 'hold' | 'renew';
      keep: 'first' | 'last';
      /** With 'last', a JSON object whose members take the place of those of the run's meta; without it the whole meta is the last one's. */
      patch?: JsonText;
      /** With 'last', how the labels begin that the last one's take the place of, where it brings any; the others stay. Default: all. */
      labelPrefix?: string;
    }
  /** The run takes the events that come until it has `size` of them, `maxBytes` characters, or `waitMs` have gone by since the first. An event for which `onlyIf` is false stands alone; so does what has no event. */
  | {
      kind: 'batch';
      key: string;
      expression?: string;
      size: number;
      waitMs: number;
      maxBytes: number;
      onlyIf?: string;
    };

/** What ends a run from outside its own steps. All of them cancel it. */
export interface Guards {
  /** The expression sees `event` (the run's first, bound when the run stands) and `async` (the arriving one). */
  cancelOn?: Array<{ name: string; expression?: string; withinMs?: number; untilMs?: number }>;
  /** From the time when the run stands to its first lease, and from there to its end. */
  startWithinMs?: number;
  finishWithinMs?: number;
}

export interface TaskSpec {
  id: string;
  /** Tasks that are registered and removed together (an app, a project). */
  group: string;
  name: string;
  executor: string;
  mode: 'push' | 'pull';
  /** Pull only: workers lease by pool. */
  pool?: string;
  triggers: Trigger[];
  /** Attempts of one call, the first included. */
  maxAttempts: number;
  retry: RetryPolicy;
  limits: LimitTemplate[];
  admit?: Admission[];
  guards?: Guards;
  /** A number of `unitMs` by which a run's calls stand before their time; at most `maxMs` either way, 0 where it is no number. */
  priority?: { expression: string; unitMs: number; maxMs: number };
  /**
   * Which version a run's calls are made with: the one it started with (default), the one that is current at each call, or (pull) the one
   * that is current at its first lease. With the last two a run whose task was removed is its translator's to decide about (`orphaned`);
   * with 'lease' it waits for the task otherwise.
   */
  binding?: 'start' | 'current' | 'lease';
  /**
   * With binding 'lease': the pool of the workers that have this version. Only they take free runs while it is current (they ask for `pool`
   * too), and a run that they have taken is theirs from then on.
   */
  versionPool?: string;
  /** The name of what this version is part of: runs that wait for that name (StartSpec.awaits) go on with this version. */
  release?: string;
  /** Push: a lease that is not answered in this time is given up and the same attempt made again. Default PUSH_LEASE_MS. */
  leaseMs?: number;
  /**
   * What its runs are found by without looking at others: 'task' (all of them), 'status' (those that ended in one way). Each costs one row a run;
   * labels, parents and unended runs are always indexed. Runs from before are added when a task is registered with it (or with `log`) for the first time.
   */
  index?: Array<'task' | 'status'>;
  /** Its runs' starts and entries are listed by time under this name (query `log`). One row for each. */
  log?: string;
  /** How long its ended runs, and their dead letters, are kept. Default: the cell's. */
  retention?: { runMs?: number; deadLetterMs?: number };
  /** Opaque configuration of the executor. */
  data: JsonText;
}

/** A task as registered; a run is bound to the version that it started with. */
export interface TaskRecord extends TaskSpec {
  version: number;
  createdAt: number;
  updatedAt: number;
}

export interface ScheduleSpec {
  id: string;
  /** 5 fields, optional zone prefix; absent for a one-off. */
  cron?: string;
  timezone?: string;
  /** One-off: fires once at this time. */
  atMs?: number;
  jitterMs?: number;
  paused?: boolean;
  /** 'skip': does not fire while a run it started is unfinished. */
  overlap?: 'allow' | 'skip';
  /**
   * What firing starts; the run knows its `scheduledAt`. The executor of its task may turn it into other runs at each tick
   * (`Translator.scheduled`).
   */
  start: Omit<StartSpec, 'id' | 'alias' | 'dueAt' | 'scheduledAt'>;
  delayMs?: number;
  /** Opaque to the engine; listed back. */
  data?: JsonText;
}

export interface ScheduleRecord extends ScheduleSpec {
  createdAt: number;
  lastAt: number | null;
  nextAt: number | null;
  /** Of the last tick that started something; newest tick only. */
  lastRuns: string[];
}
