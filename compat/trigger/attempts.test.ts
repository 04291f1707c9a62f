import { describe, expect, it } from 'vitest';
import { api, workers } from './testing/vendor-schemas.ts';
import {
  KEY,
  t,
  send,
  checked,
  task,
  register,
  trigger,
  type Message,
  dequeue,
  type Started,
  at,
  begin,
  complete,
  latest,
  retrieve,
  running,
  failed,
  succeeded,
} from './testing/wire.ts';

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
      snapshot: { executionStatus: 'EXECUTING' },
      run: { attemptNumber: 1, status: 'RETRYING_AFTER_FAILURE' },
    });
    expect(await complete(run, snapshot, failed(1_000))).toMatchObject({ attemptStatus: 'RETRY_IMMEDIATELY' });
    expect(await dequeue(worker)).toEqual([]);
    expect(await latest(run)).toMatchObject({
      snapshot: { friendlyId: result.snapshot.friendlyId, executionStatus: 'EXECUTING' },
      run: { attemptNumber: 1, status: 'RETRYING_AFTER_FAILURE' },
      completedWaitpoints: [],
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

  it('has used the time of all its attempts, and tells its worker what is used and how many attempts it may make', async () => {
    const settings = [task('work', { retry: { maxAttempts: 3 } }), task('simple')];
    const used = (durationMs: number, completion: object): object => ({ ...completion, usage: { durationMs } });
    const { run, snapshot, worker } = await running('work', {}, settings);
    // A time that has passed, as a hook of the user's may say it, is now.
    const first = await complete(run, snapshot, used(40, failed(-5_000)));
    expect(first.attemptStatus).toBe('RETRY_IMMEDIATELY');
    const second = await begin({ run: { friendlyId: run }, snapshot: first.snapshot });
    expect(second.execution.run).toMatchObject({ durationMs: 40, maxAttempts: 3 });
    await complete(run, second.snapshot.friendlyId, used(60, failed(45_000)));
    t.advance(45_000);
    const [message] = await dequeue(worker);
    const third = await begin(message as Message);
    expect(third.execution.run).toMatchObject({ durationMs: 100 });
    await complete(run, third.snapshot.friendlyId, used(5, succeeded('1')));
    expect(await retrieve(run)).toMatchObject({ durationMs: 105, attemptCount: 3 });
    const bounded = await trigger('work', { maxAttempts: 7 });
    const simple = await trigger('simple');
    const begun = new Map<string, unknown>();
    for (const other of await dequeue(worker))
      begun.set(other.run.friendlyId, ((await begin(other)).execution.run as { maxAttempts?: number }).maxAttempts);
    expect([begun.get(bounded), begun.get(simple)]).toEqual([7, undefined]);
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

  it('that ends under its worker keeps the number of its attempt: the worker takes another for a run that is not its own any more', async () => {
    const { run, snapshot } = await running('work', {}, [task('work', { retry: { maxAttempts: 3 } })]);
    const result = await complete(run, snapshot, failed(1_000));
    await send('POST', at(run, result.snapshot.friendlyId, 'attempts/start'), {});
    await send('POST', `/api/v2/runs/${run}/cancel`);
    expect(await latest(run)).toMatchObject({
      snapshot: { executionStatus: 'PENDING_CANCEL' },
      run: { attemptNumber: 2 },
    });
    t.advance(60_000);
    expect(await latest(run)).toMatchObject({ snapshot: { executionStatus: 'FINISHED' }, run: { attemptNumber: 2 } });
    expect(await retrieve(run)).toMatchObject({ status: 'CANCELED', attemptCount: 2 });
  });

  it('expires when nobody takes it', async () => {
    await register();
    const run = await trigger();
    t.advance(600_000);
    expect(await retrieve(run)).toMatchObject({ status: 'EXPIRED', attemptCount: 0 });
    expect(await latest(run)).toMatchObject({ run: { attemptNumber: null } });
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
