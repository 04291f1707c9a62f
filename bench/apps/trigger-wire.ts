import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { registration } from '../../conformance/crash/trigger-registration.ts';

/** What a worker's messages have that the bench uses. */
export interface Handed {
  run: { friendlyId: string };
  snapshot: { friendlyId: string };
}

export interface Latest {
  execution: { snapshot: { executionStatus: string }; completedWaitpoints: Array<{ friendlyId: string }> };
}

/** Node's takes headers too, which the standard's, as it is declared, does not. */
const WithHeaders = WebSocket as unknown as new (
  address: string,
  init: { headers: Record<string, string> },
) => WebSocket;
const LIMIT_MS = 30_000;
/** The client that lists pages and triggers, beside the request that is held open and the worker's own. */
const CONNECTIONS = 16;

/**
 * One project on the server, over plain HTTP with few instructions: what triggers, and the parts of a worker that are the server's work. The
 * vendor's own worker forks processes and flushes telemetry, which costs many times as much.
 */
export class TriggerWire {
  readonly #url: string;
  readonly #key: string;
  readonly #agent: Agent;
  readonly #workerId: string;
  #socket: WebSocket | null = null;
  readonly #told = new Map<string, () => void>();

  private constructor(url: string, key: string, agent: Agent, workerId: string) {
    this.#url = url;
    this.#key = key;
    this.#agent = agent;
    this.#workerId = workerId;
  }

  /** Registers the tasks as a development session would. */
  static async open(url: string, project: string, tasks: string[]): Promise<TriggerWire> {
    const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
    const person = { authorization: `Bearer tr_pat_${'b'.repeat(40)}` };
    const { apiKey } = await call<{ apiKey: string }>(agent, 'GET', `${url}/api/v1/projects/${project}/dev`, person);
    const registered = await call<{ id: string }>(
      agent,
      'POST',
      `${url}/api/v1/projects/${project}/background-workers`,
      { authorization: `Bearer ${apiKey}` },
      JSON.stringify(registration(tasks, 'bench')),
    );
    return new TriggerWire(url, apiKey, agent, registered.id);
  }

  /** @throws on any answer but a 2xx */
  call<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> {
    return this.#send<T>(method, path, body === undefined ? undefined : JSON.stringify(body));
  }

  trigger(task: string, options: Record<string, unknown> = {}): Promise<{ id: string }> {
    return this.call('POST', `/api/v1/tasks/${task}/trigger`, { payload: PAYLOAD, options: { ...TYPE, ...options } });
  }

  /** A batch in its two phases, all items in one stream; answers when it is sealed. */
  async batch(task: string, count: number, options: Record<string, unknown> = {}): Promise<void> {
    const { id } = await this.call<{ id: string }>('POST', '/api/v3/batches', { runCount: count });
    const item = { task, payload: PAYLOAD, options: { ...TYPE, ...options } };
    const lines = Array.from({ length: count }, (_, index) => JSON.stringify({ index, ...item })).join('\n');
    const { sealed } = await this.#send<{ sealed: boolean }>('POST', `/api/v3/batches/${id}/items`, `${lines}\n`);
    if (!sealed) throw new Error(`the batch ${id} of ${count} items is not sealed`);
  }

  /** As the worker asks: the answer waits until there is a run, for up to 20 s. */
  async dequeue(): Promise<Handed[]> {
    const body = { currentWorker: this.#workerId, oldWorkers: [] };
    return (await this.call<{ dequeuedMessages: Handed[] }>('POST', '/engine/v1/dev/dequeue', body)).dequeuedMessages;
  }

  /** The attempt begins; answers the message with the snapshot that its completion is to name. */
  async start({ run, snapshot }: Handed): Promise<Handed> {
    const path = `/engine/v1/dev/runs/${run.friendlyId}/snapshots/${snapshot.friendlyId}/attempts/start`;
    return { run, snapshot: (await this.call<Handed>('POST', path, { isWarmStart: true })).snapshot };
  }

  async complete({ run, snapshot }: Handed): Promise<void> {
    const completion = { ok: true, id: run.friendlyId, output: '"done"', outputType: TYPE.payloadType };
    const path = `/engine/v1/dev/runs/${run.friendlyId}/snapshots/${snapshot.friendlyId}/attempts/complete`;
    await this.call('POST', path, { completion: { ...completion, usage: { durationMs: 1 } } });
  }

  /** Opens the worker's socket, over which it hears of changes. */
  async listen(): Promise<void> {
    const address = `${this.#url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`;
    const socket = new WithHeaders(address, { headers: { authorization: `Bearer ${this.#key}` } });
    this.#socket = socket;
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener('error', () => reject(new Error('the socket did not open')));
      socket.addEventListener('message', ({ data }) => {
        const frame = String(data);
        if (frame.startsWith('0{')) socket.send('40/dev-worker,');
        else if (frame.startsWith('40/dev-worker')) resolve();
        else if (frame === '2') socket.send('3');
        else for (const [run, tell] of this.#told) if (frame.includes(run)) tell();
      });
    });
  }

  subscribe(run: string): void {
    this.#socket?.send(`42/dev-worker,${JSON.stringify(['run:subscribe', { version: '1', runFriendlyIds: [run] }])}`);
  }

  unsubscribe(run: string): void {
    this.#socket?.send(`42/dev-worker,${JSON.stringify(['run:unsubscribe', { version: '1', runFriendlyIds: [run] }])}`);
  }

  /**
   * Resolves once the run has been told of and its newest snapshot says that it goes on: what the worker needs to resume the task. False when
   * that does not come. To be called before what ends the wait.
   */
  async resumed(run: string): Promise<boolean> {
    const deadline = performance.now() + LIMIT_MS;
    while (performance.now() < deadline) {
      const told = new Promise<boolean>((resolve) => this.#told.set(run, () => resolve(true)));
      if (!(await Promise.race([told, delay(LIMIT_MS, false, { ref: false })]))) break;
      const { execution } = await this.call<Latest>('GET', `/engine/v1/dev/runs/${run}/snapshots/latest`);
      if (execution.snapshot.executionStatus === 'EXECUTING' && execution.completedWaitpoints.length > 0) {
        this.#told.delete(run);
        return true;
      }
    }
    this.#told.delete(run);
    return false;
  }

  close(): void {
    this.#socket?.close();
    this.#agent.destroy();
  }

  #send<T>(method: string, path: string, body?: string): Promise<T> {
    return call<T>(this.#agent, method, this.#url + path, { authorization: `Bearer ${this.#key}` }, body);
  }
}

const TYPE = { payloadType: 'application/json' };
const PAYLOAD = JSON.stringify({ text: 'x'.repeat(64) });

function call<T>(
  agent: Agent,
  method: string,
  url: string,
  headers: Record<string, string>,
  body?: string,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const data = body === undefined ? undefined : Buffer.from(body);
    const type = { 'content-type': 'application/json', ...(data ? { 'content-length': data.length } : {}) };
    const outgoing = request(url, { method, agent, headers: { ...headers, ...type } }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => void chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        if ((incoming.statusCode ?? 0) >= 300) reject(new Error(`${method} ${url}: ${incoming.statusCode} ${text}`));
        else resolve(JSON.parse(text) as T);
      });
    });
    outgoing.on('error', reject);
    outgoing.end(data);
  });
}
