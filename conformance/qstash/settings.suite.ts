import { Client, QstashDailyRatelimitError, QstashRatelimitError, Receiver } from '@upstash/qstash';
import { expect, suite } from '../harness/index.ts';
import { call, destination } from './support.ts';

const DAY_MS = 86_400_000;
const TOKEN = btoa('{"UserID":"me","Password":"all"}');

const clientOf = (url: string, token = TOKEN): Client =>
  new Client({ baseUrl: url, token, retry: false, enableTelemetry: false });
const keysOf = async (url: string): Promise<{ current: string; next: string }> =>
  (await (await fetch(`${url}/v2/keys`, { headers: { authorization: `Bearer ${TOKEN}` } })).json()) as never;

/** What a server's settings change; each case has a server of its own. */
suite({ vendor: 'qstash', name: 'settings', sdk: '@upstash/qstash 2.12.0' }, (s) => {
  s.case(['Q-7'], 'above the limits of the API the SDK sees its two kinds of 429', async (context) => {
    const server = await context.startServer({
      env: { REPOINT_QSTASH_BURST_LIMIT: '3', REPOINT_QSTASH_DAILY_LIMIT: '4' },
    });
    const app = await destination(context);
    const client = clientOf(server.url);
    const started = Date.now();
    const bursts = await Promise.allSettled(Array.from({ length: 12 }, () => client.schedules.list()));
    const refused = bursts.filter((result) => result.status === 'rejected').map(({ reason }) => reason as unknown);
    expect(refused.length >= 3, `${refused.length} refused within ${Date.now() - started} ms`);
    for (const error of refused) {
      expect(error instanceof QstashRatelimitError, String(error));
      const { limit, remaining, reset } = error as QstashRatelimitError;
      expect.deepEqual([limit, remaining], ['3', '0']);
      expect(Math.abs(Number(reset) - started / 1000) < 5, `reset ${reset}`);
    }
    for (let i = 0; i < 2; i++) await client.publish({ url: app.url, body: String(i) });
    await expect.rejects(client.batch([1, 2, 3].map((n) => ({ url: app.url, body: String(n) }))), (error: unknown) => {
      expect(error instanceof QstashDailyRatelimitError, String(error));
      const { limit, remaining } = error as QstashDailyRatelimitError;
      expect.deepEqual([limit, remaining], ['4', '2']);
      return true;
    });
    await client.batch([
      { url: app.url, body: '2' },
      { url: app.url, body: '3' },
    ]);
    await expect.rejects(client.publish({ url: app.url, body: 'x' }), { status: 429 });
    await context.until(() => app.received.length === 4);
    expect.deepEqual(app.bodies().sort(), ['0', '1', '2', '3']);
    // Counted in memory: a restart begins anew, and what is above the limit is told as before.
    await server.restart();
    const publish = (): Promise<Response> =>
      call({ ...context, url: server.url }, 'POST', `/v2/publish/${app.url}`, { body: 'again' });
    for (let i = 0; i < 4; i++) expect.equal((await publish()).status, 200);
    const above = await publish();
    const midnight = Math.floor(Date.now() / 86_400_000 + 1) * 86_400;
    expect.deepEqual(
      [above.status, ...['limit', 'remaining', 'reset'].map((name) => above.headers.get(`ratelimit-${name}`))],
      [429, '4', '0', String(midnight)],
    );
    expect.equal(above.headers.get('burst-ratelimit-limit'), null);
    expect.deepEqual(await above.json(), { error: 'quota exceeded: at most 4 messages a day' });
  });

  s.case(
    ['Q-30', 'Q-29'],
    'keys are rotated over the API: deliveries are signed with the next one, also after a restart',
    async (context) => {
      const env = { QSTASH_TOKEN: TOKEN, QSTASH_CURRENT_SIGNING_KEY: 'sig_one', QSTASH_NEXT_SIGNING_KEY: 'sig_two' };
      const server = await context.startServer({ env });
      const app = await destination(context);
      const client = clientOf(server.url);
      const deliver = async (): Promise<{ body: string; signature: string }> => {
        const { messageId } = await client.publish({ url: app.url, body: 'x' });
        const found = await context.until(() =>
          app.received.find(({ headers }) => headers.get('upstash-message-id') === messageId),
        );
        return { body: found.body, signature: found.headers.get('upstash-signature') as string };
      };
      const accepts = (current: string, next: string, signed: { body: string; signature: string }): Promise<boolean> =>
        new Receiver({ currentSigningKey: current, nextSigningKey: next }).verify(signed);
      expect.deepEqual(await keysOf(server.url), { current: 'sig_one', next: 'sig_two' });
      expect(await accepts('sig_one', 'sig_none', await deliver()));

      const rotate = (path: string): Promise<Response> =>
        fetch(server.url + path, { method: 'POST', headers: { authorization: `Bearer ${TOKEN}` } });
      expect.equal((await fetch(`${server.url}/v2/keys/rotate`, { method: 'POST' })).status, 401);
      const first = (await (await rotate('/v2/keys/rotate')).json()) as { current: string; next: string };
      expect.equal(first.current, 'sig_two');
      expect.match(first.next, /^sig_[A-Za-z0-9]{28}$/);
      expect.deepEqual(await keysOf(server.url), first);
      // A receiver that has not been told yet knows the key as its next one.
      expect(await accepts('sig_one', 'sig_two', await deliver()));
      await expect.rejects(accepts('sig_one', 'sig_one', await deliver()), /signature/i);

      // The Go client's path. A delivery that waits is signed with the key of its time.
      const { messageId } = await client.publish({ url: app.url, body: 'later', delay: '1h' });
      const second = (await (await rotate('/v2/rotate')).json()) as { current: string; next: string };
      expect.equal(second.current, first.next);
      await server.restart();
      expect.deepEqual(await keysOf(server.url), second);
      await server.clock.advance(3_600_000);
      const late = await context.until(() =>
        app.received.find(({ headers }) => headers.get('upstash-message-id') === messageId),
      );
      expect(
        await accepts(second.current, 'sig_none', {
          body: 'later',
          signature: late.headers.get('upstash-signature') as string,
        }),
      );
    },
  );

  s.case(['Q-31'], 'a server of a region says so, signs with its keys and takes its token', async (context) => {
    const regional = btoa('{"UserID":"me","Password":"us"}');
    const server = await context.startServer({
      env: {
        REPOINT_QSTASH_REGION: 'US-EAST-1',
        US_EAST_1_QSTASH_TOKEN: regional,
        US_EAST_1_QSTASH_CURRENT_SIGNING_KEY: 'sig_us',
        US_EAST_1_QSTASH_NEXT_SIGNING_KEY: 'sig_us_next',
        QSTASH_CURRENT_SIGNING_KEY: 'sig_eu',
        QSTASH_NEXT_SIGNING_KEY: 'sig_eu_next',
      },
    });
    const app = await destination(context);
    await clientOf(server.url, regional).publish({ url: app.url, body: 'x' });
    const got = await context.until(() => app.received[0]);
    expect.equal(got.headers.get('upstash-region'), 'US-EAST-1');
    const before = { ...process.env };
    context.onCleanup(() => {
      for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    });
    // The SDK chooses its keys by the header of the delivery.
    Object.assign(process.env, {
      QSTASH_REGION: 'EU_CENTRAL_1',
      US_EAST_1_QSTASH_CURRENT_SIGNING_KEY: 'sig_us',
      US_EAST_1_QSTASH_NEXT_SIGNING_KEY: 'sig_us_next',
      EU_CENTRAL_1_QSTASH_CURRENT_SIGNING_KEY: 'sig_eu',
      EU_CENTRAL_1_QSTASH_NEXT_SIGNING_KEY: 'sig_eu_next',
    });
    const signature = got.headers.get('upstash-signature') as string;
    expect(await new Receiver().verify({ body: 'x', signature, upstashRegion: 'US-EAST-1' }));
    await expect.rejects(new Receiver().verify({ body: 'x', signature, upstashRegion: 'EU-CENTRAL-1' }), /signature/i);
  });

  s.case(
    ['Q-83', 'Q-35'],
    'how long logs, dead letters and de-duplication ids are kept is a setting',
    async (context) => {
      const server = await context.startServer({
        env: {
          REPOINT_QSTASH_RETENTION_DAYS: '1',
          REPOINT_QSTASH_DLQ_RETENTION_DAYS: '3',
          REPOINT_QSTASH_DEDUPE_SECONDS: '30',
        },
      });
      const app = await destination(context, ({ path }) => new Response('', { status: path === '/bad' ? 400 : 200 }));
      const client = clientOf(server.url);
      const once = (): Promise<{ deduplicated?: boolean; messageId: string }> =>
        client.publish({ url: app.url, body: 'x', deduplicationId: 'once' });
      const first = await once();
      expect.equal((await once()).messageId, first.messageId);
      await server.clock.advance(31_000);
      expect.notEqual((await once()).messageId, first.messageId);

      await client.publish({ url: `${app.url}/bad`, body: 'x', retries: 0 });
      await context.until(async () => (await client.dlq.listMessages()).messages.length === 1);
      expect((await client.logs()).logs.length > 0);
      await server.clock.advance(1.5 * DAY_MS);
      const left = (await client.logs()).logs;
      expect.deepEqual(left, []);
      expect.equal((await client.dlq.listMessages()).messages.length, 1);
      await server.clock.advance(2 * DAY_MS);
      expect.deepEqual((await client.dlq.listMessages()).messages, []);
    },
  );

  s.case(['Q-84'], 'a map of hosts sends public names to a test server and changes nothing else', async (context) => {
    const app = await destination(context);
    const server = await context.startServer({
      env: { REPOINT_REWRITE_HOSTS: `api.example.com=${app.url},*.example.org=${app.url}` },
    });
    const client = clientOf(server.url);
    const url = 'https://api.example.com/hook//x?y=z%20';
    const { messageId } = await client.publish({ url, body: 'one', callback: 'https://cb.example.org/done' });
    await context.until(() => app.received.length === 2);
    const [hook, callback] = app.received;
    expect.equal(hook?.path, '/hook//x?y=z%20');
    expect.equal(callback?.path, '/done');
    expect.equal((JSON.parse(callback?.body ?? '') as { url: string }).url, url);
    const { current, next } = await keysOf(server.url);
    const receiver = new Receiver({ currentSigningKey: current, nextSigningKey: next });
    expect(await receiver.verify({ body: 'one', signature: hook?.headers.get('upstash-signature') ?? '', url }));
    const { logs } = await client.logs({ filter: { url } });
    expect.deepEqual([...new Set(logs.map((log) => log.messageId))], [messageId]);
  });

  s.case(['Q-84'], 'in production no private address is called, whatever it is given as', async (context) => {
    const app = await destination(context);
    const server = await context.startServer({
      mode: 'production',
      env: { QSTASH_TOKEN: TOKEN, QSTASH_CURRENT_SIGNING_KEY: 'sig_a', QSTASH_NEXT_SIGNING_KEY: 'sig_b' },
    });
    const client = clientOf(server.url);
    const port = new URL(app.url).port;
    const urls = [
      app.url,
      `http://localhost:${port}/`,
      `http://2130706433:${port}/`,
      `http://[::ffff:127.0.0.1]:${port}/`,
      'http://169.254.169.254/latest/meta-data',
      'http://10.0.0.1/',
      'http://metadata.google.internal/',
    ];
    for (const url of urls) await client.publish({ url, body: 'x', retries: 3, failureCallback: app.url });
    await client.urlGroups.addEndpoints({ name: 'inside', endpoints: [{ url: app.url }] });
    await client.publish({ urlGroup: 'inside', body: 'x' });
    // Refused is refused: no retry, and the failure callbacks go to the same private address.
    const letters = await context.until(async () => {
      const { messages } = await client.dlq.listMessages({ count: 100 });
      return messages.length === 2 * urls.length + 1 ? messages : null;
    });
    for (const letter of letters) {
      expect.match(letter.responseBody ?? '', /private address/);
      expect.equal(letter.responseStatus, 0);
    }
    expect.equal(app.received.length, 0);
  });
});
