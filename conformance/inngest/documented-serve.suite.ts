import type { IncomingHttpHeaders } from 'node:http';
import { Inngest } from 'inngest';
import { serve as astro } from 'inngest/astro';
import { serve as bun } from 'inngest/bun';
import { serve as digitalOcean } from 'inngest/digitalocean';
import { serve as edge } from 'inngest/edge';
import { serve as lambda } from 'inngest/lambda';
import { serve as redwood } from 'inngest/redwood';
import { serve as remix } from 'inngest/remix';
import { serve as svelteKit } from 'inngest/sveltekit';
import { expect, suite } from '../harness/index.ts';
import type { FetchHandler } from '../harness/index.ts';
import { fail } from './apps.ts';
import type { RunView } from './apps.ts';
import { call } from './graphql.ts';

// The handlers of frameworks and platforms that need no package of their own, called as those call them (inngest/website:
// pages/docs/learn/serving-inngest-functions); express, hono, next and plain node are in languages.suite.ts.

type Made = (options: never) => (...args: never[]) => Promise<unknown>;
type Served = (request: Request) => Promise<unknown>;

const FRAMEWORKS: Readonly<Record<string, (options: object) => Served>> = {
  astro: (options) => withContext(astro as Made, options, (request) => ({ request })),
  bun: (options) => withContext(bun as Made, options, (request) => request),
  'aws-lambda': (options) => withContext(lambda as Made, options, lambdaEvent),
  'aws-lambda of its first version': (options) => withContext(lambda as Made, options, oldLambdaEvent),
  digitalocean: (options) => withContext(digitalOcean as Made, options, digitalOceanArguments),
  edge: (options) => withContext(edge as Made, options, (request) => request),
  redwoodjs: (options) => withContext(redwood as Made, options, oldLambdaEvent),
  remix: (options) => withContext(remix as Made, options, (request) => ({ request })),
  sveltekit: (options) => withContext(svelteKit as Made, options, (request) => ({ request })),
};

suite({ vendor: 'inngest', name: 'as documented: serving', sdk: 'inngest 4.24.0' }, (s) => {
  for (const [framework, make] of Object.entries(FRAMEWORKS))
    s.case(['I-9', 'I-10', 'I-17', 'I-18'], `served by ${framework}: registered, run, retried`, async (context) => {
      const name = context.unique('go');
      const id = context.unique('app');
      const ran: string[] = [];
      let handler: FetchHandler = () => new Response(null, { status: 503 });
      const site = await context.serveHttp((request) => handler(request));
      const quiet = { debug() {}, info() {}, warn() {}, error() {} };
      const client = new Inngest({ id, baseUrl: context.url, isDev: true, logger: quiet });
      const fn = client.createFunction({ id: 'fn', triggers: [{ event: name }] }, async ({ step, event, attempt }) => {
        const a = await step.run('a', () => (ran.push('a'), String(event.data['text'])));
        await step.sleep('nap', '1m');
        return await step.run('b', () => {
          ran.push(`b${attempt}`);
          return attempt === 0 ? fail('once') : `${a}!`;
        });
      });
      const served = make({ client, functions: [fn], serveOrigin: site.url, servePath: '/fn/inngest' });
      handler = async (request) => toResponse(await served(request));
      const synced = await fetch(`${site.url}/fn/inngest`, { method: 'PUT' });
      expect.equal(synced.status, 200, await synced.clone().text());
      const { ids } = await client.send({ name, data: { text: 'é😀' } });
      await context.clock.idle();
      await context.clock.advance(5 * 60_000);
      const runs = await context.until(async () => {
        const { body } = await call(context, 'GET', `/v1/events/${ids[0]}/runs`);
        const [run] = body['data'] as RunView[];
        return run?.ended_at ? run : null;
      });
      expect.deepEqual([runs.status, runs.output, ran], ['Completed', 'é😀!', ['a', 'b0', 'b1']]);
    });
});

function withContext(make: Made, options: object, of: (request: Request) => unknown): Served {
  const handler = make(options as never);
  return async (request) => await handler((await of(request)) as never, {} as never);
}

/** What a framework gives its server: a response, or the words for one that functions on a platform return. */
function toResponse(made: unknown): Response {
  if (made instanceof Response) return made;
  const { statusCode, status, headers, body } = made as {
    statusCode?: number;
    status?: number;
    headers?: Record<string, string>;
    body?: string | null;
  };
  return new Response(body ?? null, { status: statusCode ?? status ?? 200, headers: headers ?? {} });
}

function headersOf(request: Request): IncomingHttpHeaders {
  return Object.fromEntries(request.headers);
}

async function lambdaEvent(request: Request): Promise<object> {
  const { pathname, search, host, searchParams } = new URL(request.url);
  return {
    version: '2.0',
    rawPath: pathname,
    rawQueryString: search.slice(1),
    headers: { ...headersOf(request), host },
    queryStringParameters: Object.fromEntries(searchParams),
    requestContext: { http: { method: request.method, path: pathname } },
    body: Buffer.from(await request.arrayBuffer()).toString('base64'),
    isBase64Encoded: true,
  };
}

async function oldLambdaEvent(request: Request): Promise<object> {
  const { pathname, host, searchParams } = new URL(request.url);
  return {
    httpMethod: request.method,
    path: pathname,
    headers: { ...headersOf(request), host },
    queryStringParameters: Object.fromEntries(searchParams),
    requestContext: {},
    body: await request.text(),
    isBase64Encoded: false,
  };
}

/** Parameters of the query and of the body beside one another. */
async function digitalOceanArguments(request: Request): Promise<object> {
  const { pathname, searchParams } = new URL(request.url);
  const text = await request.text();
  return {
    ...(text === '' ? {} : (JSON.parse(text) as object)),
    ...Object.fromEntries(searchParams),
    http: { headers: headersOf(request), method: request.method, path: pathname },
  };
}
