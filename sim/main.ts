// `npm run sim`: drives the engine through seeded worlds full of faults. The last line is `N passed, N failed`.
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Checks, INVARIANTS, type Invariant } from './invariants.ts';
import { simulate } from './simulation.ts';

const { values } = parseArgs({
  options: {
    transitions: { type: 'string', default: '200000' },
    seed: { type: 'string' },
    'per-seed': { type: 'string', default: '3000' },
    'runs-per-seed': { type: 'string', default: '250' },
    without: { type: 'string', default: '' },
  },
});
const total = Number(values.transitions);
const perSeed = Number(values['per-seed']);
const runs = Number(values['runs-per-seed']);
const first = values.seed === undefined ? randomInt(1, 1_000_000_000) : Number(values.seed);
const checks = new Checks();
let done = 0;
let crashes = 0;
let count = 0;
const t0 = performance.now();
const failures: string[] = [];
for (let seed = first; done < total; seed++) {
  const result = await simulate({
    seed,
    transitions: Math.min(perSeed, total - done),
    runs,
    without: values.without.split(','),
  });
  done += result.transitions;
  crashes += result.crashes;
  count += result.runs;
  checks.add(result.checks);
  if (result.failure) {
    failures.push(`seed ${seed} tr ${result.transitions} ${result.failure.violation.message.slice(0, 4000)}`);
    console.log(failures.at(-1));
    if (process.env.TRACE) {
      console.log(result.failure.actions.join('\n'));
      break;
    }
    if (failures.length >= Number(process.env.MAXF ?? 1)) break;
  }
}
console.log(
  `${done} transitions, ${count} runs, ${crashes} crashes, ${((performance.now() - t0) / 1000).toFixed(1)} s`,
);
for (const name of Object.keys(INVARIANTS) as Invariant[]) console.log(`${name.padEnd(14)}${checks.counts[name]}`);
