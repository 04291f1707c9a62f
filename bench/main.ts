import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { costOf, lineOf, medianLine, untilQuiet, usageOf, type Cost, type Line, type Sample } from './measure.ts';
import { openInngest } from './phases/inngest.ts';
import { ingest } from './phases/ingest.ts';
import { runListeners, topicListeners } from './phases/listeners.ts';
import { openQstash } from './phases/qstash.ts';
import { openQstashLoad } from './phases/qstash-load.ts';
import { openTrigger } from './phases/trigger.ts';
import { openTriggerCli } from './phases/trigger-cli.ts';
import { renderLine, renderLines, renderMarkdown, renderVerdicts } from './render.ts';
import { startNull, startRawObject, startRepoint, type Target } from './targets.ts';
import { verdictsOf } from './verdicts.ts';

const PHASES = [
  'idle',
  'latency',
  'throughput',
  'qstash',
  'trigger',
  'trigger-cli',
  'ingest',
  'sleepers',
  'listeners',
  'qstash-load',
] as const;
type Phase = (typeof PHASES)[number];

const USAGE = `Usage: npm run bench -- [options]

Measures the server with the vendors' packages, each figure beside floors from the same run: a null server (keeps nothing: the limit of
the app and its SDK) and, for writes, a raw object (one insert and one commit a request: the limit of the platform). The app and the load
generator are this process, on the same cores.

  --phases <list>   of ${PHASES.join(', ')}; default all
  --quick           a tenth of the work: shows that it runs, not how fast
  --repeat <n>      every measurement n times, in turns with its floors, medians; default 3
  --quiet <s>       before each measurement, wait up to so long for the rest of the machine to be idle; default 0
  --sleepers <n>    default 10000
  --json <file>     write every line and the machine
  --markdown <file> write the tables into a page, between its bench markers
  --help            this text

  idle        start to ready, memory without work
  latency     Inngest, three steps, one run at a time: event sent to last step executed; SDK 4, checkpointing off and on
  throughput  the same with 50 and with 500 runs unfinished
  qstash      publish to delivery, one at a time and 50 at once; every signature is verified
  trigger     trigger to result with a lean worker, one at a time and 50 at once
  trigger-cli the same one at a time through the vendor's own CLI as the worker
  ingest      50 connections, single writes that start nothing (and batches of 100), beside the raw object
  qstash-load plain HTTP: publish answered and delivered, batches, a queue, steps of a workflow; beside 10,000 messages behind one key and 100,000 delayed
  sleepers    runs asleep for an hour: time to make, memory and disk each, latency beside them
  listeners   1,000 listeners of one run (long polls), 1,000 of one topic (WebSockets): memory each, time to each and to all
`;

