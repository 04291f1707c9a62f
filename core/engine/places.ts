import { compareItems, limitBucket } from '../flow/backlogs.ts';
import { holderOf } from '../flow/limit-book.ts';
import { type RuleChange, scopeText } from '../flow/limit-rules.ts';
import type { Pending } from '../history/state.ts';
import type { PauseScope } from '../model/command.ts';
import { counterOf, subCounters, UNBOUNDED } from '../model/limit.ts';
import { NEVER_MS } from '../model/limits.ts';
import type { LimitSpec, TaskRecord } from '../model/task.ts';
import type { Kernel, RunHandle } from './kernel.ts';
import { inOrder, limitsUnder } from './limit-order.ts';
import { orderOf, OWN_HELD } from './rows.ts';

/** Who waits for which limit, who takes it, who keeps it: the rules of flow/ applied to the calls of runs. */
export class Places {
  readonly #k: Kernel;
  /** Places that runs have again since the start, and the backlogs in which their calls may stand all the same. */
  #restored: Array<{ run: string; bucket: string }> = [];

  constructor(kernel: Kernel) {
    this.#k = kernel;
  }

  /** After a restart the runs that held a limit across a retry or a sleep hold it again, and the calls that workers have in hand. */
  restore(): void {
    const rows = this.#k.sql.all<{ owner: string; key: string; lease: string | null; held: number }>(
      `SELECT owner, key, lease, held FROM pending WHERE held IS NOT NULL`,
    );
    for (const row of rows) {
      const handle = this.#k.find(row.owner);
      if (!handle) continue;
      const ofRun = handle.state.head.limits.filter((limit) => limit.hold === 'run').slice(0, row.held % OWN_HELD);
      const own = inOrder(handle.state.pending.get(row.key)?.call?.limits ?? []);
      const ofCall = own.filter((limit) => limit.hold === 'run').slice(0, Math.floor(row.held / OWN_HELD));
      const inHand = row.lease === null ? [] : this.limitsOfCall(handle, row.key);
      for (const limit of [...ofRun, ...ofCall, ...inHand.filter(({ hold }) => hold === 'call')]) {
        const holder = holderOf(limit, handle.state.head, row.key);
        const member = limit.hold === 'run' ? row.owner : holder;
        if (this.#k.limits.holds(counterOf(limit), holder, member)) continue;
        this.#k.limits.take(limit, holder, member);
        if (limit.hold === 'run') this.#restored.push({ run: row.owner, bucket: limitBucket(counterOf(limit)) });
      }
    }
  }

