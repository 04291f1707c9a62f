import { createHash } from 'node:crypto';
import { Inngest } from 'inngest';
import { expect, suite } from '../harness/index.ts';
import type { CaseContext } from '../harness/index.ts';
import { FLAVOURS, serveApp, startApp } from './apps.ts';

const flavour = FLAVOURS[1] as (typeof FLAVOURS)[number];
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

interface Answer {
  status: number;
  body: { error?: string; errors?: Array<{ message: string }>; data?: never } & Record<string, unknown>;
}

async function call(
  url: URL | string,
  method = 'GET',
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(url, { method, headers, ...sent });
  const text = await response.text();
  return { status: response.status, body: (text.startsWith('{') ? JSON.parse(text) : { text }) as Answer['body'] };
}

function messageOf({ body }: Answer): string {
  return body.error ?? body.errors?.[0]?.message ?? '';
}

function production(context: CaseContext, env: Record<string, string | undefined> = {}) {
  const { inngestSigningKey, inngestEventKey } = context.environment;
  return context.startServer({
    mode: 'production',
    env: {
      INNGEST_SIGNING_KEY: inngestSigningKey,
      INNGEST_EVENT_KEY: inngestEventKey,
      REPOINT_ALLOW_PRIVATE: '1',
      ...env,
    },
  });
}

