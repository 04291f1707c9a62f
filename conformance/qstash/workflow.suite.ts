import { WorkflowNonRetryableError } from '@upstash/workflow';
import { createWorkflow, serveMany } from '@upstash/workflow/cloudflare';
import { expect, suite } from '../harness/index.ts';
import { call, clientOf, destination } from './support.ts';
import { serveWorkflow, serveWorkflowHandler, workflowOptions, stepsTaken } from './workflow-support.ts';

const DAY_MS = 86_400_000;

suite({ vendor: 'qstash', name: 'workflow', sdk: '@upstash/workflow 1.3.3' }, (s) => {
  s.case(
    ['Q-60', 'Q-62', 'Q-64', 'Q-71', 'Q-80'],
    'steps run once, in order, over a sleep of 30 days, and the result is kept',
    async (context) => {
      const ran: string[] = [];
      const workflow = await serveWorkflow<{ n: number }>(context, async (w) => {
        const one = await w.run('one', () => (ran.push('one'), w.requestPayload.n + 1));
        await w.sleep('nap', '30d');
        const two = await w.run('two', () => (ran.push('two'), { doubled: one * 2 }));
        await w.sleepUntil('until', new Date((await context.clock.now()) + 60_000));
        return w.run('three', () => (ran.push('three'), `${two.doubled}!`));
      });
      const runId = await workflow.trigger({ n: 20 }, { headers: { 'x-user': 'u1' } });
      await context.until(() => ran.length === 1);
      await context.clock.idle();
      expect.deepEqual(ran, ['one']);
      await context.clock.advance(30 * DAY_MS - 60_000);
      expect.deepEqual(ran, ['one']);
      await context.clock.advance(61_000);
      await context.clock.idle();
      await context.clock.advance(DAY_MS);
      const run = await workflow.ended(runId);
      expect.deepEqual(ran, ['one', 'two', 'three']);
      expect.equal(run.workflowState, 'RUN_SUCCESS');
      expect.equal(run.workflowRunResponse, '"42!"');
      expect.equal(run.workflowUrl, workflow.url);
      expect.deepEqual(
        run.steps.map(({ type, steps }) => [type, ...steps.map((step) => 'stepName' in step && step.stepName)]),
        [
          ['sequential', 'init'],
          ['sequential', 'one'],
          ['sequential', 'nap'],
          ['sequential', 'two'],
          ['sequential', 'until'],
          ['sequential', 'three'],
        ],
      );
      // One delivery for the start and one for each step; each carries the run's headers.
      expect.equal(workflow.deliveries.length, 6);
      for (const headers of workflow.deliveries) {
        expect.equal(headers.get('upstash-workflow-runid'), runId);
        expect.equal(headers.get('upstash-workflow-sdk-version'), '1');
        expect.equal(headers.get('x-user'), 'u1');
      }
      const logs = workflow.bodies.map((body) =>
        (JSON.parse(body) as Array<{ messageId: string }>).map(({ messageId }) => messageId),
      );
      for (const [i, log] of logs.entries()) {
        expect.deepEqual(log, logs.at(-1)?.slice(0, i + 1));
        expect.equal(log.at(-1), workflow.deliveries[i]?.get('upstash-message-id'));
      }
    },
  );

  s.case(
    ['Q-21', 'Q-61', 'Q-54'],
    "a step that throws is retried by the run's own setting, finished steps are not",
    async (context) => {
      const ran: string[] = [];
      const workflow = await serveWorkflow(context, async (w) => {
        await w.run('before', () => void ran.push('before'));
        await w.run('shaky', () => {
          ran.push('shaky');
          if (ran.filter((name) => name === 'shaky').length < 3) throw new Error('not yet');
        });
        return w.retried;
      });
      const runId = await workflow.trigger(undefined, { retries: 2, retryDelay: '1000 * 60' });
      await context.until(() => ran.length === 2);
      await context.clock.idle();
      expect.equal((await workflow.run(runId)).steps.at(-1)?.type, 'next');
      await context.clock.advance(61_000);
      await context.clock.advance(61_000);
      const run = await workflow.ended(runId);
      expect.equal(run.workflowState, 'RUN_SUCCESS');
      expect.deepEqual(ran, ['before', 'shaky', 'shaky', 'shaky']);
      expect.deepEqual(
        workflow.deliveries.map((headers) => headers.get('upstash-retried')),
        ['0', '0', '1', '2', '0'],
      );
    },
  );

  s.case(['Q-66'], 'a call brings its answer back, retries included, and never fails the run', async (context) => {
    const third = await destination(context, ({ path }, n) =>
      path === '/broken'
        ? Response.json({ code: 7 }, { status: 418 })
        : n < 2
          ? new Response('busy', { status: 503 })
          : Response.json({ got: 'it', unicode: 'wörld' }, { headers: { 'x-third': 'party' } }),
    );
    const seen: unknown[] = [];
    const workflow = await serveWorkflow<string>(context, async (w) => {
      const good = await w.call('good', {
        url: `${third.url}/good?a=1`,
        method: 'PATCH',
        body: JSON.stringify({ for: w.requestPayload }),
        headers: { 'x-own': 'header' },
        retries: 1,
        retryDelay: '1000',
      });
      const bad = await w.call('bad', { url: `${third.url}/broken` });
      seen.push([good.status, good.body, good.header['X-Third']], [bad.status, bad.body]);
      return 'done';
    });
    const runId = await workflow.trigger('you', { headers: { 'x-user': 'secret' } });
    await context.until(() => third.received.length === 1);
    await context.clock.idle();
    await context.clock.advance(5_000);
    expect.equal((await workflow.ended(runId)).workflowRunResponse, '"done"');
    expect.deepEqual(seen, [
      [200, { got: 'it', unicode: 'wörld' }, ['party']],
      [418, { code: 7 }],
    ]);
    const [first] = third.received;
    expect.deepEqual([first?.method, first?.path, first?.body], ['PATCH', '/good?a=1', '{"for":"you"}']);
    expect.equal(first?.headers.get('x-own'), 'header');
    expect.equal(first?.headers.get('x-user'), null);
    expect.equal(first?.headers.get('upstash-workflow-sdk-version'), null);
    expect.equal(third.received.length, 3);
    // Start; two answers of the first call and one of the second; two continuations.
    expect.equal(workflow.deliveries.length, 6);
    expect.deepEqual(new Set(workflow.deliveries.map((headers) => headers.get('x-user'))), new Set(['secret']));
  });

  s.case(['Q-65', 'Q-62'], 'parallel steps run once each and meet again', async (context) => {
    const ran: string[] = [];
    const workflow = await serveWorkflow(context, async (w) => {
      const [a, b] = await Promise.all([
        w.run('a', async () => {
          await new Promise((resolve) => setTimeout(resolve, 40));
          ran.push('a');
          return 1;
        }),
        w.run('b', () => (ran.push('b'), 2)),
        w.sleep('c', '1h'),
      ]);
      return w.run('sum', () => (ran.push('sum'), a + b));
    });
    const runId = await workflow.trigger();
    await context.until(() => ran.length === 2);
    await context.clock.idle();
    expect.deepEqual([...ran].sort(), ['a', 'b']);
    await context.clock.advance(3_605_000);
    const run = await workflow.ended(runId);
    expect.equal(run.workflowRunResponse, '3');
    expect.deepEqual([...ran].sort(), ['a', 'b', 'sum']);
    // 1 + 2n for the group, 1 for the step behind it.
    expect.equal(workflow.deliveries.length, 8);
    expect.deepEqual(
      run.steps.map(({ type, steps }) => [type, steps.length]),
      [
        ['sequential', 1],
        ['parallel', 3],
        ['sequential', 1],
      ],
    );
  });

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

  s.case(
    ['Q-76', 'Q-57', 'Q-33'],
    'after the last retry the run fails, its failure function is called and it is in the DLQ',
    async (context) => {
      const failures: unknown[] = [];
      const workflow = await serveWorkflow<{ order: number }>(
        context,
        async (w) => {
          await w.run('fine', () => 1);
          await w.run('breaks', () => {
            throw new Error('out of stock');
          });
        },
        {
          failureFunction: async ({ context: failed, failStatus, failResponse }) => {
            failures.push([
              failed.workflowRunId,
              failed.requestPayload,
              failed.headers.get('x-user'),
              failStatus,
              failResponse,
            ]);
            return 'handled';
          },
        },
      );
      const runId = await workflow.trigger({ order: 7 }, { retries: 1, headers: { 'x-user': 'u1' } });
      await context.clock.idle();
      await context.clock.advance(60_000);
      const run = await workflow.ended(runId);
      expect.equal(run.workflowState, 'RUN_FAILED');
      await context.until(() => failures.length === 1);
      expect.deepEqual(failures, [[runId, { order: 7 }, 'u1', 500, 'out of stock']]);
      await context.clock.idle();
      const { messages } = await workflow.client.dlq.list({ filter: { workflowRunId: runId } });
      expect.equal(messages.length, 1);
      expect.equal(messages[0]?.workflowRunId, runId);
      expect.equal(messages[0]?.responseStatus, 500);
      expect.equal((await workflow.run(runId)).failureFunction?.state, 'CALLBACK_SUCCESS');
      const plain = await clientOf(context).dlq.listMessages({ filter: { url: workflow.url } });
      expect.deepEqual(plain.messages, []);
    },
  );

  s.case(['Q-79', 'Q-56'], 'a failed run is restarted from the DLQ under a new id', async (context) => {
    let healthy = false;
    const workflow = await serveWorkflow<string>(context, async (w) => {
      await w.run('check', () => {
        if (!healthy) throw new WorkflowNonRetryableError('down');
      });
      return w.requestPayload;
    });
    const runId = await workflow.trigger('again');
    expect.equal((await workflow.ended(runId)).workflowState, 'RUN_FAILED');
    const { messages } = await workflow.client.dlq.list({ filter: { workflowRunId: runId } });
    healthy = true;
    const { workflowRuns } = (await workflow.client.dlq.restart([messages[0]?.dlqId ?? ''])) as {
      workflowRuns: Array<{ workflowRunId: string }>;
    };
    const next = workflowRuns[0]?.workflowRunId ?? '';
    expect.notEqual(next, runId);
    const run = await workflow.ended(next);
    expect.deepEqual([run.workflowState, run.workflowRunResponse], ['RUN_SUCCESS', '"again"']);
    expect.deepEqual((await workflow.client.dlq.list({ filter: { workflowRunId: runId } })).messages, []);
  });

  s.case(
    ['Q-79'],
    'a failed run is resumed under a new id where it stopped, parallel branches too',
    async (context) => {
      let healthy = false;
      const ran: string[] = [];
      const eventId = context.unique('resume');
      const workflow = await serveWorkflow<string>(context, async (w) => {
        const first = await w.run('first', () => (ran.push('first'), 1));
        const [a, b, event] = await Promise.all([
          w.run('good', () => (ran.push('good'), 2)),
          w.run('bad', async () => {
            // The other branch's result must have been taken before this one fails the run.
            if (!healthy)
              await context.until(async () => (await stepsTaken(context, w.workflowRunId)).includes('good'), {
                what: 'the result of the other branch',
              });
            ran.push('bad');
            if (!healthy) throw new WorkflowNonRetryableError('down');
            return 3;
          }),
          w.waitForEvent<number>('event', eventId, { timeout: '1d' }),
        ]);
        return first + a + b + (event.eventData ?? 0);
      });
      const runId = await workflow.trigger('x');
      expect.equal((await workflow.ended(runId)).workflowState, 'RUN_FAILED');
      await context.clock.idle();
      const { messages } = await workflow.client.dlq.list({ filter: { workflowRunId: runId } });
      healthy = true;
      const resumed = (await workflow.client.dlq.resume([messages[0]?.dlqId ?? ''])) as {
        workflowRuns: Array<{ workflowRunId: string }>;
      };
      const next = resumed.workflowRuns[0]?.workflowRunId ?? '';
      expect.notEqual(next, runId);
      await context.until(() => ran.length === 4);
      await context.clock.idle();
      await workflow.client.notify({ eventId, eventData: '4' });
      expect.equal((await workflow.ended(next)).workflowRunResponse, '10');
      expect.deepEqual([...ran].sort(), ['bad', 'bad', 'first', 'good']);
      expect.deepEqual((await workflow.client.dlq.list({ filter: { workflowRunId: runId } })).messages, []);
    },
  );

  s.case(['Q-77'], 'a failure function that failed is called again on demand', async (context) => {
    let calls = 0;
    const workflow = await serveWorkflow(
      context,
      async (w) => {
        await w.run('no', () => {
          throw new WorkflowNonRetryableError('never');
        });
      },
      {
        failureFunction: async () => {
          if (++calls === 1) throw new Error('the failure function fails too');
        },
      },
    );
    const runId = await workflow.trigger(undefined, { retries: 0 });
    await workflow.ended(runId);
    await context.until(async () => (await workflow.run(runId)).failureFunction?.state === 'CALLBACK_FAIL');
    const { messages } = await workflow.client.dlq.list({ filter: { workflowRunId: runId } });
    const dlqId = messages[0]?.dlqId ?? '';
    const { workflowRunId } = await workflow.client.dlq.retryFailureFunction({ dlqId });
    expect.equal(workflowRunId, runId);
    await context.until(async () => (await workflow.run(runId)).failureFunction?.state === 'CALLBACK_SUCCESS');
    expect.equal(calls, 2);
    await expect.rejects(workflow.client.dlq.retryFailureFunction({ dlqId }), { status: 400 });
  });

  s.case(['Q-25', 'Q-24'], 'a non-retryable error fails at once', async (context) => {
    let ran = 0;
    const workflow = await serveWorkflow(context, async (w) => {
      await w.run('no', () => {
        ran++;
        throw new WorkflowNonRetryableError('never');
      });
    });
    const runId = await workflow.trigger();
    expect.equal((await workflow.ended(runId)).workflowState, 'RUN_FAILED');
    await context.clock.advance(DAY_MS);
    expect.equal(ran, 1);
  });

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

  s.case(['Q-74'], 'a destination that is no workflow fails the run with one error', async (context) => {
    const app = await destination(context);
    const workflow = await serveWorkflow(context, async () => {});
    const { workflowRunId } = await workflow.client.trigger({ url: app.url });
    const run = await workflow.ended(workflowRunId);
    expect.equal(run.workflowState, 'RUN_FAILED');
    const next = run.steps.at(-1) as { steps: Array<{ errors?: Array<{ error: string }> }> };
    expect.deepEqual(
      next.steps[0]?.errors?.map(({ error }) => error),
      [
        'detected a non-workflow destination for trigger/invoke. make sure you are sending the request to the correct endpoint',
      ],
    );
    // The run itself, and its failure callback.
    expect.equal(app.received.filter(({ headers }) => headers.get('upstash-workflow-is-failure') === null).length, 1);
  });

  s.case(['Q-63'], 'a long log is fetched by the SDK instead of being sent along', async (context) => {
    const big = 'x'.repeat(900_000);
    const workflow = await serveWorkflow<string>(context, async (w) => {
      const one = await w.run('one', () => big);
      const two = await w.run('two', () => one.length + w.requestPayload.length);
      return two;
    });
    const runId = await workflow.trigger(big);
    expect.equal((await workflow.ended(runId)).workflowRunResponse, '1800000');
    expect.equal(workflow.bodies.at(-1), '');
    expect.equal(workflow.deliveries.length, 3);
  });

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
    // One more than an SDK's own trigger needs.
    expect.equal(workflow.deliveries.length, 4);
  });

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
});
