import type { Command } from '../core/model/command.ts';
import { Clients, pausable } from './clients.ts';
import { Violation, type Checks } from './invariants.ts';
import { type CoreVariant, loadCore, type SourcePatch, TIGHT, TIGHT_IN_FLIGHT } from './core-variant.ts';
import { Workers, performPush } from './executors.ts';
import { eventOf, fatalWork, idFor, outputOf } from './program.ts';
import { Requests } from './requests.ts';
import { World } from './world.ts';
import { MAX_IN_FLIGHT } from '../core/model/limits.ts';

const DAY_MS = 86_400_000;
const RETENTION_MS = 2 * DAY_MS;
/** Longer than the longest sleep, push lease and backoff of a program one after another. */
const DRAIN_MS = 2_000 * DAY_MS;
const DRAIN_TRANSITIONS = 600_000;
/** Runs whose executor lied may go on for ever: they are cancelled then. */
const PATIENCE_MS = 8 * DAY_MS;

/** Runs of which a failure shows the history. */
const MAX_DESCRIBED = 4;

/** Kinds of faults that can be left out of a world. */
export const FAULTS = ['crashes', 'jumps', 'lies', 'losses'] as const;

export interface SeedResult {
  seed: number;
  transitions: number;
  runs: number;
  crashes: number;
  checks: Checks;
  failure: { violation: Violation; actions: string[]; runs: string[] } | null;
}

export interface SeedOptions {
  seed: number;
  /** Transitions under faults; those of the drain come on top. */
  transitions: number;
  runs: number;
  /** Fault kinds left out. */
  without?: readonly string[];
  patches?: readonly SourcePatch[];
}

const loaded = new Map<string, Promise<CoreVariant>>();

function coreOf(tight: boolean, patches: readonly SourcePatch[]): Promise<CoreVariant> {
  const all = tight ? [...TIGHT, ...patches] : patches;
  const name = JSON.stringify(all.map(({ file, find, replace }) => [file, String(find), replace]));
  let core = loaded.get(name);
  if (!core) loaded.set(name, (core = loadCore(`${loaded.size}`, all)));
  return core;
}

/** One world from one seed: faults first, then calm, until everything has ended and been forgotten. */
export async function simulate(options: SeedOptions): Promise<SeedResult> {
  const { seed, without = [] } = options;
  // Two worlds of three have an engine with small bounds.
  const tight = seed % 3 !== 0;
  const world = new World({
    seed,
    core: await coreOf(tight, options.patches ?? []),
    maxInFlight: tight ? TIGHT_IN_FLIGHT : MAX_IN_FLIGHT,
    retentionMs: RETENTION_MS,
    crashes: !without.includes('crashes'),
    clockJumps: !without.includes('jumps'),
    lies: !without.includes('lies'),
    losses: !without.includes('losses'),
  });
  const requests = new Requests(world);
  const clients = new Clients(world, requests, options.runs);
  let failure: SeedResult['failure'] = null;
  try {
    world.onDispatch = (call, held) => performPush(world, requests, call, held);
    world.onRestart = () => clients.facts.check();
    world.start();
    clients.register();
    clients.start();
    new Workers(world, requests).start();
    while (world.transitions < options.transitions && world.step());
    if (world.transitions >= options.transitions && options.transitions > 0) drain(world, requests);
  } catch (error) {
    const violation = error instanceof Violation ? error : new Violation('throws', String((error as Error).stack));
    failure = { violation, actions: world.actions, runs: describeRuns(world, violation.message) };
  }
  world.db.close();
  const { transitions, crashes, checks, tracker } = world;
  return { seed, transitions, crashes, checks, runs: tracker.runs.size + tracker.deleted, failure };
}

/** What is on disk of the runs that a message names: their histories, and what they have pending. */
function describeRuns({ db }: World, message: string): string[] {
  const ids = [...new Set(message.match(/\b01[0-9A-Z]{24}\b/g))].slice(0, MAX_DESCRIBED);
  return ids.flatMap((id) => [
    `run ${id}: ${JSON.stringify(db.all(`SELECT task, status, head FROM runs WHERE id = ?`, id)[0])}`,
    ...db
      .all<{ seq: number; at: number; body: string }>(
        `SELECT seq, at, body FROM history WHERE run = ? ORDER BY seq`,
        id,
      )
      .map(({ seq, at, body }) => `  ${String(seq).padStart(4)}  ${new Date(at).toISOString()}  ${body}`),
    ...db.all(`SELECT * FROM pending WHERE owner = ?`, id).map((row) => `  pending ${JSON.stringify(row)}`),
  ]);
}

/** No more faults: limits are opened, schedules stopped, waits answered. Then whatever can end must end as its program says. */
function drain(world: World, requests: Requests): void {
  world.note('calm');
  world.calm = true;
  requests.flush();
  world.kill();
  requests.insist('open limits', openLimits(world));
  endAll(world, requests);
  // A registration or a start that was still on its way may have armed a schedule anew, or begun a run.
  const settled = world.timeMs + 60_000;
  while (world.step(settled));
  endAll(world, requests);
  checkOutcomes(world);
  for (const { counter, held } of world.engine.kernel.limits.counters())
    world.checks.that('limit', held === 0, () => `limit ${counter} is still held by ${held}`);
  forget(world);
}

