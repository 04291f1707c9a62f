import { withTarget, type Phase, type Side } from '../bench.ts';
import { ingest } from '../apps/ingest.ts';
import { startRawObject, startRepoint } from '../targets.ts';
import { atLeast, over } from '../verdicts.ts';

export const ingestPhase: Phase = {
  name: 'ingest',
  usage: '50 connections, single writes that start nothing (and batches of 100), beside the raw object',
  async run(bench) {
    const single = { seconds: bench.options.isQuick ? 1 : 4, width: 50, batch: 1 };
    await withTarget(await startRawObject(), async (raw) =>
      withTarget(await startRepoint(), async (ours) => {
        const singles: Side[] = [
          { target: raw, body: () => ingest(raw.url, 'raw', single) },
          { target: ours, body: () => ingest(ours.url, 'events', single) },
        ];
        for (const { body } of singles) await body();
        await bench.measure('ingest, single', singles);
        const batches = { ...single, batch: 100 };
        await bench.measure('ingest, batches of 100', [
          { target: ours, body: () => ingest(ours.url, 'events', batches) },
        ]);
      }),
    );
  },
  verdicts: (figures) => {
    const raw = figures.of('ingest, single', 'raw object', 'perSecond');
    const single = over(figures.of('ingest, single', 'repoint', 'perSecond'), raw);
    const batches = over(figures.more('ingest, batches of 100', 'rows/s'), raw);
    return [
      ...atLeast("ingest, single: events a second, of the raw object's inserts", single, 1.3),
      ...atLeast("ingest, batches of 100: events a second, of the raw object's inserts", batches, 5),
    ];
  },
};
