import type { Line } from './measure.ts';

export interface Verdict {
  what: string;
  value: string;
  target: string;
  reached: boolean;
}

type Figure = 'p50' | 'p99' | 'perSecond' | 'serverCpuMs' | 'appCpuMs';

/** The project's targets, each as a comparison within this run. Those whose lines are missing are left out. */
export function verdictsOf(lines: Line[]): Verdict[] {
  const verdicts: Verdict[] = [];
  const figure = (phase: string, target: string, key: Figure): number | undefined =>
    lines.find((line) => line.phase === phase && line.target === target)?.[key] ?? undefined;

  function atMostAbove(phase: string, addedMs: number): void {
    const ours = figure(phase, 'repoint', 'p50');
    const floor = figure(phase, 'null', 'p50');
    if (ours === undefined || floor === undefined) return;
    const added = ours - floor;
    verdicts.push({
      what: `${phase}: p50 above the null server's`,
      value: `${added.toFixed(1)} ms`,
      target: `≤ ${addedMs} ms`,
      reached: added <= addedMs,
    });
  }

  function atLeastShare(phase: string, floorName: string, share: number): void {
    const ours = figure(phase, 'repoint', 'perSecond');
    const floor = figure(phase, floorName, 'perSecond');
    if (ours === undefined || floor === undefined) return;
    const ratio = ours / floor;
    verdicts.push({
      what: `${phase}: per second, of the ${floorName}${floorName === 'null' ? ' server' : ''}'s`,
      value: ratio.toFixed(2),
      target: `≥ ${share}`,
      reached: ratio >= share,
    });
  }

  atMostAbove('inngest latency, classic', 12);
  atMostAbove('inngest latency, checkpointing', 8);
  for (const kind of ['classic', 'checkpointing']) {
    for (const width of [50, 500]) atLeastShare(`inngest throughput ${width}, ${kind}`, 'null', 0.8);
  }
  const cpu = figure('inngest throughput 50, checkpointing', 'repoint', 'serverCpuMs');
  const app = figure('inngest throughput 50, checkpointing', 'repoint', 'appCpuMs');
  if (cpu !== undefined && app !== undefined) {
    verdicts.push({
      what: 'inngest: server CPU a checkpointed run',
      value: `${cpu.toFixed(1)} ms`,
      target: `≤ 10 ms`,
      reached: cpu <= 10,
    });
    verdicts.push({
      what: "inngest: server CPU, of the app's",
      value: (cpu / app).toFixed(2),
      target: '≤ 1',
      reached: cpu <= app,
    });
  }
  atMostAbove('qstash latency', 6);
  atLeastShare('ingest, single', 'raw object', 1.3);
  qstashLoad(figure, verdicts, lines);
  const more = (phase: string, key: string): number | undefined =>
    lines.find((line) => line.phase === phase && line.target === 'repoint')?.more?.[key];
  const idle = more('idle', 'memory MiB');
  if (idle !== undefined)
    verdicts.push({
      what: 'idle memory of all processes',
      value: `${idle.toFixed(0)} MiB`,
      target: '≤ 150 MiB',
      reached: idle <= 150,
    });
  const start = more('idle', 'start ms');
  if (start !== undefined)
    verdicts.push({
      what: 'start to ready',
      value: `${start.toFixed(0)} ms`,
      target: '< 1000 ms',
      reached: start < 1000,
    });
  const each = more('sleepers', 'memory KiB each');
  if (each !== undefined)
    verdicts.push({
      what: 'memory of a sleeping run',
      value: `${each.toFixed(1)} KiB`,
      target: '≤ 10 KiB',
      reached: each <= 10,
    });
  const created = more('sleepers', 'created s for 10,000');
  if (created !== undefined)
    verdicts.push({
      what: '10,000 sleeping runs made in',
      value: `${created.toFixed(1)} s`,
      target: '< 30 s',
      reached: created < 30,
    });
  const beside = figure('inngest latency beside sleepers', 'repoint', 'p50');
  const without = figure('inngest latency before sleepers', 'repoint', 'p50');
  if (beside !== undefined && without !== undefined) {
    const ratio = beside / without;
    verdicts.push({
      what: 'latency beside sleepers, of without',
      value: ratio.toFixed(2),
      target: '≤ 1.2',
      reached: ratio <= 1.2,
    });
  }
  const wrong = lines.reduce((sum, line) => sum + line.lost + line.duplicates, 0);
  verdicts.push({ what: 'lost or duplicated, all phases', value: String(wrong), target: '0', reached: wrong === 0 });
  return verdicts;
}

type Read = (phase: string, target: string, key: Figure) => number | undefined;

/** Targets of the phase `qstash-load`. */
function qstashLoad(figure: Read, verdicts: Verdict[], lines: Line[]): void {
  const ours = (phase: string, key: Figure): number | undefined => figure(`qstash-load ${phase}`, 'repoint', key);
  const raw = (phase: string, key: Figure): number | undefined => figure(`qstash-load ${phase}`, 'raw object', key);
  function add(what: string, value: number | undefined, unit: string, target: number, most: boolean): void {
    if (value === undefined || Number.isNaN(value)) return;
    verdicts.push({
      what: `qstash: ${what}`,
      value: `${value.toFixed(2)}${unit}`,
      target: `${most ? '≤' : '≥'} ${target}${unit}`,
      reached: most ? value <= target : value >= target,
    });
  }
  const ratio = (a: number | undefined, b: number | undefined): number | undefined =>
    a === undefined || b === undefined ? undefined : a / b;
  const minus = (a: number | undefined, b: number | undefined): number | undefined =>
    a === undefined || b === undefined ? undefined : a - b;
  const answered = ours('answered', 'p50');
  add("publish answered, p50 of a raw insert's", ratio(answered, raw('answered', 'p50')), '', 2, true);
  add('publish to delivery above the answer, p50', minus(ours('delivery', 'p50'), answered), ' ms', 5, true);
  add('publish to delivery with 50 in flight, p99', ours('50 at once', 'p99'), ' ms', 100, true);
  add(
    "published and delivered a second, of raw inserts'",
    ratio(ours('50 at once', 'perSecond'), raw('50 at once', 'perSecond')),
    '',
    0.5,
    false,
  );
  const single = answered === undefined ? undefined : 1000 / answered;
  add(
    'messages a second in batches of 1,000, of single publishes one at a time',
    ratio(ours('batches', 'perSecond'), single),
    '',
    5,
    false,
  );
  add('deliveries a second of a queue, in order', ours('queue', 'perSecond'), '/s', 150, false);
  add('step posted to next delivery, p50', ours('steps', 'p50'), ' ms', 5, true);
  add(
    'another key beside 10,000 behind one, p99',
    ratio(ours('delivery beside one key', 'p99'), ours('delivery', 'p99')),
    '',
    1.5,
    true,
  );
  add(
    'delivery beside 100,000 delayed, p50',
    ratio(ours('delivery beside delayed', 'p50'), ours('delivery', 'p50')),
    '',
    1.2,
    true,
  );
  const delayed = lines.find(({ phase }) => phase === 'qstash-load delayed')?.more?.['memory KiB each'];
  add('memory of a delayed message', delayed, ' KiB', 1, true);
}
