import { createServer, type RequestListener } from 'node:http';
import { Client, Receiver } from '@upstash/qstash';
import { type ShopEvent, type Subscriber, Webhooks } from './webhooks.ts';

interface Outcome {
  to: string;
  event: string;
  status: number;
}

export interface App {
  listener: RequestListener;
  /** In order of arrival. */
  delivered: Outcome[];
  givenUp: Outcome[];
  webhooks: Webhooks;
}

/** The callback that the server sends after an attempt (Upstash documentation: features/callbacks). */
interface Callback {
  status: number;
  retried?: number;
  maxRetries: number;
  sourceBody: string;
}

export function createApp(client: Client, receiver: Receiver, publicUrl: string, subscribers: Subscriber[]): App {
  const webhooks = new Webhooks(client, publicUrl, subscribers);
  const delivered: Outcome[] = [];
  const givenUp: Outcome[] = [];
  const listener: RequestListener = (request, response) => {
    void (async () => {
      const url = new URL(request.url ?? '/', publicUrl);
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks).toString();
      if (url.pathname === '/orders') {
        await webhooks.announce(JSON.parse(body) as ShopEvent);
        response.writeHead(202).end();
        return;
      }
      const list = url.pathname === '/delivered' ? delivered : url.pathname === '/given-up' ? givenUp : null;
      if (!list) return void response.writeHead(404).end();
      // Nobody but the server may tell us what became of a delivery.
      await receiver.verify({ signature: String(request.headers['upstash-signature']), body });
      const { status, sourceBody } = JSON.parse(body) as Callback;
      const event = JSON.parse(Buffer.from(sourceBody, 'base64').toString()) as ShopEvent;
      if (list === givenUp || status < 300)
        list.push({ to: url.searchParams.get('to') ?? '', event: event.id, status });
      response.end('ok');
    })().catch((error: unknown) => response.writeHead(500).end(String(error)));
  };
  return { listener, delivered, givenUp, webhooks };
}

if (import.meta.main) {
  const port = Number(process.env.PORT ?? 3002);
  const subscribers = (process.env.SUBSCRIBERS ?? '')
    .split(',')
    .filter(Boolean)
    .map((pair): Subscriber => {
      const [name = '', url = ''] = pair.split('=');
      return { name, url };
    });
  const publicUrl = process.env.PUBLIC_URL ?? `http://127.0.0.1:${port}`;
  const receiver = new Receiver();
  const app = createApp(new Client(), receiver, publicUrl, subscribers);
  createServer(app.listener).listen(port, '127.0.0.1', () => console.log(`listening on ${publicUrl}/orders`));
}
