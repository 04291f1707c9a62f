import { realtimeMiddleware } from '@inngest/realtime/middleware';
import { getSubscriptionToken as getToken3, subscribe as subscribe3 } from '@inngest/realtime';
import { Inngest } from 'inngest';
import { serve } from 'inngest/edge';
import { channel, getSubscriptionToken, subscribe } from 'inngest/realtime';
import { Inngest as Inngest3 } from 'inngest3';
import { serve as serve3 } from 'inngest3/edge';
import { expect, suite, type CaseContext } from '../harness/index.ts';
import { fail } from './apps.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

interface Heard {
  kind: string;
  topic?: string;
  data: unknown;
  runId?: string;
}

/** Reads from a subscription until `count` messages have come. */
async function take(stream: ReadableStream<unknown>, count: number): Promise<Heard[]> {
  const reader = stream.getReader();
  const heard: Heard[] = [];
  while (heard.length < count) {
    const { done, value } = await reader.read();
    if (done) break;
    heard.push(value as Heard);
  }
  reader.releaseLock();
  return heard;
}

function client4({ url, unique }: CaseContext): Inngest {
  return new Inngest({ id: unique('realtime'), baseUrl: url, isDev: true, logger: quiet } as never);
}

const chat = channel({
  name: (id: string) => `chat:${id}`,
  topics: { messages: { schema: undefined as never }, status: { schema: undefined as never } },
});

