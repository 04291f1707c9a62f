import { defineConfig } from 'vitest/config';

// The unit lane: everything that runs in Node. Tests that need the runtime are *.workerd.test.ts, see vitest.workerd.config.ts;
// those of the launcher start real processes and are a lane of their own.
export default defineConfig({
  test: {
    environment: 'node',
    include: ['{core,compat,src,scripts,sim,conformance,bench,examples}/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/*.workerd.test.ts', 'src/launcher/**/*.process.test.ts'],
    restoreMocks: true,
    // No test waits for time to pass: what is slow here is a machine that does much else.
    testTimeout: 30_000,
    passWithNoTests: true,
  },
});
