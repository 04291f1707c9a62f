import type { LeasedCall } from '../core/model/call.ts';
import type { EventInput } from '../core/model/event.ts';
import type { Admission } from '../core/model/task.ts';
import { mostWithin } from './checks-flow.ts';
import type { Tracked } from './tracker.ts';
import type { World } from './world.ts';

/** Which run works on an event, by task and event: as calls showed it. */
export type Claims = Map<string, string>;

interface EventRow extends Record<string, string | number | null> {
  name: string;
  ts: number;
  received_at: number;
  body: string;
}

function ruleOf<K extends Admission['kind']>(
  world: World,
  task: string,
  kind: K,
): Extract<Admission, { kind: K }> | undefined {
  return world.tasks.get(task)?.spec.admit?.find((rule): rule is Extract<Admission, { kind: K }> => rule.kind === kind);
}

function storedEvent(world: World, id: string | undefined): EventRow | undefined {
  return id === undefined
    ? undefined
    : world.db.all<EventRow>(`SELECT name, ts, received_at, body FROM events WHERE id = ?`, id)[0];
}

function numberIn(body: string): unknown {
  return (JSON.parse(body) as { data?: { n?: unknown } }).data?.n;
}

/** A run that collected shows all that it has, and each of its events to nobody else. */
export function checkEvents(world: World, call: LeasedCall): void {
  const { head } = (world.tracker.get(call.run) as Tracked).state;
  const rule = ruleOf(world, head.task, 'batch') ?? ruleOf(world, head.task, 'debounce');
  if (!rule) return;
  world.checks.that(
    'admission',
    head.window === null && call.events.map((event) => event.id).join() === head.eventIds.join(),
    () =>
      `run ${call.run} is called with ${call.events.map((event) => event.id).join()}, it has ${head.eventIds.join()}`,
  );
  if (rule.kind === 'batch')
    world.checks.that('admission', head.eventIds.length <= rule.size, () => `run ${call.run} has too many events`);
  // A letter that is tried again takes the events of its run.
  if (head.from) return;
  for (const { id } of call.events) {
    const key = `${head.task} ${id}`;
    const other = world.claims.get(key) ?? call.run;
    world.claims.set(key, call.run);
    world.checks.that('admission', other === call.run, () => `event ${id} is ${other}'s and ${call.run}'s`);
  }
}

/** What an acknowledged event did: it is in its runs, and those that it was to cancel are over. */
export function checkIngested(
  world: World,
  events: EventInput[],
  runs: Array<{ event: string; task: string; run: string }>,
): void {
  const { tracker, checks } = world;
  for (const { event, task, run } of runs) {
    const state = tracker.get(run)?.state;
    if (!state) continue;
    const holds = state.head.eventIds.includes(event);
    const debounce = ruleOf(world, task, 'debounce');
    // Who keeps the first puts it off; who keeps the last has it, or a later one.
    const kept = debounce && storedEvent(world, state.head.eventIds[0]);
    const sent = debounce && storedEvent(world, event);
    const newer = debounce !== undefined && (debounce.keep === 'first' || !kept || !sent || kept.ts >= sent.ts);
    checks.that(
      'admission',
      holds || newer,
      () => `event ${event} is not in run ${run} of ${task}, which it was told to be in`,
    );
  }
  for (const { id } of events) {
    const event = storedEvent(world, id);
    if (!event || id === undefined || world.knownEvents.has(id)) continue;
    world.knownEvents.add(id);
    for (const [run, tracked] of tracker.runs) {
      const { head, status } = tracked.state;
      if (status !== 'running' || tracked.standsMs === null || tracked.standsMs >= event.received_at) continue;
      const guard = head.guards?.cancelOn?.find(({ name }) => name === event.name);
      // Its time may have been over before the clock was set back.
      if (!guard || tracker.latestMs >= tracked.standsMs + (guard.withinMs ?? Infinity)) continue;
      const own = storedEvent(world, head.eventIds[0]);
      const holds =
        guard.expression === undefined || (own !== undefined && numberIn(own.body) === numberIn(event.body));
      checks.that('guard', !holds, () => `run ${run} goes on, though ${event.name} (${id}) was to cancel it`);
    }
  }
}

