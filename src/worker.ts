import type { Bindings, IngestMessage } from './bindings.ts';
import { type App, createApp } from './app.ts';
import { cellStub, namedCell } from './cell/cell-stub.ts';
import { noteStorageError } from './cell/storage-trouble.ts';
import { bootAll } from './environments/registry.ts';

export { Shelf } from './blobs/shelf.ts';
export { Cell } from './cell/cell.ts';
export { Channel } from './channel/channel.ts';
export { Dispatcher } from './dispatcher/dispatcher.ts';

const UNPROCESSED_MS = 30 * 86_400_000;

/** What could not be processed is not lost: it is kept as a record, to be looked at. */
async function keep(env: Bindings, queue: string, id: string, body: unknown): Promise<void> {
  console.error(`message ${id} of ${queue} could not be processed and is kept`);
  const data = JSON.stringify({ queue, body });
  await cellStub(env, 'default').apply([
    { type: 'put-record', collection: '$unprocessed', id, data, expiresAt: Date.now() + UNPROCESSED_MS },
  ]);
}

let app: App | null = null;
let booted = false;

const worker: ExportedHandler<Bindings, IngestMessage> = {
  async fetch(request, env, ctx) {
    app ??= createApp(env);
    if (!booted) {
      // The first request of an isolate wakes the cells, so that what a lost process was doing goes on at once.
      booted = true;
      ctx.waitUntil(
        bootAll(env).catch((error: unknown) => {
          noteStorageError(error);
          throw error;
        }),
      );
    }
    return app.fetch(request, env, ctx);
  },

  async queue(batch, env) {
    const ingest = batch.queue.endsWith('ingest');
    for (const message of batch.messages) {
      try {
        if (ingest) await namedCell(env, message.body.cell).apply(message.body.commands);
        else await keep(env, batch.queue, message.id, message.body);
        message.ack();
      } catch (error) {
        console.error(`message ${message.id} of ${batch.queue} failed, it will be tried again:`, error);
        message.retry();
      }
    }
  },
};

export default worker;
