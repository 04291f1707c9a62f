import { each, withSides, type Phase } from '../bench.ts';
import { openTrigger } from '../apps/trigger.ts';
import { startNull, startRepoint } from '../targets.ts';

export const trigger: Phase = {
  name: 'trigger',
  usage: 'trigger to result with a lean worker, one at a time and 50 at once',
  run: (bench) =>
    withSides([() => startNull('trigger'), startRepoint], openTrigger, async (sides) => {
      for (const { app } of sides) await app.throughput(bench.amount(200), 10);
      await bench.measure(
        'trigger latency',
        each(sides, (app) => app.latency(bench.amount(100))),
      );
      await bench.measure(
        'trigger throughput 50',
        each(sides, (app) => app.throughput(bench.amount(1_000), 50)),
      );
    }),
};
