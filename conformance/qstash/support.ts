import { Client, Receiver } from '@upstash/qstash';
import type { CaseContext } from '../harness/index.ts';

export interface Delivered {
  method: string;
  /** Path and query. */
  path: string;
  headers: Headers;
  body: string;
}

export interface Destination {
  url: string;
  /** In order of arrival, refused ones included. */
  received: Delivered[];
  bodies(): string[];
}

type Reply = (request: Delivered, n: number) => Response | Promise<Response>;

/** An app that keeps what it gets. `reply` sees each delivery and its number, from 1; default 200. */
export async function destination(context: CaseContext, reply: Reply = () => new Response('ok')): Promise<Destination> {
  const received: Delivered[] = [];
  const app = await context.serveHttp(async (request) => {
    const url = new URL(request.url);
    const delivered = {
      method: request.method,
      path: url.pathname + url.search,
      headers: request.headers,
      body: await request.text(),
    };
    received.push(delivered);
    return reply(delivered, received.length);
  });
  return { url: app.url, received, bodies: () => received.map(({ body }) => body) };
}

export function clientOf({ url, environment }: CaseContext): Client {
  return new Client({ baseUrl: url, token: environment.qstashToken, retry: false, enableTelemetry: false });
}

export function receiverOf({ environment }: CaseContext): Receiver {
  return new Receiver({
    currentSigningKey: environment.qstashCurrentSigningKey,
    nextSigningKey: environment.qstashNextSigningKey,
  });
}

/** A request as the SDK would send it, for what the SDK itself refuses to send. */
export function call(context: CaseContext, method: string, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(context.url + path, {
    ...init,
    method,
    headers: { authorization: `Bearer ${context.environment.qstashToken}`, ...init.headers },
  });
}

export function fromBase64(text: string): string {
  return Buffer.from(text, 'base64').toString();
}
