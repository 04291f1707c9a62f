import { once } from 'node:events';
import { createConnection } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startServer, type Server } from './index.ts';

/** Of five seconds that what is under way may take, and that an open connection once took. */
const SOON_MS = 2_500;

/** Public: the vendor's own, for development. */
const QSTASH_DEV_TOKEN = btoa('{"UserID":"defaultUser","Password":"defaultPassword"}');

let server: Server;

beforeEach(async () => {
  server = await startServer();
});
afterEach(() => server.kill9());

async function sleepingRun(): Promise<string> {
  const published = await fetch(`${server.url}/v2/publish/http://127.0.0.1:9/never`, {
    method: 'POST',
    headers: { authorization: `Bearer ${QSTASH_DEV_TOKEN}`, 'upstash-delay': '1h' },
  });
  expect(published.status).toBe(200);
  const { items } = (await (await fetch(`${server.url}/api/executions`)).json()) as { items: Array<{ id: string }> };
  return items[0]!.id;
}

async function socket(path: string, headers: Record<string, string> = {}): Promise<{ closed: Promise<number> }> {
  // Headers are Node's own addition to the standard.
  const open = new WebSocket(server.url.replace('http', 'ws') + path, { headers } as unknown as string[]);
  const closed = new Promise<number>((resolve) => (open.onclose = ({ code }) => resolve(code)));
  await new Promise<void>((resolve, reject) => {
    open.onopen = () => resolve();
    open.onerror = () => reject(new Error(`no WebSocket at ${path}`));
  });
  return { closed };
}

async function held(path: string, init: RequestInit = {}): Promise<{ answer: Promise<string> }> {
  const response = await fetch(server.url + path, init);
  expect(response.status).toBe(200);
  return { answer: response.text().catch(() => 'broken off') };
}

const worker = { authorization: 'Bearer tr_dev_ref_proj_ends', 'content-type': 'application/json' };

async function end(): Promise<number> {
  const startedAt = performance.now();
  expect(await server.stop()).toBe(0);
  return performance.now() - startedAt;
}

describe('a server that ends while connections are open', () => {
  it('tells WebSockets to come again, and ends soon', async () => {
    const run = await sleepingRun();
    const token = await fetch(`${server.url}/v1/realtime/token`, {
      method: 'POST',
      headers: { authorization: 'Bearer signkey-test-00' },
      body: JSON.stringify([{ kind: 'run', channel: 'orders', name: 'status' }]),
    });
    expect(token.status).toBe(201);
    const { jwt } = (await token.json()) as { jwt: string };
    const sockets = await Promise.all([
      socket(`/api/executions/${run}/live`),
      socket(`/v1/realtime/connect?token=${jwt}`),
      socket('/socket.io/?EIO=4&transport=websocket', worker),
    ]);
    expect(await end()).toBeLessThan(SOON_MS);
    expect(await Promise.all(sockets.map(({ closed }) => closed))).toEqual([1001, 1001, 1001]);
  });

  it('answers held requests, and ends soon', async () => {
    const run = await sleepingRun();
    const { seq } = (await (await fetch(`${server.url}/api/executions/${run}/history`)).json()) as { seq: number };
    const history = fetch(`${server.url}/api/executions/${run}/history?after=${seq}&waitMs=30000`).then(
      ({ status }) => status,
      String,
    );
    const presence = await held('/engine/v1/dev/presence', { headers: worker });
    const work = await held('/engine/v1/dev/dequeue', {
      method: 'POST',
      headers: worker,
      body: JSON.stringify({ currentWorker: 'worker_1' }),
    });
    expect(await end()).toBeLessThan(SOON_MS);
    expect(await history).toBe(200);
    expect(await presence.answer).toContain('event: start');
    expect(JSON.parse(await work.answer)).toEqual({ dequeuedMessages: [] });
  });

  it('breaks off the streams of runs, so that their readers come again', async () => {
    const stream = await held('/v1/realtime/sse?token=' + (await rawToken()));
    expect(await end()).toBeLessThan(SOON_MS);
    expect(await stream.answer).toBe('broken off');
  });

  it('does not wait for a client that keeps an idle connection', async () => {
    const idle = createConnection(server.port, '127.0.0.1');
    await once(idle, 'connect');
    idle.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n');
    await vi.waitFor(() => expect(idle.bytesRead).toBeGreaterThan(0));
    expect(await end()).toBeLessThan(SOON_MS);
    idle.destroy();
  });
});

async function rawToken(): Promise<string> {
  const response = await fetch(`${server.url}/v1/realtime/token`, {
    method: 'POST',
    headers: { authorization: 'Bearer signkey-test-00' },
    body: JSON.stringify([{ kind: 'run', channel: await sleepingRun(), name: '$stream' }]),
  });
  return ((await response.json()) as { jwt: string }).jwt;
}
