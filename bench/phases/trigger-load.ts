import { setTimeout as delay } from 'node:timers/promises';
import type { Bench, Phase, Side } from '../bench.ts';
import { ingest } from '../apps/ingest.ts';
import {
  answered,
  byChild,
  byClock,
  byToken,
  CHILD,
  dequeues,
  due,
  handedOut,
  pages,
  TASK,
} from '../apps/trigger-load.ts';
import { TriggerWire } from '../apps/trigger-wire.ts';
import { costOf, usageOf, type Sample } from '../measure.ts';
import { startRawObject, startRepoint, type Target } from '../targets.ts';
import { atMost, over } from '../verdicts.ts';

const MIB = 1_048_576;
/** Runs of a batch that come before the one that is measured, as a share of it. */
const WARM_UP = 0.05;
/** From the moment that the last worker has gone, in ms. A client's connections are closed a few seconds later, then the server comes to rest. */
const TO_REST_MS = 20_000;
/** Of ten thousand each. */
const ROUNDS_OF_DELAYED = 4;

export const triggerLoad: Phase = {
  name: 'trigger-load',
  usage:
    'plain HTTP: trigger answered, handed out and resumed; 10,000 queued, 10,000 delayed, a batch of 10,000 in one stream',
  async run(bench) {
    await worked(bench);
    await delayed(bench);
  },
  verdicts: (figures) => {
    const p50 = (phase: string, target = 'repoint'): number | undefined =>
      figures.of(`trigger-load ${phase}`, target, 'p50');
    const p99 = (phase: string): number | undefined => figures.of(`trigger-load ${phase}`, 'repoint', 'p99');
    const ofBatch = (name: string): number | undefined => figures.more('trigger-load batch', name);
    const ratio = over(p50('answered'), p50('answered', 'raw object'));
    const memory = figures.more('trigger-load delayed', 'memory KiB each');
    return [
      ...atMost("trigger: answered, p50 of a raw insert's", ratio, 2),
      ...atMost('trigger: answered to message of an idle worker, p50', p50('handed out'), 5, ' ms'),
      ...atMost('trigger: a delayed run due to message, p50', p50('due'), 10, ' ms'),
      ...atMost('trigger: resumed by a token, p50', p50('resumed by a token'), 10, ' ms'),
      ...atMost('trigger: resumed by a child, p50', p50('resumed by a child'), 10, ' ms'),
      ...atMost('trigger: resumed by the clock, p50', p50('resumed by the clock'), 10, ' ms'),
      ...atMost('trigger: dequeue of 10,000 queued, p99', p99('dequeue of 10,000 queued'), 20, ' ms'),
      ...atMost('trigger: pages of 10,000 queued, p99', p99('pages of 10,000 queued'), 30, ' ms'),
      ...atMost('trigger: a batch of 10,000 accepted in', ofBatch('accepted s for 10,000'), 5, ' s'),
      ...atMost('trigger: memory above before while it is', ofBatch('memory at most MiB'), 50, ' MiB'),
      ...atMost('trigger: memory of a delayed run', memory, 1, ' KiB'),
      ...atMost(
        'trigger: memory of all processes, idle after all of this',
        figures.more('trigger-load at rest', 'memory MiB'),
        150,
        ' MiB',
      ),
    ];
  },
};

