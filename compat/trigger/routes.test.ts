import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { Hono } from 'hono';
import type { CellApi, RouteEnv, RouteHost } from '../../core/ports.ts';
import { TestBlobs, TestChannels } from '../../core/testing/channels.ts';
import { TestEngine } from '../../core/testing/harness.ts';
import { NodeSql } from '../../core/testing/node-sql.ts';
import { triggerRoutes, triggerTranslator } from './index.ts';

interface VendorSchema {
  safeParse(value: unknown): { success: boolean; error?: { message: string } };
}

// The schemas with which the vendor's own CLI and SDK check every answer.
const requireFromSdk = createRequire(createRequire(import.meta.url).resolve('@trigger.dev/sdk'));
const load = async (path: string): Promise<Record<string, VendorSchema>> =>
  (await import(pathToFileURL(requireFromSdk.resolve(path)).href)) as Record<string, VendorSchema>;
const api = await load('@trigger.dev/core/v3');
const workers = await load('@trigger.dev/core/v3/workers');

let t: TestEngine;
let app: Hono<RouteEnv>;
let mode: 'dev' | 'production';
let vars: Record<string, string>;
let channels: TestChannels;
let blobs: TestBlobs;

const cell: CellApi = {
  apply: async (commands) => t.engine.apply(commands),
  query: async (query) => t.engine.query(query),
  lease: async (request) => t.engine.lease(request),
  watch: async () => null,
};

beforeEach(() => {
  t = new TestEngine({ sql: new NodeSql(), translators: { trigger: triggerTranslator } });
  mode = 'dev';
  vars = {};
  channels = new TestChannels(() => new NodeSql());
  blobs = new TestBlobs();
  app = new Hono<RouteEnv>();
  app.use(async (c, next) => {
    const host: RouteHost = {
      context: { mode, environment: 'default', serverUrl: 'http://server', wallClockMs: () => Date.now(), vars },
      cell: () => cell,
      channel: channels.of,
      blobs: () => blobs,
      waitUntil: () => {},
      callerIp: '127.0.0.1',
    };
    c.set('host', host);
    await next();
  });
  app.route('/', triggerRoutes());
});

const KEY = 'tr_dev_ref_proj_test';

interface Answer {
  status: number;
  headers: Headers;
  body: unknown;
}

