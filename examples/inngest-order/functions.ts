import { eventType, Inngest, RetryAfterError, staticSchema } from 'inngest';
import { Observe } from './observe.ts';
import { chargeCard, packItem, sendReceipt, type Order } from './shop.ts';

export const inngest = new Inngest({ id: 'order-shop', middleware: [Observe] });

export const orderPlaced = eventType('shop/order.placed', { schema: staticSchema<Order>() });

export const fulfilOrder = inngest.createFunction(
  { id: 'fulfil-order', triggers: [orderPlaced] },
  async ({ event, step }) => {
    const order = event.data;

    const charge = await step.run('charge-card', async () => {
      try {
        return await chargeCard(order);
      } catch (error) {
        throw new RetryAfterError('try again in a second', '1s', { cause: error });
      }
    });

    await step.sleep('cooling-off', '5s');

    const packed = await Promise.all(order.items.map((item) => step.run(`pack-${item}`, () => packItem(item))));

    const receipt = await step.run('send-receipt', () => sendReceipt(order, charge.chargeId));

    return { receipt, packed };
  },
);
