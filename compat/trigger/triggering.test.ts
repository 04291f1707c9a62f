import { beforeEach, describe, expect, it } from 'vitest';
import { checked, Session, task } from './testing/session.ts';

let s: Session;
beforeEach(async () => {
  s = new Session();
  await s.register([task('work'), task('cron', { triggerSource: 'schedule' })]);
});

interface Schedule {
  id: string;
  type: string;
  active: boolean;
  nextRun?: string;
  nextRunEffectiveAt?: string;
  timezone: string;
  generator: { expression: string };
}

const MINUTE = 60_000;

describe('schedules', () => {
  const create = (more: object = {}): Promise<Schedule> =>
    s.ok('ScheduleObject', 'POST', '/api/v1/schedules', {
      task: 'cron',
      cron: '*/5 * * * *',
      deduplicationKey: 'k',
      ...more,
    });
  const runsOf = () => s.t.engine.query({ type: 'runs', task: 'trigger/proj_test/cron' }).items;

  it('one key is one schedule: made, changed, switched off and on, deleted', async () => {
    const made = await create({ externalId: 'user-1', timezone: 'Europe/Stockholm' });
    expect(made).toMatchObject({
      type: 'IMPERATIVE',
      active: true,
      externalId: 'user-1',
      timezone: 'Europe/Stockholm',
      generator: { type: 'CRON', expression: '*/5 * * * *' },
      nextRun: new Date(s.t.nowMs + 5 * MINUTE).toISOString(),
    });
    const again = await create({ cron: '0 3 L * *' });
    expect([again.id, again.generator.expression]).toEqual([made.id, '0 3 L * *']);
    const path = `/api/v1/schedules/${made.id}`;
    const off = await s.ok<Schedule>('ScheduleObject', 'POST', `${path}/deactivate`);
    expect([off.active, off.nextRun]).toEqual([false, null]);
    expect((await s.ok<Schedule>('ScheduleObject', 'POST', `${path}/activate`)).active).toBe(true);
    const changed = await s.ok<Schedule>('ScheduleObject', 'PUT', path, { task: 'cron', cron: '0 4 * * 1L' });
    expect(changed).toMatchObject({ deduplicationKey: 'k', generator: { expression: '0 4 * * 1L' } });
    const list = await s.ok<{ data: Schedule[] }>('ListSchedulesResult', 'GET', '/api/v1/schedules?page=1&perPage=10');
    expect(list).toMatchObject({ data: [{ id: made.id }], pagination: { currentPage: 1, totalPages: 1, count: 1 } });
    await s.ok('DeletedScheduleObject', 'DELETE', path);
    expect((await s.send('GET', path)).status).toBe(404);
  });

  it('a tick makes a run that knows its time, the last and the next five', async () => {
    const { id } = await create({ externalId: 'user-1' });
    s.t.advance(5 * MINUTE);
    s.t.advance(5 * MINUTE);
    const [second, first] = runsOf();
    const payload = JSON.parse(second?.input as string) as { json: Record<string, unknown>; meta: object };
    const iso = (minutes: number): string => new Date(s.t.nowMs + minutes * MINUTE).toISOString();
    expect(payload.json).toEqual({
      scheduleId: id,
      type: 'IMPERATIVE',
      timestamp: iso(0),
      lastTimestamp: iso(-5),
      externalId: 'user-1',
      timezone: 'UTC',
      upcoming: [5, 10, 15, 20, 25].map(iso),
    });
    expect(payload.meta).toMatchObject({ values: { timestamp: ['Date'], 'upcoming.4': ['Date'] } });
    expect(JSON.parse(first?.input as string)).not.toHaveProperty('json.lastTimestamp');
    const shown = await s.run(`run_${second?.id.toLowerCase()}`);
    expect(shown).toMatchObject({ schedule: { id, externalId: 'user-1', deduplicationKey: 'k' } });
  });

  it('declared ones follow the code: added, kept with their next time, removed', async () => {
    const declared = (cron: string, more: object = {}): object =>
      task('cron', { triggerSource: 'schedule', schedule: { cron, timezone: 'UTC', ...more } });
    const list = async (): Promise<Schedule[]> =>
      (await s.ok<{ data: Schedule[] }>('ListSchedulesResult', 'GET', '/api/v1/schedules')).data;
    await s.register([declared('0 * * * *')]);
    const [made] = await list();
    expect(made).toMatchObject({ type: 'DECLARATIVE', generator: { expression: '0 * * * *' } });
    await s.register([declared('0 * * * *'), task('other')]);
    expect(await list()).toEqual([made]);
    for (const method of ['PUT', 'DELETE'])
      expect(
        (
          await s.send(
            method,
            `/api/v1/schedules/${made?.id}`,
            method === 'PUT' ? { task: 'cron', cron: '* * * * *' } : undefined,
          )
        ).status,
      ).toBe(400);
    await s.register([declared('30 2 * * *')]);
    expect((await list()).map((item) => item.generator.expression)).toEqual(['30 2 * * *']);
    await s.register([declared('30 2 * * *', { environments: ['PRODUCTION'] })]);
    expect(await list()).toEqual([]);
  });

  it('in development nothing starts while no worker is there', async () => {
    await create();
    (s.t.engine.kernel as { present: (pool: string) => boolean }).present = () => false;
    s.t.advance(5 * MINUTE);
    expect(runsOf()).toEqual([]);
    (s.t.engine.kernel as { present: (pool: string) => boolean }).present = (pool) => pool === 'trigger/proj_test/dev';
    s.t.advance(5 * MINUTE);
    expect(runsOf()).toHaveLength(1);
  });

  it('a window moves each start by the same time', async () => {
    const made = await create({ window: '50%' });
    const offsets = Date.parse(made.nextRunEffectiveAt ?? '') - Date.parse(made.nextRun ?? '');
    expect(offsets).toBeGreaterThanOrEqual(0);
    expect(offsets).toBeLessThan(2.5 * MINUTE);
  });

  it.each([
    [{ cron: 'nonsense' }, /Invalid CRON expression/],
    [{ cron: '* * * * * *' }, /seconds/],
    [{ timezone: 'Mars/Olympus' }, /Invalid IANA timezone/],
    [{ task: 'work' }, /not a scheduled task/],
    [{ task: 'nobody' }, /not found/],
  ])('refuses %j by name', async (more, message) => {
    const body = { task: 'cron', cron: '* * * * *', deduplicationKey: 'k', ...more };
    const answer = await s.send('POST', '/api/v1/schedules', body);
    expect(answer.status).toBe(422);
    expect((answer.body as { error: string }).error).toMatch(message);
  });

  it('lists the time zones to anyone', async () => {
    const all = await s.ok<{ timezones: string[] }>('TimezonesResult', 'GET', '/api/v1/timezones', undefined, {
      key: null,
    });
    expect(all.timezones).toContain('UTC');
    const rest = await s.send('GET', '/api/v1/timezones?excludeUtc=true', undefined, { key: null });
    expect((rest.body as { timezones: string[] }).timezones).not.toContain('UTC');
  });
});

