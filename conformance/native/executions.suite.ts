import { expect, suite } from '../harness/index.ts';

const TOKEN = 'eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=';

interface Execution {
  id: string;
  status: string;
  seq: number;
  pending: Array<{ kind: string; dueAt: number }>;
}

suite({ vendor: 'native', name: 'executions', sdk: 'fetch, WebSocket' }, (s) => {
  s.case(
    ['N-20'],
    'a run is read, its history is held open for news, and its end is told over a WebSocket',
    async (ctx) => {
      const bodies: string[] = [];
      const app = await ctx.serveHttp(async (request) => {
        bodies.push(await request.text());
        return new Response('thanks');
      });
      const published = await fetch(`${ctx.url}/v2/publish/${app.url}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKEN}`, 'upstash-delay': '60s' },
        body: 'hello',
      });
      const id = ((await published.json()) as { messageId: string }).messageId.replace(/^msg_/, '');
      const read = async (): Promise<Execution> =>
        (await fetch(`${ctx.url}/api/executions/${id}`)).json() as Promise<Execution>;
      const before = await read();
      expect.deepEqual([before.status, before.pending.map((one) => one.kind)], ['running', ['call']]);

      const frames: Array<{ type: string; run: string; status: string; seq: number }> = [];
      const socket = new WebSocket(`${ctx.url.replace('http', 'ws')}/api/executions/${id}/live`);
      socket.addEventListener('message', (event) =>
        frames.push(JSON.parse(String(event.data)) as (typeof frames)[number]),
      );
      await ctx.until(() => frames.length === 1, { what: 'the first frame' });
      const held = fetch(`${ctx.url}/api/executions/${id}/history?after=${before.seq}&waitMs=20000`);
      await ctx.clock.advance(60_000);
      await ctx.until(() => frames.at(-1)?.status === 'completed', { what: 'the frame of the end' });
      socket.close();

      expect.deepEqual(bodies, ['hello']);
      expect.deepEqual(frames[0], { type: 'run-changed', run: id, status: 'running', seq: before.seq });
      const news = (await (await held).json()) as { items: Array<{ kind: string; status?: string }>; seq: number };
      expect.deepEqual([news.items.at(-1)?.kind, news.items.at(-1)?.status], ['end', 'completed']);
      expect.equal((await read()).status, 'completed');
      const list = (await (await fetch(`${ctx.url}/api/executions?status=completed&limit=200`)).json()) as {
        items: Execution[];
      };
      expect.ok(list.items.some((one) => one.id === id));
    },
  );

  s.case(['N-20'], 'what is not there is 404, what is wrong is 400 and names the field', async (ctx) => {
    expect.equal((await fetch(`${ctx.url}/api/executions/none`)).status, 404);
    expect.equal((await fetch(`${ctx.url}/api/executions/none/history`)).status, 404);
    expect.equal((await fetch(`${ctx.url}/api/executions/none/live`)).status, 426);
    const wrong = await fetch(`${ctx.url}/api/executions?limit=1000`);
    expect.equal(wrong.status, 400);
    expect.match(await wrong.text(), /limit/);
  });

  s.case(['N-20'], 'in production it is closed without its key', async (ctx) => {
    const server = await ctx.startServer({ mode: 'production', env: { REPOINT_API_KEY: 'secret' } });
    const status = async (key?: string): Promise<number> =>
      (
        await fetch(
          `${server.url}/api/executions`,
          key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } },
        )
      ).status;
    expect.deepEqual([await status(), await status('wrong'), await status('secret')], [401, 401, 200]);
  });
});
