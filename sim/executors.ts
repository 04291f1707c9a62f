import type { LeasedCall, Op } from '../core/model/call.ts';
import type { Command } from '../core/model/command.ts';
import { POOLS } from './catalogue.ts';
import { type Caller, execute, type Execution, numberOf } from './program.ts';
import type { Requests } from './requests.ts';
import type { Held, Tracked } from './tracker.ts';
import type { World } from './world.ts';

/** Performs push calls: mostly as it should, now and then late, twice, never, halfway, or with a lie. */
export function performPush(world: World, requests: Requests, call: LeasedCall, held: Held): void {
  const { rng, calm, options } = world;
  const manner = calm
    ? 'honest'
    : rng.weighted({
        honest: 70,
        late: options.losses ? 6 : 0,
        twice: options.losses ? 6 : 0,
        never: options.losses ? 4 : 0,
        halfway: options.losses ? 4 : 0,
        posted: 6,
        lie: options.lies ? 5 : 0,
      });
  const execution = executionOf(world, call);
  const took = rng.delayMs(150);
  switch (manner) {
    case 'never':
      return;
    case 'halfway':
      return sendProgress(world, requests, call, held, execution, took);
    case 'late':
      return answer(world, requests, call, held, execution, rng.int(2_000, 60_000));
    case 'twice':
      answer(world, requests, call, held, execution, took);
      // The second time the work was done anew, and gave something else.
      return answer(world, requests, call, held, executionOf(world, call), took + rng.delayMs(2_000));
    case 'posted':
      return post(world, requests, call, held, execution, took);
    case 'lie': {
      const tracked = world.tracker.get(call.run) as Tracked;
      tracked.lied = true;
      return answer(world, requests, call, held, { progress: [], final: lie(world, call, execution) }, took);
    }
    case 'honest':
      return answer(world, requests, call, held, execution, took);
  }
}

function executionOf(world: World, call: LeasedCall, more: Partial<Caller> = {}): Execution {
  const program = world.tasks.get(call.task.id)?.program ?? { stages: [], failures: 0, ending: 'complete' };
  const n = numberOf(call);
  const before = world.numbers.get(call.run) ?? n;
  world.checks.that(
    'acknowledged',
    n === before,
    () => `run ${call.run} was started with ${before}, now it shows ${n}`,
  );
  world.numbers.set(call.run, n);
  return execute(program, call, {
    n,
    execution: world.executions++,
    nowMs: world.clockMs(),
    quiet: world.calm,
    ...more,
  });
}

function reportOf(call: LeasedCall, held: Held, ops: Op[], final: boolean): Command {
  return {
    type: 'report',
    run: call.run,
    lease: held.lease,
    outcome: { ops },
    final,
    ...(held.pull ? { attempt: call.attempt } : {}),
  };
}

function labelOf(call: LeasedCall, ops: Op[], final: boolean): string {
  const what = ops.map((op) => ('key' in op ? `${op.op} ${op.key}` : op.op)).join(', ');
  return `report ${call.run} "${call.key}" ${final ? 'final' : 'progress'} [${what}]`;
}

function sendProgress(
  world: World,
  requests: Requests,
  call: LeasedCall,
  held: Held,
  execution: Execution,
  took: number,
): void {
  for (const [i, ops] of execution.progress.entries()) {
    // On the way a report may get lost: then its steps are done again.
    if (world.options.losses && !world.calm && world.rng.chance(0.05)) continue;
    world.after((took * (i + 1)) / (execution.progress.length + 1), () =>
      requests.submit(labelOf(call, ops, false), [reportOf(call, held, ops, false)], undefined, held),
    );
  }
}

function answer(
  world: World,
  requests: Requests,
  call: LeasedCall,
  held: Held,
  execution: Execution,
  took: number,
): void {
  sendProgress(world, requests, call, held, execution, took);
  const ops = execution.final;
  const send = (): void =>
    requests.submit(
      labelOf(call, ops, true),
      [reportOf(call, held, ops, true)],
      (reply) => {
        // Refused whole: what a Dispatcher reports then is a failure.
        if (reply.ok !== false) return;
        (world.tracker.get(call.run) as Tracked).disturbed = true;
        requests.submit(
          `report ${call.run} "${call.key}" refused`,
          [reportOf(call, held, [{ op: 'fail', error: '"refused"', retry: 'never' }], true)],
          undefined,
          held,
        );
      },
      held,
    );
  world.after(took, send);
}

