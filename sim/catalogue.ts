import type { LimitTemplate, TaskSpec } from '../core/model/task.ts';
import type { Branch, Program, Stage, Work } from './program.ts';
import type { Rng } from './rng.ts';

export const EVENT_NAMES = ['order/made', 'order/paid', 'ping'] as const;
export const SHARED_TOKENS = ['gate', 'door'] as const;
export const POOLS = ['east', 'west'] as const;
/** Limits that several tasks share; clients change their bounds. */
export const SHARED_LIMITS = ['shared', 'runs'] as const;
export const GROUPS = ['app', 'jobs'] as const;

export interface SimTask {
  spec: TaskSpec;
  program: Program;
  /** Strict order: one run at a time, from first lease to end. */
  fifo: string | null;
}

/** What the executor does beyond the program: read by the translator of the simulation when a run ends. */
export interface EndingData {
  deadLetter: boolean;
  finishedEvent: boolean;
  cleanup: string | null;
}

/** What a world has most of: what is rare everywhere would meet itself nowhere. */
export const THEMES = ['even', 'lanes', 'workers', 'rates'] as const;
export type Theme = (typeof THEMES)[number];

/** A world's tasks. A task's children come before it, so that no two wait for each other. */
export function makeTasks(rng: Rng, theme: Theme): SimTask[] {
  const tasks: SimTask[] = [];
  const count = rng.int(5, 9);
  for (let i = 0; i < count; i++) {
    // A parent that holds a place must not wait for a child that needs one too.
    const children = tasks
      .filter(({ spec }) => spec.limits.every(({ hold }) => hold === 'call'))
      .map(({ spec }) => spec.id);
    tasks.push(makeTask(rng, theme, `task${i}`, children));
  }
  return tasks;
}

function makeTask(rng: Rng, theme: Theme, id: string, children: string[]): SimTask {
  const pull = rng.chance(theme === 'workers' ? 0.7 : 0.3);
  const { limits, fifo } = makeLimits(rng, theme, id, pull);
  const program = makeProgram(rng, children);
  const ending: EndingData = {
    deadLetter: rng.chance(0.5),
    finishedEvent: rng.chance(0.3),
    cleanup: children.length > 0 && rng.chance(0.2) ? rng.pick(children) : null,
  };
  const spec: TaskSpec = {
    id,
    group: rng.pick(GROUPS),
    name: id,
    executor: 'simulated',
    mode: pull ? 'pull' : 'push',
    ...(pull ? { pool: rng.pick(POOLS) } : {}),
    triggers: rng.chance(0.35)
      ? [
          rng.chance(0.6)
            ? {
                kind: 'event',
                pattern: rng.pick([...EVENT_NAMES, 'order/*']),
                ...(rng.chance(0.4) ? { expression: 'event.data.n % 2 == 0' } : {}),
              }
            : {
                kind: 'cron',
                cron: rng.pick(['*/5 * * * *', '0 * * * *']),
                ...(rng.chance(0.3) ? { jitterMs: 2000 } : {}),
              },
        ]
      : [],
    maxAttempts: rng.int(1, 4),
    retry: rng.chance(0.5)
      ? { kind: 'constant', delayMs: rng.pick([0, 200, 3000]) }
      : { kind: 'exponential', factor: 2, minMs: 100, maxMs: 20_000, randomize: true },
    limits,
    ...(!pull && rng.chance(0.9) ? { leaseMs: rng.pick([2_000, 10_000, 40_000]) } : {}),
    data: JSON.stringify(ending),
  };
  return { spec, program, fifo };
}

function makeLimits(
  rng: Rng,
  theme: Theme,
  id: string,
  pull: boolean,
): { limits: LimitTemplate[]; fifo: string | null } {
  switch (
    rng.weighted({ none: 40, shared: 15, own: 10, fifo: theme === 'lanes' ? 160 : 20, runs: 10, keyed: 10, both: 10 })
  ) {
    case 'none':
      return { limits: [], fifo: null };
    case 'shared':
      return { limits: [{ key: 'shared', max: 2, hold: 'call' }], fifo: null };
    case 'own':
      return { limits: [{ key: id, max: 1, hold: 'call' }], fifo: null };
    case 'fifo': {
      const lane = `${pull ? 'pull' : 'push'}-${id}`;
      return { limits: [{ key: lane, max: 1, hold: 'run' }], fifo: lane };
    }
    case 'runs':
      return { limits: [{ key: 'runs', max: 3, hold: 'run' }], fifo: null };
    case 'keyed':
      return { limits: [{ key: `${id}-key`, max: 1, hold: 'call', expression: 'event.data.n % 3' }], fifo: null };
    case 'both':
      return {
        limits: [
          { key: `${id}-runs`, max: 2, hold: 'run' },
          { key: 'shared', max: 2, hold: 'call' },
        ],
        fifo: null,
      };
  }
}

