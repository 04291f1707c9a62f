import { setTimeout as sleep } from 'node:timers/promises';
import { auth, batch, idempotencyKeys, queue, queues, runs, task, tasks } from '@trigger.dev/sdk';

// What the vendor's own sample project does (triggerdotdev/trigger.dev: references/hello-world), with results that can be asserted.

interface Result {
  ok: boolean;
  id: string;
  output?: unknown;
  error?: unknown;
}
const told = (result: Result): { ok: boolean; id: string; said: unknown } => ({
  ok: result.ok,
  id: result.id,
  said: result.ok ? result.output : (result.error as Error).message,
});

export const sample = task({
  id: 'sample',
  retry: { maxAttempts: 1 },
  run: async ({ say, ms = 0, fail = false }: { say: string; ms?: number; fail?: boolean }) => {
    await sleep(ms);
    if (fail) throw new Error(`${say} failed`);
    return say;
  },
});

export const asksForItsQueue = task({
  id: 'asks-for-its-queue',
  run: async (_payload: unknown, { ctx }) => {
    const byId = await queues.retrieve(ctx.queue.id);
    const byName = await queues.retrieve({ type: 'task', name: 'asks-for-its-queue' });
    const paused = await queues.pause({ type: 'task', name: 'asks-for-its-queue' });
    const resumed = await queues.resume(ctx.queue.id);
    return {
      name: byId.name,
      same: byId.id === byName.id,
      running: byId.running,
      paused: [paused.paused, resumed.paused],
    };
  },
});

export const keyed = task({
  id: 'keyed',
  run: async ({ name }: { name: string }) => {
    const [good, bad] = [
      await idempotencyKeys.create(`${name} good`, { scope: 'global' }),
      await idempotencyKeys.create(`${name} bad`, { scope: 'global' }),
    ];
    const started = await sample.trigger({ say: 'slow', ms: 1_500, fail: true }, { idempotencyKey: bad });
    const inProgress = told(await sample.triggerAndWait({ say: 'other' }, { idempotencyKey: bad }));
    const afterFailure = told(await sample.triggerAndWait({ say: 'anew' }, { idempotencyKey: bad }));
    const results = await sample.batchTriggerAndWait([
      { payload: { say: 'one' }, options: { idempotencyKey: good } },
      { payload: { say: 'two' } },
      { payload: { say: 'three' }, options: { idempotencyKey: good } },
      { payload: { say: 'four' }, options: { idempotencyKey: bad } },
    ]);
    const { runCount, status } = await batch.retrieve(results.id);
    return { started: started.id, inProgress, afterFailure, items: results.runs.map(told), runCount, status };
  },
});

export const subscribes = task({
  id: 'subscribes',
  retry: { maxAttempts: 1 },
  run: async () => {
    const one = await sample.triggerAndSubscribe({ say: 'one' }).unwrap();
    const several = await Promise.all(
      [600, 300, 0].map((ms) => sample.triggerAndSubscribe({ say: `after ${ms}`, ms }).unwrap()),
    );
    const failed = told(await sample.triggerAndSubscribe({ say: 'it', fail: true }));
    const thrown = await tasks
      .triggerAndSubscribe<typeof sample>('sample', { say: 'it', fail: true })
      .unwrap()
      .catch((error: Error) => error.name);
    const tag = `leaves-${Date.now()}`;
    const aborted = await sample
      .triggerAndSubscribe({ say: 'never', ms: 20_000 }, { signal: AbortSignal.timeout(1_500), tags: [tag] })
      .then(
        () => 'completed',
        () => 'let go',
      );
    const left = (await runs.list({ tag })).data[0];
    return { one, several, failed: { ok: failed.ok, said: failed.said }, thrown, aborted, left: left?.id };
  },
});

export const refersToItself = task({
  id: 'refers-to-itself',
  run: async ({ back }: { back?: object }) => {
    if (back) return (back as { back?: object }).back === back;
    const payload: { back?: object } = {};
    payload.back = payload;
    return refersToItselfChild.triggerAndWait({ back: payload }).unwrap();
  },
});
export const refersToItselfChild = task({
  id: 'refers-to-itself-child',
  run: async ({ back }: { back: { back?: object } }) => Promise.resolve(back.back === back),
});

/** Ids with a slash, and every way to start another. */
export const top = task({
  id: 'family/top',
  run: async ({ waits, inBatch }: { waits: boolean; inBatch: boolean }, { ctx }) => {
    const items = [{ payload: { waits, inBatch } }];
    if (waits) await (inBatch ? middle.batchTriggerAndWait(items) : middle.triggerAndWait({ waits, inBatch }));
    else {
      const { id } = inBatch
        ? ((await batch.retrieve((await middle.batchTrigger(items)).batchId)).runs as string[]).map((run) => ({
            id: run,
          }))[0]!
        : await middle.trigger({ waits, inBatch });
      await runs.poll(id, { pollIntervalMs: 200 });
    }
    const own = await runs.retrieve(ctx.run.id);
    const child = await runs.retrieve((own.relatedRuns.children ?? [])[0]?.id ?? '');
    return { queue: (await queues.retrieve(ctx.queue.id)).name, shown: [own, child].map(placeOf) };
  },
});
export const middle = task({
  id: 'family/middle',
  run: async (_payload: unknown) => Promise.resolve('a\u0000b'),
});
const placeOf = (run: { depth: number; taskIdentifier: string; triggerFunction: string }): unknown[] => [
  run.depth,
  run.taskIdentifier,
  run.triggerFunction,
];

