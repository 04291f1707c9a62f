import { setTimeout as delay } from 'node:timers/promises';
import { withTarget, type Phase } from '../bench.ts';
import { usageOf } from '../measure.ts';
import { startRepoint } from '../targets.ts';
import { atMost } from '../verdicts.ts';

export const idle: Phase = {
  name: 'idle',
  usage: 'start to ready, memory without work',
  run: async (bench) =>
    withTarget(await startRepoint(), async (target) => {
      await delay(2_000);
      const { rssBytes, cpuMs } = usageOf(target.pids);
      await delay(5_000);
      const cpuPercent = (usageOf(target.pids).cpuMs - cpuMs) / 50;
      bench.note('idle', target.name, 0, {
        'start ms': target.startMs,
        'memory MiB': rssBytes / 1_048_576,
        'CPU %': cpuPercent,
      });
    }),
  verdicts: (figures) => [
    ...atMost('idle memory of all processes', figures.more('idle', 'memory MiB'), 150, ' MiB'),
    ...atMost('start to ready', figures.more('idle', 'start ms'), 1000, ' ms'),
  ],
};
