import type { IncomingMessage, RequestListener } from 'node:http';
import { serve as serveAstro } from '@upstash/workflow/astro';
import { serve as serveCloudflare } from '@upstash/workflow/cloudflare';
import { serve as serveExpress } from '@upstash/workflow/express';
import { serve as serveH3 } from '@upstash/workflow/h3';
import { serve as serveHono } from '@upstash/workflow/hono';
import { serve as serveNext, servePagesRouter } from '@upstash/workflow/nextjs';
import { serve as serveReactRouter } from '@upstash/workflow/react-router';
import { serve as serveSolid } from '@upstash/workflow/solidjs';
import { serve as serveSvelte } from '@upstash/workflow/svelte';
import { serve as serveTanstack } from '@upstash/workflow/tanstack';
import type { WorkflowContext } from '@upstash/workflow';
import express from 'express';
import { Hono } from 'hono';
import { Client as OldestClient, Receiver as OldestReceiver } from 'qstash2-oldest';
import { Client as OldestWorkflowClient, serve as serveOldest } from 'upstash-workflow1-oldest';
import { expect, suite } from '../harness/index.ts';
import type { CaseContext, FetchHandler } from '../harness/index.ts';
import { destination } from './support.ts';
import { serveWorkflowHandler, workflowOptions } from './workflow-support.ts';

/** One workflow for every framework: a step, a sleep, a call and parallel branches. */
function route(context: CaseContext) {
  return async (w: WorkflowContext<{ n: number }>): Promise<number> => {
    const first = await w.run('first', () => w.requestPayload.n + 1);
    await w.sleep('nap', '1h');
    const [a, b] = await Promise.all([w.run('a', () => first * 10), w.run('b', () => first * 100)]);
    const { body } = await w.call<{ status: string }>('ask', { url: `${context.url}/health` });
    return a + b + (body.status === 'ok' ? 1 : 0);
  };
}

async function runsToEnd(context: CaseContext, handler: FetchHandler): Promise<void> {
  const workflow = await serveWorkflowHandler(context, async (request) => handler(request));
  await endsWell(context, workflow.url);
}

async function endsWell(context: CaseContext, url: string): Promise<void> {
  const client = new OldestWorkflowClient({ baseUrl: context.url, token: context.environment.qstashToken });
  const { workflowRunId } = await client.trigger({ url, body: { n: 1 } });
  await context.clock.idle();
  await context.clock.advance(3_600_000);
  const run = await context.until(async () => {
    const { runs } = await client.logs({ workflowRunId });
    return runs[0]?.workflowState === 'RUN_STARTED' ? null : runs[0];
  });
  expect.deepEqual([run.workflowState, String(run.workflowRunResponse)], ['RUN_SUCCESS', '221']);
}

type ByRequest = (event: { request: Request }) => Promise<Response>;
type Serve = (routeFunction: ReturnType<typeof route>, options: never) => unknown;

const posts =
  (serveIn: Serve) =>
  (...args: Parameters<Serve>): ByRequest =>
    (serveIn(...args) as { POST: ByRequest }).POST;

/** Frameworks whose handlers get the request in an event or context. */
const BY_REQUEST: Record<string, (...args: Parameters<Serve>) => ByRequest> = {
  Svelte: posts(serveSvelte as Serve),
  SolidStart: posts(serveSolid as Serve),
  Astro: posts(serveAstro as unknown as Serve),
  'TanStack Start': posts(serveTanstack as Serve),
  'React Router': (...args) => (serveReactRouter as Serve)(...args) as ByRequest,
};

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