/** Schedules stopped, waits answered, until no run goes on. */
function endAll(world: World, requests: Requests): void {
  const from = world.timeMs;
  const limit = world.transitions + DRAIN_TRANSITIONS;
  let events = 0;
  while (running(world).length > 0) {
    world.checks.that(
      'ends',
      world.timeMs < from + DRAIN_MS && world.transitions < limit,
      () =>
        `still going after ${((world.timeMs - from) / DAY_MS).toFixed(1)} days and ${world.transitions - limit + DRAIN_TRANSITIONS} calm transitions: ${running(
          world,
        )
          .slice(0, 5)
          .map((run) => `${run} with ${JSON.stringify([...(world.tracker.get(run)?.state.pending.values() ?? [])])}`)
          .join('; ')}`,
    );
    // Registrations that were under way bring their crons back.
    for (const { id } of world.db.all<{ id: string }>(`SELECT id FROM schedules`))
      requests.insist(`delete ${id}`, [{ type: 'delete-schedule', id }]);
    for (const run of running(world)) {
      const tracked = world.tracker.get(run);
      if (!tracked) continue;
      if (tracked.lied && world.timeMs > from + PATIENCE_MS)
        requests.insist(`cancel ${run}`, [{ type: 'cancel', run }]);
      for (const { wait } of tracked.state.pending.values()) {
        if (wait?.kind === 'token')
          requests.insist(`complete ${wait.token}`, [{ type: 'complete-token', token: wait.token, data: '"calm"' }]);
        if (wait?.kind === 'event' && tracked.state.status === 'running') {
          const n = world.numbers.get(run) ?? 0;
          requests.insist(`ingest ${wait.name}`, [
            {
              type: 'ingest',
              events: [eventOf(wait.name, n, idFor(world.clockMs(), `calm event ${events++}`), world.clockMs())].map(
                (event) => ({
                  ...event,
                  onlyTask: 'nothing',
                }),
              ),
            },
          ]);
        }
      }
    }
    const next = world.nextAt();
    const until = next === Infinity ? world.timeMs + DAY_MS : Math.max(world.timeMs + 60_000, next);
    while (world.step(until));
    world.timeMs = Math.max(world.timeMs, until);
  }
}

function running(world: World): string[] {
  return [...world.tracker.runs].filter(([, { state }]) => state.status === 'running').map(([run]) => run);
}

function openLimits(world: World): Command[] {
  const { rules } = world.engine.kernel.limits;
  return [
    ...rules.list().map(({ key }): Command => ({ type: 'set-limit', key, max: null, rate: null, paused: false })),
    ...pausable(world).map((scope): Command => ({ type: 'unpause', scope })),
  ];
}

/** Compares each run that went its own way with what its program says. */
function checkOutcomes(world: World): void {
  for (const [run, { state, lied, disturbed }] of world.tracker.runs) {
    const task = world.tasks.get(state.head.task);
    if (!task || lied || disturbed || state.reason === 'skipped') continue;
    const fatal = fatalWork(task.program, state.head.maxAttempts ?? task.spec.maxAttempts);
    if (fatal) {
      world.checks.that(
        'ends',
        state.status === 'failed',
        () => `run ${run} is ${state.status}: ${fatal.key} fails for good`,
      );
      continue;
    }
    const expected = outputOf(task.program, state.steps, world.numbers.get(run) ?? 0);
    const status = task.program.ending === 'complete' ? 'completed' : 'failed';
    world.checks.that(
      'ends',
      state.status === status && state.output === expected,
      () => `run ${run} is ${state.status} with ${String(state.output)}, expected ${status} with ${expected}`,
    );
    for (const step of state.steps) {
      const child = step.source === 'run' && step.from ? world.tracker.get(step.from.run) : undefined;
      if (child)
        world.checks.that(
          'ends',
          child.state.output === step.data,
          () =>
            `run ${run}, "${step.key}": the child ended with ${String(child.state.output)}, its parent has ${String(step.data)}`,
        );
    }
  }
}

/** After the retention nothing is left. */
function forget(world: World): void {
  world.note('retention');
  for (const { id } of world.db.all<{ id: string }>(`SELECT id FROM schedules`))
    world.transition(`delete ${id}`, (engine) => engine.apply([{ type: 'delete-schedule', id }]));
  const until = world.timeMs + RETENTION_MS + DAY_MS;
  while (world.tracker.runs.size > 0 && world.timeMs < until + 2 * DAY_MS && world.step(until + 2 * DAY_MS));
  const { db, checks } = world;
  checks.that(
    'retention',
    world.tracker.runs.size === 0,
    () => `${world.tracker.runs.size} runs are still there: ${[...world.tracker.runs.keys()].slice(0, 3).join()}`,
  );
  while (world.step(world.timeMs + 2 * DAY_MS) && world.timeMs < until + 4 * DAY_MS);
  for (const table of ['runs', 'history', 'labels', 'names', 'events', 'dead_letters', 'schedules', 'log', 'rates'])
    checks.that(
      'retention',
      count(db, table) === 0,
      () =>
        `${count(db, table)} rows are left in ${table}: ${JSON.stringify(db.all(`SELECT * FROM ${table} LIMIT 2`)).slice(0, 400)}`,
    );
  const records = db
    .all<{ id: string }>(`SELECT collection || ':' || id AS id FROM records`)
    .map(({ id }) => `k:${id}`);
  const stray = db
    .all<{ owner: string }>(`SELECT DISTINCT owner FROM chunks`)
    .find(({ owner }) => !records.includes(owner));
  checks.that('retention', stray === undefined, () => `chunks of ${stray?.owner} are left`);
  const pending = db.all(`SELECT owner FROM pending WHERE owner <> '$retention'`);
  checks.that('pending', pending.length === 0, () => `left pending: ${JSON.stringify(pending)}`);
}

function count(db: World['db'], table: string): number {
  return db.all<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)[0]?.n ?? 0;
}
