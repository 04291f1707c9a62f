import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { findViolations } from './dependency-rules.ts';
import { root } from './run-command.ts';

const SOURCES = ['core', 'compat', 'src', 'conformance', 'sim', 'bench', 'examples', 'scripts'].map(
  (dir) => `${dir}/**/*.ts`,
);

// Its cases are imports that break the rules, as text.
const RULES_TEST = 'scripts/check-deps.test.ts';

const files = globSync(SOURCES, { cwd: root, exclude: ['**/node_modules', '**/fixtures', RULES_TEST] })
  .map((file) => file.split(path.sep).join('/'))
  .sort();
const violations = files.flatMap((file) => findViolations(file, readFileSync(path.join(root, file), 'utf8')));
for (const { file, line, message } of violations) console.log(`${file}:${line} ${message}`);
console.log(`${files.length} files, ${violations.length} violations`);
process.exitCode = violations.length > 0 ? 1 : 0;
