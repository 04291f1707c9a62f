import { request } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { Client } from '@upstash/qstash';
import fc from 'fast-check';
import { expect, suite } from '../harness/index.ts';
import type { CaseContext } from '../harness/index.ts';
import { call, clientOf, destination } from './support.ts';

type Hostility = (socket: Socket) => void;

/** A TCP server that does not keep to HTTP. */
async function hostileHost(context: CaseContext, behave: Hostility): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => behave(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.onCleanup(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

const BEHAVIOURS: Record<string, { behave: Hostility; error: RegExp }> = {
  'closes at once': { behave: (socket) => socket.end(), error: /closed the connection/ },
  'resets the connection': { behave: (socket) => socket.resetAndDestroy(), error: /closed the connection/ },
  'answers what is no HTTP': {
    behave: (socket) => socket.end('220 mail.example.com ESMTP\r\n'),
    error: /closed the connection/,
  },
  'never answers': { behave: () => {}, error: /no complete answer within 1000 ms/ },
  'drips a byte a second': {
    behave: (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n');
      const timer = setInterval(() => socket.write('.'), 1000);
      socket.on('close', () => clearInterval(timer));
    },
    error: /no complete answer within 1000 ms/,
  },
  'breaks off in the middle': {
    behave: (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf'),
    error: /closed the connection/,
  },
};

const HUNDRED_MB = 100_000_000;

/** A POST with no `Content-Length`, a megabyte a chunk, every one of them sent before the answer is looked at. */
function sendChunks(
  { url, environment }: CaseContext,
  path: string,
  megabytes: number,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sending = request(
      url + path,
      { method: 'POST', headers: { authorization: `Bearer ${environment.qstashToken}` } },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (body += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      },
    );
    sending.on('error', reject);
    const chunk = Buffer.alloc(1_000_000, 'x');
    const send = (left: number): void => {
      if (left === 0) sending.end();
      else sending.write(chunk, (error) => (error ? reject(error) : send(left - 1)));
    };
    send(megabytes);
  });
}

suite({ vendor: 'qstash', name: 'hostile', sdk: '@upstash/qstash 2.12.0' }, (s) => {
  for (const [what, { behave, error }] of Object.entries(BEHAVIOURS))
    s.case(
      ['Q-26', 'Q-27', 'Q-53'],
      `a destination that ${what} is a failed attempt, logged with its reason`,
      async (context) => {
        const client = clientOf(context);
        const url = await hostileHost(context, behave);
        const { messageId } = await client.publish({ url, body: 'x', retries: 1, retryDelay: '1000', timeout: 1 });
        const logOf = async (): Promise<Array<{ state: string; error?: string }>> =>
          (await client.logs({ filter: { messageId } })).logs.toReversed();
        await context.until(async () => (await logOf()).some(({ state }) => state === 'RETRY'), { timeoutMs: 10_000 });
        await context.clock.advance(1_000);
        const log = await context.until(
          async () => {
            const found = await logOf();
            return found.at(-1)?.state === 'FAILED' ? found : null;
          },
          { timeoutMs: 10_000 },
        );
        expect.deepEqual(
          log.map(({ state }) => state),
          ['CREATED', 'ACTIVE', 'ERROR', 'RETRY', 'ACTIVE', 'ERROR', 'FAILED'],
        );
        for (const entry of log) if (entry.state === 'ERROR') expect.match(entry.error ?? '', error);
        const { messages } = await client.dlq.listMessages({ filter: { messageId } });
        expect.deepEqual([messages.length, messages[0]?.responseStatus], [1, 0]);
      },
    );

  s.case(['Q-27', 'Q-53'], 'an answer of 100 MB is a success of which the beginning is kept', async (context) => {
    let sent = 0;
    const url = await hostileHost(context, (socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${HUNDRED_MB}\r\n\r\n`);
      const chunk = Buffer.alloc(65_536, 'x');
      const more = (): void => {
        while (sent < HUNDRED_MB && !socket.destroyed) {
          sent += chunk.length;
          if (!socket.write(chunk)) return;
        }
      };
      socket.on('drain', more);
      more();
    });
    const client = clientOf(context);
    const { messageId } = await client.publish({ url, body: 'x', retries: 0 });
    const delivered = await context.until(async () => {
      const { logs } = await client.logs({ filter: { messageId, state: 'DELIVERED' } });
      return logs[0] as unknown as { responseBody: string } | undefined;
    });
    expect.equal(Buffer.from(delivered.responseBody, 'base64').length, 256_000);
    expect(sent < HUNDRED_MB, 'the rest was read too');
  });

  s.case(
    ['Q-26'],
    'destinations that hang hold their places no longer than their timeout',
    async (context) => {
      const server = await context.startServer({ env: { REPOINT_MAX_IN_FLIGHT: '4' } });
      const client = new Client({ baseUrl: server.url, token: context.environment.qstashToken, retry: false });
      const hanging = await hostileHost(context, () => {});
      const app = await destination(context);
      await client.batch(Array.from({ length: 8 }, () => ({ url: hanging, body: 'x', timeout: 1, retries: 0 })));
      const started = Date.now();
      await client.publish({ url: app.url, body: 'behind' });
      await context.until(() => app.received.length === 1, { timeoutMs: 15_000 });
      const waited = Date.now() - started;
      // Eight that hang for a second in four places are two seconds.
      expect(waited >= 1_500 && waited < 8_000, `it waited ${waited} ms`);
      await context.until(async () => (await client.dlq.listMessages()).messages.length === 8);
    },
    { timeoutMs: 40_000 },
  );

  s.case(['Q-8'], 'a message to this server itself goes round a bounded number of times', async (context) => {
    const server = await context.startServer({});
    const client = new Client({ baseUrl: server.url, token: context.environment.qstashToken, retry: false });
    const token = encodeURIComponent(context.environment.qstashToken);
    // The group's one endpoint publishes to the group.
    const url = `${server.url}/v2/publish/loop?qstash_token=${token}`;
    await client.urlGroups.addEndpoints({ name: 'loop', endpoints: [{ url }] });
    await client.publish({ urlGroup: 'loop', body: 'round and round' });
    const { messages } = await context.until(
      async () => {
        const page = await client.dlq.listMessages();
        return page.messages.length > 0 ? page : null;
      },
      { timeoutMs: 20_000 },
    );
    expect.equal(messages.length, 1);
    expect.match(messages[0]?.responseBody ?? '', /a loop/);
    const { logs } = await client.logs({ filter: { state: 'CREATED' }, count: 100 });
    expect.equal(logs.length, 17);
  });

  s.case(
    ['Q-8', 'Q-12', 'Q-6'],
    'a body over the limit that comes in chunks of unknown number is refused, and its sender gets to read that',
    async (context) => {
      const app = await destination(context);
      for (const [path, megabytes] of [
        [`/v2/publish/${app.url}`, 40],
        ['/v2/batch', 90],
      ] as const) {
        const { status, body } = await sendChunks(context, path, megabytes);
        expect.equal(status, 413, path);
        expect.match((JSON.parse(body) as { error: string }).error, /larger than \d+ bytes/);
      }
      expect.equal((await sendChunks(context, `/v2/publish/${app.url}`, 9)).status, 200);
      await context.until(() => app.received.length === 1, { timeoutMs: 30_000 });
      expect.equal(app.received[0]?.body.length, 9_000_000);
    },
    { timeoutMs: 60_000 },
  );

  s.case(
    ['Q-12'],
    'a batch of four times nine megabytes is taken whole, one of sixty refused',
    async (context) => {
      const app = await destination(context);
      const client = clientOf(context);
      const bodies = ['a', 'b', 'c', 'é'].map((letter) => letter.repeat(letter === 'é' ? 4_500_000 : 9_000_000));
      const answers = await client.batch(bodies.map((body) => ({ url: app.url, body, retries: 0 })));
      expect.equal(answers.length, 4);
      await context.until(() => app.received.length === 4, { timeoutMs: 30_000 });
      expect.deepEqual(
        app
          .bodies()
          .map((body) => body.length)
          .sort(),
        bodies.map((body) => body.length).sort(),
      );
      expect.deepEqual(new Set(app.bodies().map((body) => body[0])), new Set(['a', 'b', 'c', 'é']));
      const refused = await call(context, 'POST', '/v2/batch', {
        body: JSON.stringify(Array.from({ length: 7 }, () => ({ destination: app.url, body: 'x'.repeat(9_000_000) }))),
      });
      expect.equal(refused.status, 413);
      expect.match(((await refused.json()) as { error: string }).error, /50000000|50 MB|too large|larger/);
      expect.equal(app.received.length, 4);
    },
    { timeoutMs: 60_000 },
  );

  s.case(
    ['Q-32', 'Q-33'],
    'a callback of ten megabytes about ten megabytes arrives',
    async (context) => {
      const answer = 'r'.repeat(9_900_000);
      const app = await destination(
        context,
        ({ path }) => new Response(path === '/source' ? answer : 'ok', { status: path === '/source' ? 500 : 200 }),
      );
      const body = 's'.repeat(9_900_000);
      await clientOf(context).publish({
        url: `${app.url}/source`,
        body,
        retries: 0,
        callback: `${app.url}/callback`,
        failureCallback: `${app.url}/failed`,
      });
      await context.until(() => app.received.length === 3, { timeoutMs: 40_000 });
      for (const path of ['/callback', '/failed']) {
        const got = JSON.parse(app.received.find((one) => one.path === path)?.body ?? '{}') as Record<string, string>;
        expect.equal(Buffer.from(got.sourceBody ?? '', 'base64').toString() === body, true);
        expect.equal(Buffer.from(got.body ?? '', 'base64').toString() === answer, true);
      }
    },
    { timeoutMs: 60_000 },
  );

  s.case(
    ['Q-6', 'Q-39'],
    'whatever headers, query and body say, no answer is a failure of the server, and every message taken is somewhere',
    async (context) => {
      const server = await context.startServer({ env: { REPOINT_DISPATCHER: '1' } });
      const client = new Client({ baseUrl: server.url, token: context.environment.qstashToken, retry: false });
      const app = await destination(context, (_request, n) => new Response('', { status: n % 3 === 0 ? 500 : 200 }));
      const acknowledged = new Set<string>();
      const names = [
        'Upstash-Method',
        'Upstash-Delay',
        'Upstash-Not-Before',
        'Upstash-Retries',
        'Upstash-Retry-Delay',
        'Upstash-Timeout',
        'Upstash-Callback',
        'Upstash-Failure-Callback',
        'Upstash-Callback-Retries',
        'Upstash-Callback-Delay',
        'Upstash-Forward-X',
        'Upstash-Forward-',
        'Upstash-Header-Forward',
        'Upstash-Deduplication-Id',
        'Upstash-Content-Based-Deduplication',
        'Upstash-Cron',
        'Upstash-Schedule-Id',
        'Upstash-Queue-Name',
        'Upstash-Flow-Control-Key',
        'Upstash-Flow-Control-Value',
        'Upstash-Label',
        'Upstash-Redact-Fields',
        'Upstash-Workflow-RunId',
        'Upstash-Workflow-Init',
        'Upstash-Workflow-CallType',
        'Upstash-Workflow-Url',
        'Upstash-Feature-Set',
        'Content-Type',
        'Upstash-Telemetry-Sdk',
        'Upstash-Nonsense',
      ];
      const value = fc.oneof(
        fc.constantFrom(
          '',
          '0',
          '1',
          '-1',
          '3',
          '1e9',
          '10s',
          '1d',
          '99999999999',
          'true',
          'false',
          'POST',
          'GET',
          'TRACE',
          'null',
          '{}',
          '[]',
          '* * * * *',
          '1 2 3',
        ),
        fc.constantFrom(
          'parallelism=1',
          'rate=1,period=1s',
          'parallelism=0',
          'a=b',
          'body',
          'header[X]',
          'pow(2, retried)',
          'wfr_x',
          'http://',
          app.url,
          'a,b',
          '../..',
        ),
        fc
          .string({ maxLength: 20, unit: fc.integer({ min: 32, max: 126 }).map((code) => String.fromCharCode(code)) })
          .map((text) => text.trim()),
      );
      const plausible: Array<[string, string]> = [
        ['Upstash-Delay', '10s'],
        ['Upstash-Retries', '2'],
        ['Upstash-Retry-Delay', '1000'],
        ['Upstash-Timeout', '5'],
        ['Upstash-Callback', app.url],
        ['Upstash-Failure-Callback', app.url],
        ['Upstash-Flow-Control-Key', 'k'],
        ['Upstash-Flow-Control-Value', 'parallelism=1'],
        ['Upstash-Label', 'a,b'],
        ['Upstash-Deduplication-Id', 'd'],
        ['Upstash-Method', 'PUT'],
      ];
      const publishing = fc.constantFrom(`/v2/publish/${app.url}`, `/v2/enqueue/q/${app.url}`, '/v2/batch');
      const request = fc.record({
        path: fc.oneof(
          publishing,
          fc.constantFrom(
            `/v2/publish/${app.url}`,
            `/v2/publish/${app.url}/a//b?c=d`,
            '/v2/publish/nothing',
            '/v2/publish/',
            '/v2/publish/http://',
            `/v2/enqueue/q/${app.url}`,
            '/v2/enqueue/q',
            '/v2/batch',
            '/v2/batch/trigger',
            `/v2/trigger/${app.url}`,
            `/v2/schedules/${app.url}`,
            '/v2/messages',
            '/v2/messages/x',
            '/v2/dlq',
            '/v2/dlq/retry',
            '/v2/queues',
            '/v2/topics/g/endpoints',
            '/v2/topics/g',
            '/v2/wait/e',
            '/v2/notify/e',
            '/v2/notify/r/e',
            '/v2/workflows/runs',
            '/v2/workflows/runs/x',
            '/v2/workflows/hooks/u/r/e',
            '/v2/workflows/dlq/resume',
            '/v2/logs',
            '/v2/flowControl/k/pin',
            '/v2/waiters/e',
            '/v2/keys',
            '/v2/workflows/logs',
          ),
        ),
        method: fc.constantFrom('POST', 'POST', 'POST', 'GET', 'DELETE', 'PATCH', 'PUT'),
        headers: fc.array(
          fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...plausible) }, fc.tuple(fc.constantFrom(...names), value)),
          { maxLength: 4 },
        ),
        query: fc.array(
          fc.tuple(
            fc.constantFrom(
              'count',
              'cursor',
              'messageIds',
              'dlqIds',
              'label',
              'fromDate',
              'order',
              'upstash-retries',
              'upstash-delay',
              'groupBy',
              'workflowRunId',
              'nonsense',
              'state',
            ),
            value,
          ),
          { maxLength: 3 },
        ),
        body: fc.oneof(
          fc.constantFrom(
            '',
            '{',
            '[]',
            '{}',
            'null',
            '[null]',
            '[1]',
            '[{}]',
            `[{"destination":"${app.url}"}]`,
            `[{"destination":"${app.url}","headers":{"upstash-retries":"x"}},{"destination":"${app.url}","body":"b"}]`,
            '{"endpoints":[]}',
            `{"endpoints":[{"url":"${app.url}"}]}`,
            '{"headers":{"a":1}}',
            '{"queueName":"q","parallelism":2}',
            '{"messageIds":["x"]}',
          ),
          fc.json({ maxDepth: 2 }),
        ),
      });
      const samples = fc.sample(request, { numRuns: 800, seed: 20_261_124 });
      for (const { path, method, headers, query, body } of samples) {
        const search = new URLSearchParams(query).toString();
        const bodyless = method === 'GET';
        const response = await fetch(
          `${server.url}${path}${search === '' ? '' : `${path.includes('?') ? '&' : '?'}${search}`}`,
          {
            method,
            headers: [['authorization', `Bearer ${context.environment.qstashToken}`], ...headers],
            ...(bodyless ? {} : { body }),
          },
        );
        const text = await response.text();
        const said = `${method} ${path}?${search} ${JSON.stringify(headers)} ${body} -> ${response.status} ${text}`;
        expect(response.status < 500 || response.status === 501, said);
        const answer = JSON.parse(text) as unknown;
        if (response.status >= 400) {
          expect.equal(typeof (answer as { error?: unknown }).error, 'string', said);
          continue;
        }
        const isPublish = /^\/v2\/(publish|enqueue|batch)/.test(path) && method === 'POST';
        const isWorkflow = headers.some(([name]) => /workflow/i.test(name)) || path.includes('trigger');
        if (isPublish && !isWorkflow)
          for (const one of [answer].flat(2) as Array<{ messageId?: string }>)
            if (one.messageId) acknowledged.add(one.messageId);
      }
      expect(acknowledged.size > 50, `only ${acknowledged.size} messages were taken`);
      await server.clock.advance(3_600_000);
      await server.clock.idle();
      const ends = new Map<string, string>();
      for (let cursor: string | undefined; ;) {
        const page = await client.logs({ count: 1000, ...(cursor === undefined ? {} : { cursor }) });
        for (const { messageId, state } of page.logs)
          if (['DELIVERED', 'FAILED', 'CANCELED'].includes(state)) ends.set(messageId, state);
        cursor = page.cursor;
        if (cursor === undefined) break;
      }
      for (const messageId of acknowledged) {
        if (ends.has(messageId)) continue;
        const pending = await fetch(`${server.url}/v2/messages/${messageId}`, {
          headers: { authorization: `Bearer ${context.environment.qstashToken}` },
        });
        expect.equal(pending.status, 200, `${messageId} is neither delivered, pending, dead nor cancelled`);
      }
    },
    { timeoutMs: 120_000 },
  );
});
