import { setTimeout as delay } from 'node:timers/promises';

export type Order = {
  orderId: string;
  items: string[];
};

const attempted = new Set<string>();

/** A card processor that is busy the first time it hears of an order. */
export async function chargeCard(order: Order): Promise<{ chargeId: string }> {
  await delay(150);
  if (!attempted.has(order.orderId)) {
    attempted.add(order.orderId);
    throw new Error('the card processor is busy');
  }
  return { chargeId: `ch_${order.orderId}` };
}

export async function packItem(item: string): Promise<string> {
  await delay(300);
  return `${item} packed`;
}

export async function sendReceipt(order: Order, chargeId: string): Promise<string> {
  await delay(100);
  return `receipt for ${order.orderId} (${chargeId})`;
}
