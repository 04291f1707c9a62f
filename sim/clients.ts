import type { StartSpec } from '../core/model/call.ts';
import type { Command, CommandResult, PauseScope } from '../core/model/command.ts';
import type { EventInput } from '../core/model/event.ts';
import type { TaskSpec } from '../core/model/task.ts';
import { checkIngested } from './checks-admission.ts';
import { checkReads } from './checks-reads.ts';
import { EVENT_NAMES, GROUPS, POOLS, SHARED_LIMITS, SHARED_TOKENS } from './catalogue.ts';
import { Facts } from './facts.ts';
import { HALT } from './policies.ts';
import { eventOf, idFor } from './program.ts';
import type { Requests } from './requests.ts';
import { makeStart } from './starts.ts';
import type { World } from './world.ts';

const HOUR_MS = 3_600_000;

/** What clients pause. */
export function pausable(world: World): PauseScope[] {
  return [
    { all: true },
    ...POOLS.map((pool) => ({ pool })),
    ...[...world.tasks.keys()].slice(0, 3).map((task) => ({ task })),
  ];
}

/** Everybody who asks the engine for something from outside. */
export class Clients {
  readonly #world: World;
  readonly #requests: Requests;
  readonly #maxRuns: number;
  #count = 0;
  started = 0;
  /** Idempotency keys and the run that each was answered with. */
  #keys = new Map<string, { run: string; untilMs: number }>();
  readonly facts: Facts;

  constructor(world: World, requests: Requests, maxRuns: number) {
    this.#world = world;
    this.#requests = requests;
    this.#maxRuns = maxRuns;
    this.facts = new Facts(world, requests);
  }

  /** Registers all tasks; the first thing that happens in a world. */
  register(): void {
    for (const group of GROUPS) this.#requests.insist(`register ${group}`, [this.#registration(group)]);
  }

  start(): void {
    const again = (): void => {
      if (this.#world.calm) return;
      this.#act();
      this.#world.after(this.#world.rng.delayMs(900), again);
    };
    this.#world.after(10, again);
  }

  #eventId(): string {
    return idFor(this.#world.clockMs(), `event ${this.#count++}`);
  }

  #registration(group: string): Command {
    const tasks = [...this.#world.tasks.values()]
      .map(({ spec }) => spec)
      .filter((spec) => spec.group === group)
      // Half of them are indexed and logged, without asking chance.
      .map((spec) =>
        /[02468]$/.test(spec.id) ? { ...spec, index: ['task' as const, 'status' as const], log: 'simulated' } : spec,
      );
    return { type: 'register', group, tasks, replace: true };
  }

  #act(): void {
    const { rng, theme } = this.#world;
    const { crashes, clockJumps } = this.#world.options;
    switch (
      rng.weighted({
        start: 40,
        ingest: 14,
        cancel: 5,
        token: 8,
        event: 8,
        halt: 6,
        limit: 6,
        pause: 2,
        register: 3,
        schedule: 5,
        dead: 4,
        again: theme === 'lanes' ? 14 : 4,
        sweep: 1,
        batch: 4,
        record: 2,
        read: 3,
        jump: clockJumps ? 1.5 : 0,
        kill: crashes ? (theme === 'lanes' ? 4 : 1) : 0,
      })
    ) {
      case 'start':
        return this.#start();
      case 'ingest':
        return this.#ingest();
      case 'cancel':
        return this.#cancel();
      case 'token':
        return this.#token();
      case 'halt':
        return this.#halt();
      case 'event':
        return this.#feed();
      case 'limit':
        return this.#limit();
      case 'pause':
        return this.#pause();
      case 'register':
        return this.#reregister();
      case 'schedule':
        return this.#schedule();
      case 'dead':
        return this.#deadLetter();
      case 'again':
        return this.#rerun();
      case 'sweep':
        return this.#sweep();
      case 'batch':
        return this.#batch();
      case 'record':
        return this.#record();
      case 'read':
        return checkReads(this.#world);
      case 'jump':
        return this.#world.jumpClock(
          rng.chance(0.6) ? rng.pick([60_000, HOUR_MS, 26 * HOUR_MS]) : -rng.pick([1_000, 60_000, 600_000]),
        );
      case 'kill':
        return this.#world.kill();
    }
  }