suite({ vendor: 'qstash', name: 'frameworks', sdk: '@upstash/workflow 1.3.3' }, (s) => {
  const env = (context: CaseContext): Record<string, string> => ({
    QSTASH_URL: context.url,
    QSTASH_TOKEN: context.environment.qstashToken,
    QSTASH_CURRENT_SIGNING_KEY: context.environment.qstashCurrentSigningKey,
    QSTASH_NEXT_SIGNING_KEY: context.environment.qstashNextSigningKey,
  });

  s.case(['Q-60', 'Q-65', 'Q-66'], 'Next.js: a workflow runs in its handler', async (context) => {
    const { POST } = serveNext(route(context), workflowOptions(context) as never);
    await runsToEnd(context, (request) => POST(request as never) as Promise<Response>);
  });

  s.case(['Q-60', 'Q-65', 'Q-66'], 'Hono: a workflow runs in its handler, keys from the bindings', async (context) => {
    const app = new Hono();
    app.post('/workflow', serveHono(route(context)) as never);
    await runsToEnd(context, (request) => app.fetch(request, env(context)));
  });

  s.case(
    ['Q-60', 'Q-65', 'Q-66'],
    'Cloudflare: a workflow runs in its handler, keys from the environment',
    async (context) => {
      const { fetch: handler } = serveCloudflare(route(context));
      await runsToEnd(context, (request) => handler(request, env(context)));
    },
  );

  s.case(['Q-60', 'Q-65', 'Q-66'], 'Express: a workflow runs in its router', async (context) => {
    const app = express();
    app.use(express.json({ limit: '1mb' }));
    app.use('/workflow', serveExpress(route(context), workflowOptions(context) as never));
    const served = await context.serveNode(app as unknown as RequestListener);
    await endsWell(context, `${served.url}/workflow`);
  });

  for (const [framework, serveIn] of Object.entries(BY_REQUEST))
    s.case(['Q-60', 'Q-65', 'Q-66'], `${framework}: a workflow runs in its handler`, async (context) => {
      const handler = serveIn(route(context), workflowOptions(context) as never);
      await runsToEnd(context, (request) => handler({ request }));
    });

  s.case(['Q-60', 'Q-65', 'Q-66'], 'Next.js, pages router: a workflow runs in its handler', async (context) => {
    const { handler } = servePagesRouter(route(context), workflowOptions(context) as never);
    const served = await context.serveNode(async (request, response) => {
      const pages = Object.assign(response, {
        status: (code: number) => Object.assign(response, { statusCode: code }),
        json: (value: unknown) => void response.end(JSON.stringify(value)),
      });
      // What stands before an app says so, and the framework parses the body.
      request.headers['x-forwarded-proto'] = 'http';
      await handler(Object.assign(request, { body: await textOf(request) }) as never, pages as never);
    });
    await endsWell(context, `${served.url}/workflow`);
  });

  s.case(['Q-60', 'Q-65', 'Q-66'], 'H3, Nuxt: a workflow runs in its handler', async (context) => {
    const { handler } = serveH3(route(context), workflowOptions(context) as never);
    const served = await context.serveNode(async (request, response) => {
      request.headers['x-forwarded-proto'] = 'http';
      const event = { node: { req: request, res: response }, path: request.url, method: request.method };
      const answer = (await (handler as unknown as (event: object) => Promise<Response>)(event)) as Response;
      response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
    });
    await endsWell(context, `${served.url}/workflow`);
  });
});

