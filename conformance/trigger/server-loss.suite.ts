import { runs, tasks } from '@trigger.dev/sdk';
import { expect, suite } from '../harness/index.ts';
import type * as project from './project/src/trigger/basic.ts';
import { finished, SDK, seen, useSdk } from './support.ts';
import { startWorker } from './worker.ts';

suite({ vendor: 'trigger', name: 'loss of the server', sdk: SDK }, (s) => {
  s.case(
    ['T-45', 'T-14', 'T-62', 'T-64', 'T-66', 'T-67'],
    'the server killed while a run waits, another waits for its child and a third executes: with the same worker all finish, each attempt once',
    async (context) => {
      const server = await context.startServer();
      const { triggerProjectRef, triggerAccessToken } = context.environment;
      const worker = await startWorker({
        url: server.url,
        project: triggerProjectRef,
        accessToken: triggerAccessToken,
      });
      context.onCleanup(() => worker.stop());
      useSdk({ ...context, url: server.url });
      context.onCleanup(() => useSdk(context));

      const sleeping = await tasks.trigger<typeof project.sleeper>('sleeper', { seconds: 8 });
      const waiting = await tasks.trigger<typeof project.sleepyParent>('sleepy-parent', { seconds: 8 });
      const executing = await tasks.trigger<typeof project.oneByOne>('one-by-one', { ms: 4_000 });
      const parent = await seen(
        context,
        waiting.id,
        'the parent to have its child',
        (run) => run.relatedRuns.children?.length === 1,
      );
      const child = parent.relatedRuns.children?.[0]?.id ?? '';
      // A run counts as executing when it is handed out; only user code can say that it has begun.
      for (const id of [sleeping.id, child, executing.id])
        await seen(context, id, 'the task to run', (run) => run.metadata?.state === 'running', 30_000);
      await server.kill9();
      await server.restart();
      for (const handle of [sleeping, waiting, executing]) {
        const run = await finished(handle);
        expect.equal(run.status, 'COMPLETED', worker.output());
        expect.equal(run.attemptCount, 1);
      }
      expect.equal((await runs.retrieve(waiting.id)).relatedRuns.children?.length, 1);
      // And the worker takes new work.
      expect.equal(
        (await finished(await tasks.trigger<typeof project.echo>('echo', { text: 'after' }))).status,
        'COMPLETED',
      );
    },
    { timeoutMs: 120_000 },
  );
});
