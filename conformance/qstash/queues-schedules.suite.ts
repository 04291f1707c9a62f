import { expect, suite } from '../harness/index.ts';
import { call, clientOf, destination } from './support.ts';

suite({ vendor: 'qstash', name: 'queues', sdk: '@upstash/qstash 2.12.0' }, (s) => {
  s.case(
    ['Q-11', 'Q-42'],
    'a queue delivers first in, first out, and waits for retries and callbacks',
    async (context) => {
      const order: string[] = [];
      let open = 0;
      let most = 0;
      const back = await destination(context, async ({ body }) => {
        const { sourceBody } = JSON.parse(body) as { sourceBody: string };
        await new Promise((resolve) => setTimeout(resolve, 30));
        order.push(`callback ${atob(sourceBody)}`);
        return new Response('');
      });
      const app = await destination(context, async ({ body }, n) => {
        most = Math.max(most, ++open);
        order.push(body);
        await new Promise((resolve) => setTimeout(resolve, 20));
        open--;
        return new Response('', { status: n === 1 ? 500 : 200 });
      });
      const queue = clientOf(context).queue({ queueName: context.unique('fifo') });
      const options = { url: app.url, retryDelay: '1000', callback: back.url };
      for (const body of ['1', '2', '3']) await queue.enqueue({ ...options, body });
      await context.until(() => order.length >= 1);
      await context.clock.idle();
      await context.clock.advance(5_000);
      await context.until(() => order.length === 8);
      expect.equal(most, 1);
      // The first attempt's callback is in nobody's way; those that end a message are.
      const [first, ...rest] = order;
      expect.equal(first, '1');
      expect.deepEqual(rest.slice(1), ['1', 'callback 1', '2', 'callback 2', '3', 'callback 3']);
    },
  );

  s.case(['Q-41', 'Q-11'], 'queues are made, changed, paused, resumed and deleted', async (context) => {
    const app = await destination(context);
    const client = clientOf(context);
    const name = context.unique('queue');
    const queue = client.queue({ queueName: name });
    await expect.rejects(queue.get(), { status: 404 });
    await queue.enqueueJSON({ url: app.url, body: 0 });
    await context.until(() => app.received.length === 1);
    expect.equal((await queue.get()).parallelism, 1);
    await queue.upsert({ parallelism: 2 });
    await queue.pause();
    for (const body of [1, 2, 3]) await queue.enqueueJSON({ url: app.url, body });
    await context.clock.idle();
    expect.equal(app.received.length, 1);
    const paused = await queue.get();
    expect.deepEqual(
      { ...paused, createdAt: 0, updatedAt: 0 },
      { name, createdAt: 0, updatedAt: 0, parallelism: 2, lag: 3, paused: true },
    );
    await queue.resume();
    await context.until(() => app.received.length === 4);
    await context.clock.idle();
    expect.equal((await client.queue().list()).find((item) => item.name === name)?.lag, 0);
    await queue.delete();
    await expect.rejects(queue.get(), { status: 404 });
    await queue.delete();
  });

  s.case(['Q-41', 'Q-42'], 'parallelism bounds how many messages of a queue are under way', async (context) => {
    let open = 0;
    let most = 0;
    const app = await destination(context, async () => {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setTimeout(resolve, 50));
      open--;
      return new Response('');
    });
    const queue = clientOf(context).queue({ queueName: context.unique('wide') });
    await queue.upsert({ parallelism: 3 });
    await Promise.all(Array.from({ length: 9 }, (_, i) => queue.enqueueJSON({ url: app.url, body: i })));
    await context.until(() => app.received.length === 9);
    expect.equal(most, 3);
  });

  s.case(['Q-37'], 'a flow-control key bounds parallel deliveries over all URLs', async (context) => {
    let open = 0;
    let most = 0;
    const app = await destination(context, async () => {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setTimeout(resolve, 50));
      open--;
      return new Response('');
    });
    const client = clientOf(context);
    const key = context.unique('flow');
    const flowControl = { key, parallelism: 2, rate: 100, period: '1d' } as const;
    const { messageId } = await client.publishJSON({ url: `${app.url}/0`, body: 0, flowControl, delay: '1h' });
    const message = await client.messages.get(messageId);
    expect.deepEqual(
      [message.flowControlKey, message.parallelism, message.rate, message.period],
      [key, 2, 100, 86_400],
    );
    const info = await client.flowControl.get(key);
    expect.deepEqual([info.flowControlKey, info.parallelismMax, info.rateMax, info.ratePeriod], [key, 2, 100, 86_400]);
    await Promise.all(
      Array.from({ length: 8 }, (_, i) => client.publishJSON({ url: `${app.url}/${i}`, body: i, flowControl })),
    );
    await context.until(() => app.received.length === 8);
    expect.equal(most, 2);
    await client.flowControl.pause(key);
    await client.publishJSON({ url: app.url, body: 'held', flowControl });
    await context.clock.idle();
    expect.equal(app.received.length, 8);
    expect.equal((await client.flowControl.get(key)).isPaused, true);
    await client.flowControl.resume(key);
    await context.until(() => app.received.length === 9);
    await client.flowControl.pin(key, { parallelism: 1, rate: 5, period: 60 });
    await client.publishJSON({ url: app.url, body: 'pinned', flowControl, delay: '1h' });
    const pinned = await client.flowControl.get(key);
    expect.deepEqual(
      [pinned.parallelismMax, pinned.rateMax, pinned.ratePeriod, pinned.isPinnedParallelism, pinned.isPinnedRate],
      [1, 5, 60, true, true],
    );
    await context.clock.idle();
    most = 0;
    await Promise.all([1, 2, 3].map((body) => client.publishJSON({ url: app.url, body, flowControl })));
    await context.until(() => app.received.length === 12);
    expect.equal(most, 1);
    await client.flowControl.unpin(key, { parallelism: true });
    const half = await client.flowControl.get(key);
    expect.deepEqual([half.parallelismMax, half.isPinnedParallelism, half.isPinnedRate], [2, false, true]);
    await client.messages.cancel({ filter: { flowControlKey: key } });
    await expect.rejects(client.messages.get(messageId), { status: 404 });
    await expect.rejects(client.flowControl.get(context.unique('none')), { status: 404 });
  });
});

