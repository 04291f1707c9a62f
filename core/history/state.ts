import type { Again, CallSpec, ParentRef, RunStatus, StepEntry } from '../model/call.ts';
import type { WaitKind } from '../model/history.ts';
import type { JsonText, Payload } from '../model/payload.ts';
import type { Guards, LimitSpec } from '../model/task.ts';
import type { RetryPolicy } from '../schedule/backoff.ts';

/** The half of a run that does not change once it has begun: written when it starts, amended until its first lease. */
export interface RunHead {
  id: string;
  alias: string | null;
  task: string;
  version: number;
  createdAt: number;
  dueAt: number;
  meta: JsonText | null;
  scheduledAt: number | null;
  parent: ParentRef | null;
  eventIds: string[];
  labels: string[];
  call: CallSpec;
  /** Null: as many as the version says with which a call is made. */
  maxAttempts: number | null;
  retry: RetryPolicy | null;
  /** What its calls are subject to: first what the run holds as a whole, then what each call holds. */
  limits: LimitSpec[];
  /** As in StartSpec. */
  holder?: string;
  expireAt: number | null;
  /** The run that it was started anew from, and the position up to which it has that run's steps. */
  from?: { run: string; seq: number };
  executor: string;
  pool: string | null;
  /** The start named the workers, not the task. */
  ownPool?: string;
  /** Tied to its version from the start, though its task lets the first lease decide. */
  locked?: true;
  /** Its task was not registered when it started: it waits for that. */
  parked?: true;
  /** As in StartSpec: what it waits for, where it is parked. */
  awaits?: { release: string; forMs: number };
  /** All its calls stand this much before their time where they wait for room. */
  priorityMs: number;
  guards: Guards | null;
  /** Names that stand for it until it ends. */
  holds: string[];
  /** While it collects: where, and how many characters of events it has. */
  window: { kind: 'debounce' | 'batch'; name: string; chars: number } | null;
}

/** A call or wait that is not resolved. Immutable: a change makes a new object. */
export interface Pending {
  key: string;
  kind: 'call' | WaitKind['kind'];
  dueAt: number;
  attempt: number;
  /** Pull leases only; a push lease lives in memory. */
  lease: string | null;
  /** Position of the entry that leased it: entries above it are the holder's work, or news for it. */
  leaseSeq: number;
  /** That lease was the run's first start. */
  opening: boolean;
  /** The holder of this lease executes the attempt. */
  begun: boolean;
  /** Leases of this attempt that ran out. */
  lapses: number;
  /** History position of the entry that made it. */
  seq: number;
  again: Again;
  call: CallSpec | null;
  /** How much before its time a call stands where it waits for room: the run's and its own. */
  priorityMs: number;
  wait: WaitKind | null;
  then: CallSpec | null;
  meta: JsonText | null;
}

/** A run's calls and waits by key, and which of them have changed since they were last written: a run may have tens of thousands. */
export class PendingMap extends Map<string, Pending> {
  readonly changed = new Set<string>();

  override set(key: string, pending: Pending): this {
    this.changed.add(key);
    return super.set(key, pending);
  }

  override delete(key: string): boolean {
    this.changed.add(key);
    return super.delete(key);
  }

  override clear(): void {
    for (const key of this.keys()) this.changed.add(key);
    super.clear();
  }
}

export interface RunState {
  head: RunHead;
  /** Loaded on demand for large inputs; undefined = not loaded yet. */
  input: Payload | null;
  status: RunStatus;
  reason: string | null;
  output: Payload | null;
  outcomeMeta: JsonText | null;
  /** Of a run that was parked it counts from its opening. */
  expireAt: number | null;
  startedAt: number | null;
  /** The history says when it started; memory alone knows it of a push call that nobody has reported on yet. */
  startKept: boolean;
  endedAt: number | null;
  cancelling: boolean;
  /** Version with which its calls are made, and the pool that takes them: the head's, until a lease or an opening says otherwise. */
  version: number;
  pool: string | null;
  /** The version is settled. */
  locked: boolean;
  /** Its task is not registered, or its version is not: no call of it is ready. */
  parked: boolean;
  seq: number;
  /** Position of the newest entry that asked for the main call to run (again). */
  againSeq: number;
  steps: StepEntry[];
  stepKeys: Set<string>;
  pending: PendingMap;
  /** The head is not what the run's row says. */
  amended: boolean;
  /** Since when it is a run like any other: its start or, where it collected, the end of that. */
  standsAt: number;
}
