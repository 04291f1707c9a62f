import { expect, suite } from '../harness/index.ts';
import { FLAVOURS, startApp } from './apps.ts';
import type { RunView } from './apps.ts';
import { call, gql, RUN_QUERY } from './graphql.ts';
import type { Answer, GqlSpan } from './graphql.ts';
import { runTraced, tracedApp } from './traced-run.ts';

const HOUR_MS = 3_600_000;

for (const flavour of FLAVOURS) {
  const { label, sdk } = flavour;

  suite({ vendor: 'inngest', name: `reading and acting (${label})`, sdk }, (s) => {
    s.case(['I-75'], 'GraphQL shows a run with its trace, and each step’s result', async (context) => {
      const name = context.unique('traced');
      const app = await startApp(context, flavour, tracedApp(name));
      const run = await runTraced(context, app, name);
      const data = await gql<{ run: Record<string, unknown> & { trace: GqlSpan } }>(context, RUN_QUERY, {
        runID: run.run_id,
      });
      expect.equal(data.run['status'], 'COMPLETED');
      expect.equal(data.run['eventName'], name);
      expect.deepEqual(data.run['function'], { slug: `${app.id}-traced`, app: { externalID: app.id } });
      const { trace } = data.run;
      expect.deepEqual([trace.name, trace.isRoot, trace.status], ['Run', true, 'COMPLETED']);
      expect.deepEqual(
        trace.childrenSpans.map((span) => [span.name, span.stepOp, span.status, span.attempts]),
        [
          ['first', 'RUN', 'COMPLETED', 0],
          ['flaky', 'RUN', 'COMPLETED', 1],
          ['nap', 'SLEEP', 'COMPLETED', 0],
          ['call', 'INVOKE', 'COMPLETED', 0],
          ['wait', 'WAIT_FOR_EVENT', 'COMPLETED', 0],
          ['Finalization', null, 'COMPLETED', 0],
        ],
      );
      const [first, flaky, nap, invoked, wait] = trace.childrenSpans as [GqlSpan, GqlSpan, GqlSpan, GqlSpan, GqlSpan];
      expect.deepEqual(
        flaky.childrenSpans.map((span) => span.status),
        ['FAILED', 'COMPLETED'],
      );
      expect.equal(nap.stepInfo?.['__typename'], 'SleepStepInfo');
      expect.equal(invoked.stepInfo?.['functionID'], `${app.id}-child`);
      expect.match(String(invoked.stepInfo?.['runID']), /^[0-9A-Z]{26}$/);
      expect.equal(wait.stepInfo?.['timedOut'], true);
      expect.equal(wait.stepInfo?.['eventName'], `${name}/other`);
      expect.equal(wait.stepInfo?.['expression'], 'async.data.x == 1');
      const output = (id: string | null): Promise<Record<string, Record<string, unknown>>> =>
        gql(
          context,
          `query ($id: String!) { runTraceSpanOutputByID(outputID: $id) { input data error { name message } } }`,
          {
            id,
          },
        );
      const result = await output(first.outputID);
      expect.deepEqual(JSON.parse(String(result['runTraceSpanOutputByID']?.['data'])), { n: 1 });
      const failed = await output(flaky.childrenSpans[0]?.outputID ?? null);
      expect.deepEqual(failed['runTraceSpanOutputByID']?.['error'], { name: 'TypeError', message: 'not yet' });
      const child = await gql<{ functionRun: { output: string; status: string } }>(
        context,
        `query ($id: String!) { functionRun(query: { functionRunId: $id }) { output status } }`,
        { id: invoked.stepInfo?.['runID'] },
      );
      expect.deepEqual(child.functionRun, { output: '{"doubled":8}', status: 'COMPLETED' });
    });

    s.case(
      ['I-75'],
      'INN-12: GraphQL lists runs by the time they were queued, began or ended, events and functions, by page and by filter',
      async (context) => {
        const name = context.unique('listed');
        const app = await startApp(context, flavour, [
          {
            id: 'listed',
            retries: 0,
            triggers: [{ event: name }],
            body: ({ event }) => {
              if (event.data['bad'] === true) throw new Error('bad');
              return event.data['n'];
            },
          },
        ]);
        const sent: string[] = [];
        for (let n = 0; n < 5; n++) sent.push(...(await app.send({ name, data: { n, bad: n === 3 } })).ids);
        for (const id of sent) await app.ended(id);
        const { functions } = await gql<{
          functions: Array<{ id: string; name: string; app: { externalID: string } }>;
        }>(context, `{ functions { id name app { id externalID name } } }`);
        const fn = functions.find((one) => one.app.externalID === app.id);
        const query = `query ($first: Int!, $after: String, $filter: RunsFilterV2!, $orderBy: [RunsV2OrderBy!]!) {
        runs(first: $first, after: $after, filter: $filter, orderBy: $orderBy) {
          edges { cursor node { id status output } } pageInfo { hasNextPage endCursor } totalCount } }`;
        type Runs = {
          runs: {
            edges: Array<{ cursor: string; node: { id: string; status: string; output: string } }>;
            pageInfo: { hasNextPage: boolean; endCursor: string };
            totalCount: number;
          };
        };
        const orderBy = [{ field: 'QUEUED_AT', direction: 'ASC' }];
        const filter = { from: '2020-01-01T00:00:00Z', functionIDs: [fn?.id] };
        const one = await gql<Runs>(context, query, { first: 3, filter, orderBy });
        expect.equal(one.runs.totalCount, 5);
        expect.equal(one.runs.pageInfo.hasNextPage, true);
        const two = await gql<Runs>(context, query, { first: 3, after: one.runs.pageInfo.endCursor, filter, orderBy });
        expect.deepEqual(
          [...one.runs.edges, ...two.runs.edges].map(({ node }) => node.status),
          ['COMPLETED', 'COMPLETED', 'COMPLETED', 'FAILED', 'COMPLETED'],
        );
        expect.equal(two.runs.pageInfo.hasNextPage, false);
        for (const field of ['STARTED_AT', 'ENDED_AT']) {
          const by = async (direction: string): Promise<string[]> => {
            const ids: string[] = [];
            const page = { first: 3, filter: { ...filter, timeField: field }, orderBy: [{ field, direction }] };
            for (let after: string | null = null; ;) {
              const { runs }: Runs = await gql<Runs>(context, query, { ...page, after });
              expect.equal(runs.totalCount, 5);
              ids.push(...runs.edges.map(({ node }) => node.id));
              if (!runs.pageInfo.hasNextPage) return ids;
              after = runs.pageInfo.endCursor;
            }
          };
          const queued = [...one.runs.edges, ...two.runs.edges].map(({ node }) => node.id);
          expect.deepEqual(await by('ASC'), queued, field);
          expect.deepEqual(await by('DESC'), queued.toReversed(), field);
        }
        const failed = await gql<Runs>(context, query, {
          first: 10,
          filter: { ...filter, status: ['FAILED'] },
          orderBy,
        });
        expect.equal(failed.runs.edges.length, 1);
        const byData = await gql<Runs>(context, query, {
          first: 10,
          filter: { ...filter, query: 'event.data.n >= 2 && event.data.bad == false' },
          orderBy,
        });
        expect.deepEqual(
          byData.runs.edges.map(({ node }) => node.output),
          ['2', '4'],
        );
        expect.equal(byData.runs.totalCount, 2);
        const byResult = async (text: string): Promise<number> =>
          (await gql<Runs>(context, query, { first: 10, filter: { ...filter, query: text }, orderBy })).runs.totalCount;
        expect.equal(await byResult('error.message == "bad"'), 1);
        expect.equal(await byResult(`event.name == "${name}"\noutput > 1`), 2);
        const { eventsV2 } = await gql<{
          eventsV2: { totalCount: number; edges: Array<{ node: { id: string; raw: string; runs: unknown[] } }> };
        }>(
          context,
          `query ($filter: EventsFilter!) { eventsV2(first: 10, filter: $filter) {
          totalCount edges { node { id name raw occurredAt receivedAt runs { id status } } } pageInfo { hasNextPage } } }`,
          { filter: { from: '2020-01-01T00:00:00Z', eventNames: [name] } },
        );
        expect.equal(eventsV2.totalCount, 5);
        expect.deepEqual(eventsV2.edges.map(({ node }) => node.id).reverse(), sent);
        const { event } = await gql<{ event: { functionRuns: Array<{ id: string }>; status: string } }>(
          context,
          `query ($id: ID!) { event(query: { eventId: $id }) { status functionRuns { id } } }`,
          { id: sent[3] },
        );
        expect.deepEqual([event.status, event.functionRuns.length], ['FAILED', 1]);
        const { runTrigger } = await gql<{ runTrigger: { eventName: string; IDs: string[]; payloads: string[] } }>(
          context,
          `query ($id: String!) { runTrigger(runID: $id) { eventName IDs timestamp payloads isBatch batchID cron } }`,
          { id: event.functionRuns[0]?.id },
        );
        expect.deepEqual([runTrigger.eventName, runTrigger.IDs], [name, [sent[3]]]);
        expect.deepEqual((JSON.parse(runTrigger.payloads[0] ?? '') as { data: unknown }).data, { n: 3, bad: true });
      },
    );

    s.case(
      ['I-67'],
      'a failed run goes on from its step after the app was mended; with edited input',
      async (context) => {
        const name = context.unique('rerun');
        const ran: string[] = [];
        let broken = true;
        const app = await startApp(context, flavour, [
          {
            id: 'order',
            retries: 0,
            triggers: [{ event: name }],
            body: async ({ step }) => {
              const a = await step.run('a', () => (ran.push('a'), 1));
              const b = await step.ai.wrap(
                'b',
                ((n: number) => {
                  ran.push(`b${n}`);
                  if (broken) throw new Error('down');
                  return Promise.resolve(n * 10);
                }) as never,
                a,
              );
              return step.run('c', () => (ran.push('c'), b));
            },
          },
        ]);
        const [failed] = await app.ended((await app.send({ name, data: {} })).ids[0] as string);
        expect.equal(failed?.status, 'Failed');
        expect.deepEqual(ran, ['a', 'b1']);
        broken = false;
        const again = await call(context, 'POST', `/v2/runs/${failed?.run_id}/rerun`, { fromStep: { stepId: 'b' } });
        expect.equal(again.status, 202);
        const ended = (answer: Answer): Promise<RunView> => {
          const id = (answer.body['data'] as { runId: string }).runId;
          return context.until(
            async () => {
              const run = await app.read<RunView>(`/v1/runs/${id}`);
              return run.ended_at === null ? null : run;
            },
            { what: 'the end of the new run' },
          );
        };
        expect.equal((await ended(again)).output, 10);
        expect.deepEqual(ran, ['a', 'b1', 'b1', 'c']);
        const edited = await call(context, 'POST', `/v2/runs/${failed?.run_id}/rerun`, {
          fromStep: { stepId: 'b', input: [7] },
        });
        expect.equal((await ended(edited)).output, 70);
        const whole = await gql<{ rerun: string }>(context, `mutation ($id: ULID!) { rerun(runID: $id) }`, {
          id: failed?.run_id,
        });
        const run = await ended({ status: 200, body: { data: { runId: whole.rerun } } });
        expect.equal(run.output, 10);
        expect.equal((run as RunView & { original_run_id: string }).original_run_id, failed?.run_id);
        expect.deepEqual(ran.slice(-3), ['a', 'b1', 'c']);
        const unknown = await call(context, 'POST', `/v2/runs/${failed?.run_id}/rerun`, {
          fromStep: { stepId: 'zzz' },
        });
        expect.equal(unknown.status, 404);
      },
    );

    s.case(['I-66'], 'a function is invoked over HTTP, by both APIs', async (context) => {
      const app = await startApp(context, flavour, [
        {
          id: 'greet',
          triggers: [{ event: context.unique('never') }],
          body: ({ event }) => `hello ${String(event.data['who'])}`,
        },
      ]);
      const one = await call(context, 'POST', `/invoke/${app.id}-greet`, { data: { who: 'you' } });
      expect.equal(one.status, 200);
      const [run] = await app.ended(one.body['id'] as string);
      expect.equal(run?.output, 'hello you');
      const path = `/v2/apps/${app.id}/functions/greet/invoke`;
      const sync = await call(context, 'POST', path, { data: { who: 'all' }, mode: 'sync', idempotencyKey: 'k' });
      expect.equal(sync.status, 201);
      expect.equal((sync.body['data'] as { result: string }).result, 'hello all');
      expect.equal((await call(context, 'POST', path, { data: {}, idempotencyKey: 'k' })).status, 409);
      expect.equal((await call(context, 'POST', path, { data: {} })).status, 202);
      expect.equal((await call(context, 'POST', `/invoke/${app.id}-nobody`, {})).status, 404);
      expect.equal((await call(context, 'POST', path, { data: 'text' })).status, 400);
    });

    s.case(['I-63'], 'a bulk cancellation ends the runs of its time and condition, and no others', async (context) => {
      const name = context.unique('bulk');
      const app = await startApp(context, flavour, [
        {
          id: 'sleeper',
          triggers: [{ event: name }],
          body: ({ step }) => step.sleep('long', '30d'),
        },
      ]);
      const ids: string[] = [];
      for (let n = 0; n < 4; n++) ids.push(...(await app.send({ name, data: { n } })).ids);
      await context.clock.idle();
      const before = new Date(await context.clock.now()).toISOString();
      await context.clock.advance(1_000);
      ids.push(...(await app.send({ name, data: { n: 9 } })).ids);
      await context.clock.idle();
      const made = await call(context, 'POST', '/v1/cancellations', {
        app_id: app.id,
        function_id: 'sleeper',
        started_before: before,
        if: 'event.data.n >= 2',
      });
      expect.equal(made.status, 200);
      await context.clock.advance(1_000);
      const statuses = await Promise.all(ids.map(async (id) => (await app.runsOf(id))[0]?.status));
      expect.deepEqual(statuses, ['Running', 'Running', 'Cancelled', 'Cancelled', 'Running']);
      const id = (made.body['data'] as { id: string }).id;
      const list = await app.read<Array<{ id: string; cancelled: number }>>('/v1/cancellations');
      expect.equal(list.find((one) => one.id === id)?.cancelled, 2);
      expect.equal((await call(context, 'DELETE', `/v1/cancellations/${id}`)).status, 204);
      expect.equal((await call(context, 'DELETE', `/v1/cancellations/${id}`)).status, 404);
      const bad = { app_id: app.id, function_id: 'sleeper' };
      expect.equal((await call(context, 'POST', '/v1/cancellations', bad)).status, 400);
      const future = new Date((await context.clock.now()) + HOUR_MS).toISOString();
      expect.equal((await call(context, 'POST', '/v1/cancellations', { ...bad, started_before: future })).status, 400);
      const unknown = { app_id: app.id, function_id: 'nobody', started_before: before };
      expect.equal((await call(context, 'POST', '/v1/cancellations', unknown)).status, 404);
    });

    s.case(
      ['I-68', 'I-69'],
      'the second API reads apps, functions, runs and traces, and says what it does not serve',
      async (context) => {
        const name = context.unique('traced');
        const app = await startApp(context, flavour, tracedApp(name));
        const run = await runTraced(context, app, name);
        const read = async (path: string): Promise<never> => {
          const answer = await call(context, 'GET', path);
          expect.equal(answer.status, 200, path);
          return answer.body['data'] as never;
        };
        const apps: Array<{ id: string; sdkLanguage: string }> = await read('/v2/apps');
        expect.equal(apps.find((one) => one.id === app.id)?.sdkLanguage, 'js');
        const shown: { functionCount: number } = await read(`/api/v2/apps/${app.id}`);
        expect.equal(shown.functionCount, 2);
        const functions: Array<{ slug: string }> = await read(`/v2/apps/${app.id}/functions`);
        expect.deepEqual(functions.map(({ slug }) => slug).sort(), [`${app.id}-child`, `${app.id}-traced`]);
        const one: { slug: string } = await read(`/v2/apps/${app.id}/functions/traced`);
        expect.equal(one.slug, `${app.id}-traced`);
        const runs: Array<{ id: string }> = await read(`/v2/apps/${app.id}/functions/traced/runs?status=completed`);
        expect.deepEqual(
          runs.map(({ id }) => id),
          [run.run_id],
        );
        const detail: { status: string; output: unknown; trigger: { eventName: string } } = await read(
          `/v2/runs/${run.run_id}`,
        );
        expect.deepEqual([detail.status, detail.trigger.eventName], ['COMPLETED', name]);
        expect.deepEqual(detail.output, run.output);
        const { rootSpan }: { rootSpan: { children: Array<{ name: string; output: unknown }> } } = await read(
          `/v2/runs/${run.run_id}/trace?includeOutput=true`,
        );
        expect.deepEqual(
          rootSpan.children.map((span) => span.name),
          ['first', 'flaky', 'nap', 'call', 'wait', 'Finalization'],
        );
        expect.deepEqual(rootSpan.children[0]?.output, { n: 1 });
        for (const path of ['/v2/envs', '/v2/keys/events', '/v2/keys/signing', '/v2/health']) await read(path);
        const sent = await call(context, 'POST', '/v2/events', [{ name: `${name}/x`, data: {} }]);
        expect.equal((sent.body['data'] as { ids: string[] }).ids.length, 1);
        for (const path of [
          '/v2/account',
          '/v2/sandboxes',
          '/v2/snapshots/1',
          '/api/v2/insights/tables',
          '/v2/experiments',
        ]) {
          const refused = await call(context, 'GET', path);
          expect.equal(refused.status, 501, path);
          expect.equal((refused.body['errors'] as Array<{ code: string }>)[0]?.code, 'not_implemented');
        }
        const missing = await call(context, 'GET', '/v2/apps/nobody');
        expect.equal(missing.status, 404);
        expect.match((missing.body['errors'] as Array<{ message: string }>)[0]?.message ?? '', /nobody/);
      },
    );

    s.case(
      ['I-13'],
      'INN-13: a run whose function was removed ends when it is to go on, and says why',
      async (context) => {
        const name = context.unique('removed');
        const id = context.unique('app');
        const app = await startApp(
          context,
          flavour,
          [
            { id: 'stays', triggers: [{ event: `${name}/other` }], body: () => 1 },
            { id: 'goes', triggers: [{ event: name }], body: ({ step }) => step.sleep('nap', '1h') },
          ],
          { id },
        );
        const { ids } = await app.send({ name, data: {} });
        await context.clock.idle();
        await startApp(context, flavour, [{ id: 'stays', triggers: [{ event: `${name}/other` }], body: () => 1 }], {
          id,
        });
        const calls = app.calls;
        await context.clock.advance(HOUR_MS);
        const [run] = await app.ended(ids[0] as string);
        expect.equal(run?.status, 'Failed');
        expect.match((run as { output: { message: string } }).output.message, /removed from its app/);
        expect.equal(app.calls, calls);
      },
    );

    s.case(['I-76'], 'an app is listed, shows its jobs, and is removed with its functions', async (context) => {
      const name = context.unique('gone');
      const app = await startApp(context, flavour, [
        { id: 'f', triggers: [{ event: name }], body: ({ step }) => step.sleep('nap', '1h') },
      ]);
      const { ids } = await app.send({ name, data: {} });
      await context.clock.idle();
      const [run] = await app.runsOf(ids[0] as string);
      const jobs = await app.read<Array<{ kind: string }>>(`/v1/runs/${run?.run_id}/jobs`);
      expect.deepEqual(
        jobs.map(({ kind }) => kind),
        ['sleep'],
      );
      const functions = await app.read<Array<{ slug: string }>>(`/v1/apps/${app.id}/functions`);
      expect.deepEqual(
        functions.map(({ slug }) => slug),
        [`${app.id}-f`],
      );
      const dev = (await (await fetch(new URL('/dev', context.url))).json()) as {
        handlers: Array<{ sdk: { appName: string } }>;
      };
      expect.equal(
        dev.handlers.some(({ sdk }) => sdk.appName === app.id),
        true,
      );
      const removed = await call(context, 'DELETE', `/fn/remove?url=${encodeURIComponent(app.url)}`);
      expect.equal(removed.status, 200);
      const after = await app.send({ name, data: {} });
      expect.deepEqual(await app.runsOf(after.ids[0] as string), []);
      expect.equal((await call(context, 'GET', `/v1/apps/${app.id}/functions`)).status, 404);
      expect.equal((await call(context, 'DELETE', '/fn/remove?url=http%3A%2F%2Fnobody')).status, 404);
    });
  });
}
