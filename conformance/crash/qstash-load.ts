import { setTimeout as delay } from 'node:timers/promises';
import { serveHttp, type Served } from '../harness/serve.ts';
import type { Ledger } from './ledger.ts';
import { postJson, Refused, type Load } from './load.ts';

const TOKEN = Buffer.from(JSON.stringify({ UserID: 'crash', Password: 'crash' })).toString('base64');

/** Steps of each workflow run. */
const STEPS = 3;

const GONE_LOOK_MS = 250;
const GONE_LOOKS = 20;

interface Queued {
  queue: string;
  acknowledgedAt: number;
  finished: boolean;
}

/**
 * Messages to an endpoint of ours: plain, delayed, in a queue with a callback, in a batch; every seventh is refused once by the endpoint. And runs of a
 * workflow. A queue's messages must end in the order in which they were acknowledged.
 */
export function qstashLoad(ledger: Ledger): Load {
  let app: Served | undefined;
  let base = '';
  let serial = 0;
  const refusedOnce = new Set<string>();
  const queued = new Map<string, Queued>();
  const submittedAt = new Map<string, number>();
  const ended = new Set<string>();
  const authorization = `Bearer ${TOKEN}`;
  const headersOf = (n: number): Record<string, string> => ({
    authorization,
    'upstash-retries': '5',
    'upstash-retry-delay': '300',
    ...(n % 4 === 1 ? { 'upstash-delay': '1s' } : {}),
  });

  function stepItem(runId: string, key: string, init: string, body: string): object {
    const destination = `${app!.url}/workflow?k=${key}`;
    const headers = {
      'upstash-workflow-runid': runId,
      'upstash-workflow-url': destination,
      'upstash-workflow-init': init,
      'upstash-retries': '5',
      'upstash-retry-delay': '300',
    };
    return { destination, headers, body };
  }

  /** What an SDK does at a delivery: the next step, or the end. */
  async function workflow(request: Request, key: string): Promise<Response> {
    const done = ((await request.json()) as unknown[]).length - 1;
    const runId = `wfr_${key}`;
    const headers = { 'upstash-workflow-sdk-version': '1' };
    if (done < STEPS) {
      const step = { stepId: done + 1, stepName: `s${done + 1}`, stepType: 'Run', out: '1', concurrent: 1 };
      await postJson(`${base}/v2/batch`, [stepItem(runId, key, 'false', JSON.stringify(step))], {
        authorization,
      }).catch((error: unknown) => {
        // A step posted twice: the run may have ended meanwhile.
        if (!(error instanceof Refused && / 400 /.test(error.message))) throw error;
      });
      return new Response(null, { headers });
    }
    // A step that a kill made the app post twice leads to two deliveries that see the end, as its SDK would notice too. Counted before the request: its
    // answer may be lost when the run has ended.
    if (!ended.has(key)) ledger.finish(key);
    ended.add(key);
    const end = await fetch(`${base}/v2/workflows/runs/${runId}?cancel=false`, {
      method: 'DELETE',
      headers: { authorization },
    });
    return new Response(null, { headers, status: end.ok || end.status === 400 || end.status === 404 ? 200 : 500 });
  }

  return {
    name: 'qstash',
    async start(url) {
      base = url;
      app = await serveHttp(async (request) => {
        const { pathname, searchParams } = new URL(request.url);
        if (pathname === '/workflow') return workflow(request, searchParams.get('k') as string);
        if (pathname === '/callback') {
          const { status } = (await request.json()) as { status: number };
          // It follows every attempt; the one that matters reports the success.
          if (status === 200) ledger.finish(`${searchParams.get('k')}.callback`);
          return new Response('ok');
        }
        const { k } = (await request.json()) as { k: string };
        const own = queued.get(k);
        for (const [other, earlier] of queued)
          if (
            own?.queue === earlier.queue &&
            other !== k &&
            !earlier.finished &&
            earlier.acknowledgedAt < (submittedAt.get(k) as number)
          )
            ledger.violate(`${k} was delivered before the end of ${other}, which was in its queue before it`);
        if (k.endsWith('7') && !refusedOnce.has(k)) {
          refusedOnce.add(k);
          return new Response('busy', { status: 503 });
        }
        ledger.finish(k);
        if (own) own.finished = true;
        return new Response('ok');
      });
    },
    async submit(key) {
      const n = serial++;
      const target = `${app!.url}/hook`;
      const headers = headersOf(n);
      if (n % 10 === 9) {
        const runId = `wfr_${key}`;
        const item = stepItem(runId, key, 'true', '{}');
        await postJson(`${base}/v2/batch`, [item], { authorization });
        ledger.acknowledge('qstash', key, runId);
        return;
      }
      if (n % 4 === 3) {
        const items = [0, 1, 2].map((i) => ({
          destination: target,
          headers: { ...headers, authorization: undefined, 'content-type': 'application/json' },
          body: JSON.stringify({ k: `${key}.${i}` }),
        }));
        const answers = (await postJson(`${base}/v2/batch`, items, { authorization })) as Array<{ messageId?: string }>;
        for (const [i, answer] of answers.entries()) {
          if (answer.messageId === undefined) throw new Refused(`batch item: ${JSON.stringify(answer)}`);
          ledger.acknowledge('qstash', `${key}.${i}`, answer.messageId);
        }
        return;
      }
      const queue = n % 4 === 2 ? `crash-${n % 3}` : null;
      const path = queue === null ? `/v2/publish/${target}` : `/v2/enqueue/${queue}/${target}`;
      if (queue !== null) headers['upstash-callback'] = `${app!.url}/callback?k=${key}`;
      submittedAt.set(key, Date.now());
      const entry: Queued | null =
        queue === null ? null : { queue, acknowledgedAt: Number.POSITIVE_INFINITY, finished: false };
      if (entry) queued.set(key, entry);
      const { messageId } = (await postJson(base + path, { k: key }, headers)) as { messageId: string };
      ledger.acknowledge('qstash', key, messageId);
      if (!entry) return;
      entry.acknowledgedAt = Date.now();
      ledger.acknowledge('qstash', `${key}.callback`, messageId);
    },
    async confirm(messageId) {
      if (messageId.startsWith('wfr_')) {
        const run = await fetch(`${base}/v2/workflows/runs/${messageId}`, { headers: { authorization } });
        return { done: run.status === 404, detail: `run: ${run.status}` };
      }
      // A delivered message is gone from the message store, three seconds after its delivery.
      for (let asked = 0; ; asked++) {
        const { status } = await fetch(`${base}/v2/messages/${messageId}`, { headers: { authorization } });
        if (status !== 200 || asked === GONE_LOOKS) return { done: status === 404, detail: `message: ${status}` };
        await delay(GONE_LOOK_MS);
      }
    },
    stop: async () => app?.close(),
  };
}
