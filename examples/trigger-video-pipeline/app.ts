import { createServer, type ServerResponse } from 'node:http';
import { runs, tasks } from '@trigger.dev/sdk';
import type { makeVideo } from './src/trigger/pipeline.ts';

const PAGE = `<!doctype html>
<meta charset="utf-8"><title>Video pipeline</title>
<h1>Video pipeline</h1>
<button>Make a video</button> <progress max="4" value="0"></progress> <p id="phase"></p><ul></ul>
<script>
  const show = (run) => {
    const progress = run.metadata || {};
    document.querySelector('progress').value = progress.done || 0;
    document.querySelector('#phase').textContent = run.status + ' ' + (progress.phase || '');
    document.querySelector('ul').replaceChildren(...(progress.formats || []).map((format) => {
      const item = document.createElement('li');
      item.textContent = format;
      return item;
    }));
  };
  document.querySelector('button').onclick = async () => {
    const { id } = await (await fetch('/videos', { method: 'POST' })).json();
    const source = new EventSource('/videos/' + id);
    source.onmessage = (event) => show(JSON.parse(event.data));
    source.addEventListener('end', () => source.close());
  };
</script>`;

/** A page that starts a video and shows how far it is: each change of the run comes by itself, nobody asks again and again. */
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://page');
  const followed = /^\/videos\/(run_[a-z0-9]+)$/.exec(pathname)?.[1];
  const answer = followed
    ? follow(followed, response)
    : request.method === 'POST' && pathname === '/videos'
      ? start(response)
      : Promise.resolve(response.setHeader('content-type', 'text/html').end(PAGE));
  answer.catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
});

async function start(response: ServerResponse): Promise<void> {
  const videoId = `v${Date.now()}`;
  const { id } = await tasks.trigger<typeof makeVideo>('make-video', { videoId }, { tags: [`video_${videoId}`] });
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ id, videoId }));
}

async function follow(id: string, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  for await (const run of runs.subscribeToRun<typeof makeVideo>(id)) {
    const { status, metadata, output } = run;
    response.write(`data: ${JSON.stringify({ status, metadata, output })}\n\n`);
  }
  response.end('event: end\ndata: {}\n\n');
}

server.listen(Number(process.env.PORT ?? 3_000), '127.0.0.1', () => {
  const address = server.address();
  console.log(`listening on http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
});
