import { setTimeout as delay } from 'node:timers/promises';
import { serveHttp, type Served } from '../harness/serve.ts';
import type { Ledger } from './ledger.ts';
import { postJson, Refused, type Load } from './load.ts';
import { messageBooks, workflowBooks } from './qstash-books.ts';
import { finishRun, workflowAnswer, workflowItem } from './qstash-workflow.ts';

const TOKEN = Buffer.from(JSON.stringify({ UserID: 'crash', Password: 'crash' })).toString('base64');
const AUTHORIZATION = `Bearer ${TOKEN}`;

const GONE_LOOK_MS = 250;
const GONE_LOOKS = 20;
const CANCEL_PAUSE_MS = 50;
const CANCEL_TRIES = 600;

/** What is sent, one after the other. */
const KINDS = [
  ...['plain', 'delayed', 'queue', 'batch', 'queue', 'workflow', 'dead', 'queue', 'cancelled', 'batch'],
  ...['plain', 'queue', 'pending', 'workflow', 'delayed', 'failing run', 'queue', 'cancelled run', 'batch', 'workflow'],
] as const;
type Kind = (typeof KINDS)[number];

interface Queued {
  queue: string;
  acknowledgedAt: number;
  /** Delivered, and its callback too. */
  finished: boolean;
  calledBack: boolean;
}

/**
 * Messages to an endpoint of ours: plain, delayed, in queues with a callback, in batches, some that end as dead letters with a failure callback, some that are
 * cancelled before or between their attempts, some that wait to the end; every seventh is refused once by the endpoint. And runs of a workflow with
 * a call to a third party, of one that fails and of one that is cancelled. A queue's messages must end, callbacks included, in the order in which
 * they were acknowledged. In the end the server's own books must be even.
 */
