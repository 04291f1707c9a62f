import { Worker } from 'node:worker_threads';
import type { Invariant } from './invariants.ts';
import { type SeedOptions, simulate } from './simulation.ts';

/** A seed that takes longer hangs: that is a failure of its own. */
const HANG_MS = 180_000;

/** One seed's result, in a form that travels between threads. */
export interface SeedReport {
  options: SeedOptions;
  transitions: number;
  runs: number;
  crashes: number;
  counts: Partial<Record<Invariant, number>>;
  failure: { invariant: Invariant; message: string; actions: string[]; runs: string[] } | null;
}

export async function runSeed(options: SeedOptions): Promise<SeedReport> {
  const { transitions, runs, crashes, checks, failure } = await simulate(options);
  return {
    options,
    transitions,
    runs,
    crashes,
    counts: checks.counts,
    failure: failure && {
      invariant: failure.violation.invariant,
      message: failure.violation.message,
      actions: failure.actions,
      runs: failure.runs,
    },
  };
}

/** Runs seeds on several threads; `next` gives the next one, or null when there is enough. Resolves when all that were begun are done. */
export async function runSeeds(
  next: () => SeedOptions | null,
  done: (report: SeedReport) => void,
  threads: number,
): Promise<void> {
  await Promise.all(Array.from({ length: threads }, () => runThread(next, done)));
}

function runThread(next: () => SeedOptions | null, done: (report: SeedReport) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let worker: Worker | null = null;
    let timer: NodeJS.Timeout | undefined;
    const begin = (): void => {
      const options = next();
      if (!options) {
        void worker?.terminate();
        return resolve();
      }
      worker ??= open();
      const busy = worker;
      timer = setTimeout(() => {
        worker = null;
        void busy.terminate();
        const failure = {
          invariant: 'throws' as const,
          message: `throws: nothing for ${HANG_MS / 1000} s`,
          actions: [],
          runs: [],
        };
        done({ options, transitions: 0, runs: 0, crashes: 0, counts: {}, failure });
        begin();
      }, HANG_MS);
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
      busy.postMessage(options);
    };
    const open = (): Worker => {
      const worker = new Worker(new URL('./seed-worker.ts', import.meta.url));
      worker.on('error', reject);
      worker.on('message', (report: SeedReport) => {
        clearTimeout(timer);
        done(report);
        begin();
      });
      return worker;
    };
    begin();
  });
}