  #start(): void {
    if (this.started >= this.#maxRuns) return checkReads(this.#world);
    this.started++;
    const spec = makeStart(this.#world, () => this.#count++);
    // Without a name of its own a start may not be sent twice: the answer that was lost is the client's loss.
    const named = spec.dedupe !== undefined || spec.alias !== undefined;
    const send = named ? this.#requests.insist.bind(this.#requests) : this.#requests.submit.bind(this.#requests);
    send(`start ${spec.task} ${spec.dedupe?.key ?? spec.alias ?? ''}`, [{ type: 'start', spec }], (answer) => {
      const result = answer.ok ? answer.results[0] : undefined;
      if (result?.type === 'start') this.#checkKey(spec, result);
    });
  }

  #checkKey(spec: StartSpec, result: Extract<CommandResult, { type: 'start' }>): void {
    if (!spec.dedupe) return;
    const { key, untilMs } = spec.dedupe;
    const { checks, tracker } = this.#world;
    const before = this.#keys.get(key);
    if (before && before.untilMs > tracker.latestMs && tracker.get(before.run))
      checks.that(
        'acknowledged',
        spec.alias !== undefined || result.run === before.run,
        () => `key ${key} was answered with ${before.run}, now with ${result.run}`,
      );
    if (!result.deduplicated) this.#keys.set(key, { run: result.run, untilMs });
  }

