import { each, withSides, type Phase } from '../bench.ts';
import { openQstash } from '../apps/qstash.ts';
import { startNull, startRepoint } from '../targets.ts';
import { atMost, minus } from '../verdicts.ts';

export const qstash: Phase = {
  name: 'qstash',
  usage: 'publish to delivery, one at a time and 50 at once; every signature is verified',
  run: (bench) =>
    withSides([() => startNull('qstash'), startRepoint], openQstash, async (sides) => {
      for (const { app } of sides) await app.throughput(bench.amount(300), 20);
      await bench.measure(
        'qstash latency',
        each(sides, (app) => app.latency(bench.amount(200))),
      );
      await bench.measure(
        'qstash throughput 50',
        each(sides, (app) => app.throughput(bench.amount(2_000), 50)),
      );
    }),
  verdicts: (figures) => {
    const added = minus(figures.of('qstash latency', 'repoint', 'p50'), figures.of('qstash latency', 'null', 'p50'));
    return atMost("qstash latency: p50 above the null server's", added, 6, ' ms');
  },
};
