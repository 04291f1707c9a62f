// The least Worker that fits the launcher's configuration; it says what it sees and keeps what its queues deliver.
import { DurableObject, WorkerEntrypoint } from 'cloudflare:workers';

export class Cell extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS seen (id TEXT, queue TEXT, body TEXT, attempts INTEGER)');
  }

  keep(rows) {
    for (const { id, queue, body, attempts } of rows) {
      this.ctx.storage.sql.exec('INSERT INTO seen VALUES (?, ?, ?, ?)', id, queue, body, attempts);
    }
  }

  seen() {
    return this.ctx.storage.sql.exec('SELECT * FROM seen').toArray();
  }
}

export class Channel extends DurableObject {}

export class Dispatcher extends WorkerEntrypoint {
  ping() {
    return 'pong';
  }
}

let drainedWith = null;

const routes = {
  'GET /health': (_request, env) =>
    Response.json({ status: 'ok', mode: env.REPOINT_MODE, version: env.REPOINT_VERSION }),
  'GET /bindings': async (_request, env) =>
    Response.json({ names: Object.keys(env), dispatcher: await env.DISPATCHER.ping() }),
  'GET /variable': (request, env) => new Response(env[request.query.get('name')] ?? 'absent'),
  'GET /seen': async (_request, env) => Response.json(await env.CELL.getByName('one').seen()),
  'GET /slow': async (request) => {
    await new Promise((resolve) => setTimeout(resolve, Number(request.query.get('ms'))));
    return new Response(drainedWith === null ? 'not drained' : 'drained');
  },
  'GET /reach': async (request) => {
    try {
      return new Response(`status ${(await fetch(request.query.get('url'))).status}`);
    } catch (error) {
      return new Response(`refused: ${error.message}`);
    }
  },
  'POST /send': async (request, env) => {
    const delaySeconds = Number(request.query.get('delay') ?? 0);
    await env[request.query.get('queue')].send(await request.json(), { delaySeconds });
    return new Response('sent');
  },
  'POST /send-batch': async (_request, env) => {
    await env.INGEST.sendBatch([
      { body: 'as text', contentType: 'text' },
      { body: { as: 'json' }, contentType: 'json' },
      { body: { as: new Map([['v8', 1]]) }, contentType: 'v8' },
      { body: new Uint8Array([1, 2, 3]), contentType: 'bytes' },
    ]);
    return new Response('sent');
  },
  'POST /internal/drain': (request, env) => {
    if (request.headers.get('authorization') !== `Bearer ${env.REPOINT_INTERNAL_TOKEN}`)
      return new Response('no', { status: 401 });
    drainedWith = 'token';
    return new Response('drained');
  },
};

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const route = routes[`${request.method} ${url.pathname}`];
    request.query = url.searchParams;
    return route ? route(request, env) : new Response('not found', { status: 404 });
  },

  async queue(batch, env) {
    await env.CELL.getByName('one').keep(
      batch.messages.map(({ id, body, attempts }) => ({ id, queue: batch.queue, body: describe(body), attempts })),
    );
    if (batch.messages.some(({ body }) => body?.hang)) await new Promise((resolve) => setTimeout(resolve, 60_000));
    for (const message of batch.messages) {
      if (message.body?.failUntil > message.attempts) message.retry({ delaySeconds: 0 });
    }
  },
};

function describe(body) {
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return `bytes ${new Uint8Array(body).join(',')}`;
  return JSON.stringify(body, (_key, value) => (value instanceof Map ? [...value] : value));
}
