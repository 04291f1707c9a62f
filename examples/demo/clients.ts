import { configure, runs, tasks } from '@trigger.dev/sdk';
import { Client as WorkflowClient } from '@upstash/workflow';
import { Inngest } from 'inngest';

export type VendorName = 'inngest' | 'trigger' | 'upstash';

export interface StartedRun {
  vendor: VendorName;
  /** What the vendor's client answered. */
  id: string;
  /** As the vendor's own read API names it; `done` and `ok` are what we make of it. */
  state(): Promise<{ status: string; done: boolean; ok: boolean; output: unknown }>;
}

export interface Clients {
  startInngest(orderId: string): Promise<StartedRun>;
  startTrigger(videoId: string): Promise<StartedRun>;
  startUpstash(email: string): Promise<StartedRun>;
}

const TRIGGER_FINAL = new Set(['COMPLETED', 'CANCELED', 'FAILED', 'CRASHED', 'SYSTEM_FAILURE', 'EXPIRED', 'TIMED_OUT']);

/** The vendors' own clients, pointed at one server. */
export function clientsFor(
  url: string,
  workflowUrl: string,
  keys: { qstashToken: string; triggerSecretKey: string },
): Clients {
  const inngest = new Inngest({ id: 'demo', isDev: true, baseUrl: url });
  const workflow = new WorkflowClient({ baseUrl: url, token: keys.qstashToken });
  configure({ baseURL: url, accessToken: keys.triggerSecretKey });

  return {
    async startInngest(orderId) {
      const { ids } = await inngest.send({
        name: 'shop/order.placed',
        data: { orderId, items: ['tea', 'cup', 'tray'] },
      });
      const id = ids[0] ?? '';
      return {
        vendor: 'inngest',
        id,
        async state() {
          const response = await fetch(`${url}/v1/events/${id}/runs`);
          const { data } = (await response.json()) as { data: Array<{ status: string; output: unknown }> };
          const status = data[0]?.status ?? 'none yet';
          return {
            status,
            done: /^(completed|failed|cancelled)$/i.test(status),
            ok: /^completed$/i.test(status),
            output: data[0]?.output,
          };
        },
      };
    },

    async startTrigger(videoId) {
      const { id } = await tasks.trigger('publish-video', { videoId });
      return {
        vendor: 'trigger',
        id,
        async state() {
          const run = await runs.retrieve(id);
          return {
            status: run.status,
            done: TRIGGER_FINAL.has(run.status),
            ok: run.status === 'COMPLETED',
            output: run.output,
          };
        },
      };
    },

    async startUpstash(email) {
      const { workflowRunId: id } = await workflow.trigger({
        url: workflowUrl,
        body: { email },
        retries: 3,
        retryDelay: '1000',
      });
      return {
        vendor: 'upstash',
        id,
        async state() {
          const { runs: found } = await workflow.logs({ workflowRunId: id });
          const run = found[0];
          const status = run?.workflowState ?? 'none yet';
          return {
            status,
            done: status !== 'none yet' && status !== 'RUN_STARTED',
            ok: status === 'RUN_SUCCESS',
            output: run?.workflowRunResponse,
          };
        },
      };
    },
  };
}
