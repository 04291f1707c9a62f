import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { configure, runs, tasks } from '@trigger.dev/sdk';
import { startChild } from '../../examples/demo/processes.ts';
import type { Sample } from '../measure.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const READY_MS = 90_000;
const RUN_LIMIT_MS = 30_000;
const RESULT_POLL_MS = 10;

/** The vendor's own `trigger dev` as the worker, its processes kept alive, with a task that does nothing. */
export async function openTriggerCli(
  url: string,
): Promise<{ latency(count: number): Promise<Sample>; close(): Promise<void> }> {
  const cli = path.join(ROOT, 'node_modules/trigger.dev/dist/esm/index.js');
  const args = [cli, 'dev', '--skip-update-check', '--skip-platform-notifications'];
  const worker = startChild('trigger dev', process.execPath, args, {
    cwd: path.join(ROOT, 'bench/trigger-project'),
    env: {
      ...process.env,
      TRIGGER_API_URL: url,
      TRIGGER_ACCESS_TOKEN: `tr_pat_${'b'.repeat(40)}`,
      TRIGGER_TELEMETRY_DISABLED: '1',
      NO_COLOR: '1',
      CI: '1',
    },
  });
  try {
    await worker.says(/Local worker ready/, READY_MS);
  } catch (error) {
    await worker.stop();
    throw error;
  }
  configure({ baseURL: url, accessToken: 'tr_dev_bench0000000000000000' });
  return {
    async latency(count) {
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        const startedAt = performance.now();
        const { id } = await tasks.trigger('nothing', { i });
        while (performance.now() - startedAt < RUN_LIMIT_MS) {
          if ((await runs.retrieve(id)).status === 'COMPLETED') {
            times.push(performance.now() - startedAt);
            break;
          }
          await delay(RESULT_POLL_MS);
        }
      }
      return { of: 'trigger to result', times, duplicates: 0, lost: count - times.length };
    },
    close: () => worker.stop(),
  };
}
