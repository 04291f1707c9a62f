import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { inngestLoad } from './crash/inngest-load.ts';
import { Ledger } from './crash/ledger.ts';
import { keepBusy, type Load } from './crash/load.ts';
import { qstashLoad } from './crash/qstash-load.ts';
import { triggerLoad } from './crash/trigger-load.ts';
import { clockOf } from './harness/clock.ts';
import { stablePort } from './harness/port.ts';
import { startServer, type Server } from '../src/launcher/index.ts';

const USAGE = `Usage: npm run crash -- [options]

Kills the server (SIGKILL, all its processes) again and again while all three vendors' wire formats send it work, and counts: what was
acknowledged must be finished in the end, and what was finished must not be done again, except where the kill took its report.

  --rounds <n>        default 5; the full test is 100
  --width <n>         requests at once per vendor; default 6
  --max-open <n>      acknowledged and unfinished work per vendor above which nothing more is sent; default 500
  --min-ms, --max-ms  a kill comes at a random time between them after the start; default 300 and 1500
  --vendor <name>     only inngest, qstash or trigger; may be repeated
  --seed <n>          of the kill times
  --verbose           print the server's log as it comes
  --help              this text
`;

const SUBMIT_PAUSE_MS = 10;
const DRAIN_MS = 90_000;
/** Without progress for this long, the clock is moved: a lease that nobody will report on has to run out. */
const STALL_MS = 8_000;
const STALL_ADVANCE_MS = 120_000;
const CONFIRM_AT_ONCE = 20;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    width: { type: 'string', default: '6' },
    'max-open': { type: 'string', default: '500' },
    'min-ms': { type: 'string', default: '300' },
    'max-ms': { type: 'string', default: '1500' },
    vendor: { type: 'string', multiple: true },
    seed: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

interface Check {
  title: string;
  failures: string[];
}

async function main(): Promise<number> {
  const rounds = Number(values.rounds);
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const random = mulberry32(seed);
  const ledger = new Ledger();
  const loads = [inngestLoad(ledger), qstashLoad(ledger), triggerLoad(ledger)].filter(
    (load) => !values.vendor || values.vendor.includes(load.name),
  );
  const server = await startServer({
    port: await stablePort(),
    onLog: (text) => void (values.verbose && process.stderr.write(text)),
  });
  const checks: Check[] = [];
  let moved = 0;
  try {
    console.log(`server ${server.url}, ${rounds} rounds, seed ${seed}`);
    for (const load of loads) await load.start(server.url);
    const shape = { width: Number(values.width), pauseMs: SUBMIT_PAUSE_MS, maxOpen: Number(values['max-open']) };
    const busy = loads.map((load) => keepBusy(load, ledger, shape));
    const restarts: Check = { title: 'the server starts again after every kill', failures: [] };
    for (let round = 1; round <= rounds; round++) {
      ledger.round = round;
      const afterMs = Number(values['min-ms']) + random() * (Number(values['max-ms']) - Number(values['min-ms']));
      await delay(afterMs);
      await server.kill9();
      ledger.killed();
      const downAt = Date.now();
      await server.restart();
      ledger.returned();
      printRound(round, afterMs, Date.now() - downAt, loads, ledger);
    }
    checks.push(restarts);
    ledger.round = rounds + 1;
    await delay(500);
    await Promise.all(busy.map((each) => each.stop()));
    moved = await drain(server, ledger);
    checks.push(...roundChecks(rounds, ledger), ...(await confirmations(loads, ledger)));
    for (const load of loads) checks.push(...(await booksOf(load)));
    checks.push({ title: 'nothing that was finished is done again', failures: ledger.violations });
  } finally {
    await Promise.all(loads.map((load) => load.stop()));
    await server.stop();
  }
  printCounts(loads, ledger, moved);
  return report(checks, server);
}

