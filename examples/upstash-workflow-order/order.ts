import type { WorkflowContext } from '@upstash/workflow';
import { createWorkflow, serveMany } from '@upstash/workflow/nextjs';

export interface Order {
  id: string;
  amount: number;
  items: string[];
}

/** What the workflows touch outside. */
export interface Shop {
  /** Base URL of the payment service. */
  payments: string;
  reserve(item: string): Promise<string>;
  ship(orderId: string, parcels: string[]): Promise<string>;
  refund(orderId: string, reason: string): Promise<void>;
}

type ServeOptions = NonNullable<Parameters<typeof serveMany>[1]>;

/** An order is paid by a call, approved by a person, packed by a workflow of its own for each item, and shipped. Refunded if anything fails after the payment. */
export function orderWorkflows(shop: Shop, options: ServeOptions = {}): (request: Request) => Promise<Response> {
  const pack = createWorkflow(async (context: WorkflowContext<{ item: string }>) => {
    const { item } = context.requestPayload;
    return context.run('reserve', () => shop.reserve(item));
  });

  const order = createWorkflow(async (context: WorkflowContext<Order>) => {
    const { id, amount, items } = context.requestPayload;
    const payment = await context.call<{ receipt: string }>('pay', {
      url: `${shop.payments}/charges`,
      method: 'POST',
      body: JSON.stringify({ order: id, amount }),
      retries: 2,
    });
    if (payment.status !== 200) return { state: 'declined' };

    if (amount > 1_000) {
      const { timeout, eventData } = await context.waitForEvent<{ approved: boolean }>(
        'approval',
        `order-${id}-approved`,
        {
          timeout: '3d',
        },
      );
      if (timeout || !eventData?.approved) {
        await context.run('refund', () => shop.refund(id, timeout ? 'nobody approved' : 'refused'));
        return { state: 'refunded' };
      }
    }

    const parcels = await Promise.all(
      items.map((item) => context.invoke(`pack-${item}`, { workflow: pack, body: { item } })),
    );
    if (parcels.some((parcel) => parcel.isFailed || parcel.isCanceled)) {
      await context.run('refund', () => shop.refund(id, 'an item is gone'));
      return { state: 'refunded' };
    }
    await context.sleep('until-the-truck-comes', '12h');
    const tracking = await context.run('ship', () =>
      shop.ship(
        id,
        parcels.map((parcel) => String(parcel.body)),
      ),
    );
    return { state: 'shipped', tracking, receipt: payment.body.receipt };
  });

  return serveMany({ order, pack }, options).POST as (request: Request) => Promise<Response>;
}
