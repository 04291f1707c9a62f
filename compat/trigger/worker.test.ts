import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Hono } from 'hono';
import { beforeEach, describe, expect, it } from 'vitest';
import type { RouteEnv } from '../../core/ports.ts';
import { TestEngine } from '../../core/testing/harness.ts';
import { NodeSql } from '../../core/testing/node-sql.ts';
import { testCell, testHost } from '../../core/testing/route-host.ts';
import { triggerRoutes, triggerTranslator } from './index.ts';

// A worker that speaks the wire by hand: what each of its words does to a run, and what no worker may do.

const requireFromSdk = createRequire(createRequire(import.meta.url).resolve('@trigger.dev/sdk'));
const schemas = (await import(pathToFileURL(requireFromSdk.resolve('@trigger.dev/core/v3/workers')).href)) as Record<
  string,
  { safeParse(value: unknown): { success: boolean; error?: { message: string } } }
>;

const KEY = 'tr_dev_ref_proj_test';
/** As the server's (routes/dequeue.ts, routes/heartbeat.ts). */
const START_WITHIN_MS = 60_000;
const HEARTBEAT_TIMEOUT_MS = 300_000;

let t: TestEngine;
let app: Hono<RouteEnv>;

beforeEach(() => {
  t = new TestEngine({ sql: new NodeSql(), translators: { trigger: triggerTranslator } });
  const serverUrl = 'http://server';
  const context = { mode: 'dev', environment: 'default', serverUrl, wallClockMs: () => t.nowMs, vars: {} } as const;
  const host = testHost(context, testCell(t.engine));
  app = new Hono<RouteEnv>();
  app.use(async (c, next) => {
    c.set('host', host);
    await next();
  });
  app.route('/', triggerRoutes());
});

