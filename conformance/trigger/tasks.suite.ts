import { auth, idempotencyKeys, runs, tasks } from '@trigger.dev/sdk';
import { expect, suite } from '../harness/index.ts';
import type * as project from './project/src/trigger/basic.ts';
import { call, finished, SDK, seen, useWorker } from './support.ts';

suite({ vendor: 'trigger', name: 'tasks', sdk: SDK }, (s) => {
  s.beforeAll(async (context) => {
    await useWorker(context);
  });

  s.case(
    ['T-1', 'T-2', 'T-3', 'T-13', 'T-19', 'T-58', 'T-59', 'T-60', 'T-61', 'T-62', 'T-63', 'T-64', 'T-68', 'T-81'],
    'a task triggered from a script runs in the worker, and its output is read by retrieve and poll',
    async () => {
      const handle = await tasks.trigger<typeof project.echo>('echo', { text: 'hello' }, { tags: ['first', 'second'] });
      const polled = await finished(handle);
      expect.equal(polled.status, 'COMPLETED');
      const run = await runs.retrieve<typeof project.echo>(handle.id);
      expect.deepEqual(run.output, {
        text: 'hello',
        runId: handle.id,
        attempt: 1,
        tags: ['first', 'second'],
        queue: 'task/echo',
        environment: 'DEVELOPMENT',
      });
      expect.deepEqual(run.payload, { text: 'hello' });
      expect.equal(run.isSuccess, true);
      expect.equal(run.attemptCount, 1);
      expect.equal(run.taskIdentifier, 'echo');
      expect(run.startedAt && run.finishedAt && run.startedAt <= run.finishedAt);
    },
  );

  s.case(['T-13', 'T-19'], 'payloads and outputs of every kind arrive as they were', async () => {
    const text = await finished(await tasks.trigger<typeof project.plainText>('plain-text', 'just text'));
    expect.equal(text.output, '<just text>');
    const at = new Date('2026-01-02T03:04:05.678Z');
    const dates = await finished(await tasks.trigger<typeof project.dates>('dates', { at }));
    expect.deepEqual(dates.output, { isDate: true, next: '2026-01-02T03:04:05.679Z' });
  });

  s.case(['T-70', 'T-64'], 'a failed attempt is made again at once by the same worker', async () => {
    const run = await finished(await tasks.trigger<typeof project.flaky>('flaky', { failures: 1 }));
    expect.equal(run.status, 'COMPLETED');
    expect.deepEqual(run.output, { attempts: 2 });
    expect.equal(run.attemptCount, 2);
  });

  s.case(['T-70', 'T-62'], 'a retry with a long delay goes through the queue', async (context) => {
    const handle = await tasks.trigger<typeof project.slowRetry>('slow-retry', {});
    await seen(
      context,
      handle.id,
      'the first attempt to fail',
      (run) => run.attemptCount === 1 && run.status === 'EXECUTING' && run.startedAt !== undefined,
    );
    await context.until(
      async () => {
        await context.clock.advance(46_000);
        return (await runs.retrieve(handle.id)).isCompleted;
      },
      { what: 'the second attempt', everyMs: 1_000 },
    );
    const run = await finished(handle);
    expect.deepEqual(run.output, { attempts: 2 });
  });

  s.case(['T-19', 'T-64'], 'a run whose attempts are used up has failed, with the last error', async () => {
    const run = await finished(await tasks.trigger<typeof project.flaky>('flaky', { failures: 9 }));
    expect.equal(run.status, 'FAILED');
    expect.equal(run.isFailed, true);
    expect.equal(run.error?.message, 'attempt 3 fails');
    expect.equal(run.error?.name, 'Error');
    expect.equal(run.attemptCount, 3);
  });

  s.case(['T-64'], 'maxAttempts of the trigger bounds the attempts; an abort ends them', async () => {
    const bounded = await finished(await tasks.trigger<typeof project.bounded>('bounded', {}, { maxAttempts: 2 }));
    expect.equal(bounded.attemptCount, 2);
    const aborted = await finished(await tasks.trigger<typeof project.aborts>('aborts', {}));
    expect.equal(aborted.status, 'FAILED');
    expect.equal(aborted.attemptCount, 1);
    expect.equal(aborted.error?.message, 'no use in trying again');
  });

  s.case(['T-31'], 'the same idempotency key answers the first run', async ({ unique }) => {
    const idempotencyKey = await idempotencyKeys.create(unique('key'), { scope: 'global' });
    const first = await tasks.trigger<typeof project.echo>('echo', { text: 'a' }, { idempotencyKey });
    const second = await tasks.trigger<typeof project.echo>('echo', { text: 'b' }, { idempotencyKey });
    expect.equal(second.id, first.id);
    const run = await finished(first);
    expect.deepEqual((run.output as { text: string }).text, 'a');
  });

  s.case(['T-31'], 'the key of a failed run makes a new one', async ({ unique }) => {
    const idempotencyKey = await idempotencyKeys.create(unique('key'), { scope: 'global' });
    const first = await tasks.trigger<typeof project.aborts>('aborts', {}, { idempotencyKey });
    await finished(first);
    const second = await tasks.trigger<typeof project.aborts>('aborts', {}, { idempotencyKey });
    expect.notEqual(second.id, first.id);
    const third = await tasks.trigger<typeof project.aborts>('aborts', {}, { idempotencyKey });
    await finished(second);
    expect([first.id, second.id].includes(third.id) ? third.id === second.id : true);
  });

  s.case(['T-11'], 'a request sent twice by the network makes one run', async (context) => {
    const headers = { 'x-trigger-request-idempotency-key': context.unique('request') };
    const body = JSON.stringify({ payload: '{"text":"once"}', options: { payloadType: 'application/json' } });
    const send = async (): Promise<{ id: string }> =>
      (await (await call(context, 'POST', '/api/v1/tasks/echo/trigger', { headers, body })).json()) as { id: string };
    const [first, second] = [await send(), await send()];
    expect.equal(second.id, first.id);
  });

  s.case(['T-33'], 'a delayed run waits until its time', async (context) => {
    const handle = await tasks.trigger<typeof project.echo>('echo', { text: 'late' }, { delay: '10m' });
    const waiting = await runs.retrieve(handle.id);
    expect.equal(waiting.status, 'DELAYED');
    expect(waiting.delayedUntil instanceof Date);
    await context.clock.advance(10 * 60_000);
    const run = await finished(handle);
    expect.equal(run.status, 'COMPLETED');
  });

  s.case(['T-38', 'T-37'], 'a queue with a limit of one lets one run in at a time', async () => {
    const handles = await Promise.all(
      [1, 2, 3].map(() => tasks.trigger<typeof project.oneByOne>('one-by-one', { ms: 150 })),
    );
    const spans = (await Promise.all(handles.map(finished)))
      .map((run) => run.output as { from: number; to: number })
      .sort((a, b) => a.from - b.from);
    for (let i = 1; i < spans.length; i++)
      expect((spans[i]?.from ?? 0) >= (spans[i - 1]?.to ?? 0), `run ${i} overlaps the one before`);
  });

  s.case(['T-39'], 'with a concurrency key the limit holds for each key', async () => {
    const handles = await Promise.all(
      ['a', 'b'].map((concurrencyKey) =>
        tasks.trigger<typeof project.oneByOne>('one-by-one', { ms: 700 }, { concurrencyKey }),
      ),
    );
    const [x, y] = await Promise.all(handles.map(finished));
    // By the server's times: a new task process takes long to start.
    expect(x?.startedAt && x.finishedAt && y?.startedAt && y.finishedAt);
    expect(x.startedAt < y.finishedAt && y.startedAt < x.finishedAt, 'the two keys ran side by side');
  });

  s.case(
    ['T-22', 'T-74', 'T-67'],
    'a run that executes is cancelled: the worker is told, its hooks run',
    async (context) => {
      const handle = await tasks.trigger<typeof project.endless>('endless', {});
      await seen(context, handle.id, 'the run to execute', (run) => run.metadata?.state === 'running');
      await runs.cancel(handle.id);
      expect.equal((await runs.retrieve(handle.id)).status, 'CANCELED');
      const run = await seen(
        context,
        handle.id,
        'the cancel hook',
        (seenRun) => seenRun.metadata?.state === 'cancelled' && seenRun.finishedAt !== undefined,
      );
      expect.equal(run.isCancelled, true);
    },
  );

  s.case(['T-22'], 'a run that waits for its time is cancelled at once', async (context) => {
    const handle = await tasks.trigger<typeof project.echo>('echo', { text: 'never' }, { delay: '1h' });
    await runs.cancel(handle.id);
    const run = await runs.retrieve(handle.id);
    expect.equal(run.status, 'CANCELED');
    await context.clock.advance(3_600_000);
    expect.equal((await runs.retrieve(handle.id)).output, undefined);
  });

  s.case(['T-26', 'T-27'], 'metadata: operations of the worker and the last flush are applied in order', async () => {
    const handle = await tasks.trigger<typeof project.counted>('counted', {}, { metadata: { given: true } });
    const run = await finished(handle);
    expect.deepEqual(run.metadata, { given: true, phase: 'two', count: 5, log: ['a', 'b'] });
  });

  s.case(['T-26', 'T-27'], 'metadata of the parent and the root is changed by the child', async () => {
    const run = await finished(await tasks.trigger<typeof project.metadataParent>('metadata-parent', {}));
    expect.deepEqual(run.metadata, { from: 'child', children: 1 });
  });

  s.case(['T-20', 'T-28'], 'runs are listed by task, tag and status, page by page', async ({ unique }) => {
    const tag = unique('tag');
    const made: string[] = [];
    for (const text of ['1', '2', '3'])
      made.push((await tasks.trigger<typeof project.echo>('echo', { text }, { tags: [tag] })).id);
    for (const id of made) await finished({ id });
    const page = await runs.list({ tag, limit: 2 });
    expect.deepEqual(
      page.data.map((run) => run.id),
      made.toReversed().slice(0, 2),
    );
    expect(page.hasNextPage());
    const next = await page.getNextPage();
    expect.deepEqual(
      next.data.map((run) => run.id),
      [made[0]],
    );
    const all: string[] = [];
    for await (const run of runs.list({ tag, status: 'COMPLETED', taskIdentifier: 'echo' })) all.push(run.id);
    expect.deepEqual(all, made.toReversed());
    const none = await runs.list({ tag, status: 'FAILED' });
    expect.deepEqual(none.data, []);
  });

  s.case(['T-28'], 'tags added inside a task are shown and found', async ({ unique }) => {
    const added = unique('added');
    const handle = await tasks.trigger<typeof project.tagged>('tagged', { tag: added }, { tags: ['given'] });
    const run = await finished(handle);
    expect.equal(run.status, 'COMPLETED');
    // In order: "added…" comes before "given".
    expect.deepEqual(run.tags, [added, 'given']);
    expect.deepEqual(
      (await runs.list({ tag: added })).data.map(({ id }) => id),
      [handle.id],
    );
  });

  s.case(['T-7'], 'a public trigger token starts one run', async (context) => {
    const token = await auth.createTriggerPublicToken('echo');
    const start = (): Promise<Response> =>
      call(context, 'POST', '/api/v1/tasks/echo/trigger', {
        key: token,
        body: JSON.stringify({ payload: '{"text":"once"}', options: { payloadType: 'application/json' } }),
      });
    const first = await start();
    expect.equal(first.status, 200);
    expect.equal((await start()).status, 401);
    expect.equal((await finished((await first.json()) as { id: string })).status, 'COMPLETED');
  });

  s.case(
    ['T-4', 'T-5', 'T-6'],
    'public access tokens: the one of a trigger reads its run only, one signed by the SDK does what it says',
    async ({ environment, url }) => {
      const handle = await tasks.trigger<typeof project.echo>('echo', { text: 'public' });
      await finished(handle);
      const read = async (token: string, id: string): Promise<number> =>
        (await fetch(`${url}/api/v3/runs/${id}`, { headers: { authorization: `Bearer ${token}` } })).status;
      expect.equal(await read(handle.publicAccessToken, handle.id), 200);
      const other = await tasks.trigger<typeof project.echo>('echo', { text: 'other' });
      expect.equal(await read(handle.publicAccessToken, other.id), 403);
      const signed = await auth.createPublicToken({ scopes: { read: { runs: [other.id] } } });
      expect.equal(await read(signed, other.id), 200);
      expect.equal(await read(signed, handle.id), 403);
      expect.equal(await read(`${signed.slice(0, -3)}abc`, other.id), 401);
      expect.notEqual(signed, environment.triggerSecretKey);
    },
  );
});
