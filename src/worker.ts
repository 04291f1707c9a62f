import type { Bindings, IngestMessage } from './bindings.ts';
import { type App, cellStub, createApp } from './app.ts';

export { Cell } from './cell/cell.ts';
export { Channel } from './channel/channel.ts';
export { Dispatcher } from './dispatcher/dispatcher.ts';

let app: App | null = null;
let booted = false;

const worker: ExportedHandler<Bindings, IngestMessage> = {
  async fetch(request, env, ctx) {
    app ??= createApp(env);
    if (!booted) {
      // The first request of an isolate wakes the default cell, so that what a lost process was doing goes on at once.
      booted = true;
      ctx.waitUntil(cellStub(env, 'default').boot());
    }
    return app.fetch(request, env, ctx);
  },

  async queue(batch, env) {
    if (!batch.queue.endsWith('ingest')) {
      for (const message of batch.messages)
        console.error(
          `message ${message.id} of ${batch.queue} could not be processed:`,
          JSON.stringify(message.body).slice(0, 500),
        );
      batch.ackAll();
      return;
    }
    for (const message of batch.messages) {
      try {
        await cellStub(env, message.body.cell).apply(message.body.commands);
        message.ack();
      } catch (error) {
        console.error('ingest message failed, will be tried again:', error);
        message.retry();
      }
    }
  },
};

export default worker;
