import { expect, suite } from '../harness/index.ts';
import type { CaseContext } from '../harness/index.ts';
import { call, destination } from './support.ts';
import { serveWorkflow, type WorkflowRun } from './workflow-support.ts';

interface LogEvent {
  time: number;
  state: string;
  workflowRunId: string;
  stepInfo?: { stepName?: string; out?: unknown };
  [field: string]: unknown;
}

async function eventsPage(context: CaseContext, query: string): Promise<{ events: LogEvent[]; cursor?: string }> {
  const response = await call(context, 'GET', `/v2/workflows/logs?${query}`);
  const text = await response.text();
  expect.equal(response.status, 200, text);
  return JSON.parse(text) as { events: LogEvent[]; cursor?: string };
}

/** Every step of the log as a plain object: the SDK's type is a union by kind of step. */
function stepsOf(run: WorkflowRun): Array<Record<string, unknown>> {
  return run.steps.flatMap(({ steps }) => steps as unknown as Array<Record<string, unknown>>);
}

suite({ vendor: 'qstash', name: 'workflow logs', sdk: '@upstash/workflow 1.3.3' }, (s) => {
  s.case(
    ['Q-80', 'Q-66', 'Q-67'],
    'the log says of a call what was sent and answered, and of a wait until when it may take',
    async (context) => {
      let respond = (_response: Response): void => {};
      const third = await destination(context, () => new Promise<Response>((resolve) => (respond = resolve)));
      const eventId = context.unique('logged');
      const workflow = await serveWorkflow(context, async (w) => {
        const { body } = await w.call('ask', {
          url: `${third.url}/ask`,
          method: 'PUT',
          body: JSON.stringify({ for: 'you' }),
          headers: { 'x-own': 'header' },
        });
        const { timeout } = await w.waitForEvent('approval', eventId, { timeout: '1h' });
        return [body, timeout];
      });
      const runId = await workflow.trigger();
      await context.until(() => third.received.length === 1);
      expect.equal(third.received[0]?.body, '{"for":"you"}');
      const called = {
        callUrl: `${third.url}/ask`,
        callMethod: 'PUT',
        callHeaders: { 'Content-Type': ['application/json'], 'X-Own': ['header'] },
        callBody: '{"for":"you"}',
      };
      const calling = stepsOf(await workflow.run(runId)).at(-1);
      expect.deepEqual([calling?.stepName, calling?.state, calling?.callType], ['ask', 'STEP_PROGRESS', 'toCallback']);
      for (const [name, value] of Object.entries(called)) expect.deepEqual(calling?.[name], value, name);
      respond(Response.json({ yes: 1 }, { headers: { 'x-third': 'party' } }));
      await context.until(async () => (await workflow.client.getWaiters({ eventId })).length === 1);
      const waiting = await context.until(async () => {
        const steps = stepsOf(await workflow.run(runId));
        return steps.find(({ stepName }) => stepName === 'approval');
      });
      expect.deepEqual(
        [waiting.stepType, waiting.state, waiting.waitEventId, waiting.out],
        ['Wait', 'STEP_PROGRESS', eventId, undefined],
      );
      const asked = stepsOf(await workflow.run(runId)).find(({ stepName }) => stepName === 'ask') ?? {};
      for (const [name, value] of Object.entries(called)) expect.deepEqual(asked[name], value, name);
      expect.deepEqual([asked.state, asked.callResponseStatus], ['STEP_SUCCESS', 200]);
      expect.deepEqual(JSON.parse(String(asked.callResponseBody)), { yes: 1 });
      expect.deepEqual((asked.callResponseHeaders as Record<string, string[]>)['X-Third'], ['party']);
      await context.clock.advance(3_601_000);
      const run = await workflow.ended(runId);
      expect.equal(run.workflowRunResponse, '[{"yes":1},true]');
      const waited = stepsOf(run).find(({ stepName }) => stepName === 'approval') ?? {};
      expect.deepEqual(
        [waited.waitEventId, waited.waitTimeout, waited.waitTimeoutDuration, waited.waitTimeoutDeadline],
        [eventId, true, '3600s', waiting.waitTimeoutDeadline],
      );
    },
  );

  s.case(['Q-80', 'Q-70'], 'the log says of an invoked workflow which run it was and what it got', async (context) => {
    const { createWorkflow, serveMany } = await import('@upstash/workflow/hono');
    const { Hono } = await import('hono');
    const child = createWorkflow(async (w) => w.run('echo', () => w.requestPayload));
    const parent = createWorkflow(async (w) => {
      const { body } = await w.invoke('ask', { workflow: child, body: { n: 7 }, headers: { 'x-for': 'child' } });
      return body;
    });
    const app = new Hono();
    app.post('/flows/*', serveMany({ parent, child }) as never);
    const env = {
      QSTASH_URL: context.url,
      QSTASH_TOKEN: context.environment.qstashToken,
      QSTASH_CURRENT_SIGNING_KEY: context.environment.qstashCurrentSigningKey,
      QSTASH_NEXT_SIGNING_KEY: context.environment.qstashNextSigningKey,
    };
    const served = await context.serveHttp(async (request) => app.fetch(request, env));
    const { Client } = await import('@upstash/workflow');
    const client = new Client({ baseUrl: context.url, token: context.environment.qstashToken, retry: false });
    const { workflowRunId } = await client.trigger({ url: `${served.url}/flows/parent` });
    const run = await context.until(async () => {
      const { runs } = await client.logs({ workflowRunId });
      return runs[0]?.workflowState === 'RUN_SUCCESS' ? runs[0] : null;
    });
    const invoked = stepsOf(run).find(({ stepName }) => stepName === 'ask') ?? {};
    const { runs } = await client.logs({ workflowUrl: `${served.url}/flows/child` });
    expect.deepEqual(
      [invoked.invokedWorkflowRunId, invoked.invokedWorkflowUrl, invoked.invokedWorkflowCreatedAt],
      [runs[0]?.workflowRunId, `${served.url}/flows/child`, runs[0]?.workflowRunCreatedAt],
    );
    expect.equal(invoked.invokedWorkflowRunBody, '{"n":7}');
    expect.deepEqual((invoked.invokedWorkflowRunHeaders as Record<string, string[]>)['X-For'], ['child']);
  });

  s.case(
    ['Q-80', 'Q-76', 'Q-40'],
    'QST-15: without groups the log is the events of the runs, newest first, to the last page',
    async (context) => {
      const label = context.unique('events');
      let failures = 0;
      const workflow = await serveWorkflow<string>(
        context,
        async (w) => {
          await w.run('first', () => 'one');
          await w.run('second', () => {
            if (w.requestPayload === 'bad') throw new Error(`no ${++failures}`);
            return 'two';
          });
          return 'done';
        },
        { failureFunction: () => 'handled' },
      );
      const good = await workflow.trigger('good', { label });
      await workflow.ended(good);
      const bad = await workflow.trigger('bad', { label, retries: 1, retryDelay: '1000' });
      await context.until(() => failures === 1);
      await context.clock.idle();
      const retrying = stepsOf(await workflow.run(bad)).at(-1);
      expect.deepEqual([retrying?.state, retrying?.stepName], ['STEP_RETRY', 'second']);
      expect(Number(retrying?.nextDeliveryTime) > 0);
      await context.clock.advance(2_000);
      await workflow.ended(bad);
      const { events, cursor } = await eventsPage(context, `label=${label}`);
      expect.equal(cursor, undefined);
      expect.deepEqual(
        events.map(({ workflowRunId, state, stepInfo }) => [
          workflowRunId === bad ? 'bad' : 'good',
          state,
          stepInfo?.stepName ?? null,
        ]),
        [
          ['bad', 'RUN_FAILED', null],
          ['bad', 'STEP_FAILED', 'second'],
          ['bad', 'STEP_RETRY', 'second'],
          ['bad', 'STEP_SUCCESS', 'first'],
          ['bad', 'STEP_SUCCESS', 'init'],
          ['bad', 'RUN_STARTED', null],
          ['good', 'RUN_SUCCESS', null],
          ['good', 'STEP_SUCCESS', 'second'],
          ['good', 'STEP_SUCCESS', 'first'],
          ['good', 'STEP_SUCCESS', 'init'],
          ['good', 'RUN_STARTED', null],
        ],
      );
      expect.match(String(events[1]?.responseBody), /no 2/);
      expect.deepEqual([events[1]?.responseStatus, events[1]?.error], [500, '500 Internal Server Error']);
      expect.equal(events[6]?.workflowRunResponse, '"done"');
      const paged: LogEvent[] = [];
      let next: string | undefined;
      do {
        const page = await eventsPage(
          context,
          `label=${label}&count=3${next === undefined ? '' : `&cursor=${encodeURIComponent(next)}`}`,
        );
        expect(page.events.length <= 3);
        paged.push(...page.events);
        next = page.cursor;
      } while (next !== undefined);
      expect.deepEqual(paged, events);
      const chosen = await eventsPage(context, `label=${label}&state=STEP_FAILED,RUN_SUCCESS`);
      expect.deepEqual(
        chosen.events.map(({ state }) => state),
        ['STEP_FAILED', 'RUN_SUCCESS'],
      );
      const cut = await eventsPage(context, `label=${label}&state=STEP_SUCCESS&trimBody=2`);
      expect.equal(cut.events[0]?.stepInfo?.out, '"o');
      const none = await eventsPage(context, `label=${label}&state=STEP_SUCCESS&trimBody=-1`);
      expect.equal(none.events[0]?.stepInfo?.out, undefined);
      // By the state of a step runs are chosen too; named runs ignore the other filters.
      const { runs } = await workflow.client.logs({ label, state: 'STEP_FAILED' as never });
      expect.deepEqual(
        runs.map(({ workflowRunId }) => workflowRunId),
        [bad],
      );
      const created = runs[0]?.workflowRunCreatedAt;
      const named = await call(
        context,
        'GET',
        `/v2/workflows/events?groupBy=workflowRunId&workflowRuns=${bad}@${created}&label=other`,
      );
      const { runs: found } = (await named.json()) as { runs: WorkflowRun[] };
      expect.equal(found[0]?.workflowRunId, bad);
      const failed = await context.until(async () => {
        const { failureFunction } = await workflow.run(bad);
        return failureFunction?.state === 'CALLBACK_SUCCESS' ? failureFunction : null;
      });
      expect.deepEqual([failed.responseStatus, typeof failed.responseBody], [200, 'string']);
      for (const wrong of ['groupBy=run', 'groupBy=workflowRunId&trimBody=x', 'count=0'])
        expect.equal((await call(context, 'GET', `/v2/workflows/logs?${wrong}`)).status, 400, wrong);
    },
  );
});
