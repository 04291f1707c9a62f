import { batch, runs, tasks, wait } from '@trigger.dev/sdk';
import { expect, suite } from '../harness/index.ts';
import type * as project from './project/src/trigger/basic.ts';
import { call, finished, SDK, seen, useWorker } from './support.ts';

suite({ vendor: 'trigger', name: 'waits', sdk: SDK }, (s) => {
  s.beforeAll(async (context) => {
    await useWorker(context);
  });

  s.case(['T-45', 'T-65', 'T-67'], 'wait.for holds a run on the server until its time has come', async (context) => {
    const handle = await tasks.trigger<typeof project.sleeper>('sleeper', { seconds: 240 });
    // Said by user code: a minute that passes before the wait begins would be one of its lease.
    await seen(context, handle.id, 'the task to run', (run) => run.metadata?.state === 'running');
    await context.until(
      async () => (await context.clock.advance(60_000)) && (await runs.retrieve(handle.id)).isCompleted,
      { what: 'the end of the wait', everyMs: 500, timeoutMs: 20_000 },
    );
    const run = await finished(handle);
    expect.equal(run.status, 'COMPLETED');
    // The server's clock ran ahead of the worker's.
    expect((run.output as { waitedMs: number }).waitedMs < 60_000);
  });

  s.case(['T-45'], 'wait.until waits for a date', async (context) => {
    const handle = await tasks.trigger<typeof project.untilTask>('until', {
      iso: new Date(Date.now() + 120_000).toISOString(),
    });
    await seen(context, handle.id, 'the run to execute', (run) => run.status === 'EXECUTING');
    await context.until(
      async () => (await context.clock.advance(60_000)) && (await runs.retrieve(handle.id)).isCompleted,
      { what: 'the end of the wait', everyMs: 500, timeoutMs: 20_000 },
    );
    expect.deepEqual((await finished(handle)).output, { done: true });
  });

  s.case(['T-14', 'T-75', 'T-67', 'T-77'], 'triggerAndWait gives the parent its child, or its failure', async () => {
    const handle = await tasks.trigger<typeof project.parent>('parent', { text: 'to the child' });
    const run = await finished(handle);
    expect.equal(run.status, 'COMPLETED');
    const output = run.output as { child: string; childRun: string; failed: string };
    expect.equal(output.child, 'to the child');
    expect.equal(output.failed, 'attempt 3 fails');
    const child = await runs.retrieve(output.childRun);
    expect.equal(child.depth, 1);
    expect.equal(child.triggerFunction, 'triggerAndWait');
    expect.equal(child.relatedRuns.parent?.id, handle.id);
    expect.equal((await runs.retrieve(handle.id)).relatedRuns.children?.length, 2);
  });

  s.case(['T-15', 'T-16', 'T-14', 'T-75'], 'batchTriggerAndWait gives the results in order', async () => {
    const run = await finished(await tasks.trigger<typeof project.fanOut>('fan-out', { count: 12 }));
    expect.equal(run.status, 'COMPLETED');
    expect.deepEqual(run.output, { texts: Array.from({ length: 12 }, (_, i) => `item ${i}`) });
  });

  s.case(['T-15', 'T-16', 'T-18'], 'a batch from a script: its runs, and when all are done', async (context) => {
    const handle = await tasks.batchTrigger<typeof project.echo>('echo', [
      { payload: { text: 'a' } },
      { payload: { text: 'b' } },
    ]);
    expect.equal(handle.runCount, 2);
    const done = await context.until(
      async () => {
        const found = await batch.retrieve(handle.batchId);
        return found.status === 'COMPLETED' ? found : null;
      },
      { what: 'the batch to be completed' },
    );
    expect.equal(done.runs.length, 2);
    const texts = await Promise.all(
      done.runs.map(async (id) => ((await runs.retrieve(id)).output as { text: string }).text),
    );
    expect.deepEqual(texts.sort(), ['a', 'b']);
  });

  s.case(['T-17'], 'the batch of older clients: all items at once', async (context) => {
    const body = JSON.stringify({
      items: [{ task: 'echo', payload: '{"text":"old"}', options: { payloadType: 'application/json' } }],
    });
    const response = await call(context, 'POST', '/api/v2/tasks/batch', { body });
    expect.equal(response.status, 202);
    const answer = (await response.json()) as {
      id: string;
      runCount: number;
      runs: Array<{ id: string; taskIdentifier: string; isCached: boolean }>;
    };
    expect.equal(answer.runCount, 1);
    const run = await finished({ id: answer.runs[0]?.id ?? '' });
    expect.equal((run.output as { text: string }).text, 'old');
  });

  s.case(['T-46', 'T-48', 'T-67'], 'wait.forToken goes on when the token is completed', async (context) => {
    const token = await wait.createToken({ timeout: '1h', tags: ['approval'] });
    expect.equal((await wait.retrieveToken(token)).status, 'WAITING');
    const handle = await tasks.trigger<typeof project.approval>('approval', { token: token.id });
    await seen(context, handle.id, 'the run to execute', (run) => run.status === 'EXECUTING');
    await wait.completeToken(token, { by: 'the boss' });
    expect.deepEqual((await finished(handle)).output, { ok: true, by: 'the boss' });
    const completed = await wait.retrieveToken<{ by: string }>(token);
    expect.equal(completed.status, 'COMPLETED');
    expect.deepEqual(completed.output, { by: 'the boss' });
  });

  s.case(['T-46', 'T-48'], 'a token completed before anybody waits is not lost', async () => {
    const token = await wait.createToken({});
    await wait.completeToken(token, { by: 'early bird' });
    const run = await finished(await tasks.trigger<typeof project.approval>('approval', { token: token.id }));
    expect.deepEqual(run.output, { ok: true, by: 'early bird' });
  });

  s.case(['T-46', 'T-48'], 'a token that nobody completes times out', async (context) => {
    const token = await wait.createToken({ timeout: '2m' });
    const handle = await tasks.trigger<typeof project.approval>('approval', { token: token.id });
    await seen(context, handle.id, 'the run to execute', (run) => run.status === 'EXECUTING');
    await context.until(
      async () => (await context.clock.advance(60_000)) && (await runs.retrieve(handle.id)).isCompleted,
      { what: 'the time-out', everyMs: 500, timeoutMs: 20_000 },
    );
    const run = await finished(handle);
    expect.equal((run.output as { ok: boolean }).ok, false);
    expect.equal((await wait.retrieveToken(token)).status, 'TIMED_OUT');
  });

  s.case(['T-46'], 'an idempotency key answers the same token', async ({ unique }) => {
    const idempotencyKey = unique('token');
    const first = await wait.createToken({ idempotencyKey });
    const second = await wait.createToken({ idempotencyKey });
    expect.equal(second.id, first.id);
    expect.equal(second.isCached, true);
  });

  s.case(['T-47'], 'any POST to the address of a token completes it; a wrong address does not', async () => {
    const token = await wait.createToken({});
    const wrong = await fetch(
      token.url.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
      { method: 'POST', body: '{}' },
    );
    expect.equal(wrong.status, 401);
    const answer = await fetch(token.url, { method: 'POST', body: JSON.stringify({ by: 'a form' }) });
    expect.equal(answer.status, 200);
    const run = await finished(await tasks.trigger<typeof project.approval>('approval', { token: token.id }));
    expect.deepEqual(run.output, { ok: true, by: 'a form' });
  });

  s.case(['T-46', 'T-5'], 'the public token of a wait token completes it', async ({ url }) => {
    const token = await wait.createToken({});
    const complete = (id: string): Promise<Response> =>
      fetch(`${url}/api/v1/waitpoints/tokens/${id}/complete`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token.publicAccessToken}`, 'content-type': 'application/json' },
        body: JSON.stringify({ data: 1 }),
      });
    const other = await wait.createToken({});
    expect.equal((await complete(other.id)).status, 403);
    expect.equal((await complete(token.id)).status, 200);
    expect.equal((await wait.retrieveToken(token)).status, 'COMPLETED');
  });

  s.case(['T-76', 'T-22'], 'cancelling a parent cancels the child that it waits for', async (context) => {
    const handle = await tasks.trigger<typeof project.endlessParent>('endless-parent', {});
    const started = await seen(
      context,
      handle.id,
      'the child to execute',
      (run) => run.relatedRuns.children?.[0]?.status === 'EXECUTING',
    );
    const child = started.relatedRuns.children?.[0]?.id ?? '';
    await seen(context, child, 'the child to be under way', (run) => run.metadata?.state === 'running');
    await runs.cancel(handle.id);
    await seen(context, child, 'the child to be cancelled', (run) => run.isCancelled && run.finishedAt !== undefined);
    await seen(
      context,
      handle.id,
      'the parent to be cancelled',
      (run) => run.isCancelled && run.finishedAt !== undefined,
    );
  });
});
