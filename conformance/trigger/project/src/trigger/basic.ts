import { AbortTaskRunError, metadata, queue, task, tags, wait } from '@trigger.dev/sdk';

/** Answers what it got, with what the server told it about the run. */
export const echo = task({
  id: 'echo',
  run: async (payload: { text: string }, { ctx }) => ({
    text: payload.text,
    runId: ctx.run.id,
    attempt: ctx.attempt.number,
    tags: ctx.run.tags,
    queue: ctx.queue.name,
    environment: ctx.environment.type,
  }),
});

export const plainText = task({ id: 'plain-text', run: async (payload: string) => `<${payload}>` });

/** Values that JSON alone does not carry. */
export const dates = task({
  id: 'dates',
  run: async (payload: { at: Date }) => ({
    isDate: payload.at instanceof Date,
    next: new Date(payload.at.getTime() + 1),
  }),
});

export const flaky = task({
  id: 'flaky',
  run: async (payload: { failures: number }, { ctx }) => {
    if (ctx.attempt.number <= payload.failures) throw new Error(`attempt ${ctx.attempt.number} fails`);
    return { attempts: ctx.attempt.number };
  },
});

/**
 * As `flaky`, with settings of its own: the SDK writes the bound of a trigger into the settings by which its process tries again, and from
 * then on the process has it for every task that shares them.
 */
export const bounded = task({
  id: 'bounded',
  retry: { maxAttempts: 3, minTimeoutInMs: 200, maxTimeoutInMs: 1_000, factor: 1, randomize: false },
  run: async (_payload: object, { ctx }) => {
    throw new Error(`attempt ${ctx.attempt.number} fails`);
  },
});

/** Waits for longer than a worker keeps a run between attempts. */
export const slowRetry = task({
  id: 'slow-retry',
  retry: { maxAttempts: 2, minTimeoutInMs: 45_000, maxTimeoutInMs: 45_000, factor: 1, randomize: false },
  run: async (_payload: object, { ctx }) => {
    if (ctx.attempt.number === 1) throw new Error('once');
    return { attempts: ctx.attempt.number };
  },
});

export const aborts = task({
  id: 'aborts',
  run: async (_payload: object) => {
    throw new AbortTaskRunError('no use in trying again');
  },
});

export const sleeper = task({
  id: 'sleeper',
  run: async (payload: { seconds: number }) => {
    await metadata.set('state', 'running').flush();
    const before = Date.now();
    await wait.for({ seconds: payload.seconds });
    return { waitedMs: Date.now() - before };
  },
});

export const untilTask = task({
  id: 'until',
  run: async (payload: { iso: string }) => {
    await wait.until({ date: new Date(payload.iso) });
    return { done: true };
  },
});

export const parent = task({
  id: 'parent',
  run: async (payload: { text: string }) => {
    const first = await echo.triggerAndWait({ text: payload.text });
    const failed = await flaky.triggerAndWait({ failures: 9 });
    return {
      child: first.ok ? first.output.text : null,
      childRun: first.id,
      failed: failed.ok ? null : failed.error instanceof Error ? failed.error.message : String(failed.error),
    };
  },
});

export const fanOut = task({
  id: 'fan-out',
  run: async (payload: { count: number }) => {
    const items = Array.from({ length: payload.count }, (_, i) => ({ payload: { text: `item ${i}` } }));
    const batch = await echo.batchTriggerAndWait(items);
    return { texts: batch.runs.map((run) => (run.ok ? run.output.text : `failed: ${String(run.error)}`)) };
  },
});

export const approval = task({
  id: 'approval',
  run: async (payload: { token: string }) => {
    const result = await wait.forToken<{ by: string }>(payload.token);
    return result.ok ? { ok: true, by: result.output.by } : { ok: false, error: result.error.message };
  },
});

/** Runs until it is told to stop. */
export const endless = task({
  id: 'endless',
  run: async (_payload: object, { signal }) => {
    await metadata.set('state', 'running').flush();
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, 120_000);
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve(null);
      });
    });
    return { ended: true };
  },
  onCancel: async () => {
    await metadata.set('state', 'cancelled').flush();
  },
});

export const counted = task({
  id: 'counted',
  run: async (_payload: object) => {
    metadata.set('phase', 'one').increment('count', 2).append('log', 'a');
    await metadata.flush();
    metadata.set('phase', 'two').increment('count', 3).append('log', 'b');
    return { done: true };
  },
});

export const metadataParent = task({
  id: 'metadata-parent',
  run: async (_payload: object) => {
    const result = await metadataChild.triggerAndWait({});
    return { ok: result.ok };
  },
});

export const metadataChild = task({
  id: 'metadata-child',
  run: async (_payload: object) => {
    metadata.parent.set('from', 'child');
    metadata.root.increment('children', 1);
    return {};
  },
});

export const tagged = task({
  id: 'tagged',
  run: async (payload: { tag: string }) => {
    await tags.add(payload.tag);
    return {};
  },
});

const narrow = queue({ name: 'narrow', concurrencyLimit: 1 });

/** One at a time: each says when it ran. */
export const oneByOne = task({
  id: 'one-by-one',
  queue: narrow,
  run: async (payload: { ms: number }) => {
    await metadata.set('state', 'running').flush();
    const from = Date.now();
    await new Promise((resolve) => setTimeout(resolve, payload.ms));
    return { from, to: Date.now() };
  },
});

export const endlessParent = task({
  id: 'endless-parent',
  run: async (_payload: object) => {
    await endless.triggerAndWait({});
    return {};
  },
});

export const sleepyParent = task({
  id: 'sleepy-parent',
  run: async (payload: { seconds: number }) => {
    const result = await sleeper.triggerAndWait({ seconds: payload.seconds });
    return { ok: result.ok };
  },
});

const pair = queue({ name: 'teams/pair', concurrencyLimit: 2 });

/** Two at a time, or as many as somebody says. */
export const inPairs = task({
  id: 'in-pairs',
  queue: pair,
  run: async (payload: { ms: number }) => {
    const from = Date.now();
    await new Promise((resolve) => setTimeout(resolve, payload.ms));
    return { from, to: Date.now() };
  },
});
