// Queues on disk, for `workerd serve`. A producer's binding sends `POST /message` or `POST /batch` here; one Broker object per
// queue keeps the messages in SQLite until the consumer has acknowledged them, so a restart loses nothing.
// Wire form: cloudflare/workerd: src/workerd/api/queue.c++; delivery semantics as in packages/miniflare/src/workers/queues.
import { DurableObject, WorkerEntrypoint } from 'cloudflare:workers';
import type { QueueConfig } from './queues.ts';

type ContentType = 'text' | 'json' | 'bytes' | 'v8';

interface Incoming {
  body: Uint8Array;
  contentType: ContentType;
  delaySeconds: number;
}

/** What a consumer's `queue()` takes and returns over a service binding (workerd: src/workerd/api/http.h). */
interface Consumer {
  queue(queueName: string, messages: ServiceMessage[]): Promise<ConsumerResult>;
}

interface ServiceMessage {
  id: string;
  timestamp: Date;
  attempts: number;
  body?: unknown;
  serializedBody?: ArrayBuffer;
}

interface ConsumerResult {
  outcome: string;
  ackAll: boolean;
  retryBatch: { retry: boolean; delaySeconds?: number };
  explicitAcks: string[];
  retryMessages: { msgId: string; delaySeconds?: number }[];
}

interface BrokerEnv {
  BROKER: DurableObjectNamespace<Broker>;
  CONSUMER: Consumer;
  QUEUES: QueueConfig[];
}

/** Cloudflare Queues: 128 KB a message, 100 messages and 256 KB a batch. */
const MAX_MESSAGE_BYTES = 128_000;
const MAX_BATCH_COUNT = 100;
const MAX_BATCH_BYTES = 288_000;
/** While messages are out, an alarm stands this far ahead: the in-memory leases die with the process, and it wakes the object. */
const WATCH_MS = 2_000;

export default class Door extends WorkerEntrypoint<BrokerEnv, { queue: string }> {
  override async fetch(request: Request): Promise<Response> {
    const { queue } = this.ctx.props;
    const broker = this.env.BROKER.getByName(queue);
    const incoming = await readIncoming(request);
    if (incoming instanceof Response) return incoming;
    const backlogCount = await broker.accept(queue, incoming);
    return Response.json({ metadata: { metrics: { backlogCount, backlogBytes: 0, oldestMessageTimestamp: 0 } } });
  }
}

async function readIncoming(request: Request): Promise<Incoming[] | Response> {
  const { pathname } = new URL(request.url);
  const headerDelay = Number(request.headers.get('X-Msg-Delay-Secs') ?? 0);
  if (pathname === '/message') {
    const body = new Uint8Array(await request.arrayBuffer());
    if (body.byteLength > MAX_MESSAGE_BYTES) return tooLarge(`message of ${body.byteLength} bytes`);
    return [
      { body, contentType: (request.headers.get('X-Msg-Fmt') ?? 'v8') as ContentType, delaySeconds: headerDelay },
    ];
  }
  if (pathname === '/batch') {
    const { messages } = await request.json<{
      messages: { body: string; contentType?: ContentType; delaySecs?: number }[];
    }>();
    const incoming = messages.map((message) => ({
      body: Uint8Array.from(atob(message.body), (char) => char.charCodeAt(0)),
      contentType: message.contentType ?? 'v8',
      delaySeconds: message.delaySecs ?? headerDelay,
    }));
    if (incoming.length > MAX_BATCH_COUNT) return tooLarge(`batch of ${incoming.length} messages`);
    const largest = Math.max(0, ...incoming.map(({ body }) => body.byteLength));
    if (largest > MAX_MESSAGE_BYTES) return tooLarge(`message of ${largest} bytes`);
    const total = incoming.reduce((sum, { body }) => sum + body.byteLength, 0);
    return total > MAX_BATCH_BYTES ? tooLarge(`batch of ${total} bytes`) : incoming;
  }
  return new Response('not found', { status: 404 });
}

function tooLarge(what: string): Response {
  return new Response(`${what} exceeds the limit`, { status: 413 });
}

interface MessageRow extends Record<string, SqlStorageValue> {
  seq: number;
  id: string;
  queue: string;
  sent_at_ms: number;
  content_type: ContentType;
  body: ArrayBuffer;
  attempts: number;
}

export class Broker extends DurableObject<BrokerEnv> {
  readonly #sql = this.ctx.storage.sql;
  readonly #leased = new Set<number>();
  #deliveries = 0;
  #backlog: number;

