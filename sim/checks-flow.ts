import type { Engine } from '../core/engine/engine.ts';
import type { LeasedCall } from '../core/model/call.ts';
import { counterOf, type Rate, type RateBound } from '../core/model/limit.ts';
import type { LimitSpec } from '../core/model/task.ts';
import type { Held, Tracked } from './tracker.ts';
import type { World } from './world.ts';

/** Limits held by runs: who has a place, by limit. */
export type Places = Map<string, Set<string>>;

interface Bound {
  max: number;
  paused: boolean;
}

/** What was in force when a call was handed out: a group of requests that is taken one by one may change it before it is looked at. */
export interface Terms {
  paused: boolean;
  bounds: ReadonlyMap<string, Bound>;
}

export function termsOf(kernel: Engine['kernel'], call: LeasedCall): Terms | null {
  const handle = kernel.find(call.run);
  if (!handle) return null;
  const { rules } = kernel.limits;
  return {
    paused: rules.anyPause && rules.pausesOver(call.task.id, handle.state.pool).some(({ inForce }) => inForce),
    bounds: new Map(
      kernel.places.limitsOfCall(handle, call.key).map((limit) => [counterOf(limit), kernel.limits.bound(limit)]),
    ),
  };
}

/** A call that was just leased must have had room in each of its limits. Counted from what the world was handed, not from the engine's book. */
export function checkLimitsTaken(world: World, held: Held, terms: Terms | null): void {
  const { tracker } = world;
  const tracked = tracker.get(held.run) as Tracked;
  const { head } = tracked.state;
  world.checks.that('limit', !terms?.paused, () => `run ${held.run} of ${head.task} is called while it is paused`);
  for (const spec of held.limits)
    if (spec.rate && !(spec.rate.takes === 'first-call' && tracked.everLeased)) checkRate(world, spec, spec.rate);
  tracked.everLeased = true;
  for (const spec of held.limits) {
    if (spec.hold === 'run') {
      takePlace(world, held.run, spec, terms?.bounds.get(counterOf(spec)));
      continue;
    }
    let count = 0;
    for (const other of tracker.runs.values())
      for (const lease of other.held.values())
        if (lease.standing === 'live' && lease.limits.some((other) => counterOf(other) === counterOf(spec))) count++;
    checkRoom(world, spec, count, 'calls', terms?.bounds.get(counterOf(spec)));
  }
}

/** A run takes its place in a limit when its first call is leased, or while that waits for another limit. */
function takePlace(world: World, run: string, spec: LimitSpec, bound?: Bound): void {
  const { places } = world;
  const counter = counterOf(spec);
  let set = places.get(counter);
  if (!set) places.set(counter, (set = new Set()));
  if (set.has(run)) return;
  set.add(run);
  checkRoom(world, spec, set.size, 'runs', bound);
}

/** What a run has given up by now. It may name the same limit again later: then it has to ask for it anew. */
export function leavePlaces(world: World, run: string): void {
  const tracked = world.tracker.get(run);
  for (const [counter, set] of world.places) if (set.has(run) && !keepsPlace(tracked, counter)) set.delete(run);
}

/** A run keeps what it holds as a whole to its end, and what a call of it names until that is resolved. */
function keepsPlace(tracked: Tracked | undefined, counter: string): boolean {
  if (tracked?.state.status !== 'running') return false;
  const { head, pending } = tracked.state;
  return [...head.limits, ...[...pending.values()].flatMap(({ call }) => call?.limits ?? [])].some(
    (limit) => limit.hold === 'run' && counterOf(limit) === counter,
  );
}

function checkRoom(
  world: World,
  spec: LimitSpec,
  count: number,
  what: string,
  { max, paused }: Bound = world.engine.kernel.limits.bound(spec),
): void {
  world.checks.that(
    'limit',
    count <= max && !paused,
    () =>
      `limit ${counterOf(spec)}: ${count} ${what} under way, at most ${max}${paused ? ', paused' : ''}: ${[...(world.places.get(counterOf(spec)) ?? [])].join()}`,
  );
}

/** What a shape lets through in any span of its period. */
export function mostWithin({ shape, max, burst = 1 }: RateBound): number {
  return { sliding: max, fixed: 2 * max, gcra: burst + max }[shape];
}

