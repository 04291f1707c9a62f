import { referenceFunction } from 'inngest';
import { expect, suite } from '../harness/index.ts';
import type { CaseContext } from '../harness/index.ts';
import { FLAVOURS, fail, startApp } from './apps.ts';

// One case for each numbered difference of compat/inngest/README.md.
const flavour = FLAVOURS[0] ?? fail('no flavour');

function post(
  context: CaseContext,
  path: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(new URL(path, context.url), { method: 'POST', body, headers });
}

function quiet(appId: string): never {
  return referenceFunction({ appId, functionId: 'quiet' }) as never;
}

suite({ vendor: 'inngest', name: 'differences', sdk: flavour.sdk }, (s) => {
  s.case(['I-80'], 'INN-1: a policy that is not served refuses the registration by name', async (context) => {
    const url = 'http://127.0.0.1:9/api/inngest';
    const fn = {
      id: 'app-f',
      name: 'f',
      triggers: [{ event: context.unique('go') }],
      steps: { step: { id: 'step', name: 'step', runtime: { type: 'http', url } } },
      gravity: 'low',
    };
    const body = JSON.stringify({ url, appName: context.unique('app'), functions: [fn], sdk: 'js:v4.0.0', v: '0.1' });
    const answer = await post(context, '/fn/register', body);
    expect.equal(answer.status, 501);
    expect.match(await answer.text(), /"gravity/);
  });

  s.case(['I-2'], 'INN-2: one invalid event refuses its whole request', async (context) => {
    const name = context.unique('go');
    const body = JSON.stringify([{ name }, { name: '' }]);
    expect.equal((await post(context, `/e/${context.environment.inngestEventKey}`, body)).status, 400);
    const listed = await fetch(new URL(`/v1/events?name=${encodeURIComponent(name)}`, context.url));
    expect.deepEqual(((await listed.json()) as { data: unknown[] }).data, []);
  });

  s.case(['I-32'], 'INN-3: after a race, steps are followed at once while the losers still run', async (context) => {
    const name = context.unique('go');
    const ran: string[] = [];
    let release = (): void => {};
    const slow = new Promise<void>((resolve) => (release = resolve));
    const app = await startApp(context, flavour, [
      {
        id: 'racer',
        triggers: [{ event: name }],
        body: async ({ step, group }) => {
          await group.parallel({ mode: 'race' }, () =>
            Promise.race([step.run('fast', () => 'fast'), step.run('slow', () => slow)]),
          );
          for (const id of ['b', 'c', 'd']) await step.run(id, () => void ran.push(id));
        },
      },
    ]);
    const { ids } = await app.send({ name });
    await context.until(() => ran.length === 3);
    release();
    await app.ended(ids[0] ?? fail('no id'));
    expect.deepEqual(ran, ['b', 'c', 'd']);
  });

  s.case(
    ['I-28', 'I-62'],
    'INN-4, INN-5: no events are stored for an invocation and an end that nobody listens to',
    async (context) => {
      const name = context.unique('go');
      const app = await startApp(context, flavour, [
        { id: 'child', triggers: [], body: () => 'child' },
        {
          id: 'parent',
          triggers: [{ event: name }],
          body: ({ step }, functions) => step.invoke('i', { function: functions['child'] as never, data: {} }),
        },
      ]);
      const { ids } = await app.send({ name });
      const [run] = await app.ended(ids[0] ?? fail('no id'));
      expect.equal(run?.output, 'child');
      for (const event of ['inngest/function.invoked', 'inngest/function.finished']) {
        const stored = await app.read<Array<{ data: { run_id?: string } }>>(
          `/v1/events?limit=100&name=${encodeURIComponent(event)}`,
        );
        expect.equal(
          stored.filter(({ data }) => data.run_id === run?.run_id || event.endsWith('invoked')).length,
          0,
          event,
        );
      }
    },
  );

  s.case(['I-80'], 'INN-22: what the vendor’s pages tell of their use is not taken', async (context) => {
    const told = await post(context, '/v0/telemetry', '{"eventName":"cli/opened"}');
    const { error, status } = (await told.json()) as { error: string; status: number };
    expect.deepEqual([told.status, status, error.includes('Telemetry')], [501, 501, true]);
    expect.equal((await fetch(new URL('/v1/prom/production', context.url))).status, 501);
  });

  s.case(['I-75'], 'INN-23: debugging step by step is an error of GraphQL, whoever asks for it', async (context) => {
    for (const query of [
      'mutation { createDebugSession(input: { functionSlug: "app-f" }) { debugSessionID } }',
      '{ debugSession(query: { functionSlug: "app-f" }) { debugRuns { status } } }',
      'mutation { rerun(runID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", debugRunID: "01ARZ3NDEKTSV4RRFFQ69G5FAV") }',
    ]) {
      const answer = await post(context, '/v0/gql', JSON.stringify({ query }));
      const { errors } = (await answer.json()) as { errors: Array<{ message: string }> };
      expect.deepEqual(
        errors.map(({ message }) => message),
        ['debugging step by step is not served by this server'],
      );
    }
  });

  s.case(
    ['I-75'],
    'INN-24, INN-26: the history of a run is made of its trace, and no answer is kept beside it',
    async (context) => {
      const name = context.unique('go');
      const app = await startApp(context, flavour, [
        {
          id: 'told',
          triggers: [{ event: name }],
          body: async ({ step }) => {
            await step.run('work', () => 1);
            await step.sleep('nap', '1m');
            return 'done';
          },
        },
      ]);
      const { ids } = await app.send({ name });
      await context.clock.idle();
      await context.clock.advance(61_000);
      const [run] = await app.ended(ids[0] ?? fail('no id'));
      const query = `query ($id: String!) { functionRun(query: { functionRunId: $id }) {
      history { type stepName stepType createdAt result { durationMS errorCode framework platform sdkLanguage sdkVersion sizeBytes } }
      } run(runID: $id) { trace { response { statusCode headers } childrenSpans { response { statusCode } } } } }`;
      const answer = await post(context, '/v0/gql', JSON.stringify({ query, variables: { id: run?.run_id } }));
      const { data } = (await answer.json()) as {
        data: { functionRun: { history: Array<Record<string, unknown>> }; run: { trace: Record<string, unknown> } };
      };
      const { history } = data.functionRun;
      expect.deepEqual(
        history.map(({ type, stepName, stepType }) => [type, stepName, stepType]),
        [
          ['FunctionScheduled', null, null],
          ['FunctionStarted', null, null],
          ['StepScheduled', 'work', 'Run'],
          ['StepStarted', 'work', 'Run'],
          ['StepCompleted', 'work', 'Run'],
          ['StepSleeping', 'nap', 'Sleep'],
          ['StepCompleted', 'nap', 'Sleep'],
          ['FunctionCompleted', null, null],
        ],
      );
      expect.equal(history[2]?.['createdAt'], history[3]?.['createdAt']);
      const results = history.map(({ result }) => result as { durationMS: number } | null);
      expect.deepEqual(
        results.map((result) => result !== null),
        [false, false, false, false, true, false, false, true],
      );
      expect(results.every((result) => result === null || (result.durationMS >= 0 && result.durationMS < 10_000)));
      const told = { errorCode: null, framework: null, platform: null };
      const [step, end] = [results[4], results[7]].map((result) => ({ ...result, durationMS: 0 }));
      expect.deepEqual(step, { ...told, durationMS: 0, sdkLanguage: 'js', sdkVersion: 'v4.24.0', sizeBytes: 1 });
      expect.deepEqual(end, { ...told, durationMS: 0, sdkLanguage: '', sdkVersion: '', sizeBytes: 6 });
      // INN-26
      const { response, childrenSpans } = data.run.trace;
      expect.deepEqual(
        [response, ...new Set((childrenSpans as Array<{ response: unknown }>).map((one) => one.response))],
        [null, null],
      );
    },
  );

  s.case(
    ['I-78'],
    'INN-25: an app that tells nothing new is asked again, until its attempts are used up',
    async (context) => {
      const [name, id] = [context.unique('go'), context.unique('app')];
      let calls = 0;
      const app = await context.serveHttp(async (request) => {
        if (request.method !== 'POST') return new Response(null, { status: 405 });
        calls++;
        const op = calls === 1 ? { op: 'StepRun', id: 'a', data: 1 } : { op: 'StepPlanned', id: 'a' };
        return Response.json([op], { status: 206, headers: { 'x-inngest-sdk': 'x', 'x-inngest-req-version': '2' } });
      });
      const runtime = { type: 'http', url: `${app.url}/api/inngest` };
      const steps = { step: { id: 'step', name: 'step', runtime, retries: { attempts: 2 } } };
      const functions = [{ id: `${id}-f`, name: 'f', triggers: [{ event: name }], steps }];
      const registration = { url: runtime.url, appName: id, functions, sdk: 'js:v4.0.0', v: '0.1' };
      expect.equal((await post(context, '/fn/register', JSON.stringify(registration))).status, 200);
      const sent = await post(context, `/e/${context.environment.inngestEventKey}`, JSON.stringify({ name }));
      const { ids } = (await sent.json()) as { ids: string[] };
      await context.clock.idle();
      await context.clock.advance(600_000);
      const read = await fetch(new URL(`/v1/events/${ids[0]}/runs`, context.url));
      const [run] = ((await read.json()) as { data: Array<{ status: string; output: { message: string } }> }).data;
      expect.equal(run?.status, 'Failed');
      expect.match(run?.output.message ?? '', /nothing that this run has not done already/);
      expect.equal(calls, 1 + 3);
    },
  );

  s.case(['I-28', 'I-52'], 'INN-30: all who invoke a debounced function get its result', async (context) => {
    const name = context.unique('go');
    const appId = context.unique('app');
    const app = await startApp(
      context,
      flavour,
      [
        {
          id: 'quiet',
          triggers: [{ event: context.unique('never') }],
          options: { debounce: { period: '1m' } },
          body: ({ event }) => event.data['n'],
        },
        {
          id: 'parent',
          triggers: [{ event: name }],
          body: ({ step, event }) => step.invoke('one', { function: quiet(appId), data: { n: event.data['n'] } }),
        },
      ],
      { id: appId },
    );
    const first = (await app.send({ name, data: { n: 1 } })).ids[0] ?? fail('no id');
    await context.clock.idle();
    const last = (await app.send({ name, data: { n: 2 } })).ids[0] ?? fail('no id');
    await context.clock.idle();
    await context.clock.advance(62_000);
    for (const id of [first, last]) expect.equal((await app.ended(id))[0]?.output, 2);
  });

  s.case(['I-28', 'I-57'], 'INN-31: an invocation that a singleton skips fails its step at once', async (context) => {
    const name = context.unique('go');
    const appId = context.unique('app');
    const app = await startApp(
      context,
      flavour,
      [
        {
          id: 'quiet',
          triggers: [{ event: context.unique('never') }],
          options: { singleton: { mode: 'skip' } },
          body: ({ step }) => step.sleep('nap', '1h'),
        },
        {
          id: 'parent',
          triggers: [{ event: name }],
          retries: 0,
          body: ({ step }) => step.invoke('one', { function: quiet(appId), data: {} }),
        },
      ],
      { id: appId },
    );
    await app.send({ name });
    await context.clock.idle();
    const [run] = await app.ended((await app.send({ name })).ids[0] ?? fail('no id'));
    expect.equal(run?.status, 'Failed');
    expect.match(JSON.stringify(run?.output), /skipped/);
  });

  s.case(['I-15'], 'INN-7: the signing key itself is taken as bearer', async (context) => {
    const { inngestSigningKey, inngestEventKey } = context.environment;
    const server = await context.startServer({
      mode: 'production',
      env: { INNGEST_SIGNING_KEY: inngestSigningKey, INNGEST_EVENT_KEY: inngestEventKey },
    });
    const read = (bearer: string): Promise<Response> =>
      fetch(new URL('/v1/events', server.url), { headers: { authorization: `Bearer ${bearer}` } });
    expect.equal((await read(inngestSigningKey)).status, 200);
    expect.equal((await read(`${inngestSigningKey}0`)).status, 401);
  });

  s.case(['I-64'], 'INN-8: a run that has ended is not cancelled', async (context) => {
    const name = context.unique('go');
    const app = await startApp(context, flavour, [{ id: 'f', triggers: [{ event: name }], body: () => 'done' }]);
    const { ids } = await app.send({ name });
    const [run] = await app.ended(ids[0] ?? fail('no id'));
    const answer = await fetch(new URL(`/v1/runs/${run?.run_id}`, context.url), { method: 'DELETE' });
    expect.equal(answer.status, 400);
    expect.equal(((await answer.json()) as { code: string }).code, 'run-ended');
    expect.equal((await app.runsOf(ids[0] ?? ''))[0]?.status, 'Completed');
  });

  s.case(['I-1'], 'INN-9: a form is an event by its fields', async (context) => {
    const name = context.unique('go');
    const form = (fields: Record<string, string>): Promise<Response> =>
      post(context, `/e/${context.environment.inngestEventKey}`, new URLSearchParams(fields).toString(), {
        'content-type': 'application/x-www-form-urlencoded',
      });
    expect.equal((await form({ name, user: 'x', n: '1' })).status, 200);
    expect.equal((await form({ name, data: '{"n":2}' })).status, 200);
    expect.equal((await form({ name, data: '{' })).status, 400);
    // What curl's -d says of a JSON body.
    const asCurl = await post(
      context,
      `/e/${context.environment.inngestEventKey}`,
      JSON.stringify({ name, data: { n: 3 } }),
      {
        'content-type': 'application/x-www-form-urlencoded',
      },
    );
    expect.equal(asCurl.status, 200);
    const listed = await fetch(new URL(`/v1/events?name=${encodeURIComponent(name)}`, context.url));
    const { data } = (await listed.json()) as { data: Array<{ data: unknown }> };
    expect.deepEqual(
      data.map((event) => event.data),
      [{ n: 3 }, { n: 2 }, { n: '1', user: 'x' }],
    );
  });
});
