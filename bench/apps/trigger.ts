import { setTimeout as delay } from 'node:timers/promises';
import { configure, runs, tasks } from '@trigger.dev/sdk';
import { startTriggerWorker } from '../../conformance/crash/trigger-worker.ts';
import { inParallel } from '../http.ts';
import type { Sample } from '../measure.ts';

const TASK = 'bench-task';
const RUN_LIMIT_MS = 30_000;
const RESULT_POLL_MS = 5;

interface Run {
  triggeredAt: number;
  executions: number;
}

export interface TriggerBench {
  /** One run at a time: `tasks.trigger` called to its result read with `runs.retrieve`. */
  latency(runs: number): Promise<Sample>;
  /** Trigger called to the server's acknowledgement of the end. */
  throughput(runs: number, width: number): Promise<Sample>;
  close(): Promise<void>;
}

/**
 * The official client and a worker of a few lines that speaks the worker's protocol: the vendor's CLI forks a process for a run,
 * which costs a hundred times what the server does.
 */
export async function openTrigger(url: string): Promise<TriggerBench> {
  const byKey = new Map<string, Run>();
  const keys = new Map<string, string>();
  let serial = 0;
  let onEnded = (_run: Run): void => {};
  const worker = await startTriggerWorker({
    url,
    project: 'proj_bench0000000000000000',
    tasks: [TASK],
    width: 500,
    run: ({ id, payload }) => {
      const { k } = unwrap(payload);
      keys.set(id, k);
      const run = byKey.get(k);
      if (run) run.executions++;
      return Promise.resolve({ ok: true, output: '"done"' });
    },
    onFinished: (id) => {
      const run = byKey.get(keys.get(id) ?? '');
      if (run) onEnded(run);
    },
  });
  // The client's configuration is global: set again before each measurement, as another target's may be open beside this one.
  const useThisTarget = (): void => configure({ baseURL: url, accessToken: worker.key });

  async function trigger(): Promise<{ id: string; run: Run }> {
    const key = `t${serial++}`;
    const run = { triggeredAt: performance.now(), executions: 0 };
    byKey.set(key, run);
    const { id } = await tasks.trigger(TASK, { k: key });
    return { id, run };
  }

  function sample(of: string, times: number[], count: number, seconds?: number): Sample {
    const duplicates = [...byKey.values()].reduce((sum, run) => sum + Math.max(0, run.executions - 1), 0);
    return { of, times, seconds, duplicates, lost: count - times.length };
  }

  return {
    async latency(count) {
      useThisTarget();
      byKey.clear();
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        const { id, run } = await trigger();
        const deadline = performance.now() + RUN_LIMIT_MS;
        while (performance.now() < deadline) {
          if ((await runs.retrieve(id)).status === 'COMPLETED') {
            times.push(performance.now() - run.triggeredAt);
            break;
          }
          await delay(RESULT_POLL_MS);
        }
        await delay(5 + Math.random() * 15);
      }
      return sample('trigger to result', times, count);
    },

    async throughput(count, width) {
      useThisTarget();
      byKey.clear();
      const times: number[] = [];
      const waiting = new Map<Run, () => void>();
      const ended = new Set<Run>();
      onEnded = (run) => {
        times.push(performance.now() - run.triggeredAt);
        ended.add(run);
        waiting.get(run)?.();
      };
      let sent = 0;
      const startedAt = performance.now();
      await inParallel(width, async () => {
        if (sent >= count) return false;
        sent++;
        const { run } = await trigger();
        const done = new Promise<void>((resolve) => (ended.has(run) ? resolve() : waiting.set(run, resolve)));
        await Promise.race([done, delay(RUN_LIMIT_MS, undefined, { ref: false })]);
        return true;
      });
      return sample('trigger to end', times, count, (performance.now() - startedAt) / 1000);
    },

    close: () => worker.stop(),
  };
}

/** The SDK sends objects as superjson: `{json, meta}`. */
function unwrap(payload: string): { k: string } {
  const parsed = JSON.parse(payload) as { k: string } | { json: { k: string } };
  return 'json' in parsed ? parsed.json : parsed;
}
