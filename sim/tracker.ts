import { applyEntry, openRun } from '../core/history/fold.ts';
import type { Pending, RunState } from '../core/history/state.ts';
import type { LeasedCall } from '../core/model/call.ts';
import type { HistoryEntry } from '../core/model/history.ts';
import type { LimitSpec } from '../core/model/task.ts';
import { NEVER_MS } from '../core/model/limits.ts';
import type { Sql } from '../core/ports.ts';
import { PayloadStore } from '../core/store/payloads.ts';
import { type PendingRow, type RunRow, RunStore } from '../core/store/run-store.ts';
import type { Engine } from '../core/engine/engine.ts';
import type { Checks } from './invariants.ts';

/** A lease as the executor or worker that was given it knows it. */
export interface Held {
  lease: string;
  run: string;
  key: string;
  attempt: number;
  pull: boolean;
  /** The engine may take it away from then on, and not before. */
  until: number;
  /** `over`: reported, lost with a process, run out, or its run has ended. `moot`: its call was resolved by another report. */
  standing: 'live' | 'moot' | 'over';
  limits: readonly LimitSpec[];
}

/** What the simulation knows of a run: its history as it was first read, folded, and what was promised about it. */
export interface Tracked {
  state: RunState;
  held: Map<string, Held>;
  /** Its newest entry before the transition under way. */
  seqBefore: number;
  /** Its start was held against what its task lets start. */
  admitted: boolean;
  /** When its first call was handed out, whether or not a process that was lost remembers it. */
  begunMs: number | null;
  /** Somebody got a lease of it once, in this process or an earlier one. */
  everLeased: boolean;
  /** An executor did not keep to the program: how it ends is nobody's promise. */
  lied: boolean;
  /** A client or the world wanted it to end before its time. */
  disturbed: boolean;
  /** It had nothing pending for a while, and so nothing to keep its place in a lane. */
  displaced: boolean;
  /** Reports on their way that go on with the run by themselves. */
  owed: number;
  /** Since when it stands: it does not collect any more. */
  standsMs: number | null;
  /** Keys that the main call has to wait for: it ended after it had asked for them as one group. */
  awaiting: string[];
}

/** What a call is subject to: what its run holds as a whole, and what it names for itself or else what every call of the run is. */
export function limitsOver({ head, pending }: RunState, key: string): readonly LimitSpec[] {
  const own = pending.get(key)?.call?.limits;
  return own ? [...head.limits.filter(({ hold }) => hold === 'run'), ...own] : head.limits;
}

/**
 * Follows every run through its rows on disk. The fold is the unpatched one of `core/history`, applied to what was read back, so that an
 * engine with another idea of a run's state is found out.
 */
export class Tracker {
  readonly runs = new Map<string, Tracked>();
  readonly #sql: Sql;
  readonly #store: RunStore;
  readonly #checks: Checks;
  readonly #retentionMs: number;
  deleted = 0;
  /** The latest time that an engine has known. */
  latestMs = 0;

  constructor(sql: Sql, checks: Checks, retentionMs: number) {
    this.#sql = sql;
    this.#store = new RunStore(sql, new PayloadStore(sql));
    this.#checks = checks;
    this.#retentionMs = retentionMs;
  }

  get(run: string): Tracked | undefined {
    return this.runs.get(run);
  }

