import { createServer } from 'node:http';
import { orderWorkflows } from './order.ts';

const port = Number(process.env.PORT ?? 3003);

const handler = orderWorkflows({
  payments: process.env.PAYMENTS_URL ?? 'http://127.0.0.1:4001',
  reserve: (item) => Promise.resolve(`box with ${item}`),
  ship: (orderId, parcels) => Promise.resolve(`T-${orderId}-${parcels.length}`),
  refund: (orderId, reason) => Promise.resolve(console.log(`refunded ${orderId}: ${reason}`)),
});

createServer(async (incoming, outgoing) => {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const request = new Request(`http://${incoming.headers.host}${incoming.url}`, {
    method: incoming.method,
    headers: incoming.headers as Record<string, string>,
    body: incoming.method === 'POST' ? Buffer.concat(chunks) : undefined,
  });
  const response = await handler(request);
  outgoing.writeHead(response.status, Object.fromEntries(response.headers)).end(await response.text());
}).listen(port, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${port}/order`));
