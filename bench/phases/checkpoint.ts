import { withSides, withTarget, type Phase } from '../bench.ts';
import { ingest } from '../apps/ingest.ts';
import { openInngestLoad } from '../apps/inngest-load.ts';
import { startRawObject, startRepoint } from '../targets.ts';
import { atMost, over } from '../verdicts.ts';

const TURNS = 3;

export const checkpoint: Phase = {
  name: 'checkpoint',
  usage: 'plain HTTP: a step reported while its call goes on, one at a time, beside the raw object',
  run: async (bench) =>
    withTarget(await startRawObject(), (raw) =>
      withSides([startRepoint], openInngestLoad, async ([ours]) => {
        const seconds = bench.options.isQuick ? 0.3 : 1;
        const insert = (): ReturnType<typeof ingest> => ingest(raw.url, 'raw', { seconds, width: 1, batch: 1 });
        await insert();
        await ours!.app.checkpoints(bench.amount(400));
        await bench.measure(
          'inngest checkpoint',
          [
            { target: raw, body: insert },
            { target: ours!.target, body: () => ours!.app.checkpoints(bench.amount(400)) },
          ],
          Math.max(TURNS, bench.options.repeat),
        );
      }),
    ),
  verdicts: (figures) => {
    const p50 = (target: string): number | undefined => figures.of('inngest checkpoint', target, 'p50');
    return atMost("inngest checkpoint answered, p50 of a raw insert's", over(p50('repoint'), p50('raw object')), 2);
  },
};
