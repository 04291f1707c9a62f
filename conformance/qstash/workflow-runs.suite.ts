import { WorkflowNonRetryableError } from '@upstash/workflow';
import { createWorkflow, serveMany } from '@upstash/workflow/cloudflare';
import { expect, suite } from '../harness/index.ts';
import { call, clientOf, destination } from './support.ts';
import { serveWorkflow, serveWorkflowHandler, workflowOptions } from './workflow-support.ts';

suite({ vendor: 'qstash', name: 'workflow runs', sdk: '@upstash/workflow 1.3.3' }, (s) => {
  s.case(
    ['Q-78', 'Q-72', 'Q-63', 'Q-71'],
    'a cancelled run runs no more, answers 404 and takes no step',
    async (context) => {
      const ran: string[] = [];
      const workflow = await serveWorkflow(
        context,
        async (w) => {
          await w.run('one', () => void ran.push('one'));
          await w.sleep('nap', '1h');
          await w.run('two', () => void ran.push('two'));
        },
        { failureFunction: async () => void ran.push('failure') },
      );
      const label = context.unique('cancel');
      const [a, b, c] = [
        await workflow.trigger(undefined, { label }),
        await workflow.trigger(),
        await workflow.trigger(),
      ];
      await context.until(() => ran.length === 3);
      await context.clock.idle();
      expect.equal((await call(context, 'GET', `/v2/workflows/runs/${a}`)).status, 200);
      expect.deepEqual(await workflow.client.cancel([a, a, 'wfr_unknown']), { cancelled: 1 });
      expect.equal((await call(context, 'GET', `/v2/workflows/runs/${a}`)).status, 404);
      const step = {
        'upstash-workflow-runid': a,
        'upstash-workflow-init': 'false',
        'upstash-workflow-url': workflow.url,
      };
      const late = await call(context, 'POST', '/v2/batch', {
        body: JSON.stringify([{ destination: workflow.url, headers: step, body: '{}' }]),
      });
      expect.equal(late.status, 400);
      const stray = await call(context, 'POST', '/v2/batch', {
        body: JSON.stringify([
          { destination: workflow.url, headers: { ...step, 'upstash-workflow-runid': 'mine' }, body: '{}' },
        ]),
      });
      expect.equal(stray.status, 412);
      expect.equal((await call(context, 'DELETE', '/v2/workflows/runs/mine')).status, 404);
      await expect.rejects(workflow.client.cancel({ filter: { labeel: 'x' } as never }), { status: 400 });
      expect.deepEqual(await workflow.client.cancel({ filter: { workflowUrl: workflow.url } }), { cancelled: 2 });
      for (const id of [a, b, c]) expect.equal((await workflow.run(id)).workflowState, 'RUN_CANCELED');
      await context.clock.advance(7_200_000);
      expect.deepEqual(ran, ['one', 'one', 'one']);
    },
  );

  s.case(['Q-13', 'Q-72'], 'a wrong step refuses its whole batch', async (context) => {
    const workflow = await serveWorkflow(context, async (w) => {
      await w.waitForEvent('wait', context.unique('batch'), { timeout: '1h' });
    });
    const runId = await workflow.trigger();
    await context.clock.idle();
    const before = await (await call(context, 'GET', `/v2/workflows/runs/${runId}`)).json();
    const headers = {
      'upstash-workflow-runid': runId,
      'upstash-workflow-init': 'false',
      'upstash-workflow-url': workflow.url,
    };
    const response = await call(context, 'POST', '/v2/batch', {
      body: JSON.stringify([
        { destination: workflow.url, headers, body: '{"stepId":1}' },
        { destination: workflow.url, headers: { ...headers, 'upstash-retries': '1000000' }, body: '{"stepId":2}' },
      ]),
    });
    expect.equal(response.status, 412);
    expect.deepEqual(await (await call(context, 'GET', `/v2/workflows/runs/${runId}`)).json(), before);
    await workflow.client.cancel(runId);
  });

  s.case(['Q-73'], 'a run id that exists is not started again', async (context) => {
    let ran = 0;
    const workflow = await serveWorkflow(context, async (w) => {
      await w.run('count', () => ++ran);
    });
    const workflowRunId = context.unique('mine');
    const first = await workflow.trigger(undefined, { workflowRunId });
    expect.equal(first, `wfr_${workflowRunId}`);
    expect.equal(await workflow.trigger(undefined, { workflowRunId }), first);
    await workflow.ended(first);
    await context.clock.idle();
    expect.equal(ran, 1);
  });

  s.case(
    ['Q-73', 'Q-80', 'Q-70'],
    'the id of a run that has ended is free: the next run with it does every kind of step again',
    async (context) => {
      const third = await destination(context, () => new Response('"third"'));
      const event = context.unique('event');
      const child = createWorkflow(async (w) => {
        await w.sleep('child sleep', 1);
        return `child of ${String(w.requestPayload)}`;
      });
      let target = '';
      const parent = createWorkflow(async (w) => {
        const [one] = await Promise.all([w.run('one', () => 1), w.run('two', () => 2)]);
        await w.sleep('sleep', 1);
        const { body } = await w.call('call', { url: third.url });
        const { timeout } = await w.waitForEvent('wait', event, { timeout: 1 });
        const { notifyResponse } = await w.notify('notify', context.unique('nobody'), 'x');
        const invoked = await w.invoke('invoke', {
          workflow: child,
          body: 'p',
          workflowRunId: context.unique('child'),
        });
        return [one, body, timeout, notifyResponse.length, invoked.body];
      });
      const { fetch: handler } = serveMany({ parent, child }, workflowOptions(context) as never);
      const workflow = await serveWorkflowHandler(
        context,
        (request) => handler(request, {}) as Promise<Response>,
        '/parent',
      );
      target = context.unique('again');
      const results: unknown[] = [];
      const created: number[] = [];
      for (let n = 1; n <= 2; n++) {
        const runId = await workflow.trigger('in', { workflowRunId: target });
        expect.equal(runId, `wfr_${target}`);
        await context.until(async () => {
          await context.clock.advance(1_000);
          return (await workflow.run(runId)).workflowState !== 'RUN_STARTED';
        });
        const { runs } = await workflow.client.logs({ workflowRunId: runId });
        expect.equal(runs.length, n);
        const run = runs[0];
        expect.equal(run?.workflowState, 'RUN_SUCCESS');
        created.push(run?.workflowRunCreatedAt as number);
        results.push(JSON.parse(run?.workflowRunResponse as string));
        expect.deepEqual(
          run?.steps.flatMap(({ steps }) => steps.map((step) => ('stepName' in step ? step.stepName : step.state))),
          ['init', 'one', 'two', 'sleep', 'call', 'wait', 'notify', 'invoke'],
        );
      }
      expect.deepEqual(results, [
        [1, 'third', true, 0, 'child of p'],
        [1, 'third', true, 0, 'child of p'],
      ]);
      expect.ok((created[1] as number) > (created[0] as number));
      expect.equal(third.received.length, 2);
    },
  );

  s.case(['Q-75'], 'a run is started by plain HTTP', async (context) => {
    const ran: unknown[] = [];
    const workflow = await serveWorkflow<{ n: number }>(context, async (w) => {
      await w.run('one', () => void ran.push(w.requestPayload));
      await w.sleep('nap', '1m');
      return 'ok';
    });
    const response = await call(context, 'POST', `/v2/trigger/${workflow.url}`, {
      body: '{"n":1}',
      headers: { 'content-type': 'application/json', 'upstash-workflow-runid': context.unique('rest') },
    });
    const { workflowRunId, workflowCreatedAt } = (await response.json()) as {
      workflowRunId: string;
      workflowCreatedAt: number;
    };
    expect.equal(typeof workflowCreatedAt, 'number');
    await context.until(() => ran.length === 1);
    await context.clock.idle();
    await context.clock.advance(61_000);
    expect.equal((await workflow.ended(workflowRunId)).workflowState, 'RUN_SUCCESS');
    expect.deepEqual(ran, [{ n: 1 }]);
    // As many as an SDK's own trigger needs.
    expect.equal(workflow.deliveries.length, 3);
  });

  s.case(
    ['Q-75'],
    'asked for, the SDK sends a run once more with what it knows; the header that asks does not come back for ever',
    async (context) => {
      const ran: string[] = [];
      const workflow = await serveWorkflow<string>(context, async (w) => {
        await w.run('one', () => void ran.push(`${w.requestPayload} ${w.headers.get('x-user')}`));
        return 'ok';
      });
      const unknown = { 'upstash-workflow-unknown-sdk': 'true' };
      const response = await call(context, 'POST', `/v2/trigger/${workflow.url}`, {
        body: 'rest',
        headers: { ...unknown, 'upstash-forward-x-user': 'u1' },
      });
      const { workflowRunId } = (await response.json()) as { workflowRunId: string };
      expect.equal((await workflow.ended(workflowRunId)).workflowState, 'RUN_SUCCESS');
      expect.equal(workflow.deliveries.length, 3);
      // The SDK's client forwards the header as one of the user's own.
      const runId = await workflow.trigger('client', { headers: { ...unknown, 'x-user': 'u2' } });
      expect.equal((await workflow.ended(runId)).workflowState, 'RUN_SUCCESS');
      await context.clock.idle();
      expect.deepEqual(ran, ['rest u1', 'client u2']);
      expect.equal(workflow.deliveries.length, 6);
      expect.deepEqual(
        workflow.deliveries.map((headers) => headers.get('upstash-workflow-unknown-sdk')),
        ['true', null, null, 'true', null, null],
      );
    },
  );

  s.case(
    ['Q-75', 'Q-76'],
    'a run that plain HTTP started and that fails calls its failure function',
    async (context) => {
      const failures: unknown[] = [];
      const workflow = await serveWorkflow<{ n: number }>(
        context,
        async (w) => {
          await w.run('one', () => 1);
          throw new Error('broken');
        },
        {
          failureFunction: ({ context: w, failStatus, failResponse }) => {
            failures.push([w.requestPayload, w.headers.get('x-user'), failStatus, failResponse]);
          },
        },
      );
      const response = await call(context, 'POST', `/v2/trigger/${workflow.url}`, {
        body: '{"n":1}',
        headers: { 'content-type': 'application/json', 'upstash-forward-x-user': 'u1', 'upstash-retries': '0' },
      });
      const { workflowRunId } = (await response.json()) as { workflowRunId: string };
      const run = await workflow.ended(workflowRunId);
      await context.until(() => failures.length === 1);
      await context.clock.idle();
      expect.deepEqual(failures, [[{ n: 1 }, 'u1', 500, 'broken']]);
      const { failureFunction } = (await workflow.run(workflowRunId)) as {
        failureFunction?: { messageId?: string; state?: string; url?: string };
      };
      expect.match(failureFunction?.messageId ?? '', /^msg_/);
      expect.deepEqual([run.workflowState, failureFunction?.state], ['RUN_FAILED', 'CALLBACK_SUCCESS']);
    },
  );

  s.case(['Q-45', 'Q-60'], 'a schedule starts a workflow', async (context) => {
    let ran = 0;
    const workflow = await serveWorkflow(context, async (w) => {
      await w.run('tick', () => void ran++);
    });
    const client = clientOf(context);
    const { scheduleId } = await client.schedules.create({ destination: workflow.url, cron: '0 * * * *' });
    await context.clock.set((await client.schedules.get(scheduleId)).nextScheduleTime as number);
    await context.until(() => ran === 1);
    await client.schedules.delete(scheduleId);
  });

  s.case(
    ['Q-78', 'Q-80', 'Q-40', 'Q-51'],
    'runs are found and cancelled by several values of each filter',
    async (context) => {
      const { client } = await serveWorkflow(context, async () => {});
      const tag = context.unique('filter');
      const urls = ['a', 'b', 'b/sub', 'c'].map((path) => `https://example.com/${tag}/${path}`);
      const start = async (url: string, label: string[]): Promise<string> =>
        (await client.trigger({ url, label, delay: '1h' })).workflowRunId;
      const [a, b, sub, c] = (await Promise.all(
        urls.map((url, i) => start(url, [`${tag}-${i}`, `${tag}-${i + 1}`])),
      )) as [string, string, string, string];
      const other = await start(`https://example.org/${tag}/a`, [`${tag}-9`]);
      const found = async (filter: NonNullable<Parameters<typeof client.logs>[0]>['filter']): Promise<string[]> =>
        (await client.logs({ filter })).runs.map(({ workflowRunId }) => workflowRunId).sort();
      const sorted = (...ids: string[]): string[] => ids.sort();
      expect.deepEqual(await found({ workflowUrl: [urls[0] as string, urls[3] as string] }), sorted(a, c));
      expect.deepEqual(await found({ label: [`${tag}-1`, `${tag}-9`] }), sorted(a, b, other));
      expect.deepEqual(await found({ host: 'example.org', label: `${tag}-9` }), [other]);
      expect.deepEqual(await found({ path: [`/${tag}/a`, `/${tag}/c`] }), sorted(a, c, other));
      const [run] = (await client.logs({ workflowRunId: a })).runs;
      expect.deepEqual([run?.label, run?.labels], [`${tag}-0`, [`${tag}-0`, `${tag}-1`]]);
      const named = await call(
        context,
        'GET',
        `/v2/workflows/logs?groupBy=workflowRunId&workflowRuns=${a}@${run?.workflowRunCreatedAt},${b}@1`,
      );
      const { runs } = (await named.json()) as { runs: Array<{ workflowRunId: string }> };
      expect.deepEqual(
        runs.map(({ workflowRunId }) => workflowRunId),
        [a],
      );

      expect.deepEqual(await client.cancel({ filter: { workflowUrl: [urls[0] as string, urls[1] as string] } }), {
        cancelled: 2,
      });
      expect.deepEqual(await client.cancel({ filter: { workflowUrlStartingWith: urls[1] as string } }), {
        cancelled: 1,
      });
      expect.deepEqual(await client.cancel({ filter: { host: 'example.org', path: `/${tag}/a` } }), { cancelled: 1 });
      expect.deepEqual(await client.cancel([sub, c, 'non-existent']), { cancelled: 1 });
      const cancelled = (await client.logs({ workflowRunId: c })).runs[0];
      expect.deepEqual(
        cancelled?.steps.map(({ type, steps }) => [type, ...steps.map(({ state }) => state)]),
        [
          ['sequential', 'STEP_SUCCESS'],
          ['next', 'STEP_CANCELED'],
        ],
      );
    },
  );

  s.case(
    ['Q-52', 'Q-80'],
    "a run's redacted payload and headers are delivered but not shown, not even of its failure",
    async (context) => {
      const seen: unknown[] = [];
      const workflow = await serveWorkflow(
        context,
        async (w) => {
          seen.push([w.requestPayload, w.headers.get('x-key')]);
          await w.run('one', () => 1);
          throw new WorkflowNonRetryableError('broken');
        },
        { failureFunction: ({ context: w }) => void seen.push([w.requestPayload, w.headers.get('x-key')]) },
      );
      const runId = await workflow.trigger('secret payload', {
        headers: { 'x-key': 'secret key', 'x-open': 'shown' },
        redact: { body: true, header: ['x-key'] },
      });
      const run = await workflow.ended(runId);
      await context.clock.idle();
      expect.deepEqual([...new Set(seen.map((one) => JSON.stringify(one)))], ['["secret payload","secret key"]']);
      const init = run.steps[0]?.steps[0] as { out: string; headers: Record<string, string[]> };
      expect.match(init.out, /^REDACTED:[0-9a-f]{64}$/);
      expect.match(init.headers['X-Key']?.[0] ?? '', /^REDACTED:/);
      expect.deepEqual(init.headers['X-Open'], ['shown']);
      const { messages } = await workflow.client.dlq.list({ filter: { workflowRunId: runId } });
      expect.equal(messages.length, 1);
      expect(!/secret (key|payload)/.test(JSON.stringify([await workflow.run(runId), messages])));
    },
  );
});
