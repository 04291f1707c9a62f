import { setTimeout as delay } from 'node:timers/promises';
import { withSides, type Phase, type Side } from '../bench.ts';
import { openInngestLoad } from '../apps/inngest-load.ts';
import type { Sample } from '../measure.ts';
import { startRepoint } from '../targets.ts';
import { atMost, over } from '../verdicts.ts';

const MANY = 100_000;
const FEW = 10;
const LIMIT_MS = 180_000;
const TURNS = 5;

export const waits: Phase = {
  name: 'waits',
  usage:
    '100,000 runs that wait for one event by a field’s value beside 10, in turns: an event that none wants, and one to its run',
  run: (bench) =>
    withSides([startRepoint, startRepoint], openInngestLoad, async ([few, many]) => {
      const count = bench.amount(MANY);
      const { made, seconds } = await many!.app.make('wait', count, LIMIT_MS);
      bench.note('inngest waits', 'repoint', made, { 'made a second': made / seconds }, count - made);
      await delay(3_000);
      const turns = Math.max(TURNS, bench.options.repeat);
      const sides = (what: string, body: (side: typeof few & {}) => Promise<Sample>): Side[] =>
        [few!, many!].map((side) => ({
          target: side.target,
          body: () => body(side),
          phase: `inngest ${what}, ${side === few ? FEW : '100,000'} waiting`,
        }));
      /** So few wait that they are soon used up: made anew between the takes, outside of the times. */
      const wanted = async ({ app }: typeof few & {}): Promise<Sample> => {
        const samples: Sample[] = [];
        for (let i = 0; i < bench.amount(5); i++) {
          if (app === few!.app) {
            await app.make('wait', FEW, LIMIT_MS);
            await delay(50);
          }
          samples.push(await app.wanted(FEW));
        }
        return {
          ...samples[0]!,
          times: samples.flatMap(({ times }) => times),
          lost: samples.reduce((sum, { lost }) => sum + lost, 0),
        };
      };
      for (const side of [few!, many!]) await wanted(side);
      await few!.app.make('wait', FEW, LIMIT_MS);
      await delay(50);
      for (const side of [few!, many!]) await side.app.unwanted(bench.amount(200));
      await bench.measure(
        'event that none wants',
        sides('event that none wants', ({ app }) => app.unwanted(bench.amount(100))),
        turns,
      );
      await bench.measure('event to its run', sides('event to its run', wanted), turns);
    }),
  verdicts: (figures) =>
    ['event that none wants', 'event to its run'].flatMap((what) => {
      const p50 = (waiting: string): number | undefined =>
        figures.of(`inngest ${what}, ${waiting} waiting`, 'repoint', 'p50');
      return atMost(`inngest ${what}: p50 with 100,000 waiting, of with 10`, over(p50('100,000'), p50('10')), 1.2);
    }),
};
