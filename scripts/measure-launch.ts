// How long a start takes and what an idle server costs, all of its processes together. Linux only: it reads /proc.
import { readdirSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startServer } from '../src/launcher/index.ts';

const USAGE = `Usage: npm run measure:launch -- [--rounds 10] [--settle-ms 3000] [--worker <bundled module>]

Prints the time from spawn to a 200 on /health, and the resident and proportional memory of the idle server per process.
`;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h' },
    rounds: { type: 'string', default: '10' },
    'settle-ms': { type: 'string', default: '3000' },
    worker: { type: 'string' },
  },
});

if (values.help) process.stdout.write(USAGE);
else await measure(Number(values.rounds), Number(values['settle-ms']), values.worker);

async function measure(rounds: number, settleMs: number, worker: string | undefined): Promise<void> {
  const readyMs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const startedAt = performance.now();
    const server = await startServer({ worker });
    readyMs.push(performance.now() - startedAt);
    if (round === rounds - 1) {
      await new Promise((resolve) => setTimeout(resolve, settleMs));
      printMemory([server.pid, ...descendants(server.pid)]);
    }
    await server.stop();
  }
  const sorted = readyMs.sort((a, b) => a - b).map(Math.round);
  console.log(
    `spawn to ready: first to last ${sorted[0]}-${sorted.at(-1)} ms, median ${sorted[Math.floor(rounds / 2)]} ms`,
  );
}

function printMemory(pids: readonly number[]): void {
  const total = { rss: 0, pss: 0 };
  for (const pid of pids) {
    const smaps = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const rss = megabytes(smaps, 'Rss');
    const pss = megabytes(smaps, 'Pss');
    total.rss += rss;
    total.pss += pss;
    const name = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]!.split('/').at(-1)!;
    console.log(`${name.padEnd(10)} rss ${rss.toFixed(1)} MB, pss ${pss.toFixed(1)} MB`);
  }
  console.log(`${'total'.padEnd(10)} rss ${total.rss.toFixed(1)} MB, pss ${total.pss.toFixed(1)} MB`);
}

function megabytes(smaps: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(smaps)?.[1] ?? 0) / 1024;
}

function descendants(pid: number): number[] {
  const children = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((candidate) => parentOf(candidate) === pid);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}
