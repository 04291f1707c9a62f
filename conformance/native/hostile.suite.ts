import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, suite, type CaseContext } from '../harness/index.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

/** Bodies that are wrong in every way that JSON can be. */
const WRONG_BODIES = [
  '',
  '{',
  'null',
  '[]',
  '0',
  '"text"',
  '{"name":7}',
  '{"name":{"a":[]},"data":"text"}',
  '[{"name":"a"},7,null]',
  `{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
  '{"__proto__":{"x":1},"constructor":1}',
  '\u0000\uFFFF',
];

/** A route per operation of each vendor that takes a body or a parameter. */
const ROUTES: Array<[method: string, path: string]> = [
  ['POST', '/e/key'],
  ['POST', '/fn/register'],
  ['POST', '/v1/signals'],
  ['POST', '/v1/checkpoint/not-a-run/async'],
  ['POST', '/invoke/no-such-function'],
  ['GET', '/v1/events/not-an-id/runs'],
  ['GET', '/v1/runs/not-an-id'],
  ['DELETE', '/v1/runs/not-an-id'],
  ['POST', '/v2/publish/not-a-url'],
  ['POST', '/v2/publish/http://'],
  ['POST', '/v2/publish/http://127.0.0.1:1/%zz'],
  ['POST', '/v2/enqueue/q/ftp://x'],
  ['POST', '/v2/batch'],
  ['POST', '/v2/queues'],
  ['POST', '/v2/schedules/http://127.0.0.1:1'],
  ['GET', '/v2/events?count=x&cursor=%00&fromDate=never'],
  ['DELETE', '/v2/messages?labeel=x'],
  ['GET', '/v2/dlq?count=-1'],
  ['POST', '/v2/notify/event'],
  ['POST', '/v2/wait/event'],
  ['GET', '/v2/workflows/runs/not-a-run'],
  ['POST', '/api/v1/tasks/no-such-task/trigger'],
  ['POST', '/api/v3/batches'],
  ['POST', '/api/v1/projects/proj_hostile/background-workers'],
  ['POST', '/engine/v1/dev/dequeue'],
  ['POST', '/engine/v1/dev/runs/run_none/snapshots/snapshot_none/attempts/start'],
  ['POST', '/engine/v1/dev/runs/run_none/snapshots/snapshot_none/attempts/complete'],
  ['POST', '/engine/v1/runs/run_none/wait/duration'],
  ['GET', '/api/v3/runs/run_none'],
  ['POST', '/api/v2/runs/run_none/cancel'],
  ['POST', '/api/v1/waitpoints/tokens'],
];

suite({ vendor: 'native', name: 'bad input', sdk: 'fetch' }, (s) => {
  s.case(
    ['N-10'],
    'no route answers nonsense with 5xx, and every refusal is JSON',
    async ({ url, environment }) => {
      const keys = [environment.qstashToken, environment.triggerSecretKey];
      const wrong: string[] = [];
      for (const [method, path] of ROUTES) {
        for (const body of method === 'POST' ? WRONG_BODIES : [undefined]) {
          for (const key of keys) {
            const headers = {
              ...JSON_TYPE,
              authorization: `Bearer ${key}`,
              'upstash-cron': 'never',
              'upstash-delay': 'soon',
            };
            const response = await fetch(url + path, { method, headers, body });
            const text = await response.text();
            const shown = `${method} ${path} ${body?.slice(0, 40)}: ${response.status} ${text.slice(0, 120)}`;
            if (response.status >= 500 && response.status !== 501) wrong.push(shown);
            if (response.status >= 400 && !isJson(text)) wrong.push(`not JSON: ${shown}`);
          }
        }
      }
      expect.deepEqual(wrong, []);
    },
    { timeoutMs: 120_000, allowServerErrors: true },
  );

  s.case(['N-11'], 'a body beyond every limit is refused, and the server goes on', async ({ url, environment }) => {
    const body = JSON.stringify({ name: 'a/b', data: 'x'.repeat(12 * 1_048_576) });
    const answer = await fetch(`${url}/e/key`, { method: 'POST', headers: JSON_TYPE, body });
    expect.ok(answer.status === 400 || answer.status === 413, `the event was answered with ${answer.status}`);
    const authorization = `Bearer ${environment.triggerSecretKey}`;
    const trigger = await fetch(`${url}/api/v1/tasks/any/trigger`, {
      method: 'POST',
      headers: { authorization },
      body,
    });
    expect.ok(trigger.status >= 400 && trigger.status < 500, `the trigger was answered with ${trigger.status}`);
    expect.equal((await fetch(`${url}/health`)).status, 200);
  });
});

suite({ vendor: 'native', name: 'hostile apps', sdk: 'fetch' }, (s) => {
  s.case(
    ['N-12'],
    'an app that lies, hangs, resets, redirects or floods harms no other run',
    async (context) => {
      const apps = await hostileApps(context);
      for (const [kind, target] of Object.entries(apps)) {
        const id = context.unique(kind);
        await register(context, id, target);
        await sendEvent(context, id);
      }
      const good = context.unique('good');
      const finished: string[] = [];
      const app = await context.serveHttp(async (request) => {
        const { event } = (await request.json()) as { event: { data: { k: string } } };
        finished.push(event.data.k);
        return sdkAnswer(200, 'done');
      });
      await register(context, good, app.url);
      for (let i = 0; i < 20; i++) await sendEvent(context, good, `k${i}`);
      await context.until(() => new Set(finished).size === 20, { timeoutMs: 20_000, what: 'the runs of the good app' });
      const health = await fetch(`${context.url}/health`);
      expect.equal(health.status, 200);
    },
    { timeoutMs: 60_000 },
  );

  s.case(['N-13'], 'a run that was answered twice for one call goes on from the first answer', async (context) => {
    const id = context.unique('repeats');
    const calls: string[][] = [];
    const stepId = createHash('sha1').update('only').digest('hex');
    const app = await context.serveHttp(async (request) => {
      const { steps } = (await request.json()) as { steps: Record<string, unknown> };
      calls.push(Object.keys(steps));
      // Always the same answer, whatever is memoised already.
      if (calls.length < 4) {
        return sdkAnswer(206, [
          { op: 'StepRun', id: stepId, name: 'only', displayName: 'only', opts: {}, data: calls.length },
        ]);
      }
      return sdkAnswer(200, steps[stepId]);
    });
    await register(context, id, app.url);
    const eventId = await sendEvent(context, id);
    const run = await context.until(
      async () => {
        const response = await fetch(`${context.url}/v1/events/${eventId}/runs`);
        const { data } = (await response.json()) as { data: Array<{ status: string; output: unknown }> };
        return data[0] && /completed|failed/i.test(data[0].status) ? data[0] : null;
      },
      { what: 'the end of the run' },
    );
    if (/completed/i.test(run.status))
      expect.match(JSON.stringify(run.output), /1/, 'the first answer is the one that counts');
  });
});

function sdkAnswer(status: number, body: unknown): Response {
  return Response.json(body, {
    status,
    headers: { 'x-inngest-sdk': 'inngest-js:v4.24.0', 'x-inngest-req-version': '2' },
  });
}

async function register(context: CaseContext, id: string, appUrl: string): Promise<void> {
  const runtime = { type: 'http', url: `${appUrl}/api/inngest?fnId=${id}&stepId=step` };
  const step = { id: 'step', name: 'step', runtime, retries: { attempts: 0 } };
  const response = await fetch(`${context.url}/fn/register`, {
    method: 'POST',
    headers: JSON_TYPE,
    body: JSON.stringify({
      url: `${appUrl}/api/inngest`,
      deployType: 'ping',
      framework: 'nodejs',
      appName: `app-${id}`,
      sdk: 'js:v4.24.0',
      v: '0.1',
      functions: [{ id, name: id, triggers: [{ event: id }], steps: { step } }],
    }),
  });
  expect.equal(response.status, 200, await response.text());
}

async function sendEvent(context: CaseContext, name: string, k = 'k'): Promise<string> {
  const response = await fetch(`${context.url}/e/key`, {
    method: 'POST',
    headers: JSON_TYPE,
    body: JSON.stringify({ name, data: { k } }),
  });
  const { ids } = (await response.json()) as { ids: string[] };
  return ids[0]!;
}

/** URLs of apps that misbehave, each in its own way. */
async function hostileApps(context: CaseContext): Promise<Record<string, string>> {
  const serve = async (handler: () => Response | Promise<Response>): Promise<string> =>
    (await context.serveHttp(handler)).url;
  const flood = new Uint8Array(1_048_576).fill(120);
  return {
    html: await serve(() => new Response('<html>Welcome</html>', { headers: { 'content-type': 'text/html' } })),
    'sdk-html': await serve(
      () => new Response('<html>', { status: 206, headers: { 'x-inngest-sdk': 'inngest-js:v4.24.0' } }),
    ),
    'wrong-opcodes': await serve(() => sdkAnswer(206, [{ op: 'NoSuchOp', id: 7 }, null, 'x'])),
    'no-opcodes': await serve(() => sdkAnswer(206, { a: 1 })),
    redirect: await serve(() => new Response(null, { status: 302, headers: { location: 'http://127.0.0.1:1/' } })),
    'redirect-to-itself': await serve(() => new Response(null, { status: 307, headers: { location: '/' } })),
    hang: await serve(() =>
      delay(30_000, new Response('late'), { ref: false, signal: context.signal }).catch(() => new Response()),
    ),
    // Two GiB, offered as fast as they are read.
    flood: await serve(() => {
      let left = 2_048;
      const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
        if (left-- > 0) controller.enqueue(flood);
        else controller.close();
      };
      return new Response(new ReadableStream({ pull }), { headers: { 'x-inngest-sdk': 'inngest-js:v4.24.0' } });
    }),
    reset: await rawServer(context, (socket) => socket.resetAndDestroy()),
    'closes-at-once': await rawServer(context, (socket) => socket.end()),
    'half-a-head': await rawServer(context, (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-le')),
    'half-a-body': await rawServer(context, (socket) =>
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort'),
    ),
    'not-http': await rawServer(context, (socket) => socket.end('\u0000\u0001SSH-2.0-none\r\n')),
    refused: 'http://127.0.0.1:1',
  };
}

async function rawServer(context: CaseContext, onData: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => onData(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.onCleanup(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