  /**
   * Reads what a transition wrote about a run and compares it with the engine's own view. `heard`: its answers arrived; after a crash the
   * world does not know which leases it ended.
   */
  inspect(run: string, engine: Engine, heard = true): void {
    const row = this.#sql.all<RunRow>(`SELECT * FROM runs WHERE id = ?`, run)[0];
    let tracked = this.runs.get(run);
    this.latestMs = Math.max(this.latestMs, engine.kernel.now);
    if (!row) {
      if (tracked) this.#gone(run, tracked, engine);
      return;
    }
    if (!tracked) {
      const head = this.#store.headOf(row);
      tracked = {
        state: openRun(head, this.#store.inputOf(row)),
        seqBefore: 0,
        held: new Map(),
        admitted: false,
        begunMs: null,
        everLeased: false,
        // What a liar left is part of a run that starts from there.
        lied: head.from !== undefined && (this.runs.get(head.from.run)?.lied ?? true),
        disturbed: false,
        displaced: false,
        owed: 0,
        standsMs: null,
        awaiting: [],
      };
      this.runs.set(run, tracked);
      if (!tracked.state.head.window) tracked.standsMs = tracked.state.head.createdAt;
    }
    for (const entry of this.#store.history(run, tracked.state.seq)) {
      this.#checkEntry(run, tracked, entry, engine, heard);
      applyEntry(tracked.state, entry);
      // A worker that vanished without a word had not begun it: what has to end in time counts from the next start.
      const { startedAt, steps } = tracked.state;
      if (entry.body.kind === 'lapse' && startedAt === null && steps.length === 0) tracked.begunMs = null;
      if (!tracked.state.head.window) tracked.standsMs ??= entry.atMs;
    }
    if (tracked.state.pending.size === 0) tracked.displaced = true;
    this.#endLeases(tracked, heard);
    this.#compare(run, tracked, row, engine, false);
  }

  /** Everything as it was acknowledged, in a process that has just started. */
  inspectAll(engine: Engine): void {
    for (const [run, tracked] of this.runs) {
      const row = this.#sql.all<RunRow>(`SELECT * FROM runs WHERE id = ?`, run)[0];
      this.#checks.that('acknowledged', row !== undefined, () => `run ${run} is not there after the crash`);
      if (row && (tracked.state.status === 'running' || row.seq % 4 === 0))
        this.#compare(run, tracked, row, engine, true);
    }
  }

  /** What a crash left of the leases of workers: how long they run, the rows say. */
  recallLeases(): void {
    for (const { state, held } of this.runs.values())
      for (const lease of held.values()) {
        if (!lease.pull || lease.standing !== 'live' || state.status !== 'running') continue;
        const row = this.#sql.all<PendingRow>(
          `SELECT * FROM pending WHERE owner = ? AND key = ? AND lease = ?`,
          lease.run,
          lease.key,
          lease.lease,
        )[0];
        if (row) lease.until = row.due;
      }
  }

