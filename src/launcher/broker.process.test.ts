import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startServer, type Server } from './index.ts';

interface Seen {
  id: string;
  queue: string;
  body: string;
  attempts: number;
}

const worker = fileURLToPath(new URL('./testing/throwaway-worker.js', import.meta.url));

let server: Server;

beforeEach(async () => {
  server = await startServer({ worker });
});
afterEach(async () => {
  await server.stop();
});

async function send(queue: 'INGEST' | 'DEAD_LETTER', body: unknown, delay = 0): Promise<number> {
  const url = `${server.url}/send?queue=${queue}&delay=${delay}`;
  return (await fetch(url, { method: 'POST', body: JSON.stringify(body) })).status;
}

async function seen(): Promise<Seen[]> {
  return (await fetch(`${server.url}/seen`)).json() as Promise<Seen[]>;
}

async function untilSeen(enough: (messages: Seen[]) => boolean): Promise<Seen[]> {
  let messages: Seen[] = [];
  await vi.waitFor(
    async () => {
      messages = await seen();
      expect(enough(messages), JSON.stringify(messages)).toBe(true);
    },
    { timeout: 15_000, interval: 20 },
  );
  return messages;
}

describe('the local queues', () => {
  it('deliver every kind of body as it was sent', async () => {
    await fetch(`${server.url}/send-batch`, { method: 'POST' });
    const messages = await untilSeen(({ length }) => length === 4);
    expect(messages.map(({ body }) => body).sort()).toEqual(
      ['"as text"', '{"as":"json"}', '{"as":[["v8",1]]}', 'bytes 1,2,3'].sort(),
    );
    expect(new Set(messages.map(({ id }) => id)).size).toBe(4);
  });

  it('deliver a message again, with a higher attempt, until it is acknowledged, and then no more', async () => {
    await send('INGEST', { failUntil: 3 });
    const messages = await untilSeen(({ length }) => length === 3);
    expect(messages.map(({ attempts }) => attempts)).toEqual([1, 2, 3]);
    expect(new Set(messages.map(({ id }) => id)).size).toBe(1);
    await send('INGEST', { last: true });
    await untilSeen((all) => all.some(({ body }) => body.includes('last')));
    expect(await seen()).toHaveLength(4);
  });

  it('move a message that is out of attempts to the dead letter queue', async () => {
    await send('INGEST', { failUntil: 1000 });
    const messages = await untilSeen((all) => all.some(({ queue }) => queue === 'repoint-dead-letter'));
    expect(messages.filter(({ queue }) => queue === 'repoint-ingest').map(({ attempts }) => attempts)).toEqual(
      Array.from({ length: 21 }, (_, i) => i + 1),
    );
  });

  it('keep a delayed message over a power cut and deliver it when it is due', async () => {
    await send('INGEST', { later: true }, 1);
    await server.kill9();
    await server.restart();
    const [message] = await untilSeen(({ length }) => length === 1);
    expect(message).toMatchObject({ queue: 'repoint-ingest', body: '{"later":true}', attempts: 1 });
  });

  it('deliver a message again when the power fails while its consumer works on it', async () => {
    await send('INGEST', { hang: true });
    await untilSeen(({ length }) => length === 1);
    await server.kill9();
    await server.restart();
    const messages = await untilSeen(({ length }) => length === 2);
    expect(messages[1]).toMatchObject({ id: messages[0]!.id, body: messages[0]!.body });
    await server.kill9();
  });

  it('do not let one that hangs hold up the others', async () => {
    await send('INGEST', { hang: true });
    await untilSeen(({ length }) => length === 1);
    await send('INGEST', { quick: true });
    await untilSeen((all) => all.some(({ body }) => body.includes('quick')));
    await server.kill9();
  });

  it('refuse a message over the limit', async () => {
    expect(await send('INGEST', { big: 'x'.repeat(130_000) })).toBe(500);
  });
});
