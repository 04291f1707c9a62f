import { expect } from '../harness/index.ts';
import type { CaseContext } from '../harness/index.ts';
import type { App, Definition, RunView } from './apps.ts';

const HOUR_MS = 3_600_000;

/** Three steps with a retry, a sleep, a wait and an invocation: everything a trace can show. */
export function tracedApp(name: string): Definition[] {
  return [
    { id: 'child', triggers: [], body: ({ event }) => ({ doubled: (event.data['n'] as number) * 2 }) },
    {
      id: 'traced',
      retries: 1,
      triggers: [{ event: name }],
      body: async ({ step, attempt, event }, functions) => {
        const a = await step.run('first', () => ({ n: event.data['n'] }));
        await step.run('flaky', () => {
          if (attempt === 0) throw new TypeError('not yet');
          return 'fine';
        });
        await step.sleep('nap', '1h');
        const child = await step.invoke('call', { function: functions['child'] as never, data: { n: 4 } });
        const found = await step.waitForEvent('wait', {
          event: `${name}/other`,
          timeout: '1h',
          if: 'async.data.x == 1',
        });
        return { a, child, found };
      },
    },
  ];
}

export async function runTraced(context: CaseContext, app: App, name: string): Promise<RunView> {
  const { ids } = await app.send({ name, data: { n: 1 } });
  await context.clock.idle();
  await context.clock.advance(60_000);
  await context.clock.advance(HOUR_MS);
  await context.clock.advance(HOUR_MS);
  const [run] = await app.ended(ids[0] as string);
  expect.equal(run?.status, 'Completed', JSON.stringify(run?.output));
  return run as RunView;
}
