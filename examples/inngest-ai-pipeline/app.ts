import { createServer } from 'node:http';
import { Inngest } from 'inngest';
import { serve } from 'inngest/node';
import { createModelStub } from './model-stub.ts';
import { createPipeline } from './pipeline.ts';

const port = Number(process.env.PORT ?? 3000);
const modelPort = Number(process.env.MODEL_PORT ?? port + 1);
const stub = createModelStub();

createServer((incoming, outgoing) => {
  const chunks: Buffer[] = [];
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
  incoming.on('end', () => {
    const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
    const request = new Request(`http://127.0.0.1:${modelPort}${incoming.url}`, {
      method: 'POST',
      headers,
      body: Buffer.concat(chunks),
    });
    void stub.handle(request).then(async (response) => {
      outgoing.writeHead(response.status, Object.fromEntries(response.headers));
      outgoing.end(await response.text());
    });
  });
}).listen(modelPort, '127.0.0.1');

const inngest = new Inngest({ id: 'letters' });
const functions = createPipeline(inngest, {
  baseUrl: process.env.MODEL_URL ?? `http://127.0.0.1:${modelPort}/v1/`,
  apiKey: process.env.MODEL_KEY ?? 'stub-key',
});

createServer(serve({ client: inngest, functions })).listen(port, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${port}/api/inngest`);
});