describe('a replay', () => {
  it('is a new run with the payload and options of the other, or those given', async () => {
    const first = await s.trigger('work', {
      tags: ['a'],
      maxAttempts: 7,
      priority: 3,
      concurrencyKey: 'c',
      metadata: '{"m":1}',
      idempotencyKey: 'once',
    });
    s.finish();
    const replay = (body?: object): Promise<{ id: string }> =>
      s.ok('ReplayRunResponse', 'POST', `/api/v1/runs/${first}/replay`, body);
    const { id } = await replay();
    expect(id).not.toBe(first);
    expect(await s.run(id)).toMatchObject({ status: 'QUEUED', payload: { n: 1 }, tags: ['a'], metadata: { m: 1 } });
    const other = await replay({ payload: { n: 2 }, tags: ['b'], machine: 'large-1x', delay: '1h' });
    expect(await s.run(other.id)).toMatchObject({ status: 'DELAYED', payload: { n: 2 }, tags: ['b'] });
    const [call] = s.t.engine.lease({ pool: 'trigger/proj_test/dev', max: 1, holdMs: 1_000, holder: 'w' });
    expect(JSON.parse(call?.meta ?? '')).toMatchObject({ maxAttempts: 7, priority: 3, concurrencyKey: 'c' });
    const bad = await s.send('POST', `/api/v1/runs/${first}/replay`, { unknown: 1 });
    expect(bad.status).toBe(400);
    expect((await s.send('POST', '/api/v1/runs/run_01h00000000000000000000000/replay')).status).toBe(404);
  });
});