  #gone(run: string, tracked: Tracked, engine: Engine): void {
    const { status, endedAt } = tracked.state;
    this.#checks.that('acknowledged', status !== 'running', () => `run ${run} vanished while it was running`);
    this.#checks.that(
      'retention',
      endedAt !== null && endedAt < engine.kernel.now - this.#retentionMs,
      () => `run ${run} was deleted too early`,
    );
    this.runs.delete(run);
    this.deleted++;
  }

  #checkEntry(run: string, tracked: Tracked, entry: HistoryEntry, engine: Engine, heard: boolean): void {
    const { state } = tracked;
    const { body } = entry;
    const where = (): string => `run ${run}, entry ${entry.seq} ${JSON.stringify(body).slice(0, 300)}`;
    this.#checks.that('acknowledged', entry.seq === state.seq + 1, () => `${where()} follows ${state.seq}`);
    this.#checks.that('acknowledged', state.status === 'running', () => `${where()} comes after the end`);
    switch (body.kind) {
      case 'step': {
        this.#checks.that('memo', !state.stepKeys.has(body.key), () => `${where()} is memoised already`);
        const wait = state.pending.get(body.key);
        // Its follower bears its own key: whoever had the call in hand has nothing any more.
        const before = tracked.held.get(body.key);
        if ((body.then ?? wait?.then)?.key === body.key && before?.standing === 'live') before.standing = 'moot';
        // A run that was started anew has its predecessor's steps, waits included, from its first moment on.
        if (state.head.from && entry.atMs === state.head.createdAt) break;
        if (body.source === 'sleep' || (body.source === 'timeout' && wait?.kind !== 'token'))
          this.#checks.that(
            'timer',
            wait !== undefined && entry.atMs >= wait.dueAt,
            () => `${where()} at ${entry.atMs} was due at ${wait?.dueAt}`,
          );
        break;
      }
      case 'lease': {
        const call = state.pending.get(body.key);
        this.#checks.that(
          'timer',
          call !== undefined && (call.dueAt <= entry.atMs || call.dueAt <= this.latestMs),
          () => `${where()} at ${entry.atMs} is due at ${call?.dueAt}`,
        );
        break;
      }
      case 'lapse': {
        const held = tracked.held.get(body.key);
        if (heard && held?.standing === 'live')
          this.#checks.that(
            'lease',
            engine.kernel.now >= held.until,
            () => `${where()} takes lease ${held.lease} away at ${engine.kernel.now}, it runs until ${held.until}`,
          );
        if (held) held.standing = 'over';
        break;
      }
      case 'retry': {
        const held = tracked.held.get(body.key);
        if (body.lease === undefined || held?.lease !== body.lease) {
          // Its worker had vanished: that counted as a failure.
          if (held?.standing === 'live' && held.until <= engine.kernel.now) held.standing = 'over';
          break;
        }
        held.standing = 'live';
        held.attempt = body.attempt;
        held.until = body.dueAt;
        break;
      }
      case 'again':
        // Asked for by itself, whatever else it waits for.
        tracked.awaiting = [];
        break;
      case 'cancelling':
        for (const held of tracked.held.values()) held.until = Math.min(held.until, body.untilMs);
        break;
      case 'end':
        if (heard && body.reason === 'lapsed')
          this.#checks.that(
            'lease',
            [...state.pending.values()].some(({ key, lease }) => {
              const held = tracked.held.get(key);
              return lease !== null && (held?.lease !== lease || held.until <= engine.kernel.now);
            }),
            () => `${where()} at ${engine.kernel.now}: no lease has run out`,
          );
        if (body.reason === 'expired')
          this.#checks.that(
            'timer',
            entry.atMs >= (state.head.expireAt ?? Infinity) && !(state.steps.length > 0),
            () =>
              `${where()} expired at ${entry.atMs}, not before ${state.head.expireAt}, with ${state.steps.length} steps`,
          );
        if (body.reason !== undefined) tracked.disturbed = true;
        break;
    }
  }

  #endLeases(tracked: Tracked, heard: boolean): void {
    const { state } = tracked;
    for (const held of tracked.held.values()) {
      if (held.standing === 'over') continue;
      if (state.status !== 'running') held.standing = 'over';
      else if (!state.pending.has(held.key)) held.standing = 'moot';
      else if (!heard && held.pull && state.pending.get(held.key)?.lease !== held.lease) held.standing = 'over';
    }
    if (tracked.awaiting.length > 0 && tracked.awaiting.every((key) => state.stepKeys.has(key))) tracked.awaiting = [];
  }

  #compare(run: string, tracked: Tracked, row: RunRow, engine: Engine, cold: boolean): void {
    const { state } = tracked;
    const ended = state.status !== 'running';
    this.#checks.that(
      'fold',
      row.status === state.status &&
        (!ended || (row.seq === state.seq && row.ended_at === state.endedAt && row.reason === state.reason)),
      () => `run ${run} is ${row.status} at ${row.seq} in its row, ${state.status} at ${state.seq} by its history`,
    );
    const rows = new Map(
      this.#sql.all<PendingRow>(`SELECT * FROM pending WHERE owner = ?`, run).map((r) => [r.key, r]),
    );
    this.#checks.that(
      'fold',
      rows.size === state.pending.size && [...state.pending.keys()].every((key) => rows.has(key)),
      () =>
        `run ${run} has rows for ${JSON.stringify([...rows.keys()])}, by its history ${JSON.stringify([...state.pending.keys()])} is pending`,
    );
    for (const [key, pending] of state.pending) {
      const r = rows.get(key) as PendingRow;
      this.#checks.that(
        'fold',
        r.kind === pending.kind &&
          r.attempt === pending.attempt &&
          r.lease === pending.lease &&
          (r.bucket !== '' || state.parked || pending.lease !== null || r.due === Math.min(pending.dueAt, NEVER_MS)),
        () => `row ${JSON.stringify(r)} of run ${run} is not ${JSON.stringify(pending)}`,
      );
    }
    if (ended && !cold) return;
    const own = engine.kernel.find(run)?.state;
    const difference = own ? differenceOf(state, own, rows) : 'it does not know the run';
    this.#checks.that(
      cold ? 'acknowledged' : 'fold',
      difference === null,
      () => `run ${run}: the ${cold ? 'cold' : 'warm'} engine differs: ${difference}`,
    );
  }

  /** Notes a lease that was handed out, after checking that the call was free and shows all that is done. */
  leased(call: LeasedCall, engine: Engine, pull: boolean, until: number): Held {
    const tracked = this.runs.get(call.run);
    if (!tracked) throw new Error(`call of unknown run ${call.run}`);
    const { state } = tracked;
    const name = (): string => `run ${call.run}, call "${call.key}", lease ${call.lease}`;
    const pending = state.pending.get(call.key);
    this.#checks.that(
      'lease',
      state.status === 'running' && pending?.kind === 'call',
      () => `${name()}: nothing of that is pending`,
    );
    const other = tracked.held.get(call.key);
    this.#checks.that(
      'lease',
      other?.standing !== 'live',
      () => `${name()}: lease ${other?.lease} is live until ${other?.until}, now ${engine.kernel.now}`,
    );
    // A follower may bear the key of the step that it follows; in a run from another's prefix it was planned after all the steps.
    const follows = (): boolean =>
      state.steps.some(
        ({ key, seq }) =>
          key === call.key && (seq === pending?.seq || (state.head.from !== undefined && seq < (pending?.seq ?? 0))),
      );
    this.#checks.that(
      'memo',
      call.key === '' || !state.stepKeys.has(call.key) || follows(),
      () => `${name()} is memoised`,
    );
    this.#checks.that(
      'memo',
      call.seq >= tracked.seqBefore &&
        call.steps.length === state.steps.filter((step) => step.seq <= call.seq).length &&
        call.steps.every((step, i) => step.key === state.steps[i]?.key && step.data === state.steps[i]?.data),
      () =>
        `${name()} shows ${call.steps.map((step) => step.key).join()}, memoised are ${state.steps.map((step) => step.key).join()}`,
    );
    // A call that was due once stays so when the clock is set back.
    this.latestMs = Math.max(this.latestMs, engine.kernel.now);
    if (!pull) {
      const due = Math.max(call.dueAt, pending?.dueAt ?? 0);
      this.#checks.that('timer', due <= this.latestMs, () => `${name()} is due at ${due}, now ${engine.kernel.now}`);
    }
    if (call.key === '' && !tracked.lied)
      this.#checks.that(
        'group',
        tracked.awaiting.every((key) => state.stepKeys.has(key)),
        () =>
          `${name()}: of the group ${tracked.awaiting.join()} only ${tracked.awaiting.filter((key) => state.stepKeys.has(key)).join()} is resolved`,
      );
    tracked.begunMs ??= call.leasedAt;
    const limits = limitsOver(state, call.key);
    const held: Held = {
      lease: call.lease,
      run: call.run,
      key: call.key,
      attempt: call.attempt,
      pull,
      until,
      standing: 'live',
      limits,
    };
    tracked.held.set(call.key, held);
    return held;
  }
}