/** In any span of its period a rate lets through what its shape allows. Told by what the world was handed and when, by the engine's clock. */
function checkRate(world: World, spec: LimitSpec, rate: Rate): void {
  const counter = counterOf(spec);
  const { now } = world.engine.kernel;
  // What the clock had left behind before it was set back may be forgotten.
  const { latestMs } = world.tracker;
  const remembered = (at: number): boolean => latestMs <= now || at > latestMs - rate.periodMs;
  const before = (world.takings.get(counter) ?? []).filter(remembered);
  // A clock that was set back begins a new count: what was taken at times to come says nothing of now.
  const times = (before.at(-1) ?? 0) > now ? [now] : [...before.filter((at) => at > now - rate.periodMs), now];
  world.takings.set(counter, times);
  const most = mostWithin(rate);
  world.checks.that(
    'limit',
    times.length <= most,
    () => `rate ${counter}: ${times.length} calls within ${rate.periodMs} ms, at most ${most}`,
  );
}

/** Places that rows remember: each counts those that its run has as a whole, in order, and above a thousand those that its call names. */
function rememberedPlaces(world: World, where: string, ...params: string[]): Array<{ run: string; spec: LimitSpec }> {
  return world.db
    .all<{ owner: string; key: string; held: number }>(
      `SELECT owner, key, held FROM pending WHERE held > 0 ${where}`,
      ...params,
    )
    .flatMap(({ owner, key, held }) => {
      const state = world.tracker.get(owner)?.state;
      const places = (limits: readonly LimitSpec[] = [], n: number): LimitSpec[] =>
        limits.filter(({ hold }) => hold === 'run').slice(0, n);
      const own = places(state?.pending.get(key)?.call?.limits, Math.floor(held / 1000));
      return [...places(state?.head.limits, held % 1000), ...own].map((spec) => ({ run: owner, spec }));
    });
}

export function checkPlaces(world: World, run: string): void {
  for (const { spec } of rememberedPlaces(world, 'AND owner = ?', run)) takePlace(world, run, spec);
}

/** After a start: places that no row remembers are free until they are taken again. */
export function recallPlaces(world: World): void {
  world.places.clear();
  for (const { run, spec } of rememberedPlaces(world, '')) {
    const counter = counterOf(spec);
    const set = world.places.get(counter);
    if (set) set.add(run);
    else world.places.set(counter, new Set([run]));
  }
}

/** A run that was started from another's prefix may only wait at first: it stands in line from the first call that it asks for. */
function standsAt(world: World, run: string, { everLeased, state: { head } }: Tracked): number {
  if (everLeased || !head.from) return head.dueAt;
  const { due } = world.db.all<{ due: number | null }>(
    `SELECT min(due) AS due FROM pending WHERE owner = ? AND kind = 'call'`,
    run,
  )[0] ?? { due: null };
  return due ?? Infinity;
}

/** In a lane of one run at a time nobody goes before an older one that has not ended. */
export function checkOrder(world: World, call: LeasedCall): void {
  const lane = world.tasks.get(call.task.id)?.fifo;
  if (!lane) return;
  const mine = world.tracker.get(call.run) as Tracked;
  const { watermark, now } = world.engine.kernel;
  // A run that was started from another's prefix has waits: one that ends asks for its main call, earlier than it was due where the clock was set back.
  const asked = world.db.all<{ due: number }>(`SELECT due FROM pending WHERE owner = ? AND key = ''`, call.run)[0];
  const dueAt = Math.min(mine.state.head.dueAt, asked?.due ?? Infinity);
  for (const [run, other] of world.tracker.runs) {
    if (
      run === call.run ||
      other.state.status !== 'running' ||
      !other.state.head.limits.some((limit) => limit.key === lane)
    )
      continue;
    const { head } = other.state;
    const older = standsAt(world, run, other) < dueAt;
    if (!(older && (other.everLeased || head.dueAt <= head.createdAt || head.dueAt <= watermark))) continue;
    // After the clock was set back, and on again, what was due before may be a timer still: each of its calls.
    const asleep = (): boolean => {
      const calls = world.db.all<{ key: string; bucket: string; due: number }>(
        `SELECT key, bucket, due FROM pending WHERE owner = ? AND kind = 'call'`,
        run,
      );
      const isTimer = ({ bucket, due }: { bucket: string; due: number }): boolean =>
        bucket === '' && (due > now || (due > watermark && due < now));
      return calls.length > 0 && calls.every((one) => isTimer(one) && !world.engine.kernel.leases.of(run, one.key));
    };
    // Who has begun, or has the place, goes on, even if a clock that was set back made an older one since; a run with nothing pending has nowhere to keep its place.
    const yields = (mine.everLeased && !other.everLeased) || world.places.get(lane)?.has(call.run) === true;
    world.checks.that(
      'order',
      yields || other.displaced || asleep(),
      () =>
        `lane ${lane}: run ${call.run} (due ${mine.state.head.dueAt}) goes before ${run} (due ${head.dueAt}${other.everLeased ? ', begun' : ''}): ${JSON.stringify(world.db.all(`SELECT * FROM pending WHERE owner = ?`, run))}`,
    );
  }
}