/** Waits until all acknowledged work is finished. Returns by how many ms the clock was moved. */
async function drain(server: Server, ledger: Ledger): Promise<number> {
  const deadline = Date.now() + DRAIN_MS;
  let open = ledger.open().length;
  let progressAt = Date.now();
  let moved = 0;
  while (open > 0 && Date.now() < deadline) {
    await delay(100);
    const now = ledger.open().length;
    if (now < open) progressAt = Date.now();
    open = now;
    if (Date.now() - progressAt > STALL_MS && open > 0) {
      console.log(`  ${open} open without progress, the first: ${JSON.stringify(ledger.open()[0])}; moving the clock`);
      await clockOf(server.url).advance(STALL_ADVANCE_MS);
      moved += STALL_ADVANCE_MS;
      progressAt = Date.now();
    }
  }
  return moved;
}

function roundChecks(rounds: number, ledger: Ledger): Check[] {
  const open = ledger.open();
  return Array.from({ length: rounds }, (_, i) => ({
    title: `round ${i + 1}: all that was acknowledged is finished`,
    failures: open.filter((item) => item.round === i + 1).map((item) => `lost: ${item.key} (${item.serverId})`),
  }));
}

/** Asks the server itself about every piece of work. */
async function confirmations(loads: Load[], ledger: Ledger): Promise<Check[]> {
  const checks: Check[] = [];
  for (const load of loads) {
    const failures: string[] = [];
    const items = [...ledger.acknowledged].filter(([, item]) => item.load === load.name);
    const next = items.values();
    await Promise.all(
      Array.from({ length: CONFIRM_AT_ONCE }, async () => {
        for (const [key, { serverId }] of next) {
          try {
            const { done, detail } = await load.confirm(serverId);
            if (!done) failures.push(`${key} (${serverId}) ${detail}`);
          } catch (error) {
            failures.push(`${key} (${serverId}) ${(error as Error).message}`);
          }
        }
      }),
    );
    checks.push({ title: `${load.name}: the server says of all ${items.length} that they are done, once`, failures });
  }
  return checks;
}

async function booksOf(load: Load): Promise<Check[]> {
  const books = (await load.books?.()) ?? [];
  for (const { title } of books) console.log(title);
  return books;
}

function printRound(round: number, afterMs: number, downMs: number, loads: Load[], ledger: Ledger): void {
  const parts = loads.map((load) => {
    const { acknowledged, finished } = ledger.count(load.name);
    return `${load.name} ${finished}/${acknowledged}`;
  });
  console.log(
    `round ${String(round).padStart(3)}: killed after ${Math.round(afterMs)} ms, back after ${downMs} ms; finished/acknowledged ${parts.join(', ')}`,
  );
}

function printCounts(loads: Load[], ledger: Ledger, moved: number): void {
  console.log('\nvendor    acknowledged  finished  lost  again');
  for (const load of loads) {
    const { acknowledged, finished } = ledger.count(load.name);
    const figures = [
      String(acknowledged).padStart(12),
      String(finished).padStart(10),
      String(acknowledged - finished).padStart(6),
    ];
    console.log(`${load.name.padEnd(10)}${figures.join('')}${String(ledger.repeats[load.name]).padStart(7)}`);
  }
  console.log(`requests without an answer: ${ledger.unanswered}, refused: ${ledger.refused}`);
  console.log(`done again because a kill took the report: at most ${ledger.oldestRepeatMs} ms old at the kill`);
  if (moved > 0) console.log(`the clock was moved by ${moved / 1000} s to let leases run out`);
}

const SHOWN_FAILURES = 5;

function report(checks: Check[], server: Server): number {
  const failed = checks.filter((check) => check.failures.length > 0);
  for (const { title, failures } of failed) {
    console.log(`FAIL ${title}: ${failures.length}`);
    for (const failure of failures.slice(0, SHOWN_FAILURES)) console.log(`     ${failure}`);
  }
  if (failed.length > 0) console.log(`\n--- end of the server's log\n${server.log().slice(-4_000)}`);
  console.log(`${checks.length - failed.length} passed, ${failed.length} failed`);
  return failed.length === 0 ? 0 : 1;
}

function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
try {
  process.exit(await main());
} catch (error) {
  console.error(error);
  console.log('0 passed, 1 failed');
  process.exit(1);
}
