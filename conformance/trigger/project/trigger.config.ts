import { defineConfig } from '@trigger.dev/sdk';

// A project of the vendor's is defined by a default export.
export default defineConfig({
  project: process.env.CONFORMANCE_PROJECT ?? 'proj_conformance',
  dirs: ['./src/trigger'],
  maxDuration: 300,
  processKeepAlive: true,
  retries: {
    enabledInDev: true,
    default: { maxAttempts: 3, minTimeoutInMs: 200, maxTimeoutInMs: 1_000, factor: 1, randomize: false },
  },
});
