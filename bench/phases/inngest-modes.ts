import { each, withSides, type Bench, type Opened } from '../bench.ts';
import { openInngest, type InngestBench } from '../apps/inngest.ts';
import { startNull, startRepoint } from '../targets.ts';

/** The two protocols of the SDK: one call for each step, or one call for the run and a report after each step. */
export const INNGEST_MODES = ['classic', 'checkpointing'] as const;

/** The app in both protocols, warmed up, against the null server and ours. */
export async function inInngestModes(
  bench: Bench,
  body: (sides: Array<Opened<InngestBench>>, mode: (typeof INNGEST_MODES)[number]) => Promise<void>,
): Promise<void> {
  for (const mode of INNGEST_MODES) {
    await withSides(
      [() => startNull('inngest'), startRepoint],
      (url) => openInngest(url, mode === 'checkpointing'),
      async (sides) => {
        for (const side of each(sides, (app) => app.throughput(bench.amount(300), 20))) await side.body();
        await body(sides, mode);
      },
    );
  }
}