suite({ vendor: 'inngest', name: 'realtime', sdk: 'inngest 4.24.0' }, (s) => {
  s.case(
    ['I-46', 'I-47'],
    'what a function publishes, in a step and outside of one, reaches its subscribers in order',
    async (context) => {
      const client = client4(context);
      const room = chat(context.unique('room'));
      const published: unknown[] = [];
      const fn = client.createFunction(
        { id: 'talk', triggers: [{ event: 'room/opened' }] } as never,
        (async ({
          step,
          runId,
        }: {
          step: { realtime: { publish(id: string, topic: unknown, data: unknown): Promise<unknown> } };
          runId: string;
        }) => {
          published.push(await step.realtime.publish('one', room.messages, { text: 'one ü', n: 1 }));
          await client.realtime.publish(room.status as never, 'typing' as never);
          published.push(await step.realtime.publish('two', room.messages, ['two', null]));
          return runId;
        }) as never,
      );
      const app = await context.serveHttp(serve({ client, functions: [fn] } as never) as never);
      expect.equal((await fetch(`${app.url}/api/inngest`, { method: 'PUT' })).status, 200);
      const both = await client.realtime.subscribe({ channel: room, topics: ['messages', 'status'] } as never);
      const one = await client.realtime.subscribe({ channel: room.name, topics: ['status'] } as never);
      const other = await client.realtime.subscribe({ channel: `${room.name}-other`, topics: ['messages'] } as never);
      const { ids } = await client.send({ name: 'room/opened', data: {} });
      const heard = await take(both as never, 3);
      // A function is called again after a step: what it publishes outside of one may be said more than once.
      const messages = heard.filter(({ topic }) => topic === 'messages').map(({ data }) => data);
      expect.equal(messages[0] !== undefined && (messages[0] as { text: string }).text, 'one ü');
      expect.equal(heard.find(({ topic }) => topic === 'status')?.data, 'typing');
      const run = await context.until(
        async () => {
          const response = await fetch(`${context.url}/v1/events/${ids[0]}/runs`);
          const { data } = (await response.json()) as {
            data: Array<{ run_id: string; output: unknown; ended_at: unknown }>;
          };
          return data[0]?.ended_at ? data[0] : null;
        },
        { what: 'the end of the run' },
      );
      expect.equal(heard[0]?.runId, run.run_id);
      expect.deepEqual(published[0], { text: 'one ü', n: 1 });
      expect.equal((await take(one as never, 1))[0]?.data, 'typing');
      for (const subscription of [both, one, other] as unknown as Array<{ close(): void }>) subscription.close();
      // Nobody of the other channel has heard anything: its stream ends empty.
      expect.deepEqual(await take(other as never, 1), []);
    },
  );

  s.case(['I-46', 'I-47'], 'many messages arrive all, in order, at each of many subscribers', async (context) => {
    const client = client4(context);
    const name = context.unique('many');
    const token = await getSubscriptionToken(client as never, { channel: name, topics: ['t'] } as never);
    const subscriptions = await Promise.all(Array.from({ length: 20 }, () => subscribe(token as never)));
    for (let n = 0; n < 50; n++)
      await client.realtime.publish({ channel: name, topic: 't', config: {} } as never, n as never);
    for (const subscription of subscriptions) {
      const heard = await take(subscription as never, 50);
      expect.deepEqual(
        heard.map(({ data }) => data),
        Array.from({ length: 50 }, (_, n) => n),
      );
      (subscription as unknown as { close(): void }).close();
    }
  });

  s.case(['I-46', 'I-47'], 'a stream is published in chunks between its start and its end', async (context) => {
    const client = client4(context);
    const name = context.unique('stream');
    // By hand: the SDK's own subscription throws at the start of a stream (4.24.0: TokenSubscription.js, "Cannot access 'stream' before initialization").
    const { key } = await getSubscriptionToken(client as never, { channel: name, topics: ['tokens'] } as never);
    const socket = new WebSocket(`${context.url.replace('http', 'ws')}/v1/realtime/connect?token=${key}`);
    const heard: Array<{ kind: string; data: string; stream_id?: string }> = [];
    socket.addEventListener('message', ({ data }) => heard.push(JSON.parse(data as string) as (typeof heard)[number]));
    await new Promise((resolve) => socket.addEventListener('open', resolve));
    const parts = ['Hello, ', 'wörld', '!'];
    let next = 0;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 30));
        if (next < parts.length) controller.enqueue(new TextEncoder().encode(parts[next++]));
        else controller.close();
      },
    });
    const answer = await fetch(`${context.url}/v1/realtime/publish?channel=${name}&topic=tokens`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'text/stream' },
      ...{ duplex: 'half' },
    });
    expect.equal(answer.status, 200);
    await context.until(() => heard.at(-1)?.kind === 'datastream-end', { what: 'the end of the stream' });
    const [start, ...rest] = heard;
    expect.equal(start?.kind, 'datastream-start');
    expect.equal(rest.at(-1)?.data, start?.data);
    const chunks = rest.slice(0, -1);
    expect(chunks.every(({ kind, stream_id }) => kind === 'chunk' && stream_id === start?.data));
    expect.equal(chunks.map(({ data }) => data).join(''), 'Hello, wörld!');
    socket.close();
  });

  s.case(['I-46', 'I-47', 'I-80'], 'what is wrong is refused and says what', async (context) => {
    const post = (path: string, body: string): Promise<Response> =>
      fetch(`${context.url}/v1/realtime/${path}`, { method: 'POST', body });
    const errorOf = async (response: Response): Promise<string> => ((await response.json()) as { error: string }).error;
    expect.match(await errorOf(await post('publish?topic=t', '1')), /\?channel=/);
    expect.match(await errorOf(await post('publish?channel=c', '1')), /\?topic=/);
    expect.equal((await post('publish?channel=c&topic=t', 'x'.repeat(600_000))).status, 413);
    expect.equal((await post('publish?channel=c&topic=t', 'no JSON at all')).status, 200);
    expect.equal((await post('token', '{"channel":"c"}')).status, 400);
    const two = await post(
      'token',
      JSON.stringify([
        { channel: 'a', name: 't' },
        { channel: 'b', name: 't' },
      ]),
    );
    expect.match(await errorOf(two), /one channel/);
    const made = await post('token', JSON.stringify([{ channel: 'a', name: 't', kind: 'run' }]));
    expect.equal(made.status, 201);
    const { jwt } = (await made.json()) as { jwt: string };
    expect.equal((await fetch(`${context.url}/v1/realtime/connect?token=${jwt}`)).status, 426);
    const forged = `${jwt.slice(0, -4)}AAAA`;
    const closed = await new Promise((resolve) => {
      const socket = new WebSocket(`${context.url.replace('http', 'ws')}/v1/realtime/connect?token=${forged}`);
      socket.addEventListener('error', () => resolve('refused'));
      socket.addEventListener('open', () => resolve('open'));
    });
    expect.equal(closed, 'refused');
  });

  s.case(
    ['I-38', 'I-46'],
    'raw bytes are passed on as they come, and read from the start by who comes late',
    async (context) => {
      const client = client4(context);
      const fn = client.createFunction(
        { id: 'waits', triggers: [{ event: 'raw/opened' }] } as never,
        (async ({ step }: { step: { waitForEvent(id: string, options: object): Promise<unknown> } }) =>
          step.waitForEvent('end', { event: 'raw/closed', timeout: '1h' })) as never,
      );
      const app = await context.serveHttp(serve({ client, functions: [fn] } as never) as never);
      await fetch(`${app.url}/api/inngest`, { method: 'PUT' });
      const { ids } = await client.send({ name: 'raw/opened', data: {} });
      const run = await context.until(
        async () => {
          const response = await fetch(`${context.url}/v1/events/${ids[0]}/runs`);
          return ((await response.json()) as { data: Array<{ run_id: string }> }).data[0]?.run_id ?? null;
        },
        { what: 'the run' },
      );
      const token = await fetch(`${context.url}/v1/realtime/token`, {
        method: 'POST',
        body: JSON.stringify([{ channel: run, name: '$stream', kind: 'run' }]),
      });
      const { jwt } = (await token.json()) as { jwt: string };
      const tee = (body: string): Promise<Response> =>
        fetch(`${context.url}/v1/realtime/publish/tee?channel=${run}`, { method: 'POST', body });
      expect.equal((await tee('event: stream\ndata: "one"\n\n')).status, 200);
      const reading = fetch(`${context.url}/v1/realtime/sse?token=${jwt}`);
      const response = await reading;
      expect.equal(response.headers.get('content-type'), 'text/event-stream');
      expect.equal((await tee('event: stream\ndata: "two"\n\n')).status, 200);
      await client.send({ name: 'raw/closed', data: {} });
      expect.equal(
        (await response.text()).replaceAll(':\n\n', ''),
        'event: stream\ndata: "one"\n\nevent: stream\ndata: "two"\n\n',
      );
      expect.equal((await fetch(`${context.url}/v1/realtime/sse?token=x`)).status, 401);
    },
  );
});

