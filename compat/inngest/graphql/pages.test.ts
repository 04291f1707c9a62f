import { expect, test } from 'vitest';
import { LocalServer } from '../testing/local-server.ts';

const URL_OF_APP = 'http://app.test/api/inngest';

async function register(
  server: LocalServer,
  functions: Array<{ id: string; [field: string]: unknown }>,
): Promise<void> {
  const response = await server.routes.request('/fn/register', {
    method: 'POST',
    body: JSON.stringify({
      url: URL_OF_APP,
      appName: 'app',
      sdk: 'js:v4.24.0',
      featureObservations: {
        aiMetadataExtraction: { readinessReason: 'AI_METADATA_EXTRACTION_READINESS_REASON_OTEL_PROVIDER_MISSING' },
        extendedTraces: { readinessReason: 'EXTENDED_TRACES_READINESS_REASON_READY' },
      },
      functions: functions.map((fn) => ({
        name: fn.id,
        triggers: [{ event: `${fn.id}/go` }],
        ...fn,
        id: `app-${fn.id}`,
        steps: { step: { id: 'step', runtime: { type: 'http', url: `${URL_OF_APP}?fnId=app-${fn.id}` } } },
      })),
    }),
  });
  expect(await response.json()).toMatchObject({ ok: true });
}

/** Answers each call by what `answers` says of the function, in turn. */
function answerBy(server: LocalServer, answers: Record<string, unknown[]>): void {
  server.app = (request) => {
    const next = answers[new URL(request.url).searchParams.get('fnId') ?? '']?.shift();
    const status = Array.isArray(next) ? 206 : 200;
    return Promise.resolve(
      new Response(JSON.stringify(next ?? null), {
        status,
        headers: { 'x-inngest-sdk': 'x', 'x-inngest-req-version': '2' },
      }),
    );
  };
}

async function send(server: LocalServer, name: string): Promise<string> {
  const response = await server.routes.request('/e/key', { method: 'POST', body: JSON.stringify({ name, data: {} }) });
  const { ids } = (await response.json()) as { ids: string[] };
  await server.idle();
  return ids[0] as string;
}

async function raw(
  server: LocalServer,
  query: string,
  variables: object = {},
): Promise<{ data: never; errors?: Array<{ message: string }> }> {
  const response = await server.routes.request('/v0/gql', {
    method: 'POST',
    body: JSON.stringify({ query, variables }),
  });
  expect(response.status).toBe(200);
  return response.json() as never;
}

async function ask(server: LocalServer, query: string, variables: object = {}): Promise<never> {
  const { data, errors } = await raw(server, query, variables);
  expect(errors).toBeUndefined();
  return data;
}

const CONFIGURATION = `configuration {
  cancellations { event timeout condition } retries { value isDefault } priority eventsBatch { maxSize timeout key }
  concurrency { scope limit { value isPlanLimit } key } rateLimit { limit period key } debounce { period key }
  throttle { burst key limit period } singleton { key mode } }`;

test('a function shows its policies as it gave them, its failure handler, and its app what its SDK can do', async () => {
  const server = new LocalServer();
  await register(server, [
    {
      id: 'all',
      cancel: [{ event: 'stop', timeout: '90m', if: 'event.data.id == async.data.id' }, { event: 'halt' }],
      priority: { run: 'event.data.priority' },
      concurrency: [{ limit: 3 }, { limit: 5, key: '"x"', scope: 'account' }],
      rateLimit: { limit: 4, period: '1h', key: 'event.data.id' },
      debounce: { period: '5s', key: 'event.data.id' },
      throttle: { limit: 2, period: '1m', burst: 1 },
      singleton: { mode: 'cancel', key: 'event.data.id' },
    },
    { id: 'all-failure', triggers: [{ event: 'inngest/function.failed' }] },
    { id: 'batch', batchEvents: { maxSize: 7, timeout: '30s', key: 'event.data.id' } },
  ]);
  const query = `query ($slug: String!) { functionBySlug(query: { functionSlug: $slug }) {
    failureHandler { slug } ${CONFIGURATION}
    app { sdkFeatureReadiness { aiMetadataExtraction { ready reason } extendedTraces { ready reason } } } } }`;
  expect(await ask(server, query, { slug: 'app-all' })).toEqual({
    functionBySlug: {
      failureHandler: { slug: 'app-all-failure' },
      configuration: {
        cancellations: [
          { event: 'stop', timeout: '1h30m', condition: 'event.data.id == async.data.id' },
          { event: 'halt', timeout: null, condition: null },
        ],
        retries: { value: 4, isDefault: true },
        priority: 'event.data.priority',
        eventsBatch: null,
        concurrency: [
          { scope: 'FUNCTION', limit: { value: 3, isPlanLimit: false }, key: null },
          { scope: 'ACCOUNT', limit: { value: 5, isPlanLimit: false }, key: '"x"' },
        ],
        rateLimit: { limit: 4, period: '1h', key: 'event.data.id' },
        debounce: { period: '5s', key: 'event.data.id' },
        throttle: { burst: 1, key: null, limit: 2, period: '1m' },
        singleton: { key: 'event.data.id', mode: 'CANCEL' },
      },
      app: {
        sdkFeatureReadiness: {
          aiMetadataExtraction: { ready: false, reason: 3 },
          extendedTraces: { ready: true, reason: 1 },
        },
      },
    },
  });
  expect(await ask(server, query, { slug: 'app-batch' })).toMatchObject({
    functionBySlug: {
      failureHandler: null,
      configuration: {
        cancellations: [],
        eventsBatch: { maxSize: 7, timeout: '30s', key: 'event.data.id' },
        concurrency: [{ scope: 'ACCOUNT', limit: { value: -1, isPlanLimit: true }, key: null }],
        rateLimit: null,
        throttle: null,
      },
    },
  });
});