suite({ vendor: 'qstash', name: 'schedules', sdk: '@upstash/qstash 2.12.0' }, (s) => {
  s.case(
    ['Q-43', 'Q-44', 'Q-46'],
    'a schedule is made, listed, fires under moved time, pauses and is deleted',
    async (context) => {
      const app = await destination(context);
      const client = clientOf(context);
      const scheduleId = context.unique('schedule');
      const created = await client.schedules.create({
        destination: app.url,
        cron: ' */5 * * * * ',
        scheduleId,
        body: '{"tick":true}',
        headers: { 'test-header': 'v' },
        retries: 2,
      });
      expect.deepEqual(created, { scheduleId });
      const schedule = await client.schedules.get(scheduleId);
      expect.deepEqual(schedule.header, { 'Content-Type': ['application/json'], 'Test-Header': ['v'] });
      expect.deepEqual(
        [
          schedule.scheduleId,
          schedule.cron,
          schedule.destination,
          schedule.method,
          schedule.retries,
          schedule.body,
          schedule.isPaused,
        ],
        [scheduleId, '*/5 * * * *', app.url, 'POST', 2, '{"tick":true}', false],
      );
      expect((await client.schedules.list()).some((item) => item.scheduleId === scheduleId));
      expect.equal((schedule.nextScheduleTime as number) % 300_000, 0);
      await context.clock.set(schedule.nextScheduleTime as number);
      await context.until(() => app.received.length === 1);
      expect.equal(app.received[0]?.body, '{"tick":true}');
      expect.equal(app.received[0]?.headers.get('upstash-schedule-id'), scheduleId);
      expect.equal(app.received[0]?.headers.get('test-header'), 'v');
      await context.clock.advance(600_000);
      expect.equal(app.received.length, 3);
      const after = await client.schedules.get(scheduleId);
      expect.equal(after.lastScheduleTime, (schedule.nextScheduleTime as number) + 600_000);
      const lastId = app.received[2]?.headers.get('upstash-message-id') ?? '';
      expect.deepEqual(after.lastScheduleStates, { [lastId]: 'SUCCESS' });

      await client.schedules.pause({ schedule: scheduleId });
      expect.equal((await client.schedules.get(scheduleId)).isPaused, true);
      await context.clock.advance(3_600_000);
      expect.equal(app.received.length, 3);
      const resumed = await call(context, 'POST', `/v2/schedules/${scheduleId}/resume`);
      expect.equal(resumed.status, 200);
      await context.clock.advance(300_000);
      expect.equal(app.received.length, 4);
      await client.schedules.delete(scheduleId);
      await expect.rejects(client.schedules.get(scheduleId), { status: 404 });
      await context.clock.advance(3_600_000);
      expect.equal(app.received.length, 4);
    },
  );

  s.case(['Q-43', 'Q-85'], 'the same id replaces the whole schedule', async (context) => {
    const app = await destination(context);
    const client = clientOf(context);
    const scheduleId = context.unique('again');
    await client.schedules.create({ destination: app.url, cron: '0 0 1 1 *', scheduleId, body: 'old', retries: 9 });
    await client.schedules.create({ destination: `${app.url}/new`, cron: '1 0 1 1 *', scheduleId });
    const { body, cron, destination: to, retries } = await client.schedules.get(scheduleId);
    expect.deepEqual([body, cron, to, retries], [undefined, '1 0 1 1 *', `${app.url}/new`, 3]);
    const go = await call(context, 'DELETE', `/v2/Schedules/${scheduleId}`);
    expect.equal(go.status, 200);
    await expect.rejects(client.schedules.create({ destination: app.url, cron: 'every day' }), { status: 400 });
  });

  s.case(['Q-44', 'Q-45'], 'a schedule in a zone fires by its wall clock, into its queue', async (context) => {
    const app = await destination(context);
    const client = clientOf(context);
    const queueName = context.unique('scheduled');
    const { scheduleId } = await client.schedules.create({
      destination: app.url,
      cron: 'CRON_TZ=Asia/Kolkata 30 9 * * *',
      queueName,
      delay: 60,
    });
    const schedule = await client.schedules.get(scheduleId);
    expect.equal(schedule.cron, 'CRON_TZ=Asia/Kolkata 30 9 * * *');
    expect.equal(schedule.delay, 60);
    // 09:30 in Kolkata is 04:00 UTC all year.
    expect.equal(new Date(schedule.nextScheduleTime as number).toISOString().slice(11, 16), '04:00');
    await context.clock.set(schedule.nextScheduleTime as number);
    expect.equal(app.received.length, 0);
    await context.clock.advance(61_000);
    await context.until(() => app.received.length === 1);
    await client.schedules.delete(scheduleId);
    await client.queue({ queueName }).delete();
  });

  s.case(
    ['Q-45', 'Q-9'],
    'a schedule to a URL group sends to the endpoints that the group has then',
    async (context) => {
      const app = await destination(context);
      const client = clientOf(context);
      const name = context.unique('ticking');
      await expect.rejects(client.schedules.create({ destination: name, cron: '* * * * *' }), { status: 404 });
      await client.urlGroups.addEndpoints({ name, endpoints: [{ url: `${app.url}/a` }, { url: `${app.url}/b` }] });
      const { scheduleId } = await client.schedules.create({ destination: name, cron: '0 * * * *', body: 'tick' });
      const schedule = await client.schedules.get(scheduleId);
      expect.equal(schedule.destination, name);
      await context.clock.set(schedule.nextScheduleTime as number);
      await context.until(() => app.received.length === 2);
      expect.deepEqual(app.received.map(({ path, body }) => `${path} ${body}`).sort(), ['/a tick', '/b tick']);
      for (const { headers } of app.received) {
        expect.deepEqual([headers.get('upstash-topic-name'), headers.get('upstash-schedule-id')], [name, scheduleId]);
      }
      await client.urlGroups.removeEndpoints({ name, endpoints: [{ url: `${app.url}/a` }] });
      await client.urlGroups.addEndpoints({ name, endpoints: [{ url: `${app.url}/c` }] });
      await context.clock.advance(3_600_000);
      await context.until(() => app.received.length === 4);
      expect.deepEqual(
        app.received
          .slice(2)
          .map(({ path }) => path)
          .sort(),
        ['/b', '/c'],
      );
      await client.schedules.delete(scheduleId);
      await client.urlGroups.delete(name);
    },
  );
});
