import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Bench, type Phase } from './bench.ts';
import { PHASES } from './phases/index.ts';
import { renderLines, renderMarkdown, renderVerdicts, type Machine } from './render.ts';
import { stopAll } from './targets.ts';
import { Figures, type Verdict } from './verdicts.ts';

const NAMES = PHASES.map(({ name }) => name);
const NAME_WIDTH = Math.max(...NAMES.map((name) => name.length)) + 2;
/** Far above what a phase takes; one that hangs is ended and reported, and the others run. */
const PHASE_LIMIT_MS = 400_000;

const USAGE = `Usage: npm run bench -- [options]

Measures the server with the vendors' packages, each figure beside floors from the same run: a null server (keeps nothing: the limit of
the app and its SDK) and, for writes, a raw object (one insert and one commit a request: the limit of the platform). The app and the load
generator are this process, on the same cores.

  --phases <list>   of ${NAMES.join(', ')}; default all
  --quick           a tenth of the work: shows that it runs, not how fast
  --repeat <n>      every measurement n times, in turns with its floors, medians; default 3
  --quiet <s>       before each measurement, wait up to so long for the rest of the machine to be idle; default 0
  --sleepers <n>    default 10000
  --json <file>     write every line and the machine
  --markdown <file> write the tables into a page, between its bench markers
  --help            this text

${PHASES.map(({ name, usage }) => `  ${name.padEnd(NAME_WIDTH)}${usage}`).join('\n')}
`;

const { values } = parseArgs({
  options: {
    phases: { type: 'string', default: NAMES.join(',') },
    quick: { type: 'boolean', default: false },
    repeat: { type: 'string', default: '3' },
    quiet: { type: 'string', default: '0' },
    sleepers: { type: 'string', default: '10000' },
    json: { type: 'string' },
    markdown: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

async function main(): Promise<void> {
  const wanted = values.phases.split(',');
  for (const name of wanted) if (!NAMES.includes(name)) throw new Error(`no phase "${name}"; see --help`);
  const machine: Machine = {
    date: new Date().toISOString(),
    cores: os.cpus().length,
    cpu: os.cpus()[0]?.model ?? 'unknown',
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()}`,
    node: process.version,
    command: `npm run bench -- ${process.argv.slice(2).join(' ')}`.trim(),
  };
  console.log(
    `${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB, ${machine.system}, node ${machine.node}, ${machine.date}\n`,
  );
  const bench = new Bench({
    isQuick: values.quick,
    repeat: values.quick ? 1 : Number(values.repeat),
    quietMs: Number(values.quiet) * 1000,
    sleepers: Number(values.sleepers),
  });
  const phases = PHASES.filter(({ name }) => wanted.includes(name));
  const broken: string[] = [];
  for (const phase of phases) if (!(await runPhase(phase, bench))) broken.push(phase.name);
  const verdicts = verdictsOf(phases, bench, broken);
  console.log(`\n${renderLines(bench.lines)}\n\n${renderVerdicts(verdicts)}`);
  if (values.json) write(values.json, `${JSON.stringify({ machine, lines: bench.lines, verdicts }, null, 2)}\n`);
  if (values.markdown) writeBlock(values.markdown, renderMarkdown(machine, bench.lines, verdicts));
  if (broken.length > 0) throw new Error(`not finished: ${broken.join(', ')}`);
}

/** Whether it ended well and in time. All that it started has ended then. */
async function runPhase(phase: Phase, bench: Bench): Promise<boolean> {
  const startedAt = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    const limitMs = PHASE_LIMIT_MS * bench.options.repeat;
    timer = setTimeout(() => reject(new Error(`not finished after ${limitMs / 1000} s`)), limitMs);
  });
  try {
    await Promise.race([phase.run(bench), limit]);
    return true;
  } catch (error) {
    console.error(`phase ${phase.name}:`, error);
    return false;
  } finally {
    clearTimeout(timer);
    await stopAll();
    console.log(`${phase.name}: ${((performance.now() - startedAt) / 1000).toFixed(0)} s\n`);
  }
}

function verdictsOf(phases: Phase[], bench: Bench, broken: string[]): Verdict[] {
  const figures = new Figures(bench.lines);
  const wrong = bench.lines.reduce((sum, line) => sum + line.lost + line.duplicates, 0);
  return [
    ...phases.flatMap((phase) => phase.verdicts?.(figures) ?? []),
    { what: 'lost or duplicated, all phases', value: String(wrong), target: '0', reached: wrong === 0 },
    ...broken.map((name) => ({ what: `phase ${name}`, value: 'not finished', target: 'finished', reached: false })),
  ];
}

const BEGIN = '<!-- bench:begin -->';
const END = '<!-- bench:end -->';

/** Replaces what stands between the page's markers, or makes the page. */
function writeBlock(file: string, text: string): void {
  const block = `${BEGIN}\n\n${text}\n${END}`;
  const page = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  write(file, from >= 0 && to > from ? page.slice(0, from) + block + page.slice(to + END.length) : `${page}${block}\n`);
}

function write(file: string, text: string): void {
  mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
  writeFileSync(file, text);
}

if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
try {
  await main();
  process.exit(0);
} catch (error) {
  console.error(error);
  process.exit(1);
}
