import { beforeEach, expect } from 'vitest';
import { Hono } from 'hono';
import type { RouteEnv } from '../../../core/ports.ts';
import { TestBlobs, TestChannels } from '../../../core/testing/channels.ts';
import { TestEngine } from '../../../core/testing/harness.ts';
import { NodeSql } from '../../../core/testing/node-sql.ts';
import { testCell, testHost } from '../../../core/testing/route-host.ts';
import { triggerRoutes, triggerTranslator } from '../index.ts';
import { api, type VendorSchema, workers } from './vendor-schemas.ts';

export let t: TestEngine;
export let app: Hono<RouteEnv>;
export let mode: 'dev' | 'production';
export let vars: Record<string, string>;
export let channels: TestChannels;
export let blobs: TestBlobs;

beforeEach(() => {
  t = new TestEngine({ sql: new NodeSql(), translators: { trigger: triggerTranslator } });
  mode = 'dev';
  vars = {};
  channels = new TestChannels(() => new NodeSql());
  blobs = new TestBlobs();
  app = new Hono<RouteEnv>();
  app.use(async (c, next) => {
    const serverUrl = 'http://server';
    const context = { mode, environment: 'default', serverUrl, wallClockMs: () => Date.now(), vars };
    c.set('host', testHost(context, testCell(t.engine), { channels, blobs }));
    await next();
  });
  app.route('/', triggerRoutes());
});

export const KEY = 'tr_dev_ref_proj_test';

export interface Answer {
  status: number;
  headers: Headers;
  body: unknown;
}

export async function send(
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

export function checked<T>(answer: Answer, schema: VendorSchema | undefined, status = 200): T {
  expect(answer.status, JSON.stringify(answer.body)).toBe(status);
  const parsed = schema?.safeParse(answer.body);
  expect(parsed?.success, parsed?.error?.message ?? 'no such schema').toBe(true);
  return answer.body as T;
}

export const task = (id: string, more: object = {}): object => ({
  id,
  filePath: 'src/a.ts',
  entryPoint: 'src/a.ts',
  ...more,
});

export async function register(tasks: object[] = [task('work')], more: object = {}): Promise<string> {
  const metadata = {
    packageVersion: '4.8.3',
    contentHash: JSON.stringify([tasks, more]).slice(0, 200),
    tasks,
    ...more,
  };
  const answer = await send('POST', '/api/v1/projects/proj_test/background-workers', { localOnly: true, metadata });
  return checked<{ id: string }>(answer, api.CreateBackgroundWorkerResponse).id;
}

export async function trigger(
  id = 'work',
  options: object = {},
  headers: Record<string, string> = {},
): Promise<string> {
  const body = { payload: '{"n":1}', options: { payloadType: 'application/json', ...options } };
  return checked<{ id: string }>(
    await send('POST', `/api/v1/tasks/${id}/trigger`, body, { headers }),
    api.TriggerTaskResponse,
  ).id;
}

export interface Message {
  snapshot: { friendlyId: string };
  run: { friendlyId: string };
  backgroundWorker: { friendlyId: string; version: string };
}

export async function dequeue(worker: string): Promise<Message[]> {
  const answer = await send('POST', '/engine/v1/dev/dequeue', { currentWorker: worker, oldWorkers: [] });
  return checked<{ dequeuedMessages: Message[] }>(answer, api.DevDequeueResponseBody).dequeuedMessages;
}

export interface Started {
  snapshot: { friendlyId: string; executionStatus: string };
  run: { attemptNumber: number };
  execution: { run: { payload: string }; attempt: { number: number } };
}

export const at = (run: string, snapshot: string, action: string): string =>
  `/engine/v1/dev/runs/${run}/snapshots/${snapshot}/${action}`;

export async function begin(message: Pick<Message, 'run' | 'snapshot'>): Promise<Started> {
  const answer = await send('POST', at(message.run.friendlyId, message.snapshot.friendlyId, 'attempts/start'), {
    isWarmStart: false,
  });
  return checked<Started>(answer, workers.WorkloadRunAttemptStartResponseBody);
}

export interface Completed {
  result: {
    attemptStatus: string;
    snapshot: { friendlyId: string; executionStatus: string };
    run: { status: string; attemptNumber: number };
  };
}

export async function complete(run: string, snapshot: string, completion: object): Promise<Completed['result']> {
  const answer = await send('POST', at(run, snapshot, 'attempts/complete'), { completion: { id: run, ...completion } });
  return checked<Completed>(answer, workers.WorkloadRunAttemptCompleteResponseBody).result;
}

export interface Execution {
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

export async function latest(run: string): Promise<Execution> {
  const answer = await send('GET', `/engine/v1/dev/runs/${run}/snapshots/latest`);
  return checked<{ execution: Execution }>(answer, workers.WorkloadRunLatestSnapshotResponseBody).execution;
}

export interface Retrieved {
  status: string;
  output?: unknown;
  error?: { message: string };
  attemptCount: number;
  tags: string[];
}

export async function retrieve(run: string): Promise<Retrieved> {
  return checked<Retrieved>(await send('GET', `/api/v3/runs/${run}`), api.RetrieveRunResponse);
}

export async function running(
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

export const failed = (delay?: number): object => ({
  ok: false,
  error: { type: 'BUILT_IN_ERROR', name: 'Error', message: 'no', stackTrace: '' },
  ...(delay === undefined ? {} : { retry: { timestamp: Date.now() + delay, delay } }),
});
export const succeeded = (output: string, outputType = 'application/json'): object => ({
  ok: true,
  output,
  outputType,
});

export function production(keys: Record<string, string>): void {
  mode = 'production';
  vars = keys;
}
