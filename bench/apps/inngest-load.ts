import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { HttpClient, inParallel } from '../http.ts';
import type { Sample } from '../measure.ts';

const LIMIT_MS = 30_000;
/** Events of one request, and runs that may be unfinished at once while many are made. */
const BATCH = 500;
const UNFINISHED = 2_000;
const STEPS_PER_RUN = 20;
const HEADERS = {
  'content-type': 'application/json',
  'x-inngest-sdk': 'inngest-js:v4.24.0',
  'x-inngest-req-version': '2',
};
const AUTHORIZATION = { authorization: 'Bearer ' };

type Kind = 'nothing' | 'sleep' | 'wait';

interface Call {
  event: { data: { k?: string } };
  steps: Record<string, unknown>;
  ctx: { run_id: string; fn_id: string; qi_id: string };
}

/** An app over plain HTTP with few instructions: what the server can do, where the SDK would hide it. */
export interface InngestLoad {
  /** Leaves so many runs that have ended without a step, sleep for a day, or wait for an event by a field's value `w0`, `w1`, ... */
  make(kind: Kind, count: number, limitMs: number): Promise<{ made: number; seconds: number }>;
  /** A step's report while its call goes on, answered: `count` of them, in runs of twenty. */
  checkpoints(count: number): Promise<Sample>;
  /** One at a time: an event for which runs wait, that none of them wants, answered. */
  unwanted(count: number): Promise<Sample>;
  /** One at a time: an event that the oldest waiting run wants, to that run's next call. */
  wanted(count: number): Promise<Sample>;
  /** One at a time: `send` answered with 200. */
  asked(count: number, send: (http: HttpClient) => Promise<{ status: number; body: string }>): Promise<Sample>;
  /** An event that has started a run. */
  event(): string;
  close(): Promise<void>;
}

