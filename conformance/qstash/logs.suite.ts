import { custom, resend } from '@upstash/qstash';
import { expect, suite } from '../harness/index.ts';
import { call, clientOf, destination, fromBase64 } from './support.ts';

suite({ vendor: 'qstash', name: 'logs', sdk: '@upstash/qstash 2.12.0' }, (s) => {
  s.case(
    ['Q-53', 'Q-54', 'Q-40', 'Q-51'],
    'logs are paged to the end, newest message first, and filtered',
    async (context) => {
      const app = await destination(
        context,
        ({ path }) => new Response(`re ${path}`, { status: path === '/bad' ? 400 : 200 }),
      );
      const client = clientOf(context);
      const label = context.unique('log');
      const ids: string[] = [];
      for (const path of ['/1', '/bad', '/3']) {
        ids.push((await client.publish({ url: app.url + path, body: path, label, retries: 0 })).messageId);
        await context.until(() => app.received.length === ids.length);
        await context.clock.advance(10);
      }
      await context.until(() => app.received.length === 3);
      await context.clock.idle();
      const pages: string[][] = [];
      for (let cursor: string | undefined; ;) {
        const page = await client.logs({ filter: { label }, count: 3, ...(cursor === undefined ? {} : { cursor }) });
        pages.push(page.logs.map(({ messageId, state }) => `${ids.indexOf(messageId) + 1} ${state}`));
        // As the vendor's own test reads it.
        const before = Number.parseInt(page.cursor?.split('-')[0] ?? '0', 10);
        expect.ok(cursor === undefined || before < Number.parseInt(cursor.split('-')[0] as string, 10));
        cursor = page.cursor;
        if (cursor === undefined) break;
      }
      expect(pages.every((page) => page.length <= 3));
      expect.deepEqual(pages.flat(), [
        ...['3 DELIVERED', '3 ACTIVE', '3 CREATED'],
        ...['2 FAILED', '2 ERROR', '2 ACTIVE', '2 CREATED'],
        ...['1 DELIVERED', '1 ACTIVE', '1 CREATED'],
      ]);
      const failed = await client.logs({ filter: { label, state: 'FAILED' } });
      expect.deepEqual(
        failed.logs.map(({ messageId }) => messageId),
        [ids[1]],
      );
      const raw = failed.logs[0] as unknown as Record<string, unknown>;
      expect.equal(raw.error, '400 Bad Request');
      expect.equal(raw.responseStatus, 400);
      expect.equal(fromBase64(raw.responseBody as string), 're /bad');
      expect.deepEqual([raw.label, raw.labels], [label, [label]]);
      const documented = await call(context, 'GET', `/v2/logs?messageIds=${ids[0]},${ids[2]}&state=DELIVERED`);
      const { logs } = (await documented.json()) as { logs: Array<{ messageId: string }> };
      expect.deepEqual(logs.map(({ messageId }) => messageId).sort(), [ids[0], ids[2]].sort());
    },
  );

  s.case(['Q-55', 'Q-38'], 'a cancelled message is spelled CANCELED and found by both spellings', async (context) => {
    const client = clientOf(context);
    const { messageId } = await client.publish({ url: 'https://example.com', body: 'x', delay: '1d' });
    await client.messages.delete(messageId);
    for (const state of ['CANCELED', 'CANCELLED']) {
      const { logs } = await client.logs({ filter: { messageId, state: state as 'CANCELED' } });
      expect.deepEqual(
        logs.map((log) => log.state),
        ['CANCELED'],
      );
    }
    const hangs = await destination(context, () => new Promise<Response>(() => {}));
    const active = await client.publish({ url: hangs.url, body: 'x' });
    await context.until(() => hangs.received.length === 1);
    await client.messages.delete(active.messageId);
    const { logs } = await client.logs({ filter: { messageId: active.messageId } });
    expect.deepEqual(
      logs.map((log) => log.state),
      ['CANCELED', 'CANCEL_REQUESTED', 'ACTIVE', 'CREATED'],
    );
  });

  s.case(['Q-58', 'Q-32'], 'a model and a mail provider are plain destinations', async (context) => {
    const provider = await destination(context, () => Response.json({ choices: [] }));
    const back = await destination(context);
    const client = clientOf(context);
    await client.publishJSON({
      api: { name: 'llm', provider: custom({ baseUrl: provider.url, token: 'llm-key' }) },
      body: { model: 'm', messages: [] },
      callback: back.url,
    });
    await context.until(() => back.received.length === 1);
    const [request] = provider.received;
    expect.equal(request?.path, '/v1/chat/completions');
    expect.equal(request?.headers.get('authorization'), 'Bearer llm-key');
    expect.deepEqual(JSON.parse(request?.body ?? ''), { model: 'm', messages: [] });
    const { messageId } = await client.publishJSON({
      api: { name: 'email', provider: resend({ token: 'mail-key' }) },
      body: { to: 'x@example.com' },
      delay: '1d',
    });
    const message = await client.messages.get(messageId);
    expect.equal(message.url, 'https://api.resend.com/emails');
    expect.deepEqual(message.header?.['Authorization'], ['Bearer mail-key']);
    await client.messages.cancel(messageId);
  });

  s.case(['Q-50'], 'global parallelism shows what is under way', async (context) => {
    let release = (): void => {};
    const app = await destination(
      context,
      () => new Promise<Response>((resolve) => (release = () => resolve(new Response('')))),
    );
    const client = clientOf(context);
    await client.publish({ url: app.url, body: 'x' });
    await context.until(() => app.received.length === 1);
    const { parallelismCount, parallelismMax } = await client.flowControl.getGlobalParallelism();
    expect.equal(parallelismCount, 1);
    expect(parallelismMax > 1);
    release();
    await context.clock.idle();
    expect.equal((await client.flowControl.getGlobalParallelism()).parallelismCount, 0);
  });
});