const LINKS = `query ($id: String!) { run(runID: $id) {
  defers { hashedDeferID userlandDeferID fnSlug status function { slug } runID run { id status } }
  siblingDefers { hashedDeferID run { status } }
  deferredFrom { runID function { slug } run { status } } isDeferred } }`;

test('a run and what it deferred lead to each other', async () => {
  const server = new LocalServer();
  const triggers = [{ event: 'inngest/deferred.schedule', expression: 'event.data._inngest.fn_slug == "app-later"' }];
  await register(server, [{ id: 'parent' }, { id: 'later', triggers }]);
  const defer = (id: string, slug: string): object => ({
    op: 'DeferAdd',
    id,
    displayName: `my ${id}`,
    opts: { fn_slug: slug, input: { id } },
  });
  answerBy(server, {
    'app-parent': [
      [
        defer('b', 'app-later'),
        defer('a', 'app-later'),
        defer('c', 'app-nobody'),
        defer('d', 'app-later'),
        { op: 'DeferAbort', id: 'x', opts: { target_hashed_id: 'd' } },
        { op: 'RunComplete', id: 'end', data: 'done' },
      ],
    ],
    'app-later': ['a or b', 'b or a'],
  });
  const event = await send(server, 'parent/go');
  const [parent] = await server.runsOf(event);
  const { run } = (await ask(server, LINKS, { id: (parent as unknown as { run_id: string }).run_id })) as {
    run: { defers: Array<{ runID: string }>; siblingDefers: unknown[]; deferredFrom: unknown[]; isDeferred: boolean };
  };
  expect(run).toMatchObject({
    defers: [
      {
        hashedDeferID: 'a',
        userlandDeferID: 'my a',
        fnSlug: 'app-later',
        status: 'SCHEDULED',
        function: { slug: 'app-later' },
        run: { status: 'COMPLETED' },
      },
      { hashedDeferID: 'b', status: 'SCHEDULED', run: { status: 'COMPLETED' } },
      { hashedDeferID: 'c', fnSlug: 'app-nobody', status: 'SCHEDULED', function: null, runID: null, run: null },
      { hashedDeferID: 'd', status: 'ABORTED', runID: null, run: null },
    ],
    siblingDefers: [],
    deferredFrom: [],
    isDeferred: false,
  });
  expect(run.defers[0]?.runID).not.toBe(run.defers[1]?.runID);
  expect(await ask(server, LINKS, { id: run.defers[0]?.runID as string })).toEqual({
    run: {
      defers: [],
      siblingDefers: [
        { hashedDeferID: 'b', run: { status: 'COMPLETED' } },
        { hashedDeferID: 'c', run: null },
        { hashedDeferID: 'd', run: null },
      ],
      deferredFrom: [
        {
          runID: (parent as unknown as { run_id: string }).run_id,
          function: { slug: 'app-parent' },
          run: { status: 'COMPLETED' },
        },
      ],
      isDeferred: true,
    },
  });
});

const HISTORY = `query ($id: String!) { functionRun(query: { functionRunId: $id }) {
  pendingSteps waitingFor { eventName expression expiryTime }
  history { id type attempt stepName stepType sleep { until } waitForEvent { eventName expression } waitResult { timeout }
  result { durationMS sizeBytes sdkLanguage sdkVersion } } } }`;

interface History {
  functionRun: {
    pendingSteps: number;
    waitingFor: object | null;
    history: Array<{
      id: string;
      type: string;
      stepName: string | null;
      result: { sizeBytes: number; sdkLanguage: string } | null;
    }>;
  };
}

