import { setTimeout as delay } from 'node:timers/promises';
import { NOTHING, withTarget, type Phase } from '../bench.ts';
import { openInngest } from '../apps/inngest.ts';
import { costOf, diskOf, lineOf, usageOf } from '../measure.ts';
import { startNull, startRepoint } from '../targets.ts';
import { atMost, over } from '../verdicts.ts';

/** Longer than it may take by the target, so that a miss is shown with its size. */
const LIMIT_MS = 120_000;

export const sleepers: Phase = {
  name: 'sleepers',
  usage: 'runs asleep for an hour: time to make, memory and disk each, latency beside them',
  async run(bench) {
    const count = bench.amount(bench.options.sleepers);
    await withTarget(await startNull('inngest'), async (target) => {
      const app = await openInngest(target.url, true);
      await app.throughput(bench.amount(200), 20);
      const { result, cost } = await costOf(target.pids, () => app.sleepers(count, LIMIT_MS));
      await app.close();
      const more = {
        'created s for 10,000': (result.seconds / count) * 10_000,
        'app CPU ms each': cost.appCpuMs / count,
      };
      bench.add({ ...lineOf('sleepers', target.name, { ...NOTHING, lost: count - result.asleep, more }, cost), count });
    });
    await withTarget(await startRepoint(), async (target) => {
      await delay(2_000);
      const fresh = usageOf(target.pids).rssBytes;
      const app = await openInngest(target.url, true);
      try {
        await app.throughput(bench.amount(200), 20);
        const latency = [{ target, body: () => app.latency(bench.amount(50)) }];
        await bench.measure('inngest latency before sleepers', latency);
        await delay(2_000);
        const before = { rss: usageOf(target.pids).rssBytes, disk: diskOf(target.dataDir!) };
        const { result, cost } = await costOf(target.pids, () => app.sleepers(count, LIMIT_MS));
        await delay(3_000);
        const after = { rss: usageOf(target.pids).rssBytes, disk: diskOf(target.dataDir!) };
        await bench.measure('inngest latency beside sleepers', latency);
        await target.restart?.();
        await delay(3_000);
        const more = {
          'created s for 10,000': (result.seconds / count) * 10_000,
          'memory KiB each': (after.rss - before.rss) / 1024 / count,
          'after a restart KiB each': (usageOf(target.pids).rssBytes - fresh) / 1024 / count,
          'disk KiB each': (after.disk - before.disk) / 1024 / count,
          'server CPU ms each': cost.serverCpuMs / count,
          'app CPU ms each': cost.appCpuMs / count,
        };
        const sample = { ...NOTHING, lost: count - result.asleep, more };
        bench.add({ ...lineOf('sleepers', target.name, sample, cost), count });
      } finally {
        await app.close();
      }
    });
  },
  verdicts: (figures) => {
    const latency = (when: string): number | undefined =>
      figures.of(`inngest latency ${when} sleepers`, 'repoint', 'p50');
    return [
      ...atMost('memory of a sleeping run', figures.more('sleepers', 'memory KiB each'), 10, ' KiB'),
      ...atMost('10,000 sleeping runs made in', figures.more('sleepers', 'created s for 10,000'), 30, ' s'),
      ...atMost('latency beside sleepers, of without', over(latency('beside'), latency('before')), 1.2),
    ];
  },
};