/** Where two ideas of a run's state differ, or null. */
function differenceOf(expected: RunState, actual: RunState, rows: ReadonlyMap<string, PendingRow>): string | null {
  for (const field of [
    'status',
    'reason',
    'output',
    'cancelling',
    'seq',
    'againSeq',
    'endedAt',
    'outcomeMeta',
  ] as const)
    if (!same(expected[field], actual[field]))
      return `${field} is ${String(actual[field])}, not ${String(expected[field])}`;
  if (headText(expected) !== headText(actual)) return `its head is ${headText(actual)}, not ${headText(expected)}`;
  if (expected.steps.length !== actual.steps.length || expected.stepKeys.size !== actual.stepKeys.size)
    return `${actual.steps.length} steps, not ${expected.steps.length}`;
  for (const [i, step] of expected.steps.entries()) {
    const other = actual.steps[i];
    if (
      other !== step &&
      (other?.key !== step.key ||
        !same(other.data, step.data) ||
        other.error !== step.error ||
        other.source !== step.source)
    )
      return `step ${i} is ${JSON.stringify(other)}, not ${JSON.stringify(step)}`;
  }
  if (expected.pending.size !== actual.pending.size)
    return `pending: ${[...actual.pending.keys()].join()}, not ${[...expected.pending.keys()].join()}`;
  for (const [key, pending] of expected.pending) {
    const other = actual.pending.get(key);
    if (!other || pendingText(other, rows) !== pendingText(pending, rows))
      return `"${key}" is ${other && pendingText(other, rows)}, not ${pendingText(pending, rows)}`;
  }
  return null;
}

/** What may have been amended. */
function headText({ head, input, expireAt }: RunState): string {
  const { dueAt, eventIds, meta, maxAttempts, window, holds, priorityMs } = head;
  const size = input === null ? null : input.length;
  return JSON.stringify({ dueAt, eventIds, meta, maxAttempts, window, holds, priorityMs, size, expireAt });
}

// A held lease moves without an entry: its row says until when.
function pendingText(pending: Pending, rows: ReadonlyMap<string, PendingRow>): string {
  const dueAt = pending.lease === null ? pending.dueAt : rows.get(pending.key)?.due;
  return JSON.stringify({ ...pending, dueAt });
}

function same(a: unknown, b: unknown): boolean {
  return a === b || (a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0);
}
