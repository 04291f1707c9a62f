import type { Engine } from '../core/engine/engine.ts';
import type { EndedRun, EndEffects, LapsedCall, LeasedCall, Outcome } from '../core/model/call.ts';
import { errorCodeOf } from '../core/model/errors.ts';
import { PUSH_LEASE_MS, RECOVERY_ALARM_MS } from '../core/model/limits.ts';
import type { Effects } from '../core/ports.ts';
import { NodeSql } from '../core/testing/node-sql.ts';
import { Agenda } from './agenda.ts';
import { type EndingData, makeTasks, POOLS, type SimTask, type Theme, THEMES } from './catalogue.ts';
import { checkEnded, checkEvents, checkStanding, checkStarted, type Claims } from './checks-admission.ts';
import {
  checkLimitsTaken,
  checkOrder,
  checkPlaces,
  leavePlaces,
  type Places,
  recallPlaces,
  type Terms,
  termsOf,
} from './checks-flow.ts';
import { checkLedger } from './checks-ledger.ts';
import { checkEverything, checkRows } from './checks-rows.ts';
import type { CoreVariant } from './core-variant.ts';
import { FaultSql } from './fault-sql.ts';
import { Checks, Violation } from './invariants.ts';
import { withRates } from './rates.ts';
import { withPolicies } from './policies.ts';
import { Rng } from './rng.ts';
import { type Held, Tracker } from './tracker.ts';

const START_MS = Date.UTC(2026, 0, 1, 12);
const LAST_ACTIONS = 20;
/** Between two looks at things that take long to look at. */
const EVERYTHING_EVERY = 16;

export interface WorldOptions {
  seed: number;
  core: CoreVariant;
  /** As the variant has it: calls under way at once. */
  maxInFlight: number;
  retentionMs: number;
  crashes: boolean;
  clockJumps: boolean;
  lies: boolean;
  losses: boolean;
}

export type Done<T> = { is: 'done'; value: T } | { is: 'refused'; error: Error } | { is: 'crashed' };

/**
 * One database, the process that serves it (which dies and is started again), a clock, and an agenda of what everybody does next.
 * `transition` is the only door to the engine: it plants the crash, checks every invariant afterwards, and hands out what was leased.
 */
export class World implements Effects {
  readonly options: WorldOptions;
  readonly rng: Rng;
  readonly theme: Theme;
  readonly agenda = new Agenda();
  readonly checks = new Checks();
  readonly db = new NodeSql();
  readonly tracker: Tracker;
  readonly tasks: Map<string, SimTask>;
  readonly places: Places = new Map();
  readonly claims: Claims = new Map();
  /** Events that had done what they do before the transition under way. */
  readonly knownEvents = new Set<string>();
  /** Runs whose dead letter somebody asked to delete or to try again. */
  readonly settledLetters = new Set<string>();
  /** When each rate let calls through, within its last period. */
  readonly takings = new Map<string, number[]>();
  /** Time that only goes forward; the engine's clock is `clockMs`. */
  timeMs = START_MS;
  #offsetMs = 0;
  /** The latest time before the clock was set back last: what was counted up to there may count again, or not at all. */
  setBackFromMs = 0;
  engine!: Engine;
  #sql!: FaultSql;
  alarmAt: number | null = null;
  /** Pools in which a worker that asks again would find work, as far as the engine said. */
  readonly signalled = new Set<string>();
  #dispatched: Array<{ call: LeasedCall; terms: Terms | null }> = [];
  /** The engine that dispatches is not known yet. */
  #opening = false;
  #changed = new Set<string>();
  transitions = 0;
  /** Executions of user code so far. */
  executions = 0;
  /** The number that each run works on, as its first call showed it. */
  readonly numbers = new Map<string, number>();
  #handedOut: Array<{ call: LeasedCall; until: number; taken: (held: Held) => void }> = [];
  crashes = 0;
  /** No more faults: what can end must end now. */
  calm = false;
  readonly actions: string[] = [];
  onDispatch: (call: LeasedCall, held: Held) => void = () => {};
  onReady: (pool: string) => void = () => {};
  onRestart: () => void = () => {};

