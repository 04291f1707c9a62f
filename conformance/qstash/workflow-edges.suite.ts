import { Client as QStash } from '@upstash/qstash';
import { serve, type WorkflowContext } from '@upstash/workflow';
import { expect, suite } from '../harness/index.ts';
import { call, destination } from './support.ts';
import { serveWorkflow, serveWorkflowHandler, stepsTaken, workflowOptions } from './workflow-support.ts';

const counted = (): { note(name: string): void; of(name: string): number } => {
  const counts = new Map<string, number>();
  return {
    note: (name) => void counts.set(name, (counts.get(name) ?? 0) + 1),
    of: (name) => counts.get(name) ?? 0,
  };
};

/** What happens between the lines: each has one right outcome. */
suite({ vendor: 'qstash', name: 'workflow edges', sdk: '@upstash/workflow 1.3.3' }, (s) => {
  s.case(['Q-65', 'Q-62'], 'parallel steps that finish in the same instant meet once', async (context) => {
    const ran = counted();
    const BRANCHES = 12;
    let waiting = 0;
    let open = (): void => {};
    const together = new Promise<void>((resolve) => (open = resolve));
    const workflow = await serveWorkflow(context, async (w) => {
      const results = await Promise.all(
        Array.from({ length: BRANCHES }, (_, i) =>
          w.run(`branch-${i}`, async () => {
            ran.note(`branch-${i}`);
            if (++waiting === BRANCHES) open();
            await together;
            return i;
          }),
        ),
      );
      await w.run('after', () => ran.note('after'));
      return results;
    });
    const run = await workflow.ended(await workflow.trigger());
    expect.deepEqual(
      [run.workflowState, run.workflowRunResponse],
      ['RUN_SUCCESS', JSON.stringify(Array.from({ length: BRANCHES }, (_, i) => i))],
    );
    for (let i = 0; i < BRANCHES; i++) expect.equal(ran.of(`branch-${i}`), 1);
    expect.equal(ran.of('after'), 1);
    // The first, a plan and a result for each branch, and the step behind them.
    expect.equal(workflow.deliveries.length, 1 + 2 * BRANCHES + 1);
  });

  s.case(
    ['Q-62', 'Q-64'],
    'a route that is deployed anew in the middle of a run goes on with the steps that it has',
    async (context) => {
      const ran = counted();
      const routeOf = (version: string) => async (w: WorkflowContext) => {
        const first = await w.run('first', () => (ran.note('first'), version));
        await w.sleep('nap', '1h');
        const second = await w.run('second', () => (ran.note('second'), version));
        if (version === 'new') await w.run('added', () => ran.note('added'));
        return `${first} ${second}`;
      };
      const options = workflowOptions(context) as never;
      const old = serve(routeOf('old'), options).handler;
      const now = serve(routeOf('new'), options).handler;
      let current = old;
      const workflow = await serveWorkflowHandler(context, (request) => current(request));
      const runId = await workflow.trigger();
      await context.until(() => ran.of('first') === 1);
      await context.clock.idle();
      current = now;
      await context.clock.advance(3_600_000);
      const run = await workflow.ended(runId);
      expect.deepEqual([run.workflowState, run.workflowRunResponse], ['RUN_SUCCESS', '"old new"']);
      expect.deepEqual(
        ['first', 'second', 'added'].map((name) => ran.of(name)),
        [1, 1, 1],
      );
    },
  );

  s.case(['Q-62', 'Q-65', 'Q-66'], 'a step that is answered twice counts once', async (context) => {
    const ran = counted();
    const third = await destination(context, () => new Response('"called"'));
    let twice = 0;
    // Between the SDK and the server: a network that delivers each step twice.
    const network = await context.serveHttp(async (request) => {
      const { pathname, search } = new URL(request.url);
      const send = async (body: ArrayBuffer): Promise<Response> =>
        fetch(context.url + pathname + search, {
          method: request.method,
          headers: Object.fromEntries(
            [...request.headers].filter(([name]) => !['host', 'content-length', 'connection'].includes(name)),
          ),
          ...(body.byteLength > 0 ? { body } : {}),
        });
      const body = await request.arrayBuffer();
      const answer = await send(body);
      const text = await answer.text();
      if (pathname === '/v2/batch' && !Buffer.from(body).includes('"upstash-workflow-init":"true"')) {
        twice++;
        await send(body);
      }
      return new Response(text, { status: answer.status, headers: { 'content-type': 'application/json' } });
    });
    const qstashClient = new QStash({ baseUrl: network.url, token: context.environment.qstashToken, retry: false });
    const workflow = await serveWorkflow(
      context,
      async (w) => {
        const one = await w.run('one', () => (ran.note('one'), 1));
        const [two, three] = await Promise.all([
          w.run('two', () => (ran.note('two'), 2)),
          w.run('three', () => (ran.note('three'), 3)),
        ]);
        await w.run('last', () => ran.note('last'));
        return one + two + three;
      },
      { qstashClient } as never,
    );
    const run = await workflow.ended(await workflow.trigger());
    expect.deepEqual([run.workflowState, run.workflowRunResponse], ['RUN_SUCCESS', '6']);
    await context.clock.idle();
    expect(twice >= 4, `${twice} requests came twice`);
    const again = await workflow.ended(run.workflowRunId);
    expect.deepEqual([again.workflowState, again.workflowRunCompletedAt], ['RUN_SUCCESS', run.workflowRunCompletedAt]);
    expect.equal(ran.of('one'), 1);
    const { messages } = await workflow.client.dlq.list({ filter: { workflowRunId: run.workflowRunId } });
    expect.deepEqual(messages, []);
    expect.equal(third.received.length, 0);
  });

  s.case(['Q-78', 'Q-66', 'Q-72'], 'a run that is cancelled while its call is out stays cancelled', async (context) => {
    const ran = counted();
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const third = await destination(context, async () => {
      await held;
      return new Response('"too late"');
    });
    const workflow = await serveWorkflow(
      context,
      async (w) => {
        await w.call('slow', { url: third.url, retries: 3 });
        await w.run('never', () => ran.note('never'));
      },
      { failureFunction: () => ran.note('failure') },
    );
    const runId = await workflow.trigger();
    await context.until(() => third.received.length === 1);
    const before = workflow.deliveries.length;
    expect.deepEqual(await workflow.client.cancel(runId), { cancelled: 1 });
    expect.equal((await workflow.ended(runId)).workflowState, 'RUN_CANCELED');
    release();
    await context.clock.idle();
    await context.clock.advance(86_400_000);
    expect.deepEqual(
      [ran.of('never'), ran.of('failure'), workflow.deliveries.length - before, third.received.length],
      [0, 0, 0, 1],
    );
    expect.equal((await workflow.run(runId)).workflowState, 'RUN_CANCELED');
    const { messages } = await workflow.client.dlq.list({ filter: { workflowRunId: runId } });
    expect.deepEqual(messages, []);
    expect.deepEqual(await workflow.client.cancel(runId), { cancelled: 0 });
  });

  s.case(
    ['Q-61', 'Q-62'],
    'an answer that fails after its step was taken does not fail the run twice',
    async (context) => {
      const ran = counted();
      const { handler } = serve(
        async (w) => {
          await w.run('one', () => ran.note('one'));
          await w.run('two', () => ran.note('two'));
          return 'done';
        },
        workflowOptions(context) as never,
      );
      let n = 0;
      const workflow = await serveWorkflowHandler(context, async (request) => {
        const answer = await handler(request);
        // The step was posted, then the app's own proxy breaks.
        return ++n === 1 ? new Response('bad gateway', { status: 502 }) : answer;
      });
      const runId = await workflow.trigger(undefined, { retries: 2 });
      const run = await workflow.ended(runId);
      expect.deepEqual([run.workflowState, run.workflowRunResponse], ['RUN_SUCCESS', '"done"']);
      await context.clock.advance(3_600_000);
      await context.clock.idle();
      expect.equal(ran.of('two'), 1);
      expect.equal((await workflow.run(runId)).workflowState, 'RUN_SUCCESS');
    },
  );

  s.case(
    ['Q-72', 'Q-73'],
    'a step that an ended run still sends does not reach the next run with its id',
    async (context) => {
      const workflow = await serveWorkflow(context, async (w) => {
        await w.sleep('nap', '1h');
        return 'done';
      });
      const workflowRunId = context.unique('again');
      const runId = await workflow.trigger(undefined, { workflowRunId });
      await context.clock.idle();
      const createdAt = (await workflow.run(runId)).workflowRunCreatedAt;
      await workflow.client.cancel(runId);
      await context.clock.advance(1_000);
      expect.equal(await workflow.trigger(undefined, { workflowRunId }), runId);
      await context.clock.idle();
      const taken = await stepsTaken(context, runId);
      const send = async (of: number): Promise<number> => {
        const headers = {
          'upstash-workflow-runid': runId,
          'upstash-workflow-init': 'false',
          'upstash-workflow-createdat': String(of),
        };
        const body = JSON.stringify({ stepId: 7, stepName: 'late', stepType: 'Run', out: '1', concurrent: 1 });
        const response = await call(context, 'POST', '/v2/batch', {
          body: JSON.stringify([{ destination: workflow.url, headers, body }]),
        });
        return response.status;
      };
      expect.equal(await send(createdAt), 400);
      expect.deepEqual(await stepsTaken(context, runId), taken);
      expect.equal(await send((await workflow.run(runId)).workflowRunCreatedAt), 200);
      expect.deepEqual(await stepsTaken(context, runId), [...taken, 'late']);
      await workflow.client.cancel(runId);
    },
  );
});
