import { describe, expect, it } from 'vitest';
import { findViolations } from './dependency-rules.ts';

function messages(file: string, source: string): string[] {
  return findViolations(file, source).map(({ message }) => message);
}

describe('who may import what', () => {
  it.each([
    ['core/engine/start.ts', `import { x } from '../model/ids.ts';`],
    ['core/schedule/cron.ts', `import { Cron } from 'croner';`],
    [
      'core/engine/start.test.ts',
      `import { DatabaseSync } from 'node:sqlite';\nimport { y } from '../testing/sql.ts';`,
    ],
    ['compat/inngest/routes/send-event.ts', `import type { RunId } from '../../../core/model/ids.ts';`],
    [
      'src/worker.ts',
      `import { routes } from '../compat/qstash/index.ts';\nimport { DurableObject } from 'cloudflare:workers';`,
    ],
    ['conformance/main.ts', `import { startServer } from '../src/launcher/index.ts';`],
  ])('lets %s say %j', (file, source) => {
    expect(messages(file, source)).toEqual([]);
  });

  it.each([
    ['core/engine/start.ts', `import { x } from '../../compat/any/auth.ts';`, 'core may not import compat/any'],
    ['core/engine/start.ts', `import { DurableObject } from 'cloudflare:workers';`, 'cloudflare:workers'],
    ['core/engine/start.ts', `import { readFileSync } from 'node:fs';`, 'node:fs'],
    ['core/engine/start.ts', `import { Hono } from 'hono';`, 'no framework'],
    ['core/engine/start.ts', `export { sql } from '../testing/sql.ts';`, 'for tests only'],
    ['compat/inngest/auth.ts', `import { x } from '../qstash/auth.ts';`, 'compat/inngest may not import compat/qstash'],
    ['compat/inngest/auth.ts', `const x = await import('../../src/cell.ts');`, 'compat/inngest may not import src'],
    ['compat/inngest/auth.ts', `import { Inngest } from 'inngest';`, "vendor's package"],
    ['bench/main.ts', `import { Cell } from '../src/cell.ts';`, 'bench may not import src'],
    ['src/launcher/main.ts', `import { x } from '../../core/model/ids.ts';`, 'src/launcher may not import core'],
  ])('stops %s from saying %j', (file, source, expected) => {
    expect(messages(file, source)).toEqual([expect.stringContaining(expected)]);
  });
});

describe('what the engine may not say', () => {
  it("finds a vendor's word in code and in strings, and names the line", () => {
    expect(findViolations('core/model/ids.ts', `const a = 1;\nconst prefix = 'tr_dev_';`)).toEqual([
      { file: 'core/model/ids.ts', line: 2, message: `"tr_dev" is a vendor's word; core/ knows none` },
    ]);
  });

  it('leaves comments, other folders and our own word "trigger" alone', () => {
    expect(
      messages('core/model/ids.ts', `// as Inngest does\n/* QStash\n too */ const trigger = 'https://x';`),
    ).toEqual([]);
    expect(messages('compat/qstash/ids.ts', `const name = 'qstash';`)).toEqual([]);
  });

  it('finds time, chance and network that were not injected', () => {
    expect(messages('core/engine/wake.ts', `const now = Date.now();`)).toHaveLength(1);
    expect(
      messages('core/engine/wake.ts', `const now = clock.now(); const at = new Date(now); store.fetch(1);`),
    ).toEqual([]);
    expect(messages('core/engine/wake.test.ts', `const now = Date.now();`)).toEqual([]);
  });
});
