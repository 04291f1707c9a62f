import { defineConfig } from '@trigger.dev/sdk';

// A Trigger.dev project is defined by a default export.
export default defineConfig({
  project: process.env.TRIGGER_PROJECT_REF ?? 'proj_video_pipeline',
  dirs: ['./src/trigger'],
  maxDuration: 300,
  processKeepAlive: true,
  retries: {
    enabledInDev: true,
    default: { maxAttempts: 3, minTimeoutInMs: 500, maxTimeoutInMs: 5_000, factor: 2, randomize: false },
  },
});