async function worked(bench: Bench): Promise<void> {
  const raw = await startRawObject();
  const ours = await startRepoint();
  const wires: TriggerWire[] = [];
  const open = async (project: string): Promise<TriggerWire> => {
    const wire = await TriggerWire.open(ours.url, `proj_bench${project}`, [TASK, CHILD]);
    wires.push(wire);
    return wire;
  };
  const one = (body: () => Promise<Sample>): Side[] => [{ target: ours, body }];
  try {
    const alone = await open('alone');
    await answered(alone, bench.amount(300));
    const seconds = bench.options.isQuick ? 0.5 : 2;
    await bench.measure('trigger-load answered', [
      { target: raw, body: () => ingest(raw.url, 'raw', { seconds, width: 1, batch: 1 }) },
      ...one(() => answered(alone, bench.amount(300))),
    ]);
    const worker = await open('worked');
    await worker.listen();
    await handedOut(worker, bench.amount(50));
    for (const [name, body, count] of [
      ['handed out', handedOut, 200],
      ['due', due, 40],
      ['resumed by a token', byToken, 150],
      ['resumed by a child', byChild, 150],
      ['resumed by the clock', byClock, 40],
    ] as const)
      await bench.measure(
        `trigger-load ${name}`,
        one(() => body(worker, bench.amount(count))),
      );
    const many = await open('many');
    await batch(bench, many, ours);
    await bench.measure(
      'trigger-load pages of 10,000 queued',
      one(() => pages(many, bench.amount(400))),
    );
    await bench.measure(
      'trigger-load dequeue of 10,000 queued',
      one(() => dequeues(many, bench.amount(100))),
    );
    for (const wire of wires) wire.close();
    const memory = { 'memory MiB, right after': usageOf(ours.pids).rssBytes / MIB };
    await delay(TO_REST_MS);
    bench.note('trigger-load at rest', ours.name, 0, {
      ...memory,
      'memory MiB': usageOf(ours.pids).rssBytes / MIB,
      'bare workerd MiB': usageOf(raw.pids).rssBytes / MIB,
    });
  } finally {
    for (const wire of wires) wire.close();
    await ours.stop();
    await raw.stop();
  }
}

/** Notes how long a batch of 10,000 in one stream takes, and what memory: at its highest, and when all is done. */
async function batch(bench: Bench, wire: TriggerWire, target: Target): Promise<void> {
  const count = bench.amount(10_000);
  await wire.batch(TASK, Math.ceil(count * WARM_UP), { tags: ['one-in-twenty'] });
  await delay(2_000);
  const before = usageOf(target.pids).rssBytes;
  const startedAt = performance.now();
  const { cost } = await costOf(target.pids, () => wire.batch(TASK, count));
  const seconds = (performance.now() - startedAt) / 1000;
  await delay(3_000);
  bench.note('trigger-load batch', target.name, count, {
    'accepted s for 10,000': (seconds / count) * 10_000,
    'memory at most MiB': cost.peakMiB - before / MIB,
    'memory after MiB': (usageOf(target.pids).rssBytes - before) / MIB,
  });
}

/**
 * On a server of its own, so that what others have left free does not hide what these take. The first ten thousand of a fresh server make its heap
 * grow, by as much as the work needs that is under way at once; what each run needs is what the further ones add.
 */
async function delayed(bench: Bench): Promise<void> {
  const target = await startRepoint();
  try {
    await delay(3_000);
    const bare = usageOf(target.pids).rssBytes;
    const wire = await TriggerWire.open(target.url, 'proj_benchdelayed', [TASK]);
    const count = bench.amount(10_000);
    const grownKiB: number[] = [];
    for (let round = 0, before = bare; round < ROUNDS_OF_DELAYED; round++) {
      await wire.batch(TASK, count, { delay: '1d' });
      await delay(3_000);
      const now = usageOf(target.pids).rssBytes;
      grownKiB.push((now - before) / 1024);
      before = now;
    }
    wire.close();
    await target.restart?.();
    await delay(5_000);
    const restartedKiB = (usageOf(target.pids).rssBytes - bare) / 1024;
    const [first = 0, ...further] = grownKiB;
    bench.note('trigger-load delayed', target.name, count * ROUNDS_OF_DELAYED, {
      'first 10,000 KiB each': first / count,
      'memory KiB each': further.reduce((sum, kib) => sum + kib, 0) / (count * further.length),
      'all KiB each': grownKiB.reduce((sum, kib) => sum + kib, 0) / (count * ROUNDS_OF_DELAYED),
      'after a restart KiB each': restartedKiB / (count * ROUNDS_OF_DELAYED),
    });
  } finally {
    await target.stop();
  }
}