/** The result is sent beside the call, insistently; the call itself ends without a word, before or after. */
function post(
  world: World,
  requests: Requests,
  call: LeasedCall,
  held: Held,
  execution: Execution,
  took: number,
): void {
  const tracked = world.tracker.get(call.run) as Tracked;
  const { final } = execution;
  // A failure is no result, and what follows a call of its own only its own answer can say.
  if (call.key !== '' || final.length === 0 || final.some((op) => op.op === 'fail'))
    return answer(world, requests, call, held, execution, took);
  tracked.owed++;
  sendProgress(world, requests, call, held, execution, took);
  world.after(took + world.rng.int(0, 20), () =>
    requests.insist(
      `post ${labelOf(call, final, false)}`,
      [{ type: 'report', run: call.run, outcome: { ops: final }, final: false, anyLease: true }],
      (reply) => {
        tracked.owed--;
        // What was refused does not come again: nobody goes on with this run.
        if (!reply.ok) tracked.lied = true;
      },
    ),
  );
  world.after(took + world.rng.int(0, 20), () =>
    requests.submit(labelOf(call, [], true), [reportOf(call, held, [], true)], undefined, held),
  );
}

/** What no program says. The engine has to keep its own rules all the same. */
function lie(world: World, call: LeasedCall, execution: Execution): Op[] {
  const { rng } = world;
  const known = [...call.pending, ...call.steps.map((step) => step.key), call.key, '$expire'];
  const key = (): string => (rng.chance(0.7) ? rng.pick(known) : `made-up-${rng.int(0, 3)}`);
  const others = [...world.tracker.runs.keys()];
  const one = (): Op => {
    switch (
      rng.weighted({
        step: 20,
        plan: 15,
        sleep: 10,
        token: 5,
        run: 8,
        fail: 8,
        again: 8,
        complete: 8,
        note: 5,
        start: 3,
        error: 5,
      })
    ) {
      case 'step':
        return {
          op: 'step',
          key: key(),
          data: `"lie ${world.executions}"`,
          again: rng.pick(['none', 'each', 'last']),
          ...(rng.chance(0.2) ? { then: { key: key() } } : {}),
        };
      case 'error':
        return { op: 'step', key: key(), data: '"bad"', error: true };
      case 'plan':
        return {
          op: 'plan',
          calls: Array.from({ length: rng.int(1, 3) }, () => ({
            key: key(),
            again: rng.pick(['none', 'each', 'last'] as const),
            ...(rng.chance(0.3) ? { limits: [{ key: 'branches', max: 2, hold: 'call' as const }] } : {}),
          })),
        };
      case 'sleep':
        return {
          op: 'sleep',
          key: key(),
          untilMs: world.clockMs() + rng.int(-1_000, 5_000),
          ...(rng.chance(0.2) ? { then: { key: key() } } : {}),
        };
      case 'token':
        return {
          op: 'wait-token',
          key: key(),
          token: 'gate',
          exclusive: rng.pick(['fail', 'replace']),
          untilMs: world.clockMs() + 5_000,
        };
      case 'run':
        return {
          op: 'wait-run',
          key: key(),
          run: rng.chance(0.7) ? rng.pick(others) : 'nobody',
          untilMs: world.clockMs() + 60_000,
        };
      case 'fail':
        return {
          op: 'fail',
          error: '"lie"',
          retry: rng.pick(['never', 'policy']),
          ...(rng.chance(0.5) ? { memoKey: key() } : {}),
        };
      case 'again':
        return { op: 'again' };
      case 'complete':
        return { op: 'complete', output: '"lie"' };
      case 'note':
        return { op: 'note', name: 'log', data: 'x'.repeat(rng.int(0, 900)) };
      case 'start':
        return { op: 'start', spec: { task: rng.pick(['nothing', 'task0']), input: '{"n":3}' } };
    }
  };
  if (rng.chance(0.1)) return [];
  const ops = Array.from({ length: rng.int(1, 5) }, one);
  return rng.chance(0.3) ? [...ops, ...execution.final, ...execution.final] : ops;
}

/** Workers of both pools: they ask, hold, extend, vanish, and report late or twice. */
export class Workers {
  readonly #world: World;
  readonly #requests: Requests;

  constructor(world: World, requests: Requests) {
    this.#world = world;
    this.#requests = requests;
  }

  start(): void {
    for (const pool of POOLS) for (let i = 0; i < 2; i++) this.#ask(pool, `${pool}-${i}`);
    // Where all goes well a worker waits to be told, so that a word that is missing shows.
    this.#world.onReady = (pool) => {
      if (this.#world.calm) this.#world.after(this.#world.rng.int(1, 50), () => this.#lease(pool, `${pool}-0`));
    };
  }

