import { Inngest, NonRetriableError } from 'inngest';
import { endpointAdapter } from 'inngest/edge';
import { expect, suite } from '../harness/index.ts';
import type { CaseContext, FetchHandler } from '../harness/index.ts';
import { fail } from './apps.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const HOUR_MS = 3_600_000;

interface StepTools {
  run<T>(id: string, body: () => T | Promise<T>): Promise<T>;
  sleep(id: string, time: string): Promise<void>;
}

interface Keys {
  signingKey: string;
  eventKey: string;
}

/** Serves handlers as durable endpoints by path, with the SDK's own `step` tools. */
async function serveEndpoints(
  context: CaseContext,
  paths: Record<string, (request: Request, step: StepTools) => unknown>,
  options: { url?: string; keys?: Keys; adapter?: object } = {},
): Promise<{ url: string; client: Inngest; calls: string[] }> {
  const { step } = (await import('inngest')) as unknown as { step: StepTools };
  const client = new Inngest({
    id: context.unique('endpoint'),
    baseUrl: options.url ?? context.url,
    isDev: options.keys === undefined,
    ...options.keys,
    logger: quiet,
    endpointAdapter: endpointAdapter.withOptions(options.adapter ?? {}),
  } as never);
  const endpoint = (client as unknown as { endpoint(handler: FetchHandler): FetchHandler }).endpoint.bind(client);
  const handlers = new Map(
    Object.entries(paths).map(([path, body]) => [
      path,
      endpoint((request) => body(request, step) as Promise<Response>),
    ]),
  );
  const calls: string[] = [];
  const served = await context.serveHttp((request) => {
    const { pathname } = new URL(request.url);
    calls.push(`${request.method} ${pathname}${request.headers.has('x-run-id') ? ' again' : ''}`);
    if (pathname === '/poll') return (client as unknown as { endpointProxy(): FetchHandler }).endpointProxy()(request);
    const handler = handlers.get(pathname);
    return handler ? handler(request) : new Response('no such path', { status: 404 });
  });
  return { url: served.url, client, calls };
}

interface RunList {
  data: Array<{ id: string; status: string; function: { slug: string }; output?: unknown }>;
}

async function runsOf(context: CaseContext, appUrl: string, server = context.url): Promise<RunList['data']> {
  const { host } = new URL(appUrl);
  const response = await fetch(new URL(`/v2/runs?limit=100&includeOutput=true&appId=${host}`, server), {
    headers: { authorization: 'Bearer x' },
  });
  const { data } = (await response.json()) as RunList;
  return data.filter((run) => run.function.slug.startsWith(`${host}-`));
}

/** A run's output by the query of the vendor's pages. */
async function outputOf(context: CaseContext, run: string): Promise<string | null> {
  const query = 'query ($run: ID!) { functionRun(query: { functionRunId: $run }) { output } }';
  const response = await fetch(new URL('/v0/gql', context.url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables: { run } }),
  });
  return ((await response.json()) as { data: { functionRun: { output: string | null } } }).data.functionRun.output;
}

