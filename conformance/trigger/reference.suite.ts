import { configure, runs, tasks } from '@trigger.dev/sdk';
import { expect, suite } from '../harness/index.ts';
import type * as reference from './project/src/trigger/reference.ts';
import { finished, SDK, seen, useOwnServer, useWorker, type OwnServer, type Run } from './support.ts';
import { startWorker, type Worker } from './worker.ts';

const outcome = async (id: string, payload: unknown = {}): Promise<Run> => finished(await tasks.trigger(id, payload));
const output = async <T>(id: string, payload: unknown = {}): Promise<T> => {
  const run = await outcome(id, payload);
  expect.equal(run.status, 'COMPLETED', JSON.stringify(run.error));
  return run.output as T;
};
interface Told {
  ok: boolean;
  id: string;
  said: unknown;
}

suite({ vendor: 'trigger', name: "what the vendor's sample project does", sdk: SDK }, (s) => {
  s.beforeAll(async (context) => {
    await useWorker(context);
  });

  s.case(
    ['T-40', 'T-41', 'T-63'],
    'a task finds its queue by the id in its context, pauses and resumes it',
    async () => {
      const found = await output('asks-for-its-queue');
      expect.deepEqual(found, { name: 'asks-for-its-queue', same: true, running: 1, paused: [true, false] });
    },
  );

  s.case(
    ['T-31', 'T-14', 'T-16', 'T-18'],
    'a key names the run in progress and its failure, then a new run; twice in a batch it is one run with two places',
    async ({ unique }) => {
      const found = await output<{
        started: string;
        inProgress: Told;
        afterFailure: Told;
        items: Told[];
        runCount: number;
        status: string;
      }>('keyed', { name: unique('key') });
      expect.deepEqual(found.inProgress, { ok: false, id: found.started, said: 'slow failed' });
      expect.deepEqual([found.afterFailure.ok, found.afterFailure.said], [true, 'anew']);
      expect.deepEqual(
        found.items.map(({ said }) => said),
        ['one', 'two', 'one', 'anew'],
      );
      expect.equal(found.items[0]?.id, found.items[2]?.id);
      expect.equal(found.items[3]?.id, found.afterFailure.id);
      expect.deepEqual([found.runCount, found.status], [4, 'COMPLETED']);
    },
  );

  s.case(
    ['T-82', 'T-13', 'T-22'],
    'triggerAndSubscribe: several at once, failures as results and as errors; one that is let go of is canceled',
    async (context) => {
      const { left, ...found } = await output<{ left: string }>('subscribes');
      expect.deepEqual(found as unknown, {
        one: 'one',
        several: ['after 600', 'after 300', 'after 0'],
        failed: { ok: false, said: 'it failed' },
        thrown: 'SubtaskUnwrapError',
        aborted: 'let go',
      });
      expect.equal((await seen(context, left, 'the run to end', (run) => run.isCompleted)).status, 'CANCELED');
    },
    { timeoutMs: 45_000 },
  );

  s.case(['T-14', 'T-13'], 'a payload that refers to itself arrives as it was', async () => {
    expect.equal(await output('refers-to-itself'), true);
  });

  s.case(
    ['T-19', 'T-14', 'T-15', 'T-40'],
    'tasks whose ids have a slash: their runs say how they were started, and their queue is found',
    async () => {
      for (const waits of [true, false])
        for (const inBatch of [true, false]) {
          const how = `${inBatch ? 'batchTrigger' : 'trigger'}${waits ? 'AndWait' : ''}`;
          expect.deepEqual(await output('family/top', { waits, inBatch }), {
            queue: 'family/top',
            shown: [
              [0, 'family/top', 'trigger'],
              [1, 'family/middle', how],
            ],
          });
        }
      expect.equal(await output('family/middle'), 'a\u0000b');
    },
    { timeoutMs: 45_000 },
  );

  s.case(
    ['T-35', 'T-28'],
    'a debounced run has the first payload and tags, or with `trailing` the last',
    async ({ unique }) => {
      expect.deepEqual(await output('debounces', { key: unique('a'), mode: 'leading' }), {
        different: 1,
        output: 'number 1',
        tags: ['n1'],
      });
      expect.deepEqual(await output('debounces', { key: unique('b'), mode: 'trailing' }), {
        different: 1,
        output: 'number 3',
        tags: ['n3'],
      });
    },
  );

  s.case(['T-35', 'T-14'], 'several parents wait for one debounced child', async ({ unique }) => {
    const key = unique('shared');
    const handles = await Promise.all(
      [1, 2, 3].map((n) => tasks.trigger<typeof reference.waitsForDebounced>('waits-for-debounced', { key, n })),
    );
    const told: Told[] = [];
    for (const handle of handles) told.push((await finished(handle)).output as Told);
    expect.equal(new Set(told.map(({ id }) => id)).size, 1);
    expect.equal(new Set(told.map(({ said }) => said)).size, 1);
    expect(told.every(({ ok }) => ok));
  });

  s.case(
    ['T-39', 'T-38', 'T-15'],
    "a queue's limit holds for each concurrency key by itself",
    async () => {
      expect.equal(await output('keys-side-by-side', { keys: ['a', 'a', 'a', 'a'] }), 2);
      expect.equal(await output('keys-side-by-side', { keys: ['a', 'b', 'c'] }), 3);
    },
    { timeoutMs: 45_000 },
  );

  s.case(['T-36', 'T-38'], 'a batch in a queue of one place runs by priority, then in its order', async () => {
    expect.deepEqual(await output('prefers'), [
      [3, 2],
      [2, 1],
      [0, 0],
      [1, 0],
    ]);
  });

  s.case(
    ['T-72', 'T-70'],
    'a process that runs out of memory is tried again on the larger machine',
    async () => {
      const run = await outcome('hoards');
      expect.deepEqual([run.status, run.attemptCount], ['COMPLETED', 2]);
      expect.deepEqual(run.output, { machine: 'small-1x', attempt: 2 });
    },
    { timeoutMs: 60_000 },
  );

  s.case(['T-4', 'T-6'], 'a token made in a task reads what it names and no more', async () => {
    expect.deepEqual(await output('reads-with-a-token'), { own: true, list: 403 });
  });
});