async function send<T = Record<string, unknown>>(
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: T }> {
  const response = await app.request(path, {
    method,
    headers: { authorization: `Bearer ${KEY}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as T };
}

const RETRY = { maxAttempts: 3, minTimeoutInMs: 1_000, factor: 1, randomize: false };

async function registerBuild(build: string, tasks: object[] = [{ id: 'work', retry: RETRY }]): Promise<string> {
  const metadata = {
    packageVersion: '4.8.3',
    contentHash: build,
    tasks: tasks.map((task) => ({ filePath: 'a.ts', entryPoint: 'a.ts', ...task })),
  };
  const { body } = await send<{ id: string }>('POST', '/api/v1/projects/proj_test/background-workers', { metadata });
  return body.id;
}

async function trigger(options: object = {}, id = 'work'): Promise<string> {
  const answer = await send<{ id: string }>('POST', `/api/v1/tasks/${id}/trigger`, {
    payload: '{}',
    options: { payloadType: 'application/json', ...options },
  });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body.id;
}

interface Message {
  snapshot: { friendlyId: string };
  run: { friendlyId: string; machine: { name: string }; attemptNumber: number };
  backgroundWorker: { friendlyId: string; version: string };
}

async function dequeue(): Promise<Message | undefined> {
  return (await dequeueAll())[0];
}

async function dequeueAll(): Promise<Message[]> {
  const { body } = await send<{ dequeuedMessages: Message[] }>('POST', '/engine/v1/dev/dequeue', {
    currentWorker: 'worker_any',
    oldWorkers: [],
  });
  return body.dequeuedMessages;
}

function at({ run, snapshot }: Message, action: string, method = 'POST', body: unknown = {}): ReturnType<typeof send> {
  return send(
    method,
    `/engine/v1/dev/runs/${run.friendlyId}/snapshots/${snapshot.friendlyId}/${action}`,
    method === 'GET' ? undefined : body,
  );
}

async function complete(message: Message, completion: object): Promise<{ attemptStatus: string }> {
  const { body } = await at(message, 'attempts/complete', 'POST', {
    completion: { id: message.run.friendlyId, ...completion },
  });
  return (body as { result: { attemptStatus: string } }).result;
}

const internal = (code: string, message = ''): object => ({
  ok: false,
  error: { type: 'INTERNAL_ERROR', code, message },
});

async function status(run: string): Promise<Record<string, unknown>> {
  return (await send('GET', `/api/v3/runs/${run}`)).body;
}

async function since(message: Message): Promise<Array<{ snapshot: { friendlyId: string; executionStatus: string } }>> {
  const { body } = await send(
    'GET',
    `/engine/v1/dev/runs/${message.run.friendlyId}/snapshots/since/${message.snapshot.friendlyId}`,
  );
  const parsed = schemas.WorkloadRunSnapshotsSinceResponseBody?.safeParse(body);
  expect(parsed?.success, parsed?.error?.message).toBe(true);
  return (body as { snapshots: Array<{ snapshot: { friendlyId: string; executionStatus: string } }> }).snapshots;
}

describe('a stalled worker', () => {
  it('that never starts the run: it is handed out again, twelve times in all, then it is the system that failed', async () => {
    await registerBuild('a');
    const run = await trigger({ ttl: 0 });
    for (let i = 0; i < 12; i++) {
      expect((await dequeue())?.run).toMatchObject({ friendlyId: run, attemptNumber: 1 });
      expect(await dequeue()).toBeUndefined();
      t.advance(START_WITHIN_MS);
    }
    expect(await status(run)).toMatchObject({
      status: 'SYSTEM_FAILURE',
      error: { name: 'TASK_RUN_DEQUEUED_MAX_RETRIES' },
    });
  });

  it('whose heartbeats end is gone, and in development its run with it; heartbeats keep it', async () => {
    await registerBuild('a');
    const run = await trigger({ ttl: 0 });
    const message = (await dequeue()) as Message;
    await at(message, 'attempts/start');
    for (let i = 0; i < 5; i++) {
      t.advance(HEARTBEAT_TIMEOUT_MS - 1);
      expect((await at(message, 'heartbeat')).status).toBe(200);
    }
    t.advance(HEARTBEAT_TIMEOUT_MS);
    expect(await status(run)).toMatchObject({ status: 'CANCELED' });
    expect((await at(message, 'heartbeat')).status).toBe(400);
    expect((await complete(message, { ok: true, output: '1', outputType: 'application/json' })).attemptStatus).toBe(
      'RUN_FINISHED',
    );
    expect(await status(run)).toMatchObject({ status: 'CANCELED' });
  });

  it('that asks what has happened since learns that its run was queued and taken by another', async () => {
    await registerBuild('a');
    await trigger({ ttl: 0 });
    const lost = (await dequeue()) as Message;
    expect(await since(lost)).toEqual([]);
    t.advance(START_WITHIN_MS);
    const next = (await dequeue()) as Message;
    await at(next, 'attempts/start');
    const seen = await since(lost);
    expect(seen.map(({ snapshot }) => snapshot.executionStatus)).toEqual(['QUEUED', 'EXECUTING']);
    const ids = [lost.snapshot.friendlyId, ...seen.map(({ snapshot }) => snapshot.friendlyId)];
    expect(ids.toSorted()).toEqual(ids);
    expect((await at(lost, 'attempts/start')).status).toBe(400);
  });
});

describe('an attempt that runs out of memory', () => {
  const killed = internal('TASK_PROCESS_OOM_KILLED');
  const task = { id: 'work', machine: { preset: 'micro' }, retry: { ...RETRY, outOfMemory: { machine: 'large-1x' } } };

  it('is made again on the larger machine, once; the attempts after it stay there', async () => {
    await registerBuild('a', [task]);
    const run = await trigger();
    const first = (await dequeue()) as Message;
    expect(first.run.machine.name).toBe('micro');
    await at(first, 'attempts/start');
    expect((await complete(first, killed)).attemptStatus).toBe('RETRY_QUEUED');
    t.advance(1_000);
    const second = (await dequeue()) as Message;
    expect(second.run).toMatchObject({ attemptNumber: 2, machine: { name: 'large-1x', memory: 8 } });
    const { body } = await at(second, 'attempts/start');
    expect(body).toMatchObject({
      execution: { machine: { name: 'large-1x' }, attempt: { number: 2 } },
      envVars: { TRIGGER_MACHINE_PRESET: 'large-1x' },
    });
    expect((await complete(second, killed)).attemptStatus).toBe('RUN_FINISHED');
    expect(await status(run)).toMatchObject({ status: 'CRASHED', attemptCount: 2 });
  });

  it.each([
    ['a task without a larger machine', { id: 'work', retry: RETRY }],
    ['a run that is on it already', { ...task, machine: { preset: 'large-1x' } }],
  ])('is the end of %s', async (_, only) => {
    await registerBuild('a', [only]);
    const run = await trigger();
    const message = (await dequeue()) as Message;
    await at(message, 'attempts/start');
    expect((await complete(message, killed)).attemptStatus).toBe('RUN_FINISHED');
    expect(await status(run)).toMatchObject({ status: 'CRASHED', attemptCount: 1 });
  });

  it.each([
    internal('TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE', 'Process exited with code -1 after signal SIGKILL.'),
    { ok: false, error: { type: 'BUILT_IN_ERROR', name: 'Error', message: 'MANUAL_OOM_KILL_ERROR', stackTrace: '' } },
  ])('is known in its other forms: %j', async (completion) => {
    await registerBuild('a', [task]);
    await trigger();
    const message = (await dequeue()) as Message;
    await at(message, 'attempts/start');
    expect((await complete(message, completion)).attemptStatus).toBe('RETRY_QUEUED');
  });
});

describe('a build', () => {
  it('ties the runs that are taken while it is current, their retries and the children they lock to it', async () => {
    const [old, oldVersion] = [await registerBuild('a'), '20260101.1'];
    const run = await trigger();
    expect(await status(run)).not.toHaveProperty('version');
    const first = (await dequeue()) as Message;
    expect(first.backgroundWorker).toMatchObject({ friendlyId: old, version: oldVersion });
    const fresh = await registerBuild('b');
    await at(first, 'attempts/start');
    await complete(first, internal('TASK_PROCESS_SIGTERM'));
    const child = await trigger({ lockToVersion: oldVersion });
    const free = await trigger();
    t.advance(1_000);
    const taken = await dequeueAll();
    const builds = new Map(taken.map((message) => [message.run.friendlyId, message.backgroundWorker.friendlyId]));
    expect([builds.get(run), builds.get(child), builds.get(free)]).toEqual([old, old, fresh]);
    expect(await status(run)).toMatchObject({ version: oldVersion });
    expect(await status(free)).toMatchObject({ version: '20260101.2' });
    const list = await send<{ data: Array<{ id: string }> }>('GET', `/api/v1/runs?filter[version]=${oldVersion}`);
    expect(list.body.data.map(({ id }) => id).toSorted()).toEqual([run, child].toSorted());
  });

  it('refuses a trigger that locks to it without the task; a version that never was locks nothing', async () => {
    await registerBuild('a', [{ id: 'other' }]);
    await registerBuild('b', [{ id: 'work' }]);
    const refused = await send('POST', '/api/v1/tasks/work/trigger', {
      payload: '',
      options: { lockToVersion: '20260101.1' },
    });
    expect(refused).toMatchObject({ status: 422, body: { error: expect.stringContaining('20260101.1') } });
    const run = await trigger({ lockToVersion: '20200101.1' });
    expect((await dequeue())?.run.friendlyId).toBe(run);
  });

  it('refuses a queue that no build declares to a run that is locked to it, and to no other', async () => {
    await registerBuild('a', [{ id: 'work', queue: { name: 'own' } }]);
    const lockToVersion = '20260101.1';
    const options = { lockToVersion, queue: { name: 'elsewhere' } };
    const refused = await send('POST', '/api/v1/tasks/work/trigger', { payload: '1', options });
    expect(refused).toMatchObject({ status: 422, body: { error: expect.stringContaining("'elsewhere' not found") } });
    await trigger({ lockToVersion, queue: { name: 'own' } });
    await trigger({ queue: { name: 'elsewhere' } });
  });

  it('of a development session is no deployment: the name of one ties no run to anything', async () => {
    await registerBuild('a');
    expect(await status(await trigger({ externalDeploymentId: 'some-commit' }))).toMatchObject({ status: 'QUEUED' });
  });

  it('takes the runs that waited for a task it brings: they were pending a version, and did not expire', async () => {
    await registerBuild('a', [{ id: 'other' }]);
    const run = await trigger({ ttl: '1m' });
    t.advance(3_600_000);
    expect(await status(run)).toMatchObject({ status: 'PENDING_VERSION', isQueued: true });
    expect(await dequeue()).toBeUndefined();
    const worker = await registerBuild('b');
    expect(await status(run)).toMatchObject({ status: 'QUEUED' });
    const message = (await dequeue()) as Message;
    expect(message).toMatchObject({ run: { friendlyId: run }, backgroundWorker: { friendlyId: worker } });
    await at(message, 'attempts/start');
    await complete(message, { ok: true, output: '7', outputType: 'application/json' });
    expect(await status(run)).toMatchObject({ status: 'COMPLETED', output: 7 });
  });

  it('gives the runs that waited for its task what that says: the queue with its bound, its machine, its limits', async () => {
    const early = await trigger({ maxDuration: 9 });
    const other = await trigger({ queue: { name: 'wide' }, machine: 'large-1x', concurrencyKey: 'k' });
    const late = await trigger();
    await send('POST', '/api/v1/projects/proj_test/background-workers', {
      metadata: {
        packageVersion: '4.8.3',
        contentHash: 'a',
        queues: [
          { name: 'narrow', concurrencyLimit: 1 },
          { name: 'wide', concurrencyLimit: 5 },
        ],
        tasks: [
          { id: 'work', filePath: 'a.ts', queue: { name: 'narrow' }, machine: { preset: 'micro' }, maxDuration: 30 },
        ],
      },
    });
    const taken = await dequeueAll();
    expect(taken.map(({ run }) => [run.friendlyId, run.machine.name])).toEqual([
      [early, 'micro'],
      [other, 'large-1x'],
    ]);
    const [first] = taken as [Message];
    expect((await at(first, 'attempts/start')).body).toMatchObject({
      execution: { queue: { name: 'narrow' }, run: { maxDuration: 9 }, environment: { id: 'env_default' } },
    });
    expect(await dequeueAll()).toEqual([]);
    await complete(first, { ok: true, output: '1', outputType: 'application/json' });
    expect((await dequeueAll()).map(({ run }) => run.friendlyId)).toEqual([late]);
  });

  it('names the queue of a run by the id under which that is found', async () => {
    await registerBuild('a');
    await trigger();
    const { body } = await at((await dequeue()) as Message, 'attempts/start');
    const { id, name } = (body as { execution: { queue: { id: string; name: string } } }).execution.queue;
    expect(name).toBe('task/work');
    expect(await send('GET', `/api/v1/queues/${id}`)).toMatchObject({ status: 200, body: { id, name: 'work' } });
  });

  it('that has a task no more lets its queued runs wait for one that has', async () => {
    await registerBuild('a');
    const run = await trigger({ ttl: 0 });
    await registerBuild('b', [{ id: 'other' }]);
    expect(await dequeue()).toBeUndefined();
    expect(await status(run)).toMatchObject({ status: 'PENDING_VERSION' });
    await registerBuild('c');
    expect((await dequeue())?.backgroundWorker.version).toBe('20260101.3');
  });
});