describe('idempotency keys', () => {
  it('answer the same run until they are reset, and are free after a failure', async () => {
    const key = 'f'.repeat(64);
    const first = await s.trigger('work', { idempotencyKey: key });
    expect(await s.trigger('work', { idempotencyKey: key })).toBe(first);
    await s.ok('ResetIdempotencyKeyResponse', 'POST', `/api/v1/idempotencyKeys/${key}/reset`, {
      taskIdentifier: 'work',
    });
    const second = await s.trigger('work', { idempotencyKey: key });
    expect(second).not.toBe(first);
    const calls = s.t.engine.lease({ pool: 'trigger/proj_test/dev', max: 9, holdMs: 1_000, holder: 'w' });
    for (const call of calls) s.t.report(call, { op: 'fail', error: '{}', retry: 'never' });
    expect(await s.trigger('work', { idempotencyKey: key })).not.toBe(second);
    const unknown = await s.send('POST', '/api/v1/idempotencyKeys/none/reset', { taskIdentifier: 'work' });
    expect(unknown.status).toBe(404);
  });
});

describe('what stands beside a run', () => {
  it('tags and metadata are changed after its end too', async () => {
    const id = await s.trigger('work', { tags: ['a'] });
    s.finish();
    await s.send('POST', `/api/v1/runs/${id}/tags`, { tags: ['late'] });
    const operations = [{ type: 'increment', key: 'n', value: 2 }];
    const headers = { 'x-trigger-request-idempotency-key': 'one' };
    for (let i = 0; i < 2; i++) await s.send('PUT', `/api/v1/runs/${id}/metadata`, { operations }, { headers });
    expect(await s.run(id)).toMatchObject({ status: 'COMPLETED', tags: ['a', 'late'], metadata: { n: 2 } });
  });

  it('metadata over its bound is a 413 and changes nothing', async () => {
    const id = await s.trigger();
    const set = (value: string) => ({ operations: [{ type: 'set', key: 'x', value }] });
    await s.send('PUT', `/api/v1/runs/${id}/metadata`, set('small'));
    expect((await s.send('PUT', `/api/v1/runs/${id}/metadata`, set('x'.repeat(300_000)))).status).toBe(413);
    expect((await s.run(id)).metadata).toEqual({ x: 'small' });
  });
});

