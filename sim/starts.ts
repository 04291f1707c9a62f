import type { StartSpec } from '../core/model/call.ts';
import type { World } from './world.ts';

const HOUR_MS = 3_600_000;

/** A start as a client may ask for it; `next` counts what it has named. */
export function makeStart(world: World, next: () => number): StartSpec {
  const { rng, tasks } = world;
  const task = rng.pick([...tasks.values()]);
  const n = rng.int(0, 9);
  const now = world.clockMs();
  const spec: StartSpec = {
    task: task.spec.id,
    input: JSON.stringify(rng.chance(0.05) ? { n, pad: 'p'.repeat(rng.int(300, 3_000)) } : { n }),
    ...(rng.chance(0.2) ? { labels: ['blue', `n${n}`] } : {}),
    ...(rng.chance(0.1) ? { alias: `alias-${next()}` } : {}),
    ...(rng.chance(0.1) ? { meta: '{"trace":1}' } : {}),
    ...(rng.chance(0.1) ? { dueAt: now + rng.pick([-1_000, 500, 20_000]) } : {}),
    ...(rng.chance(0.05) ? { expireAt: now + rng.pick([-1, 1_000, 30_000]) } : {}),
    ...(rng.chance(0.1) ? { maxAttempts: rng.int(1, 3) } : {}),
    ...(rng.chance(0.2)
      ? { dedupe: { key: `key-${rng.int(0, 40)}`, untilMs: now + rng.pick([1_000, 60_000, HOUR_MS]) } }
      : {}),
  };
  if (task.fifo === null && !task.spec.admit) {
    if (rng.chance(0.1)) spec.priorityMs = rng.pick([-500, 2_000, 60_000]);
    if (rng.chance(0.08)) spec.limits = [{ key: 'shared', max: 2, hold: 'call' }];
    if (rng.chance(0.05)) spec.limits = [{ key: `queue-${rng.int(0, 1)}`, max: 1, hold: 'run' }];
  }
  return spec;
}
