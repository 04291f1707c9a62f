import { describe, expect, it } from 'vitest';
import {
  begin,
  complete,
  dequeue,
  failed,
  latest,
  register,
  retrieve,
  running,
  send,
  succeeded,
  t,
  task,
  trigger,
  type Message,
} from './testing/wire.ts';

// What the tests of the vendor's own engine hold it to, as far as a client or a worker can see it
// (trigger.dev: internal-packages/run-engine/src/engine/tests, apps/webapp/test/engine).

const MINUTE = 60_000;
const RETRIES = { retry: { maxAttempts: 3, minTimeoutInMs: 1_000, factor: 1, randomize: false } };

async function end(message: Message, output = '1'): Promise<void> {
  const started = await begin(message);
  await complete(message.run.friendlyId, started.snapshot.friendlyId, succeeded(output));
}
const idsOf = (messages: Message[]): string[] => messages.map(({ run }) => run.friendlyId);

describe('time to live', () => {
  it('counts until a worker takes the run, however long that then takes to start it', async () => {
    const worker = await register();
    const run = await trigger('work', { ttl: '1m' });
    const [message] = await dequeue(worker);
    t.advance(50_000);
    const { snapshot } = await begin(message as Message);
    t.advance(5 * MINUTE - 1);
    await send('POST', `/engine/v1/dev/runs/${run}/snapshots/${snapshot.friendlyId}/heartbeat`, {});
    expect(await retrieve(run)).toMatchObject({ status: 'EXECUTING' });
  });

  it('runs out while a worker that was lost before it started the run has it in hand', async () => {
    const worker = await register();
    const run = await trigger('work', { ttl: '1m' });
    t.advance(30_000);
    await dequeue(worker);
    t.advance(2 * MINUTE);
    expect(await retrieve(run)).toMatchObject({ status: 'EXPIRED' });
    expect(await dequeue(worker)).toEqual([]);
  });

  it('runs out for one that waits behind a full queue, which the others do not notice', async () => {
    const worker = await register([task('work', { queue: { name: 'one', concurrencyLimit: 1 } })]);
    const first = await trigger('work', { ttl: 0 });
    const [message] = await dequeue(worker);
    const { snapshot } = await begin(message as Message);
    const short = await trigger('work', { ttl: '1m' });
    const long = await trigger('work', { ttl: '1h' });
    t.advance(MINUTE);
    expect(await retrieve(short)).toMatchObject({ status: 'EXPIRED' });
    await complete(first, snapshot.friendlyId, succeeded('1'));
    expect(await retrieve(first)).toMatchObject({ status: 'COMPLETED' });
    expect(idsOf(await dequeue(worker))).toEqual([long]);
  });

  it('of a child that nobody takes ends in an error of the parent that waits for it', async () => {
    const { run } = await running('work', {}, [task('work'), task('child')]);
    const child = await trigger('child', { parentRunId: run, resumeParentOnCompletion: true, ttl: '1m' });
    expect((await latest(run)).snapshot.executionStatus).toBe('EXECUTING_WITH_WAITPOINTS');
    t.advance(MINUTE);
    const { snapshot, completedWaitpoints } = await latest(run);
    expect(snapshot.executionStatus).toBe('EXECUTING');
    expect(completedWaitpoints).toMatchObject([
      { type: 'RUN', outputIsError: true, completedByTaskRun: { friendlyId: child } },
    ]);
    const error = JSON.parse(completedWaitpoints[0]?.output ?? '') as { type: string; raw: string };
    expect([error.type, error.raw]).toEqual(['STRING_ERROR', expect.stringContaining('expired')]);
  });
});

describe('waits', () => {
  it('for one child under a key are kept by each of its parents, who share its result', async () => {
    const worker = await register([task('work'), task('child')]);
    const parents = [await trigger('work'), await trigger('work')];
    for (const message of await dequeue(worker)) await begin(message);
    const options = { resumeParentOnCompletion: true, idempotencyKey: 'shared' };
    const [one, two] = await Promise.all(parents.map((parentRunId) => trigger('child', { ...options, parentRunId })));
    expect(two).toBe(one);
    for (const parent of parents)
      expect((await latest(parent)).snapshot.executionStatus).toBe('EXECUTING_WITH_WAITPOINTS');
    const messages = await dequeue(worker);
    expect(idsOf(messages)).toEqual([one]);
    await end(messages[0] as Message, '"shared"');
    for (const parent of parents)
      expect((await latest(parent)).completedWaitpoints).toMatchObject([
        { type: 'RUN', output: '"shared"', outputIsError: false, completedByTaskRun: { friendlyId: one } },
      ]);
  });

  it('for a token that is completed twice go on with what was said first', async () => {
    const { run } = await running();
    const { body } = await send('POST', '/api/v1/waitpoints/tokens', {});
    const { id } = body as { id: string };
    await send('POST', `/engine/v1/runs/${run}/waitpoints/tokens/${id}/wait`, {});
    for (const data of ['first', 'second'])
      expect((await send('POST', `/api/v1/waitpoints/tokens/${id}/complete`, { data })).status).toBe(200);
    expect((await latest(run)).completedWaitpoints).toMatchObject([
      { type: 'MANUAL', friendlyId: id, output: 'first' },
    ]);
  });

  it('that are still open when the attempt fails are let go: the next attempt executes, and hears nothing of them', async () => {
    const { run } = await running('work', {}, [task('work', RETRIES)]);
    const { body } = await send('POST', '/api/v1/waitpoints/tokens', {});
    const { id } = body as { id: string };
    await send('POST', `/engine/v1/runs/${run}/waitpoints/tokens/${id}/wait`, {});
    expect((await latest(run)).snapshot.executionStatus).toBe('EXECUTING_WITH_WAITPOINTS');
    const { snapshot: next } = await complete(run, (await latest(run)).snapshot.friendlyId, failed(10));
    const again = await begin({ run: { friendlyId: run }, snapshot: next });
    expect(again.execution.attempt.number).toBe(2);
    await send('POST', `/api/v1/waitpoints/tokens/${id}/complete`, { data: 'late' });
    expect(await latest(run)).toMatchObject({ snapshot: { executionStatus: 'EXECUTING' }, completedWaitpoints: [] });
  });
});

