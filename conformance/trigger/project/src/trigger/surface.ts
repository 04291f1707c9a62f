import {
  batch,
  CompleteTaskWithOutput,
  heartbeats,
  idempotencyKeys,
  locals,
  logger,
  metadata,
  queue,
  retry,
  runs,
  schemaTask,
  task,
  tasks,
  usage,
  wait,
  waitUntil,
} from '@trigger.dev/sdk';
import * as z from 'zod';
import { echo } from './basic.ts';

export const validated = schemaTask({
  id: 'validated',
  schema: z.object({ n: z.number().int(), label: z.string().default('none') }),
  run: async (payload) => ({ doubled: payload.n * 2, label: payload.label }),
});

/** Every hook says its name. */
export const hooked = task({
  id: 'hooked',
  retry: { maxAttempts: 2, minTimeoutInMs: 100, maxTimeoutInMs: 100, factor: 1, randomize: false },
  run: async (payload: { failures: number }, { ctx }) => {
    metadata.append('hooks', 'run');
    if (ctx.attempt.number <= payload.failures) throw new Error('not yet');
    return { attempt: ctx.attempt.number };
  },
  onStartAttempt: async ({ ctx }) => void metadata.append('hooks', `startAttempt ${ctx.attempt.number}`),
  onSuccess: async () => void metadata.append('hooks', 'success'),
  onFailure: async () => void metadata.append('hooks', 'failure'),
  onComplete: async ({ result }) => void metadata.append('hooks', `complete ${result.ok}`),
  cleanup: async () => void metadata.append('hooks', 'cleanup'),
});

/** Decides by itself that trying again is of no use. */
export const decides = task({
  id: 'decides',
  catchError: async ({ error }) =>
    error instanceof Error && error.message === 'hopeless' ? { skipRetrying: true } : undefined,
  run: async (payload: { message: string }) => {
    throw new Error(payload.message);
  },
});

const userLocal = locals.create<{ name: string }>('user');
export const wrapped = task({
  id: 'wrapped',
  middleware: async ({ next }) => {
    locals.set(userLocal, { name: 'from middleware' });
    await next();
  },
  run: async (_payload: object) => ({ name: locals.getOrThrow(userLocal).name }),
});

/** Tries again within one attempt. */
export const stubborn = task({
  id: 'stubborn',
  run: async (_payload: object, { ctx }) => {
    let tries = 0;
    await retry.onThrow(
      async () => {
        if (++tries < 3) throw new Error('again');
      },
      { maxAttempts: 3, minTimeoutInMs: 10, maxTimeoutInMs: 10, factor: 1, randomize: false },
    );
    return { tries, attempt: ctx.attempt.number };
  },
});

export const overtime = task({
  id: 'overtime',
  maxDuration: 5,
  run: async (_payload: object) => {
    for (const end = Date.now() + 20_000; Date.now() < end;) {
      const until = Date.now() + 50;
      while (Date.now() < until);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return {};
  },
});

export const once = task({
  id: 'once',
  run: async (payload: { name: string }) => {
    const own = await idempotencyKeys.create(payload.name);
    const [first, second] = [
      await echo.trigger({ text: 'a' }, { idempotencyKey: own }),
      await echo.trigger({ text: 'b' }, { idempotencyKey: own }),
    ];
    const everywhere = await idempotencyKeys.create(payload.name, { scope: 'global' });
    const shared = await echo.triggerAndWait({ text: 'shared' }, { idempotencyKey: everywhere });
    return { same: first.id === second.id, own: first.id, shared: shared.id, ok: shared.ok };
  },
});

export const mixedBatch = task({
  id: 'mixed-batch',
  run: async (_payload: object) => {
    const byTask = await batch.triggerByTaskAndWait([
      { task: echo, payload: { text: 'one' } },
      { task: validated, payload: { n: 21 } },
      { task: decides, payload: { message: 'hopeless' } },
    ]);
    const byId = await batch.triggerAndWait<typeof echo | typeof validated>([
      { id: 'echo', payload: { text: 'two' } },
      { id: 'validated', payload: { n: 4 } },
    ]);
    return {
      byTask: byTask.runs.map((run) => (run.ok ? run.output : 'failed')),
      byId: byId.runs.map((run) => (run.ok ? run.output : 'failed')),
    };
  },
});

export const unwraps = task({
  id: 'unwraps',
  run: async (payload: { text: string }) => {
    const { text } = await echo.triggerAndWait({ text: payload.text }).unwrap();
    const again = await tasks.triggerAndWait<typeof echo>('echo', { text }).unwrap();
    return { text: again.text };
  },
});

/** Starts another and does not wait for it. */
export const launcher = task({
  id: 'launcher',
  run: async (payload: { id: string; input: object; linger?: boolean }, { signal }) => {
    const handle = await tasks.trigger(payload.id, payload.input);
    await metadata.set('child', handle.id).flush();
    if (payload.linger)
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, 60_000);
        signal.addEventListener('abort', () => {
          clearTimeout(timer);
          resolve(null);
        });
      });
    return { child: handle.id };
  },
});

