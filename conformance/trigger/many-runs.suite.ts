import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { runs, tasks } from '@trigger.dev/sdk';
import { expect, suite, type CaseContext } from '../harness/index.ts';
import type * as project from './project/src/trigger/attempts.ts';
import { finished, SDK, seen, useOwnServer, type OwnServer, type Run } from './support.ts';
import { startWorker, type Worker } from './worker.ts';

/** `npm run conformance:slow` takes 50. */
const RUNS = Number(process.env.CONFORMANCE_RUNS ?? 10);
const WORK_MS = 4_000;
/** As the server's (compat/trigger: dequeue.ts). */
const START_WITHIN_MS = 60_000;
/** As the server's (compat/trigger: heartbeat.ts). */
const HEARTBEAT_TIMEOUT_MS = 300_000;

/** How often a run has ended, by its history. */
async function ends(context: CaseContext, id: string): Promise<number> {
  let after = 0;
  for (let count = 0; ;) {
    const run = id.replace('run_', '').toUpperCase();
    const response = await fetch(`${context.url}/api/executions/${run}/history?after=${after}`);
    const { items } = (await response.json()) as { items: Array<{ kind: string; seq: number }> };
    count += items.filter(({ kind }) => kind === 'end').length;
    if (items.length === 0) return count;
    after = items.at(-1)?.seq ?? after;
  }
}

const count = (found: Run[], status: string): number => found.filter((run) => run.status === status).length;