export async function openInngestLoad(url: string): Promise<InngestLoad> {
  const http = new HttpClient(16);
  const waiting = { from: 0, to: 0 };
  const calls = { count: 0 };
  const arrived = new Map<string, (atMs: number) => void>();
  let eventId = '';
  let onHeld = (_call: Call, _answer: () => void): void => {};

  function answer(response: ServerResponse, status: number, body: unknown): void {
    response.writeHead(status, HEADERS).end(JSON.stringify(body));
  }

  function handle(kind: string | null, call: Call, response: ServerResponse): void {
    const key = call.event.data.k ?? '';
    if (kind === 'held') return onHeld(call, () => answer(response, 200, 'done'));
    if (kind === 'wait' && Object.keys(call.steps).length > 0) {
      arrived.get(key)?.(performance.now());
      arrived.delete(key);
      return answer(response, 200, 'done');
    }
    calls.count++;
    if (kind === 'nothing') return answer(response, 200, 'done');
    const step =
      kind === 'sleep'
        ? { op: 'Sleep', id: 'nap', name: '1d' }
        : {
            op: 'WaitForEvent',
            id: 'answer',
            name: 'load/answer',
            opts: { event: 'load/answer', timeout: '1d', if: 'event.data.k == async.data.k' },
          };
    answer(response, 206, [{ ...step, displayName: step.id }]);
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => void chunks.push(chunk));
    request.on('end', () =>
      handle(
        new URL(request.url ?? '/', 'http://app').searchParams.get('kind'),
        JSON.parse(Buffer.concat(chunks).toString()) as Call,
        response,
      ),
    );
  });
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const app = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/inngest`;

  async function post(path: string, body: unknown): Promise<string> {
    const { status, body: text } = await http.post(url + path, JSON.stringify(body), AUTHORIZATION);
    if (status >= 300) throw new Error(`POST ${path}: ${status} ${text.slice(0, 200)}`);
    return text;
  }

  await post('/fn/register', {
    url: app,
    deployType: 'ping',
    appName: 'load',
    sdk: 'js:v4.24.0',
    v: '0.1',
    framework: 'nodejs',
    functions: ['nothing', 'sleep', 'wait', 'held'].map((kind) => ({
      id: `load-${kind}`,
      name: kind,
      triggers: [{ event: `load/${kind}` }],
      steps: { step: { id: 'step', name: 'step', runtime: { type: 'http', url: `${app}?kind=${kind}` } } },
    })),
  });

  /** The call of a new run, which stays open until it is answered. */
  async function held(): Promise<{ call: Call; end: () => void }> {
    const taken = new Promise<{ call: Call; end: () => void }>((resolve) => {
      onHeld = (call, end) => resolve({ call, end });
    });
    await post('/e/bench', { name: 'load/held', data: {} });
    return Promise.race([
      taken,
      delay(LIMIT_MS, null, { ref: false }).then(() => Promise.reject(new Error('no call'))),
    ]);
  }

  async function timed(count: number, of: string, body: (i: number) => Promise<number | null>): Promise<Sample> {
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      const ms = await body(i);
      if (ms !== null) times.push(ms);
    }
    return { of, times, duplicates: 0, lost: count - times.length };
  }

  return {
    async make(kind, count, limitMs) {
      const before = calls.count;
      const startedAt = performance.now();
      const isOver = (): boolean => performance.now() - startedAt > limitMs;
      let sent = 0;
      await inParallel(4, async () => {
        const size = Math.min(BATCH, count - sent);
        if (size <= 0) return false;
        sent += size;
        while (sent - (calls.count - before) > UNFINISHED && !isOver()) await delay(5);
        const events = Array.from({ length: size }, () => ({
          name: `load/${kind}`,
          data: kind === 'wait' ? { k: `w${waiting.to++}` } : {},
        }));
        eventId = (JSON.parse(await post('/e/bench', events)) as { ids: string[] }).ids[0]!;
        return !isOver();
      });
      while (calls.count - before < count && !isOver()) await delay(5);
      return { made: calls.count - before, seconds: (performance.now() - startedAt) / 1000 };
    },

    async checkpoints(count) {
      let run: Awaited<ReturnType<typeof held>> | null = null;
      const sample = await timed(count, 'step reported, answered', async (i) => {
        if (i % STEPS_PER_RUN === 0) {
          run?.end();
          run = await held();
        }
        const { run_id, fn_id, qi_id } = run!.call.ctx;
        const id = i.toString(16).padStart(40, '0');
        const startedAt = Date.now();
        const body = {
          run_id,
          fn_id,
          qi_id,
          request_started_at: startedAt,
          steps: [
            {
              op: 'StepRun',
              id,
              name: `step-${i}`,
              displayName: `step-${i}`,
              opts: {},
              userland: { id: `step-${i}` },
              data: { text: 'x'.repeat(64) },
              timing: { a: startedAt * 1e6, b: 1e5 },
            },
          ],
          ts: startedAt,
        };
        const at = performance.now();
        await post(`/v1/checkpoint/${run_id}/async`, body);
        return performance.now() - at;
      });
      run!.end();
      return sample;
    },

    unwanted: (count) =>
      timed(count, 'event answered', async (i) => {
        const at = performance.now();
        await post('/e/bench', { name: 'load/answer', data: { k: `none${i}` } });
        return performance.now() - at;
      }),

    wanted: (count) =>
      timed(count, 'event to the call of its run', async () => {
        const key = `w${waiting.from++}`;
        const called = new Promise<number>((resolve) => arrived.set(key, resolve));
        const at = performance.now();
        await post('/e/bench', { name: 'load/answer', data: { k: key } });
        const calledAt = await Promise.race([called, delay(LIMIT_MS, null, { ref: false })]);
        return calledAt === null ? null : calledAt - at;
      }),

    asked: (count, send) =>
      timed(count, 'answered', async () => {
        const at = performance.now();
        const { status, body } = await send(http);
        const ms = performance.now() - at;
        if (status !== 200 || body.startsWith('{"errors"')) throw new Error(`${status} ${body.slice(0, 300)}`);
        return ms;
      }),

    event: () => eventId,

    close: async () => {
      http.close();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
