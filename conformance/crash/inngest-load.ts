import { createHash } from 'node:crypto';
import { serveHttp, type Served } from '../harness/serve.ts';
import type { Ledger } from './ledger.ts';
import { postJson, type Load } from './load.ts';

const SDK = 'inngest-js:v4.24.0';
const hash = (id: string): string => createHash('sha1').update(id).digest('hex');
/** A function of these: two steps around a sleep; the second step fails once for every fifth run. */
const PLAN = ['reserve', 'pause', 'confirm'] as const;
const SLEEP = '150ms';

interface CallBody {
  event: { data: { k: string } };
  steps: Record<string, unknown>;
  ctx: { attempt: number };
}

/** An app of one function, as an Inngest SDK would answer for it, one step a call. */
export function inngestLoad(ledger: Ledger): Load {
  let app: Served | undefined;
  let base = '';
  /** Steps that the server has shown to us as memoised: it must never ask for them again. */
  const memoised = new Set<string>();

  function answer({ event, steps, ctx }: CallBody): Response {
    const { k } = event.data;
    for (const name of PLAN) {
      const id = hash(name);
      const fact = `${k} ${name}`;
      if (id in steps) {
        memoised.add(fact);
        continue;
      }
      if (memoised.has(fact)) ledger.violate(`step ${fact} was asked for again after it had been memoised`);
      if (name === 'pause') return respond(206, [{ op: 'Sleep', id, name: SLEEP, displayName: name, opts: {} }]);
      if (name === 'confirm' && ctx.attempt === 0 && k.endsWith('5')) {
        const error = { name: 'Error', message: 'not yet', stack: 'Error: not yet' };
        return respond(206, [{ op: 'StepError', id, name, displayName: name, opts: {}, error }], {
          'retry-after': '1',
        });
      }
      return respond(206, [{ op: 'StepRun', id, name, displayName: name, opts: {}, data: `${name} of ${k}` }]);
    }
    ledger.finish(k);
    return respond(200, { k });
  }

  return {
    name: 'inngest',
    async start(url) {
      base = url;
      app = await serveHttp(async (request) => answer((await request.json()) as CallBody));
      const runtime = { type: 'http', url: `${app.url}/api/inngest?fnId=crash-work&stepId=step` };
      const step = { id: 'step', name: 'step', runtime, retries: { attempts: 10 } };
      const work = { id: 'crash-work', name: 'work', triggers: [{ event: 'crash/work' }], steps: { step } };
      await postJson(`${url}/fn/register`, {
        url: `${app.url}/api/inngest`,
        deployType: 'ping',
        framework: 'nodejs',
        appName: 'crash',
        sdk: 'js:v4.24.0',
        v: '0.1',
        capabilities: { trust_probe: 'v1', connect: 'v1' },
        functions: [work],
      });
    },
    async submit(key) {
      const { ids } = (await postJson(`${base}/e/crash`, { name: 'crash/work', data: { k: key } })) as {
        ids: string[];
      };
      ledger.acknowledge('inngest', key, ids[0] ?? '');
    },
    async confirm(eventId) {
      const response = await fetch(`${base}/v1/events/${eventId}/runs`);
      const { data } = (await response.json()) as { data: Array<{ status: string }> };
      const statuses = data.map((run) => run.status);
      return {
        done: statuses.length === 1 && /^completed$/i.test(statuses[0]!),
        detail: `runs: ${statuses.join(', ')}`,
      };
    },
    stop: async () => app?.close(),
  };
}

function respond(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers: { 'x-inngest-sdk': SDK, 'x-inngest-req-version': '2', ...headers } });
}
