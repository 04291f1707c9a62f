import type { Applied } from '../core/engine/engine.ts';
import type { Op } from '../core/model/call.ts';
import type { Command, CommandResult, ResultOf } from '../core/model/command.ts';
import type { HistoryBody } from '../core/model/history.ts';
import { errorCodeOf } from '../core/model/errors.ts';
import { checkDropped } from './checks-admission.ts';
import type { Held } from './tracker.ts';
import type { World } from './world.ts';

export type Answer = { ok: true; results: CommandResult[] } | { ok: false; error: unknown } | { ok: null };

interface Request {
  label: string;
  commands: Command[];
  /** The lease under which a report is sent. */
  held: Held | null;
  answered: (answer: Answer) => void;
}

type ReportCommand = Extract<Command, { type: 'report' }>;

/** What waits at the cell's door. Taken one by one, or together in one commit. */
export class Requests {
  readonly #world: World;
  #waiting: Request[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  submit(
    label: string,
    commands: Command[],
    answered: (answer: Answer) => void = () => {},
    held: Held | null = null,
  ): void {
    this.#waiting.push({ label, commands, held, answered });
    const { rng, calm } = this.#world;
    if (this.#waiting.length === 1 && !calm && rng.chance(0.3)) this.#world.after(rng.int(1, 40), () => this.flush());
    else if (this.#waiting.length === 1 || rng.chance(0.3)) this.flush();
  }

  /** Sends until it is answered: the sender does not know what a crash left of it. */
  insist(label: string, commands: Command[], answered: (answer: Answer) => void = () => {}): void {
    this.submit(label, commands, (answer) => {
      if (answer.ok === null)
        this.#world.after(this.#world.rng.int(1, 500), () => this.insist(label, commands, answered));
      else answered(answer);
    });
  }

  flush(): void {
    const requests = this.#waiting;
    if (requests.length === 0) return;
    this.#waiting = [];
    const { world } = { world: this.#world };
    const expected = requests.map((request) => expectationOf(world, request, requests));
    const label = requests.map((request) => request.label).join(' + ');
    const before = newestEntry(world, requests[0] as Request);
    if (requests.length === 1) {
      const request = requests[0] as Request;
      const done = world.transition(label, (engine) => engine.apply(request.commands), {
        refusable: true,
        applied: (results) => noteFinal(world, request, results),
      });
      if (done.is === 'crashed') request.answered({ ok: null });
      else if (done.is === 'refused') request.answered({ ok: false, error: done.error });
      else {
        if (expected[0] === 'not live') checkOnlySteps(world, request, before);
        settle(world, request, done.value, expected[0] ?? null);
      }
      return;
    }
    const done = world.transition(label, (engine) => engine.applyGroup(requests.map(({ commands }) => commands)), {
      applied: (answers) => {
        for (const [i, answer] of answers.entries())
          if (answer.ok) noteFinal(world, requests[i] as Request, answer.results);
      },
    });
    for (const [i, request] of requests.entries()) {
      if (done.is !== 'done') {
        request.answered({ ok: null });
        continue;
      }
      const answer = done.value[i] as Applied;
      if (answer.ok) settle(world, request, answer.results, expected[i] ?? null);
      else {
        world.checks.that(
          'throws',
          errorCodeOf(answer.error) !== null,
          () => `${request.label} threw ${String((answer.error as Error).stack)}`,
        );
        request.answered(answer);
      }
    }
  }
}

/** Whether the report's lease must count, must not, or may: others in the same commit speak about the same run. */
function expectationOf(world: World, request: Request, all: Request[]): 'live' | 'not live' | null {
  const report = request.commands[0];
  if (report?.type !== 'report' || !request.held || report.run !== request.held.run) return null;
  const { held } = request;
  if (held.standing === 'moot') return null;
  if (
    all.some(
      (other) => other !== request && other.commands.some((command) => 'run' in command && command.run === held.run),
    )
  )
    return null;
  const tracked = world.tracker.get(held.run);
  // Whatever else is in the commit may start the run that takes its place.
  const admit = world.tasks.get(tracked?.state.head.task ?? '')?.spec.admit;
  if (all.length > 1 && admit?.some((rule) => rule.kind === 'single' && rule.taken === 'replace')) return null;
  if (tracked?.state.status !== 'running') return 'not live';
  if (report.attempt !== undefined && report.attempt !== held.attempt) return 'not live';
  return held.standing === 'live' ? 'live' : 'not live';
}

// A final report ends its lease, before anything that the same commit leased.
function noteFinal(world: World, request: Request, results: CommandResult[]): void {
  const report = request.commands[0] as ReportCommand;
  const result = results[0];
  const { held } = request;
  if (!held || result?.type !== 'report' || result.result !== 'live' || !report.final) return;
  held.standing = 'over';
}

function settle(world: World, request: Request, results: CommandResult[], expected: 'live' | 'not live' | null): void {
  const [command] = request.commands;
  const [result] = results;
  if (command?.type === 'report' && result?.type === 'report') {
    if (expected)
      world.checks.that(
        'lease',
        (result.result === 'live') === (expected === 'live'),
        () => `${request.label}: answered "${result.result}", and the lease ${request.held?.lease} is ${expected}`,
      );
    checkKept(world, command, result);
  }
  for (const [i, one] of request.commands.entries()) checkAcknowledged(world, one, results[i] as CommandResult);
  request.answered({ ok: true, results });
}

function newestEntry(world: World, request: Request): number {
  return world.tracker.get(request.held?.run ?? '')?.state.seq ?? 0;
}

/** Under a lease that is over, finished steps are kept and nothing else happens. */
function checkOnlySteps(world: World, request: Request, before: number): void {
  const kinds = world.db
    .all<{ body: string }>(`SELECT body FROM history WHERE run = ? AND seq > ?`, request.held?.run ?? '', before)
    .map(({ body }) => (JSON.parse(body) as HistoryBody).kind);
  world.checks.that(
    'lease',
    kinds.every((kind) => kind === 'step'),
    () => `${request.label}: under lease ${request.held?.lease}, which is over, came ${kinds.join(', ')}`,
  );
}

function checkKept(world: World, report: ReportCommand, result: ResultOf<'report'>): void {
  const tracked = world.tracker.get(report.run);
  if (!tracked || tracked.state.status !== 'running' || result.result === 'ended' || result.result === 'unknown')
    return;
  const all = result.result === 'live' || report.anyLease === true;
  for (const op of report.outcome.ops)
    if (op.op === 'step' && (all || (!op.error && op.key !== '')))
      world.checks.that(
        'acknowledged',
        tracked.state.stepKeys.has(op.key),
        () => `run ${report.run}: step "${op.key}" was acknowledged (${result.result}) and is not memoised`,
      );
  if (!report.final || result.result !== 'live' || report.anyLease) return;
  const group = groupOf(report.outcome.ops);
  if (group.length > 0 && !tracked.state.pending.has('')) tracked.awaiting = group;
}

/** The keys that a main call has asked for as one group. */
function groupOf(ops: Op[]): string[] {
  return ops.flatMap((op) => {
    if (op.op === 'plan') return op.calls.flatMap((call) => (call.again === 'last' ? [call.key] : []));
    return 'again' in op && op.again === 'last' && op.op !== 'step' ? [op.key] : [];
  });
}

function checkAcknowledged(world: World, command: Command, result: CommandResult): void {
  const { db, checks, tracker } = world;
  switch (result.type) {
    case 'start':
      if (result.outcome === 'dropped' && command.type === 'start') checkDropped(world, command.spec.task);
      else
        checks.that(
          'acknowledged',
          tracker.get(result.run) !== undefined,
          () => `started run ${result.run} is not there`,
        );
      break;
    case 'ingest':
      if (command.type === 'ingest' && !command.events.some((event) => event.transient))
        for (const id of result.ids)
          checks.that(
            'acknowledged',
            db.all(`SELECT 1 FROM events WHERE id = ?`, id).length === 1,
            () => `event ${id} is not there`,
          );
      for (const { run } of result.runs)
        checks.that('acknowledged', tracker.get(run) !== undefined, () => `started run ${run} is not there`);
      break;
    case 'cancel': {
      if (command.type !== 'cancel') break;
      const status = tracker.get(command.run)?.state.status;
      checks.that(
        'acknowledged',
        result.result !== 'cancelled' || status === 'cancelled',
        () => `cancelled run ${command.run} is ${status}`,
      );
      break;
    }
  }
}
