import type { LimitSpec } from '../core/model/task.ts';
import { NEVER_MS } from '../core/model/limits.ts';
import type { Tracked } from './tracker.ts';
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
    `SELECT min(due) AS due FROM pending WHERE bucket = '' AND due > ? AND (due > ? OR lease IS NOT NULL OR kind IN ('schedule', 'retention', 'guard'))`,
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
     WHERE p.kind NOT IN ('schedule', 'retention') AND (r.id IS NULL OR r.status <> 'running') LIMIT 1`,
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
    const { head, pending } = (tracker.get(row.owner) as Tracked).state;
    return pending.get(row.key)?.call?.limits ?? head.limits;
  };
  // Room that calls in a pool's bucket are waiting to take is promised to them.
  const promised = new Map<string, number>();
  for (const row of waiting)
    if (row.bucket.startsWith('p:'))
      for (const { key } of limitsOf(row)) promised.set(key, (promised.get(key) ?? 0) + 1);
  for (const row of waiting) {
    const { head } = (tracker.get(row.owner) as Tracked).state;
    const blocked = limitsOf(row).some((limit) => {
      if (limit.hold === 'run' && kernel.limits.holds(limit.key, row.owner)) return false;
      const other = first.get(`l:${limit.key}`);
      const taken = head.pool !== null && row.bucket.startsWith('l:') ? (promised.get(limit.key) ?? 0) : 0;
      return kernel.limits.room(limit) <= taken || (other !== undefined && isBefore(other, row));
    });
    checks.that(
      'ready',
      blocked || full || (head.pool !== null && world.signalled.has(head.pool)),
      () => `could go and does not: ${JSON.stringify(row)}${head.pool === null ? '' : ', and no worker was told'}`,
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
      for (const { key } of limits) calls.set(key, (calls.get(key) ?? 0) + 1);
    };
    for (const held of tracked.held.values()) if (held.standing === 'live') add(held.limits);
    // A lease that its worker never heard of holds them too.
    for (const [key, pending] of tracked.state.pending)
      if (pending.lease !== null && tracked.held.get(key)?.standing !== 'live')
        add(pending.call?.limits ?? tracked.state.head.limits);
    for (const { key } of tracked.state.head.limits) {
      const set = runs.get(key);
      if (set) set.add(run);
      else runs.set(key, new Set([run]));
    }
  }
  for (const limit of kernel.limits.list()) {
    const most = limit.hold === 'call' ? (calls.get(limit.key) ?? 0) : (runs.get(limit.key)?.size ?? 0);
    checks.that(
      'limit',
      kernel.limits.held(limit.key) <= most,
      () => `limit ${limit.key} is held by ${kernel.limits.held(limit.key)}, at most ${most} can hold it`,
    );
  }
}