  constructor(options: WorldOptions) {
    this.options = options;
    this.rng = new Rng(options.seed);
    this.theme = this.rng.pick(THEMES);
    this.tasks = new Map(
      withPolicies(this.rng.fork(), withRates(this.rng.fork(), this.theme, makeTasks(this.rng.fork(), this.theme))).map(
        (task) => [task.spec.id, task],
      ),
    );
    this.tracker = new Tracker(this.db, this.checks, options.retentionMs);
  }

  clockMs(): number {
    return Math.floor(this.timeMs) + this.#offsetMs;
  }

  jumpClock(ms: number): void {
    if (ms < 0) this.setBackFromMs = this.tracker.latestMs;
    this.#offsetMs += ms;
    this.note(`clock jumps by ${ms} ms`);
  }

  note(action: string): void {
    this.actions.push(`${String(this.transitions).padStart(7)}  ${new Date(this.clockMs()).toISOString()}  ${action}`);
    if (this.actions.length > LAST_ACTIONS) this.actions.shift();
  }

  after(delayMs: number, action: () => void): void {
    this.agenda.add(this.timeMs + Math.max(0, delayMs), action);
  }

  dispatch(calls: LeasedCall[]): void {
    for (const call of calls)
      this.#dispatched.push({ call, terms: this.#opening ? null : termsOf(this.engine.kernel, call) });
  }
  ready(pools: string[]): void {
    for (const pool of pools) {
      this.signalled.add(pool);
      this.onReady(pool);
    }
  }
  changed(runs: Array<{ run: string; seq: number }>): void {
    for (const { run } of runs) this.#changed.add(run);
  }
  mail(): void {}
  alarm(atMs: number): void {
    this.alarmAt = atMs;
  }

  /** Lets the next thing happen: the alarm, or the agenda's first. False: nothing is going to. */
  step(untilMs = Infinity): boolean {
    const alarmAt = this.#alarmTime();
    const next = this.nextAt();
    if (next === Infinity || next > untilMs) return false;
    if (alarmAt <= this.agenda.nextAt()) {
      // Alarms come late, never early.
      this.timeMs = alarmAt + (this.calm || this.rng.chance(0.7) ? 0 : this.rng.int(1, 200));
      this.fireAlarm();
    } else {
      this.timeMs = Math.max(this.timeMs, next);
      this.agenda.take()();
    }
    return true;
  }

  #alarmTime(): number {
    return this.alarmAt === null ? Infinity : Math.max(this.timeMs, this.alarmAt - this.#offsetMs);
  }

