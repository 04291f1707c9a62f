import { Client } from '@upstash/qstash';
import { expect, suite } from '../harness/index.ts';
import { call, clientOf, destination, fromBase64, receiverOf } from './support.ts';

const DAY_MS = 86_400_000;

suite({ vendor: 'qstash', name: 'publish', sdk: '@upstash/qstash 2.12.0' }, (s) => {
  s.case(
    ['Q-1', 'Q-3', 'Q-8', 'Q-14', 'Q-16', 'Q-17', 'Q-19', 'Q-28'],
    'a message reaches its URL as it was published',
    async (context) => {
      const app = await destination(context);
      const client = new Client({ baseUrl: context.url, token: context.environment.qstashToken });
      const { messageId } = await client.publishJSON({
        url: `${app.url}/orders//42?x=1&y=a%20b`,
        method: 'PUT',
        body: { hello: 'wörld' },
        headers: { 'X-Custom': 'value', 'Upstash-Forward-Host': 'evil', 'Upstash-Forward-Upstash-Message-Id': 'fake' },
      });
      await context.until(() => app.received.length === 1);
      const [request] = app.received;
      expect.equal(request?.method, 'PUT');
      expect.equal(request?.path, '/orders//42?x=1&y=a%20b');
      expect.equal(request?.body, '{"hello":"wörld"}');
      const headers = Object.fromEntries(request?.headers ?? []);
      expect.match(messageId, /^msg_/);
      expect.equal(headers['upstash-message-id'], messageId);
      expect.equal(headers['upstash-retried'], '0');
      expect.equal(headers['user-agent'], 'Upstash-QStash');
      expect.equal(headers['content-type'], 'application/json');
      expect.equal(headers['x-custom'], 'value');
      expect.equal(headers['host'], new URL(app.url).host);
      expect.equal(headers['authorization'], undefined);
      expect.deepEqual(
        Object.keys(headers).filter(
          (name) => name.startsWith('upstash-telemetry') || name.startsWith('upstash-forward'),
        ),
        [],
      );
    },
  );

  s.case(['Q-29'], 'every attempt carries a signature that the Receiver accepts', async (context) => {
    const app = await destination(context, (_, n) => new Response('', { status: n === 1 ? 500 : 200 }));
    await clientOf(context).publish({ url: `${app.url}/signed?a=b`, body: 'payload' });
    await context.until(() => app.received.length === 1);
    await context.clock.advance(60_000);
    expect.equal(app.received.length, 2);
    const signatures = app.received.map(({ headers }) => headers.get('upstash-signature') ?? '');
    expect.notEqual(signatures[0], signatures[1]);
    for (const signature of signatures) {
      expect.equal(
        await receiverOf(context).verify({ signature, body: 'payload', url: `${app.url}/signed?a=b` }),
        true,
      );
      const [head = '', claims = ''] = signature.split('.');
      expect.deepEqual(JSON.parse(fromBase64(head)), { alg: 'HS256', typ: 'JWT' });
      const { iss, sub, exp, nbf, iat, jti } = JSON.parse(fromBase64(claims)) as Record<string, unknown>;
      expect.deepEqual([iss, sub, nbf], ['Upstash', `${app.url}/signed?a=b`, 0]);
      expect.equal((exp as number) - (iat as number), 300);
      expect.match(String(jti), /^jwt_/);
      await expect.rejects(receiverOf(context).verify({ signature, body: 'other' }), /body hash/);
    }
  });

  s.case(['Q-14'], 'a GET is delivered without its body, signed as empty', async (context) => {
    const app = await destination(context);
    await clientOf(context).publish({ url: app.url, method: 'GET', body: 'ignored' });
    await context.until(() => app.received.length === 1);
    expect.equal(app.received[0]?.method, 'GET');
    expect.equal(app.received[0]?.body, '');
    const signature = app.received[0]?.headers.get('upstash-signature') ?? '';
    expect.equal(await receiverOf(context).verify({ signature, body: '', url: app.url }), true);
  });

  s.case(['Q-15', 'Q-37'], 'bytes that are no text arrive as they are', async (context) => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    let received: Uint8Array | undefined;
    const app = await context.serveHttp(async (request) => {
      received = new Uint8Array(await request.arrayBuffer());
      return new Response('ok');
    });
    const client = clientOf(context);
    const { messageId } = await client.publish({ url: app.url, body: new Blob([bytes]), delay: '1h' });
    const message = await client.messages.get(messageId);
    expect.equal(message.bodyBase64, Buffer.from(bytes).toString('base64'));
    expect.equal(message.body, undefined);
    await context.clock.advance(3_600_000);
    expect.deepEqual(received, bytes);
  });

  s.case(
    ['Q-2', 'Q-10', 'Q-18', 'Q-59'],
    'a webhook is published with token and options in the query',
    async (context) => {
      const app = await destination(context, () => new Response('', { status: 500 }));
      const token = encodeURIComponent(context.environment.qstashToken);
      const path = `/v2/publish/${app.url}/in?keep=1&qstash_token=${token}&upstash-retries=0&upstash-header-forward=true`;
      const response = await fetch(context.url + path, {
        method: 'POST',
        body: 'hook',
        headers: { 'x-hub-event': 'push' },
      });
      expect.equal(response.status, 200);
      await context.until(() => app.received.length === 1);
      expect.equal(app.received[0]?.path, '/in?keep=1');
      expect.equal(app.received[0]?.headers.get('x-hub-event'), 'push');
      await context.clock.advance(DAY_MS);
      expect.equal(app.received.length, 1);
    },
  );

  s.case(['Q-20', 'Q-37', 'Q-86'], 'a delayed message waits its time and is readable meanwhile', async (context) => {
    const app = await destination(context);
    const client = clientOf(context);
    const sentAt = await context.clock.now();
    const { messageId } = await client.publishJSON({
      url: app.url,
      body: 'later',
      delay: '30d',
      headers: { 'test-header': 'v' },
      retries: 7,
      label: ['one', 'two'],
    });
    const message = await client.messages.get(messageId);
    expect.deepEqual(message.header, { 'Content-Type': ['application/json'], 'Test-Header': ['v'] });
    expect.equal(message.url, app.url);
    expect.equal(message.method, 'POST');
    expect.equal(message.body, '"later"');
    expect.equal(message.maxRetries, 7);
    expect.equal(message.label, 'one');
    expect.deepEqual(message.labels, ['one', 'two']);
    // Both come from the server's clock, asked a moment apart.
    expect(Math.abs((message.notBefore ?? 0) - message.createdAt - 30 * DAY_MS) < 1_000);
    expect(message.createdAt >= sentAt);
    await context.clock.advance(30 * DAY_MS - 5_000);
    expect.equal(app.received.length, 0);
    await context.clock.advance(10_000);
    expect.deepEqual(app.bodies(), ['"later"']);
    await expect.rejects(client.messages.get(messageId), { status: 404 });
    // One that is delivered at once can still be read by whoever has just published it.
    const quick = await client.publish({ url: app.url, body: 'now' });
    await context.until(() => app.received.length === 2);
    await context.clock.idle();
    expect.equal((await client.messages.get(quick.messageId)).body, 'now');
    expect.deepEqual(await client.messages.cancel(quick.messageId), { cancelled: 0 });
    await context.clock.advance(5_000);
    await expect.rejects(client.messages.cancel(quick.messageId), { status: 404 });
    await expect.rejects(client.messages.get(quick.messageId), { status: 404 });
  });

  s.case(['Q-20'], 'notBefore beats delay', async (context) => {
    const app = await destination(context);
    const notBefore = Math.floor((await context.clock.now()) / 1000) + 7_200;
    await clientOf(context).publish({ url: app.url, body: 'x', notBefore, delay: '1s' });
    await context.clock.advance(7_100_000);
    expect.equal(app.received.length, 0);
    await context.clock.advance(200_000);
    expect.equal(app.received.length, 1);
  });

  s.case(['Q-35', 'Q-36'], 'a duplicate within ten minutes answers the first message', async (context) => {
    const app = await destination(context);
    const client = clientOf(context);
    const deduplicationId = context.unique('dedup');
    const first = await client.publish({ url: app.url, body: '1', deduplicationId });
    const second = await client.publish({ url: app.url, body: '2', deduplicationId });
    expect.equal(second.messageId, first.messageId);
    expect.equal(second.deduplicated, true);
    const raw = await call(context, 'POST', `/v2/publish/${app.url}`, {
      body: '3',
      headers: { 'upstash-deduplication-id': deduplicationId },
    });
    expect.equal(raw.status, 202);
    const same = { url: app.url, body: context.unique('content'), contentBasedDeduplication: true };
    const third = await client.publish(same);
    expect.equal((await client.publish(same)).messageId, third.messageId);
    const other = await client.publish({ ...same, headers: { 'x-other': '1' } });
    expect.notEqual(other.messageId, third.messageId);
    await context.until(() => app.received.length === 3);
    await context.clock.advance(11 * 60_000);
    const late = await client.publish({ url: app.url, body: '4', deduplicationId });
    expect.notEqual(late.messageId, first.messageId);
    await context.until(() => app.received.length === 4);
  });

  s.case(['Q-12'], 'a wrong message of a batch fails alone', async (context) => {
    const app = await destination(context);
    const response = await call(context, 'POST', '/v2/batch', {
      body: JSON.stringify([
        { destination: `${app.url}/1`, body: 'one' },
        { destination: 'ftp://example.com', body: 'two' },
        { destination: `${app.url}/3`, headers: { 'upstash-delay': 'soon' }, body: 'three' },
        { destination: `${app.url}/4`, headers: { 'content-type': 'text/x' }, body: 'four' },
      ]),
    });
    const answers = (await response.json()) as Array<{ messageId?: string; error?: string }>;
    expect.equal(response.status, 200);
    expect.deepEqual(
      answers.map(({ messageId }) => messageId !== undefined),
      [true, false, false, true],
    );
    expect.match(answers[2]?.error ?? '', /Upstash-Delay/);
    await context.until(() => app.received.length === 2);
    expect.deepEqual(app.bodies().sort(), ['four', 'one']);
    const sent = await clientOf(context).batchJSON([
      { url: app.url, body: { n: 1 } },
      { url: app.url, body: { n: 2 } },
    ]);
    expect.equal(sent.length, 2);
    await context.until(() => app.received.length === 4);
  });

  s.case(['Q-9'], 'a URL group gets one message for each endpoint', async (context) => {
    const app = await destination(context);
    const client = clientOf(context);
    const name = context.unique('group');
    await client.urlGroups.addEndpoints({ name, endpoints: [{ url: `${app.url}/a`, name: 'first' }] });
    await client.urlGroups.addEndpoints({ name, endpoints: [{ url: `${app.url}/b` }] });
    const group = await client.urlGroups.get(name);
    expect.deepEqual(group.endpoints, [{ url: `${app.url}/a`, name: 'first' }, { url: `${app.url}/b` }]);
    const sent = await client.publishJSON({ urlGroup: name, body: 1 });
    expect.deepEqual(
      sent.map(({ url }) => url),
      [`${app.url}/a`, `${app.url}/b`],
    );
    await context.until(() => app.received.length === 2);
    expect.deepEqual(
      app.received.map(({ headers }) => headers.get('upstash-topic-name')),
      [name, name],
    );
    await client.urlGroups.removeEndpoints({ name, endpoints: [{ name: 'first' }] });
    expect.deepEqual((await client.urlGroups.list()).find((item) => item.name === name)?.endpoints, [
      { url: `${app.url}/b` },
    ]);
    await client.urlGroups.delete(name);
    await expect.rejects(client.urlGroups.get(name), { status: 404 });
    await expect.rejects(client.publish({ urlGroup: name, body: 'x' }), { status: 404 });
  });

  s.case(
    ['Q-38', 'Q-39', 'Q-40', 'Q-51'],
    'messages are cancelled by id, by label and never by a misspelt filter',
    async (context) => {
      const app = await destination(context);
      const client = clientOf(context);
      const label = context.unique('label');
      const send = async (): Promise<string> =>
        (await client.publish({ url: app.url, body: 'x', delay: '1h', label: [label, 'other'] })).messageId;
      const [a, b, c, d] = [await send(), await send(), await send(), await send()] as const;
      expect.deepEqual(await client.messages.cancel(a), { cancelled: 1 });
      await expect.rejects(client.messages.cancel(a), { status: 404 });
      expect.deepEqual(await client.messages.cancel([b, 'msg_unknown']), { cancelled: 1 });
      await expect.rejects(client.messages.cancel({ filter: { labeel: label } as never }), { status: 400 });
      const python = await call(context, 'DELETE', '/v2/messages', { body: JSON.stringify({ messageIds: [c] }) });
      expect.deepEqual(await python.json(), { cancelled: 1 });
      expect.deepEqual(await client.messages.cancel({ filter: { label: [label] } }), { cancelled: 1 });
      await expect.rejects(client.messages.get(d), { status: 404 });
      const { logs } = await client.logs({ filter: { messageId: d } });
      expect.deepEqual(
        logs.map(({ state }) => String(state)),
        ['CANCELED', 'CANCEL_REQUESTED', 'CREATED'],
      );
      await context.clock.advance(3_700_000);
      expect.equal(app.received.length, 0);
    },
  );

  s.case(['Q-52'], 'redacted parts are delivered but not shown', async (context) => {
    const app = await destination(context);
    const client = clientOf(context);
    const { messageId } = await client.publish({
      url: app.url,
      body: 'secret',
      headers: { 'x-key': 'hidden', 'x-open': 'shown' },
      redact: { body: true, header: ['x-key'] },
      delay: '1m',
    });
    const message = await client.messages.get(messageId);
    expect.match(message.body ?? '', /^REDACTED:[0-9a-f]{64}$/);
    expect.match(message.header?.['X-Key']?.[0] ?? '', /^REDACTED:/);
    expect.deepEqual(message.header?.['X-Open'], ['shown']);
    await context.clock.advance(61_000);
    expect.equal(app.received[0]?.body, 'secret');
    expect.equal(app.received[0]?.headers.get('x-key'), 'hidden');
  });

  s.case(
    ['Q-6', 'Q-1', 'Q-21'],
    "bad input is refused in the vendor's shape and nothing is published",
    async (context) => {
      const app = await destination(context);
      const refused: Array<[string, number, RegExp, string, RequestInit]> = [
        ['no scheme or group', 400, /destination/, '/v2/publish/', {}],
        ['ftp', 400, /http/, '/v2/publish/ftp://example.com/x', {}],
        ['a group that is not there', 404, /not found/, '/v2/publish/no-such-group', {}],
        ['a delay', 400, /Upstash-Delay/, `/v2/publish/${app.url}`, { headers: { 'upstash-delay': 'soon' } }],
        ['retries', 400, /Upstash-Retries/, `/v2/publish/${app.url}`, { headers: { 'upstash-retries': '-1' } }],
        [
          'too many retries',
          412,
          /Upstash-Retries/,
          `/v2/publish/${app.url}`,
          { headers: { 'upstash-retries': '1000000' } },
        ],
        ['a method', 400, /Upstash-Method/, `/v2/publish/${app.url}`, { headers: { 'upstash-method': 'BREW' } }],
        [
          'a formula',
          400,
          /Upstash-Retry-Delay/,
          `/v2/publish/${app.url}`,
          { headers: { 'upstash-retry-delay': 'process.exit()' } },
        ],
        [
          'a callback',
          400,
          /Upstash-Callback/,
          `/v2/publish/${app.url}`,
          { headers: { 'upstash-callback': 'nowhere' } },
        ],
        ['a label', 400, /Upstash-Label/, `/v2/publish/${app.url}`, { headers: { 'upstash-label': 'a b' } }],
        [
          'flow control',
          400,
          /Flow-Control/,
          `/v2/publish/${app.url}`,
          { headers: { 'upstash-flow-control-key': 'k' } },
        ],
        ['a batch that is no array', 400, /array/, '/v2/batch', { body: '{}' }],
        ['a batch that is no JSON', 400, /JSON/, '/v2/batch', { body: '{' }],
        ['a queue', 400, /queueName/, '/v2/queues', { body: '{"queueName":"a b"}' }],
        ['a schedule without cron', 400, /Upstash-Cron/, `/v2/schedules/${app.url}`, {}],
        ['an unknown path', 404, /not found/, '/v2/messages/x/y/z', {}],
      ];
      for (const [what, status, message, path, init] of refused) {
        const response = await call(context, 'POST', path, { body: 'x', ...init });
        const answer = (await response.json()) as { error: string };
        expect.equal(response.status, status, `${what}: ${JSON.stringify(answer)}`);
        expect.match(answer.error, message, what);
      }
      const big = await call(context, 'POST', `/v2/publish/${app.url}`, { body: 'x'.repeat(10_000_001) });
      expect.equal(big.status, 413);
      expect.match(((await big.json()) as { error: string }).error, /10000000/);
      for (const authorization of ['', 'Bearer nonsense', 'Basic x']) {
        const response = await fetch(`${context.url}/v2/publish/${app.url}`, {
          method: 'POST',
          headers: { authorization },
        });
        expect.equal(response.status, 401);
        expect.equal(typeof ((await response.json()) as { error: string }).error, 'string');
      }
      await context.clock.idle();
      expect.equal(app.received.length, 0);
    },
  );

  s.case(['Q-5'], 'QSTASH_DEV=true finds the server with no setting but the port', async (context) => {
    const app = await destination(context);
    const before = { QSTASH_DEV: process.env.QSTASH_DEV, QSTASH_DEV_PORT: process.env.QSTASH_DEV_PORT };
    context.onCleanup(() => {
      for (const [name, value] of Object.entries(before)) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    });
    process.env.QSTASH_DEV = 'true';
    process.env.QSTASH_DEV_PORT = new URL(context.url).port;
    const client = new Client();
    await client.publish({ url: app.url, body: 'dev' });
    await context.until(() => app.received.length === 1);
    const keys = await call(context, 'GET', '/v2/keys');
    expect.deepEqual(await keys.json(), {
      current: 'sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r',
      next: 'sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs',
    });
  });

  s.case(
    ['Q-1', 'Q-29'],
    'in production only the configured key counts, and its signing keys sign',
    async (context) => {
      const token = btoa('{"UserID":"me","Password":"secret"}');
      const server = await context.startServer({
        mode: 'production',
        env: { QSTASH_TOKEN: token, QSTASH_CURRENT_SIGNING_KEY: 'sig_mine', QSTASH_NEXT_SIGNING_KEY: 'sig_next' },
      });
      const app = await destination(context);
      const stranger = new Client({ baseUrl: server.url, token: context.environment.qstashToken, retry: false });
      await expect.rejects(stranger.publish({ url: app.url, body: 'x' }), { status: 401 });
      const client = new Client({ baseUrl: server.url, token, retry: false });
      const keys = await fetch(`${server.url}/v2/keys`, { headers: { authorization: `Bearer ${token}` } });
      expect.deepEqual(await keys.json(), { current: 'sig_mine', next: 'sig_next' });
      // Loopback is no destination in production.
      const { messageId } = await client.publish({ url: app.url, body: 'x' });
      const letter = await context.until(
        async () => (await client.dlq.listMessages({ filter: { messageId } })).messages[0],
      );
      expect.equal(letter.responseStatus, 0);
      expect.equal(app.received.length, 0);
    },
  );

  s.case(['Q-8', 'Q-20', 'Q-37'], 'what was acknowledged is delivered after the server is killed', async (context) => {
    const server = await context.startServer();
    const app = await destination(context);
    const client = new Client({ baseUrl: server.url, token: context.environment.qstashToken, retry: false });
    const { messageId } = await client.publish({ url: app.url, body: 'kept', delay: '1h' });
    await server.kill9();
    await server.restart();
    expect.equal((await client.messages.get(messageId)).body, 'kept');
    await server.clock.advance(3_700_000);
    await context.until(() => app.received.length === 1);
    expect.equal(app.received[0]?.headers.get('upstash-message-id'), messageId);
  });
});
