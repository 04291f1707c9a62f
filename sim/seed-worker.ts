import { parentPort } from 'node:worker_threads';
import { runSeed } from './seeds.ts';
import type { SeedOptions } from './simulation.ts';

parentPort?.on('message', (options: SeedOptions) => {
  void runSeed(options).then((report) => parentPort?.postMessage(report));
});