  #ingest(): void {
    const { rng } = this.#world;
    const events = Array.from({ length: rng.int(1, 3) }, () => ({
      ...eventOf(
        rng.pick(EVENT_NAMES),
        rng.int(0, 9),
        this.#eventId(),
        this.#world.clockMs() + rng.pick([0, 0, 0, 5_000]),
      ),
      ...(rng.chance(0.2) ? { dedupeId: `same-${rng.int(0, 9)}`, dedupeMs: 60_000 } : {}),
      ...(rng.chance(0.2) ? { transient: true } : {}),
    }));
    this.#send(events);
  }

  #send(events: EventInput[]): void {
    this.#requests.insist(`ingest ${events.map(({ name }) => name).join()}`, [{ type: 'ingest', events }], (answer) => {
      const result = answer.ok ? answer.results[0] : undefined;
      if (result?.type === 'ingest') checkIngested(this.#world, events, result.runs);
    });
  }

  /** An event that ends the runs that are guarded by it. */
  #halt(): void {
    const { rng } = this.#world;
    const event = eventOf(HALT, rng.int(0, 9), this.#eventId(), this.#world.clockMs());
    const done = this.#world.transition('ingest halt', (engine) => engine.apply([{ type: 'ingest', events: [event] }]));
    if (done.is === 'done') checkIngested(this.#world, [event], []);
  }

  /** An event or a token that somebody waits for. */
  #feed(): void {
    const { rng } = this.#world;
    for (const tracked of this.#world.tracker.runs.values()) {
      if (tracked.state.status !== 'running' || !rng.chance(0.3)) continue;
      for (const { wait } of tracked.state.pending.values()) {
        if (wait?.kind === 'token')
          this.#requests.insist(`complete ${wait.token}`, [
            {
              type: 'complete-token',
              token: wait.token,
              data: `"${this.#count++}"`,
              ...(rng.chance(0.5) ? { keep: 'latch' } : {}),
            },
          ]);
        else if (wait?.kind === 'event')
          this.#send([eventOf(wait.name, rng.int(0, 9), this.#eventId(), this.#world.clockMs())]);
      }
    }
  }

  #token(): void {
    const { rng } = this.#world;
    const token = rng.pick(SHARED_TOKENS);
    // Completions that queue are counted: sent once only.
    this.#requests.submit(`complete ${token}`, [
      {
        type: 'complete-token',
        token,
        data: rng.chance(0.1) ? null : `"${this.#count++}${'t'.repeat(rng.chance(0.2) ? 900 : 0)}"`,
        ...(rng.chance(0.6) ? { keep: 'queue', keepUntilMs: this.#world.clockMs() + 60_000 } : {}),
        ...(rng.chance(0.2) ? { error: true } : {}),
      },
    ]);
  }

  #cancel(): void {
    const { rng, tracker } = this.#world;
    const running = [...tracker.runs].filter(([, { state }]) => state.status === 'running');
    const [run, tracked] = running.length > 0 ? rng.pick(running) : [];
    if (run === undefined || !tracked) return;
    this.#requests.insist(`cancel ${run}`, [
      {
        type: 'cancel',
        run,
        ...(rng.chance(0.5) ? { reason: 'asked' } : {}),
        ...(rng.chance(0.5) ? { graceMs: rng.pick([1, 5_000]) } : {}),
      },
    ]);
    tracked.disturbed = true;
  }

  #limit(): void {
    const { rng } = this.#world;
    const key = rng.pick([...SHARED_LIMITS, 'branches']);
    const max = rng.int(1, 4);
    const paused = rng.chance(0.2);
    const set = (isPaused: boolean): void =>
      this.facts.change(
        `limit ${key}`,
        `limit ${key} ${max}${isPaused ? ' paused' : ''}`,
        { type: 'set-limit', key, max, paused: isPaused },
        () => () => {
          const now = this.#world.engine.kernel.limits.rules.get(key);
          const held = now?.max === max && now.paused === isPaused;
          return held ? null : `is ${JSON.stringify(now)}, was set to ${max}${isPaused ? ', paused' : ''}`;
        },
      );
    set(paused);
    if (paused) this.#world.after(rng.delayMs(5_000), () => set(false));
  }

  #pause(): void {
    const { rng } = this.#world;
    const scope = rng.pick(pausable(this.#world));
    const starts = rng.chance(0.25) ? 'skip' : 'wait';
    const name = JSON.stringify(scope);
    const paused = (): boolean => this.#world.engine.kernel.limits.rules.pauses().length > 0;
    this.facts.change(
      `pause ${name}`,
      `pause ${name}`,
      { type: 'pause', scope, starts },
      () => () => (paused() ? null : 'is not paused'),
    );
    this.#world.after(rng.delayMs(4_000), () =>
      this.facts.change(`pause ${name}`, `unpause ${name}`, { type: 'unpause', scope }, () => null),
    );
  }

  #reregister(): void {
    const { rng, tasks } = this.#world;
    const group = rng.pick(GROUPS);
    if (rng.chance(0.3)) {
      this.#requests.insist(`unregister ${group}`, [{ type: 'unregister', group }]);
      this.#world.after(rng.delayMs(3_000), () =>
        this.#requests.insist(`register ${group}`, [this.#registration(group)]),
      );
      return;
    }
    for (const task of tasks.values())
      if (task.spec.group === group && rng.chance(0.3)) {
        const spec: TaskSpec = { ...task.spec, name: `${task.spec.id} ${this.#count++}` };
        tasks.set(spec.id, { ...task, spec });
      }
    this.#requests.insist(`register ${group}`, [this.#registration(group)]);
  }

  #schedule(): void {
    const { rng, tasks, db } = this.#world;
    const id = `schedule-${rng.int(0, 3)}`;
    switch (rng.weighted({ cron: 4, once: 3, pause: 3, remove: 2 })) {
      case 'cron':
      case 'once': {
        const once = rng.chance(0.4);
        const schedule = {
          id,
          start: {
            task: rng.pick([...tasks.keys()]),
            input: JSON.stringify({ n: 1, pad: 's'.repeat(rng.chance(0.2) ? 700 : 0) }),
          },
          ...(once
            ? { atMs: this.#world.clockMs() + rng.pick([-1_000, 1, 30_000]) }
            : { cron: rng.pick(['* * * * *', '*/10 * * * *', '30 3 * * *']) }),
          ...(rng.chance(0.5) ? { overlap: 'skip' as const } : {}),
          ...(rng.chance(0.2) ? { delayMs: 500 } : {}),
          ...(rng.chance(0.3) ? { timezone: 'Europe/Berlin' } : {}),
        };
        this.facts.change(
          id,
          `schedule ${id}`,
          { type: 'put-schedule', schedule },
          () => () => (db.all(`SELECT 1 FROM schedules WHERE id = ?`, id).length === 1 ? null : 'is not there'),
        );
        return;
      }
      case 'pause':
        this.#requests.insist(`pause ${id}`, [{ type: 'pause-schedule', id, paused: rng.chance(0.5) }]);
        return;
      case 'remove':
        this.facts.change(
          id,
          `delete ${id}`,
          { type: 'delete-schedule', id },
          () => () => (db.all(`SELECT 1 FROM schedules WHERE id = ?`, id).length === 0 ? null : 'is still there'),
        );
    }
  }

  #deadLetter(): void {
    const { rng, db } = this.#world;
    const letters = db.all<{ id: string; run: string }>(`SELECT id, run FROM dead_letters`);
    const { id, run } = letters.length > 0 ? rng.pick(letters) : { id: 'none', run: 'none' };
    this.#world.settledLetters.add(run);
    this.#requests.insist(`dead letter ${id}`, [
      rng.chance(0.7) ? { type: 'retry-dead-letter', id } : { type: 'delete-dead-letter', id },
    ]);
  }

  /** A run is started anew, from its start, from a position of its history, or from a step. */
  #rerun(): void {
    const { rng, tracker } = this.#world;
    const newest = [...tracker.runs.values()].slice(-50);
    // In a lane, what goes on from another's middle has waits and calls before it has a place.
    const inLanes = newest.filter(({ state }) => state.seq > 0 && this.#world.tasks.get(state.head.task)?.fifo);
    const runs = inLanes.length > 0 && rng.chance(0.5) ? inLanes : newest;
    if (runs.length === 0 || this.started >= this.#maxRuns) return checkReads(this.#world);
    this.started++;
    const { state } = rng.pick(runs);
    const step = state.steps.length > 0 ? rng.pick(state.steps).key : undefined;
    const from =
      step !== undefined && rng.chance(0.5)
        ? { key: step }
        : rng.chance(0.5)
          ? { seq: rng.int(0, Math.max(0, state.seq - 1)) }
          : ('start' as const);
    const reopen = step !== undefined && rng.chance(0.2) ? [step] : [];
    this.#requests.insist(`rerun ${state.head.id} from ${JSON.stringify(from)}`, [
      { type: 'rerun', run: state.head.id, from, reopen },
    ]);
  }

  /** Something is done to many runs. */
  #sweep(): void {
    const { rng, tasks } = this.#world;
    const id = `sweep-${this.#count++}`;
    const filter = {
      ...(rng.chance(0.7) ? { task: rng.pick([...tasks.keys()]) } : {}),
      ...(rng.chance(0.5) ? { label: 'blue' } : {}),
      ...(rng.chance(0.3) ? { expression: 'event.n > 4' } : {}),
    };
    this.#requests.insist(`sweep ${id}`, [{ type: 'sweep', sweep: { id, filter, action: { do: 'cancel' } } }]);
    if (rng.chance(0.2)) this.#requests.insist(`stop ${id}`, [{ type: 'stop-sweep', id, forget: rng.chance(0.5) }]);
  }

  /** Several commands that stand or fall together. */
  #batch(): void {
    const { rng, checks, tracker } = this.#world;
    if (this.started >= this.#maxRuns) return;
    const specs = Array.from({ length: rng.int(1, 4) }, () => ({
      ...makeStart(this.#world, () => this.#count++),
      id: idFor(this.#world.clockMs(), `batch ${this.#count++}`),
    })).map(({ alias: _a, dedupe: _d, ...spec }) => spec);
    this.started += specs.length;
    const bad = rng.chance(0.5);
    const commands: Command[] = specs.map((spec) => ({ type: 'start', spec }));
    if (bad) commands.splice(rng.int(0, commands.length), 0, { type: 'start', spec: { task: 'nothing', input: null } });
    this.#requests.insist(`batch of ${commands.length}${bad ? ', one of them bad' : ''}`, commands, (answer) => {
      checks.that('acknowledged', !(bad && answer.ok), () => 'a batch with a bad command was taken');
      if (!answer.ok)
        for (const { id } of specs)
          checks.that('acknowledged', tracker.get(id) === undefined, () => `run ${id} of a refused batch was started`);
    });
  }

  #record(): void {
    const { rng } = this.#world;
    const id = `record-${rng.int(0, 5)}`;
    const data = JSON.stringify('r'.repeat(rng.pick([3, 1_000])));
    const ifAbsent = rng.chance(0.3);
    const expiresAt = rng.chance(0.5) ? this.#world.clockMs() + rng.pick([1_000, HOUR_MS]) : undefined;
    const stored = (): string | undefined =>
      this.#world.engine.query({ type: 'record', collection: 'notes', id })?.data;
    if (stored() !== undefined && rng.chance(0.2)) {
      this.facts.change(
        id,
        `forget ${id}`,
        { type: 'delete-record', collection: 'notes', id },
        () => () => (stored() === undefined ? null : 'is still there'),
      );
      return;
    }
    const command: Command = {
      type: 'put-record',
      collection: 'notes',
      id,
      data,
      ifAbsent,
      ...(expiresAt === undefined ? {} : { expiresAt }),
    };
    this.facts.change(id, `keep ${id}`, command, (result) => {
      const written = result.type === 'put-record' && result.written;
      return written && expiresAt === undefined ? () => (stored() === data ? null : 'is not what was kept') : null;
    });
  }
}