  #ask(pool: string, holder: string): void {
    const world = this.#world;
    world.after(world.rng.delayMs(600), () => {
      if (world.calm) return;
      this.#lease(pool, holder);
      this.#ask(pool, holder);
    });
  }

  #lease(pool: string, holder: string): void {
    const world = this.#world;
    const holdMs = world.calm ? 30_000 : world.rng.pick([0, 500, 5_000, 5_000, 30_000]);
    const max = world.rng.int(1, 3);
    world.signalled.delete(pool);
    world.transition(
      `lease ${pool} up to ${max} for ${holdMs} ms`,
      (engine) => engine.lease({ pool, max, holdMs, holder }),
      {
        applied: (calls) => {
          // A full hand: there may be more.
          if (calls.length === max) world.ready([pool]);
          const until = world.engine.kernel.now + holdMs;
          for (const call of calls) world.handOut(call, until, (held) => this.#work(call, held, holdMs));
        },
      },
    );
  }

  #work(call: LeasedCall, held: Held, holdMs: number): void {
    const world = this.#world;
    const { rng, calm, options } = world;
    const manner = calm
      ? 'honest'
      : rng.weighted({
          honest: 60,
          extends: 15,
          vanishes: options.losses ? 6 : 0,
          late: options.losses ? 8 : 0,
          twice: options.losses ? 6 : 0,
          lie: options.lies ? 4 : 0,
        });
    const execution = (): Execution =>
      executionOf(
        world,
        call,
        rng.chance(0.3) ? { keepLeaseUntilMs: world.clockMs() + rng.pick([0, 3_000, 20_000]) } : {},
      );
    const took = rng.delayMs(Math.max(20, holdMs / 3));
    if (rng.chance(0.3))
      sendProgress(world, this.#requests, call, held, { progress: [[{ op: 'begin' }]], final: [] }, took);
    switch (manner) {
      case 'vanishes':
        return;
      case 'late':
        return this.#answer(call, held, execution(), holdMs + rng.int(1, 20_000));
      case 'twice':
        this.#answer(call, held, execution(), took);
        return this.#answer(call, held, execution(), took + rng.delayMs(1_000));
      case 'extends': {
        const times = rng.int(1, 3);
        for (let i = 1; i <= times; i++)
          world.after((holdMs * i) / 2, () => this.#extend(held, rng.pick([-5, 100, holdMs, holdMs])));
        return this.#answer(call, held, execution(), (holdMs * times) / 2 + took);
      }
      case 'lie':
        (world.tracker.get(call.run) as Tracked).lied = true;
        return this.#answer(call, held, { progress: [], final: lie(world, call, execution()) }, took);
      case 'honest':
        return this.#answer(call, held, execution(), took);
    }
  }

  #extend(held: Held, byMs: number): void {
    const world = this.#world;
    const untilMs = world.clockMs() + byMs;
    const wasLive = held.standing === 'live';
    world.transition(
      `extend ${held.run} ${held.lease} by ${byMs}`,
      (engine) => engine.apply([{ type: 'extend', run: held.run, lease: held.lease, untilMs }]),
      {
        applied: ([result]) => {
          if (result?.type !== 'extend') return;
          if (held.standing !== 'moot')
            world.checks.that(
              'lease',
              (result.result === 'live') === wasLive,
              () => `extend ${held.lease}: answered "${result.result}"`,
            );
          const tracked = world.tracker.get(held.run);
          // Until now or earlier: the worker gives it back.
          if (result.result === 'live' && (untilMs <= world.engine.kernel.now || !tracked?.state.cancelling))
            held.until = untilMs;
        },
      },
    );
  }

  #answer(call: LeasedCall, held: Held, execution: Execution, took: number): void {
    const world = this.#world;
    sendProgress(world, this.#requests, call, held, execution, took);
    const ops = execution.final;
    world.after(took, () => {
      const attempt = held.attempt;
      const send = (left: number): void =>
        this.#requests.submit(
          labelOf(call, ops, true),
          [reportOf(call, held, ops, true)],
          (reply) => {
            if (reply.ok === null && left > 0) world.after(200, () => send(left - 1));
            // The lease is kept for the retry: the same worker makes it.
            const kept =
              reply.ok &&
              held.standing === 'live' &&
              held.attempt === attempt + 1 &&
              reply.results[0]?.type === 'report' &&
              reply.results[0].result === 'live';
            if (kept) this.#retry(call, held);
          },
          held,
        );
      send(3);
    });
  }

  #retry(call: LeasedCall, held: Held): void {
    const detail = this.#world.engine.query({ type: 'run-detail', run: call.run });
    if (!detail) return;
    const again: LeasedCall = {
      ...call,
      attempt: held.attempt,
      steps: detail.steps,
      pending: detail.pending.map((pending) => pending.key).filter((key) => key !== call.key),
    };
    this.#answer(again, held, executionOf(this.#world, again), this.#world.rng.delayMs(300));
  }
}
