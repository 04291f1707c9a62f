import { Agent, request } from 'node:http';
import { HttpClient } from '../http.ts';
import { usageOf, type Sample } from '../measure.ts';

const SETTLE_MS = 2_000;
const DELIVERY_LIMIT_MS = 30_000;

interface Options {
  url: string;
  /** Roots of the server's process tree, for its memory. */
  pids: number[];
  listeners: number;
  messages: number;
}

/** Takes the time from the publishing of each message to its arrival at each listener. */
class Deliveries {
  readonly times: number[] = [];
  #published = 0;
  #waiting = 0;
  #done = (): void => {};

  arrived(): void {
    this.times.push(performance.now() - this.#published);
    if (--this.#waiting === 0) this.#done();
  }

  /** Publishes and resolves when everybody has heard, or after a limit: what has not arrived then is lost. */
  async publish(listeners: number, body: () => Promise<unknown>): Promise<void> {
    this.#waiting = listeners;
    const heard = new Promise<void>((resolve) => (this.#done = resolve));
    const limit = new Promise<void>((resolve) => setTimeout(resolve, DELIVERY_LIMIT_MS).unref());
    this.#published = performance.now();
    await body();
    await Promise.race([heard, limit]);
  }
}

async function sampleOf(
  options: Options,
  connect: () => Promise<void>,
  publish: (n: number) => Promise<unknown>,
  deliveries: Deliveries,
): Promise<Sample> {
  const { pids, listeners, messages } = options;
  const before = usageOf(pids).rssBytes;
  const startedAt = performance.now();
  await connect();
  const connectMs = performance.now() - startedAt;
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const idle = usageOf(pids).rssBytes;
  const publishedAt = performance.now();
  for (let n = 0; n < messages; n++) await deliveries.publish(listeners, () => publish(n));
  const seconds = (performance.now() - publishedAt) / 1_000;
  return {
    of: 'delivery',
    times: deliveries.times,
    seconds,
    duplicates: 0,
    lost: listeners * messages - deliveries.times.length,
    more: {
      'memory KiB each': (idle - before) / 1_024 / listeners,
      'connected ms each': connectMs / listeners,
      'to all, ms': (seconds * 1_000) / messages,
    },
  };
}

/** WebSockets on one topic of a channel. */
export async function topicListeners(options: Options): Promise<Sample> {
  const client = new HttpClient(1);
  const channel = `bench-${Date.now()}`;
  const body = JSON.stringify([{ channel, name: 't', kind: 'run' }]);
  const { jwt } = JSON.parse((await client.post(`${options.url}/v1/realtime/token`, body)).body) as { jwt: string };
  const address = `${options.url.replace('http', 'ws')}/v1/realtime/connect?token=${jwt}`;
  const deliveries = new Deliveries();
  const sockets: WebSocket[] = [];
  const connect = async (): Promise<void> => {
    for (let i = 0; i < options.listeners; i += 50)
      await Promise.all(
        Array.from({ length: Math.min(50, options.listeners - i) }, async () => {
          const socket = new WebSocket(address);
          sockets.push(socket);
          socket.addEventListener('message', ({ data }) => {
            if (!(data as string).includes('"ping"')) deliveries.arrived();
          });
          await new Promise((resolve, reject) => {
            socket.addEventListener('open', resolve);
            socket.addEventListener('error', reject);
          });
        }),
      );
  };
  const target = `${options.url}/v1/realtime/publish?channel=${channel}&topic=t`;
  const sample = await sampleOf(options, connect, (n) => client.post(target, JSON.stringify({ n })), deliveries);
  for (const socket of sockets) socket.close();
  client.close();
  return sample;
}

/** Long polls of one run's row, each asking again from where it was as soon as it is answered. */
export async function runListeners(options: Options): Promise<Sample> {
  const client = new HttpClient(1);
  const agent = new Agent({ keepAlive: true, maxSockets: options.listeners });
  const authorization = 'Bearer tr_dev_ref_proj_listeners';
  const triggered = await client.post(
    `${options.url}/api/v1/tasks/listened-to/trigger`,
    JSON.stringify({ payload: '{}', options: { payloadType: 'application/json', delay: '1h' } }),
    { authorization },
  );
  const { id } = JSON.parse(triggered.body) as { id?: string };
  if (id === undefined) throw new Error(`no run to listen to: ${triggered.body}`);
  const deliveries = new Deliveries();
  const state = { isOver: false };
  const poll = (query: string): Promise<{ offset: string; handle: string; hasRow: boolean }> =>
    new Promise((resolve, reject) => {
      const outgoing = request(
        `${options.url}/realtime/v1/runs/${id}?${query}`,
        { agent, headers: { authorization } },
        (incoming) => {
          let text = '';
          incoming.on('data', (chunk: Buffer) => (text += chunk.toString()));
          incoming.on('end', () =>
            resolve({
              offset: String(incoming.headers['electric-offset']),
              handle: String(incoming.headers['electric-handle']),
              hasRow: text.includes('"value"'),
            }),
          );
        },
      );
      outgoing.on('error', reject);
      outgoing.end();
    });
  const listen = async (position: { offset: string; handle: string }): Promise<void> => {
    let { offset, handle } = position;
    while (!state.isOver) {
      const answer = await poll(`live=true&offset=${offset}&handle=${handle}`);
      ({ offset, handle } = answer);
      if (answer.hasRow && !state.isOver) deliveries.arrived();
    }
  };
  const loops: Array<Promise<void>> = [];
  const connect = async (): Promise<void> => {
    for (let i = 0; i < options.listeners; i++) loops.push(listen(await poll('offset=-1')).catch(() => {}));
  };
  const tag = (n: number): Promise<unknown> =>
    client.post(`${options.url}/api/v1/runs/${id}/tags`, JSON.stringify({ tags: [`t${n}`] }), { authorization });
  const sample = await sampleOf(options, connect, tag, deliveries);
  state.isOver = true;
  agent.destroy();
  await Promise.all(loops);
  client.close();
  return sample;
}
