import type { RetryPolicy } from '../schedule/backoff.ts';
import type { StartSpec } from './call.ts';
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
 * A bound on how many calls (or runs) with the same key are in progress.
 * `hold: 'call'`: counted while a call is leased. `hold: 'run'`: from a run's first lease to its end, retries and sleeps included; with max 1 this is strict FIFO.
 */
export interface LimitSpec {
  key: string;
  max: number;
  hold: 'call' | 'run';
}

/** A limit whose key may depend on the event that starts the run. */
export interface LimitTemplate extends LimitSpec {
  /** Its value, as text, is appended to the key. */
  expression?: string;
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
  /** Pull: what happens when the lease of an attempt that has begun runs out and the translator has no rule of its own. Default: the same attempt again. */
  onLapse?: 'again' | 'cancel';
  /** Push: a lease that is not answered in this time is given up and the same attempt made again. Default PUSH_LEASE_MS. */
  leaseMs?: number;
  /**
   * What its runs are found by without looking at others: 'task' (all of them), 'status' (those that ended in one way). Each costs one row a run;
   * labels, parents and unended runs are always indexed. Runs from before are added when a task is registered with it for the first time.
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
