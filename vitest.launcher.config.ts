import { defineConfig } from 'vitest/config';

// Real servers on free ports, one file after another: they measure time to ready and share two cores with everything else.
export default defineConfig({
  test: {
    environment: 'node',
    include: ['src/launcher/**/*.process.test.ts'],
    fileParallelism: false,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
