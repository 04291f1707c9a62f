import { runs, tasks } from '@trigger.dev/sdk';
import { expect, suite } from '../harness/index.ts';
import type * as project from './project/src/trigger/attempts.ts';
import { finished, SDK, seen, useWorker } from './support.ts';

suite({ vendor: 'trigger', name: 'attempts', sdk: SDK }, (s) => {
  s.beforeAll(async (context) => {
    await useWorker(context);
  });

  s.case(['T-72'], 'an attempt that runs out of memory is made again on the larger machine', async () => {
    const run = await finished(await tasks.trigger<typeof project.outOfMemory>('out-of-memory', {}));
    expect.equal(run.status, 'COMPLETED');
    expect.deepEqual(run.output, { machine: 'small-2x', attempt: 2 });
    expect.equal(run.attemptCount, 2);
  });

  s.case(
    ['T-71'],
    "a process that ends under its task: the task's own settings say when it is tried again, and how often",
    async () => {
      const once = await finished(await tasks.trigger<typeof project.crashes>('crashes', { attempts: 1 }));
      expect.equal(once.status, 'COMPLETED');
      expect.equal(once.output, 2);
      const always = await finished(await tasks.trigger<typeof project.crashes>('crashes', { attempts: 9 }));
      expect.equal(always.status, 'CRASHED');
      expect.equal(always.error?.name, 'TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE');
      expect.equal(always.attemptCount, 2);
    },
    { timeoutMs: 60_000 },
  );

  s.case(
    ['T-73'],
    'a run that computes longer than its maxDuration is stopped: TIMED_OUT, and not tried again',
    async () => {
      const run = await finished(await tasks.trigger<typeof project.busy>('busy', undefined));
      expect.equal(run.status, 'TIMED_OUT');
      expect.equal(run.attemptCount, 1);
    },
    { timeoutMs: 60_000 },
  );

  s.case(['T-77'], 'a run is tied to the version that takes it, and what it waits for to the same', async () => {
    const handle = await tasks.trigger<typeof project.versionParent>('version-parent', {});
    const run = await finished(handle);
    expect.equal(run.status, 'COMPLETED');
    expect.match(String(run.version), /^\d{8}\.\d+$/);
    expect.deepEqual(run.output, { own: run.version, child: run.version });
    const listed = await runs.list({ version: run.version as string, taskIdentifier: 'version-parent' });
    expect(listed.data.some(({ id }) => id === handle.id));
  });

  s.case(
    ['T-78'],
    'a run of a task that no version has waits for one: PENDING_VERSION, beyond its ttl',
    async (context) => {
      const handle = await tasks.trigger(context.unique('unheard-of'), undefined, { ttl: '1m' });
      expect.equal((await runs.retrieve(handle.id)).status, 'PENDING_VERSION');
      await context.clock.advance(3_600_000);
      expect.equal((await runs.retrieve(handle.id)).status, 'PENDING_VERSION');
      await runs.cancel(handle.id);
      await seen(context, handle.id, 'the run to be cancelled', (run) => run.status === 'CANCELED');
    },
  );

  s.case(['T-95', 'T-94'], 'the test flag and the region are kept', async () => {
    const handle = await tasks.trigger<typeof project.versionChild>('version-child', {}, {
      region: 'eu-central-1',
      test: true,
    } as never);
    const run = await finished(handle);
    expect.equal((run as { region?: string }).region, 'eu-central-1');
    expect.equal(typeof run.isTest, 'boolean');
  });
});