test('the history of a run tells each thing that happened, and what came out of it', async () => {
  const server = new LocalServer();
  await register(server, [{ id: 'fn', retries: 1 }]);
  answerBy(server, {
    'app-fn': [
      [{ op: 'StepError', id: 's1', displayName: 'one', error: { name: 'Error', message: 'once' } }],
      [{ op: 'StepRun', id: 's1', displayName: 'one', data: 1 }],
      [{ op: 'Sleep', id: 's2', displayName: 'nap', name: '1m' }],
      [
        {
          op: 'WaitForEvent',
          id: 's3',
          displayName: 'answer',
          name: 'fn/answer',
          opts: { event: 'fn/answer', timeout: '1h', if: 'async.data.ok' },
        },
      ],
      'end',
    ],
  });
  const event = await send(server, 'fn/go');
  await server.advance(300_000);
  const [{ run_id: id }] = (await server.runsOf(event)) as unknown as [{ run_id: string }];
  const waiting = (await ask(server, HISTORY, { id })) as History;
  expect(waiting.functionRun).toMatchObject({
    pendingSteps: 1,
    waitingFor: { eventName: 'fn/answer', expression: 'async.data.ok' },
  });
  await server.advance(3_600_000);
  const { functionRun } = (await ask(server, HISTORY, { id })) as History;
  expect(functionRun).toMatchObject({ pendingSteps: 0, waitingFor: null });
  expect(functionRun.history.map(({ type, stepName }) => [type, stepName])).toEqual([
    ['FunctionScheduled', null],
    ['FunctionStarted', null],
    ['StepScheduled', 'one'],
    ['StepStarted', 'one'],
    ['StepErrored', 'one'],
    ['StepCompleted', 'one'],
    ['StepSleeping', 'nap'],
    ['StepCompleted', 'nap'],
    ['StepWaiting', 'answer'],
    ['StepCompleted', 'answer'],
    ['FunctionCompleted', null],
  ]);
  expect(functionRun.history[8]).toMatchObject({
    waitForEvent: { eventName: 'fn/answer', expression: 'async.data.ok' },
    waitResult: null,
  });
  expect(functionRun.history[9]).toMatchObject({ waitForEvent: null, waitResult: { timeout: true } });
  const results = functionRun.history.map(({ result }) => result && [result.sizeBytes, result.sdkLanguage]);
  const error = '{"message":"once","name":"Error"}';
  expect(results).toEqual([
    ...[null, null, null, null, [error.length, 'js'], [1, 'js']],
    ...[null, null, null, null, ['"end"'.length, '']],
  ]);
  const output = async (i: number): Promise<unknown> => {
    const { functionRun: one } = (await ask(
      server,
      `query ($id: String!, $item: ULID!) { functionRun(query: { functionRunId: $id }) { historyItemOutput(id: $item) } }`,
      { id, item: functionRun.history[i]?.id },
    )) as { functionRun: { historyItemOutput: string | null } };
    return one.historyItemOutput === null ? null : JSON.parse(one.historyItemOutput);
  };
  expect(await output(0)).toBeNull();
  expect(await output(4)).toMatchObject({ message: 'once' });
  expect(await output(5)).toBe(1);
  expect(await output(10)).toBe('end');
});

test('a field that nobody knows is refused as GraphQL does, and debugging step by step says that it is not served', async () => {
  const server = new LocalServer();
  await register(server, [{ id: 'fn' }]);
  const unknown = await raw(server, '{ functions { id colour } }');
  expect(unknown.errors?.[0]?.message).toBe('Cannot query field "colour" on type "Function".');
  for (const query of [
    'mutation { createDebugSession(input: { functionSlug: "app-fn" }) { debugSessionID } }',
    '{ debugRun(query: { functionSlug: "app-fn" }) { debugTraces { name } } }',
    'mutation { invokeFunction(functionSlug: "app-fn", debugRunID: "01ARZ3NDEKTSV4RRFFQ69G5FAV") }',
  ]) {
    const { errors } = await raw(server, query);
    expect(errors?.[0]?.message).toBe('debugging step by step is not served by this server');
  }
  expect(
    await ask(server, 'mutation { invokeFunction(functionSlug: "app-fn", meta: null, debugRunID: null) }'),
  ).toEqual({ invokeFunction: true });
});

test('a run’s trigger is as old as the id of its event, whatever moment the event speaks of', async () => {
  const server = new LocalServer();
  await register(server, [{ id: 'fn' }]);
  const sent = await server.routes.request('/e/key', {
    method: 'POST',
    headers: { 'x-inngest-event-id-seed': '1700000000000,AAAAAAAAAAAAAA==' },
    body: JSON.stringify({ name: 'fn/go', data: {}, ts: 1_600_000_000_000 }),
  });
  const { ids } = (await sent.json()) as { ids: string[] };
  await server.idle();
  const [run] = (await server.runsOf(ids[0] as string)) as unknown as [{ run_id: string }];
  const query = 'query ($id: String!) { runTrigger(runID: $id) { IDs timestamp } }';
  expect(await ask(server, query, { id: run.run_id })).toEqual({
    runTrigger: { IDs: ids, timestamp: '2023-11-14T22:13:20.000Z' },
  });
});
