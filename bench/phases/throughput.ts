import { each, type Phase } from '../bench.ts';
import { atLeast, atMost, over } from '../verdicts.ts';
import { INNGEST_MODES, inInngestModes } from './inngest-modes.ts';

const WIDTHS = [50, 500];
/** Of the server's processes, for a run of three steps. */
const CPU_MS = { classic: 10, checkpointing: 6 };

export const throughput: Phase = {
  name: 'throughput',
  usage: 'the same with 50 and with 500 runs unfinished',
  run: (bench) =>
    inInngestModes(bench, async (sides, mode) => {
      for (const width of WIDTHS) {
        await bench.measure(
          `inngest throughput ${width}, ${mode}`,
          each(sides, (app) => app.throughput(bench.amount(1_500), width)),
        );
      }
    }),
  verdicts: (figures) => {
    const shares = INNGEST_MODES.flatMap((mode) =>
      WIDTHS.flatMap((width) => {
        const phase = `inngest throughput ${width}, ${mode}`;
        const share = over(figures.of(phase, 'repoint', 'perSecond'), figures.of(phase, 'null', 'perSecond'));
        return atLeast(`${phase}: per second, of the null server's`, share, 0.9);
      }),
    );
    const cpu = INNGEST_MODES.flatMap((mode) => {
      const each = figures.of(`inngest throughput 50, ${mode}`, 'repoint', 'serverCpuMs');
      return atMost(`inngest: server CPU of a run, ${mode}`, each, CPU_MS[mode], ' ms');
    });
    const phase = 'inngest throughput 50, checkpointing';
    const ofApp = over(figures.of(phase, 'repoint', 'serverCpuMs'), figures.of(phase, 'repoint', 'appCpuMs'));
    return [...shares, ...cpu, ...atMost("inngest: server CPU of a run, of the app's", ofApp, 1)];
  },
};
