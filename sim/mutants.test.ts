import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { patchSource } from './core-variant.ts';
import { PLANTED } from './limit-mutants.ts';

// That each is found is shown by `npm run sim -- --mutants`; here, that each can be planted at all.
describe('a planted bug', () => {
  it.each(PLANTED)('fits the source exactly once: $name', ({ patch }) => {
    const source = readFileSync(new URL(`../core/${patch.file}`, import.meta.url), 'utf8');
    expect(patchSource(source, [patch])).not.toBe(source);
  });
});
