import { expect, suite } from '../harness/index.ts';
import { call, clientOf, destination, fromBase64 } from './support.ts';

const HOUR_MS = 3_600_000;

suite({ vendor: 'qstash', name: 'retries', sdk: '@upstash/qstash 2.12.0' }, (s) => {
  s.case(['Q-21', 'Q-22', 'Q-53', 'Q-54'], 'a message is retried by the curve until it succeeds', async (context) => {
    const at: number[] = [];
    const app = await destination(context, async (_, n) => {
      at.push(await context.clock.now());
      return new Response('', { status: n < 4 ? 503 : 200 });
    });
    const client = clientOf(context);
    const { messageId } = await client.publish({ url: app.url, body: 'again', retries: 5 });
    await context.until(() => app.received.length === 1);
    await context.clock.advance(8 * HOUR_MS);
    expect.deepEqual(
      app.received.map(({ headers }) => headers.get('upstash-retried')),
      ['0', '1', '2', '3'],
    );
    expect.deepEqual(
      app.received.map(({ headers }) => headers.get('upstash-message-id')),
      Array(4).fill(messageId),
    );
    const gaps = at.slice(1).map((time, i) => (time - (at[i] as number)) / 1000);
    // e^(2.5 n) seconds: 12 s, 2 min 28 s, 30 min 8 s.
    for (const [i, expected] of [12, 148, 1808].entries()) expect(Math.abs((gaps[i] ?? 0) - expected) < 5, `${gaps}`);
    const { logs, cursor } = await client.logs({ filter: { messageId } });
    expect.equal(cursor, undefined);
    expect.deepEqual(logs.map(({ state }) => state).reverse(), [
      'CREATED',
      'ACTIVE',
      'ERROR',
      'RETRY',
      'ACTIVE',
      'ERROR',
      'RETRY',
      'ACTIVE',
      'ERROR',
      'RETRY',
      'ACTIVE',
      'DELIVERED',
    ]);
    expect.equal(fromBase64(logs[0]?.body ?? ''), 'again');
  });

  s.case(['Q-23'], "the retry delay is the publisher's formula", async (context) => {
    const at: number[] = [];
    const app = await destination(context, async () => {
      at.push(await context.clock.now());
      return new Response('', { status: 500 });
    });
    await clientOf(context).publish({ url: app.url, body: 'x', retries: 2, retryDelay: 'pow(2, retried) * 60000' });
    await context.until(() => app.received.length === 1);
    await context.clock.advance(HOUR_MS);
    const gaps = at.slice(1).map((time, i) => Math.round((time - (at[i] as number)) / 1000));
    expect.equal(at.length, 3);
    for (const [i, expected] of [60, 120].entries()) expect(Math.abs((gaps[i] ?? 0) - expected) <= 3, `${gaps}`);
  });

  s.case(['Q-24'], 'Retry-After decides when the next attempt is made', async (context) => {
    const at: number[] = [];
    const app = await destination(context, async (_, n) => {
      at.push(await context.clock.now());
      return new Response('', { status: n === 1 ? 429 : 200, headers: { 'retry-after': '2h' } });
    });
    await clientOf(context).publish({ url: app.url, body: 'x' });
    await context.until(() => app.received.length === 1);
    await context.clock.advance(HOUR_MS);
    expect.equal(app.received.length, 1);
    await context.clock.advance(HOUR_MS + 5_000);
    expect.equal(app.received.length, 2);
  });

  s.case(['Q-25', 'Q-27'], '489 is not retried, a redirect is a failure and is not followed', async (context) => {
    const app = await destination(context, ({ path }) =>
      path === '/never'
        ? new Response('no', { status: 489, headers: { 'upstash-nonretryable-error': 'true' } })
        : new Response(null, { status: 302, headers: { location: '/elsewhere' } }),
    );
    const client = clientOf(context);
    const { messageId } = await client.publish({ url: `${app.url}/never`, body: 'x' });
    await client.publish({ url: `${app.url}/moved`, body: 'x', retries: 0 });
    await context.until(() => app.received.length === 2);
    await context.clock.advance(24 * HOUR_MS);
    expect.deepEqual(app.received.map(({ path }) => path).sort(), ['/moved', '/never']);
    const { messages } = await client.dlq.listMessages({ filter: { messageId } });
    expect.deepEqual(
      messages.map(({ responseStatus }) => responseStatus),
      [489],
    );
  });

  s.case(['Q-26'], 'an attempt ends after its timeout', async (context) => {
    const app = await destination(context, async (_, n) => {
      if (n === 1) await new Promise((resolve) => setTimeout(resolve, 2_500));
      return new Response('ok');
    });
    await clientOf(context).publish({ url: app.url, body: 'x', timeout: 1, retryDelay: '1000' });
    await context.until(() => app.received.length === 1);
    await context.clock.idle();
    await context.clock.advance(10_000);
    expect.deepEqual(
      app.received.map(({ headers }) => headers.get('upstash-retried')),
      ['0', '1'],
    );
  });

  s.case(
    ['Q-21', 'Q-54', 'Q-56', 'Q-57'],
    'after its last retry a message is in the dead letter queue and comes back by a DLQ retry',
    async (context) => {
      let healthy = false;
      const app = await destination(context, () =>
        healthy ? new Response('ok') : new Response('404 Not Found', { status: 404, headers: { 'x-why': 'gone' } }),
      );
      const client = clientOf(context);
      const { messageId } = await client.publishJSON({
        url: app.url,
        body: { a: 1 },
        retries: 1,
        headers: { 'x-mine': '1' },
      });
      await context.until(() => app.received.length === 1);
      await context.clock.advance(HOUR_MS);
      expect.equal(app.received.length, 2);
      await expect.rejects(client.messages.get(messageId), { status: 404 });

      const { messages } = await client.dlq.listMessages({ filter: { messageId } });
      expect.equal(messages.length, 1);
      const [letter] = messages;
      expect.equal(letter?.messageId, messageId);
      expect.equal(letter?.responseStatus, 404);
      expect.equal(letter?.responseBody, '404 Not Found');
      expect.deepEqual(letter?.responseHeader?.['X-Why'], ['gone']);
      expect.deepEqual(letter?.header, { 'Content-Type': ['application/json'], 'X-Mine': ['1'] });
      expect.equal(letter?.body, '{"a":1}');
      const workflow = await call(context, 'GET', '/v2/dlq?source=workflow');
      const listed = (await workflow.json()) as { messages: Array<{ messageId: string }> };
      expect.equal(
        listed.messages.some((item) => item.messageId === messageId),
        false,
      );

      healthy = true;
      const dlqId = letter?.dlqId ?? '';
      const { responses } = await client.dlq.retry(dlqId);
      expect.equal(responses.length, 1);
      expect.notEqual(responses[0]?.messageId, messageId);
      await context.until(() => app.received.length === 3);
      expect.equal(app.received[2]?.body, '{"a":1}');
      expect.equal(app.received[2]?.headers.get('x-mine'), '1');
      expect.equal(app.received[2]?.headers.get('upstash-message-id'), responses[0]?.messageId);
      await expect.rejects(client.dlq.delete(dlqId), { status: 404 });
      expect.deepEqual((await client.dlq.listMessages({ filter: { messageId } })).messages, []);
      const { logs } = await client.logs({ filter: { messageId } });
      expect.deepEqual(logs.map(({ state }) => state).reverse(), [
        'CREATED',
        'ACTIVE',
        'ERROR',
        'RETRY',
        'ACTIVE',
        'ERROR',
        'FAILED',
      ]);
    },
  );

  s.case(
    ['Q-56', 'Q-39'],
    'dead letters are deleted by id, by count and never by a misspelt filter',
    async (context) => {
      const app = await destination(context, () => new Response('', { status: 500 }));
      const client = clientOf(context);
      const label = context.unique('dlq');
      for (let i = 0; i < 3; i++) await client.publish({ url: app.url, body: 'x', retries: 0, label });
      await context.until(async () => (await client.dlq.listMessages({ filter: { label } })).messages.length === 3);
      const page = await client.dlq.listMessages({ filter: { label }, count: 2 });
      expect.equal(page.messages.length, 2);
      const rest = await client.dlq.listMessages({ filter: { label }, count: 2, cursor: page.cursor ?? '' });
      expect.equal(rest.messages.length, 1);
      expect.equal(rest.cursor, undefined);
      await expect.rejects(client.dlq.delete({ filter: { labeel: label } as never }), { status: 400 });
      const deleted = (await client.dlq.delete({ filter: { label }, count: 1 })) as { deleted: number };
      expect.equal(deleted.deleted, 1);
      const ids = (await client.dlq.listMessages({ filter: { label } })).messages.map(({ dlqId }) => dlqId);
      expect.equal(ids.length, 2);
      const python = await call(context, 'DELETE', '/v2/dlq', { body: JSON.stringify({ dlqIds: ids }) });
      expect.equal(((await python.json()) as { deleted: number }).deleted, 2);
      await expect.rejects(client.dlq.delete(ids[0] ?? ''), { status: 404 });
    },
  );

  s.case(['Q-32', 'Q-34'], 'a callback follows every attempt', async (context) => {
    const back = await destination(context);
    const app = await destination(
      context,
      (_, n) => new Response(`answer ${n}`, { status: n === 1 ? 500 : 201, headers: { 'x-n': String(n) } }),
    );
    const { messageId } = await clientOf(context).publishJSON({
      url: app.url,
      body: { a: 1 },
      headers: {
        'x-mine': '1',
        'Upstash-Callback-Method': 'PUT',
        'Upstash-Callback-Forward-X-Back': 'yes',
      },
      callback: `${back.url}/cb`,
      retries: 2,
    });
    await context.until(() => back.received.length === 1);
    await context.clock.advance(60_000);
    await context.until(() => back.received.length === 2);
    const [first, second] = back.received.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
    expect.deepEqual(
      back.received.map(({ method, path }) => `${method} ${path}`),
      ['PUT /cb', 'PUT /cb'],
    );
    expect.equal(back.received[0]?.headers.get('x-back'), 'yes');
    expect.equal(back.received[0]?.headers.get('x-mine'), null);
    expect.deepEqual([first?.status, first?.retried, first?.maxRetries], [500, 0, 2]);
    expect.deepEqual([second?.status, second?.retried], [201, 1]);
    expect.equal(fromBase64(second?.body as string), 'answer 2');
    expect.deepEqual((second?.header as Record<string, string[]> | undefined)?.['X-N'], ['2']);
    expect.equal(second?.sourceMessageId, messageId);
    expect.equal(second?.url, app.url);
    expect.equal(second?.method, 'POST');
    expect.equal(fromBase64(second?.sourceBody as string), '{"a":1}');
    expect.deepEqual((second?.sourceHeader as Record<string, string[]> | undefined)?.['X-Mine'], ['1']);
    expect.equal(first?.dlqId, undefined);
  });

  s.case(['Q-33'], 'a failure callback follows the last attempt only and names the dead letter', async (context) => {
    const back = await destination(context);
    const app = await destination(context, () => new Response('broken', { status: 500 }));
    const client = clientOf(context);
    const { messageId } = await client.publish({ url: app.url, body: 'src', failureCallback: back.url, retries: 1 });
    await context.until(() => app.received.length === 1);
    await context.clock.idle();
    expect.equal(back.received.length, 0);
    await context.clock.advance(60_000);
    await context.until(() => back.received.length === 1);
    const body = JSON.parse(back.received[0]?.body ?? '{}') as Record<string, unknown>;
    const { messages } = await client.dlq.listMessages({ filter: { messageId } });
    expect.equal(body.dlqId, messages[0]?.dlqId);
    expect.deepEqual([body.status, body.retried, body.maxRetries], [500, 1, 1]);
    expect.equal(fromBase64(body.body as string), 'broken');
    expect.equal(fromBase64(body.sourceBody as string), 'src');
  });

  s.case(['Q-53'], 'a destination that refuses the connection is logged and retried', async (context) => {
    const gone = await context.serveHttp(() => new Response(''));
    await gone.close();
    const client = clientOf(context);
    const { messageId } = await client.publish({ url: gone.url, body: 'x', retries: 0 });
    const letter = await context.until(
      async () => (await client.dlq.listMessages({ filter: { messageId } })).messages[0],
    );
    expect.equal(letter.responseStatus, 0);
    const { logs } = await client.logs({ filter: { messageId } });
    expect.deepEqual(logs.map(({ state }) => state).reverse(), ['CREATED', 'ACTIVE', 'ERROR', 'FAILED']);
    expect(typeof logs[0]?.error === 'string' && logs[0].error !== '');
  });
});
