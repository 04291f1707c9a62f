import { type Rate, UNBOUNDED } from '../core/model/limit.ts';
import type { LimitTemplate } from '../core/model/task.ts';
import type { SimTask, Theme } from './catalogue.ts';
import type { Rng } from './rng.ts';

/** Gives some of the tasks without limits a rate: alone, beside a limit that others share, or in one line with a bound on calls under way. */
export function withRates(rng: Rng, theme: Theme, tasks: SimTask[]): SimTask[] {
  return tasks.map((task) => {
    if (task.spec.limits.length > 0 || rng.chance(theme === 'rates' ? 0.1 : 0.5)) return task;
    return { ...task, spec: { ...task.spec, limits: ratedLimits(rng, task.spec.id) } };
  });
}

function ratedLimits(rng: Rng, id: string): LimitTemplate[] {
  const rate = makeRate(rng);
  if (rng.chance(0.4)) return [{ key: `${id}-flow`, max: 2, hold: 'call', expression: 'event.data.n % 2', rate }];
  return [
    { key: `${id}-rate`, max: UNBOUNDED, hold: 'call', rate },
    ...(rng.chance(0.5) ? [{ key: 'shared', max: 2, hold: 'call' as const }] : []),
  ];
}

function makeRate(rng: Rng): Rate {
  return {
    max: rng.int(1, 5),
    periodMs: rng.pick([500, 5_000, 30_000]),
    shape: rng.pick(['gcra', 'fixed', 'sliding']),
    burst: rng.int(1, 3),
    takes: rng.chance(0.5) ? 'call' : 'first-call',
  };
}
