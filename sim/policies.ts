import type { Admission, Guards } from '../core/model/task.ts';
import { EVENT_NAMES, type SimTask } from './catalogue.ts';
import type { Rng } from './rng.ts';

/** Sent by itself, in a transaction of its own: what else would be in it could not know that its run is over. */
export const HALT = 'halt';
/** The same said with an equality and without: found by the index, or held against every run that waits. */
const CANCEL_WHEN = [
  'async.data.n == event.data.n',
  'async.data.n >= event.data.n && async.data.n <= event.data.n',
] as const;

/** Gives tasks what stands between their events and their runs, and what ends these from outside. Lanes of one run at a time have their own order to keep. */
export function withPolicies(rng: Rng, tasks: SimTask[]): SimTask[] {
  return tasks.map((task) => {
    const spec = { ...task.spec };
    if (spec.triggers.length === 0 && rng.chance(0.2))
      spec.triggers = [{ kind: 'event', pattern: rng.pick(EVENT_NAMES) }];
    if (spec.triggers[0]?.kind !== 'event' || task.fifo !== null) return task;
    const admit = makeAdmission(rng, spec.id);
    const guards = makeGuards(rng);
    return { ...task, spec: { ...spec, ...(admit.length > 0 ? { admit } : {}), ...(guards ? { guards } : {}) } };
  });
}

function makeAdmission(rng: Rng, id: string): Admission[] {
  switch (rng.weighted({ none: 30, debounce: 25, batch: 25, single: 25, once: 10, rate: 10 })) {
    case 'none':
      return [];
    case 'debounce':
      return [
        {
          kind: 'debounce',
          key: id,
          delayMs: rng.pick([200, 2_000]),
          ...(rng.chance(0.6) ? { maxDelayMs: 6_000 } : {}),
          atMax: rng.pick(['hold', 'renew'] as const),
          keep: rng.pick(['first', 'last', 'last'] as const),
        },
      ];
    case 'batch':
      return [
        {
          kind: 'batch',
          key: id,
          size: rng.int(2, 4),
          waitMs: rng.pick([500, 8_000]),
          maxBytes: rng.pick([120, 100_000]),
          ...(rng.chance(0.3) ? { onlyIf: 'event.data.n < 7' } : {}),
          ...(rng.chance(0.3) ? { expression: 'event.data.n % 2' } : {}),
        },
      ];
    case 'single':
      return [{ kind: 'single', key: id, taken: rng.pick(['skip', 'replace'] as const) }];
    case 'once':
      return [{ kind: 'once', key: id, ttlMs: rng.pick([1_000, 20_000]) }];
    case 'rate':
      return [
        {
          kind: 'rate',
          key: id,
          bound: {
            max: rng.int(1, 3),
            periodMs: rng.pick([1_000, 20_000]),
            shape: rng.pick(['gcra', 'fixed', 'sliding'] as const),
            burst: rng.int(1, 2),
          },
        },
      ];
  }
}

function makeGuards(rng: Rng): Guards | null {
  if (rng.chance(0.6)) return null;
  return {
    ...(rng.chance(0.8)
      ? {
          cancelOn: [
            {
              name: HALT,
              ...(rng.chance(0.7) ? { expression: rng.pick(CANCEL_WHEN) } : {}),
              ...(rng.chance(0.3) ? { withinMs: 20_000 } : {}),
            },
          ],
        }
      : {}),
    ...(rng.chance(0.2) ? { startWithinMs: rng.pick([1_000, 30_000]) } : {}),
    ...(rng.chance(0.3) ? { finishWithinMs: rng.pick([5_000, 120_000]) } : {}),
  };
}
