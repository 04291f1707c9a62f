import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { Client, Receiver } from '@upstash/qstash';
import { verifySignature, verifySignatureAppRouter, verifySignatureEdge } from '@upstash/qstash/nextjs';
import { verifySignatureSolidjs } from '@upstash/qstash/solidjs';
import { verifySignatureSvelte } from '@upstash/qstash/svelte';
import { expect, suite } from '../harness/index.ts';
import type { CaseContext } from '../harness/index.ts';
import { clientOf, type Delivered, destination, receiverOf } from './support.ts';

type Handler = (request: Request) => Promise<Response>;

interface Keys {
  currentSigningKey: string;
  nextSigningKey: string;
}

/** The verifying wrapper of one framework around a handler that notes what it is given. */
type Platform = (note: (body: string) => void, keys: Keys) => Handler;

const asText =
  (note: (body: string) => void) =>
  async (request: Request): Promise<Response> => {
    note(await request.text());
    return new Response('ok');
  };

const PLATFORMS: Record<string, Platform> = {
  'Next.js, app router': (note, keys) => verifySignatureAppRouter(asText(note) as never, keys) as unknown as Handler,
  'Next.js, edge': (note, keys) => verifySignatureEdge(asText(note) as never, keys) as unknown as Handler,
  Svelte: (note, keys) => {
    const wrapped = verifySignatureSvelte(
      (({ request }: { request: Request }) => asText(note)(request)) as never,
      keys,
    );
    return (request) => (wrapped as unknown as (event: object) => Promise<Response>)({ request });
  },
  SolidStart: (note, keys) => {
    const wrapped = verifySignatureSolidjs(
      (({ request }: { request: Request }) => asText(note)(request)) as never,
      keys,
    );
    return (request) => (wrapped as unknown as (event: object) => Promise<Response>)({ request });
  },
};

const keysOf = ({ environment }: CaseContext): Keys => ({
  currentSigningKey: environment.qstashCurrentSigningKey,
  nextSigningKey: environment.qstashNextSigningKey,
});

/** The delivery once more, as somebody else would send it. */
function again(url: string, delivered: Delivered, body = delivered.body): Promise<Response> {
  return fetch(url, { method: 'POST', headers: { ...Object.fromEntries(delivered.headers), host: '' }, body });
}

/** Sets variables for the length of the case. */
function setEnvironment(context: CaseContext, variables: Record<string, string>): void {
  const before = { ...process.env };
  context.onCleanup(() => {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  });
  Object.assign(process.env, variables);
}

