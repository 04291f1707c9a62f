import { describe, expect, it } from 'vitest';
import { api } from './testing/vendor-schemas.ts';
import {
  type Answer,
  send,
  checked,
  register,
  dequeue,
  begin,
  complete,
  latest,
  retrieve,
  running,
  succeeded,
  t,
  task,
} from './testing/wire.ts';

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

describe('batches of one call', () => {
  it('under a key are made once in its time, and name their runs again, in order', async () => {
    await register([task('work'), task('other')]);
    const items = [
      { task: 'work', payload: '1' },
      { task: 'other', payload: '2', options: { idempotencyKey: 'own' } },
    ];
    const create = async (
      key: string,
    ): Promise<{ id: string; isCached: boolean; runs: Array<Record<string, unknown>> }> => {
      const headers = { 'idempotency-key': key, 'idempotency-key-ttl': '60s' };
      const answer = await send('POST', '/api/v1/tasks/batch', { items }, { headers });
      expect(answer.status).toBe(202);
      // The 3.x client signs its own token with these claims.
      expect(JSON.parse(answer.headers.get('x-trigger-jwt-claims') ?? '')).toMatchObject({ pub: true });
      return answer.body as never;
    };
    const first = await create('key');
    expect(first).toMatchObject({ isCached: false, runs: [{ taskIdentifier: 'work' }, { idempotencyKey: 'own' }] });
    const again = await create('key');
    expect(again).toMatchObject({ id: first.id, isCached: true });
    expect(again.runs).toEqual(first.runs.map((run) => ({ ...run, isCached: true })));
    expect((await create('another')).id).not.toBe(first.id);
    t.advance(60_000);
    expect(await create('key')).toMatchObject({ isCached: false });
    expect(t.engine.query({ type: 'runs' }).items).toHaveLength(4);
  });
});

describe('tags', () => {
  it('that are blank are none', async () => {
    const { run } = await running('work', { tags: ['', ' ', 'one'] });
    expect((await send('POST', `/api/v1/runs/${run}/tags`, { tags: ' ' })).body).toEqual({
      message: 'No new tags to add',
    });
    expect((await retrieve(run)).tags).toEqual(['one']);
  });

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
