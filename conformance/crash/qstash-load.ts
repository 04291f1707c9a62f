import { serveHttp, type Served } from '../harness/serve.ts';
import type { Ledger } from './ledger.ts';
import { postJson, Refused, type Load } from './load.ts';

const TOKEN = Buffer.from(JSON.stringify({ UserID: 'crash', Password: 'crash' })).toString('base64');

/** Messages to an endpoint of ours: plain, delayed, in a queue, in a batch; every seventh is refused once by the endpoint. */
export function qstashLoad(ledger: Ledger): Load {
  let app: Served | undefined;
  let base = '';
  let serial = 0;
  const refusedOnce = new Set<string>();
  const authorization = `Bearer ${TOKEN}`;
  const headersOf = (n: number): Record<string, string> => ({
    authorization,
    'upstash-retries': '5',
    'upstash-retry-delay': '300',
    ...(n % 4 === 1 ? { 'upstash-delay': '1s' } : {}),
  });

  return {
    name: 'qstash',
    async start(url) {
      base = url;
      app = await serveHttp(async (request) => {
        const { k } = (await request.json()) as { k: string };
        if (k.endsWith('7') && !refusedOnce.has(k)) {
          refusedOnce.add(k);
          return new Response('busy', { status: 503 });
        }
        ledger.finish(k);
        return new Response('ok');
      });
    },
    async submit(key) {
      const n = serial++;
      const target = `${app!.url}/hook`;
      const headers = headersOf(n);
      if (n % 4 === 3) {
        const items = [0, 1, 2].map((i) => ({
          destination: target,
          headers: { ...headers, authorization: undefined, 'content-type': 'application/json' },
          body: JSON.stringify({ k: `${key}.${i}` }),
        }));
        const answers = (await postJson(`${base}/v2/batch`, items, { authorization })) as Array<{ messageId?: string }>;
        for (const [i, answer] of answers.entries()) {
          if (answer.messageId === undefined) throw new Refused(`batch item: ${JSON.stringify(answer)}`);
          ledger.acknowledge('qstash', `${key}.${i}`, answer.messageId);
        }
        return;
      }
      const path = n % 4 === 2 ? `/v2/enqueue/crash-${n % 3}/${target}` : `/v2/publish/${target}`;
      const { messageId } = (await postJson(base + path, { k: key }, headers)) as { messageId: string };
      ledger.acknowledge('qstash', key, messageId);
    },
    async confirm(messageId) {
      // A delivered message is gone from the message store.
      const response = await fetch(`${base}/v2/messages/${messageId}`, { headers: { authorization } });
      return { done: response.status === 404, detail: `message: ${response.status}` };
    },
    stop: async () => app?.close(),
  };
}
