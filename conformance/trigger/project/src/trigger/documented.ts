import { setTimeout as sleep } from 'node:timers/promises';
import {
  auth,
  batch,
  envvars,
  idempotencyKeys,
  locals,
  logger,
  metadata,
  queue,
  retry,
  runs,
  schedules,
  streams,
  SubtaskUnwrapError,
  tags,
  task,
  tasks,
  TriggerClient,
  usage,
  wait,
} from '@trigger.dev/sdk';
import { echo, flaky } from './basic.ts';
import { BY_EVERYBODY } from './init.ts';
import { decides } from './surface.ts';

// What the vendor's documentation shows, page by page, with results that can be asserted.

/** Lifecycle functions: the task's own and those of all tasks, around every kind of wait. */
export const saysAllHooks = task({
  id: 'says-all-hooks',
  onWait: async ({ wait: waited }) => void metadata.append('hooks', `wait ${waited.type}`),
  onResume: async ({ wait: waited }) => void metadata.append('hooks', `resume ${waited.type}`),
  onStartAttempt: async ({ ctx }) => void metadata.append('hooks', `start ${ctx.attempt.number}`),
  onSuccess: async () => void metadata.append('hooks', 'success'),
  onComplete: async () => void metadata.append('hooks', 'complete'),
  run: async (payload: { token: string }) => {
    await wait.forToken(payload.token);
    await echo.triggerAndWait({ text: 'one' });
    await echo.batchTriggerAndWait([{ payload: { text: 'two' } }]);
    await wait.for({ seconds: 6 });
    return locals.getOrThrow(BY_EVERYBODY);
  },
});

/** Errors and retrying: what `catchError` may answer. */
export const wrapsErrors = task({
  id: 'wraps-errors',
  retry: { maxAttempts: 2, minTimeoutInMs: 60_000, maxTimeoutInMs: 60_000, factor: 1, randomize: false },
  catchError: async ({ payload, error }: { payload: unknown; error: unknown }) => {
    switch ((payload as { how: string }).how) {
      case 'delay':
        return { retryDelayInMs: 150 };
      case 'date':
        return { retryAt: new Date(Date.now() + 150) };
      case 'settings':
        return { retry: { maxAttempts: 2, minTimeoutInMs: 150, maxTimeoutInMs: 150, factor: 1, randomize: false } };
      case 'error':
        return { skipRetrying: true, error: new TypeError(`instead of ${(error as Error).message}`) };
      default:
        return undefined;
    }
  },
  run: async (_payload: { how: string }, { ctx }) => {
    if (ctx.attempt.number === 1) throw new Error('the first');
    return ctx.attempt.number;
  },
});

/** `retry.fetch`: by status, with the headers of the answer, and when the time has run out. */
export const fetchesAgain = task({
  id: 'fetches-again',
  run: async ({ url }: { url: string }) => {
    const settings = { strategy: 'backoff', maxAttempts: 3, minTimeoutInMs: 10, factor: 1, randomize: false } as const;
    const byStatus = await retry.fetch(`${url}/busy`, { retry: { byStatus: { '500-599': settings } } });
    const byHeader = await retry.fetch(`${url}/limited`, {
      retry: {
        byStatus: {
          '429': {
            strategy: 'headers',
            limitHeader: 'x-ratelimit-limit',
            remainingHeader: 'x-ratelimit-remaining',
            resetHeader: 'x-ratelimit-reset',
            resetFormat: 'unix_timestamp_in_ms',
          },
        },
      },
    });
    const inTime = await retry.fetch(`${url}/slow`, {
      timeoutInMs: 300,
      retry: { timeout: { maxAttempts: 3, minTimeoutInMs: 10, factor: 1, randomize: false } },
    });
    return [byStatus.status, byHeader.status, inTime.status];
  },
});

/** A child that fails, unwrapped. */
export const unwrapsFailure = task({
  id: 'unwraps-failure',
  retry: { maxAttempts: 1 },
  run: async (_payload: unknown) => {
    try {
      await flaky.triggerAndWait({ failures: 9 }).unwrap();
      return null;
    } catch (error) {
      if (!(error instanceof SubtaskUnwrapError)) throw error;
      return { name: error.name, task: error.taskId, run: error.runId, cause: (error.cause as Error).message };
    }
  },
});