suite({ vendor: 'inngest', name: 'durable endpoints', sdk: 'inngest 4.24.0' }, (s) => {
  s.case(['I-37'], 'an endpoint answers its visitor at once, and its steps are kept', async (context) => {
    const app = await serveEndpoints(context, {
      '/work': async (request, step) => {
        const a = await step.run('a', () => 20);
        const b = await step.run('b', () => a + 1);
        return new Response(`${new URL(request.url).searchParams.get('q')} ${b}`, {
          status: 201,
          headers: { 'x-mine': '1' },
        });
      },
      '/value': async (_, step) => ({ n: await step.run('n', () => 5) }),
    });
    const answer = await fetch(`${app.url}/work?q=hello`);
    expect.deepEqual([answer.status, answer.headers.get('x-mine'), await answer.text()], [201, '1', 'hello 21']);
    expect.deepEqual(await (await fetch(`${app.url}/value`)).json(), { n: 5 });
    const runs = await context.until(
      async () => {
        const all = await runsOf(context, app.url);
        return all.length === 2 && all.every(({ status }) => status === 'COMPLETED') ? all : null;
      },
      { what: 'the end of both runs' },
    );
    const work = runs.find((run) => run.function.slug.endsWith('GET /work'));
    const trace = (await (
      await fetch(new URL(`/v2/runs/${work?.id}/trace?includeOutput=true`, context.url))
    ).json()) as { data: { rootSpan: { children: Array<{ name: string; output: unknown }> } } };
    expect.deepEqual(
      trace.data.rootSpan.children.map(({ name, output }) => [name, name === 'Finalization' ? 'its answer' : output]),
      [
        ['a', 20],
        ['b', 21],
        ['Finalization', 'its answer'],
      ],
    );
    expect.deepEqual(app.calls, ['GET /work', 'GET /value']);
    // A Response went to the visitor and is not told again; a value is. The vendor's queries show what is told, without its status and headers.
    const outputs = await Promise.all(runs.map((run) => outputOf(context, run.id)));
    expect.deepEqual([...outputs].sort(), ['null', '{"n":5}']);
  });

  s.case(['I-37'], 'an endpoint that sleeps sends its visitor to wait, and answers a day later', async (context) => {
    const ran: string[] = [];
    const app = await serveEndpoints(context, {
      '/later': async (request, step) => {
        await step.run('before', () => void ran.push('before'));
        await step.sleep('nap', '1d');
        const text = await step.run('after', () => {
          ran.push('after');
          return new URL(request.url).searchParams.get('text');
        });
        return Response.json({ text }, { status: 202, headers: { 'x-late': 'yes' } });
      },
    });
    const first = await fetch(`${app.url}/later?text=n%C3%A4h`, { redirect: 'manual' });
    expect.equal(first.status, 302);
    const location = first.headers.get('location') ?? fail('no location');
    expect.equal(new URL(location).origin, new URL(context.url).origin);
    expect.deepEqual(ran, ['before']);
    const waiting = fetch(location);
    await context.clock.idle();
    await context.clock.advance(25 * HOUR_MS);
    const answer = await waiting;
    expect.deepEqual([answer.status, answer.headers.get('x-late')], [200, null]);
    // The SDK keeps the text of a Response that was made after its run had been handed over as a JSON string.
    expect.equal(await answer.json(), '{"text":"näh"}');
    expect.deepEqual(ran, ['before', 'after']);
    const forged = new URL(location);
    forged.searchParams.set('token', `${forged.searchParams.get('token')}x`);
    expect.equal((await fetch(forged)).status, 401);
    const other = new URL(location.replace(/runs\/[0-9A-Z]{26}/, 'runs/01K72M2G000000000000000000'));
    expect.equal((await fetch(other)).status, 401);
  });

  s.case(
    ['I-37'],
    'a step of an endpoint that fails is tried again by the server; what is done is not repeated',
    async (context) => {
      const ran: string[] = [];
      const app = await serveEndpoints(
        context,
        {
          '/flaky': async (_, step) => {
            await step.run('once', () => void ran.push('once'));
            const n = await step.run('flaky', () => {
              ran.push('flaky');
              if (ran.filter((one) => one === 'flaky').length === 1) throw new Error('not yet');
              return 3;
            });
            return new Response(String(n));
          },
        },
        { adapter: { asyncRedirectUrl: '/poll' } },
      );
      const first = await fetch(`${app.url}/flaky`, { redirect: 'manual' });
      expect.equal(first.status, 302);
      const location = first.headers.get('location') ?? fail('no location');
      expect.equal(new URL(location).pathname, '/poll');
      await context.clock.advance(60_000);
      const polled = await fetch(location);
      expect.equal(polled.status, 200);
      expect.equal(await polled.text(), '3');
      expect.deepEqual(ran, ['once', 'flaky', 'flaky']);
    },
  );

  s.case(
    ['I-37', 'I-78'],
    'an endpoint whose app is lost is called again, with the steps that it told',
    async (context) => {
      const ran: string[] = [];
      const app = await serveEndpoints(context, {
        '/lost': async (_, step) => {
          await step.run('told', () => void ran.push('told'));
          const n = await step.run('hangs', () => {
            ran.push('hangs');
            return ran.length < 3 ? new Promise<number>(() => {}) : 9;
          });
          return new Response(String(n));
        },
      });
      const lost = new AbortController();
      const visitor = fetch(`${app.url}/lost`, { signal: lost.signal }).catch(() => null);
      await context.until(() => ran.length === 2, { what: 'the step that hangs' });
      await context.clock.advance(11 * 60_000);
      const [run] = await context.until(
        async () => {
          const runs = await runsOf(context, app.url);
          return runs[0]?.status === 'COMPLETED' ? runs : null;
        },
        { what: 'the end of the run' },
      );
      expect.deepEqual(ran, ['told', 'hangs', 'hangs']);
      expect.equal((run?.output as { body: string } | undefined)?.body, '"9"');
      lost.abort();
      await visitor;
    },
  );

  s.case(
    ['I-37', 'I-14', 'I-15'],
    'cloud mode: an endpoint’s reports and the server’s calls are signed',
    async (context) => {
      const { inngestSigningKey: signingKey, inngestEventKey: eventKey } = context.environment;
      const server = await context.startServer({
        mode: 'production',
        env: { INNGEST_SIGNING_KEY: signingKey, INNGEST_EVENT_KEY: eventKey, REPOINT_ALLOW_PRIVATE: '1' },
      });
      const app = await serveEndpoints(
        context,
        {
          '/nap': async (_, step) => {
            await step.run('a', () => 1);
            await step.sleep('nap', '1s');
            return new Response('awake');
          },
        },
        // An adapter keeps the options that it was given last, also for endpoints that are made later without any.
        { url: server.url, keys: { signingKey, eventKey }, adapter: { asyncRedirectUrl: '/poll' } },
      );
      const first = await fetch(`${app.url}/nap`, { redirect: 'manual' });
      expect.equal(first.status, 302);
      const answer = await fetch(first.headers.get('location') ?? '');
      expect.deepEqual([answer.status, await answer.text()], [200, 'awake']);
      const unsigned = await fetch(new URL('/v1/checkpoint', server.url), { method: 'POST', body: '{}' });
      expect.equal(unsigned.status, 401);
    },
  );

  s.case(['I-37'], 'INN-11: whoever waits for an endpoint that fails is told so', async (context) => {
    const app = await serveEndpoints(context, {
      '/fails': async (_, step) => {
        await step.sleep('nap', '1m');
        throw new NonRetriableError('no luck');
      },
    });
    const first = await fetch(`${app.url}/fails`, { redirect: 'manual' });
    await context.clock.advance(2 * 60_000);
    const answer = await fetch(first.headers.get('location') ?? fail('no location'));
    const body = (await answer.json()) as { status: string; error: { message: string } };
    expect.deepEqual([answer.status, body.status, body.error.message], [502, 'failed', 'no luck']);
  });

  s.case(['I-37', 'I-80'], 'a run that is wrong is not begun', async (context) => {
    const post = async (body: unknown): Promise<number> =>
      (await fetch(new URL('/v1/checkpoint', context.url), { method: 'POST', body: JSON.stringify(body) })).status;
    const data = {
      domain: 'http://127.0.0.1:1',
      method: 'GET',
      path: '/',
      fn: '',
      content_type: '',
      query_params: '',
      body: '',
    };
    const event = { name: 'inngest/http.request', data };
    const run = '01K72M2G000000000000000001';
    expect.equal(await post({ run_id: 'x', event }), 400);
    expect.equal(await post({ run_id: run, event: { name: 'other', data } }), 400);
    expect.equal(await post({ run_id: run, event: { ...event, data: { ...data, domain: 'ftp://x' } } }), 400);
    expect.equal(await post({ run_id: run, event, steps: [{ op: 5 }] }), 400);
    const nobody = await fetch(new URL(`/v1/checkpoint/${run}/steps`, context.url), {
      method: 'POST',
      body: '{"steps":[]}',
    });
    expect.equal(nobody.status, 404);
    expect.equal((await fetch(new URL(`/v1/checkpoint/${run}/output`, context.url))).status, 401);
  });
});
