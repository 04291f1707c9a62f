import { each, type Phase } from '../bench.ts';
import { atMost, minus } from '../verdicts.ts';
import { inInngestModes } from './inngest-modes.ts';

export const latency: Phase = {
  name: 'latency',
  usage: 'Inngest, three steps, one run at a time: event sent to last step executed; SDK 4, checkpointing off and on',
  run: (bench) =>
    inInngestModes(bench, (sides, mode) =>
      bench.measure(
        `inngest latency, ${mode}`,
        each(sides, (app) => app.latency(bench.amount(100))),
      ),
    ),
  verdicts: (figures) =>
    Object.entries({ classic: 8, checkpointing: 5 }).flatMap(([mode, addedMs]) => {
      const phase = `inngest latency, ${mode}`;
      const added = minus(figures.of(phase, 'repoint', 'p50'), figures.of(phase, 'null', 'p50'));
      return atMost(`${phase}: p50 above the null server's`, added, addedMs, ' ms');
    }),
};