describe('a key of a token', () => {
  it('means the same token until its time has passed, and then a new one', async () => {
    const create = async (): Promise<{ id: string; isCached: boolean }> =>
      (await send('POST', '/api/v1/waitpoints/tokens', { idempotencyKey: 'key', idempotencyKeyTTL: '60s' }))
        .body as never;
    const first = await create();
    t.advance(MINUTE - 1);
    expect(await create()).toMatchObject({ id: first.id, isCached: true });
    t.advance(1);
    const second = await create();
    expect(second).toMatchObject({ isCached: false });
    expect(second.id).not.toBe(first.id);
  });
});

describe('what has happened since', () => {
  it('a snapshot is nothing for the newest, and refused for text that is none', async () => {
    const { run } = await running();
    const newest = (await latest(run)).snapshot.friendlyId;
    const since = (snapshot: string): ReturnType<typeof send> =>
      send('GET', `/engine/v1/dev/runs/${run}/snapshots/since/${snapshot}`);
    expect((await since(newest)).body).toEqual({ snapshots: [] });
    expect((await since('snapshot_x')).status).toBe(400);
  });
});

describe('the order in which runs are taken', () => {
  it('is that of their triggers, less what their priority is worth, over all that are due', async () => {
    const worker = await register();
    const plain = await trigger();
    t.advance(2_000);
    const urgent = await trigger('work', { priority: 5 });
    const delayed = await trigger('work', { delay: '10s' });
    t.advance(1_000);
    const later = await trigger();
    const slightly = await trigger('work', { priority: 2 });
    expect(idsOf(await dequeue(worker))).toEqual([urgent, plain, slightly, later]);
    t.advance(10_000);
    expect(idsOf(await dequeue(worker))).toEqual([delayed]);
  });

  it('is ten at a time', async () => {
    const worker = await register();
    for (let i = 0; i < 12; i++) await trigger();
    expect([(await dequeue(worker)).length, (await dequeue(worker)).length]).toEqual([10, 2]);
  });
});

describe('a batch', () => {
  it('some of whose items cannot be triggered has failed in part once the others have ended', async () => {
    const worker = await register();
    const { body } = await send('POST', '/api/v3/batches', { runCount: 2 });
    const { id } = body as { id: string };
    const items = [
      { index: 0, task: 'work', payload: '0' },
      { index: 1, task: 'work', payload: '1', options: { ttl: 'never' } },
    ];
    await send('POST', `/api/v3/batches/${id}/items`, items.map((item) => JSON.stringify(item)).join('\n'));
    const status = async (): Promise<unknown> =>
      ((await send('GET', `/api/v2/batches/${id}`)).body as { status: string }).status;
    expect(await status()).toBe('PROCESSING');
    for (const message of await dequeue(worker)) await end(message);
    expect(await status()).toBe('PARTIAL_FAILED');
  });
});

describe('an attempt', () => {
  it.each([
    [
      'a process out of memory',
      { code: 'TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE', message: 'Process exited with code -1 after signal SIGKILL.' },
      'CRASHED',
    ],
    ['a full disk', { code: 'DISK_SPACE_EXCEEDED' }, 'CRASHED'],
  ])('that ends with %s is the last, though the worker names a time for another', async (_name, error, status) => {
    const { run, snapshot } = await running('work', {}, [task('work', RETRIES)]);
    const result = await complete(run, snapshot, {
      ok: false,
      error: { type: 'INTERNAL_ERROR', ...error },
      retry: { timestamp: Date.now(), delay: 0 },
    });
    expect(result).toMatchObject({
      attemptStatus: 'RUN_FINISHED',
      snapshot: { executionStatus: 'FINISHED' },
      run: { status },
    });
    expect(await latest(run)).toMatchObject({ run: { status, attemptNumber: 1 } });
  });
});

describe('a queue that the code names no more', () => {
  it('still gives its runs, to their first attempt and to the next', async () => {
    await register([task('work', { ...RETRIES, queue: { name: 'old', concurrencyLimit: 1 } })]);
    const [first, second] = [await trigger('work'), await trigger('work')];
    const worker = await register([task('work', RETRIES)]);
    const [message] = await dequeue(worker);
    expect(message?.run.friendlyId).toBe(first);
    const started = await begin(message as Message);
    await complete(first, started.snapshot.friendlyId, failed(MINUTE));
    t.advance(MINUTE);
    for (const run of [second, first]) {
      const [next] = await dequeue(worker);
      expect(next?.run.friendlyId).toBe(run);
      await end(next as Message);
      expect(await retrieve(run)).toMatchObject({ status: 'COMPLETED' });
    }
  });
});