suite({ vendor: 'trigger', name: 'runs before their worker', sdk: SDK }, (s) => {
  let server: OwnServer;
  let worker: Worker | undefined;

  s.beforeAll(async (context) => {
    server = await useOwnServer(context);
  });
  s.afterAll(async () => {
    await worker?.stop();
  });

  s.case(
    ['T-78', 'T-38', 'T-37'],
    'what is triggered before any build exists runs in the queue that its task turns out to have, one at a time',
    async (outer) => {
      const context = server.aimed(outer);
      const { triggerProjectRef: ref, triggerAccessToken: accessToken } = context.environment;
      // A key of the user's own names no project, and none is known yet: the one that the CLI is handed does.
      const response = await fetch(`${context.url}/api/v1/projects/${ref}/dev`, {
        headers: { authorization: `Bearer ${accessToken}` },
      });
      const { apiKey } = (await response.json()) as { apiKey: string };
      configure({ baseURL: context.url, secretKey: apiKey });
      const handles: Array<{ id: string }> = [];
      for (const order of [0, 1, 2, 3])
        handles.push(await tasks.trigger<typeof reference.onePlace>('one-place', { order }));
      for (const { id } of handles) expect.equal((await runs.retrieve(id)).status, 'PENDING_VERSION');
      worker = await startWorker({ url: context.url, project: ref, accessToken });
      const ended: Run[] = [];
      for (const handle of handles) ended.push(await finished(handle));
      expect.deepEqual(
        ended.map((run) => [run.status, (run.output as { order: number }).order]),
        [0, 1, 2, 3].map((order) => ['COMPLETED', order]),
      );
      // One at a time: no run was begun before the one before it had ended.
      ended.forEach((run, i) => {
        const before = ended[i - 1];
        expect(!before || Number(run.startedAt) >= Number(before.finishedAt), `run ${i} began after run ${i - 1}`);
      });
    },
    { timeoutMs: 120_000 },
  );
});
