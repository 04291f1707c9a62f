// Everything that can be said about the code without running it.
import { parseArgs } from 'node:util';
import { runCommand, seconds } from './run-command.ts';

interface Check {
  name: string;
  what: string;
  command: string[];
}

const CHECKS: readonly Check[] = [
  { name: 'types', what: 'TypeScript for all that runs in Node', command: ['tsc', '-p', 'tsconfig.json'] },
  { name: 'types-worker', what: 'TypeScript for the Worker', command: ['tsc', '-p', 'tsconfig.worker.json'] },
  {
    name: 'types-worker-tests',
    what: "TypeScript for the Worker's tests in Node",
    command: ['tsc', '-p', 'tsconfig.src-test.json'],
  },
  {
    name: 'types-workerd-tests',
    what: 'TypeScript for the tests inside the runtime',
    command: ['tsc', '-p', 'tsconfig.workerd-test.json'],
  },
  { name: 'lint', what: 'oxlint', command: ['oxlint', '--deny-warnings', '--format=unix'] },
  { name: 'format', what: 'prettier', command: ['prettier', '--check', '--log-level', 'warn', '.'] },
  { name: 'dependencies', what: 'who may import what', command: ['node', 'scripts/check-deps.ts'] },
  { name: 'unused', what: 'knip: files, exports and packages nobody uses', command: ['knip', '--no-progress'] },
];

const USAGE = `Usage: npm run check -- [--only <name>[,<name>]]

${CHECKS.map(({ name, what }) => `  ${name.padEnd(20)} ${what}`).join('\n')}

"npm run format" mends the formatting. Exit code 1 when a check fails.
`;

const CHECK_LIMIT_MS = 5 * 60 * 1000;

const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h' }, only: { type: 'string' } } });
if (values.help) {
  process.stdout.write(USAGE);
} else {
  const only = values.only?.split(',');
  const unknown = only?.find((name) => !CHECKS.some((check) => check.name === name));
  if (unknown !== undefined) {
    process.stderr.write(`unknown check "${unknown}"\n\n${USAGE}`);
    process.exit(2);
  }
  let passed = 0;
  let failed = 0;
  for (const { name, command } of CHECKS) {
    if (only && !only.includes(name)) continue;
    const result = await runCommand(command, { echo: false, timeoutMs: CHECK_LIMIT_MS });
    if (result.code === 0) passed++;
    else failed++;
    console.log(`${result.code === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds(result.durationMs)})`);
    if (result.code !== 0) console.log(result.output.trimEnd());
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}
