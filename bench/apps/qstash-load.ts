import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { HttpClient, inParallel } from '../http.ts';
import type { Sample } from '../measure.ts';

// The public credentials of the vendor's own dev server (upstash/qstash-js: src/dev-server/constants.ts).
const TOKEN = 'eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=';
const AUTHORIZATION = { authorization: `Bearer ${TOKEN}` };
const BODY = JSON.stringify({ text: 'x'.repeat(64) });
const LIMIT_MS = 120_000;
const BATCH = 1_000;

/** Over plain HTTP with few instructions: what the server can do, where the SDK and signature checks would hide it. */
export interface QstashLoad {
  /**
   * One publish at a time, answered; its delivery goes on at the same time, or is due in an hour. Without a pause the next is published at the
   * moment of the delivery, so that it waits for the commit of the delivery's outcome too.
   */
  answered(count: number, due: 'now' | 'later', pauseMs?: number): Promise<Sample>;
  /** Publish called to body received: one at a time (width 1), or `width` unfinished ones. */
  delivered(count: number, width: number, options?: Record<string, string>): Promise<Sample>;
  /** `count` messages in requests of a thousand, answered. */
  batches(count: number): Promise<Sample>;
  /** A queue of parallelism 1, filled before it is opened: deliveries in order. */
  queue(count: number): Promise<Sample>;
  /** A step posted to the delivery of the next, in runs of a workflow one after the other. */
  steps(count: number): Promise<Sample>;
  /** Leaves so many messages that wait: for a day, or behind one flow-control key of parallelism 1 whose destination holds one of them. */
  park(count: number, how: 'delayed' | 'behind one key'): Promise<void>;
  close(): Promise<void>;
}

