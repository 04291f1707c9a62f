import { setTimeout as delay } from 'node:timers/promises';
import type { Ledger } from './ledger.ts';
import { postJson, type Load } from './load.ts';
import { startTriggerWorker } from './trigger-worker.ts';

const TASK = 'crash-task';
const PROJECT = 'proj_crash0000000000000000';

/** Runs of one task; every fifth fails once and is retried. A run is finished when the server has acknowledged its end. */
export function triggerLoad(ledger: Ledger): Load {
  let base = '';
  let headers: Record<string, string> = {};
  let worker: Awaited<ReturnType<typeof startTriggerWorker>> | undefined;
  const keys = new Map<string, string>();
  const acknowledgedEnds = new Set<string>();

  async function statusOf(run: string): Promise<string | undefined> {
    const response = await fetch(`${base}/api/v3/runs/${run}`, { headers });
    return ((await response.json()) as { status?: string }).status;
  }

  return {
    name: 'trigger',
    async start(url) {
      base = url;
      worker = await startTriggerWorker({
        url,
        project: PROJECT,
        tasks: [TASK],
        onDequeued: (run) => {
          if (acknowledgedEnds.has(run))
            ledger.violate(`run ${run} was handed out again after its end had been acknowledged`);
        },
        onFinished: (run) => {
          acknowledgedEnds.add(run);
          const key = keys.get(run);
          if (key !== undefined) ledger.finish(key);
        },
        onRefused: (run) => {
          void statusOf(run).then((status) => {
            const key = keys.get(run);
            if (status === 'COMPLETED' && key !== undefined && !ledger.isFinished(key)) ledger.finish(key);
          });
        },
        run: async ({ id, payload, attempt }) => {
          const { k } = JSON.parse(payload) as { k: string };
          keys.set(id, k);
          await delay(20);
          if (k.endsWith('5') && attempt === 1) return { ok: false, message: 'not yet', retryAfterMs: 200 };
          return { ok: true, output: JSON.stringify(k) };
        },
      });
      headers = { authorization: `Bearer ${worker.key}` };
    },
    async submit(key) {
      const body = { payload: JSON.stringify({ k: key }), options: { payloadType: 'application/json' } };
      const { id } = (await postJson(`${base}/api/v1/tasks/${TASK}/trigger`, body, headers)) as { id: string };
      ledger.acknowledge('trigger', key, id);
    },
    async confirm(run) {
      const status = await statusOf(run);
      return { done: status === 'COMPLETED', detail: `status: ${status}` };
    },
    stop: async () => worker?.stop(),
  };
}