  /** When the next thing happens. */
  nextAt(): number {
    return Math.min(this.#alarmTime(), this.agenda.nextAt());
  }

  fireAlarm(): void {
    this.alarmAt = null;
    this.engine.forgetAlarm();
    for (let more = true; more;) {
      const done = this.transition('wake', (engine) => engine.wake());
      more = done.is === 'done' && done.value;
    }
  }

  /** The process is lost between two transitions. */
  kill(): void {
    this.note('killed');
    this.#restart();
  }

  start(): void {
    this.#open();
  }

  /**
   * One call of the engine, its faults and its checks. `refusable`: an EngineError is an answer. `applied`: what its answer means for the
   * leases that are out, before anything else is looked at.
   */
  transition<T>(
    label: string,
    body: (engine: Engine) => T,
    { refusable = false, applied }: { refusable?: boolean; applied?: (value: T) => void } = {},
  ): Done<T> {
    this.transitions++;
    this.note(label);
    if (this.options.crashes && !this.calm && this.rng.chance(0.015)) {
      if (this.rng.chance(0.3)) this.#sql.crashAfterCommit();
      else this.#sql.crashAtStatement(this.rng.int(1, 25));
    }
    let done: Done<T>;
    try {
      done = { is: 'done', value: body(this.engine) };
    } catch (error) {
      if (error instanceof Violation) throw error;
      done = { is: 'refused', error: error as Error };
    }
    this.#sql.disarm();
    // Also what an engine that is lost now has seen of the time: its rows say so.
    this.tracker.latestMs = Math.max(this.tracker.latestMs, this.engine.kernel.now);
    if (this.#sql.crashed) {
      this.note(`  ${this.#sql.crashed.message}`);
      // Requests that had been sent before the end go on in the executors.
      this.#restart();
      return { is: 'crashed' };
    }
    if (done.is === 'refused') {
      const { error } = done;
      this.checks.that('throws', refusable && errorCodeOf(error) !== null, () => `${label} threw ${error.stack}`);
      this.note(`  refused: ${error.message}`);
    } else {
      this.checks.that('throws', true, () => '');
      applied?.(done.value);
    }
    this.#settle(label === 'wake');
    return done;
  }

  #settle(woke: boolean): void {
    const { tracker, engine } = this;
    const changed = this.#changed;
    this.#changed = new Set();
    const touched = this.#sql.takeTouched();
    for (const run of touched) {
      const before = tracker.get(run)?.state.seq ?? 0;
      tracker.inspect(run, engine);
      const state = tracker.get(run)?.state;
      if (state && state.seq > before)
        this.checks.that('ready', changed.has(run), () => `run ${run} grew to ${state.seq}, and nobody was told`);
    }
    if (woke) this.#expirePush();
    for (const run of touched) leavePlaces(this, run);
    for (const run of touched) if (tracker.get(run)?.state.status === 'running') checkPlaces(this, run);
    const handedOut = this.#handedOut;
    this.#handedOut = [];
    for (const { call, until, taken } of handedOut)
      taken(this.#accept(call, termsOf(this.engine.kernel, call), true, until));
    const dispatched = this.#dispatched;
    this.#dispatched = [];
    for (const { call, terms } of dispatched) {
      const leaseMs = this.tasks.get(call.task.id)?.spec.leaseMs ?? PUSH_LEASE_MS;
      this.#accept(call, terms ?? termsOf(this.engine.kernel, call), false, call.leasedAt + leaseMs);
    }
    for (const run of touched) {
      const tracked = tracker.get(run);
      if (tracked && tracked.state.status !== 'running' && tracked.seqBefore < tracked.state.seq) checkEnded(this, run);
      if (tracked) tracked.seqBefore = tracked.state.seq;
      if (tracked && !tracked.admitted) {
        tracked.admitted = true;
        checkStarted(this, run);
      }
    }
    checkRows(this);
    if (this.transitions % EVERYTHING_EVERY !== 0) return;
    checkEverything(this);
    checkLedger(this);
    checkStanding(this);
  }

  /** A worker was given a lease by the transition under way. */
  handOut(call: LeasedCall, until: number, taken: (held: Held) => void): void {
    this.#handedOut.push({ call, until, taken });
  }

  #accept(call: LeasedCall, terms: Terms | null, pull: boolean, until: number): Held {
    this.note(
      `  ${pull ? 'leased' : 'dispatched'} ${call.task.id} ${call.run} "${call.key}" attempt ${call.attempt} as ${call.lease}`,
    );
    checkOrder(this, call);
    checkEvents(this, call);
    const held = this.tracker.leased(call, this.engine, pull, until);
    checkLimitsTaken(this, held, terms);
    if (!pull) this.onDispatch(call, held);
    return held;
  }

