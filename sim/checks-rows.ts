import { counterOf } from '../core/model/limit.ts';
import type { LimitSpec } from '../core/model/task.ts';
import { NEVER_MS } from '../core/model/limits.ts';
import { limitsOver, type Tracked } from './tracker.ts';
import type { World } from './world.ts';

interface Row extends Record<string, string | number | null> {
  owner: string;
  key: string;
  kind: string;
  bucket: string;
  due: number;
  lease: string | null;
}

/** Nothing that is due lies where nobody looks, and the alarm is set for what comes next. Cheap: after every transition. */
export function checkRows(world: World): void {
  const { db, checks, engine } = world;
  const { kernel } = engine;
  const hidden = db.all<Row>(
    `SELECT * FROM pending WHERE bucket = '' AND due <= ? AND (lease IS NOT NULL OR kind IN ('schedule', 'retention', 'guard')) LIMIT 1`,
    kernel.watermark,
  )[0];
  checks.that(
    'timer',
    hidden === undefined,
    () => `nobody will look at ${JSON.stringify(hidden)}: the watermark is ${kernel.watermark}`,
  );
  if (kernel.leases.size < world.options.maxInFlight)
    for (const row of db.all<Row>(`SELECT * FROM pending WHERE bucket = '' AND due <= ?`, kernel.watermark))
      checks.that(
        'ready',
        kernel.leases.of(row.owner, row.key) !== undefined,
        () => `due and forgotten: ${JSON.stringify(row)}`,
      );
  const first = db.all<{ due: number | null }>(
    // A call that became due just now is known without a timer.
    `SELECT min(due) AS due FROM pending WHERE bucket = '' AND due > ? AND (due > ? OR lease IS NOT NULL OR kind IN ('schedule', 'retention', 'sweep', 'guard'))`,
    kernel.watermark,
    kernel.now,
  )[0]?.due;
  const latest = world.latestAlarm(first ?? NEVER_MS);
  checks.that(
    'timer',
    latest >= NEVER_MS || (world.alarmAt !== null && (world.alarmAt <= latest || world.alarmAt <= kernel.now)),
    () => `the alarm is set for ${world.alarmAt}, the first timer is due at ${first}, now ${kernel.now}`,
  );
}

/** What takes longer to look at: every lane's backlog, every limit's holders, orphans. */
export function checkEverything(world: World): void {
  checkBacklogs(world);
  checkHolders(world);
  const { db, checks } = world;
  const orphan = db.all(
    `SELECT p.owner, p.key FROM pending p LEFT JOIN runs r ON r.id = CASE WHEN p.kind = 'guard' THEN substr(p.owner, 7) ELSE p.owner END
     WHERE p.kind NOT IN ('schedule', 'retention', 'sweep') AND (r.id IS NULL OR r.status <> 'running') LIMIT 1`,
  )[0];
  checks.that('pending', orphan === undefined, () => `pending without a live run: ${JSON.stringify(orphan)}`);
  for (const [run, tracked] of world.tracker.runs)
    if (tracked.state.status === 'running' && !tracked.lied && tracked.owed === 0)
      checks.that('ends', tracked.state.pending.size > 0, () => `run ${run} goes on with nothing pending`);
}

function checkBacklogs(world: World): void {
  const { db, checks, engine, tracker } = world;
  const { kernel } = engine;
  const full = kernel.leases.size >= world.options.maxInFlight;
  const waiting = db
    .all<Row>(`SELECT * FROM pending WHERE bucket > '' ORDER BY bucket, due, owner, key`)
    .filter((row) => !kernel.leases.of(row.owner, row.key));
  const first = new Map<string, Row>();
  for (const row of waiting) if (!first.has(row.bucket)) first.set(row.bucket, row);
  const limitsOf = (row: Row): readonly LimitSpec[] => {
    return limitsOver((tracker.get(row.owner) as Tracked).state, row.key);
  };
  // Room that calls in a pool's bucket are waiting to take is promised to them.
  const promised = new Map<string, number>();
  for (const row of waiting)
    if (row.bucket.startsWith('p:'))
      for (const limit of limitsOf(row)) {
        const counter = counterOf(limit);
        promised.set(counter, (promised.get(counter) ?? 0) + 1);
      }
  for (const row of waiting) {
    const { head, pool } = (tracker.get(row.owner) as Tracked).state;
    const begun = (limit: LimitSpec): boolean =>
      limit.rate?.takes === 'first-call' && kernel.find(row.owner)?.state.startedAt !== null;
    const isBehind = (bucket: string): boolean => {
      const other = first.get(bucket);
      return other !== undefined && isBefore(other, row);
    };
    const blocked =
      // It is looked at again at a time that is known.
      (row.bucket.startsWith('l:') && kernel.openings.has(row.bucket.slice(2))) ||
      kernel.limits.rules
        .pausesOver(head.task, pool)
        .some((pause) => pause.inForce || isBehind(`l:${counterOf(pause)}`)) ||
      limitsOf(row).some((limit) => {
        const counter = counterOf(limit);
        if (limit.hold === 'run' && kernel.limits.holds(counter, head.holder ?? row.owner)) return false;
        const taken = pool !== null && row.bucket.startsWith('l:') ? (promised.get(counter) ?? 0) : 0;
        const room = kernel.limits.room(limit, kernel.now, !begun(limit));
        return room <= taken || (!begun(limit) && isBehind(`l:${counter}`));
      });
    checks.that(
      'ready',
      blocked || full || (pool !== null && world.signalled.has(pool)),
      () => `could go and does not: ${JSON.stringify(row)}${pool === null ? '' : ', and no worker was told'}`,
    );
  }
}

function isBefore(a: Row, b: Row): boolean {
  return a.due < b.due || (a.due === b.due && (a.owner < b.owner || (a.owner === b.owner && a.key < b.key)));
}

/** Who holds a limit is somebody that is still there. */
function checkHolders(world: World): void {
  const { checks, engine, tracker } = world;
  const { kernel } = engine;
  const calls = new Map<string, number>();
  const runs = new Map<string, Set<string>>();
  for (const [run, tracked] of tracker.runs) {
    if (tracked.state.status !== 'running') continue;
    const add = (limits: readonly LimitSpec[]): void => {
      for (const limit of limits) calls.set(counterOf(limit), (calls.get(counterOf(limit)) ?? 0) + 1);
    };
    for (const held of tracked.held.values()) if (held.standing === 'live') add(held.limits);
    // A lease that its worker never heard of holds them too.
    for (const [key, pending] of tracked.state.pending)
      if (pending.lease !== null && tracked.held.get(key)?.standing !== 'live') add(limitsOver(tracked.state, key));
    // As a whole, and for a call that is not resolved.
    const ofCalls = [...tracked.state.pending.values()].flatMap(({ call }) => call?.limits ?? []);
    for (const limit of [...tracked.state.head.limits, ...ofCalls]) {
      const counter = counterOf(limit);
      const set = runs.get(counter);
      if (set) set.add(run);
      else runs.set(counter, new Set([run]));
    }
  }
  for (const { counter, spec, held } of kernel.limits.counters()) {
    const most = spec.hold === 'call' ? (calls.get(counter) ?? 0) : (runs.get(counter)?.size ?? 0);
    checks.that('limit', held <= most, () => `limit ${counter} is held by ${held}, at most ${most} can hold it`);
  }
}
