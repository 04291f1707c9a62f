// `npm run sim`: drives the engine through seeded worlds full of faults. The last line is `N passed, N failed`.
import { randomInt } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { INVARIANTS, type Invariant } from './invariants.ts';
import type { SourcePatch } from './core-variant.ts';
import { PLANTED } from './limit-mutants.ts';
import { MUTANT_SEEDS, MUTANT_TRANSITIONS } from './mutants.ts';
import { runSeed, runSeeds, type SeedReport } from './seeds.ts';
import { FAULTS, type SeedOptions } from './simulation.ts';

const USAGE = `Usage: npm run sim -- [options]

  --transitions N     calls of the engine under faults, over all seeds (200000); those of each seed's calm end come on top
  --seed S            first seed (random, printed); with --transitions of at most --per-seed: this one world, to replay it
  --per-seed N        transitions under faults in one world (3000)
  --runs-per-seed N   runs that clients start in one world (250)
  --without A,B       faults left out: ${FAULTS.join(', ')}
  --threads N         worlds at the same time (2)
  --mutants           only the planted bugs
  --no-mutants        without them
  --quick             20000 transitions and no mutants
`;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h' },
    transitions: { type: 'string' },
    seed: { type: 'string' },
    'per-seed': { type: 'string', default: '3000' },
    'runs-per-seed': { type: 'string', default: '250' },
    without: { type: 'string', default: '' },
    threads: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    mutants: { type: 'boolean' },
    'no-mutants': { type: 'boolean' },
    quick: { type: 'boolean' },
  },
});

if (values.help) process.stdout.write(USAGE);
else process.exitCode = (await main()) > 0 ? 1 : 0;

async function main(): Promise<number> {
  const seed = values.seed === undefined ? randomInt(1, 1_000_000_000) : Number(values.seed);
  const total = Number(values.transitions ?? (values.quick ? 20_000 : 200_000));
  const replay = values.seed !== undefined && total <= Number(values['per-seed']);
  let passed = 0;
  let failed = 0;
  if (!values.mutants) {
    const broken = await simulateAll(seed, total);
    for (const name of Object.keys(INVARIANTS) as Invariant[])
      if (broken.has(name)) failed++;
      else passed++;
  }
  if (values.mutants || !(values['no-mutants'] || values.quick || replay)) {
    const missed = await findMutants(seed);
    failed += missed;
    passed += PLANTED.length - missed;
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed;
}

/** Runs worlds until they have made the transitions asked for. Returns the classes of invariants that were broken. */
async function simulateAll(first: number, total: number): Promise<Set<Invariant>> {
  console.log(`seed ${first}, ${total} transitions`);
  const began = performance.now();
  const perSeed = Number(values['per-seed']);
  let left = total;
  let seed = first;
  const next = (): SeedOptions | null => {
    if (left <= 0) return null;
    const transitions = Math.min(perSeed, left);
    left -= transitions;
    return { seed: seed++, transitions, runs: Number(values['runs-per-seed']), without: values.without.split(',') };
  };
  const counts = Object.fromEntries(Object.keys(INVARIANTS).map((name) => [name, 0])) as Record<Invariant, number>;
  const sum = { transitions: 0, runs: 0, crashes: 0, seeds: 0 };
  const failures: SeedReport[] = [];
  await runSeeds(
    next,
    (report) => {
      sum.transitions += report.transitions;
      sum.runs += report.runs;
      sum.crashes += report.crashes;
      sum.seeds++;
      for (const name of Object.keys(report.counts) as Invariant[]) counts[name] += report.counts[name] ?? 0;
      if (report.failure) failures.push(report);
    },
    Math.max(1, Number(values.threads)),
  );
  for (const failure of failures.slice(0, 3)) await printFailure(failure);
  if (failures.length > 3)
    console.log(`\n${failures.length - 3} more seeds failed: ${failures.slice(3).map(replayOf).join('; ')}`);
  const broken = new Set(failures.map((report) => report.failure?.invariant as Invariant));
  console.log(
    `\n${sum.transitions} transitions in ${sum.seeds} worlds, ${sum.runs} runs, ${sum.crashes} crashes, ${((performance.now() - began) / 1000).toFixed(1)} s\n`,
  );
  for (const [name, promise] of Object.entries(INVARIANTS) as Array<[Invariant, string]>)
    console.log(
      `${broken.has(name) ? 'FAIL' : 'ok  '}  ${name.padEnd(13)} ${String(counts[name]).padStart(9)} checks   ${promise}`,
    );
  return broken;
}

async function printFailure(report: SeedReport): Promise<void> {
  if (!report.failure) return;
  console.log(`\n${report.failure.message}`);
  console.log(`at transition ${report.transitions} of seed ${report.options.seed}. Its last actions:\n`);
  console.log(report.failure.actions.map((action) => action.slice(0, 240)).join('\n'));
  for (const line of report.failure.runs) console.log(line.slice(0, 400));
  const smallest = report.transitions > 0 ? await shrink(report) : report;
  console.log(`\nreplay: npm run sim -- ${replayOf(smallest)}`);
}

function replayOf({ options }: SeedReport): string {
  const without = (options.without ?? []).filter((fault) => fault !== '');
  const runs = options.runs === 250 ? '' : ` --runs-per-seed ${options.runs}`;
  return `--seed ${options.seed} --transitions ${options.transitions}${runs}${without.length > 0 ? ` --without ${without.join()}` : ''}`;
}

/** The same failure with fewer kinds of faults and fewer transitions, as far as one try each gets. */
async function shrink(report: SeedReport): Promise<SeedReport> {
  let best = report;
  const attempt = async (changes: Partial<SeedOptions>): Promise<void> => {
    const other = await runSeed({ ...best.options, ...changes });
    if (other.failure?.invariant === best.failure?.invariant) best = other;
  };
  for (const fault of FAULTS) await attempt({ without: [...new Set([...(best.options.without ?? []), fault])] });
  for (const share of [0.25, 0.5]) await attempt({ transitions: Math.ceil(best.options.transitions * share) });
  if (best.transitions < best.options.transitions) await attempt({ transitions: best.transitions });
  return best;
}

/** Plants each bug in a copy of the engine. Returns how many were not found. */
async function findMutants(first: number): Promise<number> {
  console.log('\nplanted bugs');
  let missed = 0;
  for (const { name, patch, seed } of PLANTED) {
    const verdict = await findMutant(first, patch, seed).catch((error: Error) => `not planted: ${error.message}`);
    const found = verdict.startsWith('found');
    if (!found) missed++;
    console.log(`${found ? 'ok  ' : 'FAIL'}  ${name.padEnd(66)} ${verdict}`);
  }
  return missed;
}

async function findMutant(first: number, patch: SourcePatch, known?: number): Promise<string> {
  let transitions = 0;
  const seeds = Array.from({ length: MUTANT_SEEDS }, (_, i) => first + i);
  if (known !== undefined) seeds.unshift(known);
  const found: SeedReport[] = [];
  const next = (): SeedOptions | null => {
    const seed = found.length > 0 ? undefined : seeds.shift();
    return seed === undefined ? null : { seed, transitions: MUTANT_TRANSITIONS, runs: 250, patches: [patch] };
  };
  await runSeeds(
    next,
    (report) => {
      transitions += report.transitions;
      if (report.failure) found.push(report);
    },
    1,
  );
  const by = found[0]?.failure?.invariant;
  return by ? `found by "${by}" after ${transitions} transitions` : `not found in ${transitions} transitions`;
}