export async function openQstashLoad(url: string): Promise<QstashLoad> {
  const http = new HttpClient(64);
  const arrivals = new Map<string, (request: IncomingMessage, body: string) => void>();
  const order: string[] = [];
  const held: ServerResponse[] = [];
  let serial = 0;
  let onStep: ((steps: number, request: IncomingMessage) => void) | null = null;

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => void chunks.push(chunk));
    request.on('end', () => {
      const path = request.url ?? '/';
      if (path === '/held') return void held.push(response);
      if (path === '/workflow') {
        onStep?.((JSON.parse(Buffer.concat(chunks).toString()) as unknown[]).length, request);
        response.writeHead(200, { 'upstash-workflow-sdk-version': '1' }).end();
        return;
      }
      order.push(path);
      arrivals.get(path)?.(request, Buffer.concat(chunks).toString());
      response.end();
    });
  });
  server.keepAliveTimeout = LIMIT_MS;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const app = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function post(path: string, body: string, headers: Record<string, string> = {}): Promise<void> {
    const { status, body: answer } = await http.post(url + path, body, { ...AUTHORIZATION, ...headers });
    if (status >= 300) throw new Error(`${path}: ${status} ${answer}`);
  }

  function next(): { path: string; arrived: Promise<number> } {
    const path = `/m${serial++}`;
    const arrived = new Promise<number>((resolve) =>
      arrivals.set(path, () => {
        arrivals.delete(path);
        resolve(performance.now());
      }),
    );
    return { path, arrived };
  }

  return {
    async answered(count, due, pauseMs = 0) {
      const times: number[] = [];
      let lost = 0;
      for (let i = 0; i < count; i++) {
        const { path, arrived } = next();
        const at = performance.now();
        await post(`/v2/publish/${app}${path}`, BODY, due === 'later' ? { 'upstash-delay': '3600s' } : {});
        times.push(performance.now() - at);
        if (due === 'later') arrivals.delete(path);
        else if (Number.isNaN(await Promise.race([arrived, delay(LIMIT_MS, Number.NaN, { ref: false })]))) lost++;
        if (pauseMs > 0) await delay(pauseMs);
      }
      return { of: 'publish answered', times, duplicates: 0, lost };
    },

    async delivered(count, width, options = {}) {
      const times: number[] = [];
      let sent = 0;
      const startedAt = performance.now();
      await inParallel(width, async () => {
        if (sent++ >= count) return false;
        const { path, arrived } = next();
        const at = performance.now();
        await post(`/v2/publish/${app}${path}`, BODY, options);
        const arrivedAt = await Promise.race([arrived, delay(LIMIT_MS, Number.NaN, { ref: false })]);
        if (!Number.isNaN(arrivedAt)) times.push(arrivedAt - at);
        return true;
      });
      const seconds = (performance.now() - startedAt) / 1000;
      return {
        of: 'publish to delivery',
        times,
        ...(width > 1 ? { seconds } : {}),
        duplicates: 0,
        lost: count - times.length,
      };
    },

    async batches(count) {
      const times: number[] = [];
      const all: Array<Promise<number>> = [];
      let answering = 0;
      for (let done = 0; done < count; done += BATCH) {
        const items = Array.from({ length: Math.min(BATCH, count - done) }, () => {
          const { path, arrived } = next();
          all.push(arrived);
          return { destination: app + path, body: BODY };
        });
        const at = performance.now();
        await post('/v2/batch', JSON.stringify(items));
        answering += performance.now() - at;
        await Promise.all(all.splice(0));
        for (let i = 0; i < items.length; i++) times.push(performance.now() - at);
      }
      return { of: 'batch to the last delivery', times, seconds: answering / 1000, duplicates: 0, lost: 0 };
    },

    async queue(count) {
      const name = `bench-${serial++}`;
      await post('/v2/queues', JSON.stringify({ queueName: name, parallelism: 1, paused: true }));
      const all: Array<Promise<number>> = [];
      const wanted: string[] = [];
      for (let done = 0; done < count; done += BATCH) {
        const items = Array.from({ length: Math.min(BATCH, count - done) }, () => {
          const { path, arrived } = next();
          all.push(arrived);
          wanted.push(path);
          return { destination: app + path, body: BODY, queue: name };
        });
        await post('/v2/batch', JSON.stringify(items));
      }
      order.length = 0;
      const at = performance.now();
      await post(`/v2/queues/${name}/resume`, '');
      const times = (await Promise.all(all)).map((arrivedAt) => arrivedAt - at);
      const inOrder = order.every((path, i) => path === wanted[i]);
      const seconds = (performance.now() - at) / 1000;
      return { of: 'queue opened to delivery', times, seconds, duplicates: 0, lost: inOrder ? 0 : count };
    },

    async steps(count) {
      const PER_RUN = 20;
      const times: number[] = [];
      for (let done = 0; done < count; done += PER_RUN) {
        const runId = `wfr_bench${serial++}`;
        const headers = { 'upstash-workflow-runid': runId, 'upstash-workflow-url': `${app}/workflow` };
        let at = 0;
        await new Promise<void>((resolve, reject) => {
          onStep = (steps) => {
            if (at > 0) times.push(performance.now() - at);
            if (steps > PER_RUN) return resolve();
            const step = { stepId: steps, stepName: `s${steps}`, stepType: 'Run', out: '1', concurrent: 1 };
            const item = {
              destination: `${app}/workflow`,
              headers: { ...headers, 'upstash-workflow-init': 'false' },
              body: JSON.stringify(step),
            };
            at = performance.now();
            post('/v2/batch', JSON.stringify([item])).catch(reject);
          };
          const start = {
            destination: `${app}/workflow`,
            headers: { ...headers, 'upstash-workflow-init': 'true' },
            body: '1',
          };
          post('/v2/batch', JSON.stringify([start])).catch(reject);
        });
        onStep = null;
        await fetch(`${url}/v2/workflows/runs/${runId}?cancel=true`, { method: 'DELETE', headers: AUTHORIZATION });
      }
      return { of: 'step posted to next delivery', times, duplicates: 0, lost: 0 };
    },

    async park(count, how) {
      const options: Record<string, string> =
        how === 'delayed'
          ? { 'upstash-delay': '1d' }
          : { 'upstash-flow-control-key': 'bench-one', 'upstash-flow-control-value': 'parallelism=1' };
      const destination = how === 'delayed' ? `${app}/never` : `${app}/held`;
      for (let done = 0; done < count; done += BATCH)
        await post(
          '/v2/batch',
          JSON.stringify(
            Array.from({ length: Math.min(BATCH, count - done) }, () => ({
              destination,
              headers: options,
              body: BODY,
            })),
          ),
        );
    },

    close: async () => {
      for (const response of held) response.destroy();
      http.close();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