suite({ vendor: 'inngest', name: 'setting up', sdk: 'inngest 4.24.0' }, (s) => {
  s.case(
    ['I-11', 'I-14'],
    'an app is asked for its configuration, and proves that it holds the key',
    async (context) => {
      const { inngestSigningKey: signingKey, inngestEventKey: eventKey } = context.environment;
      const server = await production(context);
      const keys = { signingKey, eventKey, signingKeyFallback: undefined } as never;
      const definitions = [{ id: 'f', triggers: [{ event: context.unique('e') }], body: () => 1 }];
      const app = await startApp(context, flavour, definitions, { url: server.url, keys });
      const headers = { authorization: `Bearer ${signingKey}` };
      interface Inspected {
        inspection: { introspection: Record<string, unknown> | null; trusted: boolean | null; problems: string[] };
      }
      const inspect = async (id: string): Promise<Inspected['inspection']> =>
        (
          (await call(new URL(`/v2/apps/${id}?inspect=true`, server.url), 'GET', undefined, headers)).body[
            'data'
          ] as unknown as Inspected
        ).inspection;
      const good = await inspect(app.id);
      expect.deepEqual([good.trusted, good.problems], [true, []]);
      expect.equal(good.introspection?.['authentication_succeeded'], true);
      expect.equal(good.introspection?.['function_count'], 1);
      expect.equal(good.introspection?.['mode'], 'cloud');
      const otherKey = `signkey-test-${createHash('sha256').update('other').digest('hex')}`;
      const stranger = await serveApp(context, flavour, definitions, {
        url: server.url,
        keys: { signingKey: otherKey, eventKey } as never,
      });
      await call(
        new URL('/fn/register', server.url),
        'POST',
        {
          url: stranger.url,
          appName: stranger.id,
          functions: [
            {
              id: `${stranger.id}-f`,
              name: 'f',
              triggers: [],
              steps: {
                step: {
                  id: 'step',
                  name: 'step',
                  runtime: { type: 'http', url: `${stranger.url}?fnId=${stranger.id}-f&stepId=step` },
                },
              },
            },
          ],
        },
        headers,
      );
      const bad = await inspect(stranger.id);
      expect.equal(bad.trusted, false);
      expect.match(bad.problems.join(' '), /INNGEST_SIGNING_KEY/);
    },
  );

  s.case(
    ['I-9', 'I-10', 'I-76', 'I-77'],
    'apps named on the command line are synced, and synced again; retries are as fast as asked',
    async (context) => {
      const name = context.unique('go');
      let attempts = 0;
      const app = await serveApp(context, flavour, [
        {
          id: 'f',
          retries: 1,
          triggers: [{ event: name }],
          body: () => {
            if (attempts++ === 0) throw new Error('once');
            return 'done';
          },
        },
      ]);
      const server = await context.startServer({
        args: ['--sdk-url', app.url, '--retry-interval', '1', '--tick', '10'],
      });
      expect.equal((await call(server.url)).status, 200);
      const fn = await context.until(
        async () => {
          const { body } = await call(new URL('/dev', server.url));
          return (body['functions'] as Array<{ slug: string }>).find(({ slug }) => slug === `${app.id}-f`) ?? null;
        },
        { what: 'the app to be synced' },
      );
      expect.equal(fn.slug, `${app.id}-f`);
      const sent = await call(new URL('/e/key', server.url), 'POST', { name, data: {} });
      const [id] = sent.body['ids'] as string[];
      const started = Date.now();
      await context.until(
        async () => {
          const { body } = await call(new URL(`/v1/events/${id}/runs`, server.url));
          return (body['data'] as unknown as Array<{ status: string }>)[0]?.status === 'Completed' ? true : null;
        },
        { what: 'the retry' },
      );
      expect.equal(attempts, 2);
      expect.equal(Date.now() - started < 8_000, true);
    },
  );

  s.case(['I-10'], 'any URL is synced over HTTP and GraphQL, without touching the app', async (context) => {
    const app = await serveApp(context, flavour, [
      { id: 'f', triggers: [{ event: context.unique('e') }], body: () => 1 },
    ]);
    const synced = await call(new URL('/v2/apps/-/syncs', context.url), 'POST', { url: app.url });
    expect.deepEqual([synced.status, (synced.body['data'] as unknown as { appId: string }).appId], [200, app.id]);
    const query = `mutation ($input: CreateAppInput!) { createApp(input: $input) { externalID functionCount } }`;
    const made = await call(new URL('/v0/gql', context.url), 'POST', { query, variables: { input: { url: app.url } } });
    expect.deepEqual((made.body['data'] as unknown as { createApp: object }).createApp, {
      externalID: app.id,
      functionCount: 1,
    });
  });

  s.case(
    ['I-76'],
    'INN-15: the routes of the vendor’s own tests are there with TEST_MODE=true, and else not',
    async (context) => {
      const server = await context.startServer({ env: { TEST_MODE: 'true' } });
      const name = context.unique('nap');
      const app = await startApp(
        context,
        flavour,
        [{ id: 'nap', triggers: [{ event: name }], body: ({ step }) => step.sleep('long', '1d') }],
        { url: server.url },
      );
      const { ids } = await app.send({ name, data: {} });
      const more = await app.send({ name, data: {} });
      await server.clock.idle();
      const { body } = await call(new URL('/dev', server.url));
      const [fn] = body['functions'] as Array<{ id: string }>;
      const size = async (): Promise<unknown> =>
        (await call(new URL(`/test/queue/function-queue-size?accountId=x&fnId=${fn?.id}`, server.url))).body['count'];
      expect.equal(await size(), 2);
      const [run] = await app.runsOf(ids[0] as string);
      expect.equal(
        (await call(new URL(`/test/function/runs/cancel?runId=${run?.run_id}`, server.url), 'POST')).status,
        200,
      );
      expect.equal(await size(), 1);
      expect.equal((await call(new URL('/test/reset', server.url), 'POST')).status, 200);
      expect.equal(await size(), 0);
      expect.equal((await app.runsOf(more.ids[0] as string))[0]?.status, 'Cancelled');
      expect.equal((await call(new URL('/test/reset', context.url), 'POST')).status, 404);
    },
  );
});

const functions = (context: CaseContext) => [{ id: 'f', triggers: [{ event: context.unique('e') }], body: () => 1 }];

