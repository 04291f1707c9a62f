import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

export interface Usage {
  /** CPU time of the processes and of their ended children. */
  cpuMs: number;
  rssBytes: number;
}

/** Linux: USER_HZ is 100 on every architecture that Node runs on. */
const MS_PER_TICK = 10;
const PAGE_BYTES = 4096;
const SAMPLE_MS = 100;
const QUIET_SAMPLE_MS = 500;
/** Of one core. */
const QUIET_PERCENT = 15;

/** A process and all its descendants, from /proc. */
export function processTree(pid: number): number[] {
  const pids = [pid];
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const children = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ');
      for (const child of children) if (child !== '') pids.push(...processTree(Number(child)));
    }
  } catch {
    // It ended while we looked.
  }
  return pids;
}

export function usageOf(roots: number[]): Usage {
  const usage: Usage = { cpuMs: 0, rssBytes: 0 };
  for (const pid of roots.flatMap(processTree)) {
    try {
      // After the command, which may hold spaces: utime, stime, cutime, cstime are fields 14-17 of proc(5).
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
      const ticks = [11, 12, 13, 14].reduce((sum, i) => sum + Number(fields[i]), 0);
      usage.cpuMs += ticks * MS_PER_TICK;
      usage.rssBytes += Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES;
    } catch {
      // It ended while we looked.
    }
  }
  return usage;
}

/** Bytes of all files below a directory. */
export function diskOf(directory: string): number {
  let bytes = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    // A journal may be gone again by now.
    if (entry.isFile())
      bytes += statSync(path.join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

/** CPU time that the whole machine spent working since its start, in ms. */
function machineBusyMs(): number {
  // user nice system idle iowait irq softirq steal, proc_stat(5); stolen time is somebody else's work too.
  const fields = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.trim().split(/\s+/).slice(1, 9).map(Number);
  return fields.reduce((sum, ticks, i) => (i === 3 || i === 4 ? sum : sum + ticks), 0) * MS_PER_TICK;
}

/** Resolves when the rest of the machine has been nearly idle for a moment, or after `limitMs`. */
export async function untilQuiet(roots: number[], limitMs: number): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (performance.now() < deadline) {
    const { cost } = await costOf(roots, () => new Promise<void>((resolve) => setTimeout(resolve, QUIET_SAMPLE_MS)));
    if (cost.othersPercent < QUIET_PERCENT) return;
  }
}

export interface Cost {
  serverCpuMs: number;
  /** This process: the app under the SDK, and the load generator. */
  appCpuMs: number;
  peakMiB: number;
  /** Cores' worth of work of processes that are no part of the measurement, in percent of one core. */
  othersPercent: number;
}

/** Runs the body and measures what it cost the processes and ourselves. */
export async function costOf<T>(roots: number[], body: () => Promise<T>): Promise<{ result: T; cost: Cost }> {
  const before = usageOf(roots);
  const own = process.cpuUsage();
  const [busy, startedAt] = [machineBusyMs(), performance.now()];
  let peak = before.rssBytes;
  const timer = setInterval(() => {
    peak = Math.max(peak, usageOf(roots).rssBytes);
  }, SAMPLE_MS);
  try {
    const result = await body();
    const after = usageOf(roots);
    const mine = process.cpuUsage(own);
    const peakMiB = Math.max(peak, after.rssBytes) / 1_048_576;
    const serverCpuMs = after.cpuMs - before.cpuMs;
    const appCpuMs = (mine.user + mine.system) / 1000;
    const othersMs = Math.max(0, machineBusyMs() - busy - serverCpuMs - appCpuMs);
    const othersPercent = (othersMs / (performance.now() - startedAt)) * 100;
    return { result, cost: { serverCpuMs, appCpuMs, peakMiB, othersPercent } };
  } finally {
    clearInterval(timer);
  }
}

/** Nearest-rank percentile; null of nothing. */
export function percentile(values: number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}

/** One line of the report: one measurement against one target. Times in ms. */
export interface Line {
  phase: string;
  target: string;
  /** What the percentiles are of. */
  of: string;
  count: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
  perSecond: number | null;
  serverCpuMs: number | null;
  appCpuMs: number | null;
  peakMiB: number | null;
  othersPercent: number | null;
  duplicates: number;
  lost: number;
  /** Further figures of this phase, by name with the unit. */
  more?: Record<string, number>;
}

export interface Sample {
  of: string;
  /** ms, one per unit of work. */
  times: number[];
  /** Absent for one-at-a-time measurements. */
  seconds?: number;
  duplicates: number;
  lost: number;
  more?: Record<string, number>;
}

export function lineOf(phase: string, target: string, sample: Sample, cost: Cost): Line {
  const count = sample.times.length;
  return {
    phase,
    target,
    of: sample.of,
    count,
    p50: percentile(sample.times, 0.5),
    p95: percentile(sample.times, 0.95),
    p99: percentile(sample.times, 0.99),
    perSecond: sample.seconds === undefined ? null : count / sample.seconds,
    serverCpuMs: count > 0 ? cost.serverCpuMs / count : null,
    appCpuMs: count > 0 ? cost.appCpuMs / count : null,
    peakMiB: cost.peakMiB,
    othersPercent: cost.othersPercent,
    duplicates: sample.duplicates,
    lost: sample.lost,
    more: sample.more,
  };
}

/** Of several turns of the same work, none of them with a rate: as if they had been one. */
export function together(turns: Array<{ result: Sample; cost: Cost }>): { sample: Sample; cost: Cost } {
  const sum = (of: (turn: { result: Sample; cost: Cost }) => number): number =>
    turns.reduce((total, turn) => total + of(turn), 0);
  return {
    sample: {
      of: turns[0]!.result.of,
      times: turns.flatMap(({ result }) => result.times),
      duplicates: sum(({ result }) => result.duplicates),
      lost: sum(({ result }) => result.lost),
    },
    cost: {
      serverCpuMs: sum(({ cost }) => cost.serverCpuMs),
      appCpuMs: sum(({ cost }) => cost.appCpuMs),
      peakMiB: Math.max(...turns.map(({ cost }) => cost.peakMiB)),
      othersPercent: sum(({ cost }) => cost.othersPercent) / turns.length,
    },
  };
}

/** Of repeated lines: the median of each figure, the sum of duplicates and losses. */
export function medianLine(lines: Line[]): Line {
  const middle = (
    key: 'p50' | 'p95' | 'p99' | 'perSecond' | 'serverCpuMs' | 'appCpuMs' | 'peakMiB' | 'othersPercent',
  ): number | null =>
    percentile(
      lines.flatMap((line) => line[key] ?? []),
      0.5,
    );
  const first = lines[0]!;
  const more =
    first.more &&
    Object.fromEntries(
      Object.keys(first.more).map((key) => [
        key,
        percentile(
          lines.flatMap((line) => line.more?.[key] ?? []),
          0.5,
        )!,
      ]),
    );
  return {
    ...first,
    p50: middle('p50'),
    p95: middle('p95'),
    p99: middle('p99'),
    perSecond: middle('perSecond'),
    serverCpuMs: middle('serverCpuMs'),
    appCpuMs: middle('appCpuMs'),
    peakMiB: middle('peakMiB'),
    othersPercent: middle('othersPercent'),
    duplicates: lines.reduce((sum, line) => sum + line.duplicates, 0),
    lost: lines.reduce((sum, line) => sum + line.lost, 0),
    more,
  };
}
