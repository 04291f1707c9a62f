import { createServer } from 'node:net';
import { expect, suite } from '../harness/index.ts';
import type { CaseContext } from '../harness/index.ts';
import { FLAVOURS, fail, serveApp, startApp } from './apps.ts';
import type { Definition, Keys } from './apps.ts';

const DEFAULT_PORT = 8288;

for (const flavour of FLAVOURS) {
  const { label, sdk } = flavour;

  suite({ vendor: 'inngest', name: `modes (${label})`, sdk }, (s) => {
    s.case(['I-9'], 'dev mode: the SDK finds the server by itself', async (context) => {
      const server = await context.startServer({ port: (await isFree(DEFAULT_PORT)) ? DEFAULT_PORT : 0 });
      // On its default port nothing but "this is development" is told; elsewhere the server's URL.
      setEnvironment(context, { INNGEST_DEV: server.port === DEFAULT_PORT ? '1' : server.url });
      const name = context.unique('go');
      const app = await startApp(context, flavour, [worker(name)], { url: server.url, fromEnvironment: true });
      const { ids } = await app.send({ name });
      const [run] = await app.ended(ids[0] ?? fail('no id'));
      expect.equal(run?.output, 'worked');
    });

    s.case(
      ['I-8', 'I-14', 'I-15', 'I-17'],
      'cloud mode: keys on both sides, signatures checked by the SDK',
      async (context) => {
        const { inngestEventKey: eventKey, inngestSigningKey: signingKey } = context.environment;
        const keys = { eventKey, signingKey };
        const server = await context.startServer({
          mode: 'production',
          env: {
            INNGEST_EVENT_KEY: eventKey,
            INNGEST_SIGNING_KEY: signingKey,
            REPOINT_ALLOW_PRIVATE: '1',
            // Calls are made as on the platform.
            REPOINT_DISPATCHER: '1',
          },
        });
        const name = context.unique('go');
        const signatures: Array<string | null> = [];
        const app = await startApp(context, flavour, [worker(name)], {
          url: server.url,
          keys,
          onCall: (request) => {
            if (request.method === 'POST') signatures.push(request.headers.get('x-inngest-signature'));
          },
        });
        const { ids } = await app.send({ name });
        const [run] = await app.ended(ids[0] ?? fail('no id'));
        expect.equal(run?.output, 'worked');
        expect(signatures.length > 0 && signatures.every((text) => /^t=\d+&s=[0-9a-f]{64}$/.test(text ?? '')));
      },
    );

    s.case(['I-8', 'I-15'], 'cloud mode: the fallback key is taken, unknown keys are refused', async (context) => {
      const { inngestEventKey: eventKey, inngestSigningKey, inngestSigningKeyFallback } = context.environment;
      const server = await context.startServer({
        mode: 'production',
        env: {
          INNGEST_EVENT_KEY: eventKey,
          INNGEST_SIGNING_KEY: inngestSigningKey,
          INNGEST_SIGNING_KEY_FALLBACK: inngestSigningKeyFallback,
          REPOINT_ALLOW_PRIVATE: '1',
        },
      });
      const name = context.unique('go');
      const withKeys = (keys: Keys): ReturnType<typeof serveApp> =>
        serveApp(context, flavour, [worker(name)], { url: server.url, keys, id: 'app' });
      const wrong = await withKeys({ eventKey, signingKey: 'signkey-test-00ff' });
      expect.equal((await wrong.sync()).status, 401);
      const rotating = await withKeys({
        eventKey,
        signingKey: 'signkey-test-00ff',
        signingKeyFallback: inngestSigningKeyFallback,
      });
      expect.equal((await rotating.sync()).status, 200);
      const right = await withKeys({ eventKey, signingKey: inngestSigningKey });
      expect.equal((await right.sync()).status, 200);
      const { ids } = await right.send({ name });
      expect.equal((await right.ended(ids[0] ?? fail('no id')))[0]?.output, 'worked');
      await expect.rejects((await withKeys({ eventKey: 'nobody', signingKey: inngestSigningKey })).send({ name }));
      for (const path of ['/v1/events', `/v1/events/${ids[0]}/runs`, '/v0/runs/x/actions']) {
        expect.equal((await fetch(new URL(path, server.url))).status, 401, path);
      }
      expect.equal((await fetch(new URL('/dev', server.url))).status, 404);
    });

    s.case(['I-77', 'I-24'], 'fast mode: a constant time between retries', async (context) => {
      const server = await context.startServer({ env: { REPOINT_RETRY_INTERVAL: '1' } });
      const name = context.unique('go');
      const at: number[] = [];
      const flaky: Definition = {
        id: 'flaky',
        triggers: [{ event: name }],
        body: async ({ step, attempt }) =>
          await step.run('a', async () => {
            at.push(await server.clock.now());
            return attempt < 3 ? fail('again') : 'done';
          }),
      };
      const app = await startApp(context, flavour, [flaky], { url: server.url });
      const { ids } = await app.send({ name });
      await server.clock.idle();
      await server.clock.advance(5_000);
      expect.equal((await app.ended(ids[0] ?? fail('no id')))[0]?.output, 'done');
      const waits = at.slice(1).map((time, i) => time - (at[i] ?? 0));
      expect(waits.length === 3 && waits.every((wait) => wait >= 1_000 && wait < 2_000), waits.join(', '));
    });

    s.case(['I-10', 'I-14'], 'the server asks the app for its functions, and the app answers them', async (context) => {
      const { inngestEventKey: eventKey, inngestSigningKey: signingKey } = context.environment;
      const server = await context.startServer({
        mode: 'production',
        env: { INNGEST_EVENT_KEY: eventKey, INNGEST_SIGNING_KEY: signingKey, REPOINT_ALLOW_PRIVATE: '1' },
      });
      const name = context.unique('go');
      const calls: Request[] = [];
      const app = await serveApp(context, flavour, [worker(name)], {
        url: server.url,
        keys: { eventKey, signingKey },
        onCall: (request) => void calls.push(request),
      });
      const ask = (id: string, body: unknown, bearer = signingKey): Promise<Response> =>
        fetch(new URL(`/v2/apps/${id}/syncs`, server.url), {
          method: 'POST',
          headers: { authorization: `Bearer ${bearer}` },
          body: JSON.stringify(body),
        });
      const answer = await ask(app.id, { url: app.url });
      expect.equal(answer.status, 200, await answer.clone().text());
      expect.equal(((await answer.json()) as { data: { modified: boolean } }).data.modified, true);
      expect.equal(calls.length, 1);
      const { ids } = await app.send({ name });
      expect.equal((await app.ended(ids[0] ?? fail('no id')))[0]?.output, 'worked');
      expect.equal((await ask('another', { url: app.url })).status, 422);
      expect.equal((await ask(app.id, { url: 'http://127.0.0.1:9/' })).status, 422);
      expect.equal((await ask(app.id, { url: 'file:///etc/passwd' })).status, 400);
      expect.equal((await ask(app.id, { url: app.url }, 'signkey-test-00')).status, 401);
    });

    s.case(
      ['I-14', 'I-18'],
      'an app with another signing key refuses its calls, and the run says so',
      async (context) => {
        const { inngestEventKey: eventKey, inngestSigningKey: signingKey } = context.environment;
        const server = await context.startServer({
          mode: 'production',
          env: {
            INNGEST_EVENT_KEY: eventKey,
            INNGEST_SIGNING_KEY: 'signkey-test-abcd',
            INNGEST_SIGNING_KEY_FALLBACK: signingKey,
            REPOINT_ALLOW_PRIVATE: '1',
          },
        });
        const name = context.unique('go');
        const app = await startApp(context, flavour, [{ ...worker(name), retries: 0 }], {
          url: server.url,
          keys: { eventKey, signingKey },
        });
        const { ids } = await app.send({ name });
        const [run] = await app.ended(ids[0] ?? fail('no id'));
        expect.equal(run?.status, 'Failed');
        expect.match((run?.output as { message: string } | undefined)?.message ?? '', /Unauthorized|401/);
      },
    );
  });
}

function worker(name: string): Definition {
  return { id: 'worker', triggers: [{ event: name }], body: ({ step }) => step.run('a', () => 'worked') };
}

function setEnvironment(context: CaseContext, variables: Record<string, string>): void {
  for (const [key, value] of Object.entries(variables)) {
    const before = process.env[key];
    process.env[key] = value;
    context.onCleanup(() => {
      if (before === undefined) delete process.env[key];
      else process.env[key] = before;
    });
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
