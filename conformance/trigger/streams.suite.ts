import { auth, configure, runs, streams, tasks } from '@trigger.dev/sdk';
import { expect, suite, type CaseContext } from '../harness/index.ts';
import type * as project from './project/src/trigger/basic.ts';
import type * as realtime from './project/src/trigger/realtime.ts';
import { call, finished, SDK, seen, useSdk, useWorker } from './support.ts';

interface Numbered {
  n: number;
  text: string;
}

const numbered = (count: number): Numbered[] =>
  Array.from({ length: count }, (_, n) => ({ n, text: `line one of ${n}\nline two "quoted" ü` }));

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** A run that goes on until it is cancelled. */
async function endless(context: CaseContext): Promise<string> {
  const { id } = await tasks.trigger<typeof project.endless>('endless', {});
  await seen(context, id, 'the run to execute', (run) => run.metadata?.state === 'running');
  return id;
}

/** The events of an answer until `count` have come. */
async function events(response: Response, count: number): Promise<Array<{ id: string; data: string }>> {
  const found: Array<{ id: string; data: string }> = [];
  let rest = '';
  const decoder = new TextDecoder();
  for await (const bytes of response.body as ReadableStream<Uint8Array>) {
    const blocks = (rest + decoder.decode(bytes, { stream: true })).split('\n\n');
    rest = blocks.pop() as string;
    for (const block of blocks) {
      const id = /^id: (.*)$/m.exec(block)?.[1];
      if (id !== undefined)
        found.push({ id, data: [...block.matchAll(/^data: (.*)$/gm)].map(([, data]) => data).join('\n') });
    }
    if (found.length >= count) break;
  }
  return found;
}