async function send(
  method: string,
  path: string,
  body?: unknown,
  { key = KEY, headers = {} }: { key?: string | null; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const response = await app.request(path, {
    method,
    headers: { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) };
}

function checked<T>(answer: Answer, schema: VendorSchema | undefined, status = 200): T {
  expect(answer.status, JSON.stringify(answer.body)).toBe(status);
  const parsed = schema?.safeParse(answer.body);
  expect(parsed?.success, parsed?.error?.message ?? 'no such schema').toBe(true);
  return answer.body as T;
}

const task = (id: string, more: object = {}): object => ({ id, filePath: 'src/a.ts', entryPoint: 'src/a.ts', ...more });

async function register(tasks: object[] = [task('work')], more: object = {}): Promise<string> {
  const metadata = {
    packageVersion: '4.8.3',
    contentHash: JSON.stringify([tasks, more]).slice(0, 200),
    tasks,
    ...more,
  };
  const answer = await send('POST', '/api/v1/projects/proj_test/background-workers', { localOnly: true, metadata });
  return checked<{ id: string }>(answer, api.CreateBackgroundWorkerResponse).id;
}

async function trigger(id = 'work', options: object = {}, headers: Record<string, string> = {}): Promise<string> {
  const body = { payload: '{"n":1}', options: { payloadType: 'application/json', ...options } };
  return checked<{ id: string }>(
    await send('POST', `/api/v1/tasks/${id}/trigger`, body, { headers }),
    api.TriggerTaskResponse,
  ).id;
}

interface Message {
  snapshot: { friendlyId: string };
  run: { friendlyId: string };
  backgroundWorker: { friendlyId: string; version: string };
}

async function dequeue(worker: string): Promise<Message[]> {
  const answer = await send('POST', '/engine/v1/dev/dequeue', { currentWorker: worker, oldWorkers: [] });
  return checked<{ dequeuedMessages: Message[] }>(answer, api.DevDequeueResponseBody).dequeuedMessages;
}

interface Started {
  snapshot: { friendlyId: string; executionStatus: string };
  run: { attemptNumber: number };
  execution: { run: { payload: string }; attempt: { number: number } };
}

const at = (run: string, snapshot: string, action: string): string =>
  `/engine/v1/dev/runs/${run}/snapshots/${snapshot}/${action}`;

async function begin(message: Message): Promise<Started> {
  const answer = await send('POST', at(message.run.friendlyId, message.snapshot.friendlyId, 'attempts/start'), {
    isWarmStart: false,
  });
  return checked<Started>(answer, workers.WorkloadRunAttemptStartResponseBody);
}

interface Completed {
  result: {
    attemptStatus: string;
    snapshot: { friendlyId: string; executionStatus: string };
    run: { status: string; attemptNumber: number };
  };
}

async function complete(run: string, snapshot: string, completion: object): Promise<Completed['result']> {
  const answer = await send('POST', at(run, snapshot, 'attempts/complete'), { completion: { id: run, ...completion } });
  return checked<Completed>(answer, workers.WorkloadRunAttemptCompleteResponseBody).result;
}

interface Execution {
  snapshot: { friendlyId: string; executionStatus: string };
  run: { status: string; attemptNumber: number | null };
  completedWaitpoints: Array<{
    type: string;
    friendlyId: string;
    index?: number;
    output?: string;
    outputType?: string;
    outputIsError: boolean;
    completedByTaskRun?: { friendlyId: string };
  }>;
}

async function latest(run: string): Promise<Execution> {
  const answer = await send('GET', `/engine/v1/dev/runs/${run}/snapshots/latest`);
  return checked<{ execution: Execution }>(answer, workers.WorkloadRunLatestSnapshotResponseBody).execution;
}

interface Retrieved {
  status: string;
  output?: unknown;
  error?: { message: string };
  attemptCount: number;
  tags: string[];
}

async function retrieve(run: string): Promise<Retrieved> {
  return checked<Retrieved>(await send('GET', `/api/v3/runs/${run}`), api.RetrieveRunResponse);
}

async function running(
  id = 'work',
  options: object = {},
  tasks: object[] = [task(id)],
): Promise<{ run: string; snapshot: string; worker: string }> {
  const worker = await register(tasks);
  const run = await trigger(id, options);
  const [message] = await dequeue(worker);
  const started = await begin(message as Message);
  return { run, snapshot: started.snapshot.friendlyId, worker };
}

const failed = (delay?: number): object => ({
  ok: false,
  error: { type: 'BUILT_IN_ERROR', name: 'Error', message: 'no', stackTrace: '' },
  ...(delay === undefined ? {} : { retry: { timestamp: Date.now() + delay, delay } }),
});
const succeeded = (output: string, outputType = 'application/json'): object => ({ ok: true, output, outputType });

describe('a worker session', () => {
  it('gets answers that the vendor accepts', async () => {
    const pat = { key: 'tr_pat_0123456789' };
    checked(await send('GET', '/api/v2/whoami', undefined, pat), api.WhoAmIResponseSchema);
    const env = checked<{ apiKey: string; apiUrl: string }>(
      await send('GET', '/api/v1/projects/proj_test/dev', undefined, pat),
      api.GetProjectEnvResponse,
    );
    expect(env).toMatchObject({ apiKey: KEY, apiUrl: 'http://server' });
    checked(await send('GET', '/engine/v1/dev/config'), api.DevConfigResponseBody);
    checked(await send('GET', '/api/v1/projects/proj_test/envvars'), api.GetEnvironmentVariablesResponseBody);
    checked(await send('POST', '/engine/v1/dev/disconnect', { runFriendlyIds: [] }), api.DevDisconnectResponseBody);
    expect((await send('POST', '/otel/v1/traces', '{}', { key: null })).body).toEqual({});
  });

  it('keeps its version for the same code and takes the next number for new code', async () => {
    const first = await register();
    expect(await register()).toBe(first);
    const second = await register([task('work'), task('more')]);
    expect(first).toMatch(/^worker_20260101x1x/);
    expect(second).toMatch(/^worker_20260101x2x/);
  });

  it('refuses two tasks of one id', async () => {
    const metadata = { packageVersion: '1', contentHash: 'x', tasks: [task('a'), task('a')] };
    const answer = await send('POST', '/api/v1/projects/proj_test/background-workers', { metadata });
    expect(answer.status).toBe(422);
    expect(answer.body).toMatchObject({ error: expect.stringContaining('Duplicate task id "a"') as string });
  });
});

describe('a run', () => {
  it('goes from the queue through an attempt to its output', async () => {
    const worker = await register();
    const run = await trigger('work', { tags: ['x'] });
    expect(await retrieve(run)).toMatchObject({ status: 'QUEUED', tags: ['x'] });
    const [message] = await dequeue(worker);
    expect(message?.backgroundWorker.friendlyId).toBe(worker);
    expect((await latest(run)).snapshot.executionStatus).toBe('PENDING_EXECUTING');
    const started = await begin(message as Message);
    expect(started).toMatchObject({
      run: { attemptNumber: 1 },
      execution: { run: { payload: '{"n":1}' }, attempt: { number: 1 } },
    });
    expect(await latest(run)).toMatchObject({
      snapshot: started.snapshot.friendlyId ? { executionStatus: 'EXECUTING' } : {},
      run: { status: 'EXECUTING', attemptNumber: 1 },
    });
    expect((await send('POST', at(run, started.snapshot.friendlyId, 'heartbeat'), {})).body).toEqual({ ok: true });
    expect(
      await complete(run, started.snapshot.friendlyId, succeeded('{"json":{"ok":1}}', 'application/super+json')),
    ).toMatchObject({
      attemptStatus: 'RUN_FINISHED',
      run: { status: 'COMPLETED_SUCCESSFULLY', attemptNumber: 1 },
    });
    expect(await retrieve(run)).toMatchObject({ status: 'COMPLETED', output: { ok: 1 }, attemptCount: 1 });
    checked(await send('GET', '/api/v1/runs?filter[taskIdentifier]=work'), api.ListRunResponse);
    checked(await send('GET', `/api/v1/runs/${run}/result`), api.TaskRunExecutionResult);
  });

  it('answers a repeated completion as the first time', async () => {
    const { run, snapshot } = await running();
    await complete(run, snapshot, succeeded('1'));
    expect((await complete(run, snapshot, succeeded('1'))).attemptStatus).toBe('RUN_FINISHED');
  });

  it('keeps a short retry with its worker and shows the old number until the attempt starts', async () => {
    const { run, snapshot, worker } = await running('work', {}, [task('work', { retry: { maxAttempts: 3 } })]);
    const result = await complete(run, snapshot, failed(1_000));
    expect(result).toMatchObject({
      attemptStatus: 'RETRY_IMMEDIATELY',
      snapshot: { executionStatus: 'PENDING_EXECUTING' },
      run: { attemptNumber: 1 },
    });
    expect(await complete(run, snapshot, failed(1_000))).toMatchObject({ attemptStatus: 'RETRY_IMMEDIATELY' });
    expect(await dequeue(worker)).toEqual([]);
    expect(await latest(run)).toMatchObject({
      snapshot: { friendlyId: result.snapshot.friendlyId },
      run: { attemptNumber: 1 },
    });
    expect(result.snapshot.friendlyId > snapshot).toBe(true);
    const started = checked<Started>(
      await send('POST', at(run, result.snapshot.friendlyId, 'attempts/start'), {}),
      workers.WorkloadRunAttemptStartResponseBody,
    );
    expect(started.execution.attempt.number).toBe(2);
    expect(await latest(run)).toMatchObject({ run: { attemptNumber: 2 }, snapshot: { executionStatus: 'EXECUTING' } });
  });

  it('gives a long retry back to the queue', async () => {
    const { run, snapshot, worker } = await running('work', {}, [task('work', { retry: { maxAttempts: 3 } })]);
    expect(await complete(run, snapshot, failed(45_000))).toMatchObject({ attemptStatus: 'RETRY_QUEUED' });
    expect(await dequeue(worker)).toEqual([]);
    t.advance(45_000);
    const [message] = await dequeue(worker);
    expect((await begin(message as Message)).execution.attempt.number).toBe(2);
    expect((await retrieve(run)).attemptCount).toBe(2);
  });

  it('has failed without retry settings, with the error as the API shows it', async () => {
    const { run, snapshot } = await running();
    expect(await complete(run, snapshot, failed(1_000))).toMatchObject({
      attemptStatus: 'RUN_FINISHED',
      run: { status: 'COMPLETED_WITH_ERRORS' },
    });
    expect(await retrieve(run)).toMatchObject({ status: 'FAILED', error: { message: 'no' } });
  });

  it.each([
    ['MAX_DURATION_EXCEEDED', 'TIMED_OUT'],
    ['TASK_PROCESS_OOM_KILLED', 'CRASHED'],
    ['COULD_NOT_FIND_EXECUTOR', 'SYSTEM_FAILURE'],
    ['TASK_RUN_CANCELLED', 'CANCELED'],
  ])('ends with %s as %s', async (code, status) => {
    const { run, snapshot } = await running('work', {}, [task('work', { retry: { maxAttempts: 3 } })]);
    await complete(run, snapshot, { ok: false, error: { type: 'INTERNAL_ERROR', code } });
    expect((await retrieve(run)).status).toBe(status);
  });

  it('refuses an attempt that another one has overtaken', async () => {
    const { run, snapshot } = await running();
    await send('POST', `/api/v2/runs/${run}/cancel`);
    await complete(run, snapshot, { ok: false, error: { type: 'INTERNAL_ERROR', code: 'TASK_RUN_CANCELLED' } });
    expect((await send('POST', at(run, snapshot, 'attempts/start'), {})).status).toBe(400);
    expect((await send('POST', at(run, snapshot, 'heartbeat'), {})).status).toBe(400);
    expect((await send('POST', at(run, 'snapshot_nonsense', 'attempts/start'), {})).status).toBe(400);
  });

  it('waits for its worker when cancelled, and not longer than a minute', async () => {
    const { run } = await running();
    expect((await send('POST', `/api/v2/runs/${run}/cancel`)).status).toBe(200);
    expect(await latest(run)).toMatchObject({
      snapshot: { executionStatus: 'PENDING_CANCEL' },
      run: { status: 'CANCELED' },
    });
    expect((await retrieve(run)).status).toBe('CANCELED');
    t.advance(60_000);
    expect((await latest(run)).snapshot.executionStatus).toBe('FINISHED');
  });

  it('expires when nobody takes it', async () => {
    await register();
    const run = await trigger();
    t.advance(600_000);
    expect((await retrieve(run)).status).toBe('EXPIRED');
  });
});

describe('waits', () => {
  it('show as a status while they are open and as completed waitpoints after', async () => {
    const { run } = await running();
    const wait = await send('POST', `/engine/v1/runs/${run}/wait/duration`, {
      date: new Date(Date.now() + 60_000).toISOString(),
    });
    const { waitpoint } = checked<{ waitpoint: { id: string } }>(wait, api.WaitForDurationResponseBody);
    expect((await latest(run)).snapshot.executionStatus).toBe('EXECUTING_WITH_WAITPOINTS');
    t.advance(60_100);
    expect(await latest(run)).toMatchObject({
      snapshot: { executionStatus: 'EXECUTING' },
      completedWaitpoints: [{ type: 'DATETIME', friendlyId: waitpoint.id, outputIsError: false }],
    });
  });

  it('give a parent its child, with the type of the output', async () => {
    const { run, worker } = await running();
    const child = await trigger('work', { parentRunId: run, resumeParentOnCompletion: true });
    expect((await latest(run)).snapshot.executionStatus).toBe('EXECUTING_WITH_WAITPOINTS');
    const started = await begin((await dequeue(worker))[0] as Message);
    await complete(child, started.snapshot.friendlyId, succeeded('plain', 'text/plain'));
    expect((await latest(run)).completedWaitpoints).toMatchObject([
      { type: 'RUN', completedByTaskRun: { friendlyId: child }, output: 'plain', outputType: 'text/plain' },
    ]);
  });

  it('answer a repeated triggerAndWait with the same child, and wait once', async () => {
    const { run } = await running();
    const headers = { 'x-trigger-request-idempotency-key': 'again' };
    const options = { parentRunId: run, resumeParentOnCompletion: true };
    const child = await trigger('work', options, headers);
    expect(await trigger('work', options, headers)).toBe(child);
    expect(t.engine.query({ type: 'run-detail', run: run.slice(4).toUpperCase() })?.pending.length).toBe(2);
  });

  it('block on the finished run of an idempotency key without starting another', async () => {
    const { run, worker } = await running();
    const first = await trigger('work', { idempotencyKey: 'k' });
    await complete(first, (await begin((await dequeue(worker))[0] as Message)).snapshot.friendlyId, succeeded('7'));
    const second = await trigger('work', { idempotencyKey: 'k', parentRunId: run, resumeParentOnCompletion: true });
    expect(second).toBe(first);
    expect((await latest(run)).completedWaitpoints).toMatchObject([{ output: '7' }]);
  });

  it('of an earlier attempt do not hold a later one', async () => {
    const { run, snapshot } = await running('work', {}, [task('work', { retry: { maxAttempts: 3 } })]);
    await send('POST', `/engine/v1/runs/${run}/wait/duration`, {
      date: new Date(Date.now() + 3_600_000).toISOString(),
    });
    const { snapshot: next } = await complete(run, snapshot, failed(100));
    await send('POST', at(run, next.friendlyId, 'attempts/start'), {});
    expect((await latest(run)).snapshot.executionStatus).toBe('EXECUTING');
  });
});

describe('batches', () => {
  const lines = (...items: object[]): string => items.map((item) => JSON.stringify(item)).join('\n');

  it('are made in two phases, sealed when complete, and give a waiting parent each result at its place', async () => {
    const { run, worker } = await running();
    const created = await send('POST', '/api/v3/batches', {
      runCount: 2,
      parentRunId: run,
      resumeParentOnCompletion: true,
    });
    const batch = checked<{ id: string }>(created, api.CreateBatchResponse, 202).id;
    const first = await send('POST', `/api/v3/batches/${batch}/items`, lines({ index: 1, task: 'work', payload: '1' }));
    expect(checked(first, api.StreamBatchItemsResponse)).toMatchObject({
      sealed: false,
      enqueuedCount: 1,
      expectedCount: 2,
    });
    const all = await send(
      'POST',
      `/api/v3/batches/${batch}/items`,
      lines({ index: 0, task: 'work', payload: '0' }, { index: 1, task: 'work', payload: '1' }),
    );
    expect(checked(all, api.StreamBatchItemsResponse)).toMatchObject({ sealed: true });
    for (const message of await dequeue(worker)) {
      const started = await begin(message);
      await complete(
        message.run.friendlyId,
        started.snapshot.friendlyId,
        succeeded(`"${started.execution.run.payload}"`),
      );
    }
    const { completedWaitpoints } = await latest(run);
    expect(completedWaitpoints.map(({ index, output }) => [index, output]).sort()).toEqual([
      [0, '"0"'],
      [1, '"1"'],
    ]);
    const found = await send('GET', `/api/v2/batches/${batch}`);
    expect(checked<{ runs: string[] }>(found, api.RetrieveBatchV2Response)).toMatchObject({
      status: 'COMPLETED',
      runCount: 2,
    });
  });

  it('report an item that cannot be triggered, also to the parent', async () => {
    const { run } = await running();
    const created = await send('POST', '/api/v3/batches', {
      runCount: 1,
      parentRunId: run,
      resumeParentOnCompletion: true,
    });
    const { id } = created.body as { id: string };
    await send(
      'POST',
      `/api/v3/batches/${id}/items`,
      lines({ index: 0, task: 'work', payload: '0', options: { delay: 'soonish' } }),
    );
    expect((await send('GET', `/api/v2/batches/${id}`)).body).toMatchObject({
      status: 'ABORTED',
      processing: { errors: [{ index: 0, taskIdentifier: 'work' }] },
    });
    expect((await latest(run)).completedWaitpoints).toMatchObject([{ index: 0, outputIsError: true }]);
  });
});

describe('wait tokens', () => {
  it("are completed once, with the vendor's answers", async () => {
    const created = checked<{ id: string }>(
      await send('POST', '/api/v1/waitpoints/tokens', { timeout: '1h' }),
      api.CreateWaitpointTokenResponseBody,
    );
    expect(created).toMatchObject({ isCached: false });
    const { run } = await running();
    expect((await send('POST', `/engine/v1/runs/${run}/waitpoints/tokens/${created.id}/wait`)).body).toEqual({
      success: true,
    });
    await send('POST', `/api/v1/waitpoints/tokens/${created.id}/complete`, { data: { a: 1 } });
    await send('POST', `/api/v1/waitpoints/tokens/${created.id}/complete`, { data: { a: 2 } });
    expect((await latest(run)).completedWaitpoints).toMatchObject([
      { type: 'MANUAL', output: '{"a":1}', outputType: 'application/json' },
    ]);
    checked(await send('GET', `/api/v1/waitpoints/tokens/${created.id}`), api.WaitpointRetrieveTokenResponse);
  });
});

describe('tags', () => {
  it('added to a run are shown, found and bounded', async () => {
    const { run } = await running('work', { tags: ['given'] });
    expect((await send('POST', `/api/v1/runs/${run}/tags`, { tags: ['later', 'given'] })).status).toBe(200);
    expect((await send('POST', `/api/v1/runs/${run}/tags`, { tags: 'single' })).status).toBe(200);
    expect((await retrieve(run)).tags).toEqual(['given', 'later', 'single']);
    const list = await send('GET', '/api/v1/runs?filter[tag]=later');
    expect((list.body as { data: unknown[] }).data.length).toBe(1);
    const many = Array.from({ length: 8 }, (_, i) => `t${i}`);
    expect((await send('POST', `/api/v1/runs/${run}/tags`, { tags: many })).status).toBe(422);
  });
});

describe('one-time tokens', () => {
  it('start one run, and answer it again to a network retry', async () => {
    await register();
    const made = await send('POST', '/api/v1/auth/public-tokens', { scopes: ['trigger:tasks:work'], oneTimeUse: true });
    const { token } = made.body as { token: string };
    const once = (key: string): Promise<Answer> =>
      send(
        'POST',
        '/api/v1/tasks/work/trigger',
        { payload: '1' },
        { key: token, headers: { 'x-trigger-request-idempotency-key': key } },
      );
    const first = await once('a');
    expect(first.status).toBe(200);
    expect((await once('a')).body).toEqual(first.body);
    expect((await once('b')).status).toBe(401);
  });
});

describe('bad requests', () => {
  it.each([
    ['GET', '/api/v2/whoami'],
    ['POST', '/api/v1/tasks/work/trigger'],
    ['POST', '/engine/v1/dev/dequeue'],
    ['GET', '/api/v1/runs'],
  ])('%s %s without or with an unknown key is 401', async (method, path) => {
    for (const key of [null, 'nonsense', 'tr_xx_abc', 'a.b.c']) {
      const answer = await send(method, path, method === 'POST' ? {} : undefined, { key });
      expect(answer.status).toBe(401);
      expect(answer.body).toMatchObject({ error: expect.any(String) as string });
    }
  });

  it('in production mode only the configured keys count', async () => {
    mode = 'production';
    vars = { TRIGGER_SECRET_KEY: 'tr_prod_right', TRIGGER_ACCESS_TOKEN: 'tr_pat_right' };
    expect((await send('GET', '/engine/v1/dev/config', undefined, { key: 'tr_prod_wrong' })).status).toBe(401);
    expect((await send('GET', '/engine/v1/dev/config', undefined, { key: 'tr_prod_right' })).status).toBe(200);
    expect((await send('GET', '/api/v2/whoami', undefined, { key: 'tr_pat_right' })).status).toBe(200);
    expect((await send('GET', '/api/v1/projects/p/dev', undefined, { key: 'tr_pat_right' })).body).toMatchObject({
      apiKey: 'tr_prod_right',
    });
  });

  it.each([
    ['not json', '{'],
    ['an array', '[]'],
    ['a wrong type', '{"options":{"tags":7}}'],
    ['a long tag', JSON.stringify({ options: { tags: ['x'.repeat(129)] } })],
    ['a bad maxAttempts', '{"options":{"maxAttempts":0}}'],
  ])('a trigger with %s is 400 and starts nothing', async (_name, body) => {
    await register();
    const answer = await send('POST', '/api/v1/tasks/work/trigger', body);
    expect(answer.status).toBe(400);
    expect(t.engine.query({ type: 'runs' }).items).toEqual([]);
  });

  it.each([
    [{ delay: 'soon' }, 422],
    [{ ttl: 'sometimes' }, 422],
    [{ tags: Array.from({ length: 11 }, (_, i) => `t${i}`) }, 422],
    [{ parentRunId: 'run_nonsense' }, 422],
    [{ parentRunId: 'run_01h00000000000000000000000', resumeParentOnCompletion: true }, 422],
    [{ debounce: { key: 'k', delay: 'soon' } }, 422],
  ])('the option %j is refused with %i', async (options, status) => {
    await register();
    const answer = await send('POST', '/api/v1/tasks/work/trigger', { payload: 'x', options });
    expect(answer.status).toBe(status);
    expect(t.engine.query({ type: 'runs' }).items).toEqual([]);
  });

  it('an unknown run, batch or token is 404', async () => {
    await register();
    const missing = 'run_01h00000000000000000000000';
    for (const [method, path] of [
      ['GET', `/api/v3/runs/${missing}`],
      ['GET', '/api/v3/runs/run_x'],
      ['POST', `/api/v2/runs/${missing}/cancel`],
      ['GET', `/engine/v1/dev/runs/${missing}/snapshots/latest`],
      ['GET', '/api/v2/batches/batch_x'],
      ['GET', '/api/v1/waitpoints/tokens/waitpoint_x'],
      ['GET', `/api/v1/runs/${missing}/metadata`],
    ] as const)
      expect((await send(method, path, method === 'POST' ? {} : undefined)).status, path).toBe(404);
  });

  it('a body over the limit is 413', async () => {
    await register();
    const answer = await send('POST', '/api/v1/tasks/work/trigger', JSON.stringify({ payload: 'x'.repeat(5_000_000) }));
    expect(answer.status).toBe(413);
  });

  it.each([
    ['GET', '/api/v1/prompts'],
    ['GET', '/api/v1/queues/x/y/z'],
    ['POST', '/api/v1/sessions'],
    ['GET', '/realtime/v1/sessions/s/out'],
  ])('%s %s is not served: 501, and the client is told not to try again', async (method, path) => {
    const answer = await send(method, path);
    expect(answer.status).toBe(501);
    expect(answer.body).toMatchObject({ code: 'not_served' });
    expect(answer.headers.get('x-should-retry')).toBe('false');
  });

  it('browsers may call, and read the token header', async () => {
    const preflight = await app.request('/api/v1/tasks/work/trigger', {
      method: 'OPTIONS',
      headers: {
        origin: 'http://app',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,x-trigger-client',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('x-trigger-client');
    await register();
    const answer = await send(
      'POST',
      '/api/v1/tasks/work/trigger',
      { payload: '1' },
      { headers: { origin: 'http://app' } },
    );
    expect(answer.headers.get('access-control-expose-headers')).toContain('x-trigger-jwt');
    expect(answer.headers.get('x-trigger-jwt')?.split('.').length).toBe(3);
  });
});
