import { concurrencyLimit, task } from '@trigger.dev/sdk';

const single = concurrencyLimit({ name: 'single', total: 1 });

/** Shares a limit with whoever names it. */
export const limitedByName = task({
  id: 'limited-by-name',
  concurrency: [single],
  run: async (payload: { ms: number }) => {
    const from = Date.now();
    await new Promise((resolve) => setTimeout(resolve, payload.ms));
    return { from, to: Date.now() };
  },
});
