import { configure as configure33, runs as runs33, tasks as tasks33 } from 'trigger-sdk-3-3';
import { configure as configure40, runs as runs40, tasks as tasks40 } from 'trigger-sdk-4-0';
import { expect, suite } from '../harness/index.ts';
import { useWorker } from './support.ts';
import { startWorker, type Worker } from './worker.ts';

const POLL = { pollIntervalMs: 100 };

suite({ vendor: 'trigger', name: 'older SDK', sdk: '@trigger.dev/sdk 3.3.17' }, (s) => {
  s.beforeAll(async (context) => {
    await useWorker(context);
    configure33({ baseURL: context.url, secretKey: context.environment.triggerSecretKey });
  });

  s.case(
    ['T-99', 'T-12', 'T-19'],
    'a task is triggered, polled, listed and retrieved, in the states that this SDK knows',
    async () => {
      const handle = await tasks33.trigger('echo', { text: 'from 3.3' }, { tags: ['old'] });
      const run = await runs33.poll(handle.id, POLL);
      expect.equal(run.status, 'COMPLETED');
      expect.equal((run.output as { text: string }).text, 'from 3.3');
      expect.deepEqual(run.attempts, []);
      const listed = await runs33.list({ taskIdentifier: ['echo'], limit: 10 });
      expect(listed.data.some((item) => item.id === handle.id));
    },
  );

  s.case(['T-99', 'T-17'], 'a batch of one call is triggered, its runs are named at once and all end', async () => {
    const batch = await tasks33.batchTrigger('echo', [
      { payload: { text: 'one' } },
      { payload: { text: 'two' }, options: { tags: ['second'] } },
    ]);
    expect.equal(batch.runs.length, 2);
    const ended = await Promise.all(batch.runs.map((run) => runs33.poll(run.id, POLL)));
    expect.deepEqual(
      ended.map((run) => (run.output as { text: string }).text),
      ['one', 'two'],
    );
  });

  s.case(
    ['T-99', 'T-17', 'T-31', 'T-5'],
    'a batch under a key is made once; its token reads it',
    async ({ url, unique }) => {
      const items = [{ payload: { text: 'one' } }, { payload: { text: 'two' } }];
      const idempotencyKey = unique('batch');
      const first = await tasks33.batchTrigger('echo', items, { idempotencyKey });
      const again = await tasks33.batchTrigger('echo', items, { idempotencyKey });
      const idsOf = (batch: typeof first): unknown[] => [batch.batchId, ...batch.runs.map(({ id }) => id)];
      expect.deepEqual(idsOf(again), idsOf(first));
      expect.deepEqual([first.isCached, again.isCached], [false, true]);
      const answer = await fetch(`${url}/api/v1/batches/${first.batchId}`, {
        headers: { authorization: `Bearer ${first.publicAccessToken}` },
      });
      expect.equal(answer.status, 200);
      expect.equal(((await answer.json()) as { runCount: number }).runCount, 2);
    },
  );

  s.case(['T-99', 'T-22', 'T-33'], 'a delayed run is shown as delayed and canceled', async () => {
    const handle = await tasks33.trigger('echo', { text: 'never' }, { delay: '1h' });
    expect.equal((await runs33.retrieve(handle.id)).status, 'DELAYED');
    await runs33.cancel(handle.id);
    expect.equal((await runs33.retrieve(handle.id)).status, 'CANCELED');
  });
});

suite({ vendor: 'trigger', name: 'older CLI and SDK', sdk: '@trigger.dev/sdk 4.0.0, trigger.dev 4.0.0' }, (s) => {
  let worker: Worker | undefined;
  // A server of its own: the worker that registered last would take the other suites' runs.
  s.beforeAll(async ({ startServer, environment }) => {
    const { url } = await startServer({ mode: 'dev' });
    configure40({ baseURL: url, secretKey: environment.triggerSecretKey });
    worker = await startWorker({
      url,
      project: environment.triggerProjectRef,
      accessToken: environment.triggerAccessToken,
      release: { cli: 'trigger-cli-4-0', sdk: 'trigger-sdk-4-0' },
    });
  });
  s.afterAll(() => worker?.stop());

  const finished = async (id: string) => runs40.poll(id, POLL);

  s.case(['T-100', 'T-13', 'T-62', 'T-63', 'T-64'], 'a task runs in its worker, with its retries', async () => {
    const echo = await finished((await tasks40.trigger('echo', { text: 'from 4.0' })).id);
    expect.equal((echo.output as { text: string }).text, 'from 4.0');
    const flaky = await finished((await tasks40.trigger('flaky', { failures: 2 })).id);
    expect.deepEqual([flaky.status, flaky.output, flaky.attemptCount], ['COMPLETED', { attempts: 3 }, 3]);
  });

  s.case(
    ['T-100', 'T-14', 'T-17', 'T-75'],
    'children are waited for one by one and as a batch of one call',
    async () => {
      const parent = await finished((await tasks40.trigger('parent', { text: 'child' })).id);
      expect.equal((parent.output as { child: string }).child, 'child');
      expect.equal((parent.output as { failed: string }).failed, 'attempt 3 fails');
      const fanOut = await finished((await tasks40.trigger('fan-out', { count: 3 })).id);
      expect.deepEqual(fanOut.output, { texts: ['item 0', 'item 1', 'item 2'] });
    },
    { timeoutMs: 60_000 },
  );

  s.case(
    ['T-100', 'T-45', 'T-22', 'T-74'],
    'a wait of six seconds ends, and an executing run is canceled with its hooks',
    async ({ until }) => {
      const sleeper = await finished((await tasks40.trigger('sleeper', { seconds: 6 })).id);
      expect((sleeper.output as { waitedMs: number }).waitedMs >= 5_900);
      const endless = await tasks40.trigger('endless', {});
      await until(async () => (await runs40.retrieve(endless.id)).metadata?.state === 'running', {
        what: 'the run to execute',
        timeoutMs: 15_000,
      });
      await runs40.cancel(endless.id);
      expect.equal((await finished(endless.id)).status, 'CANCELED');
      await until(async () => (await runs40.retrieve(endless.id)).metadata?.state === 'cancelled', {
        what: 'the hook to have run',
        timeoutMs: 15_000,
      });
    },
    { timeoutMs: 60_000 },
  );
});