function makeProgram(rng: Rng, children: string[]): Program {
  // A message: one call, delivered or not.
  if (rng.chance(0.15))
    return { stages: [], failures: rng.chance(0.5) ? 0 : rng.int(1, 4), ending: rng.chance(0.9) ? 'complete' : 'fail' };
  let count = 0;
  const key = (): string => `k${count++}`;
  const work = (): Work => ({
    key: key(),
    failures: rng.chance(0.75) ? 0 : rng.int(1, 3),
    exhausted: rng.chance(0.7) ? 'memo' : 'fail',
    maxAttempts: null,
    padding: rng.chance(0.1) ? rng.int(100, 1500) : 0,
  });
  const stages: Stage[] = [];
  const length = rng.int(0, 4);
  for (let i = 0; i < length; i++)
    switch (rng.weighted({ step: 40, checkpoint: 15, group: 45 })) {
      case 'step': {
        const spawns = children.length > 0 && rng.chance(0.25) ? rng.pick(children) : null;
        const step = work();
        stages.push({
          kind: 'step',
          step,
          emits: rng.chance(0.1) ? rng.pick(EVENT_NAMES) : null,
          spawns,
          asksAgain: rng.chance(0.15),
        });
        if (spawns === null || rng.chance(0.3)) break;
        // Long enough for many a child to have ended when it is waited for.
        if (rng.chance(0.7))
          stages.push({ kind: 'group', again: 'each', branches: [{ kind: 'sleep', key: key(), ms: 4_000 }] });
        stages.push({ kind: 'group', again: 'last', branches: [{ kind: 'join', key: key(), spawnedBy: step.key }] });
        break;
      }
      case 'checkpoint':
        stages.push({ kind: 'checkpoint', keys: Array.from({ length: rng.int(1, 3) }, key) });
        break;
      case 'group': {
        const size = rng.chance(0.4) ? 1 : rng.int(2, 4);
        const branches = Array.from({ length: size }, () => makeBranch(rng, key, work, children));
        stages.push({ kind: 'group', again: rng.pick(['each', 'last']), branches });
        break;
      }
    }
  return { stages, failures: 0, ending: rng.chance(0.9) ? 'complete' : 'fail' };
}

function makeBranch(rng: Rng, key: () => string, work: () => Work, children: string[]): Branch {
  const timeoutMs = rng.chance(0.6) ? rng.int(1, 30_000) : null;
  switch (rng.weighted({ call: 50, sleep: 20, event: 15, child: children.length > 0 ? 15 : 0, token: 15 })) {
    case 'call': {
      const piece = work();
      return {
        kind: 'call',
        key: piece.key,
        work: { ...piece, maxAttempts: rng.chance(0.3) ? rng.int(1, 3) : null },
        then: rng.chance(0.2) ? key() : null,
        limit: rng.chance(0.25)
          ? rng.pick([
              { key: 'branches', max: 2, hold: 'call' },
              // Held by the run until this call is resolved.
              { key: 'parts', max: 2, hold: 'run' },
            ])
          : null,
      };
    }
    case 'sleep':
      return { kind: 'sleep', key: key(), ms: rng.pick([0, -5, 1, 500, 5_000, 60_000, 3_600_000]) };
    case 'event':
      return { kind: 'event', key: key(), name: rng.pick(EVENT_NAMES), matched: rng.chance(0.6), timeoutMs };
    case 'child':
      return { kind: 'child', key: key(), task: rng.pick(children) };
    case 'token': {
      const shared = rng.chance(0.25) ? rng.pick(SHARED_TOKENS) : null;
      const exclusive = shared !== null && rng.chance(0.5) ? rng.pick(['fail', 'replace'] as const) : null;
      return { kind: 'token', key: key(), shared, exclusive, timeoutMs };
    }
  }
}
