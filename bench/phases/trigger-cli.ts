import { each, withSides, type Phase } from '../bench.ts';
import { openTriggerCli } from '../apps/trigger-cli.ts';
import { startNull, startRepoint } from '../targets.ts';

export const triggerCli: Phase = {
  name: 'trigger-cli',
  usage: "the same one at a time through the vendor's own CLI as the worker",
  async run(bench) {
    // One after the other: two CLIs at work in one folder would share its build directory.
    for (const start of [() => startNull('trigger'), startRepoint]) {
      await withSides([start], openTriggerCli, async (sides) => {
        for (const { app } of sides) await app.latency(5);
        await bench.measure(
          'trigger latency, CLI',
          each(sides, (app) => app.latency(bench.amount(30))),
        );
      });
    }
  },
};