const { values } = parseArgs({
  options: {
    phases: { type: 'string', default: PHASES.join(',') },
    quick: { type: 'boolean', default: false },
    repeat: { type: 'string', default: '3' },
    quiet: { type: 'string', default: '0' },
    sleepers: { type: 'string', default: '10000' },
    json: { type: 'string' },
    markdown: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const scale = values.quick ? 0.1 : 1;
const amount = (n: number): number => Math.max(5, Math.round(n * scale));
const repeat = values.quick ? 1 : Number(values.repeat);
const lines: Line[] = [];

function add(line: Line): void {
  lines.push(line);
  console.log(renderLine(line));
}

interface Side {
  target: Target;
  body: () => Promise<Sample>;
}

/**
 * Measures each side `repeat` times, in turns: what else the machine does then touches all of them, and the ratio between medians means
 * something on a machine that is not quiet.
 */
async function measure(phase: string, sides: Side[]): Promise<void> {
  const all = new Map<Side, Line[]>(sides.map((side) => [side, []]));
  for (let i = 0; i < repeat; i++) {
    for (const side of sides) {
      await untilQuiet(side.target.pids, Number(values.quiet) * 1000);
      const { result, cost } = await costOf(side.target.pids, side.body);
      all.get(side)!.push(lineOf(phase, side.target.name, result, cost));
      await delay(200);
    }
  }
  for (const taken of all.values()) add(medianLine(taken));
}

/** Opens an app or worker against each target and closes all of it at the end. */
async function withSides<App extends { close(): Promise<void> }>(
  starts: Array<() => Promise<Target>>,
  open: (url: string) => Promise<App>,
  body: (sides: Array<{ target: Target; app: App }>) => Promise<void>,
): Promise<void> {
  const sides: Array<{ target: Target; app: App }> = [];
  try {
    for (const start of starts) {
      const target = await start();
      sides.push({
        target,
        app: await open(target.url).catch((error: unknown) => target.stop().then(() => Promise.reject(error))),
      });
    }
    await body(sides);
  } finally {
    for (const { target, app } of sides) {
      await app.close();
      await target.stop();
    }
  }
}

async function withTarget(target: Target, body: (target: Target) => Promise<void>): Promise<void> {
  try {
    await body(target);
  } finally {
    await target.stop();
  }
}

const NOTHING: Sample = { of: '', times: [], duplicates: 0, lost: 0 };
const NO_COST: Cost = { serverCpuMs: 0, appCpuMs: 0, peakMiB: 0, othersPercent: 0 };

async function idlePhase(): Promise<void> {
  await withTarget(await startRepoint(), async (target) => {
    await delay(2_000);
    const { rssBytes, cpuMs } = usageOf(target.pids);
    await delay(5_000);
    const cpuPercent = (usageOf(target.pids).cpuMs - cpuMs) / 50;
    const more = { 'start ms': target.startMs, 'memory MiB': rssBytes / 1_048_576, 'CPU %': cpuPercent };
    add(lineOf('idle', target.name, { ...NOTHING, more }, NO_COST));
  });
}

const INNGEST_MODES = [
  { mode: 'classic', checkpointing: false },
  { mode: 'checkpointing', checkpointing: true },
] as const;

async function inngestPhases(phases: ReadonlySet<Phase>): Promise<void> {
  for (const { mode, checkpointing } of INNGEST_MODES) {
    const starts = [() => startNull('inngest'), startRepoint];
    await withSides(
      starts,
      (url) => openInngest(url, checkpointing),
      async (sides) => {
        for (const { app } of sides) await app.throughput(amount(300), 20);
        if (phases.has('latency')) {
          await measure(
            `inngest latency, ${mode}`,
            sides.map(({ target, app }) => ({ target, body: () => app.latency(amount(100)) })),
          );
        }
        if (!phases.has('throughput')) return;
        for (const width of [50, 500]) {
          await measure(
            `inngest throughput ${width}, ${mode}`,
            sides.map(({ target, app }) => ({ target, body: () => app.throughput(amount(1_500), width) })),
          );
        }
      },
    );
  }
}

async function qstashPhase(): Promise<void> {
  await withSides([() => startNull('qstash'), startRepoint], openQstash, async (sides) => {
    for (const { app } of sides) await app.throughput(amount(300), 20);
    const each = (body: (app: (typeof sides)[number]['app']) => Promise<Sample>): Side[] =>
      sides.map(({ target, app }) => ({ target, body: () => body(app) }));
    await measure(
      'qstash latency',
      each((app) => app.latency(amount(200))),
    );
    await measure(
      'qstash throughput 50',
      each((app) => app.throughput(amount(2_000), 50)),
    );
  });
}

async function triggerPhase(): Promise<void> {
  await withSides([() => startNull('trigger'), startRepoint], openTrigger, async (sides) => {
    for (const { app } of sides) await app.throughput(amount(200), 10);
    const each = (body: (app: (typeof sides)[number]['app']) => Promise<Sample>): Side[] =>
      sides.map(({ target, app }) => ({ target, body: () => body(app) }));
    await measure(
      'trigger latency',
      each((app) => app.latency(amount(100))),
    );
    await measure(
      'trigger throughput 50',
      each((app) => app.throughput(amount(1_000), 50)),
    );
  });
}

async function triggerCliPhase(): Promise<void> {
  // One after the other: two CLIs at work in one folder would share its build directory.
  for (const start of [() => startNull('trigger'), startRepoint]) {
    await withSides([start], openTriggerCli, async (sides) => {
      for (const { app } of sides) await app.latency(5);
      await measure(
        'trigger latency, CLI',
        sides.map(({ target, app }) => ({ target, body: () => app.latency(amount(30)) })),
      );
    });
  }
}

async function ingestPhase(): Promise<void> {
  const seconds = values.quick ? 1 : 4;
  const single = { seconds, width: 50, batch: 1 };
  await withTarget(await startRawObject(), (raw) =>
    startRepoint().then((ours) =>
      withTarget(ours, async () => {
        const singles: Side[] = [
          { target: raw, body: () => ingest(raw.url, 'raw', single) },
          { target: ours, body: () => ingest(ours.url, 'events', single) },
        ];
        for (const { body } of singles) await body();
        await measure('ingest, single', singles);
        const batches = { ...single, batch: 100 };
        await measure('ingest, batches of 100', [{ target: ours, body: () => ingest(ours.url, 'events', batches) }]);
      }),
    ),
  );
}

/** Longer than it may take by the target, so that a miss is shown with its size. */
const SLEEPERS_LIMIT_MS = 180_000;

async function sleepersPhase(): Promise<void> {
  const count = amount(Number(values.sleepers));
  await withTarget(await startNull('inngest'), async (target) => {
    const app = await openInngest(target.url, true);
    await app.throughput(amount(200), 20);
    const { result, cost } = await costOf(target.pids, () => app.sleepers(count, SLEEPERS_LIMIT_MS));
    await app.close();
    const more = {
      'created s for 10,000': (result.seconds / count) * 10_000,
      'app CPU ms each': cost.appCpuMs / count,
    };
    add({ ...lineOf('sleepers', target.name, { ...NOTHING, lost: count - result.asleep, more }, cost), count });
  });
  await withTarget(await startRepoint(), async (target) => {
    await delay(2_000);
    const fresh = usageOf(target.pids).rssBytes;
    const app = await openInngest(target.url, true);
    try {
      await app.throughput(amount(200), 20);
      await measure('inngest latency before sleepers', [{ target, body: () => app.latency(amount(50)) }]);
      await delay(2_000);
      const before = { rss: usageOf(target.pids).rssBytes, disk: diskOf(target.dataDir!) };
      const { result, cost } = await costOf(target.pids, () => app.sleepers(count, SLEEPERS_LIMIT_MS));
      await delay(3_000);
      const after = { rss: usageOf(target.pids).rssBytes, disk: diskOf(target.dataDir!) };
      await measure('inngest latency beside sleepers', [{ target, body: () => app.latency(amount(50)) }]);
      await target.restart?.();
      await delay(3_000);
      const more = {
        'created s for 10,000': (result.seconds / count) * 10_000,
        'memory KiB each': (after.rss - before.rss) / 1024 / count,
        'after a restart KiB each': (usageOf(target.pids).rssBytes - fresh) / 1024 / count,
        'disk KiB each': (after.disk - before.disk) / 1024 / count,
        'server CPU ms each': cost.serverCpuMs / count,
        'app CPU ms each': cost.appCpuMs / count,
      };
      add({ ...lineOf('sleepers', target.name, { ...NOTHING, lost: count - result.asleep, more }, cost), count });
    } finally {
      await app.close();
    }
  });
}

async function listenersPhase(): Promise<void> {
  const listeners = amount(1_000);
  await withTarget(await startRepoint(), async (target) => {
    const options = { url: target.url, pids: target.pids, listeners, messages: 10 };
    await measure('listeners of a topic', [{ target, body: () => topicListeners(options) }]);
    await measure('listeners of a run', [{ target, body: () => runListeners(options) }]);
  });
}

/** Beside 10,000 messages that wait behind one key, and beside 100,000 that wait for their time. */
async function qstashLoadPhase(): Promise<void> {
  const raw = await startRawObject();
  const ours = await startRepoint();
  const app = await openQstashLoad(ours.url);
  try {
    const one = (body: () => Promise<Sample>): Side[] => [{ target: ours, body }];
    await app.delivered(amount(300), 20);
    await measure('qstash-load answered', [
      { target: raw, body: () => ingest(raw.url, 'raw', { seconds: values.quick ? 0.5 : 2, width: 1, batch: 1 }) },
      ...one(() => app.answered(amount(300))),
    ]);
    await measure('qstash-load 50 at once', [
      { target: raw, body: () => ingest(raw.url, 'raw', { seconds: values.quick ? 0.5 : 2, width: 50, batch: 1 }) },
      ...one(() => app.delivered(amount(2_000), 50)),
    ]);
    await measure(
      'qstash-load batches',
      one(() => app.batches(amount(5_000))),
    );
    await measure(
      'qstash-load queue',
      one(() => app.queue(amount(1_000))),
    );
    await measure(
      'qstash-load steps',
      one(() => app.steps(amount(400))),
    );
    await measure(
      'qstash-load delivery',
      one(() => app.delivered(amount(300), 1)),
    );
    await app.park(amount(10_000), 'behind one key');
    await measure(
      'qstash-load delivery beside one key',
      one(() => app.delivered(amount(300), 1)),
    );
    await delay(2_000);
    const before = usageOf(ours.pids).rssBytes;
    const count = amount(100_000);
    await app.park(count, 'delayed');
    await delay(5_000);
    const more = { 'memory KiB each': (usageOf(ours.pids).rssBytes - before) / 1024 / count };
    add({ ...lineOf('qstash-load delayed', ours.name, { ...NOTHING, more }, NO_COST), count });
    await measure(
      'qstash-load delivery beside delayed',
      one(() => app.delivered(amount(300), 1)),
    );
  } finally {
    await app.close();
    await ours.stop();
    await raw.stop();
  }
}

function diskOf(directory: string): number {
  let bytes = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    // A journal may be gone again by now.
    if (entry.isFile())
      bytes += statSync(path.join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

async function main(): Promise<void> {
  const phases = new Set(values.phases.split(',') as Phase[]);
  for (const phase of phases) if (!PHASES.includes(phase)) throw new Error(`no phase "${phase}"; see --help`);
  const machine = {
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
  if (phases.has('idle')) await idlePhase();
  if (phases.has('latency') || phases.has('throughput')) await inngestPhases(phases);
  if (phases.has('qstash')) await qstashPhase();
  if (phases.has('trigger')) await triggerPhase();
  if (phases.has('trigger-cli')) await triggerCliPhase();
  if (phases.has('ingest')) await ingestPhase();
  if (phases.has('sleepers')) await sleepersPhase();
  if (phases.has('listeners')) await listenersPhase();
  if (phases.has('qstash-load')) await qstashLoadPhase();
  const verdicts = verdictsOf(lines);
  console.log(`\n${renderLines(lines)}\n\n${renderVerdicts(verdicts)}`);
  if (values.json) write(values.json, `${JSON.stringify({ machine, lines, verdicts }, null, 2)}\n`);
  if (values.markdown) writeBlock(values.markdown, renderMarkdown(machine, lines, verdicts));
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
