import { createApp } from '../../examples/qstash-webhooks/app.ts';
import { orderWorkflows } from '../../examples/upstash-workflow-order/order.ts';
import { expect, suite } from '../harness/index.ts';
import { clientOf, destination, receiverOf } from './support.ts';
import { serveWorkflowHandler, workflowOptions } from './workflow-support.ts';

suite({ vendor: 'qstash', name: 'examples', sdk: '@upstash/qstash 2.12.0, @upstash/workflow 1.3.3' }, (s) => {
  s.case(
    ['Q-11', 'Q-12', 'Q-32', 'Q-33', 'Q-35', 'Q-42', 'Q-56'],
    'webhooks: each subscriber gets its events in order, what one missed is replayed from its dead letters',
    async (context) => {
      let broken = true;
      const crm = await destination(context);
      const erp = await destination(context, () => new Response('', { status: broken ? 503 : 200 }));
      const names = [context.unique('crm'), context.unique('erp')];
      let listener: Parameters<typeof context.serveNode>[0] = () => {};
      const served = await context.serveNode((request, response) => listener(request, response));
      const app = createApp(clientOf(context), receiverOf(context), served.url, [
        { name: names[0] as string, url: crm.url },
        { name: names[1] as string, url: erp.url },
      ]);
      listener = app.listener;
      const order = (id: string): Promise<Response> =>
        fetch(`${served.url}/orders`, { method: 'POST', body: JSON.stringify({ id, type: 'order.paid', order: 7 }) });
      for (const id of ['e1', 'e2', 'e2']) expect.equal((await order(id)).status, 202);
      await context.until(() => crm.received.length === 2);
      expect.deepEqual(
        crm.bodies().map((body) => (JSON.parse(body) as { id: string }).id),
        ['e1', 'e2'],
      );
      expect.equal(crm.received[0]?.headers.get('x-event-type'), 'order.paid');
      // The broken one: three attempts for each event, the second event behind the first's end.
      await context.until(() => erp.received.length === 1);
      await context.clock.advance(3_600_000);
      await context.until(() => app.givenUp.length === 2);
      const seen = erp.bodies().map((body) => (JSON.parse(body) as { id: string }).id);
      expect.deepEqual(seen, ['e1', 'e1', 'e1', 'e2', 'e2', 'e2']);
      expect.deepEqual(app.givenUp, [
        { to: names[1], event: 'e1', status: 503 },
        { to: names[1], event: 'e2', status: 503 },
      ]);
      broken = false;
      expect.equal(await app.webhooks.replay(names[1] as string), 2);
      await context.until(() => app.delivered.filter(({ to }) => to === names[1]).length === 2);
      expect.deepEqual(
        app.delivered.filter(({ to }) => to === names[1]).map(({ event }) => event),
        ['e1', 'e2'],
      );
      expect.deepEqual(
        app.delivered.filter(({ to }) => to === names[0]).map(({ event }) => event),
        ['e1', 'e2'],
      );
    },
    { timeoutMs: 60_000 },
  );

  s.case(
    ['Q-64', 'Q-66', 'Q-67', 'Q-68', 'Q-70'],
    'an order: paid by a call, approved by an event, packed by invoked workflows, shipped after a sleep, or refunded',
    async (context) => {
      const payments = await destination(context, (_request, n) =>
        n === 1 ? new Response('busy', { status: 503 }) : Response.json({ receipt: `r${n}` }),
      );
      const refunds: string[] = [];
      const handler = orderWorkflows(
        {
          payments: payments.url,
          reserve: (item) =>
            item === 'gone' ? Promise.reject(new Error('not in stock')) : Promise.resolve(`box with ${item}`),
          ship: (id, parcels) => Promise.resolve(`${id}: ${parcels.join(', ')}`),
          refund: (id, reason) => Promise.resolve(void refunds.push(`${id}: ${reason}`)),
        },
        workflowOptions(context) as never,
      );
      const workflow = await serveWorkflowHandler(context, handler, '/order');
      const id = context.unique('order');
      const start = (suffix: string, amount: number, items: string[]): Promise<string> =>
        workflow.trigger({ id: id + suffix, amount, items });
      const result = async (runId: string): Promise<unknown> =>
        JSON.parse(String((await workflow.ended(runId)).workflowRunResponse)) as unknown;

      const small = await start('a', 20, ['tea', 'cups']);
      await context.until(() => payments.received.length === 1);
      await context.clock.advance(60_000);
      await context.clock.idle();
      await context.clock.advance(12 * 3_600_000);
      expect.deepEqual(await result(small), {
        state: 'shipped',
        tracking: `${id}a: box with tea, box with cups`,
        receipt: 'r2',
      });

      const large = await start('b', 5_000, ['samovar']);
      await context.until(
        async () => (await workflow.client.getWaiters({ eventId: `order-${id}b-approved` })).length === 1,
      );
      await workflow.client.notify({ eventId: `order-${id}b-approved`, eventData: { approved: true } });
      await context.clock.idle();
      await context.clock.advance(12 * 3_600_000);
      expect.deepEqual(await result(large), { state: 'shipped', tracking: `${id}b: box with samovar`, receipt: 'r3' });

      const forgotten = await start('c', 5_000, ['samovar']);
      await context.until(
        async () => (await workflow.client.getWaiters({ eventId: `order-${id}c-approved` })).length === 1,
      );
      await context.clock.advance(3 * 86_400_000);
      expect.deepEqual(await result(forgotten), { state: 'refunded' });

      const missing = await start('d', 20, ['tea', 'gone']);
      await context.clock.idle();
      await context.clock.advance(86_400_000);
      expect.deepEqual(await result(missing), { state: 'refunded' });
      expect.deepEqual(refunds, [`${id}c: nobody approved`, `${id}d: an item is gone`]);
    },
    { timeoutMs: 60_000 },
  );
});