suite({ vendor: 'qstash', name: 'platforms', sdk: '@upstash/qstash 2.12.0' }, (s) => {
  for (const [platform, wrap] of Object.entries(PLATFORMS))
    s.case(['Q-29'], `${platform}: a delivery passes the signature check, a forged one does not`, async (context) => {
      const noted: string[] = [];
      const handler = wrap((body) => void noted.push(body), keysOf(context));
      const delivered: Delivered[] = [];
      const app = await context.serveHttp(async (request) => {
        const body = await request.clone().text();
        delivered.push({ method: request.method, path: '/', headers: request.headers, body });
        // A wrong body is an error that the framework would answer.
        return handler(request).catch((error: Error) => new Response(error.message, { status: 500 }));
      });
      await clientOf(context).publishJSON({ url: app.url, body: { text: 'wörld' }, retries: 0 });
      await context.until(() => noted.length === 1);
      expect.deepEqual(noted, ['{"text":"wörld"}']);
      const [first] = delivered as [Delivered];
      expect.equal((await again(app.url, first)).status, 200);
      expect.match(await (await again(app.url, first, '{"text":"forged"}')).text(), /does not match/);
      first.headers.delete('upstash-signature');
      expect.equal((await again(app.url, first)).status, 403);
      expect.equal(noted.length, 2);
    });

  s.case(['Q-29'], 'Next.js, pages router: the body is checked as it came, then parsed', async (context) => {
    const noted: unknown[] = [];
    const handler = verifySignature(
      ((request: { body: unknown }, response: ServerResponse) => {
        noted.push(request.body);
        response.end('ok');
      }) as never,
      keysOf(context),
    );
    const listener: RequestListener = (request: IncomingMessage, response: ServerResponse) => {
      const pages = Object.assign(response, {
        status: (code: number) => {
          response.statusCode = code;
          return pages;
        },
        send: (text: string) => void response.write(text),
      });
      (handler(request as never, pages as never) as Promise<unknown>).catch((error: Error) => {
        response.statusCode = 500;
        response.end(error.message);
      });
    };
    const app = await context.serveNode(listener);
    const client = clientOf(context);
    await client.publishJSON({ url: app.url, body: { a: [1, 'ü'] }, retries: 0 });
    await context.until(() => noted.length === 1);
    await client.publish({ url: app.url, body: 'plain', headers: { 'content-type': 'text/plain' }, retries: 0 });
    await context.until(() => noted.length === 2);
    expect.deepEqual(noted, [{ a: [1, 'ü'] }, 'plain']);
    const unsigned = await fetch(app.url, { method: 'POST', body: 'x' });
    expect.deepEqual([unsigned.status, await unsigned.text()], [400, '`Upstash-Signature` header is missing']);
  });

  s.case(
    ['Q-29', 'Q-30'],
    'a Receiver accepts either key, and neither another body nor another URL',
    async (context) => {
      const app = await destination(context);
      await clientOf(context).publish({ url: `${app.url}/a?b=c`, body: 'signed' });
      const got = await context.until(() => app.received[0]);
      const signature = got.headers.get('upstash-signature') as string;
      const request = { signature, body: 'signed', url: `${app.url}/a?b=c` };
      const receiver = receiverOf(context);
      expect(await receiver.verify(request));
      const { currentSigningKey } = keysOf(context);
      // The key that it is signed with has become the next one for this receiver, as in the middle of a rotation.
      expect(await new Receiver({ currentSigningKey: 'sig_other', nextSigningKey: currentSigningKey }).verify(request));
      await expect.rejects(receiver.verify({ ...request, body: 'forged' }), /does not match/);
      await expect.rejects(receiver.verify({ ...request, url: `${app.url}/other` }), /invalid subject/);
      await expect.rejects(
        new Receiver({ currentSigningKey: 'sig_other', nextSigningKey: 'sig_third' }).verify(request),
        /signature/i,
      );
      await expect.rejects(receiver.verify({ ...request, signature: `${signature}x` }), /signature/i);
    },
  );

  s.case(
    ['Q-31'],
    'QSTASH_REGION chooses the URL, the token and the keys of one of several servers',
    async (context) => {
      const token = btoa('{"UserID":"me","Password":"eu"}');
      const server = await context.startServer({
        mode: 'production',
        env: {
          REPOINT_ALLOW_PRIVATE: '1',
          REPOINT_QSTASH_REGION: 'EU-CENTRAL-1',
          EU_CENTRAL_1_QSTASH_TOKEN: token,
          EU_CENTRAL_1_QSTASH_CURRENT_SIGNING_KEY: 'sig_eu',
          EU_CENTRAL_1_QSTASH_NEXT_SIGNING_KEY: 'sig_eu_next',
          QSTASH_TOKEN: btoa('{"UserID":"me","Password":"other"}'),
          QSTASH_CURRENT_SIGNING_KEY: 'sig_default',
          QSTASH_NEXT_SIGNING_KEY: 'sig_default_next',
        },
      });
      const app = await destination(context);
      setEnvironment(context, {
        QSTASH_REGION: 'EU_CENTRAL_1',
        EU_CENTRAL_1_QSTASH_URL: server.url,
        EU_CENTRAL_1_QSTASH_TOKEN: token,
        EU_CENTRAL_1_QSTASH_CURRENT_SIGNING_KEY: 'sig_eu',
        EU_CENTRAL_1_QSTASH_NEXT_SIGNING_KEY: 'sig_eu_next',
        QSTASH_URL: context.url,
        QSTASH_TOKEN: context.environment.qstashToken,
        QSTASH_CURRENT_SIGNING_KEY: context.environment.qstashCurrentSigningKey,
        QSTASH_NEXT_SIGNING_KEY: context.environment.qstashNextSigningKey,
      });
      await new Client({ enableTelemetry: false }).publish({ url: `${app.url}/eu`, body: 'x' });
      const got = await context.until(() => app.received[0]);
      const signature = got.headers.get('upstash-signature') as string;
      expect.equal(got.headers.get('upstash-region'), 'EU-CENTRAL-1');
      expect(await new Receiver().verify({ body: 'x', signature, upstashRegion: 'EU-CENTRAL-1' }));
      // A region of which nothing is known: the common settings count, and they are another server's.
      process.env.QSTASH_REGION = 'US_EAST_1';
      await new Client({ enableTelemetry: false }).publish({ url: `${app.url}/default`, body: 'x' });
      const other = await context.until(() => app.received.find(({ path }) => path === '/default'));
      expect.equal(other.headers.get('upstash-region'), null);
      expect(await new Receiver().verify({ body: 'x', signature: other.headers.get('upstash-signature') as string }));
      await expect.rejects(new Receiver().verify({ body: 'x', signature, upstashRegion: 'US-EAST-1' }), /signature/i);
    },
  );
});