/** Parallel waits are refused by the SDK, and the run is not tried again. */
export const waitsTwiceAtOnce = task({
  id: 'waits-twice-at-once',
  run: async ({ ids }: { ids: string[] }) => {
    await Promise.all(ids.map((id) => wait.forToken(id)));
    return 'both';
  },
});
export const triggersTwiceAtOnce = task({
  id: 'triggers-twice-at-once',
  run: async (_payload: unknown) => {
    await Promise.all(['one', 'two'].map((text) => echo.triggerAndWait({ text })));
    return 'both';
  },
});
/** The same waits, one after another, and one that waits for what has been completed long since. */
export const waitsInTurn = task({
  id: 'waits-in-turn',
  run: async ({ ids }: { ids: string[] }) => {
    const got: unknown[] = [];
    for (const id of ids) got.push(await wait.forToken<{ n: number }>(id).unwrap());
    return got;
  },
});

function streamOf<T>(...values: T[]): ReadableStream<T> {
  return new ReadableStream({
    start(controller) {
      for (const value of values) controller.enqueue(value);
      controller.close();
    },
  });
}

const words = streams.define<{ word: string }>({ id: 'words' });
const lines = streams.define<string>({ id: 'lines' });
/** Streams that are defined once: piped, written, appended to, read by the run itself; and metadata's older ones. */
export const streamsAsDefined = task({
  id: 'streams-as-defined',
  run: async (_payload: unknown, { ctx }) => {
    const { stream, waitUntilComplete } = words.pipe(streamOf({ word: 'one' }, { word: 'two' }));
    const seen: string[] = [];
    for await (const { word } of stream) seen.push(word);
    await waitUntilComplete();
    const written = lines.writer({
      execute: async ({ write, merge }) => {
        write('first');
        await sleep(20);
        merge(streamOf('second', 'third'));
      },
    });
    await written.waitUntilComplete();
    await lines.append('appended');
    const back: string[] = [];
    for await (const line of await lines.read(ctx.run.id, { timeoutInSeconds: 3 })) {
      back.push(line);
      if (back.length === 4) break;
    }
    const older = await metadata.stream('older', streamOf('x', 'y'));
    for await (const part of older) seen.push(part);
    return { seen, back };
  },
});

/** Metadata: read, put in the place of all, and fetched anew after somebody else has changed it. */
export const metadataAsDocumented = task({
  id: 'metadata-as-documented',
  run: async (_payload: unknown, { ctx }) => {
    const given = metadata.get('user');
    metadata.replace({ whole: { new: true } });
    await metadata.flush();
    const after = await runs.retrieve(ctx.run.id);
    metadata.root.set('at the root', 1);
    metadata.parent.append('list', 'of the parent');
    await metadata.flush();
    await metadata.refresh();
    return { given, replaced: after.metadata, current: metadata.current() };
  },
});

/** Context: what a run knows of itself, its parent, its batch and its options. */
export const knowsItself = task({
  id: 'knows-itself',
  retry: { maxAttempts: 1 },
  run: async (_payload: unknown, { ctx }) => {
    usage.getCurrent();
    return {
      parent: ctx.run.parentTaskRunId ?? null,
      root: ctx.run.rootTaskRunId ?? null,
      batch: ctx.batch?.id ?? null,
      key: ctx.run.idempotencyKey ?? null,
      scope: ctx.run.idempotencyKeyScope ?? null,
      maxAttempts: ctx.run.maxAttempts ?? null,
      maxDuration: ctx.run.maxDuration ?? null,
      priority: ctx.run.priority ?? 0,
      tags: ctx.run.tags,
      organization: typeof ctx.organization.slug,
      task: ctx.task.id,
      queue: ctx.queue.name,
      machine: ctx.machine?.name ?? null,
      environment: ctx.environment.slug,
      started: ctx.run.startedAt instanceof Date && ctx.run.createdAt instanceof Date,
    };
  },
});
export const knowsItsFamily = task({
  id: 'knows-its-family',
  run: async (_payload: unknown, { ctx }) => {
    const key = await idempotencyKeys.create(['order', ctx.run.id], { scope: 'global' });
    const one = await knowsItself.triggerAndWait({}, { idempotencyKey: key, priority: 5, tags: 'single' }).unwrap();
    const many = await knowsItself.batchTriggerAndWait([
      { payload: {}, options: { maxAttempts: 4, maxDuration: 60, tags: ['a', 'b'], machine: 'small-2x' } },
    ]);
    const [first] = many.runs;
    return { self: ctx.run.id, one, batch: many.id, inBatch: first?.ok ? first.output : null };
  },
});

