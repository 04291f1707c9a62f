import { Agent, createServer, request, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface NullReply {
  status?: number;
  body?: unknown;
  /** Runs after the answer has been sent. */
  after?: () => unknown;
}

export type NullHandler = (request: {
  method: string;
  path: string;
  body: string;
  headers: IncomingHttpHeaders;
}) => NullReply | Promise<NullReply>;

/** The plainest server that can be written here: it keeps nothing, so what is slow beside it is the app and the SDK. */
export function serveNull(handler: NullHandler): void {
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => void chunks.push(chunk));
    incoming.on('end', async () => {
      const body = Buffer.concat(chunks).toString();
      const reply = await handler({
        method: incoming.method ?? 'GET',
        path: incoming.url ?? '/',
        body,
        headers: incoming.headers,
      });
      outgoing
        .writeHead(reply.status ?? 200, { 'content-type': 'application/json' })
        .end(JSON.stringify(reply.body ?? {}));
      void reply.after?.();
    });
  });
  server.keepAliveTimeout = 120_000;
  server.listen(0, '127.0.0.1', () =>
    console.log(`null server on http://127.0.0.1:${(server.address() as AddressInfo).port}`),
  );
}

const agent = new Agent({ keepAlive: true, maxSockets: 500 });

export function send(
  url: string,
  body: string | Buffer,
  headers: Record<string, string>,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const data = Buffer.from(body);
    const outgoing = request(
      url,
      { method: 'POST', agent, headers: { ...headers, 'content-length': data.length } },
      (incoming) => {
        let text = '';
        incoming.on('data', (chunk: Buffer) => (text += chunk.toString()));
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, text }));
      },
    );
    outgoing.on('error', reject);
    outgoing.end(data);
  });
}
