import { setTimeout as delay } from 'node:timers/promises';
import { costOf, lineOf, medianLine, together, untilQuiet, type Cost, type Line, type Sample } from './measure.ts';
import { renderLine } from './render.ts';
import type { Target } from './targets.ts';
import type { Figures, Verdict } from './verdicts.ts';

/** One chapter of the report. It is listed in `phases/index.ts`, and nothing else has to know it. */
export interface Phase {
  name: string;
  /** One line of `--help`: what is measured, beside what. */
  usage: string;
  run(bench: Bench): Promise<void>;
  /** The project's targets that its lines answer. What is missing gives no verdict. */
  verdicts?(figures: Figures): Verdict[];
}

export interface BenchOptions {
  isQuick: boolean;
  repeat: number;
  /** How long to wait before each measurement for the rest of the machine to be idle. */
  quietMs: number;
  sleepers: number;
}

/** One thing to do against one target, as a side of a comparison. */
export interface Side {
  target: Target;
  body: () => Promise<Sample>;
  /** Of its line, where sides of one comparison have the same target in different conditions. */
  phase?: string;
}

export const NOTHING: Sample = { of: '', times: [], duplicates: 0, lost: 0 };
const NO_COST: Cost = { serverCpuMs: 0, appCpuMs: 0, peakMiB: 0, othersPercent: 0 };

/** What a phase works with: sizes, measurements in turns, and lines. */
export class Bench {
  readonly lines: Line[] = [];
  readonly options: BenchOptions;

  constructor(options: BenchOptions) {
    this.options = options;
  }

  /** A tenth of it where the run is a quick one. */
  amount(n: number): number {
    return Math.max(5, Math.round(n * (this.options.isQuick ? 0.1 : 1)));
  }

  add(line: Line): void {
    this.lines.push(line);
    console.log(renderLine(line));
  }

  /** A line of figures that are neither times nor costs, of `count` things; `lost` are those that should have been there too. */
  note(phase: string, target: string, count: number, more: Record<string, number>, lost = 0): void {
    this.add({ ...lineOf(phase, target, { ...NOTHING, lost, more }, NO_COST), count });
  }

  /**
   * Measures each side `repeat` times, in turns: what else the machine does then touches all of them, and the ratio between medians means
   * something on a machine that is not quiet.
   */
  async measure(phase: string, sides: Side[], repeat = this.options.repeat): Promise<void> {
    const all = new Map<Side, Line[]>(sides.map((side) => [side, []]));
    for (let i = 0; i < repeat; i++) {
      for (const side of sides) {
        await untilQuiet(side.target.pids, this.options.quietMs);
        const { result, cost } = await costOf(side.target.pids, side.body);
        all.get(side)!.push(lineOf(side.phase ?? phase, side.target.name, result, cost));
        await delay(200);
      }
    }
    for (const taken of all.values()) this.add(medianLine(taken));
  }

  /**
   * As `measure`, in many short turns whose times are put together in one line: for a percentile of which a single turn has too few, and whose median
   * over turns would be none.
   */
  async measureTogether(phase: string, sides: Side[], turns: number): Promise<void> {
    const all = new Map<Side, Array<{ result: Sample; cost: Cost }>>(sides.map((side) => [side, []]));
    for (let i = 0; i < turns; i++)
      // Each goes first as often: who comes later finds the machine warmer.
      for (const side of i % 2 === 0 ? sides : sides.toReversed()) {
        await untilQuiet(side.target.pids, this.options.quietMs);
        all.get(side)!.push(await costOf(side.target.pids, side.body));
      }
    for (const [side, taken] of all) {
      const { sample, cost } = together(taken);
      this.add(lineOf(side.phase ?? phase, side.target.name, sample, cost));
    }
  }
}

/** A target with an app or worker that is open against it. */
export interface Opened<App> {
  target: Target;
  app: App;
}

/** Opens an app or worker against each target and closes all of it at the end. */
export async function withSides<App extends { close(): Promise<void> }>(
  starts: Array<() => Promise<Target>>,
  open: (url: string) => Promise<App>,
  body: (sides: Array<Opened<App>>) => Promise<void>,
): Promise<void> {
  const sides: Array<Opened<App>> = [];
  try {
    for (const start of starts) {
      const target = await start();
      sides.push({
        target,
        app: await open(target.url).catch((error: unknown) => target.stop().then(() => Promise.reject(error))),
      });
    }
    await body(sides);
  } finally {
    for (const { target, app } of sides) {
      await app.close();
      await target.stop();
    }
  }
}

/** The same work on each side. */
export function each<App>(sides: Array<Opened<App>>, body: (app: App) => Promise<Sample>): Side[] {
  return sides.map(({ target, app }) => ({ target, body: () => body(app) }));
}

export async function withTarget(target: Target, body: (target: Target) => Promise<void>): Promise<void> {
  try {
    await body(target);
  } finally {
    await target.stop();
  }
}