suite({ vendor: 'trigger', name: 'streams', sdk: SDK }, (s) => {
  s.beforeAll(async (context) => {
    await useWorker(context);
  });

  s.case(
    ['T-86', 'T-87', 'T-88'],
    'what a task writes is read in order while it runs, and again from the start after it has ended',
    async () => {
      const key = 'numbers';
      const handle = await tasks.trigger<typeof realtime.writesStream>('writes-stream', {
        count: 20,
        everyMs: 20,
        key,
      });
      const live = await streams.read<Numbered | string>(handle.id, key);
      expect.deepEqual(await all(live), [...numbered(20), 'a part']);
      const run = await finished(handle);
      expect.deepEqual(run.output, { written: 20 });
      const replayed = await streams.read<Numbered | string>(handle.id, key);
      expect.deepEqual(await all(replayed), [...numbered(20), 'a part']);
      const from = await streams.read<Numbered | string>(handle.id, key, { startIndex: 18 });
      expect.deepEqual(await all(from), [...numbered(20).slice(18), 'a part']);
    },
  );

  s.case(
    ['T-86', 'T-87', 'T-82'],
    'who subscribes to a run with its streams gets both, with a public token too',
    async (context) => {
      const key = 'with-run';
      const handle = await tasks.trigger<typeof realtime.writesStream>('writes-stream', { count: 5, everyMs: 30, key });
      try {
        configure({ baseURL: context.url, accessToken: handle.publicAccessToken });
        const values: unknown[] = [];
        const statuses: string[] = [];
        const subscription = runs.subscribeToRun<typeof realtime.writesStream>(handle.id);
        for await (const part of subscription.withStreams<{ [key]: Numbered | string }>()) {
          if (part.type === 'run') statuses.push(part.run.status);
          else values.push(part.chunk);
          if (values.length === 6 && statuses.includes('COMPLETED')) break;
        }
        expect.deepEqual(values, [...numbered(5), 'a part']);
      } finally {
        useSdk(context);
      }
      await finished(handle);
    },
  );

  s.case(['T-86'], "a child writes to its parent's stream", async () => {
    const handle = await tasks.trigger<typeof realtime.streamParent>('stream-parent', {});
    expect.deepEqual(await all(await streams.read<Numbered>(handle.id, 'shared')), numbered(2));
    expect.deepEqual((await finished(handle)).output, { ok: true });
  });

  s.case(
    ['T-86', 'T-87'],
    'a writer that was cut off asks how far it came and goes on; what it repeats is kept once',
    async (context) => {
      const run = await endless(context);
      const path = `/realtime/v1/streams/${run}/self/cut`;
      const created = await call(context, 'PUT', path);
      expect.deepEqual(await created.json(), { version: 'v1' });
      const write = (from: number, values: number[]): Promise<Response> =>
        call(context, 'POST', path, {
          headers: { 'x-client-id': 'writer', 'x-resume-from-chunk': String(from) },
          body: values.map((value) => `${JSON.stringify(value)}\n`).join(''),
        });
      const probe = async (client: string): Promise<string | null> => {
        const response = await call(context, 'HEAD', path, { headers: { 'x-client-id': client } });
        expect.equal(response.status, 200);
        return response.headers.get('x-last-chunk-index');
      };
      expect.equal(await probe('writer'), '-1');
      expect.equal((await write(0, [0, 1, 2])).status, 200);
      expect.equal(await probe('writer'), '2');
      expect.equal(await probe('another'), '-1');
      expect.equal((await write(1, [1, 2, 3, 4])).status, 200);
      expect.equal((await write(0, [0, 1, 2, 3, 4])).status, 200);
      // A connection that breaks in the middle of a line: the whole lines count.
      const cut = new AbortController();
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new TextEncoder().encode('5\n6\n{"half":')),
      });
      const broken = call(context, 'POST', path, {
        headers: { 'x-client-id': 'writer', 'x-resume-from-chunk': '5' },
        body,
        signal: cut.signal,
        ...{ duplex: 'half' },
      }).catch((error: unknown) => error);
      await context.until(async () => (await probe('writer')) === '6', { what: 'the lines before the break' });
      cut.abort();
      await broken;
      expect.equal((await write(7, [7])).status, 200);
      const reader = await call(context, 'GET', `/realtime/v1/streams/${run}/cut`);
      expect.equal(reader.headers.get('x-stream-version'), 'v1');
      const found = await events(reader, 8);
      expect.deepEqual(
        found.map(({ data }) => JSON.parse(data) as number),
        [0, 1, 2, 3, 4, 5, 6, 7],
      );
      // From the middle, as a reader that lost its connection asks.
      const resumed = await call(context, 'GET', `/realtime/v1/streams/${run}/cut`, {
        headers: { 'last-event-id': found[4]?.id ?? '' },
      });
      expect.deepEqual(
        (await events(resumed, 3)).map(({ data }) => data),
        ['5', '6', '7'],
      );
      const latest = await call(context, 'GET', `/realtime/v1/streams/${run}/cut`, {
        headers: { 'x-trigger-stream-start': 'latest' },
      });
      await write(8, [8]);
      expect.deepEqual(
        (await events(latest, 1)).map(({ data }) => data),
        ['8'],
      );
      await runs.cancel(run);
    },
  );

  s.case(['T-87'], 'a reader is let go when nothing has come for the time that it gave', async (context) => {
    const run = await endless(context);
    await call(context, 'POST', `/realtime/v1/streams/${run}/self/quiet/append`, { body: 'only this' });
    const from = Date.now();
    expect.deepEqual(await all(await streams.read(run, 'quiet', { timeoutInSeconds: 1 })), ['only this']);
    expect(Date.now() - from >= 900 && Date.now() - from < 9_000, `after ${Date.now() - from} ms`);
    await runs.cancel(run);
  });

  s.case(
    ['T-86', 'T-87'],
    'one part sent twice is one part; nothing is written to a run that has ended',
    async (context) => {
      const run = await endless(context);
      const path = `/realtime/v1/streams/${run}/self/parts/append`;
      for (let i = 0; i < 2; i++) {
        const answer = await call(context, 'POST', path, { body: 'the part', headers: { 'x-part-id': 'p1' } });
        expect.deepEqual(await answer.json(), { ok: true });
      }
      await call(context, 'POST', path, { body: 'another', headers: { 'x-part-id': 'p2' } });
      await runs.cancel(run);
      await finished({ id: run });
      expect.deepEqual(await all(await streams.read(run, 'parts')), ['the part', 'another']);
      const late = await call(context, 'POST', path, { body: 'late' });
      expect.equal(late.status, 400);
      expect.match(((await late.json()) as { error: string }).error, /completed run/);
      expect.equal((await call(context, 'PUT', `/realtime/v1/streams/${run}/sideways/parts`)).status, 400);
      const token = await auth.createPublicToken({ scopes: { read: { runs: ['run_other'] } } });
      expect.equal((await call(context, 'GET', `/realtime/v1/streams/${run}/parts`, { key: token })).status, 403);
    },
  );

  s.case(['T-49'], 'a task hears what it is sent: once, in a wait on the server, and as it comes', async (context) => {
    const handle = await tasks.trigger<typeof realtime.listens>('listens', {});
    const question = streams.input<{ answer: string }>({ id: 'question' });
    const orders = streams.input<{ order: number }>({ id: 'orders' });
    await seen(context, handle.id, 'the task to listen', (run) => run.metadata?.state === 'once');
    await question.send(handle.id, { answer: 'first' });
    await seen(context, handle.id, 'the task to wait', (run) => run.metadata?.state === 'wait');
    await question.send(handle.id, { answer: 'second' });
    // Sent before anybody listens to it: nothing is lost.
    for (const order of [1, 2, 3]) await orders.send(handle.id, { order });
    expect.deepEqual((await finished(handle)).output, { first: 'first', second: 'second', received: [1, 2, 3] });
    const late = await call(context, 'POST', `/realtime/v1/streams/${handle.id}/input/question`, {
      body: '{"data":1}',
    });
    expect.equal(late.status, 400);
  });

  s.case(['T-49'], 'a wait for a record runs out', async () => {
    const run = await finished(await tasks.trigger<typeof realtime.impatient>('impatient', {}));
    expect.deepEqual(run.output, { ok: false });
  });

  s.case(
    ['T-50', 'T-51'],
    'payloads and outputs that are too large for a request go through the store, both ways',
    async (context) => {
      const size = 400_000;
      const handle = await tasks.trigger<typeof realtime.large>('large', { text: 'x'.repeat(size), grow: size });
      const run = await finished(handle);
      expect.equal(run.status, 'COMPLETED');
      expect.equal((run.output as { length: number }).length, size);
      const retrieved = await runs.retrieve<typeof realtime.large>(handle.id);
      expect.equal(retrieved.output?.text.length, size);
      expect.equal(retrieved.payload?.text.length, size);
      let seenOutput: { text: string } | undefined;
      for await (const change of runs.subscribeToRun<typeof realtime.large>(handle.id)) seenOutput = change.output;
      expect.equal(seenOutput?.text.length, size);
      const parent = await finished(
        await tasks.trigger<typeof realtime.largeParent>('large-parent', { size: 150_000 }),
      );
      expect.deepEqual(parent.output, { length: 150_000, back: 150_000 });
      // An address is for one file and one use.
      const presigned = (await (await call(context, 'GET', `/api/v1/runs/${handle.id}/packets/output`)).json()) as {
        presignedUrl: string;
      };
      expect.equal((await fetch(presigned.presignedUrl)).status, 200);
      expect.equal((await fetch(presigned.presignedUrl, { method: 'PUT', body: 'mine' })).status, 403);
      const other = presigned.presignedUrl.replace(/packet_\w{4}/, 'packet_0000');
      expect.equal((await fetch(other)).status, 403);
      const upload = (await (await call(context, 'PUT', '/api/v2/packets/mine.json')).json()) as {
        presignedUrl: string;
      };
      const tooLarge = await fetch(upload.presignedUrl, { method: 'PUT', body: 'x'.repeat(13 * 1_024 * 1_024) });
      expect.equal(tooLarge.status, 413);
    },
  );

  s.case(['T-51'], 'a payload that is too large for the server is refused', async (context) => {
    const body = JSON.stringify({ payload: 'x'.repeat(5 * 1_024 * 1_024), options: { payloadType: 'text/plain' } });
    const refused = await call(context, 'POST', '/api/v1/tasks/echo/trigger', { body });
    expect.equal(refused.status, 413);
  });
});
