import type { WorkflowContext } from '@upstash/workflow';
import { serve as serveOldest } from 'upstash-workflow1-oldest';
import { expect, suite } from '../harness/index.ts';
import { call, destination } from './support.ts';
import { serveWorkflowHandler, workflowOptions } from './workflow-support.ts';

suite({ vendor: 'qstash', name: 'plain HTTP', sdk: 'plain HTTP' }, (s) => {
  const json = async <T = Record<string, unknown>>(response: Promise<Response> | Response): Promise<T> => {
    const answer = await response;
    expect(answer.ok, `${answer.status} ${await answer.clone().text()}`);
    expect.equal(answer.headers.get('content-type'), 'application/json');
    return (await answer.json()) as T;
  };

  s.case(
    ['Q-8', 'Q-14', 'Q-16', 'Q-17', 'Q-28'],
    'a delivery is exactly what the documentation says, header by header',
    async (context) => {
      const app = await destination(context);
      const { messageId } = await json<{ messageId: string }>(
        call(context, 'POST', `/v2/publish/${app.url}/hook?a=1&a=2`, {
          headers: {
            'content-type': 'application/x-thing; charset=latin1',
            'upstash-method': 'PATCH',
            'upstash-forward-x-one': '1',
            'upstash-forward-authorization': 'Bearer theirs',
            'upstash-label': 'l',
            'user-agent': 'curl/8',
          },
          body: new Uint8Array([0, 1, 255]),
        }),
      );
      const got = await context.until(() => app.received[0]);
      const headers = Object.fromEntries(got.headers);
      const { 'upstash-signature': signature, host, ...rest } = headers;
      expect.equal(signature?.split('.').length, 3);
      expect.equal(`http://${host}`, app.url);
      // What the runtime's own HTTP client adds.
      for (const name of [
        'connection',
        'accept-encoding',
        'cf-worker',
        'cf-ew-via',
        'cdn-loop',
        'accept',
        'accept-language',
        'sec-fetch-mode',
      ])
        delete rest[name];
      expect.deepEqual(rest, {
        authorization: 'Bearer theirs',
        'content-length': '3',
        'content-type': 'application/x-thing; charset=latin1',
        'upstash-caller-ip': '127.0.0.1',
        'upstash-message-id': messageId,
        'upstash-retried': '0',
        'user-agent': 'Upstash-QStash',
        'x-one': '1',
      });
      expect.deepEqual([got.method, got.path], ['PATCH', '/hook?a=1&a=2']);
    },
  );

  s.case(
    ['Q-47', 'Q-9', 'Q-12'],
    "a URL group's default headers stand before those of each publish",
    async (context) => {
      const app = await destination(context);
      const group = context.unique('defaults');
      const path = `/v2/topics/${group}`;
      const patch = (headers: unknown): Promise<Response> =>
        call(context, 'PATCH', path, { body: JSON.stringify({ headers }) });
      expect.equal((await patch({ 'Upstash-Retries': '0' })).status, 404);
      await json(
        call(context, 'POST', `${path}/endpoints`, { body: JSON.stringify({ endpoints: [{ url: app.url }] }) }),
      );
      for (const [headers, reason] of [
        [{ 'Upstash-Retries': 'many' }, /Upstash-Retries/],
        [{ 'Upstash-Delay': ['soon'] }, /Upstash-Delay/],
        [{ 'no header': 'x' }, /no header/],
        [[1], /headers/],
      ] as const) {
        const refused = await patch(headers);
        expect.equal(refused.status, 400);
        expect.match(await refused.text(), reason);
      }
      await json(
        patch({
          'Upstash-Forward-X-Default': ['a'],
          'Upstash-Forward-X-Other': 'kept',
          'Upstash-Header-Forward': 'true',
        }),
      );
      expect.deepEqual((await json(call(context, 'GET', path))).headers, {
        'Upstash-Forward-X-Default': ['a'],
        'Upstash-Forward-X-Other': ['kept'],
        'Upstash-Header-Forward': ['true'],
      });
      await json(
        call(context, 'POST', `/v2/publish/${group}`, {
          headers: { 'upstash-forward-x-default': 'mine', 'x-github-event': 'push' },
          body: '1',
        }),
      );
      await json(call(context, 'POST', '/v2/batch', { body: JSON.stringify([{ destination: group, body: '2' }]) }));
      await context.until(() => app.received.length === 2);
      const seen = app.received.map(({ body, headers }) => [
        body,
        headers.get('x-default'),
        headers.get('x-other'),
        headers.get('x-github-event'),
      ]);
      expect.deepEqual(seen.sort(), [
        ['1', 'mine', 'kept', 'push'],
        ['2', 'a', 'kept', null],
      ]);
      await json(patch({}));
      expect.equal('headers' in (await json(call(context, 'GET', path))), false);
      await json(call(context, 'DELETE', path));
      expect.equal((await call(context, 'GET', path)).status, 404);
    },
  );

  s.case(['Q-30', 'Q-38', 'Q-43', 'Q-56', 'Q-85'], 'paths and bodies as the Go client writes them', async (context) => {
    const app = await destination(context, ({ path }) => new Response('', { status: path === '/bad' ? 404 : 200 }));
    const { scheduleId } = await json<{ scheduleId: string }>(
      call(context, 'POST', `/v2/Schedules/${app.url}`, { headers: { 'upstash-cron': '0 0 1 1 *' }, body: 'x' }),
    );
    expect.equal((await json(call(context, 'GET', `/v2/Schedules/${scheduleId}`))).cron, '0 0 1 1 *');
    await json(call(context, 'DELETE', `/v2/Schedules/${scheduleId}`));
    const ids: string[] = [];
    for (let i = 0; i < 2; i++)
      ids.push(
        (
          await json<{ messageId: string }>(
            call(context, 'POST', `/v2/publish/${app.url}`, { headers: { 'upstash-delay': '1h' } }),
          )
        ).messageId,
      );
    expect.deepEqual(
      await json(call(context, 'DELETE', '/v2/messages', { body: JSON.stringify({ messageIds: ids }) })),
      { cancelled: 2 },
    );
    const { messageId } = await json<{ messageId: string }>(
      call(context, 'POST', `/v2/publish/${app.url}/bad`, { headers: { 'upstash-retries': '0' } }),
    );
    const letter = await context.until(async () => {
      const { messages } = await json<{ messages: Array<{ dlqId: string }> }>(
        call(context, 'GET', `/v2/dlq?messageId=${messageId}`),
      );
      return messages[0];
    });
    const { events } = await json<{ events: Array<{ state: string }> }>(
      call(context, 'GET', `/v2/events?messageId=${messageId}`),
    );
    expect.deepEqual(
      events.map(({ state }) => state),
      ['FAILED', 'ERROR', 'ACTIVE', 'CREATED'],
    );
    expect.deepEqual(
      await json(call(context, 'DELETE', '/v2/dlq', { body: JSON.stringify({ dlqIds: [letter.dlqId] }) })),
      { deleted: 1 },
    );
  });

  s.case(
    ['Q-40', 'Q-56'],
    'every filter of the dead letters chooses, several values are any, several fields are all, and a retry may override',
    async (context) => {
      const app = await destination(context, ({ path }) => new Response('', { status: path === '/410' ? 410 : 400 }));
      const label = context.unique('dlq');
      const publish = (path: string, headers: Record<string, string>): Promise<Record<string, unknown>> =>
        json(
          call(context, 'POST', path, {
            headers: { 'upstash-retries': '0', 'upstash-label': `${label},more`, ...headers },
            body: 'x',
          }),
        );
      const queue = context.unique('dlq-queue');
      const key = context.unique('dlq-key');
      const group = context.unique('dlq-group');
      await json(
        call(context, 'POST', `/v2/topics/${group}/endpoints`, {
          body: JSON.stringify({ endpoints: [{ url: `${app.url}/group` }] }),
        }),
      );
      const started = await context.clock.now();
      const one = (
        await publish(`/v2/publish/${app.url}/410`, {
          'upstash-flow-control-key': key,
          'upstash-flow-control-value': 'parallelism=1',
        })
      ).messageId as string;
      const two = (await publish(`/v2/enqueue/${queue}/${app.url}/queued`, {})).messageId as string;
      const three = ((await publish(`/v2/publish/${group}`, {})) as unknown as Array<{ messageId: string }>)[0]
        ?.messageId as string;
      const listed = async (query: string): Promise<string[]> => {
        const { messages } = await json<{ messages: Array<{ messageId: string }> }>(
          call(context, 'GET', `/v2/dlq?label=${label}&${query}`),
        );
        return messages.map(({ messageId }) => messageId).sort();
      };
      await context.until(async () => (await listed('')).length === 3);
      const url = encodeURIComponent(`${app.url}/410`);
      const expected: Array<[string, string[]]> = [
        [`messageId=${one}`, [one]],
        [`messageId=${one},${two}`, [one, two]],
        [`messageId=${one}&messageId=${two}`, [one, two]],
        [`messageId=${one}&responseStatus=400`, []],
        [`url=${url}`, [one]],
        [`host=${new URL(app.url).host}`, [one, two, three]],
        ['path=/410,/group', [one, three]],
        ['responseStatus=410', [one]],
        ['responseStatus=410,400', [one, two, three]],
        [`queueName=${queue}`, [two]],
        [`topicName=${group}`, [three]],
        [`flowControlKey=${key}`, [one]],
        ['callerIp=127.0.0.1', [one, two, three]],
        ['callerIp=10.0.0.1', []],
        [`fromDate=${started}`, [one, two, three]],
        [`toDate=${started - 1}`, []],
        ['label=more&count=1000', [one, two, three]],
      ];
      for (const [query, ids] of expected) expect.deepEqual(await listed(query), ids.sort(), query);
      const { responses } = await json<{ responses: Array<{ messageId: string }> }>(
        call(context, 'POST', `/v2/dlq/retry?queueName=${queue}&label=${label}`, {
          headers: {
            'upstash-retries': '7',
            'upstash-label': `${label}-again`,
            'upstash-retry-delay': '5000',
            'upstash-delay': '1h',
            'upstash-method': 'PUT',
            'upstash-forward-x-again': 'yes',
          },
        }),
      );
      const again = await json<Record<string, unknown> & { header: Record<string, string[]> }>(
        call(context, 'GET', `/v2/messages/${responses[0]?.messageId}`),
      );
      expect.deepEqual(
        [again.maxRetries, again.label, again.retryDelayExpression, again.queueName, again.method],
        [7, `${label}-again`, '5000', queue, 'PUT'],
      );
      expect.deepEqual(again.header['X-Again'], ['yes']);
      // The delay counts from the request, a moment before the message is there.
      const delayMs = Number(again.notBefore) - Number(again.createdAt);
      expect(delayMs <= 3_600_000 && delayMs > 3_590_000, `due ${delayMs} ms after its creation`);
      expect.equal(app.received.length, 3);
      await json(call(context, 'DELETE', `/v2/messages/${responses[0]?.messageId}`));
      expect.deepEqual(await listed(''), [one, three].sort());
      expect.equal((await json(call(context, 'DELETE', `/v2/dlq?label=${label}`))).deleted, 2);
    },
  );

  s.case(
    ['Q-75', 'Q-73'],
    'several workflow runs are started by plain HTTP in one request, or none',
    async (context) => {
      const ran: number[] = [];
      const { handler } = serveOldest(
        (async (w: WorkflowContext<{ n: number }>) => {
          await w.run('note', () => ran.push(w.requestPayload.n));
        }) as never,
        workflowOptions(context) as never,
      );
      const workflow = await serveWorkflowHandler(context, handler as (request: Request) => Promise<Response>);
      const item = (n: number, headers: Record<string, string> = {}): object => ({
        destination: workflow.url,
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ n }),
      });
      const refused = await call(context, 'POST', '/v2/batch/trigger', {
        body: JSON.stringify([item(0), item(0, { 'upstash-retries': 'x' })]),
      });
      expect.equal(refused.status, 400);
      const response = await call(context, 'POST', '/v2/batch/trigger', { body: JSON.stringify([item(1), item(2)]) });
      expect.equal(response.status, 201);
      const started = (await response.json()) as Array<{ workflowRunId: string; workflowCreatedAt: number }>;
      expect.deepEqual(
        started.map(({ workflowCreatedAt }) => typeof workflowCreatedAt),
        ['number', 'number'],
      );
      for (const { workflowRunId } of started)
        expect.equal((await workflow.ended(workflowRunId)).workflowState, 'RUN_SUCCESS');
      expect.deepEqual(ran.sort(), [1, 2]);
    },
  );

  s.case(
    ['Q-78', 'Q-80'],
    'a run is cancelled by its path alone, and the log of a URL is of that URL and no longer one',
    async (context) => {
      const { handler } = serveOldest(
        (async (w: WorkflowContext) => {
          await w.sleep('long', '1d');
        }) as never,
        { ...workflowOptions(context), url: undefined } as never,
      );
      const workflow = await serveWorkflowHandler(context, handler as (request: Request) => Promise<Response>);
      const runId = await workflow.trigger();
      const { workflowRunId: other } = await workflow.client.trigger({ url: `${workflow.url}/more` });
      await context.clock.idle();
      const { runs } = await workflow.client.logs({ workflowUrl: workflow.url });
      expect.deepEqual(
        runs.map(({ workflowRunId }) => workflowRunId),
        [runId],
      );
      expect.equal((await call(context, 'DELETE', `/v2/workflows/runs/${runId}`)).status, 200);
      expect.equal((await workflow.run(runId)).workflowState, 'RUN_CANCELED');
      expect.equal((await call(context, 'DELETE', `/v2/workflows/runs/${runId}`)).status, 404);
      expect.equal((await workflow.run(other)).workflowState, 'RUN_STARTED');
      await workflow.client.cancel(other);
    },
  );

  s.case(
    ['Q-79', 'Q-77'],
    'one dead letter of a workflow is restarted or resumed by its path, its failure callback cancelled',
    async (context) => {
      let fail = true;
      let release = (): void => {};
      const held = new Promise<void>((resolve) => (release = resolve));
      const { handler } = serveOldest(
        (async (w: WorkflowContext<string>) => {
          await w.run('one', () => 1);
          await w.run('two', () => {
            if (fail) throw new Error('not now');
          });
        }) as never,
        { ...workflowOptions(context), failureFunction: () => held } as never,
      );
      const workflow = await serveWorkflowHandler(context, handler as (request: Request) => Promise<Response>);
      const failed = async (): Promise<string> => {
        const runId = await workflow.trigger('x', { retries: 0 });
        const { messages } = await context.until(async () => {
          const page = await json<{ messages: Array<{ dlqId: string }> }>(
            call(context, 'GET', `/v2/workflows/dlq?workflowRunId=${runId}`),
          );
          return page.messages.length === 1 ? page : null;
        });
        return messages[0]?.dlqId as string;
      };
      const first = await failed();
      const second = await failed();
      const path = `/v2/workflows/dlq/callback/${first}`;
      expect.deepEqual(await json(call(context, 'DELETE', path)), { cancelled: 1 });
      expect.equal((await call(context, 'DELETE', path)).status, 400);
      expect.equal(
        (await json(call(context, 'GET', `/v2/workflows/dlq/${first}`))).failureFunctionState,
        'CALLBACK_CANCELED',
      );
      release();
      fail = false;
      const before = workflow.deliveries.length;
      const resumed = await json<{ workflowRunId: string }>(call(context, 'POST', `/v2/workflows/dlq/resume/${first}`));
      expect.equal((await workflow.ended(resumed.workflowRunId)).workflowState, 'RUN_SUCCESS');
      const restarted = await json<{ workflowRunId: string }>(
        call(context, 'POST', `/v2/workflows/dlq/restart/${second}`),
      );
      expect.equal((await workflow.ended(restarted.workflowRunId)).workflowState, 'RUN_SUCCESS');
      // Resumed: the second step and what follows. Restarted: the whole.
      expect.equal(workflow.deliveries.length - before, 2 + 3);
      expect.equal((await call(context, 'POST', `/v2/workflows/dlq/resume/${first}`)).status, 404);
    },
  );

  s.case(
    ['Q-79', 'Q-40'],
    'failed runs are chosen by the state of their failure function, and go on later, with another failure callback',
    async (context) => {
      const attempts: string[] = [];
      const { handler } = serveOldest(
        (async (w: WorkflowContext<string>) => {
          await w.run('one', () => 1);
          await w.run('two', () => {
            attempts.push(w.workflowRunId);
            throw new Error('never');
          });
        }) as never,
        { ...workflowOptions(context), failureFunction: () => 'seen' } as never,
      );
      const workflow = await serveWorkflowHandler(context, handler as (request: Request) => Promise<Response>);
      const back = await destination(context);
      const label = context.unique('state');
      for (let i = 0; i < 2; i++) await workflow.ended(await workflow.trigger('x', { retries: 0, label }));
      const inState = async (state: string): Promise<number> => {
        const path = `/v2/workflows/dlq?label=${label}&failureFunctionState=${state}`;
        return (await json<{ messages: unknown[] }>(call(context, 'GET', path))).messages.length;
      };
      await context.until(async () => (await inState('CALLBACK_SUCCESS')) === 2);
      expect.deepEqual([await inState('CALLBACK_FAIL'), await inState('CALLBACK_FAIL,CALLBACK_SUCCESS')], [0, 2]);
      const go = async (how: string): Promise<{ workflowRuns: Array<{ workflowRunId: string }> }> =>
        json(
          call(
            context,
            'POST',
            `/v2/workflows/dlq/${how}?label=${label}&failureFunctionState=CALLBACK_SUCCESS&count=1`,
            {
              headers: { 'upstash-delay': '1h', 'upstash-failure-callback': `${back.url}/${how}` },
            },
          ),
        );
      const resumed = (await go('resume')).workflowRuns;
      const restarted = (await go('restart')).workflowRuns;
      expect.deepEqual([resumed.length, restarted.length, await inState('CALLBACK_SUCCESS')], [1, 1, 0]);
      await context.clock.idle();
      await context.clock.advance(3_500_000);
      expect.equal(attempts.length, 2);
      await context.clock.advance(200_000);
      const runs = [...resumed, ...restarted].map(({ workflowRunId }) => workflowRunId);
      for (const runId of runs) expect.equal((await workflow.ended(runId)).workflowState, 'RUN_FAILED');
      expect.deepEqual(attempts.slice(2).sort(), runs.sort());
      await context.until(() => back.received.length === 2);
      expect.deepEqual(back.received.map(({ path }) => path).sort(), ['/restart', '/resume']);
      for (const { headers, body } of back.received) {
        expect.equal(headers.get('upstash-workflow-is-failure'), 'true');
        expect(runs.includes((JSON.parse(body) as { workflowRunId: string }).workflowRunId), body);
      }
    },
  );

  s.case(
    ['Q-61', 'Q-62', 'Q-48'],
    "a step's own settings come with its delivery; a request for them is no step, and asked twice is one",
    async (context) => {
      type Raw = Array<{ messageId: string; body: string }>;
      const seen: Array<{ steps: string[]; settings: Array<string | null> }> = [];
      const key = context.unique('gate');
      const settings = {
        'upstash-feature-set': 'LazyFetch,InitialBody,WF_DetectTrigger,WF_TriggerOnConfig,WF_StepConfig',
        'upstash-flow-control-key': key,
        'upstash-flow-control-value': 'parallelism=2, rate=10, period=1m',
        'upstash-retries': '0',
      };
      const runId = `wfr_${context.unique('settings')}`;
      const app = await context.serveHttp(async (request) => {
        const raw = (await request.json()) as Raw;
        const steps = raw.slice(1).map(({ body }) => Buffer.from(body, 'base64').toString());
        const names = ['step-config', 'max-retries', 'flow-control-key', 'flow-control-value'];
        seen.push({
          steps,
          settings: names.map((name, i) =>
            request.headers.get(i === 0 ? `upstash-workflow-${name}` : `upstash-${name}`),
          ),
        });
        const send = async (headers: Record<string, string>, body: string): Promise<void> => {
          const own = { 'upstash-workflow-runid': runId, 'upstash-workflow-init': 'false', ...headers };
          const answer = await call(context, 'POST', '/v2/batch', {
            body: JSON.stringify([{ destination: request.url, headers: own, body }]),
          });
          expect.equal(answer.status, 200);
        };
        const asked = { ...settings, 'upstash-workflow-calltype': 'stepConfig' };
        if (seen.length === 1) for (let n = 0; n < 2; n++) await send(asked, '{"stepName":"gated"}');
        else if (seen.length === 2) await send({}, '{"stepId":1,"stepName":"gated","stepType":"Run","out":"1"}');
        else await call(context, 'DELETE', `/v2/workflows/runs/${runId}?cancel=false`, { body: '"done"' });
        return new Response('', { headers: { 'upstash-workflow-sdk-version': '1' } });
      });
      const start = {
        'upstash-workflow-runid': runId,
        'upstash-workflow-init': 'true',
        'upstash-feature-set': 'WF_DetectTrigger,WF_TriggerOnConfig',
        'upstash-retries': '2',
        'upstash-flow-control-key': context.unique('run'),
        'upstash-flow-control-value': 'parallelism=5',
      };
      await json(
        call(context, 'POST', '/v2/batch', {
          body: JSON.stringify([{ destination: app.url, headers: start, body: 'in' }]),
        }),
      );
      const run = await context.until(async () => {
        const answer = await json<{ runs: Array<{ workflowState: string; steps: Array<{ steps: object[] }> }> }>(
          call(context, 'GET', `/v2/workflows/logs?groupBy=workflowRunId&workflowRunId=${runId}`),
        );
        return answer.runs[0]?.workflowState === 'RUN_SUCCESS' ? answer.runs[0] : null;
      });
      await context.clock.idle();
      const step = '{"stepId":1,"stepName":"gated","stepType":"Run","out":"1"}';
      expect.deepEqual(seen, [
        { steps: [], settings: [null, null, null, null] },
        { steps: [], settings: ['true', '0', key, 'parallelism=2,rate=10,period=60'] },
        { steps: [step], settings: [null, null, null, null] },
      ]);
      expect.equal(run.steps.length, 2);
    },
  );
});