export const introspects = task({
  id: 'introspects',
  machine: 'small-2x',
  run: async (_payload: object, { ctx }) => {
    const self = await runs.retrieve(ctx.run.id);
    return {
      isTest: ctx.run.isTest,
      isReplay: ctx.run.isReplay ?? false,
      machine: ctx.machine?.name,
      project: ctx.project.ref,
      task: ctx.task.id,
      version: typeof ctx.run.version === 'string' && /^\d{8}\.\d+$/.test(ctx.run.version),
      tags: ctx.run.tags,
      seesItself: self.status,
      variable: process.env.SURFACE_COLOUR ?? null,
    };
  },
});

export const leavesEarly = task({
  id: 'leaves-early',
  run: async (_payload: object): Promise<{ early: boolean }> => {
    throw new CompleteTaskWithOutput({ early: true });
  },
});

export const logs = task({
  id: 'logs',
  run: async (_payload: object) => {
    logger.info('a line', { colour: 'blue' });
    logger.warn('a warning');
    await logger.trace('a span of its own', async (span) => {
      span.setAttribute('size', 7);
      await new Promise((resolve) => setTimeout(resolve, 20));
    });
    return {};
  },
});

export const waitsOnce = task({
  id: 'waits-once',
  run: async (payload: { key: string }) => {
    const key = await idempotencyKeys.create(payload.key, { scope: 'global' });
    await wait.for({ seconds: 120, idempotencyKey: key });
    return { done: true };
  },
});

export const deepMetadata = task({
  id: 'deep-metadata',
  run: async (_payload: object) => {
    metadata
      .set('a', {})
      .set('$.a.b', 1)
      .set('$.nowhere.b', 1)
      .increment('$.a.b', 4)
      .decrement('count', 2)
      .append('list', 'x')
      .append('list', 'y')
      .remove('list', 'x')
      .del('gone');
    return { current: metadata.current() ?? null };
  },
});

const single = queue({ name: 'surface-single', concurrencyLimit: 1 });
/** One at a time: the order in which they began. */
export const inOrder = task({
  id: 'in-order',
  queue: single,
  run: async (payload: { name: string; ms: number }) => {
    await metadata.set('state', 'running').flush();
    const at = Date.now();
    await new Promise((resolve) => setTimeout(resolve, payload.ms));
    return { name: payload.name, at };
  },
});

class OwnError extends Error {
  override name = 'OwnError';
}
export const throwsOdd = task({
  id: 'throws-odd',
  retry: { maxAttempts: 1 },
  run: async (payload: { what: 'text' | 'object' | 'own' }) => {
    // oxlint-disable-next-line no-throw-literal -- what users do
    if (payload.what === 'text') throw 'only text';
    // oxlint-disable-next-line no-throw-literal -- what users do
    if (payload.what === 'object') throw { reason: 'an object' };
    throw new OwnError('of my own');
  },
});

/** Values that JSON alone does not carry. */
export const rich = task({
  id: 'rich',
  run: async (payload: { map: Map<string, number>; set: Set<string>; big: bigint; at: Date; nothing: undefined }) => ({
    isMap: payload.map instanceof Map && payload.map.get('a') === 1,
    isSet: payload.set instanceof Set && payload.set.has('x'),
    isBig: payload.big === 12345678901234567890n,
    isDate: payload.at instanceof Date,
    map: payload.map,
    big: payload.big,
  }),
});

export const answersNothing = task({ id: 'answers-nothing', run: async (_payload: object) => {} });

export const working = task({
  id: 'working',
  run: async (_payload: object) => {
    const measured = await usage.measure(async () => {
      for (let i = 0; i < 50; i++) await heartbeats.yield();
      return 'measured';
    });
    let later = false;
    waitUntil(
      new Promise<void>((resolve) =>
        setTimeout(() => {
          later = true;
          metadata.set('later', true);
          resolve();
        }, 50),
      ),
    );
    return { result: measured.result, later };
  },
});

export const parsesToken = task({
  id: 'parses-token',
  run: async (_payload: object) => {
    const token = await wait.createToken({ timeout: '10m', tags: ['from-task'] });
    await metadata.set('token', token.id).flush();
    const { by } = await wait.forToken<{ by: string }>(token).unwrap();
    return { by, url: token.url.startsWith('http'), isCached: token.isCached };
  },
});