  constructor(ctx: DurableObjectState, env: BrokerEnv) {
    super(ctx, env);
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS messages (
      seq INTEGER PRIMARY KEY, id TEXT NOT NULL, queue TEXT NOT NULL, sent_at_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL,
      content_type TEXT NOT NULL, body BLOB NOT NULL, attempts INTEGER NOT NULL DEFAULT 0);
      CREATE INDEX IF NOT EXISTS messages_due ON messages (due_ms, seq)`);
    this.#backlog = this.#sql.exec<{ n: number }>('SELECT count(*) AS n FROM messages').one().n;
  }

  /** Stores messages; the caller's answer waits for the disk. Returns the number of messages in the queue. */
  async accept(queue: string, incoming: Incoming[]): Promise<number> {
    const now = Date.now();
    for (const { body, contentType, delaySeconds } of incoming) {
      this.#sql.exec(
        'INSERT INTO messages (id, queue, sent_at_ms, due_ms, content_type, body) VALUES (?, ?, ?, ?, ?, ?)',
        crypto.randomUUID().replaceAll('-', ''),
        queue,
        now,
        now + delaySeconds * 1000,
        contentType,
        body,
      );
    }
    this.#backlog += incoming.length;
    await this.#pump();
    return this.#backlog;
  }

  override async alarm(): Promise<void> {
    await this.#pump();
  }

  /** Starts as many deliveries as the queue allows, without waiting for them, and sets the alarm for what remains. */
  async #pump(): Promise<void> {
    for (let batch = this.#take(); batch.length > 0; batch = this.#take()) {
      for (const { seq } of batch) this.#leased.add(seq);
      this.#deliveries++;
      this.ctx.waitUntil(this.#deliver(batch));
    }
    await this.#arm();
  }

  #take(): MessageRow[] {
    const config = this.#config();
    if (!config || this.#deliveries >= config.maxConcurrency) return [];
    const due = this.#sql.exec<MessageRow>('SELECT * FROM messages WHERE due_ms <= ? ORDER BY due_ms, seq', Date.now());
    const batch: MessageRow[] = [];
    for (const row of due) {
      if (!this.#leased.has(row.seq)) batch.push(row);
      if (batch.length === config.maxBatchSize) break;
    }
    return batch;
  }

  async #arm(): Promise<void> {
    const next = this.#sql.exec<{ due: number | null }>('SELECT min(due_ms) AS due FROM messages').one().due;
    if (next === null) return;
    const due = Math.max(next, this.#leased.size > 0 ? Date.now() + WATCH_MS : 0);
    const armed = await this.ctx.storage.getAlarm();
    if (armed === null || armed > due || armed < Date.now() - WATCH_MS) await this.ctx.storage.setAlarm(due);
  }

  async #deliver(batch: MessageRow[]): Promise<void> {
    const config = this.#config()!;
    try {
      const dead = this.#settle(config, batch, await this.#consume(config, batch));
      if (dead.length > 0 && config.deadLetterQueue) {
        const incoming = dead.map((row) => ({
          body: new Uint8Array(row.body),
          contentType: row.content_type,
          delaySeconds: 0,
        }));
        await this.env.BROKER.getByName(config.deadLetterQueue).accept(config.deadLetterQueue, incoming);
      }
      for (const { seq } of dead) this.#remove(seq);
    } finally {
      for (const { seq } of batch) this.#leased.delete(seq);
      this.#deliveries--;
      await this.#pump();
    }
  }

  async #consume(config: QueueConfig, batch: MessageRow[]): Promise<ConsumerResult | undefined> {
    try {
      return await this.env.CONSUMER.queue(config.name, batch.map(toServiceMessage));
    } catch (error) {
      console.error(`queue ${config.name}: the consumer failed: ${String(error)}`);
      return undefined;
    }
  }

  /** Deletes what was acknowledged, puts off what is to be retried, and returns what has run out of attempts. */
  #settle(config: QueueConfig, batch: MessageRow[], response: ConsumerResult | undefined): MessageRow[] {
    const retryAll = response?.outcome !== 'ok' || response.retryBatch.retry;
    const explicitAcks = new Set(response?.explicitAcks);
    const retries = new Map(response?.retryMessages.map(({ msgId, delaySeconds }) => [msgId, delaySeconds]));
    const batchDelay = response?.retryBatch.delaySeconds ?? config.retryDelaySeconds;
    const dead: MessageRow[] = [];
    for (const row of batch) {
      const retry = (retryAll && !response?.ackAll && !explicitAcks.has(row.id)) || retries.has(row.id);
      if (!retry) {
        this.#remove(row.seq);
      } else if (row.attempts >= config.maxRetries) {
        dead.push(row);
      } else {
        const dueMs = Date.now() + (retries.get(row.id) ?? batchDelay) * 1000;
        this.#sql.exec('UPDATE messages SET attempts = attempts + 1, due_ms = ? WHERE seq = ?', dueMs, row.seq);
      }
    }
    return dead;
  }

  #remove(seq: number): void {
    this.#sql.exec('DELETE FROM messages WHERE seq = ?', seq);
    this.#backlog--;
  }

  #config(): QueueConfig | undefined {
    return this.env.QUEUES.find(({ name }) => name === this.ctx.id.name);
  }
}

function toServiceMessage(row: MessageRow): ServiceMessage {
  const common = { id: row.id, timestamp: new Date(row.sent_at_ms), attempts: row.attempts + 1 };
  switch (row.content_type) {
    case 'text':
      return { ...common, body: new TextDecoder().decode(row.body) };
    case 'json':
      return { ...common, body: JSON.parse(new TextDecoder().decode(row.body)) as unknown };
    case 'bytes':
      return { ...common, body: row.body };
    case 'v8':
      return { ...common, serializedBody: row.body };
  }
}
