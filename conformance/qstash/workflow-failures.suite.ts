import { WorkflowNonRetryableError } from '@upstash/workflow';
import { createWorkflow, serveMany } from '@upstash/workflow/cloudflare';
import { expect, suite } from '../harness/index.ts';
import { clientOf, destination } from './support.ts';
import { serveWorkflow, serveWorkflowHandler, stepsTaken, workflowOptions } from './workflow-support.ts';

const DAY_MS = 86_400_000;

suite({ vendor: 'qstash', name: 'workflow failures', sdk: '@upstash/workflow 1.3.3' }, (s) => {
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

  s.case(
    ['Q-80', 'Q-65', 'Q-70'],
    'a branch that fails its run says so in the log; the run that another branch invoked goes on beside it',
    async (context) => {
      let childRan = 0;
      const child = createWorkflow(async (w) => {
        await w.sleep('child sleep', '1h');
        await w.run('child step', () => ++childRan);
      });
      const parent = createWorkflow(async (w) => {
        await Promise.all([
          w.invoke('invoke child', { workflow: child, body: undefined }),
          w.sleep('sleep', '1d'),
          w.run('failing step', async () => {
            await context.until(async () => (await parallelSteps())['invoke child'] !== undefined && childStarted());
            throw new WorkflowNonRetryableError('broken on purpose');
          }),
        ]);
      });
      const { fetch: handler } = serveMany({ parent, child }, workflowOptions(context) as never);
      const workflow = await serveWorkflowHandler(
        context,
        (request) => handler(request, {}) as Promise<Response>,
        '/parent',
      );
      let runId = '';
      const childStarted = (): boolean =>
        workflow.deliveries.some((headers) => headers.get('upstash-workflow-url')?.endsWith('/child') === true);
      const parallelSteps = async (): Promise<
        Record<string, { state: string; errors?: Array<{ status: number }> }>
      > => {
        const { steps } = await workflow.run(runId);
        const branches = steps.flatMap((group) => (group.type === 'parallel' ? group.steps : []));
        return Object.fromEntries(branches.map((step) => [step.stepName, step as never]));
      };
      runId = await workflow.trigger();
      const run = await workflow.ended(runId);
      expect.equal(run.workflowState, 'RUN_FAILED');
      expect.deepEqual(
        run.steps.map(({ type }) => type),
        ['sequential', 'parallel'],
      );
      const failed = await parallelSteps();
      expect.deepEqual(
        Object.entries(failed).map(([name, step]) => [name, step.state, step.errors?.map(({ status }) => status)]),
        [
          ['invoke child', 'STEP_PROGRESS', undefined],
          ['sleep', 'STEP_CANCELED', undefined],
          ['failing step', 'STEP_FAILED', [489]],
        ],
      );
      await context.clock.idle();
      await context.clock.advance(3_600_000);
      await context.until(() => childRan === 1);
      await context.until(async () => (await parallelSteps())['invoke child']?.state === 'STEP_SUCCESS');
      await context.clock.advance(86_400_000);
      expect.deepEqual([childRan, (await workflow.run(runId)).workflowState], [1, 'RUN_FAILED']);
    },
  );

  s.case(
    ['Q-66', 'Q-13'],
    'a call whose body is an object, which the SDK sends as it is, fails its run and says what to send',
    async (context) => {
      const third = await destination(context);
      const workflow = await serveWorkflow(context, (w) =>
        w.call('ask', { url: third.url, method: 'POST', body: { an: 'object' } as unknown as string }),
      );
      const run = await workflow.ended(await workflow.trigger(undefined, { retries: 0 }));
      expect.equal(run.workflowState, 'RUN_FAILED');
      expect.match(JSON.stringify(run.steps.at(-1)), /body is not a string \(of an object send its JSON\)/);
      expect.equal(third.received.length, 0);
    },
  );

  s.case(['Q-76'], 'a failure function gets a long error whole', async (context) => {
    const text = 'x'.repeat(2_000_000);
    const failures: string[] = [];
    const workflow = await serveWorkflow(
      context,
      async (w) => {
        await w.run('one', () => 1);
        throw new WorkflowNonRetryableError(text);
      },
      { failureFunction: ({ failResponse }) => void failures.push(failResponse) },
    );
    await workflow.ended(await workflow.trigger());
    await context.until(() => failures.length === 1);
    expect.equal(failures[0], text);
  });
});