export const debounces = task({
  id: 'debounces',
  run: async ({ key, mode }: { key: string; mode: 'leading' | 'trailing' }) => {
    const ids: string[] = [];
    for (const n of [1, 2, 3]) {
      const handle = await sample.trigger(
        { say: `number ${n}` },
        { debounce: { key, mode, delay: '2s' }, tags: [`n${n}`] },
      );
      ids.push(handle.id);
    }
    const run = await runs.poll<typeof sample>(ids[0] as string, { pollIntervalMs: 200 });
    return { different: new Set(ids).size, output: run.output, tags: run.tags };
  },
});
export const waitsForDebounced = task({
  id: 'waits-for-debounced',
  run: async ({ key, n }: { key: string; n: number }) =>
    told(await sample.triggerAndWait({ say: `number ${n}` }, { debounce: { key, delay: '2s' } })),
});

export const timed = task({
  id: 'timed',
  queue: queue({ name: 'two-for-each-key', concurrencyLimit: 2 }),
  retry: { maxAttempts: 1 },
  run: async ({ ms }: { ms: number }) => {
    const from = Date.now();
    await sleep(ms);
    return { from, to: Date.now() };
  },
});
export const keysSideBySide = task({
  id: 'keys-side-by-side',
  run: async ({ keys }: { keys: string[] }) => {
    const { runs: ended } = await batch.triggerAndWait<typeof timed>(
      keys.map((concurrencyKey) => ({ id: 'timed' as const, payload: { ms: 1_200 }, options: { concurrencyKey } })),
    );
    const spans = ended.map((run) => {
      if (!run.ok) throw new Error('not all ended well');
      return run.output;
    });
    return Math.max(...spans.map(({ from }) => spans.filter((other) => other.from <= from && other.to > from).length));
  },
});

export const onePlace = task({
  id: 'one-place',
  queue: { concurrencyLimit: 1 },
  run: async ({ order }: { order: number }, { ctx }) => {
    await sleep(30);
    return { order, at: Date.now(), priority: ctx.run.priority ?? 0 };
  },
});
export const prefers = task({
  id: 'prefers',
  run: async () => {
    const { runs: ended } = await onePlace.batchTriggerAndWait([
      { payload: { order: 0 } },
      { payload: { order: 1 } },
      { payload: { order: 2 }, options: { priority: 1 } },
      { payload: { order: 3 }, options: { priority: 2 } },
    ]);
    const outputs = ended.flatMap((run) => (run.ok ? [run.output] : []));
    return outputs.sort((a, b) => a.at - b.at).map(({ order, priority }) => [order, priority]);
  },
});

export const hoards = task({
  id: 'hoards',
  machine: 'micro',
  retry: { maxAttempts: 2, outOfMemory: { machine: 'small-1x' } },
  run: async (_payload: unknown, { ctx }) => {
    if (ctx.machine?.name !== 'micro') return { machine: ctx.machine?.name, attempt: ctx.attempt.number };
    const hoard: number[][] = [];
    for (;;) {
      hoard.push(Array.from({ length: 1_000_000 }, () => Math.random()));
      await sleep(0);
    }
  },
});

export const readsWithAToken = task({
  id: 'reads-with-a-token',
  run: async (_payload: unknown, { ctx }) => {
    const accessToken = await auth.createPublicToken({ scopes: { read: { runs: [ctx.run.id] } } });
    return auth.withAuth({ accessToken }, async () => {
      const own = await runs.retrieve(ctx.run.id);
      const status = (error: unknown): unknown => (error as { status?: unknown }).status;
      return { own: own.id === ctx.run.id, list: await runs.list().then(() => 200, status) };
    });
  },
});

/** Each attempt fails with a child of its own. */
export const failsWithItsChild = task({
  id: 'fails-with-its-child',
  run: async (_payload: unknown, { ctx }) => {
    await sample.triggerAndWait({ say: `attempt ${ctx.attempt.number}`, fail: true }).unwrap();
  },
});

/** Two items of a batch that become one run. */
export const batchOfDebounced = task({
  id: 'batch-of-debounced',
  run: async ({ key }: { key: string }) => {
    const options = { debounce: { key, delay: '1s' } };
    const results = await sample.batchTriggerAndWait([
      { payload: { say: 'first' }, options },
      { payload: { say: 'second' }, options },
      { payload: { say: 'another' } },
    ]);
    return results.runs.map(told);
  },
});

/** Lets go of a child without canceling it. */
export const letsGo = task({
  id: 'lets-go',
  retry: { maxAttempts: 1 },
  run: async ({ tag }: { tag: string }) => {
    const leaving = new AbortController();
    const subscription = sample.triggerAndSubscribe(
      { say: 'goes on', ms: 1_500 },
      { signal: leaving.signal, cancelOnAbort: false, tags: [tag] },
    );
    const left = subscription.then(
      () => 'completed',
      () => 'let go',
    );
    while ((await runs.list({ tag, status: 'EXECUTING' })).data.length === 0) await sleep(50);
    leaving.abort();
    return left;
  },
});

/** One more than a batch may have that is waited for. */
export const waitsForTooMany = task({
  id: 'waits-for-too-many',
  retry: { maxAttempts: 1 },
  run: async ({ tag }: { tag: string }) => {
    const items = Array.from({ length: 10_001 }, (_, n) => ({ payload: { say: `${n}` }, options: { tags: [tag] } }));
    return sample.batchTriggerAndWait(items).then(
      () => 'all ended',
      (error: Error) => `${error.name}: ${error.message}`,
    );
  },
});
