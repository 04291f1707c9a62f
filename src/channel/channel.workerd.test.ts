import { env, runInDurableObject, SELF } from 'cloudflare:test';
import { afterAll, describe, expect, it } from 'vitest';
import type { Bindings } from '../bindings.ts';
import { BlobClient } from '../blobs/blobs.ts';
import { ChannelClient } from './channel-client.ts';
import { changeFrame, NATIVE_PROTOCOL } from './native-protocol.ts';

const bindings = env as unknown as Bindings;
const stubOf = (name: string) => bindings.CHANNEL.get(bindings.CHANNEL.idFromName(`default/${name}`));
const channel = (name: string): ChannelClient => new ChannelClient(stubOf(name));
const open: WebSocket[] = [];

afterAll(() => {
  for (const socket of open) socket.close();
});

async function connect(
  name: string,
  topics: string[],
): Promise<{ socket: WebSocket; next(): Promise<string>; closed: Promise<number> }> {
  const request = new Request('http://server/', { headers: { upgrade: 'websocket' } });
  const response = await channel(name).connect(request, { protocol: NATIVE_PROTOCOL, topics, data: 'hello' });
  const socket = response.webSocket as WebSocket;
  socket.accept();
  open.push(socket);
  const frames: string[] = [];
  const waiting: Array<(frame: string) => void> = [];
  socket.addEventListener('message', ({ data }) => {
    const waiter = waiting.shift();
    if (waiter) waiter(data as string);
    else frames.push(data as string);
  });
  const closed = new Promise<number>((resolve) => {
    socket.addEventListener('close', ({ code }) => resolve(code));
  });
  const next = (): Promise<string> => {
    const frame = frames.shift();
    return frame === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(frame);
  };
  return { socket, next, closed };
}

describe('sockets of a channel', () => {
  it('hear what is published to their topics, and nothing else', async () => {
    const one = await connect('sockets', ['a', 'b']);
    const two = await connect('sockets', ['b']);
    expect([await one.next(), await two.next()]).toEqual(['hello', 'hello']);
    expect(await channel('sockets').publish('a', 'for one')).toBe(1);
    expect(await channel('sockets').publish('b', 'for both')).toBe(2);
    expect(await channel('sockets').publish('c', 'for nobody')).toBe(0);
    expect([await one.next(), await one.next(), await two.next()]).toEqual(['for one', 'for both', 'for both']);
    two.socket.close(1000);
    await expect.poll(() => channel('sockets').publish('b', 'again')).toBe(1);
  });

  it('are answered, and closed when a frame is too long', async () => {
    const { socket, next, closed } = await connect('frames', []);
    await next();
    socket.send('ping');
    expect(await next()).toBe('pong');
    socket.send('x'.repeat(5_000));
    expect(await closed).toBe(1009);
  });

  it('hear of a run that the cell changes, with one row for what they follow', async () => {
    const cell = bindings.CELL.get(bindings.CELL.idFromName('default/0'));
    const task = {
      id: 'channel/t',
      group: 'channel',
      name: 't',
      executor: 'none',
      mode: 'pull' as const,
      pool: 'nobody',
    };
    const rest = {
      triggers: [],
      maxAttempts: 1,
      retry: { kind: 'constant' as const, delayMs: 1 },
      limits: [],
      data: '{}',
    };
    await cell.apply([{ type: 'register', group: 'channel', tasks: [{ ...task, ...rest }], replace: true }]);
    const [started] = await cell.apply([{ type: 'start', spec: { task: task.id, input: null } }]);
    const run = started?.type === 'start' ? started.run : '';
    const { next } = await connect(`run:${run}`, [`run:${run}`]);
    expect(await next()).toBe('hello');
    await expect
      .poll(() =>
        runInDurableObject(
          stubOf(`run:${run}`),
          (_, { storage }) => storage.sql.exec('SELECT * FROM follows').toArray().length,
        ),
      )
      .toBe(1);
    await cell.apply([{ type: 'cancel', run, reason: 'test' }]);
    expect(await next()).toBe(changeFrame({ run, seq: 1, status: 'cancelled' }));
  });
});

describe('streams of a channel', () => {
  it('answer who waits when a chunk is appended', async () => {
    const streams = channel('streams');
    expect(await streams.read('s', { after: 0, waitMs: 0 })).toEqual({ chunks: [], last: 0, closed: false });
    const readers = Array.from({ length: 20 }, () => streams.read('s', { after: 0, waitMs: 10_000 }));
    expect(await streams.append('s', { chunks: ['a'], writer: 'w', fromIndex: 0 })).toEqual({
      last: 1,
      writerIndex: 0,
    });
    for (const page of await Promise.all(readers)) expect(page.chunks.map(({ data }) => data)).toEqual(['a']);
    expect(await streams.info('s', 'w')).toEqual({ last: 1, closed: false, writerIndex: 0 });
    const last = streams.read('s', { after: 1, waitMs: 10_000 });
    await streams.append('s', { chunks: [], close: true });
    expect(await last).toEqual({ chunks: [], last: 1, closed: true });
  });
});

describe('files', () => {
  const blobs = new BlobClient(bindings, 'default', 'http://server', async () => 'unused');

  it('are read as they were written, large ones too', async () => {
    const bytes = new Uint8Array(3_000_000).map((_, i) => i % 251);
    const body = new Blob([bytes]).stream();
    expect(await blobs.put('dir/large file', body, { contentType: 'text/plain' })).toEqual({ sizeBytes: 3_000_000 });
    const read = await blobs.get('dir/large file');
    expect([read?.sizeBytes, read?.contentType]).toEqual([3_000_000, 'text/plain']);
    expect(new Uint8Array(await new Response(read?.body).arrayBuffer())).toEqual(bytes);
    await blobs.delete('dir/large file');
    expect(await blobs.get('dir/large file')).toBeNull();
    await expect(blobs.put('large', new Uint8Array(20), { maxBytes: 10 })).rejects.toThrow('payload-too-large');
  });

  it('are written and read by presigned addresses, and by no other', async () => {
    // The Worker keeps the secret in the cell; the address has to be signed with that one.
    await SELF.fetch('http://server/api/blobs/default/x?method=GET');
    const cell = bindings.CELL.get(bindings.CELL.idFromName('default/0'));
    const record = (await cell.query({ type: 'record', collection: '$secrets', id: 'blobs' })) as { data: string };
    const { secret } = JSON.parse(record.data) as { secret: string };
    const signed = new BlobClient(bindings, 'default', 'http://server', async () => secret);
    const put = await signed.presign('PUT', 'a/b.json', { ttlMs: 60_000, maxBytes: 10 });
    const written = await SELF.fetch(put, {
      method: 'PUT',
      body: '{"a":1}',
      headers: { 'content-type': 'application/json' },
    });
    expect(written.status).toBe(200);
    const get = await signed.presign('GET', 'a/b.json', { ttlMs: 60_000 });
    const read = await SELF.fetch(get);
    expect([read.status, read.headers.get('content-type'), await read.text()]).toEqual([
      200,
      'application/json',
      '{"a":1}',
    ]);
    expect((await SELF.fetch(put, { method: 'PUT', body: 'x'.repeat(11) })).status).toBe(413);
    expect((await SELF.fetch(put)).status).toBe(403);
    expect((await SELF.fetch(get.replace('b.json', 'c.json'))).status).toBe(403);
    const gone = await signed.presign('GET', 'a/unknown', { ttlMs: 60_000 });
    expect((await SELF.fetch(gone)).status).toBe(404);
  });
});
