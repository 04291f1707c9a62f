import { expect, suite } from '../harness/index.ts';

const DAY_MS = 86_400_000;

suite({ vendor: 'native', name: 'the server', sdk: 'fetch' }, (s) => {
  s.case(['N-1'], 'says its state, mode, version and age', async ({ url }) => {
    const health = (await (await fetch(`${url}/health`)).json()) as Record<string, unknown>;
    expect.equal(health.status, 'ok');
    expect.equal(health.mode, 'dev');
    expect.match(String(health.version), /^\d+\.\d+\.\d+/);
    expect.ok(Number.isInteger(health.uptimeMs), `uptimeMs is ${String(health.uptimeMs)}`);
  });

  s.case(['N-2'], 'moves its clock forwards, never backwards', async ({ url, clock }) => {
    const before = await clock.now();
    const after = await clock.advance(DAY_MS);
    expect.ok(after - before >= DAY_MS && after - before < DAY_MS + 60_000, `moved by ${after - before}`);
    await expect.rejects(clock.set(before), /400/);
    for (const body of ['{', '{}', '{"advanceMs":-1}', '{"advanceMs":"1"}', 'null']) {
      const response = await fetch(`${url}/api/test/clock`, { method: 'POST', body });
      expect.equal(response.status, 400, `${body} was answered with ${response.status}`);
    }
  });

  s.case(
    ['N-3'],
    'has no time control and takes no unknown key in production mode',
    async ({ startServer, environment }) => {
      const env = {
        INNGEST_EVENT_KEY: 'known-event-key',
        INNGEST_SIGNING_KEY: environment.inngestSigningKey,
        QSTASH_TOKEN: environment.qstashToken,
        QSTASH_CURRENT_SIGNING_KEY: 'sig_known0000000000000000000000',
        QSTASH_NEXT_SIGNING_KEY: 'sig_next00000000000000000000000',
        TRIGGER_SECRET_KEY: 'tr_prod_known000000000000000',
      };
      const server = await startServer({ mode: 'production', env });
      const health = (await (await fetch(`${server.url}/health`)).json()) as { mode: string };
      expect.equal(health.mode, 'production');
      const status = async (path: string, init: RequestInit = {}): Promise<number> =>
        (await fetch(server.url + path, init)).status;
      expect.equal(await status('/api/test/clock'), 403);
      expect.equal(await status('/api/test/clock', { method: 'POST', body: '{"advanceMs":1}' }), 403);
      const body = '{"name":"a/b","data":{}}';
      expect.equal(await status('/e/unknown', { method: 'POST', body }), 401);
      expect.equal(await status('/e/known-event-key', { method: 'POST', body }), 200);
      expect.equal(await status('/v2/queues', { headers: { authorization: 'Bearer unknown' } }), 401);
      expect.equal(
        await status('/v2/queues', { headers: { authorization: `Bearer ${environment.qstashToken}` } }),
        200,
      );
      expect.equal(await status('/api/v1/runs', { headers: { authorization: 'Bearer tr_prod_unknown' } }), 401);
      expect.equal(await status('/engine/v1/dev/dequeue', { method: 'POST', body: '{}' }), 401);
    },
  );

  s.case(['N-4'], 'keeps what it acknowledged over kill -9', async ({ startServer, serveHttp, environment, until }) => {
    const received: string[] = [];
    const app = await serveHttp(async (request) => {
      received.push(await request.text());
      return new Response('ok');
    });
    const server = await startServer();
    const response = await fetch(`${server.url}/v2/publish/${app.url}/hook`, {
      method: 'POST',
      headers: { authorization: `Bearer ${environment.qstashToken}`, 'upstash-delay': '1h' },
      body: 'kept',
    });
    expect.equal(response.status, 200);
    await server.kill9();
    await server.restart();
    expect.deepEqual(received, []);
    await server.clock.advance(3_600_000);
    await until(() => received.length > 0, { what: 'the delivery after the restart' });
    expect.deepEqual(received, ['kept']);
  });

  s.case(['N-5'], 'answers what it does not know with 404 and says so', async ({ url }) => {
    for (const path of ['/nothing-here', '/v1/nothing', '/v2/nothing', '/api/nothing', '/engine/nothing']) {
      const response = await fetch(url + path);
      expect.ok([401, 404, 501].includes(response.status), `${path}: ${response.status}`);
      const body = (await response.json()) as { error?: unknown };
      expect.ok(JSON.stringify(body).length > 10, `${path} was answered with ${JSON.stringify(body)}`);
    }
  });
});