describe('a streamed batch', () => {
  const begin = async (runCount: number, more: object = {}): Promise<string> =>
    checked<{ id: string }>(await s.send('POST', '/api/v3/batches', { runCount, ...more }), 'CreateBatchResponse', 202)
      .id;
  const line = (index: number, more: object = {}): string =>
    JSON.stringify({ index, task: 'work', payload: `{"n":${index}}`, options: {}, ...more });
  const lines = (count: number): string => Array.from({ length: count }, (_, i) => `${line(i)}\n`).join('');
  const stream = (id: string, body: string) => s.send('POST', `/api/v3/batches/${id}/items`, body);

  it('of ten thousand items is sealed once, its runs are listed and counted', async () => {
    const id = await begin(10_000);
    const from = performance.now();
    const answer = checked<object>(await stream(id, lines(10_000)), 'StreamBatchItemsResponse');
    expect(performance.now() - from).toBeLessThan(10_000);
    expect(answer).toEqual({ id, itemsAccepted: 10_000, itemsDeduplicated: 0, sealed: true });
    const batch = await s.ok<{ runs: string[] }>('RetrieveBatchV2Response', 'GET', `/api/v2/batches/${id}`);
    expect(batch).toMatchObject({ status: 'PROCESSING', runCount: 10_000 });
    expect(new Set(batch.runs).size).toBe(10_000);
    expect((await stream(id, lines(3))).body).toMatchObject({ sealed: true, itemsAccepted: 0 });
  }, 30_000);

  it('that is cut within a line is not sealed; sent again whole it is, and nothing ran twice', async () => {
    const id = await begin(300);
    const whole = lines(300);
    const cut = await stream(id, whole.slice(0, -20));
    expect(cut.body).toMatchObject({ sealed: false, itemsAccepted: 299, enqueuedCount: 299, expectedCount: 300 });
    const again = await stream(id, whole);
    expect(again.body).toMatchObject({ sealed: true, itemsAccepted: 1, itemsDeduplicated: 299 });
    expect(s.t.engine.query({ type: 'label-count', label: `trigger/batch/${id}` })).toBe(300);
  });

  it('with a corrupt line is refused by its number and not sealed', async () => {
    const id = await begin(3);
    const answer = await stream(id, `${line(0)}\n{"index":1,"task":\n${line(2)}\n`);
    expect(answer.status).toBe(400);
    expect((answer.body as { error: string }).error).toContain('Line 2');
    expect(await s.ok('RetrieveBatchV2Response', 'GET', `/api/v2/batches/${id}`)).toMatchObject({ status: 'PENDING' });
    expect((await stream(id, lines(3))).body).toMatchObject({ sealed: true });
  });

  it('keeps items that cannot be triggered as its errors, and runs that a key names as its runs', async () => {
    const known = await s.trigger('work', { idempotencyKey: 'k' });
    const id = await begin(3);
    const body = [
      line(0),
      line(1, { options: { ttl: 'nonsense' } }),
      line(2, { options: { idempotencyKey: 'k' } }),
    ].join('\n');
    expect((await stream(id, body)).body).toMatchObject({ sealed: true });
    s.finish();
    const batch = await s.ok<{ runs: string[] }>('RetrieveBatchV2Response', 'GET', `/api/v2/batches/${id}`);
    expect(batch).toMatchObject({
      status: 'PARTIAL_FAILED',
      processing: { errors: [{ index: 1, taskIdentifier: 'work' }] },
    });
    expect(batch.runs).toHaveLength(2);
    expect(batch.runs).toContain(known);
  });

  it('is bounded: more for one that nobody waits for', async () => {
    expect((await s.send('POST', '/api/v3/batches', { runCount: 100_001 })).status).toBe(400);
    const parent = await s.trigger();
    const waited = { runCount: 10_001, parentRunId: parent, resumeParentOnCompletion: true };
    const refused = await s.send('POST', '/api/v3/batches', waited);
    expect(refused.status).toBe(400);
    expect((refused.body as { error: string }).error).toBe(
      'Batch runCount of 10001 exceeds maximum allowed of 10000 that one batch is waited for: wait for several batches one after the other.',
    );
  });
});

describe('a delayed run', () => {
  const trigger = async (options: object): Promise<string> =>
    (
      await s.ok<{ id: string }>('TriggerTaskResponse', 'POST', '/api/v1/tasks/work/trigger', {
        payload: '{}',
        options,
      })
    ).id;

  it('expires its time to live after the time that it was put off to', async () => {
    const id = await trigger({ delay: '10m', ttl: '5m' });
    await s.ok('RetrieveRunResponse', 'POST', `/api/v1/runs/${id}/reschedule`, { delay: '30m' });
    expect((await s.send('POST', `/api/v1/runs/${id}/reschedule`, { delay: 'soon' })).status).toBe(400);
    s.t.advance(34 * MINUTE);
    expect((await s.run(id)).status).toBe('QUEUED');
    s.t.advance(MINUTE);
    expect((await s.run(id)).status).toBe('EXPIRED');
  });

  it('that debounces expires after its last delay', async () => {
    const debounce = { key: 'k', delay: '10m' };
    const id = await trigger({ debounce, ttl: '5m' });
    s.t.advance(9 * MINUTE);
    expect(await trigger({ debounce, ttl: '5m' })).toBe(id);
    s.t.advance(10 * MINUTE + 4 * MINUTE);
    expect((await s.run(id)).status).toBe('QUEUED');
    s.t.advance(MINUTE);
    expect((await s.run(id)).status).toBe('EXPIRED');
  });
});
