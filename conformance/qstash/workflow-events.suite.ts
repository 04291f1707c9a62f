import { WorkflowNonRetryableError } from '@upstash/workflow';
import { createWorkflow, serveMany } from '@upstash/workflow/cloudflare';
import { expect, suite } from '../harness/index.ts';
import { serveWorkflow, serveWorkflowHandler, workflowOptions } from './workflow-support.ts';

suite({ vendor: 'qstash', name: 'workflow events', sdk: '@upstash/workflow 1.3.3' }, (s) => {
  s.case(['Q-67', 'Q-68'], 'a run waits for an event and goes on with its data', async (context) => {
    const eventId = context.unique('event');
    const results: unknown[] = [];
    const workflow = await serveWorkflow(context, async (w) => {
      results.push(await w.waitForEvent('wait', eventId, { timeout: '7d' }));
    });
    expect.deepEqual(await workflow.client.notify({ eventId, eventData: 'nobody' }), []);
    const runs = [await workflow.trigger(), await workflow.trigger()];
    const waiters = await context.until(async () => {
      const list = await workflow.client.getWaiters({ eventId });
      return list.length === 2 ? list : null;
    });
    expect.equal(waiters[0]?.url, workflow.url);
    const notified = (await workflow.client.notify({ eventId, eventData: { hello: 'wörld' } })) as unknown as Array<{
      workflowRunId: string;
      messageId: string;
    }>;
    expect.deepEqual(notified.map(({ workflowRunId }) => workflowRunId).sort(), [...runs].sort());
    for (const runId of runs) expect.equal((await workflow.ended(runId)).workflowState, 'RUN_SUCCESS');
    expect.deepEqual(
      results,
      [1, 2].map(() => ({ eventData: { hello: 'wörld' }, timeout: false })),
    );
    expect.deepEqual(await workflow.client.getWaiters({ eventId }), []);
  });

  s.case(['Q-67'], 'a wait that is not answered times out', async (context) => {
    const results: unknown[] = [];
    const workflow = await serveWorkflow(context, async (w) => {
      results.push(await w.waitForEvent('wait', context.unique('never'), { timeout: '2h' }));
    });
    const runId = await workflow.trigger();
    await context.clock.idle();
    await context.clock.advance(7_100_000);
    expect.deepEqual(results, []);
    await context.clock.advance(200_000);
    await workflow.ended(runId);
    expect.deepEqual(results, [{ eventData: undefined, timeout: true }]);
  });

  s.case(
    ['Q-68'],
    'a notification to one run is kept until it waits, and context.notify wakes another run',
    async (context) => {
      const early = context.unique('early');
      const between = context.unique('between');
      const results: unknown[] = [];
      const waiting = await serveWorkflow(context, async (w) => {
        await w.sleep('first', '1h');
        const first = await w.waitForEvent<string>('early', early, { timeout: '1d' });
        const second = await w.waitForEvent<string>('between', between, { timeout: '1d' });
        results.push(first.eventData, second.eventData);
      });
      const notifying = await serveWorkflow(context, async (w) => {
        const { notifyResponse } = await w.notify('wake', between, 'from a run');
        return notifyResponse.length;
      });
      const runId = await waiting.trigger();
      const other = await waiting.trigger();
      await context.clock.idle();
      await waiting.client.notify({ eventId: early, eventData: 'kept', workflowRunId: runId });
      await context.clock.advance(3_605_000);
      await context.until(async () => (await waiting.client.getWaiters({ eventId: between })).length === 1);
      expect.deepEqual(results, []);
      const notifier = await notifying.trigger();
      expect.equal((await notifying.ended(notifier)).workflowRunResponse, '1');
      await waiting.ended(runId);
      expect.deepEqual(results, ['kept', 'from a run']);
      expect.equal((await waiting.run(other)).workflowState, 'RUN_STARTED');
      expect.deepEqual(await waiting.client.cancel(other), { cancelled: 1 });
    },
  );

  s.case(
    ['Q-69', 'Q-3'],
    'a webhook takes any request without a key, early ones too, and gives it to the run',
    async (context) => {
      const seen: unknown[] = [];
      let webhookUrl = '';
      const workflow = await serveWorkflow(context, async (w) => {
        const webhook = await w.createWebhook('hook');
        await w.run('show', () => void (webhookUrl = webhook.webhookUrl));
        await w.sleep('late', '1h');
        for (const name of ['first', 'second']) {
          const { request } = await w.waitForWebhook(name, webhook, '1d');
          seen.push([request?.method, request?.url, request?.headers.get('x-hook'), await request?.text()]);
        }
      });
      const runId = await workflow.trigger();
      await context.until(() => webhookUrl !== '');
      await context.clock.idle();
      const post = await fetch(`${webhookUrl}?q=1`, { method: 'PUT', body: 'wörld', headers: { 'x-hook': 'a' } });
      expect.equal(post.status, 200);
      await fetch(webhookUrl, { method: 'POST', body: '2', headers: { 'x-hook': 'b' } });
      await context.clock.advance(3_605_000);
      await workflow.ended(runId);
      // The SDK runs the route again for every delivery; the last two pushes are the ones after both waits.
      expect.deepEqual(seen.slice(-2), [
        ['PUT', `${webhookUrl}?q=1`, 'a', 'wörld'],
        ['POST', webhookUrl, 'b', '2'],
      ]);
      expect.equal((await fetch(webhookUrl, { method: 'POST' })).status, 404);
    },
  );

  s.case(
    ['Q-70'],
    'a workflow invokes another and gets its result, its failure and its cancellation',
    async (context) => {
      const results: unknown[] = [];
      const child = createWorkflow(async (w) => {
        const input = w.requestPayload as string;
        if (input === 'fail') throw new WorkflowNonRetryableError('child failed');
        if (input === 'cancel') await w.cancel();
        await w.sleep('rest', '1h');
        return `child got ${input}`;
      });
      const parent = createWorkflow(async (w) => {
        for (const body of ['work', 'fail', 'cancel']) {
          const { body: result, isFailed, isCanceled } = await w.invoke(`invoke ${body}`, { workflow: child, body });
          await w.run(`keep ${body}`, () => void results.push([result, isFailed, isCanceled]));
        }
      });
      const { fetch: handler } = serveMany({ parent, child }, workflowOptions(context) as never);
      const workflow = await serveWorkflowHandler(
        context,
        (request) => handler(request, {}) as Promise<Response>,
        '/parent',
      );
      const runId = await workflow.trigger();
      await context.clock.idle();
      await context.clock.advance(3_605_000);
      const run = await workflow.ended(runId);
      expect.equal(run.workflowState, 'RUN_SUCCESS');
      expect.deepEqual(results, [
        ['child got work', false, false],
        [undefined, true, false],
        [undefined, false, true],
      ]);
    },
  );
});
