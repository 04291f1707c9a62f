import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startServer, type Server } from '../../src/launcher/index.ts';
import { clientsFor, type Clients, type StartedRun, type VendorName } from './clients.ts';
import { startChild, type Child } from './processes.ts';
import { stablePort } from '../../conformance/harness/port.ts';
import { JournalWatch, repeatedSteps, type SeenEntry } from './watch.ts';

const USAGE = `Usage: npm run demo -- [--vendor inngest|trigger|upstash]... [--help]

Starts the server on a free port with a fresh data directory and three small apps that use the vendors' unmodified packages
(examples/), runs one job of each, runs another of each and kills the server in the middle (SIGKILL), starts it again, and checks
that every run finished and no finished step ran twice. Takes about a minute; exit code 0 if all of that held.
`;

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const DEADLINE_MS = 170_000;
/** `trigger dev` bundles the tasks and starts an indexer: 15-20 s cold on two cores. */
const WORKER_READY_MS = 90_000;
const PHASE_MS = 60_000;
/** A step that ended this long before the kill has been reported and answered. Younger ones may run again: their report may be lost. */
const ACKNOWLEDGED_AFTER_MS = 250;
const TOKENS = {
  qstashToken: Buffer.from(JSON.stringify({ UserID: 'demo', Password: 'demo' })).toString('base64'),
  triggerSecretKey: 'tr_dev_demo00000000000000000000',
};

interface Outcome {
  run: StartedRun;
  killed: boolean;
  status: string;
  ok: boolean;
  steps: number;
  repeated: string[];
}

const { values } = parseArgs({
  options: { vendor: { type: 'string', multiple: true }, help: { type: 'boolean', default: false } },
});
const VENDORS: readonly VendorName[] = (['inngest', 'trigger', 'upstash'] as const).filter(
  (name) => values.vendor === undefined || values.vendor.includes(name),
);
const startedAt = Date.now();
const children: Child[] = [];
const scratch = mkdtempSync(path.join(os.tmpdir(), 'repoint-demo-'));
const journalFile = path.join(scratch, 'journal.jsonl');
writeFileSync(journalFile, '');
const watch = new JournalWatch(journalFile, printEntry);
let server: Server | undefined;

async function main(): Promise<number> {
  say('starting the server');
  server = await startServer({ port: await stablePort(), dataDir: path.join(scratch, 'data') });
  say(`server at ${server.url}, pid ${server.pid}`);
  say(
    'starting the apps: inngest (node), @upstash/workflow (node), trigger dev (bundles its tasks, which takes a while)',
  );
  const ports = { inngest: await stablePort(), upstash: await stablePort() };
  await startApps(server, ports);
  const clients = clientsFor(server.url, `http://127.0.0.1:${ports.upstash}/onboard`, TOKENS);
  if (VENDORS.includes('inngest')) await register(`http://127.0.0.1:${ports.inngest}/api/inngest`);

  say('\n1. one run of each vendor: a step that fails once, a sleep, a fan-out');
  const first = await startAll(clients, 'first');
  await finishAll(first);

  say('\n2. another run of each, and the server killed in the middle');
  const beforeSecond = Date.now();
  const second = await startAll(clients, 'second');
  await inTheMiddle(beforeSecond);
  await delay(ACKNOWLEDGED_AFTER_MS + 50);
  const killedAt = Date.now();
  await server.kill9();
  say('   SIGKILL: the server is gone');
  await delay(1_000);
  await server.restart();
  say(`   started again on the same data, pid ${server.pid}`);
  await finishAll(second);

  const outcomes: Outcome[] = [];
  for (const run of first) outcomes.push(await outcomeOf(run, undefined, startedAt, beforeSecond));
  for (const run of second) outcomes.push(await outcomeOf(run, killedAt, beforeSecond, Infinity));
  return summarise(outcomes);
}

async function startApps(target: Server, ports: { inngest: number; upstash: number }): Promise<void> {
  const env = { ...process.env, JOURNAL_FILE: journalFile, NO_COLOR: '1' };
  const node = process.execPath;
  const starts: Record<VendorName, () => Promise<void>> = {
    inngest: () =>
      startApp('inngest-order', [node, 'app.ts'], /listening/, PHASE_MS, {
        ...env,
        INNGEST_DEV: target.url,
        PORT: String(ports.inngest),
      }),
    upstash: () =>
      startApp('upstash-onboarding', [node, 'app.ts'], /listening/, PHASE_MS, {
        ...env,
        QSTASH_DEV: 'true',
        QSTASH_DEV_PORT: String(target.port),
        PORT: String(ports.upstash),
      }),
    trigger: () => {
      const cli = path.join(ROOT, 'node_modules/trigger.dev/dist/esm/index.js');
      const command = [node, cli, 'dev', '--skip-update-check', '--skip-platform-notifications'];
      return startApp('trigger-thumbnails', command, /Local worker ready/, WORKER_READY_MS, {
        ...env,
        TRIGGER_API_URL: target.url,
        TRIGGER_ACCESS_TOKEN: `tr_pat_${'d'.repeat(40)}`,
        TRIGGER_TELEMETRY_DISABLED: '1',
        CI: '1',
      });
    },
  };
  await Promise.all(VENDORS.map((vendor) => starts[vendor]()));
}

async function startApp(
  folder: string,
  [command, ...args]: string[],
  ready: RegExp,
  timeoutMs: number,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const child = startChild(folder, command!, args, { cwd: path.join(ROOT, 'examples', folder), env });
  children.push(child);
  await child.says(ready, timeoutMs);
}

