// Hands each run to the worker that asks, takes its result, and forgets all but the status.
import { randomBytes } from 'node:crypto';
import { serveNull, type NullReply } from './null-server.ts';

interface Run {
  id: string;
  task: string;
  payload: string;
  payloadType: string;
  status: string;
  output: unknown;
}

const HOLD_MS = 10_000;
const MACHINE = { name: 'small-1x', cpu: 0.5, memory: 0.5, centsPerMs: 0 };
const KEY = 'tr_dev_null0000000000000000';
const runs = new Map<string, Run>();
const queued: Run[] = [];
let waiting: Array<() => void> = [];
let serial = 0;

const id = (prefix: string): string =>
  `${prefix}_${(serial++).toString(36).padStart(10, '0')}${randomBytes(4).toString('hex')}`;
const trace = { traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` };
const environment = { id: 'env', type: 'DEVELOPMENT', slug: 'dev' };
const organization = { id: 'org', slug: 'org', name: 'org' };
const project = { id: 'project', ref: 'proj_null', slug: 'project', name: 'project' };

function snapshot(status: string): unknown {
  const name = id('snapshot');
  return {
    id: name,
    friendlyId: name,
    executionStatus: status,
    description: status,
    createdAt: new Date().toISOString(),
  };
}

function runState(run: Run): unknown {
  return {
    id: run.id,
    friendlyId: run.id,
    status: run.status,
    attemptNumber: 1,
    createdAt: new Date().toISOString(),
    isTest: false,
    taskEventStore: 'none',
  };
}

function dequeued(run: Run): unknown {
  return {
    version: '1',
    snapshot: snapshot('PENDING_EXECUTING'),
    dequeuedAt: new Date().toISOString(),
    completedWaitpoints: [],
    backgroundWorker: { id: 'worker_null', friendlyId: 'worker_null', version: '20260101.1' },
    deployment: {},
    run: {
      id: run.id,
      friendlyId: run.id,
      isTest: false,
      machine: MACHINE,
      attemptNumber: 0,
      masterQueue: 'main',
      traceContext: trace,
    },
    environment,
    organization,
    project,
  };
}

async function dequeue(): Promise<NullReply> {
  if (queued.length === 0) {
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
      setTimeout(resolve, HOLD_MS);
    });
  }
  return { body: { dequeuedMessages: queued.splice(0, 10).map(dequeued) } };
}

function trigger(task: string, body: string): NullReply {
  const { payload = '', options } = JSON.parse(body) as { payload?: string; options?: { payloadType?: string } };
  const run: Run = {
    id: id('run'),
    task,
    payload,
    payloadType: options?.payloadType ?? 'application/json',
    status: 'QUEUED',
    output: undefined,
  };
  runs.set(run.id, run);
  queued.push(run);
  const woken = waiting;
  waiting = [];
  const after = (): void => {
    for (const wake of woken) wake();
  };
  return { body: { id: run.id, isCached: false }, after };
}

function start(run: Run, origin: string): NullReply {
  run.status = 'EXECUTING';
  const at = new Date().toISOString();
  const execution = {
    attempt: { number: 1, startedAt: at },
    task: { id: run.task, filePath: 'src/trigger/tasks.ts' },
    run: {
      id: run.id,
      payload: run.payload,
      payloadType: run.payloadType,
      tags: [],
      isTest: false,
      createdAt: at,
      startedAt: at,
      traceContext: trace,
    },
    queue: { id: 'queue', name: `task/${run.task}` },
    environment,
    organization,
    project,
    machine: MACHINE,
  };
  return {
    body: {
      snapshot: snapshot('EXECUTING'),
      run: runState(run),
      execution,
      envVars: { TRIGGER_OTEL_EXPORTER_OTLP_ENDPOINT: `${origin}/otel` },
    },
  };
}

function complete(run: Run, body: string): NullReply {
  const { completion } = JSON.parse(body) as { completion: { ok: boolean; output?: string } };
  run.status = completion.ok ? 'COMPLETED' : 'FAILED';
  run.output = completion.output;
  const state = {
    ...(runState(run) as object),
    status: completion.ok ? 'COMPLETED_SUCCESSFULLY' : 'COMPLETED_WITH_ERRORS',
  };
  return { body: { result: { attemptStatus: 'RUN_FINISHED', snapshot: snapshot('FINISHED'), run: state } } };
}

function retrieve(run: Run): NullReply {
  const at = new Date().toISOString();
  const done = run.status === 'COMPLETED' || run.status === 'FAILED';
  return {
    body: {
      id: run.id,
      status: run.status,
      taskIdentifier: run.task,
      isQueued: run.status === 'QUEUED',
      isExecuting: run.status === 'EXECUTING',
      isWaiting: false,
      isCompleted: done,
      isSuccess: run.status === 'COMPLETED',
      isFailed: run.status === 'FAILED',
      isCancelled: false,
      isTest: false,
      createdAt: at,
      updatedAt: at,
      tags: [],
      costInCents: 0,
      baseCostInCents: 0,
      durationMs: 0,
      depth: 0,
      triggerFunction: 'trigger',
      relatedRuns: {},
      attemptCount: 1,
      attempts: [],
    },
  };
}

serveNull(({ path, body, headers }) => {
  const name = path.split('?')[0]!;
  const origin = `http://${headers.host}`;
  const ofRun = /^\/engine\/v1\/dev\/runs\/(run_\w+)\/snapshots\/\w+\/(.+)$/.exec(name);
  const run = ofRun && runs.get(ofRun[1]!);
  if (run && ofRun[2] === 'attempts/start') return start(run, origin);
  if (run && ofRun[2] === 'attempts/complete') return complete(run, body);
  if (run) return { body: { ok: true } };
  const task = /^\/api\/v1\/tasks\/(.+)\/trigger$/.exec(name)?.[1];
  if (task !== undefined) return trigger(task, body);
  const wanted = /^\/api\/v3\/runs\/(run_\w+)$/.exec(name)?.[1];
  if (wanted !== undefined)
    return runs.has(wanted) ? retrieve(runs.get(wanted)!) : { status: 404, body: { error: 'Run not found' } };
  if (name === '/engine/v1/dev/dequeue') return dequeue();
  if (name.endsWith('/background-workers'))
    return { body: { id: 'worker_null', version: '20260101.1', contentHash: 'null' } };
  if (name === '/api/v2/whoami') return { body: { userId: 'user', email: 'null@example.com', dashboardUrl: origin } };
  if (/^\/api\/v1\/projects\/[^/]+\/dev$/.test(name))
    return { body: { apiKey: KEY, name: 'null', apiUrl: origin, projectId: 'project' } };
  if (name === '/engine/v1/dev/config') {
    return {
      body: {
        environmentId: 'env',
        dequeueIntervalWithRun: 10,
        dequeueIntervalWithoutRun: 10,
        maxConcurrentRuns: 100,
        engineUrl: origin,
      },
    };
  }
  if (name.endsWith('/envvars')) return { body: { variables: {} } };
  if (name.startsWith('/otel/')) return {};
  return { status: 404, body: { error: 'not found' } };
});
