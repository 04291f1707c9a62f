import type { LeasedCall } from '../core/model/call.ts';
import type { Held, Tracked } from './tracker.ts';
import type { World } from './world.ts';

/** Limits held by runs: who has a place, by limit. */
export type Places = Map<string, Set<string>>;

/** A call that was just leased must have had room in each of its limits. Counted from what the world was handed, not from the engine's book. */
export function checkLimitsTaken(world: World, held: Held): void {
  const { checks, engine, tracker, places } = world;
  const tracked = tracker.get(held.run) as Tracked;
  for (const spec of held.limits) {
    const { key } = spec;
    const known = engine.kernel.limits.get(key);
    const max = known?.max ?? spec.max;
    const room = (count: number): boolean => count <= max && !known?.paused;
    const bound = (): string => `at most ${max}${known?.paused ? ', paused' : ''}`;
    if (spec.hold === 'call') {
      let count = 0;
      for (const other of tracker.runs.values())
        for (const lease of other.held.values())
          if (lease.standing === 'live' && lease.limits.some((limit) => limit.key === key)) count++;
      checks.that('limit', room(count), () => `limit ${key}: ${count} calls under way, ${bound()}`);
    } else {
      let set = places.get(key);
      if (!set) places.set(key, (set = new Set()));
      if (set.has(held.run)) continue;
      for (const run of set) if (tracker.get(run)?.state.status !== 'running') set.delete(run);
      set.add(held.run);
      const runs = set;
      checks.that(
        'limit',
        room(runs.size),
        () => `limit ${key}: ${runs.size} runs under way (${[...runs].join()}), ${bound()}`,
      );
    }
  }
  tracked.everLeased = true;
}

/** In a lane of one run at a time nobody goes before an older one that has not ended. */
export function checkOrder(world: World, call: LeasedCall): void {
  const lane = world.tasks.get(call.task.id)?.fifo;
  if (!lane) return;
  const mine = world.tracker.get(call.run) as Tracked;
  const { watermark } = world.engine.kernel;
  for (const [run, other] of world.tracker.runs) {
    if (
      run === call.run ||
      other.state.status !== 'running' ||
      !other.state.head.limits.some((limit) => limit.key === lane)
    )
      continue;
    const { head } = other.state;
    const older = head.dueAt < mine.state.head.dueAt || (head.dueAt === mine.state.head.dueAt && run < call.run);
    const visible = other.everLeased || head.dueAt <= head.createdAt || head.dueAt <= watermark;
    // Who has begun goes on, even if a clock that was set back made an older one since; a run with nothing pending has nowhere to keep its place.
    const yields = mine.everLeased && !other.everLeased;
    world.checks.that(
      'order',
      !(older && visible) || yields || other.state.pending.size === 0,
      () =>
        `lane ${lane}: run ${call.run} (due ${mine.state.head.dueAt}) goes before ${run} (due ${head.dueAt}${other.everLeased ? ', begun' : ''}): ${JSON.stringify(world.db.all(`SELECT * FROM pending WHERE owner = ?`, run))}`,
    );
  }
}

/** After a start: places that no row remembers are free until they are taken again. */
export function forgetPlaces(world: World): void {
  const remembered = new Set(
    world.db.all<{ owner: string }>(`SELECT DISTINCT owner FROM pending WHERE held % 1000 > 0`).map((row) => row.owner),
  );
  for (const set of world.places.values()) for (const run of set) if (!remembered.has(run)) set.delete(run);
}