/** Batches of whatever comes: arrays, generators, streams; under a key of the whole batch. */
export const batchesOfAll = task({
  id: 'batches-of-all',
  run: async ({ key }: { key: string }) => {
    const generated = await echo.batchTriggerAndWait(items(3));
    const streamed = await batch.triggerByTaskAndWait(
      streamOf<unknown>(
        { task: echo, payload: { text: 'by task' } },
        { task: decides, payload: { message: 'hopeless' } },
      ) as never,
    );
    const own = await idempotencyKeys.create(key, { scope: 'global' });
    const first = await echo.batchTrigger([{ payload: { text: 'k0' } }, { payload: { text: 'k1' } }], {
      idempotencyKey: own,
    });
    const again = await echo.batchTrigger([{ payload: { text: 'k0' } }, { payload: { text: 'k1' } }], {
      idempotencyKey: own,
    });
    const runsOf = async (id: string): Promise<string[]> => [...(await batch.retrieve(id)).runs].sort();
    return {
      generated: generated.runs.map((run) => (run.ok ? run.output.text : 'failed')),
      streamed: (streamed.runs as ReadonlyArray<{ ok: boolean; taskIdentifier?: string }>).map((run) => [
        run.taskIdentifier,
        run.ok,
      ]),
      same: JSON.stringify(await runsOf(first.batchId)) === JSON.stringify(await runsOf(again.batchId)),
      counts: [first.runCount, again.runCount],
    };
  },
});
async function* items(count: number): AsyncGenerator<{ payload: { text: string } }> {
  for (let n = 0; n < count; n++) {
    await sleep(5);
    yield { payload: { text: `item ${n}` } };
  }
}

/** The management API from inside a task, which names neither project nor environment. */
export const managesFromInside = task({
  id: 'manages-from-inside',
  retry: { maxAttempts: 1 },
  run: async ({ name }: { name: string }, { ctx }) => {
    await envvars.create({ name, value: 'one' });
    const read = (await envvars.retrieve(name)).value;
    await envvars.update(name, { value: 'two' });
    const listed = (await envvars.list(ctx.project.ref, ctx.environment.slug)).find(
      (variable) => variable.name === name,
    )?.value;
    await envvars.del(name);
    const schedule = await schedules.create({
      task: 'on-time',
      cron: '0 0 1 1 *',
      deduplicationKey: `${ctx.run.id}`,
    });
    await schedules.del(schedule.id);
    await tags.add(['inside', `of:${ctx.task.id}`]);
    const self = await runs.retrieve(ctx.run.id);
    const other = new TriggerClient({
      baseURL: process.env.TRIGGER_API_URL as string,
      accessToken: process.env.TRIGGER_SECRET_KEY as string,
    });
    const handle = await other.tasks.trigger<typeof echo>('echo', { text: 'by a client of its own' });
    const ended = await other.runs.poll(handle, { pollIntervalMs: 100 });
    const token = await auth.createPublicToken({ scopes: { read: { tasks: ['echo'] } }, expirationTime: '1h' });
    const listedAsPublic = await auth.withAuth({ accessToken: token }, async () =>
      runs.list({ taskIdentifier: 'echo', limit: 10 }).then((page) => page.data.length),
    );
    return {
      read,
      listed,
      tags: self.tags,
      own: ended.output?.text,
      parentOfClients: (await runs.retrieve(handle.id)).relatedRuns.parent?.id ?? null,
      listedAsPublic: listedAsPublic > 0,
    };
  },
});

/** Cancelling: `onCancel` sees the signal, and what `run` makes of it. */
export const cancelsInPeace = task({
  id: 'cancels-in-peace',
  run: async (_payload: unknown, { signal }) => {
    await metadata.set('state', 'running').flush();
    let rounds = 0;
    for (; !signal.aborted && rounds < 600; rounds++) await sleep(100);
    return { aborted: signal.aborted };
  },
  onCancel: async ({ runPromise, signal }) => {
    const made = await runPromise;
    await metadata.set('cancel', { aborted: signal.aborted, made }).flush();
  },
});

const shared = queue({ name: 'documented-shared', concurrencyLimit: 1 });
/** A queue that triggers choose, with a key each. */
export const choosesItsQueue = task({
  id: 'chooses-its-queue',
  run: async ({ ms }: { ms: number }, { ctx }) => {
    const from = Date.now();
    await sleep(ms);
    return { queue: ctx.queue.name, from, to: Date.now(), own: shared.name };
  },
});

/** Spans within spans, and every level of log. */
export const tracesDeep = task({
  id: 'traces-deep',
  run: async (_payload: unknown) => {
    const sum = await logger.trace('outer', async () => {
      logger.debug('a debug line');
      logger.log('a log line');
      logger.error('an error line', { code: 7 });
      return logger.trace('inner', async (span) => {
        span.setAttribute('deep', true);
        return 3;
      });
    });
    await logger
      .trace('broken', async () => {
        throw new Error('in a span');
      })
      .catch(() => {});
    return { sum, triggered: (await tasks.trigger<typeof echo>('echo', { text: 'traced' })).id };
  },
});