suite({ vendor: 'inngest', name: 'realtime of version 3', sdk: '@inngest/realtime 0.4.7, inngest 3.54.2' }, (s) => {
  s.case(['I-46', 'I-47'], 'what a function publishes reaches its subscribers', async (context) => {
    const client = new Inngest3({
      id: context.unique('realtime3'),
      baseUrl: context.url,
      isDev: true,
      logger: quiet,
      middleware: [realtimeMiddleware()],
    } as never);
    const name = context.unique('room3');
    const fn = client.createFunction({ id: 'talk' }, { event: 'room3/opened' }, (async ({
      publish,
      step,
    }: {
      publish(message: object): Promise<unknown>;
      step: { run(id: string, body: () => unknown): Promise<unknown> };
    }) => {
      await publish({ channel: name, topic: 'messages', data: { n: 1 } });
      await step.run('inside', () => publish({ channel: name, topic: 'messages', data: { n: 2 } }));
    }) as never);
    const app = await context.serveHttp(serve3({ client, functions: [fn], logLevel: 'silent' } as never) as never);
    expect.equal((await fetch(`${app.url}/api/inngest`, { method: 'PUT' })).status, 200);
    const token = await getToken3(client as never, { channel: name, topics: ['messages'] } as never);
    if (!token.key) fail('no key in the token');
    const subscription = await subscribe3({ ...token, app: client } as never);
    await client.send({ name: 'room3/opened', data: {} });
    const heard = await take(subscription as never, 2);
    expect.deepEqual(
      heard.map(({ data }) => data),
      [{ n: 1 }, { n: 2 }],
    );
    expect(heard[0]?.runId, 'it names its run');
    await (subscription as unknown as ReadableStream).cancel();
  });
});