suite({ vendor: 'inngest', name: 'errors that help (SDK)', sdk: 'inngest 4.24.0' }, (s) => {
  s.case(['I-80', 'I-15'], '2: a signing key need not be hex of even length', async (context) => {
    const signingKey = 'signkey-prod-abc12';
    const server = await production(context, { INNGEST_SIGNING_KEY: signingKey });
    const keys = { signingKey, eventKey: context.environment.inngestEventKey } as never;
    const app = await serveApp(context, flavour, functions(context), { url: server.url, keys });
    const synced = await app.sync();
    expect.deepEqual([synced.status, synced.modified], [200, true], synced.message);
  });

  s.case(
    ['I-80', 'I-8'],
    '3: an event key that is wrong or missing is named, with the variable to set',
    async (context) => {
      const server = await production(context);
      const send = (eventKey: string | undefined): Promise<string> =>
        new Inngest({ id: 'x', baseUrl: server.url, logger: quiet, ...(eventKey ? { eventKey } : {}) } as never)
          .send({ name: 'a', data: {} } as never)
          .then(
            () => 'sent',
            (error: Error) => error.message,
          );
      expect.match(
        await send('wrong-event-key-0001'),
        /Event key not found: "wron…" is not one of this server.*INNGEST_EVENT_KEY/,
      );
      const none = await call(new URL('/e/NO_EVENT_KEY_SET', server.url), 'POST', { name: 'a' });
      expect.match(messageOf(none), /the app has none set.*INNGEST_EVENT_KEY/);
    },
  );

  s.case(
    ['I-80', 'I-14'],
    '9: an app that holds another key than the server is told so at its sync',
    async (context) => {
      const server = await production(context);
      const { inngestSigningKey, inngestEventKey: eventKey } = context.environment;
      const other = `signkey-test-${createHash('sha256').update('another').digest('hex')}`;
      const app = await serveApp(context, flavour, functions(context), {
        url: server.url,
        keys: { signingKey: other, eventKey } as never,
      });
      const refused = await call(
        new URL('/v2/apps/-/syncs', server.url),
        'POST',
        { url: app.url },
        {
          authorization: `Bearer ${inngestSigningKey}`,
        },
      );
      expect.equal(refused.status, 422);
      expect.match(messageOf(refused), /does not accept this server's signature: compare INNGEST_SIGNING_KEY of both/);
    },
  );

  s.case(
    ['I-80'],
    '11: an app at a private address is refused in production mode, with the switch that allows it',
    async (context) => {
      const { inngestSigningKey: signingKey, inngestEventKey: eventKey } = context.environment;
      const server = await production(context, { REPOINT_ALLOW_PRIVATE: undefined });
      const name = context.unique('e');
      const app = await startApp(
        context,
        flavour,
        [{ id: 'f', retries: 0, triggers: [{ event: name }], body: () => 1 }],
        {
          url: server.url,
          keys: { signingKey, eventKey } as never,
        },
      );
      await app.send({ name, data: {} });
      const { ids } = await app.send({ name, data: {} });
      const run = await context.until(
        async () => {
          const [one] = await app.read<Array<{ output: { message: string }; ended_at: string | null }>>(
            `/v1/events/${ids[0]}/runs`,
          );
          return one?.ended_at ? one : null;
        },
        { what: 'the refusal' },
      );
      expect.match(run.output.message, /private address.*REPOINT_ALLOW_PRIVATE=1/);
    },
  );

  s.case(
    ['I-12'],
    'an app that was synced by a server of the other kind tells what this one answers',
    async (context) => {
      const app = await serveApp(context, flavour, functions(context));
      const response = await fetch(app.url, { method: 'PUT', headers: { 'x-inngest-server-kind': 'cloud' } });
      const { message } = (await response.json()) as { message: string };
      expect.equal(response.status, 400);
      expect.match(message, /expects a cloud server, this is a dev server/);
    },
  );

  s.case(['I-6'], 'the SDK’s send tells which bound its events have passed', async (context) => {
    const client = new Inngest({ id: 'x', baseUrl: context.url, isDev: true, logger: quiet });
    const send = (events: unknown): Promise<string> =>
      client.send(events as never).then(
        () => 'sent',
        (error: Error) => error.message,
      );
    expect.match(await send(Array.from({ length: 5_001 }, () => ({ name: 'a', data: {} }))), /at most 5000 events/);
    expect.match(await send([{ name: 'a', data: { text: 'x'.repeat(3 * 1_048_576) } }]), /event 1 is larger than/);
  });
});

suite({ vendor: 'inngest', name: 'errors that help', sdk: 'plain HTTP' }, (s) => {
  s.case(['I-80', 'I-12'], '1: an app in the other mode is told which variables to look at', async (context) => {
    const wrong = await call(
      new URL('/fn/register', context.url),
      'POST',
      { url: 'http://x/', appName: 'x' },
      {
        'x-inngest-expected-server-kind': 'cloud',
      },
    );
    expect.equal(wrong.status, 400);
    expect.match(
      messageOf(wrong),
      /expects a cloud server, this is a dev server: check INNGEST_DEV and INNGEST_BASE_URL/,
    );
  });

  s.case(
    ['I-80', 'I-6'],
    '4: too many events are told to be too many, and too large ones too large',
    async (context) => {
      const server = await production(context);
      const url = new URL(`/e/${context.environment.inngestEventKey}`, server.url);
      const many = await call(
        url,
        'POST',
        Array.from({ length: 5_001 }, () => ({ name: 'a' })),
      );
      expect.deepEqual([many.status, /at most 5000 events/.test(messageOf(many))], [400, true], messageOf(many));
      const large = await call(url, 'POST', [{ name: 'a', data: { text: 'x'.repeat(3 * 1_048_576) } }]);
      expect.deepEqual([large.status, /event 1 is larger than/.test(messageOf(large))], [413, true], messageOf(large));
    },
  );

  s.case(['I-80', 'I-15'], '5: a signing key that is wrong or missing is told from one another', async (context) => {
    const server = await production(context);
    const read = (authorization: string): Promise<Answer> =>
      call(new URL('/v1/events', server.url), 'GET', undefined, { authorization });
    const missing = await read('Bearer undefined');
    expect.equal(missing.status, 401);
    expect.match(messageOf(missing), /sent no signing key: compare INNGEST_SIGNING_KEY/);
    const wrong = await read(`Bearer signkey-test-${'ab'.repeat(32)}`);
    expect.match(messageOf(wrong), /begins with abab….*is not one of this server/);
  });

  s.case(['I-80'], '6: a server in production mode without keys says which are missing', async (context) => {
    const server = await production(context, { INNGEST_SIGNING_KEY: undefined, INNGEST_EVENT_KEY: undefined });
    const read = await call(new URL('/v1/events', server.url));
    expect.match(messageOf(read), /without a signing key: set INNGEST_SIGNING_KEY/);
    const sent = await call(new URL('/e/any', server.url), 'POST', { name: 'a' });
    expect.equal(sent.status, 503);
    expect.match(messageOf(sent), /without an event key: set INNGEST_EVENT_KEY/);
  });

  s.case(
    ['I-80', 'I-20'],
    '7: what answers at an app’s URL without being an app is quoted in the run',
    async (context) => {
      const name = context.unique('e');
      const page = await context.serveHttp(() => new Response('<html>Welcome</html>'));
      const id = context.unique('page');
      await call(new URL('/fn/register', context.url), 'POST', {
        url: page.url,
        appName: id,
        functions: [
          {
            id: `${id}-f`,
            name: 'f',
            triggers: [{ event: name }],
            steps: {
              step: {
                id: 'step',
                name: 'step',
                retries: { attempts: 0 },
                runtime: { type: 'http', url: `${page.url}/x` },
              },
            },
          },
        ],
      });
      const sent = await call(new URL('/e/key', context.url), 'POST', { name });
      await context.clock.idle();
      const { body } = await call(new URL(`/v1/events/${(sent.body['ids'] as string[])[0]}/runs`, context.url));
      const [run] = body['data'] as unknown as Array<{ output: { message: string } }>;
      expect.match(
        run?.output.message ?? '',
        /not an Inngest SDK's: does the app's serve URL point at its handler\? It began: .*Welcome/,
      );
    },
  );

  s.case(
    ['I-80', 'I-10'],
    '8: an app that cannot be reached, or is none, is named with what to look at',
    async (context) => {
      const gone = await context.serveHttp(() => new Response(''));
      await gone.close();
      const unreachable = await call(new URL('/v2/apps/-/syncs', context.url), 'POST', {
        url: `${gone.url}/api/inngest`,
      });
      expect.equal(unreachable.status, 422);
      expect.match(messageOf(unreachable), new RegExp(`${gone.url}/api/inngest could not be reached.*Does it run`));
      const page = await context.serveHttp(() => new Response('<html>'));
      const none = await call(new URL('/v2/apps/-/syncs', context.url), 'POST', { url: page.url });
      expect.match(messageOf(none), /no Inngest handler.*Is the path right/);
    },
  );

  s.case(
    ['I-80'],
    '10: a base URL with a path, and the app’s URL given as the server’s, are recognised',
    async (context) => {
      const prefixed = await call(new URL('/inngest/e/key', context.url), 'POST', { name: 'a' });
      expect.equal(prefixed.status, 404);
      expect.match(messageOf(prefixed), /without the path "\/inngest"/);
      const own = await call(new URL('/api/inngest', context.url), 'PUT');
      expect.match(messageOf(own), /where an app serves its functions.*INNGEST_BASE_URL/);
    },
  );
});
