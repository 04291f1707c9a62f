import { expect, suite } from '../harness/index.ts';
import { destination } from './support.ts';
import { serveWorkflow } from './workflow-support.ts';

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
});