suite({ vendor: 'trigger', name: 'in the middle of many runs', sdk: SDK }, (s) => {
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

  const startAgain = async (context: CaseContext): Promise<void> => {
    const { directory, project: ref } = worker;
    const { triggerAccessToken: accessToken } = context.environment;
    worker = await startWorker({ url: context.url, project: ref, accessToken, directory });
  };
  const triggerMany = async (ms = WORK_MS): Promise<string[]> => {
    const ids: string[] = [];
    for (let i = 0; i < RUNS; i++)
      ids.push((await tasks.trigger<typeof project.takesTime>('takes-time', { ms }, { ttl: '1d' })).id);
    return ids;
  };
  const retrieved = async (ids: string[]): Promise<Run[]> => {
    const found: Run[] = [];
    for (const id of ids) found.push((await runs.retrieve(id)) as Run);
    return found;
  };
  const executing = (context: CaseContext, ids: string[]): Promise<Run[]> =>
    context.until(
      async () => {
        const found = (await retrieved(ids)).filter((run) => run.metadata?.state === 'running' && !run.isCompleted);
        return found.length > 1 ? found : null;
      },
      { what: 'some runs to execute', timeoutMs: 30_000, everyMs: 100 },
    );
  const eachEndsOnce = async (context: CaseContext, ids: string[]): Promise<void> => {
    for (const id of ids) expect.equal(await ends(context, id), 1, `run ${id} ended once`);
  };

  s.case(
    ['T-66', 'T-62', 'T-64'],
    'the CLI is stopped for a minute: what it has in hand goes on with it, nothing runs twice; stopped for longer than its heartbeats may be apart, its attempts are cancelled and their completions change nothing',
    async (outer) => {
      const context = server.aimed(outer);
      const ids = await triggerMany();
      await executing(context, ids);
      worker.signal('SIGSTOP');
      await context.clock.advance(60_000);
      worker.signal('SIGCONT');
      const all: Run[] = [];
      for (const id of ids) all.push(await finished({ id }));
      expect.equal(count(all, 'COMPLETED'), RUNS);
      expect(all.every((run) => run.attemptCount === 1));
      await eachEndsOnce(context, ids);

      const late = await triggerMany(8_000);
      const inHand = (await executing(context, late)).map((run) => run.id);
      worker.signal('SIGSTOP');
      await context.clock.advance(HEARTBEAT_TIMEOUT_MS + 1_000);
      for (const run of await retrieved(inHand)) expect.equal(run.status, 'CANCELED');
      worker.signal('SIGCONT');
      for (const id of late) await seen(context, id, 'the run to end', (run) => run.isCompleted, 60_000 + RUNS * 1_000);
      for (const run of await retrieved(inHand)) expect.equal(run.status, 'CANCELED');
      await eachEndsOnce(context, late);
    },
    { timeoutMs: 60_000 + RUNS * 4_000 },
  );

  s.case(
    ['T-69', 'T-62', 'T-64'],
    'the CLI is killed: its watchdog cancels what it had in hand, the rest waits and runs when it is back',
    async (outer) => {
      const context = server.aimed(outer);
      const ids = await triggerMany();
      const inHand = (await executing(context, ids)).map((run) => run.id);
      await worker.kill({ watchdog: true });
      for (const id of inHand) await seen(context, id, 'the run to be over', (run) => run.isCompleted, 30_000);
      // Those that had been handed out and not begun are handed out again.
      await context.clock.advance(START_WITHIN_MS + 1_000);
      await context.until(
        async () => (await retrieved(ids)).every((run) => run.isCompleted || run.status === 'QUEUED'),
        { what: 'every run to be over or queued', timeoutMs: 30_000, everyMs: 200 },
      );
      await startAgain(context);
      for (const id of ids) await finished({ id });
      const all = await retrieved(ids);
      expect(count(all, 'CANCELED') >= 2, 'those in hand are cancelled');
      expect.equal(count(all, 'CANCELED') + count(all, 'COMPLETED'), RUNS);
      expect(all.every((run) => run.attemptCount <= 1));
      await eachEndsOnce(context, ids);
    },
    { timeoutMs: 180_000 + RUNS * 2_000 },
  );

  s.case(
    ['T-77', 'T-66', 'T-70'],
    'the CLI is killed without a word and comes back with changed code: what is free runs with that, what the old code had begun ends as the vendor says',
    async (outer) => {
      const context = server.aimed(outer);
      const later = await tasks.trigger<typeof project.triesLater>('tries-later', {});
      await context.until(
        async () => {
          const response = await fetch(`${context.url}/api/executions/${later.id.replace('run_', '').toUpperCase()}`);
          const { pending } = (await response.json()) as { pending: Array<{ attempt: number; leased: boolean }> };
          return pending[0]?.attempt === 1 && !pending[0].leased;
        },
        { what: 'the first attempt to be over, and its run queued again', timeoutMs: 20_000 },
      );
      const ids = await triggerMany();
      const inHand = (await executing(context, ids)).map((run) => run.id);
      await worker.kill({ watchdog: false });
      const file = path.join(worker.directory, 'src/trigger/attempts.ts');
      const source = readFileSync(file, 'utf8');
      writeFileSync(file, source.replace('done in the first version', 'done in the second version'));
      await startAgain(context);
      // Those that had been handed out and not begun are handed out again; those that had begun have no heartbeats any more.
      await context.clock.advance(HEARTBEAT_TIMEOUT_MS + 1_000);
      for (const id of ids) await finished({ id });
      const all = await retrieved(ids);
      for (const run of all.filter(({ id }) => inHand.includes(id))) expect.equal(run.status, 'CANCELED');
      const completed = all.filter((run) => run.status === 'COMPLETED');
      expect.equal(count(all, 'CANCELED') + count(all, 'SYSTEM_FAILURE') + completed.length, RUNS);
      const fresh = await finished(await tasks.trigger<typeof project.takesTime>('takes-time', { ms: 10 }));
      expect.equal(fresh.output, 'done in the second version');
      // A run that was tied to the old build finds nobody who has it any more.
      for (const run of completed)
        expect.equal(
          run.output,
          run.version === fresh.version ? 'done in the second version' : 'done in the first version',
        );
      await eachEndsOnce(context, ids);
      const tied = await finished(later);
      expect.equal(tied.status, 'SYSTEM_FAILURE');
      expect.equal(tied.error?.name, 'COULD_NOT_FIND_EXECUTOR');
      expect.notEqual(tied.version, fresh.version);
    },
    { timeoutMs: 180_000 + RUNS * 4_000 },
  );
});