  /** In the first transaction: calls that executors had in hand stay where they waited before; those whose run has its place again wait there no more. */
  recheckRestored(): void {
    for (const { run, bucket } of this.#restored.splice(0)) {
      const handle = this.#k.find(run);
      for (const [key, { row }] of handle?.rows ?? [])
        if (handle && row.bucket === bucket) this.#k.rows.recheck(handle, key);
    }
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
    if (this.#k.limits.rules.anyPause || this.#k.backlogs.heldBack)
      for (const pause of this.#k.limits.rules.pausesOver(head.task, this.#k.poolOf(handle)))
        if (pause.inForce || this.#isOlderIn(counterOf(pause), handle, key)) return pause;
    for (const limit of this.limitsOfCall(handle, key)) {
      const counter = counterOf(limit);
      if (limit.hold === 'run' && this.#k.limits.holds(counter, holderOf(limit, head, key))) continue;
      // A run that has begun does not stand in the line of those that have not.
      const begun = limit.rate?.takes === 'first-call' && startedAt !== null;
      if (begun && limit.max === UNBOUNDED) continue;
      if (this.#k.limits.room(limit, this.#k.now, !begun, counter) === 0) return limit;
      if (!begun && this.#isOlderIn(counter, handle, key)) return limit;
    }
    return null;
  }

  /** Whether somebody waits for a counter who is before this call. */
  #isOlderIn(counter: string, handle: RunHandle, key: string): boolean {
    const bucket = limitBucket(counter);
    const row = handle.rows.get(key)?.row;
    const first = this.#k.backlogs.head(bucket, (item) => this.#k.waitsIn(bucket, item));
    if (!first || !row) return false;
    const due = orderOf(row, handle.state.pending.get(key));
    return compareItems(first, { run: handle.state.head.id, key, due }) < 0;
  }

  /** Somebody waits for a limit: when time alone opens it, it is looked at then. `promised`: room that others are on their way to take. */
  awaitOpening(limit: LimitSpec, promised = 0): void {
    const counter = counterOf(limit);
    const { max, rate, paused } = this.#k.limits.bound(limit, counter);
    if (!rate || paused || this.#k.limits.held(counter) >= max) return;
    // There is room: whoever waits ahead is looked at already, or is on the way.
    if (this.#k.limits.rates.room(counter, rate, this.#k.now) > promised) return;
    const atMs = this.#k.limits.rates.opensAt(counter, rate, this.#k.now, promised);
    if (atMs < NEVER_MS) this.lookAgain(counter, Math.max(atMs, this.#k.now + 1));
  }

  /**
   * How many of those who wait for a limit may be sent on without taking it: to their pool, as many as there is room for; to another limit without room (`elsewhere`),
   * as many as the rate lets through, for who waits for time alone must not be moved to and fro in masses.
   */
  roomToPass(handle: RunHandle, limit: LimitSpec, elsewhere: boolean): number {
    const counter = counterOf(limit);
    const begun = limit.rate?.takes === 'first-call' && handle.state.startedAt !== null;
    if (!elsewhere) return this.#k.limits.room(limit, this.#k.now, !begun, counter);
    const { rate } = this.#k.limits.bound(limit, counter);
    return !rate || begun ? Infinity : this.#k.limits.rates.room(counter, rate, this.#k.now);
  }

  /** A backlog is looked at again at this time. */
  lookAgain(counter: string, atMs: number): void {
    this.#k.openings.set(counter, atMs);
    this.#k.nextDue = Math.min(this.#k.nextDue, atMs);
  }

  /** A call goes: what its rates let through is counted. Before the run counts as begun. */
  takeRates(handle: RunHandle, key: string): void {
    for (const limit of this.limitsOfCall(handle, key)) {
      if (limit.rate?.takes === 'first-call' && handle.state.startedAt !== null) continue;
      const counter = counterOf(limit);
      const { rate } = this.#k.limits.bound(limit, counter);
      if (rate) this.#k.limits.rates.take(counter, rate, this.#k.now);
    }
  }

  /** Takes what the run holds as a whole, as far as there is room: it keeps that while it waits for the rest. */
  holdRunLimits(handle: RunHandle, key: string, until: LimitSpec | null): void {
    const limits = this.limitsOfCall(handle, key);
    // Who is held back by a pause has asked for nothing yet.
    if (until && !limits.includes(until)) return;
    for (const limit of limits) {
      if (limit === until || limit.hold !== 'run') return;
      if (!this.#take(handle, limit, key)) continue;
      // Its other calls wait for that no more. There are some if it lost its place, with nothing pending, over a restart.
      for (const [other, { row }] of handle.rows)
        if (other !== key && row.bucket === limitBucket(counterOf(limit))) this.#k.rows.recheck(handle, other);
    }
  }

  /** False: it has it already. */
  #take(handle: RunHandle, limit: LimitSpec, key: string): boolean {
    const { head } = handle.state;
    const holder = holderOf(limit, head, key);
    const member = limit.hold === 'run' ? head.id : holder;
    if (this.#k.limits.holds(counterOf(limit), holder, member)) return false;
    this.take(limit, holder, member);
    return true;
  }

  holdCall(handle: RunHandle, key: string): void {
    for (const limit of this.limitsOfCall(handle, key)) this.#take(handle, limit, key);
  }

  /** A run that goes on with the place of another keeps it from its start. */
  shareHolds(handle: RunHandle): void {
    const { head } = handle.state;
    if (head.holder === undefined) return;
    for (const limit of head.limits)
      if (limit.hold !== 'run' || !this.#k.limits.holds(counterOf(limit), head.holder)) return;
      else this.#take(handle, limit, '');
  }

  /** The call's lease is over. What a run holds as a whole it keeps. */
  releaseCall(handle: RunHandle, key: string): void {
    for (const limit of this.limitsOfCall(handle, key))
      if (limit.hold === 'call') this.release(limit, holderOf(limit, handle.state.head, key));
  }

  /** A call is resolved that had these limits of its own: its run keeps the places that it has as a whole, or that another of its calls names. */
  leave(handle: RunHandle, limits: readonly LimitSpec[]): void {
    const { head } = handle.state;
    for (const limit of limits) {
      if (limit.hold !== 'run') continue;
      const counter = counterOf(limit);
      if (!this.runLimitsOf(handle).some((other) => counterOf(other) === counter))
        this.release(limit, head.holder ?? head.id, head.id);
    }
  }

  /** Every limit that a run as a whole may hold, its own or named by one of its calls. */
  runLimitsOf(handle: RunHandle): LimitSpec[] {
    return [
      ...handle.state.head.limits,
      ...[...handle.state.pending.values()].flatMap((pending) => pending.call?.limits ?? []),
    ].filter((limit) => limit.hold === 'run');
  }

  /**
   * What a restart must know of the run-level limits that the run holds: how many of its own (they are taken in order) and how many of
   * those that the call names for itself. Null when it holds nothing.
   */
  heldBy(handle: RunHandle, pending: Pending): number | null {
    const { head } = handle.state;
    const holds = (limit: LimitSpec): boolean =>
      limit.hold === 'run' && this.#k.limits.holds(counterOf(limit), holderOf(limit, head, pending.key), head.id);
    const count = (limits: readonly LimitSpec[]): number => {
      let n = 0;
      for (const limit of limits) if (holds(limit)) n++;
      return n;
    };
    const held = count(head.limits) + OWN_HELD * count(pending.call?.limits ?? []);
    return held > 0 || pending.lease !== null ? held : null;
  }

  /** A bound that a run brings: known while it is in use. */
  declare(spec: LimitSpec): void {
    const counter = counterOf(spec);
    const before = this.#k.limits.newest(counter);
    if (!this.#k.limits.declare(spec)) return;
    this.#k.onUndo(() => this.#k.limits.undeclare(counter, before));
    this.#k.backlogs.opened(counter);
  }

  /** What is set for a limit from outside. */
  setRule(change: RuleChange, resetRate: boolean): void {
    this.#k.limits.rules.set(change);
    if (resetRate) this.#k.limits.rates.reset(change.key, counterOf(change), this.#k.now);
    this.#k.backlogs.openedAll(counterOf(change), subCounters(change.key));
  }

  setSubRule(counter: string, max: number | null): void {
    this.#k.limits.rules.setSub(counter, max);
    this.#k.backlogs.opened(counter);
  }

  setPause(scope: PauseScope, starts: 'wait' | 'skip' | null): void {
    const freed = this.#k.limits.rules.setPause(scopeText(scope), starts);
    if (freed !== null) this.#k.backlogs.opened(counterOf({ key: freed }));
  }

  /** Whether a run that starts now is to be skipped. */
  skipsStarts(id: string, task: TaskRecord | null, { pool }: { pool?: string }): boolean {
    const pulledFrom = task?.mode === 'pull' ? (pool ?? task.pool ?? '') : null;
    return this.#k.limits.rules.anyPause && this.#k.limits.rules.pausedStarts(id, pulledFrom) === 'skip';
  }

  /** Whether there is room was asked before (blockedBy). */
  take(limit: LimitSpec, holder: string, member = holder): void {
    this.#k.limits.take(limit, holder, member);
    this.#k.onUndo(() => this.#k.limits.release(counterOf(limit), holder, member));
  }

  /** `member`: the run that keeps the place no longer; it is free when no other does. */
  release(limit: LimitSpec, holder: string, member = holder): void {
    const counter = counterOf(limit);
    if (!this.#k.limits.holds(counter, holder, member)) return;
    const freed = this.#k.limits.release(counter, holder, member);
    this.#k.onUndo(() => this.#k.limits.take(limit, holder, member));
    if (freed) this.#k.backlogs.opened(counter);
  }
}