/** What `curl -X PUT` does by hand: asks the app to register its functions with the server. */
async function register(appUrl: string): Promise<void> {
  const response = await fetch(appUrl, { method: 'PUT' });
  if (!response.ok)
    throw new Error(`the app could not register its functions: ${response.status} ${await response.text()}`);
}

async function startAll(clients: Clients, label: string): Promise<StartedRun[]> {
  const starts: Record<VendorName, () => Promise<StartedRun>> = {
    inngest: () => clients.startInngest(`o-${label}`),
    trigger: () => clients.startTrigger(`v-${label}`),
    upstash: () => clients.startUpstash(`ada.${label}@example.com`),
  };
  return Promise.all(VENDORS.map((vendor) => starts[vendor]()));
}

/** Resolves when a run of each vendor has finished a step and has more to do. */
async function inTheMiddle(sinceMs: number): Promise<void> {
  await poll('a finished step of each vendor', () => {
    const done = watch.entries.filter((entry) => entry.at >= sinceMs && entry.phase === 'done' && entry.step !== 'run');
    return VENDORS.every((vendor) => done.some((entry) => entry.vendor === vendor));
  });
}

async function finishAll(runs: StartedRun[]): Promise<void> {
  for (const run of runs) {
    await poll(`the ${run.vendor} run ${run.id}`, async () => (await run.state()).done);
  }
}

async function outcomeOf(
  run: StartedRun,
  killedAt: number | undefined,
  fromMs: number,
  toMs: number,
): Promise<Outcome> {
  const { status, ok } = await run.state();
  const entries = watch.entries.filter(
    (entry) => entry.vendor === run.vendor && entry.at >= fromMs && entry.at < toMs && entry.step !== 'run',
  );
  const steps = entries.filter((entry) => entry.phase === 'done').length;
  const repeated =
    killedAt === undefined ? doneTwice(entries) : repeatedSteps(entries, killedAt - ACKNOWLEDGED_AFTER_MS);
  return { run, killed: killedAt !== undefined, status, ok, steps, repeated };
}

function doneTwice(entries: SeenEntry[]): string[] {
  const done = entries.filter((entry) => entry.phase === 'done').map((entry) => `${entry.run} ${entry.step}`);
  return done.filter((key, index) => done.indexOf(key) !== index);
}

async function poll(what: string, predicate: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PHASE_MS;
  let last = '';
  while (Date.now() < deadline) {
    try {
      if (await predicate()) return;
    } catch (error) {
      last = (error as Error).message;
    }
    await delay(100);
  }
  throw new Error(`gave up waiting for ${what} after ${PHASE_MS / 1000} s${last && `: ${last}`}`);
}

function summarise(outcomes: Outcome[]): number {
  const rows = outcomes.map(({ run, killed, status, ok, steps, repeated }) => [
    LABELS[run.vendor],
    killed ? 'server killed' : 'undisturbed',
    status,
    String(steps),
    String(repeated.length),
    ok && repeated.length === 0 ? 'ok' : 'FAILED',
  ]);
  say('');
  printTable(['vendor', 'run', 'status', 'steps finished', 'repeated', ''], rows);
  for (const { repeated } of outcomes) for (const key of repeated) say(`ran again although it had finished: ${key}`);
  const failed = rows.filter((row) => row.at(-1) !== 'ok').length;
  say(
    `\n${rows.length - failed} of ${rows.length} runs finished with no finished step run twice, in ${((Date.now() - startedAt) / 1000).toFixed(0)} s`,
  );
  return failed === 0 ? 0 : 1;
}

const LABELS: Record<VendorName, string> = { inngest: 'Inngest', trigger: 'Trigger.dev', upstash: 'Upstash Workflow' };

function printEntry(entry: SeenEntry): void {
  if (entry.phase === 'start' || entry.step === 'run') return;
  const time = `${((entry.at - startedAt) / 1000).toFixed(1)} s`;
  const took = entry.durationMs === undefined ? '' : `${entry.durationMs.toFixed(0)} ms`;
  const cells = [
    time.padStart(8),
    LABELS[entry.vendor].padEnd(17),
    entry.step.padEnd(23),
    `attempt ${entry.attempt}`.padEnd(10),
    took.padStart(8),
  ];
  say(
    `${cells.join('  ')}  ${entry.phase === 'done' ? 'done  ' : 'failed'}  run ${entry.run}${entry.message ? `  (${entry.message})` : ''}`,
  );
}

function printTable(head: string[], rows: string[][]): void {
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i]!.length)));
  for (const row of [head, ...rows])
    say(
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    );
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function cleanUp(): Promise<void> {
  watch.close();
  await Promise.all(children.map((child) => child.stop()));
  await server?.stop();
  rmSync(scratch, { recursive: true, force: true });
}

if (values.help) {
  say(USAGE);
  process.exit(0);
}
mkdirSync(scratch, { recursive: true });
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.once(name, () => void cleanUp().finally(() => process.exit(130)));
const overtime = delay(DEADLINE_MS, undefined, { ref: false }).then(() => {
  throw new Error(`not finished after ${DEADLINE_MS / 1000} s`);
});
let code = 1;
try {
  code = await Promise.race([main(), overtime]);
} catch (error) {
  say(`\nthe demo failed: ${(error as Error).message}`);
  for (const child of children) say(`\n--- last output of ${child.name}\n${child.output().slice(-2_000)}`);
  if (server) say(`\n--- last output of the server\n${server.log().slice(-3_000)}`);
}
await cleanUp();
process.exit(code);
