import { setTimeout as delay } from 'node:timers/promises';
import { each, type Phase } from '../bench.ts';
import { atMost, over } from '../verdicts.ts';
import { INNGEST_MODES, inInngestModes } from './inngest-modes.ts';

const LIMIT_MS = 100_000;
const RECOVERY_MS = 5_000;
const PAUSE_MS = 5;
/** The p99 of so many runs is the third worst: enough to be no single hiccup of the machine. */
const SINGLES = 250;
/**
 * The third worst of 250 runs differs by up to so much between two takes with nothing between them.
 * What a burst leaves behind, a backlog or a heap to be collected, is a multiple of it.
 */
const NORMAL = 1.5;

export const burst: Phase = {
  name: 'burst',
  usage:
    '5,000 runs of three steps started at once, to the last of them; single runs before, and from five seconds after',
  run: (bench) =>
    inInngestModes(bench, async (sides, mode) => {
      const singles = each(sides, (app) => app.latency(bench.amount(SINGLES), PAUSE_MS));
      await bench.measure(`inngest before a burst, ${mode}`, singles);
      const bursts = sides.map(({ target, app }) => ({
        target,
        body: async () => {
          const sample = await app.burst(bench.amount(5_000), LIMIT_MS);
          await delay(RECOVERY_MS);
          return sample;
        },
      }));
      await bench.measure(`inngest burst of 5,000, ${mode}`, bursts, 1);
      await bench.measure(`inngest after a burst, ${mode}`, singles);
    }),
  verdicts: (figures) =>
    INNGEST_MODES.flatMap((mode) => {
      const total = (target: string): number | undefined =>
        figures.more(`inngest burst of 5,000, ${mode}`, 'finished s', target);
      const p99 = (when: string): number | undefined =>
        figures.of(`inngest ${when} a burst, ${mode}`, 'repoint', 'p99');
      const ratio = over(total('repoint'), total('null'));
      return [
        ...atMost(`inngest burst of 5,000, ${mode}: time to the last, of the null server's`, ratio, 1.3),
        ...atMost(
          `inngest single runs 5 s after a burst, ${mode}: p99, of before`,
          over(p99('after'), p99('before')),
          NORMAL,
        ),
      ];
    }),
};