/** A run that a guard ended was to be ended by it. */
export function checkEnded(world: World, run: string): void {
  const { state, standsMs, begunMs } = world.tracker.get(run) as Tracked;
  const { head, reason, endedAt } = state;
  const at = endedAt ?? 0;
  switch (reason) {
    case 'cancelled-by-event': {
      const own = storedEvent(world, head.eventIds[0]);
      const cause = world.db
        .all<EventRow>(`SELECT name, ts, received_at, body FROM events WHERE received_at = ?`, at)
        .some((event) =>
          head.guards?.cancelOn?.some(
            (guard) =>
              guard.name === event.name &&
              (guard.expression === undefined || (own !== undefined && numberIn(own.body) === numberIn(event.body))),
          ),
        );
      world.checks.that('guard', cause, () => `run ${run} was cancelled by no event, at ${at}`);
      return;
    }
    case 'start-timeout':
    case 'finish-timeout': {
      const within = reason === 'start-timeout' ? head.guards?.startWithinMs : head.guards?.finishWithinMs;
      world.checks.that(
        'guard',
        within !== undefined &&
          // The deadline counts from the first start; a clock that was set back since makes that earlier than the run.
          at >=
            Math.min(standsMs ?? 0, reason === 'finish-timeout' ? (begunMs ?? state.startedAt ?? Infinity) : Infinity) +
              within &&
          (reason === 'finish-timeout' || state.steps.length === 0),
        () => `run ${run} ended by its ${reason} at ${at}, it stood at ${standsMs}`,
      );
    }
  }
}

/** A start that was not dropped was within what its task lets start. Times of a clock that was set on and back since are forgotten by now. */
export function checkStarted(world: World, run: string): void {
  const { head } = (world.tracker.get(run) as Tracked).state;
  const rule = ruleOf(world, head.task, 'once') ?? ruleOf(world, head.task, 'rate');
  if (!rule || head.from) return;
  const spanMs = rule.kind === 'once' ? rule.ttlMs : rule.bound.periodMs;
  if (head.createdAt - spanMs <= world.setBackFromMs) return;
  let within = 0;
  for (const { state } of world.tracker.runs.values()) {
    const { task, createdAt, from } = state.head;
    if (task === head.task && !from && createdAt > head.createdAt - spanMs && createdAt <= head.createdAt) within++;
  }
  const most = rule.kind === 'once' ? 1 : mostWithin(rule.bound);
  world.checks.that(
    'admission',
    within <= most,
    () => `${head.task} has started ${within} runs within ${spanMs} ms, at most ${most}: the last is ${run}`,
  );
}

/** Only what may be dropped is. */
export function checkDropped(world: World, task: string): void {
  world.checks.that(
    'admission',
    (ruleOf(world, task, 'once') ?? ruleOf(world, task, 'rate')) !== undefined &&
      [...world.tracker.runs.values()].some(({ state }) => state.head.task === task),
    () => `a start of ${task} was dropped`,
  );
}

/** A key has one run, and every guard that has not had its time stands. */
export function checkStanding(world: World): void {
  const { tracker, checks, db } = world;
  const live = new Map<string, string>();
  for (const [run, { state, standsMs }] of tracker.runs) {
    const { head } = state;
    if (state.status !== 'running' || standsMs === null) continue;
    if (ruleOf(world, head.task, 'single') && !head.from) {
      const other = live.get(head.task) ?? run;
      live.set(head.task, run);
      checks.that('admission', other === run, () => `${head.task} has two runs at once: ${other} and ${run}`);
    }
    if (!head.guards) continue;
    const keys = new Set(
      db.all<{ key: string }>(`SELECT key FROM pending WHERE owner = ?`, `guard:${run}`).map(({ key }) => key),
    );
    const { cancelOn = [], finishWithinMs } = head.guards;
    for (const [i, { withinMs }] of cancelOn.entries())
      checks.that(
        'guard',
        keys.has(`on:${i}`) || (withinMs !== undefined && tracker.latestMs >= standsMs + withinMs),
        () => `run ${run} has lost its guard ${i}`,
      );
    checks.that(
      'guard',
      finishWithinMs === undefined || state.startedAt === null || keys.has('finish'),
      () => `run ${run} has begun, and nothing ends it in time`,
    );
  }
}
