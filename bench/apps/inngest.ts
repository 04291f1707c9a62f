import { setTimeout as delay } from 'node:timers/promises';
import { Inngest } from 'inngest';
import { serve } from 'inngest/node';
import { serveNode } from '../../conformance/harness/serve.ts';
import { HttpClient, inParallel } from '../http.ts';
import { percentile, type Sample } from '../measure.ts';

const STEPS = 3;
const EVENTS_PER_REQUEST = 100;
/** One run must end within it; else it is lost. */
const RUN_LIMIT_MS = 60_000;

interface Run {
  sentAt: number;
  /** Of each step's body, the first time. */
  stepAt: number[];
  finishedAt: number;
  executions: number;
}

export interface InngestBench {
  /** One run at a time: event sent to last step executed; with the median gap between two steps. */
  latency(runs: number, pauseMs?: number): Promise<Sample>;
  /** `runs` events in requests of a hundred, all at once, to the last step of the last run. */
  burst(runs: number, limitMs: number): Promise<Sample>;
  /** At most `width` runs unfinished. */
  throughput(runs: number, width: number): Promise<Sample>;
  /** `count` runs that execute a step and then sleep for an hour. Resolves when all of them sleep. */
  sleepers(count: number, limitMs: number): Promise<{ asleep: number; seconds: number }>;
  close(): Promise<void>;
}

/** An app with the official SDK in this process, registered with the server at `url`; every time is taken in this process. */
export async function openInngest(url: string, checkpointing: boolean): Promise<InngestBench> {
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const inngest = new Inngest({
    id: 'bench',
    baseUrl: url,
    isDev: true,
    eventKey: 'bench',
    checkpointing,
    logger: quiet,
  });
  const runs = new Map<string, Run>();
  let serial = 0;
  let onFinished = (_run: Run): void => {};
  const sleeping = { count: 0 };

  const work = inngest.createFunction({ id: 'work', triggers: [{ event: 'bench/work' }] }, async ({ event, step }) => {
    const run = runs.get((event.data as { k: string }).k);
    for (let i = 0; i < STEPS; i++) {
      await step.run(`step-${i}`, () => {
        if (run) noteStep(run, i);
        return i;
      });
    }
    return 'done';
  });
  const sleeper = inngest.createFunction({ id: 'sleeper', triggers: [{ event: 'bench/sleep' }] }, async ({ step }) => {
    await step.run('before', () => {
      sleeping.count++;
      return 'ready';
    });
    await step.sleep('nap', '1h');
  });

  function noteStep(run: Run, index: number): void {
    run.executions++;
    if (run.stepAt[index] !== undefined) return;
    run.stepAt[index] = performance.now();
    if (index < STEPS - 1) return;
    run.finishedAt = performance.now();
    onFinished(run);
  }

  const app = await serveNode(serve({ client: inngest, functions: [work, sleeper] }));
  const client = new HttpClient(50);
  const registered = await fetch(`${app.url}/api/inngest`, { method: 'PUT' });
  if (!registered.ok) throw new Error(`the app could not register: ${registered.status} ${await registered.text()}`);

  async function sendEvents(body: unknown): Promise<void> {
    const { status, body: text } = await client.post(`${url}/e/bench`, JSON.stringify(body));
    if (status >= 300) throw new Error(`POST /e/bench: ${status} ${text.slice(0, 200)}`);
  }

  function newRun(): { key: string; run: Run } {
    const key = `k${serial++}`;
    const run = { sentAt: performance.now(), stepAt: [], finishedAt: 0, executions: 0 };
    runs.set(key, run);
    return { key, run };
  }

  async function one(): Promise<Run | null> {
    const { key, run } = newRun();
    const finished = new Promise<Run>((resolve) => {
      onFinished = (ended) => ended === run && resolve(run);
    });
    await sendEvents({ name: 'bench/work', data: { k: key } });
    return Promise.race([finished, delay(RUN_LIMIT_MS, null, { ref: false })]);
  }

  const duplicates = (): number =>
    [...runs.values()].reduce((sum, run) => sum + Math.max(0, run.executions - STEPS), 0);

  return {
    async latency(count, pauseMs = 25) {
      runs.clear();
      const totals: number[] = [];
      const gaps: number[] = [];
      let lost = 0;
      for (let i = 0; i < count; i++) {
        const run = await one();
        if (run) {
          totals.push(run.finishedAt - run.sentAt);
          for (let s = 1; s < STEPS; s++) gaps.push(run.stepAt[s]! - run.stepAt[s - 1]!);
        } else lost++;
        // The server closes the run; random, so that a tick of its would show.
        await delay(pauseMs * (0.4 + Math.random() * 1.2));
      }
      const more = { 'step gap p50': percentile(gaps, 0.5) ?? 0 };
      return { of: 'event to last step', times: totals, duplicates: duplicates(), lost, more };
    },

    async throughput(count, width) {
      runs.clear();
      const times: number[] = [];
      const waiting = new Map<Run, () => void>();
      onFinished = (run) => {
        times.push(run.finishedAt - run.sentAt);
        waiting.get(run)?.();
      };
      let sent = 0;
      const startedAt = performance.now();
      await inParallel(width, async () => {
        if (sent >= count) return false;
        sent++;
        const { key, run } = newRun();
        const finished = new Promise<void>((resolve) => waiting.set(run, resolve));
        await sendEvents({ name: 'bench/work', data: { k: key } });
        await Promise.race([finished, delay(RUN_LIMIT_MS, undefined, { ref: false })]);
        return true;
      });
      const seconds = (performance.now() - startedAt) / 1000;
      await delay(200);
      return { of: 'event to last step', times, seconds, duplicates: duplicates(), lost: count - times.length };
    },

    async burst(count, limitMs) {
      runs.clear();
      const times: number[] = [];
      let done = (): void => {};
      const finished = new Promise<void>((resolve) => (done = resolve));
      onFinished = (run) => {
        times.push(run.finishedAt - run.sentAt);
        if (times.length === count) done();
      };
      let left = count;
      const startedAt = performance.now();
      await inParallel(10, async () => {
        const size = Math.min(EVENTS_PER_REQUEST, left);
        left -= size;
        if (size <= 0) return false;
        await sendEvents(Array.from({ length: size }, () => ({ name: 'bench/work', data: { k: newRun().key } })));
        return true;
      });
      const accepted = performance.now() - startedAt;
      await Promise.race([finished, delay(limitMs, undefined, { ref: false })]);
      const seconds = (performance.now() - startedAt) / 1000;
      return {
        of: 'event to last step',
        times,
        seconds,
        duplicates: duplicates(),
        lost: count - times.length,
        more: { 'accepted s': accepted / 1000, 'finished s': seconds },
      };
    },

    async sleepers(count, limitMs) {
      sleeping.count = 0;
      let left = count;
      const startedAt = performance.now();
      await inParallel(10, async () => {
        const size = Math.min(EVENTS_PER_REQUEST, left);
        left -= size;
        if (size <= 0) return false;
        await sendEvents(Array.from({ length: size }, () => ({ name: 'bench/sleep', data: {} })));
        return true;
      });
      const done = (): boolean => sleeping.count >= count || performance.now() - startedAt > limitMs;
      while (!done()) await delay(20);
      return { asleep: sleeping.count, seconds: (performance.now() - startedAt) / 1000 };
    },

    async close() {
      client.close();
      await app.close();
    },
  };
}
