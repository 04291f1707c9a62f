import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

// Tests that run inside the runtime, against the bindings of wrangler.jsonc. Storage is isolated per file.
export default defineConfig({
  plugins: [cloudflareTest({ wrangler: { configPath: './wrangler.jsonc' } })],
  test: {
    include: ['src/**/*.workerd.test.ts'],
    passWithNoTests: true,
  },
});