suite({ vendor: 'qstash', name: 'oldest client', sdk: '@upstash/qstash 2.0.0' }, (s) => {
  const clientOf = ({ url, environment }: CaseContext): OldestClient =>
    new OldestClient({ baseUrl: url, token: environment.qstashToken });

  s.case(
    ['Q-8', 'Q-16', 'Q-20', 'Q-29', 'Q-35', 'Q-37', 'Q-38'],
    'messages are published, signed, read, cancelled and not repeated',
    async (context) => {
      const app = await destination(context);
      const client = clientOf(context);
      const { messageId = '' } = await client.publishJSON({ destination: `${app.url}/a?b=c`, body: { a: 1 } as never });
      const got = await context.until(() => app.received[0]);
      expect.deepEqual(
        [got.path, got.body, got.headers.get('content-type')],
        ['/a?b=c', '{"a":1}', 'application/json'],
      );
      const receiver = new OldestReceiver({
        currentSigningKey: context.environment.qstashCurrentSigningKey,
        nextSigningKey: context.environment.qstashNextSigningKey,
      });
      expect(
        await receiver.verify({
          signature: got.headers.get('upstash-signature') as string,
          body: got.body,
          url: `${app.url}/a?b=c`,
        }),
      );
      const events = await context.until(async () => {
        const page = await client.events();
        const own = page.events.filter((event) => event.messageId === messageId);
        return own[0]?.state === ('DELIVERED' as never) ? own : null;
      });
      expect.deepEqual(
        events.map(({ state }) => String(state)),
        ['DELIVERED', 'ACTIVE', 'CREATED'],
      );
      const delayed = await client.publish({
        destination: app.url,
        body: 'later',
        delay: 3600,
        deduplicationId: context.unique('once'),
      });
      expect.equal((await client.messages.get(delayed.messageId ?? '')).url, app.url);
      await client.messages.delete(delayed.messageId ?? '');
      await expect.rejects(client.messages.get(delayed.messageId ?? ''), /not found/);
    },
  );

  s.case(['Q-9', 'Q-43', 'Q-47', 'Q-56'], 'topics, schedules and dead letters are managed', async (context) => {
    const app = await destination(context, ({ path }) => new Response('', { status: path === '/bad' ? 400 : 200 }));
    const client = clientOf(context);
    const topic = context.unique('oldest-topic');
    await client.topics.addEndpoints({ name: topic, endpoints: [{ url: app.url, name: 'one' }] });
    expect.deepEqual((await client.topics.get(topic)).endpoints, [{ url: app.url, name: 'one' }]);
    await client.publish({ destination: topic, body: 'to all' });
    await context.until(() => app.received.length === 1);
    await client.topics.delete(topic);
    const { scheduleId } = await client.schedules.create({ destination: app.url, cron: '0 0 1 1 *', body: 's' });
    expect.equal((await client.schedules.get(scheduleId)).cron, '0 0 1 1 *');
    await client.schedules.delete(scheduleId);
    const { messageId } = await client.publish({ destination: `${app.url}/bad`, body: 'x', retries: 0 });
    const letter = await context.until(async () => {
      const found = (await client.dlq.listMessages()) as unknown as {
        messages: Array<{ messageId: string; dlqId: string }>;
      };
      return found.messages.find((message) => message.messageId === messageId);
    });
    await client.dlq.delete(letter.dlqId);
  });
});

suite({ vendor: 'qstash', name: 'oldest workflow client', sdk: '@upstash/workflow 1.0.0' }, (s) => {
  s.case(
    ['Q-60', 'Q-62', 'Q-64', 'Q-65', 'Q-66', 'Q-71'],
    'steps, sleep, parallel branches and a call run to the end',
    async (context) => {
      const { handler } = serveOldest(route(context) as never, workflowOptions(context) as never);
      await runsToEnd(context, handler as (request: Request) => Promise<Response>);
    },
  );

  s.case(['Q-67', 'Q-68', 'Q-76', 'Q-78'], 'events, failure functions and cancelling work', async (context) => {
    const failures: string[] = [];
    const { handler } = serveOldest(
      (async (w: WorkflowContext<string>) => {
        const { eventData } = await w.waitForEvent('wait', `${w.requestPayload}-event`);
        await w.run('fails', () => {
          throw new Error(`with ${String(eventData)}`);
        });
      }) as never,
      {
        ...workflowOptions(context),
        failureFunction: ({ failResponse }: { failResponse: string }) => {
          failures.push(failResponse);
        },
      } as never,
    );
    const workflow = await serveWorkflowHandler(context, handler as (request: Request) => Promise<Response>);
    const client = new OldestWorkflowClient({ baseUrl: context.url, token: context.environment.qstashToken });
    const name = context.unique('oldest');
    const { workflowRunId } = await client.trigger({ url: workflow.url, body: name, retries: 0 });
    await context.until(async () => (await client.getWaiters({ eventId: `${name}-event` })).length === 1);
    await client.notify({ eventId: `${name}-event`, eventData: 'news' });
    await context.until(() => failures.length === 1);
    expect.match(failures[0] ?? '', /with news/);
    expect.equal((await workflow.ended(workflowRunId)).workflowState, 'RUN_FAILED');
    const other = await client.trigger({ url: workflow.url, body: `${name}-2` });
    expect.deepEqual(await client.cancel({ ids: [other.workflowRunId] }), { cancelled: 1 });
  });
});
