import { runs, tasks, wait } from '@trigger.dev/sdk';
import { expect, suite } from '../harness/index.ts';
import type * as project from './project/src/trigger/basic.ts';
import type * as documented from './project/src/trigger/documented.ts';
import { finished, SDK, seen, useOwnServer, type OwnServer } from './support.ts';
import { startWorker, type Worker } from './worker.ts';

suite({ vendor: 'trigger', name: 'loss of the worker', sdk: SDK }, (s) => {
  let server: OwnServer;
  let worker: Worker;

  s.beforeAll(async (context) => {
    server = await useOwnServer(context);
    const { triggerProjectRef: ref, triggerAccessToken: accessToken } = context.environment;
    worker = await startWorker({ url: server.aimed(context).url, project: ref, accessToken });
  });
  s.afterAll(async () => {
    await worker.stop();
  });

  const startAgain = async ({ url }: { url: string }, accessToken: string): Promise<void> => {
    worker = await startWorker({ url, project: worker.project, accessToken, directory: worker.directory });
  };

  // Here, since the vendor's CLI keeps the process and its flag of a wait in progress: later runs in it may not wait any more.
  s.case(
    ['T-48', 'T-14', 'T-64'],
    "two waits at once are refused by the SDK: one attempt, the vendor's message, and children that were triggered go on",
    async (outer) => {
      const context = server.aimed(outer);
      const ids = await Promise.all([1, 2].map(async () => (await wait.createToken({})).id));
      const tokens = await tasks.trigger<typeof documented.waitsTwiceAtOnce>('waits-twice-at-once', { ids });
      const failed = await finished(tokens);
      expect.deepEqual([failed.status, failed.attemptCount], ['SYSTEM_FAILURE', 1]);
      expect.match(failed.error?.message ?? '', /Parallel waits are not supported/);
      const children = await tasks.trigger<typeof documented.triggersTwiceAtOnce>('triggers-twice-at-once', {});
      const parent = await finished(children);
      expect.deepEqual([parent.status, parent.attemptCount], ['SYSTEM_FAILURE', 1]);
      const ended = await Promise.all((parent.relatedRuns.children ?? []).map((child) => finished(child)));
      expect.deepEqual(ended.map((run) => (run.output as { text: string }).text).sort(), ['one', 'two']);
      for (const id of ids) await wait.completeToken(id, {});
      expect.equal((await seen(context, tokens.id, 'the same end', (run) => run.isCompleted)).status, 'SYSTEM_FAILURE');
    },
    { timeoutMs: 60_000 },
  );

  s.case(
    ['T-69', 'T-66'],
    'a worker killed in the middle of an attempt: its watchdog reports it and the run is cancelled; what is triggered meanwhile runs when it is back',
    async (outer) => {
      const context = server.aimed(outer);
      const handle = await tasks.trigger<typeof project.endless>('endless', {});
      await seen(context, handle.id, 'the run to execute', (run) => run.metadata?.state === 'running');
      await worker.kill({ watchdog: true });
      const run = await seen(context, handle.id, 'the run to be cancelled', (found) => found.isCompleted);
      expect.equal(run.status, 'CANCELED');
      const meanwhile = await tasks.trigger<typeof project.echo>('echo', { text: 'still there?' });
      await seen(context, meanwhile.id, 'the run to be queued', (found) => found.status === 'QUEUED');
      await startAgain(context, context.environment.triggerAccessToken);
      expect.equal((await finished(meanwhile)).status, 'COMPLETED');
    },
    { timeoutMs: 120_000 },
  );

  s.case(
    ['T-66'],
    'a worker that vanishes without a word: after the heartbeat time the run is cancelled, as the vendor does for development',
    async (outer) => {
      const context = server.aimed(outer);
      const handle = await tasks.trigger<typeof project.endless>('endless', {});
      await seen(context, handle.id, 'the run to execute', (run) => run.metadata?.state === 'running');
      await worker.kill({ watchdog: false });
      expect.equal((await runs.retrieve(handle.id)).status, 'EXECUTING');
      await context.clock.advance(301_000);
      expect.equal((await runs.retrieve(handle.id)).status, 'CANCELED');
      await startAgain(context, context.environment.triggerAccessToken);
      const after = await finished(await tasks.trigger<typeof project.echo>('echo', { text: 'again' }));
      expect.equal(after.status, 'COMPLETED');
    },
    { timeoutMs: 120_000 },
  );

  s.case(
    ['T-34'],
    'a run that no worker takes expires: ten minutes by default, or its ttl',
    async (outer) => {
      const context = server.aimed(outer);
      await worker.kill({ watchdog: false });
      const byDefault = await tasks.trigger<typeof project.echo>('echo', { text: 'a' }, { delay: '1m' });
      const own = await tasks.trigger<typeof project.echo>('echo', { text: 'b' }, { delay: '1m', ttl: '30s' });
      await context.clock.advance(95_000);
      const expired = await seen(context, own.id, 'the run to be expired', (run) => run.isCompleted);
      expect.equal(expired.status, 'EXPIRED');
      expect(expired.expiredAt instanceof Date);
      // The dead worker's open request may have taken it for the moment that it takes to notice.
      await seen(context, byDefault.id, 'the run to be queued', (run) => run.status === 'QUEUED');
      await context.clock.advance(600_000);
      expect.equal((await runs.retrieve(byDefault.id)).status, 'EXPIRED');
      await startAgain(context, context.environment.triggerAccessToken);
    },
    { timeoutMs: 120_000 },
  );
});
