import { expect, suite } from '../harness/index.ts';
import { call, clientOf, destination } from './support.ts';

const HOUR_MS = 3_600_000;

suite({ vendor: 'qstash', name: 'flow control', sdk: '@upstash/qstash 2.12.0' }, (s) => {
  s.case(
    ['Q-48', 'Q-49'],
    'a rate lets its number through in a period, over all URLs and in order; the rest is the wait list',
    async (context) => {
      const app = await destination(context);
      const client = clientOf(context);
      const key = context.unique('rate');
      const flowControl = { key, rate: 3, period: '1h' } as const;
      for (const body of ['1', '2', '3', '4', '5', '6', '7'])
        await client.publish({ url: `${app.url}/${body}`, body, flowControl });
      await context.clock.idle();
      expect.deepEqual(app.bodies().sort(), ['1', '2', '3']);
      const info = await client.flowControl.get(key);
      expect.deepEqual(
        [info.waitListSize, info.rateMax, info.rateCount, info.ratePeriod, info.parallelismMax, info.isPaused],
        [4, 3, 3, 3_600, 0, false],
      );
      await context.clock.advance(HOUR_MS - 60_000);
      expect.equal(app.received.length, 3);
      await context.clock.advance(60_000);
      expect.deepEqual(app.bodies().slice(3).sort(), ['4', '5', '6']);
      const later = await client.flowControl.get(key);
      expect.equal((later.ratePeriodStart ?? 0) - (info.ratePeriodStart ?? 0), 3_600);
      await context.clock.advance(HOUR_MS);
      expect.equal(app.bodies().at(-1), '7');
      expect.equal((await client.flowControl.get(key)).waitListSize, 0);
    },
  );

  s.case(['Q-48'], 'a retry counts as a delivery', async (context) => {
    const app = await destination(context, (_, n) => new Response('', { status: n === 1 ? 500 : 200 }));
    const client = clientOf(context);
    const flowControl = { key: context.unique('rate'), rate: 1, period: '1h' } as const;
    await client.publish({ url: app.url, body: 'a', flowControl, retries: 1, retryDelay: '1000' });
    await context.clock.advance(HOUR_MS - 1_000);
    expect.equal(app.received.length, 1);
    await context.clock.advance(1_000);
    expect.equal(app.received.length, 2);
  });

  s.case(['Q-48'], 'rate and parallelism of one key hold at once', async (context) => {
    let open = 0;
    let most = 0;
    const app = await destination(context, async () => {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setTimeout(resolve, 25));
      open--;
      return new Response('');
    });
    const client = clientOf(context);
    const flowControl = { key: context.unique('both'), rate: 5, period: '1h', parallelism: 2 } as const;
    await Promise.all(Array.from({ length: 8 }, (_, i) => client.publishJSON({ url: app.url, body: i, flowControl })));
    await context.clock.idle();
    expect.deepEqual([app.received.length, most], [5, 2]);
    await context.clock.advance(HOUR_MS);
    expect.deepEqual([app.received.length, most], [8, 2]);
  });

  s.case(['Q-48'], 'the newest message says how much, also for those that wait', async (context) => {
    const app = await destination(context);
    const client = clientOf(context);
    const key = context.unique('newest');
    for (const body of ['1', '2', '3', '4'])
      await client.publish({ url: app.url, body, flowControl: { key, rate: 1, period: '1d' } });
    await context.clock.idle();
    expect.equal(app.received.length, 1);
    await client.publish({ url: app.url, body: '5', flowControl: { key, rate: 4, period: '1d' } });
    await context.clock.idle();
    expect.deepEqual(app.bodies().sort(), ['1', '2', '3', '4']);
  });

  s.case(['Q-49'], 'a rate is pinned, reset and unpinned; keys are listed and searched', async (context) => {
    const app = await destination(context);
    const client = clientOf(context);
    const key = context.unique('admin');
    const flowControl = { key, rate: 100, period: '1d' } as const;
    await client.flowControl.pin(key, { rate: 1, period: 3_600 });
    for (const body of ['1', '2', '3', '4']) await client.publish({ url: app.url, body, flowControl });
    await context.clock.idle();
    expect.equal(app.received.length, 1);
    const pinned = await client.flowControl.get(key);
    expect.deepEqual([pinned.rateMax, pinned.ratePeriod, pinned.rateCount, pinned.isPinnedRate], [1, 3_600, 1, true]);
    await client.flowControl.resetRate(key);
    await context.clock.idle();
    expect.equal(app.received.length, 2);
    await client.flowControl.pause(key);
    await client.flowControl.unpin(key, { rate: true });
    await context.clock.idle();
    const paused = await client.flowControl.get(key);
    expect.deepEqual(
      [paused.isPaused, paused.isPinnedRate, paused.rateMax, paused.waitListSize],
      [true, false, 100, 2],
    );
    expect.equal(app.received.length, 2);
    await client.flowControl.resume(key);
    await context.until(() => app.received.length === 4);
    const other = context.unique('other');
    await client.publish({ url: app.url, body: 'x', flowControl: { key: other, parallelism: 1 } });
    const keysOf = async (query: string): Promise<string[]> => {
      const list = (await (await call(context, 'GET', `/v2/flowControl${query}`)).json()) as Array<{
        flowControlKey: string;
      }>;
      return list.map(({ flowControlKey }) => flowControlKey);
    };
    expect.deepEqual(await keysOf(`?search=${key}`), [key]);
    expect.ok((await keysOf('')).includes(other));
  });

  s.case(['Q-50'], 'the server tells how many deliveries go at once, and how many may', async (context) => {
    const client = clientOf(context);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const app = await destination(context, async () => {
      await held;
      return new Response('');
    });
    const before = await client.flowControl.getGlobalParallelism();
    expect.ok(before.parallelismMax > 0);
    await client.publish({ url: app.url, body: '1' });
    await context.until(() => app.received.length === 1);
    expect.equal((await client.flowControl.getGlobalParallelism()).parallelismCount, before.parallelismCount + 1);
    release();
    await context.clock.idle();
  });

  s.case(['Q-42'], 'a queue of two waits for the callbacks of each message, retries included', async (context) => {
    let refuse = 2;
    const order: string[] = [];
    const callbacks = await destination(context, (request) => {
      const { sourceBody } = JSON.parse(request.body) as { sourceBody: string };
      const body = Buffer.from(sourceBody, 'base64').toString();
      if (body === '1' && refuse-- > 0) return new Response('', { status: 500 });
      order.push(`callback ${body}`);
      return new Response('');
    });
    const app = await destination(context, (request) => {
      order.push(request.body);
      return new Response('');
    });
    const client = clientOf(context);
    const queue = client.queue({ queueName: context.unique('pair') });
    await queue.upsert({ parallelism: 2 });
    const options = { url: app.url, callback: callbacks.url, retries: 3, retryDelay: '60000' };
    await queue.pause();
    for (const body of ['1', '2', '3', '4']) await queue.enqueue({ ...options, body });
    await queue.resume();
    await context.until(() => order.includes('callback 4'));
    // The place of the first message is kept by its callback, that of the second goes on.
    expect.deepEqual(
      order.filter((line) => !line.startsWith('callback')),
      ['1', '2', '3', '4'],
    );
    expect.ok(order.indexOf('callback 3') < order.indexOf('4'));
    expect.ok(!order.includes('callback 1'));
    // The last callback has arrived; that it was answered is known a moment later.
    await context.until(async () => (await queue.get()).lag === 1);
    await context.clock.advance(130_000);
    expect.equal(order.at(-1), 'callback 1');
    expect.equal((await queue.get()).lag, 0);
  });
});