  // A push lease that ran out is given up at the next look at the clock.
  #expirePush(): void {
    for (const tracked of this.tracker.runs.values())
      for (const held of tracked.held.values())
        if (!held.pull && held.until <= this.engine.kernel.now) held.standing = 'over';
  }

  #restart(): void {
    this.crashes++;
    if (this.rng.chance(0.5)) this.timeMs += this.rng.int(1, 5_000);
    else this.timeMs += 1;
    for (const tracked of this.tracker.runs.values())
      for (const held of tracked.held.values()) if (!held.pull) held.standing = 'over';
    this.#open();
    this.onRestart();
  }

  #open(): void {
    // Whatever was asked of the world by the process that is gone, it did not hear.
    this.#dispatched = [];
    this.#changed.clear();
    this.alarmAt = null;
    this.signalled.clear();
    const touched = new Set<string>();
    for (let crash = this.options.crashes && !this.calm && this.rng.chance(0.2); ; crash = false) {
      this.transitions++;
      this.note('start');
      for (const run of this.#sql?.takeTouched() ?? []) touched.add(run);
      this.#sql = new FaultSql(this.db);
      if (crash) this.#sql.crashAtStatement(this.rng.int(1, 40));
      this.#opening = true;
      try {
        this.engine = new this.options.core.Engine({
          sql: this.#sql,
          clock: { now: () => this.clockMs() },
          random: this.rng.fork(),
          effects: this,
          translators: {
            simulated: {
              ended: (run) => effectsOfEnd(run),
              lapsed: (call) => {
                const outcome = outcomeOfLapse(call);
                const tracked = this.tracker.get(call.run);
                if (outcome && tracked) tracked.disturbed = true;
                return outcome;
              },
            },
          },
          cell: 0,
          address: 'simulated/0',
          retentionMs: this.options.retentionMs,
        });
        this.#sql.disarm();
        this.#opening = false;
        break;
      } catch (error) {
        if (error instanceof Violation) throw error;
        this.checks.that('throws', this.#sql.crashed !== null, () => `the start threw ${(error as Error).stack}`);
        this.note('  crashed while starting');
        this.#dispatched = [];
      }
    }
    // Workers come back to a process that has just started.
    this.ready([...POOLS]);
    for (const run of this.#sql.takeTouched()) touched.add(run);
    for (const run of touched) this.tracker.inspect(run, this.engine, false);
    recallPlaces(this);
    for (const { id } of this.db.all<{ id: string }>(`SELECT id FROM events`)) this.knownEvents.add(id);
    this.tracker.recallLeases();
    this.tracker.inspectAll(this.engine);
    this.#settle(true);
  }

  /** The latest time at which the engine must want to be woken, given its first timer. */
  latestAlarm(firstDue: number): number {
    const recovery = this.engine.kernel.leases.size > 0 ? this.engine.kernel.now + RECOVERY_ALARM_MS : Infinity;
    return Math.min(firstDue, recovery);
  }
}

/** Vendors' rules for a worker that vanishes: each task has one, by its name. */
function outcomeOfLapse({ begun, lapses, task, nowMs }: LapsedCall): Outcome | null {
  const rule = task.id.charCodeAt(task.id.length - 1) % 4;
  if (!begun)
    return rule !== 0 || lapses < 3 ? null : { ops: [{ op: 'fail', error: '"nobody began"', retry: 'never' }] };
  if (rule === 1) return { ops: [{ op: 'cancel', reason: 'lapsed' }] };
  if (rule === 2) return { ops: [{ op: 'fail', error: '"vanished"', retry: { at: nowMs + 250 } }] };
  return null;
}

function effectsOfEnd(run: EndedRun): EndEffects {
  const ending = JSON.parse(run.task.data) as EndingData;
  const effects: EndEffects = {};
  if (ending.deadLetter && run.status === 'failed')
    effects.deadLetter = { data: JSON.stringify({ run: run.run, pad: 'x'.repeat(500) }) };
  if (ending.finishedEvent && run.listens('run/finished'))
    effects.events = [
      { name: 'run/finished', ts: run.endedAt, body: '{"name":"run/finished","data":{"n":0}}', transient: true },
    ];
  if (ending.cleanup !== null && run.status === 'failed') effects.starts = [{ task: ending.cleanup, input: '{"n":1}' }];
  return effects;
}
