import { metadata, OutOfMemoryError, task } from '@trigger.dev/sdk';

export const outOfMemory = task({
  id: 'out-of-memory',
  machine: 'micro',
  retry: { maxAttempts: 3, minTimeoutInMs: 200, factor: 1, randomize: false, outOfMemory: { machine: 'small-2x' } },
  run: async (_payload: unknown, { ctx }) => {
    if (ctx.machine?.name === 'micro') throw new OutOfMemoryError();
    return { machine: ctx.machine?.name, attempt: ctx.attempt.number };
  },
});

/** Its process ends under it in the first attempts. */
export const crashes = task({
  id: 'crashes',
  retry: { maxAttempts: 2, minTimeoutInMs: 200, factor: 1, randomize: false },
  run: async ({ attempts }: { attempts: number }, { ctx }) => {
    if (ctx.attempt.number <= attempts) process.exit(3);
    return ctx.attempt.number;
  },
});

/** Computes until it is stopped. */
export const busy = task({
  id: 'busy',
  maxDuration: 5,
  run: async () => {
    for (let n = 0; ; n++) if (n % 1_000_000 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  },
});

export const versionChild = task({
  id: 'version-child',
  run: async (_payload: unknown, { ctx }) => ctx.run.version ?? null,
});

export const versionParent = task({
  id: 'version-parent',
  run: async (_payload: unknown, { ctx }) => ({
    own: ctx.run.version,
    child: await versionChild.triggerAndWait({}).unwrap(),
  }),
});

/** Takes a while, and says so. */
export const takesTime = task({
  id: 'takes-time',
  run: async ({ ms }: { ms: number }) => {
    metadata.set('state', 'running');
    await metadata.flush();
    await new Promise((resolve) => setTimeout(resolve, ms));
    return 'done in the first version';
  },
});

/** Its second attempt comes later than a worker keeps it. */
export const triesLater = task({
  id: 'tries-later',
  retry: { maxAttempts: 2, minTimeoutInMs: 40_000, maxTimeoutInMs: 40_000, factor: 1, randomize: false },
  run: async (_payload: unknown, { ctx }) => {
    if (ctx.attempt.number === 1) throw new Error('not yet');
    return ctx.attempt.number;
  },
});