export function qstashLoad(ledger: Ledger): Load {
  let app: Served | undefined;
  let base = '';
  let serial = 0;
  const refusedOnce = new Set<string>();
  const queued = new Map<string, Queued>();
  const submittedAt = new Map<string, number>();
  const ended = new Set<string>();
  /** Of what was acknowledged, by the server's id. */
  const kinds = new Map<string, Kind>();

  const acknowledge = (kind: Kind, key: string, serverId: string): void => {
    kinds.set(serverId, kind);
    ledger.acknowledge('qstash', key, serverId);
  };

  function delivered(k: string): Response {
    const own = queued.get(k);
    for (const [other, earlier] of queued)
      if (
        own?.queue === earlier.queue &&
        other !== k &&
        !(earlier.finished && earlier.calledBack) &&
        earlier.acknowledgedAt < (submittedAt.get(k) as number)
      )
        ledger.violate(
          `${k} was delivered before the ${earlier.finished ? 'callback' : 'end'} of ${other}, which was in its queue before it`,
        );
    if (k.endsWith('7') && !refusedOnce.has(k)) {
      refusedOnce.add(k);
      return new Response('busy', { status: 503 });
    }
    ledger.finish(k);
    if (own) own.finished = true;
    return new Response('ok');
  }

  async function serve(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const k = searchParams.get('k') ?? '';
    switch (pathname) {
      case '/workflow':
        return workflowAnswer(request, { base, url: app!.url, key: k, authorization: AUTHORIZATION }, async (runId) => {
          // A step that a kill made the app post twice leads to two deliveries that see the end, as its SDK would notice too. Counted before the request:
          // its answer may be lost when the run has ended.
          if (!ended.has(k)) ledger.finish(k);
          ended.add(k);
          return finishRun(base, runId, AUTHORIZATION);
        });
      case '/third':
        return new Response('third');
      case '/failing':
        return new Response('no', { status: 500, headers: { 'upstash-workflow-sdk-version': '1' } });
      case '/idle':
        return new Response(null, { headers: { 'upstash-workflow-sdk-version': '1' } });
      case '/refuse':
        return new Response('no', { status: 503 });
      case '/failure': {
        const { dlqId } = (await request.json()) as { dlqId?: string };
        if (dlqId === undefined) ledger.violate(`the failure callback of ${k} names no dead letter`);
        ledger.finish(k);
        return new Response('ok');
      }
      case '/callback': {
        const { status } = (await request.json()) as { status: number };
        // It follows every attempt; the one that matters reports the success.
        const own = queued.get(k);
        if (status === 200) {
          ledger.finish(`${k}.callback`);
          if (own) own.calledBack = true;
        }
        return new Response('ok');
      }
      default:
        return delivered(((await request.json()) as { k: string }).k);
    }
  }

  /** Asks until there is an answer. Not there any more is right only when an earlier request may have been heard. */
  async function cancel(key: string, path: string): Promise<void> {
    for (let lost = 0; lost < CANCEL_TRIES; lost++) {
      try {
        const response = await fetch(base + path, { method: 'DELETE', headers: { authorization: AUTHORIZATION } });
        if (!response.ok && !(response.status === 404 && lost > 0))
          ledger.violate(`${key}: cancelled with ${response.status} ${(await response.text()).slice(0, 200)}`);
        ledger.finish(key);
        return;
      } catch {
        await delay(CANCEL_PAUSE_MS);
      }
    }
  }

  async function startRun(kind: Kind, key: string, path: string, more: Record<string, string> = {}): Promise<string> {
    const runId = `wfr_${key}`;
    const item = workflowItem(`${app!.url}${path}?k=${key}`, runId, 'true', '{}', more);
    await postJson(`${base}/v2/batch`, [item], { authorization: AUTHORIZATION });
    acknowledge(kind, key, runId);
    return runId;
  }

  async function publish(
    kind: Kind,
    key: string,
    headers: Record<string, string>,
    to = '/hook',
    by = '/v2/publish',
  ): Promise<string> {
    const options = { authorization: AUTHORIZATION, 'upstash-retries': '5', 'upstash-retry-delay': '300', ...headers };
    const answer = await postJson(`${base}${by}/${app!.url}${to}`, { k: key }, options);
    const { messageId } = answer as { messageId: string };
    acknowledge(kind, key, messageId);
    return messageId;
  }

  async function enqueue(key: string, n: number): Promise<void> {
    submittedAt.set(key, Date.now());
    const entry = {
      queue: `crash-${n % 3}`,
      acknowledgedAt: Number.POSITIVE_INFINITY,
      finished: false,
      calledBack: false,
    };
    queued.set(key, entry);
    const headers = { 'upstash-callback': `${app!.url}/callback?k=${key}` };
    const messageId = await publish('queue', key, headers, '/hook', `/v2/enqueue/${entry.queue}`);
    entry.acknowledgedAt = Date.now();
    acknowledge('queue', `${key}.callback`, messageId);
  }

  async function batch(key: string): Promise<void> {
    const items = [0, 1, 2].map((i) => ({
      destination: `${app!.url}/hook`,
      headers: { 'upstash-retries': '5', 'upstash-retry-delay': '300', 'content-type': 'application/json' },
      body: JSON.stringify({ k: `${key}.${i}` }),
    }));
    const answers = (await postJson(`${base}/v2/batch`, items, { authorization: AUTHORIZATION })) as Array<{
      messageId?: string;
    }>;
    for (const [i, answer] of answers.entries()) {
      if (answer.messageId === undefined) throw new Refused(`batch item: ${JSON.stringify(answer)}`);
      acknowledge('batch', `${key}.${i}`, answer.messageId);
    }
  }

  const ask = async (path: string): Promise<{ status: number; body: unknown }> => {
    const response = await fetch(base + path, { headers: { authorization: AUTHORIZATION } });
    return { status: response.status, body: await response.json() };
  };

  async function letters(query: string): Promise<number> {
    const { body } = await ask(`/v2/dlq?${query}`);
    return (body as { messages: unknown[] }).messages.length;
  }

  return {
    name: 'qstash',
    async start(url) {
      base = url;
      app = await serveHttp(serve);
    },
    async submit(key) {
      const n = serial++;
      const kind = KINDS[n % KINDS.length] as Kind;
      switch (kind) {
        case 'plain':
          return void (await publish(kind, key, {}));
        case 'delayed':
          return void (await publish(kind, key, { 'upstash-delay': '1s' }));
        case 'queue':
          return enqueue(key, n);
        case 'batch':
          return batch(key);
        case 'dead': {
          const headers = { 'upstash-retries': '1', 'upstash-failure-callback': `${app!.url}/failure?k=${key}` };
          return void (await publish(kind, key, headers, '/refuse'));
        }
        case 'cancelled': {
          const headers: Record<string, string> =
            n % 40 < 20 ? { 'upstash-delay': '1h' } : { 'upstash-retries': '9', 'upstash-retry-delay': '60000' };
          return cancel(key, `/v2/messages/${await publish(kind, key, headers, '/refuse')}`);
        }
        case 'pending':
          await publish(kind, key, { 'upstash-delay': '30d' });
          return ledger.finish(key);
        case 'workflow':
          return void (await startRun(kind, key, '/workflow'));
        case 'failing run':
          return void (await startRun(kind, key, '/failing', {
            'upstash-retries': '1',
            'upstash-failure-callback': `${app!.url}/failure?k=${key}`,
          }));
        case 'cancelled run':
          return cancel(key, `/v2/workflows/runs/${await startRun(kind, key, '/idle')}?cancel=true`);
      }
    },
    async confirm(serverId) {
      const kind = kinds.get(serverId) as Kind;
      const wanted = {
        status: kind === 'pending' ? 200 : 404,
        letters: kind === 'dead' || kind === 'failing run' ? 1 : 0,
      };
      const isRun = serverId.startsWith('wfr_');
      const path = isRun ? `/v2/workflows/runs/${serverId}` : `/v2/messages/${serverId}`;
      const found = await letters(isRun ? `source=workflow&workflowRunId=${serverId}` : `messageId=${serverId}`);
      // A delivered message is gone from the message store, three seconds after its delivery.
      for (let asked = 0; ; asked++) {
        const { status } = await ask(path);
        if (status !== wanted.status && asked < GONE_LOOKS) await delay(GONE_LOOK_MS);
        else
          return {
            done: status === wanted.status && found === wanted.letters,
            detail: `${kind}: ${status}, ${found} dead letters`,
          };
      }
    },
    async books() {
      const acknowledged = (isRun: boolean): string[] =>
        [...kinds.keys()].filter((id) => id.startsWith('wfr_') === isRun);
      return [await messageBooks(ask, acknowledged(false)), await workflowBooks(ask, acknowledged(true))];
    },
    stop: async () => app?.close(),
  };
}
