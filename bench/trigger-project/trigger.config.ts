import { defineConfig } from '@trigger.dev/sdk';

// oxlint-disable-next-line import/no-default-export -- the CLI reads the default export
export default defineConfig({
  project: 'proj_bench',
  dirs: ['./src/trigger'],
  maxDuration: 60,
  processKeepAlive: true,
});
