// `npm test`: every lane of CI, one after another. The last line is `N passed, N failed[, N skipped]`.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { countLane, parseVitestReport, type Counts } from './lane-counts.ts';
import { runCommand, seconds } from './run-command.ts';

interface Lane {
  name: string;
  what: string;
  /**
   * A command whose last line is `N passed, N failed[, N skipped]`, one that says nothing but its exit code and counts as
   * one test, or a vitest configuration.
   */
  run: { command: string[] } | { one: string[] } | { vitest: string };
}

const LANES: readonly Lane[] = [
  {
    name: 'check',
    what: 'types, lint, format, dependency direction, unused code',
    run: { command: ['node', 'scripts/check.ts'] },
  },
  { name: 'unit', what: 'core, compat and src in Node', run: { vitest: 'vitest.config.ts' } },
  { name: 'workerd', what: 'the objects inside the runtime', run: { vitest: 'vitest.workerd.config.ts' } },
  { name: 'launcher', what: 'the server as a process', run: { vitest: 'vitest.launcher.config.ts' } },
  {
    name: 'sim',
    what: 'the engine under crashes, losses and clock jumps, from seeds that are new each time; a failure prints how to replay it',
    run: {
      command: ['node', 'sim/main.ts', '--transitions', '200000', '--no-mutants', '--without', 'lies'],
    },
  },
  {
    name: 'mutants',
    what: 'bugs planted in the engine are found, executors that lie included; one seed',
    run: { command: ['node', 'sim/main.ts', '--transitions', '30000', '--seed', '742908607'] },
  },
  {
    name: 'conformance',
    what: "the vendors' own packages against a running server",
    run: { command: ['node', 'conformance/main.ts'] },
  },
  {
    name: 'crash',
    what: 'kill -9 under load, a few rounds',
    run: { command: ['node', 'conformance/crash.ts', '--rounds', '3'] },
  },
  { name: 'demo', what: 'three apps over a power cut', run: { one: ['node', 'examples/demo/main.ts'] } },
];

const USAGE = `Usage: npm test -- [--lane <name>[,<name>]]

${LANES.map(({ name, what }) => `  ${name.padEnd(12)} ${what}`).join('\n')}
`;

const LANE_LIMIT_MS = 20 * 60 * 1000;

const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h' }, lane: { type: 'string' } } });
if (values.help) {
  process.stdout.write(USAGE);
} else {
  const selected = values.lane?.split(',');
  const unknown = selected?.find((name) => !LANES.some((lane) => lane.name === name));
  if (unknown !== undefined) {
    process.stderr.write(`unknown lane "${unknown}"\n\n${USAGE}`);
    process.exit(2);
  }
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  const summary: string[] = [];
  for (const lane of LANES) {
    if (selected && !selected.includes(lane.name)) continue;
    console.log(`\n=== ${lane.name}: ${lane.what}`);
    const { counts, durationMs } = await runLane(lane);
    for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += counts[key];
    summary.push(`${lane.name.padEnd(12)} ${seconds(durationMs).padStart(8)}   ${render(counts)}`);
  }
  console.log(`\n${summary.join('\n')}`);
  console.log(render(total));
  process.exitCode = total.failed > 0 ? 1 : 0;
}

async function runLane({ run }: Lane): Promise<{ counts: Counts; durationMs: number }> {
  if ('one' in run) {
    const { code, durationMs } = await runCommand(run.one, { echo: true, timeoutMs: LANE_LIMIT_MS });
    return { counts: { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 }, durationMs };
  }
  if ('command' in run) {
    const result = await runCommand(run.command, { echo: true, timeoutMs: LANE_LIMIT_MS });
    return { counts: countLane(result.code, result.output), durationMs: result.durationMs };
  }
  const directory = mkdtempSync(path.join(os.tmpdir(), 'repoint-report-'));
  const report = path.join(directory, 'report.json');
  try {
    const result = await runCommand(
      ['vitest', 'run', '--config', run.vitest, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
      { echo: true, timeoutMs: LANE_LIMIT_MS },
    );
    const { counts, skippedNames } = parseVitestReport(readIfExists(report));
    for (const name of skippedNames) console.log(`skipped: ${name}`);
    if (result.code !== 0 && counts.failed === 0) counts.failed = 1;
    return { counts, durationMs: result.durationMs };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function readIfExists(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function render({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
