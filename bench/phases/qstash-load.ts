import { setTimeout as delay } from 'node:timers/promises';
import type { Bench, Phase, Side } from '../bench.ts';
import { ingest } from '../apps/ingest.ts';
import { openQstashLoad, type QstashLoad } from '../apps/qstash-load.ts';
import { usageOf, type Sample } from '../measure.ts';
import { startRawObject, startRepoint, type Target } from '../targets.ts';
import { atLeast, atMost, minus, over, type Figure } from '../verdicts.ts';

const TURNS = 3;
/** After a delivery: its outcome is committed by then. */
const PAUSE_MS = 10;

/** Of 5,000 times each a p99 is one of 50: two servers in turns, one of them with 10,000 messages behind one key. */
const TAIL_TURNS = 10;
const TAIL_MESSAGES = 500;

async function besideOneKey(bench: Bench): Promise<void> {
  const idle = await startRepoint();
  const busy = await startRepoint();
  const apps = [await openQstashLoad(idle.url), await openQstashLoad(busy.url)] as const;
  try {
    await apps[1].park(bench.amount(10_000), 'behind one key');
    for (const app of apps) await app.delivered(bench.amount(500), 20);
    await delay(2_000);
    const side = (phase: string, target: Target, app: QstashLoad): Side => ({
      phase,
      target,
      body: () => app.delivered(bench.amount(TAIL_MESSAGES), 1),
    });
    await bench.measureTogether(
      'qstash-load delivery tail',
      [
        side('qstash-load delivery tail', idle, apps[0]),
        side('qstash-load delivery tail beside one key', busy, apps[1]),
      ],
      TAIL_TURNS,
    );
  } finally {
    for (const app of apps) await app.close();
    await idle.stop();
    await busy.stop();
  }
}

export const qstashLoad: Phase = {
  name: 'qstash-load',
  usage:
    'plain HTTP: publish answered and delivered, batches, a queue, steps of a workflow; beside 10,000 messages behind one key and 100,000 delayed',
  async run(bench) {
    const raw = await startRawObject();
    const ours = await startRepoint();
    const app = await openQstashLoad(ours.url);
    try {
      const seconds = bench.options.isQuick ? 0.5 : 1;
      const one = (body: () => Promise<Sample>): Side[] => [{ target: ours, body }];
      const inserts = (width: number, pauseMs?: number): Side => ({
        target: raw,
        body: () => ingest(raw.url, 'raw', { seconds, width, batch: 1, ...(pauseMs === undefined ? {} : { pauseMs }) }),
      });
      const delivery = one(() => app.delivered(bench.amount(300), 1));
      await app.delivered(bench.amount(300), 20);
      // All answers beside their floors, in short turns: their ratios are near to their targets. A machine that was at rest for a moment answers more slowly, whoever it is.
      const answered = (phase: string, due: 'now' | 'later', pauseMs: number): Side[] =>
        one(() => app.answered(bench.amount(150), due, pauseMs)).map((side) => ({ ...side, phase }));
      await bench.measure(
        'qstash-load answered',
        [
          inserts(1, PAUSE_MS),
          ...answered('qstash-load answered', 'now', PAUSE_MS),
          { ...inserts(1), phase: 'qstash-load answered, nothing due' },
          ...answered('qstash-load answered, nothing due', 'later', 0),
          ...answered('qstash-load answered, in step', 'now', 0),
        ],
        Math.max(TURNS, bench.options.repeat),
      );
      await bench.measure('qstash-load 50 at once', [
        inserts(50),
        ...one(() => app.delivered(bench.amount(2_000), 50)),
      ]);
      await bench.measure(
        'qstash-load batches',
        one(() => app.batches(bench.amount(5_000))),
      );
      await bench.measure(
        'qstash-load queue',
        one(() => app.queue(bench.amount(1_000))),
      );
      await bench.measure(
        'qstash-load steps',
        one(() => app.steps(bench.amount(400))),
      );
      await bench.measure('qstash-load delivery', delivery);
      await besideOneKey(bench);
      await delay(2_000);
      const before = usageOf(ours.pids).rssBytes;
      const count = bench.amount(100_000);
      await app.park(count, 'delayed');
      await delay(5_000);
      const memory = (usageOf(ours.pids).rssBytes - before) / 1024 / count;
      bench.note('qstash-load delayed', ours.name, count, { 'memory KiB each': memory });
      await bench.measure('qstash-load delivery beside delayed', delivery);
    } finally {
      await app.close();
      await ours.stop();
      await raw.stop();
    }
  },
  verdicts: (figures) => {
    const ours = (phase: string, key: Figure): number | undefined => figures.of(`qstash-load ${phase}`, 'repoint', key);
    const raw = (phase: string, key: Figure): number | undefined =>
      figures.of(`qstash-load ${phase}`, 'raw object', key);
    const answered = ours('answered', 'p50');
    const afterAnswer = minus(ours('delivery', 'p50'), answered);
    const delivered = over(ours('50 at once', 'perSecond'), raw('50 at once', 'perSecond'));
    const batches = over(ours('batches', 'perSecond'), over(1000, answered));
    const besideKey = over(ours('delivery tail beside one key', 'p99'), ours('delivery tail', 'p99'));
    const besideDelayed = over(ours('delivery beside delayed', 'p50'), ours('delivery', 'p50'));
    const memory = figures.more('qstash-load delayed', 'memory KiB each');
    return [
      ...[
        ['answered', 'answered'],
        ['answered, nothing due', 'answered, nothing due'],
        ['answered, in step', 'answered, nothing due'],
      ].flatMap(([phase = '', floor = '']) =>
        atMost(`qstash: publish ${phase}, p50 of a raw insert's`, over(ours(phase, 'p50'), raw(floor, 'p50')), 2),
      ),
      ...atMost('qstash: publish to delivery above the answer, p50', afterAnswer, 5, ' ms'),
      ...atMost('qstash: publish to delivery with 50 in flight, p99', ours('50 at once', 'p99'), 100, ' ms'),
      ...atLeast("qstash: published and delivered a second, of raw inserts'", delivered, 0.5),
      ...atLeast('qstash: messages a second in batches of 1,000, of single publishes one at a time', batches, 5),
      ...atLeast('qstash: deliveries a second of a queue, in order', ours('queue', 'perSecond'), 150, '/s'),
      ...atMost('qstash: step posted to next delivery, p50', ours('steps', 'p50'), 5, ' ms'),
      ...atMost('qstash: another key beside 10,000 behind one, p99', besideKey, 1.5),
      ...atMost('qstash: delivery beside 100,000 delayed, p50', besideDelayed, 1.2),
      ...atMost('qstash: memory of a delayed message', memory, 1, ' KiB'),
    ];
  },
};
