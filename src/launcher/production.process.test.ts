import { once } from 'node:events';
import { request } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { sign } from 'hono/jwt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer, type Server } from './index.ts';

const RUN = '01J0000000000000000000000A';

let server: Server;

beforeAll(async () => {
  const keys = [
    'INNGEST_EVENT_KEY',
    'INNGEST_SIGNING_KEY',
    'TRIGGER_SECRET_KEY',
    'TRIGGER_ACCESS_TOKEN',
    'QSTASH_TOKEN',
  ];
  const none = Object.fromEntries([...keys, 'REPOINT_API_KEY', 'REPOINT_ROOT_SECRET'].map((name) => [name, undefined]));
  server = await startServer({ mode: 'production', env: none });
});
afterAll(() => server.stop());

const status = async (path: string, bearer?: string, init: RequestInit = {}): Promise<number> =>
  (
    await fetch(server.url + path, {
      ...init,
      headers: { ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }), ...init.headers },
    })
  ).status;

describe('a production server without keys', () => {
  it('takes no key of development', async () => {
    const qstash = btoa('{"UserID":"defaultUser","Password":"defaultPassword"}');
    expect(await status('/v2/queues', qstash)).toBe(401);
    expect(await status('/api/v1/runs', 'tr_dev_local')).toBe(401);
    expect(await status('/api/v1/runs', 'tr_dev_repoint_local_signing_key')).toBe(401);
    expect(await status('/v1/events', 'signkey-test-00')).toBe(401);
    expect(await status('/e/anything', undefined, { method: 'POST', body: '{"name":"a/b"}' })).toBe(503);
    expect(await status('/api/executions', 'undefined')).toBe(401);
    expect(await status('/api/environments/shop/keys', '')).toBe(401);
    expect(await status('/internal/drain', 'undefined', { method: 'POST' })).toBe(401);
    expect(await status('/api/test/clock')).toBe(403);
  });

  it('takes nothing that is signed with a key of development, which anybody may read in the sources', async () => {
    const seconds = Math.floor(Date.now() / 1_000);
    const times = { iat: seconds, exp: seconds + 600 };
    const trigger = await sign(
      {
        ...times,
        sub: 'env_default',
        pub: true,
        scopes: ['admin'],
        iss: 'https://id.trigger.dev',
        aud: 'https://api.trigger.dev',
      },
      'tr_dev_repoint_local_signing_key',
      'HS256',
    );
    expect(await status('/api/v1/runs', trigger)).toBe(401);
    expect(await status('/api/v1/tasks/any/trigger', trigger, { method: 'POST', body: '{}' })).toBe(401);
    const topics = [{ kind: 'run', channel: RUN, name: '$stream' }];
    const realtime = await sign(
      { ...times, iss: 'repoint.realtime', env: 'default', publish: false, topics },
      'signkey-dev-realtime',
      'HS256',
    );
    expect(await status(`/v1/realtime/sse?token=${realtime}`)).toBe(401);
    const output = await sign({ ...times, iss: 'repoint.endpoint', run: RUN }, 'signkey-dev-endpoint', 'HS256');
    expect(await status(`/v1/checkpoint/${RUN}/output?token=${output}`)).toBe(401);
  });
});

describe('a production server', () => {
  it('does not ask an app at a private address for its functions', async () => {
    let connections = 0;
    const app = createServer((socket) => {
      connections++;
      socket.end();
    }).listen(0, '127.0.0.1');
    await once(app, 'listening');
    const own = await startServer({
      mode: 'production',
      env: { INNGEST_SIGNING_KEY: 'signkey-prod-00ff', INNGEST_EVENT_KEY: 'e' },
    });
    const url = `http://127.0.0.1:${(app.address() as AddressInfo).port}/api/inngest`;
    const answer = await fetch(`${own.url}/v2/apps/shop/syncs`, {
      method: 'POST',
      headers: { authorization: 'Bearer signkey-prod-00ff', 'content-type': 'application/json' },
      body: JSON.stringify({ url }),
    });
    expect(await answer.text()).toContain('private address');
    expect(connections).toBe(0);
    await own.stop();
    app.close();
  });

  it.each([
    ['/e/event-key-of-the-test', 413],
    ['/no/such/path', 404],
    ['/api/v1/tasks/any/trigger', 401],
  ])('reads no body without end at %s, and says why', async (path, refusal) => {
    const own = await startServer({
      mode: 'production',
      env: { INNGEST_SIGNING_KEY: 'signkey-prod-00ff', INNGEST_EVENT_KEY: 'event-key-of-the-test' },
    });
    const post = request(`${own.url}${path}`, {
      method: 'POST',
      headers: { 'transfer-encoding': 'chunked' },
    });
    const answered = new Promise<number | string>((resolve) => {
      post.once('response', ({ statusCode }) => resolve(statusCode ?? 0));
      post.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
    const isAnswered = Symbol('answered');
    const chunk = Buffer.alloc(1_048_576, 0x20);
    let sent = 0;
    for (; sent < 200; sent++) {
      const taken = post.write(chunk)
        ? new Promise((resolve) => setImmediate(resolve))
        : once(post, 'drain').catch(() => {});
      if ((await Promise.race([answered.then(() => isAnswered), taken])) === isAnswered) break;
    }
    post.end();
    expect([refusal, 'EPIPE', 'ECONNRESET']).toContain(await answered);
    expect(sent).toBeLessThan(150);
    // No key in the log, whatever went wrong.
    expect(own.log()).not.toContain('event-key-of-the-test');
    await own.stop();
  });
});
