import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { runs, tasks, wait } from '@trigger.dev/sdk';
import type { Decision, publishPost } from './src/trigger/review.ts';

/** The reviewer's page: what waits for a decision, and two buttons. */
const server = createServer((request, response) => {
  handle(request, response).catch((error: unknown) => {
    response.writeHead(500).end(error instanceof Error ? error.message : 'failed');
  });
});

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'http://page');
  const run = /^\/posts\/(run_[a-z0-9]+)$/.exec(pathname)?.[1];
  if (request.method === 'POST' && pathname === '/posts') {
    const post = (await bodyOf(request)) as { title: string; within?: string };
    const { id } = await tasks.trigger<typeof publishPost>('publish-post', post);
    return void response.end(JSON.stringify({ id }));
  }
  if (!run) return void response.writeHead(404).end();
  const { metadata } = await runs.retrieve<typeof publishPost>(run);
  const review = metadata?.review as { token: string; draft: string } | undefined;
  if (!review) return void response.writeHead(404).end('nothing to review yet');
  if (request.method === 'POST') {
    await wait.completeToken<Decision>(review.token, (await bodyOf(request)) as Decision);
    return void response.end('thank you');
  }
  response.setHeader('content-type', 'text/html').end(`<!doctype html><meta charset="utf-8"><pre></pre>
<button value="true">Publish</button> <button value="false">Reject</button>
<script>
  document.querySelector('pre').textContent = ${JSON.stringify(review.draft).replaceAll('<', '\\u003c')};
  for (const button of document.querySelectorAll('button'))
    button.onclick = () =>
      fetch('', { method: 'POST', body: JSON.stringify({ approved: button.value === 'true', by: 'the reviewer' }) });
</script>`);
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString());
}

server.listen(Number(process.env.PORT ?? 3_001), '127.0.0.1', () => {
  const address = server.address();
  console.log(`listening on http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
});
