import { Agent, request } from 'node:http';

export interface Answer {
  status: number;
  body: string;
}

/** An answer that takes longer fails. */
const LIMIT_MS = 60_000;

/** A keep-alive client of few instructions: `fetch` costs several times as much CPU, which the load generator shares with the app. */
export class HttpClient {
  #agent: Agent;

  constructor(connections: number) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  post(url: string | URL, body: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
    const data = Buffer.from(body);
    return this.#send('POST', url, data, {
      'content-type': 'application/json',
      ...headers,
      'content-length': data.length,
    });
  }

  get(url: string | URL, headers: Record<string, string> = {}): Promise<Answer> {
    return this.#send('GET', url, null, headers);
  }

  #send(
    method: string,
    url: string | URL,
    data: Buffer | null,
    headers: Record<string, string | number>,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = request(url, { method, agent: this.#agent, headers }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => void chunks.push(chunk));
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
        incoming.on('error', reject);
      });
      outgoing.setTimeout(LIMIT_MS, () => outgoing.destroy(new Error(`no answer of ${url} in ${LIMIT_MS} ms`)));
      outgoing.on('error', reject);
      outgoing.end(data);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** `width` loops that call `each` until it answers false. */
export async function inParallel(width: number, each: () => Promise<boolean>): Promise<void> {
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (await each());
    }),
  );
}
