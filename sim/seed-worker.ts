import { parentPort } from 'node:worker_threads';
import { runSeed } from './seeds.ts';
import type { SeedOptions } from './simulation.ts';

parentPort?.on('message', (options: SeedOptions) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  void runSeed(options).then((report) => parentPort?.postMessage(report));
});
