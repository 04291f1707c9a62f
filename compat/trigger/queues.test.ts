import { beforeEach, describe, expect, it } from 'vitest';
import { checked, PROJECT, Session, task } from './testing/session.ts';

let s: Session;
beforeEach(() => {
  s = new Session();
});

interface Queue {
  id: string;
  name: string;
  type: string;
  running: number;
  queued: number;
  paused: boolean;
  concurrencyLimit: number | null;
  concurrency: { current: number | null; base: number | null; override: number | null; overriddenAt: string | null };
}

const queue = (path: string): Promise<Queue> => s.ok<Queue>('QueueItem', 'GET', `/api/v1/queues/${path}`);
const change = async (path: string, body: object): Promise<Queue> =>
  checked<Queue>(await s.send('POST', `/api/v1/queues/${path}`, body), 'QueueItem');
const lease = (max = 100): string[] =>
  s.t.engine.lease({ pool: `trigger/${PROJECT}/dev`, max, holdMs: 60_000, holder: 'w' }).map(({ run }) => run);

describe('queues', () => {
  beforeEach(() =>
    s.register([task('work'), task('slow', { queue: { name: 'narrow' } })], {
      queues: [{ name: 'narrow', concurrencyLimit: 2 }, { name: 'a/b' }],
    }),
  );

  it('are those of the tasks and those declared, with what runs and waits in them', async () => {
    for (let i = 0; i < 5; i++) await s.trigger('slow');
    await s.trigger('work');
    await s.trigger('work', { delay: '1h' });
    expect(lease()).toHaveLength(3);
    const list = await s.send('GET', '/api/v1/queues?page=1&perPage=10');
    expect(list.body).toMatchObject({
      data: [
        { name: 'a/b', type: 'custom', running: 0, queued: 0, concurrencyLimit: null },
        { name: 'narrow', type: 'custom', running: 2, queued: 3, concurrencyLimit: 2, paused: false },
        { name: 'work', type: 'task', running: 1, queued: 0, concurrencyLimit: null },
      ],
      pagination: { currentPage: 1, totalPages: 1, count: 3 },
    });
    expect((await s.send('GET', '/api/v1/queues?page=2&perPage=2')).body).toMatchObject({ data: [{ name: 'work' }] });
  });

  it('count runs that no worker has come for', async () => {
    await s.trigger('work');
    await s.trigger('slow');
    expect(await queue('work?type=task')).toMatchObject({ running: 0, queued: 1 });
    expect(await queue('narrow?type=custom')).toMatchObject({ running: 0, queued: 1 });
  });

  it('are found by id, and by a name with a slash as the clients escape it', async () => {
    const found = await queue('a%252Fb?type=custom');
    expect(found.name).toBe('a/b');
    expect(await queue(`${found.id}?type=id`)).toEqual(found);
    expect((await s.send('GET', '/api/v1/queues/nothing?type=custom')).status).toBe(404);
    expect((await s.send('GET', '/api/v1/queues/queue_0?type=id')).status).toBe(404);
    expect((await s.send('GET', '/api/v1/queues/work?type=odd')).status).toBe(400);
  });

  it('are paused and resumed, with or without a limit', async () => {
    for (const [path, type, id] of [
      ['narrow', 'custom', 'slow'],
      ['work', 'task', 'work'],
    ] as const) {
      expect((await change(`${path}/pause`, { type, action: 'pause' })).paused).toBe(true);
      const run = await s.trigger(id);
      expect(lease()).toEqual([]);
      expect(await queue(`${path}?type=${type}`)).toMatchObject({ paused: true, queued: 1 });
      expect((await change(`${path}/pause`, { type, action: 'resume' })).paused).toBe(false);
      expect(lease()).toEqual([run.slice('run_'.length).toUpperCase()]);
    }
  });

  it('have a bound that is overridden, for each concurrency key, and reset', async () => {
    for (const concurrencyKey of ['a', 'a', 'a', 'b']) await s.trigger('slow', { concurrencyKey });
    expect(lease()).toHaveLength(3);
    const overridden = await change('narrow/concurrency/override', { type: 'custom', concurrencyLimit: 3 });
    expect(overridden).toMatchObject({ concurrencyLimit: 3, concurrency: { current: 3, base: 2, override: 3 } });
    expect(overridden.concurrency.overriddenAt).toBe(new Date(s.t.nowMs).toISOString());
    expect(lease()).toHaveLength(1);
    const reset = await change('narrow/concurrency/reset', { type: 'custom' });
    expect(reset).toMatchObject({
      concurrencyLimit: 2,
      concurrency: { current: 2, base: 2, override: null, overriddenAt: null },
    });
    expect((await s.send('POST', '/api/v1/queues/narrow/concurrency/reset', { type: 'custom' })).status).toBe(400);
    const odd = await s.send('POST', '/api/v1/queues/narrow/concurrency/override', {
      type: 'custom',
      concurrencyLimit: -1,
    });
    expect(odd.status).toBe(400);
  });

  it('keep an override over a new build, and take its new bound after', async () => {
    await change('narrow/concurrency/override', { type: 'custom', concurrencyLimit: 0 });
    await s.register([task('slow', { queue: { name: 'narrow' } })], {
      queues: [{ name: 'narrow', concurrencyLimit: 7 }],
    });
    expect((await queue('narrow?type=custom')).concurrency).toMatchObject({ current: 0, base: 7, override: 0 });
    await s.trigger('slow');
    expect(lease()).toEqual([]);
  });

  it('bound all their keys together where the code says so', async () => {
    await s.register([task('slow', { queue: { name: 'narrow' } })], {
      queues: [{ name: 'narrow', concurrencyLimit: 1, combinedConcurrencyLimit: 2 }],
    });
    for (const concurrencyKey of ['a', 'b', 'c', 'd']) await s.trigger('slow', { concurrencyKey });
    await s.trigger('slow', { queue: { name: 'narrow' } });
    expect(lease()).toHaveLength(2);
  });
});

describe('named concurrency limits', () => {
  const limit = (path: string): Promise<Record<string, unknown>> =>
    s.ok('ConcurrencyLimitItem', 'GET', `/api/v1/concurrency-limits/${path}`);

  beforeEach(() =>
    s.register(
      [
        task('one', { concurrency: { limits: ['api'] } }),
        task('two', { concurrency: { limits: ['api'], inline: { total: 1 } } }),
        task('three'),
      ],
      { concurrencyLimits: [{ name: 'api', perKey: 1, total: 3 }, { name: 'wide' }] },
    ),
  );

  it('are shared by the tasks and triggers that name them', async () => {
    for (const [id, concurrencyKey] of [
      ['one', 'a'],
      ['two', 'a'],
      ['two', 'b'],
      ['two', 'c'],
      ['one', 'd'],
      ['one', 'e'],
    ] as const)
      await s.trigger(id, { concurrencyKey });
    await s.trigger('three', { concurrency: ['api'], concurrencyKey: 'f' });
    // One of a key, one of the second task, three in all.
    expect(lease()).toHaveLength(3);
    expect(await limit('api')).toMatchObject({ perKey: { current: 1 }, total: { current: 3 }, running: 3, queued: 4 });
    expect(await limit('task%2Ftwo')).toMatchObject({ name: 'task/two', total: { base: 1 } });
    await s.trigger('three');
    expect(lease()).toHaveLength(1);
  });

  it('are listed, overridden, paused and reset', async () => {
    const post = async (what: string, body: object): Promise<Record<string, unknown>> =>
      checked(await s.send('POST', `/api/v1/concurrency-limits/api/${what}`, body), 'ConcurrencyLimitItem');
    expect((await s.send('GET', '/api/v1/concurrency-limits')).body).toMatchObject({
      data: [{ name: 'api' }, { name: 'task/two' }, { name: 'wide', perKey: { current: null } }],
      pagination: { count: 3 },
    });
    expect(await post('override', { perKey: 2 })).toMatchObject({
      perKey: { current: 2, base: 1, override: 2 },
      total: { current: 3, override: null },
    });
    for (let i = 0; i < 3; i++) await s.trigger('one');
    expect(lease()).toHaveLength(2);
    expect(await post('pause', { action: 'pause' })).toMatchObject({ paused: true });
    expect(await post('reset', {})).toMatchObject({ perKey: { current: 1, override: null }, paused: true });
    expect((await s.send('POST', '/api/v1/concurrency-limits/api/reset', {})).status).toBe(400);
    expect((await s.send('POST', '/api/v1/concurrency-limits/none/pause', { action: 'pause' })).status).toBe(404);
    expect((await s.send('POST', '/api/v1/concurrency-limits/api/override', {})).status).toBe(400);
  });

  it('are overridden for one concurrency key, for a time', async () => {
    const of = (name: string, key: string): Promise<Record<string, unknown>> =>
      s.ok('ConcurrencyLimitKeyItem', 'GET', `/api/v1/concurrency-limits/${name}?concurrencyKey=${key}`);
    const post = async (what: string, body: object): Promise<Record<string, unknown>> =>
      checked(await s.send('POST', `/api/v1/concurrency-limits/api/${what}`, body), 'ConcurrencyLimitKeyItem');
    const none = { override: null, expiresAt: null };
    expect(await of('api', 'a')).toEqual({
      name: 'api',
      concurrencyKey: 'a',
      perKey: { current: 1, base: 1, ...none },
      running: 0,
      paused: false,
    });
    const day = 86_400_000;
    const from = Date.now();
    const set = (await post('override', { concurrencyKey: 'a', perKey: 2 })) as { perKey: { expiresAt: string } };
    expect(set).toMatchObject({ concurrencyKey: 'a', perKey: { current: 2, base: 1, override: 2 } });
    expect(Math.abs(Date.parse(set.perKey.expiresAt) - from - 7 * day)).toBeLessThan(60_000);
    for (const concurrencyKey of ['a', 'a', 'a', 'b', 'b']) await s.trigger('one', { concurrencyKey });
    // Three in all.
    expect(lease()).toHaveLength(3);
    expect([(await of('api', 'a')).running, (await of('api', 'b')).running]).toEqual([2, 1]);
    expect(await limit('api')).toMatchObject({ perKey: { current: 1, override: null } });
    // What is set for the limit itself is for the other keys.
    await s.send('POST', '/api/v1/concurrency-limits/api/override', { perKey: 0, total: 9 });
    expect(await of('api', 'a')).toMatchObject({ perKey: { current: 2, base: 0, override: 2 } });
    expect(await post('override', { concurrencyKey: 'a', perKey: 3, ttl: '1h' })).toMatchObject({
      perKey: { current: 3, override: 3 },
    });
    expect(lease()).toHaveLength(1);
    s.t.advance(3_600_000);
    expect(await of('api', 'a')).toMatchObject({ perKey: { current: 0, base: 0, ...none } });
    expect(await post('override', { concurrencyKey: 7, perKey: 0, ttl: 60 })).toMatchObject({ concurrencyKey: '7' });
    expect(await post('reset', { concurrencyKey: '7' })).toMatchObject({ perKey: none });
    expect((await s.send('POST', '/api/v1/concurrency-limits/api/reset', { concurrencyKey: '7' })).status).toBe(400);
    expect((await s.send('GET', '/api/v1/concurrency-limits/none?concurrencyKey=a')).status).toBe(404);
    expect((await s.send('GET', '/api/v1/concurrency-limits/api?concurrencyKey=')).status).toBe(400);
  });

  it.each([
    ['a ttl without a key', { perKey: 1, ttl: '1h' }],
    ['a total with a key', { perKey: 1, total: 1, concurrencyKey: 'a' }],
    ['a key without a bound', { concurrencyKey: 'a' }],
    ['a key without characters', { perKey: 1, concurrencyKey: '' }],
    ['a key of 129 characters', { perKey: 1, concurrencyKey: 'a'.repeat(129) }],
    ['a bound below 0', { perKey: -1, concurrencyKey: 'a' }],
    ['a ttl of 0', { perKey: 1, concurrencyKey: 'a', ttl: 0 }],
    ['a ttl that is no duration', { perKey: 1, concurrencyKey: 'a', ttl: 'soon' }],
    ['a ttl of 31 days', { perKey: 1, concurrencyKey: 'a', ttl: '31d' }],
  ])('are not overridden with %s', async (_what, body) => {
    expect((await s.send('POST', '/api/v1/concurrency-limits/api/override', body)).status).toBe(400);
  });

  it('that nobody declared are refused, in a build and in a trigger', async () => {
    const path = `/api/v1/projects/${PROJECT}/background-workers`;
    const metadata = {
      packageVersion: '4.8.3',
      contentHash: 'x',
      tasks: [task('one', { concurrency: { limits: ['gone'] } })],
    };
    const refused = await s.send('POST', path, { localOnly: true, metadata });
    expect(refused.status).toBe(422);
    expect(JSON.stringify(refused.body)).toContain('gone');
    const trigger = await s.send('POST', '/api/v1/tasks/three/trigger', { options: { concurrency: ['gone'] } });
    expect(trigger.status).toBe(422);
  });
});

describe('an environment', () => {
  const at = (what: string): string => `/api/v1/projects/${PROJECT}/dev/${what}`;

  it('is bounded as a whole, by the variable or by a request, after its queues', async () => {
    s.vars.DEFAULT_ENV_EXECUTION_CONCURRENCY_LIMIT = '3';
    await s.register([task('work', { queue: { concurrencyLimit: 2 } }), task('other')]);
    for (let i = 0; i < 4; i++) await s.trigger('work');
    for (let i = 0; i < 4; i++) await s.trigger('other');
    expect(lease()).toHaveLength(3);
    const now = await s.send('GET', at('concurrency'));
    expect(now.body).toEqual({ running: 3, queued: 5, concurrencyLimit: 3, paused: false });
    expect((await s.send('POST', at('concurrency'), { concurrencyLimit: 5 })).status).toBe(200);
    expect(lease()).toHaveLength(2);
    expect((await s.send('POST', at('concurrency'), { concurrencyLimit: null })).status).toBe(200);
    expect(lease()).toHaveLength(1);
  });

  it('is paused: nothing begins, and all goes on after', async () => {
    await s.register();
    expect((await s.send('POST', at('pause'), { action: 'pause' })).body).toMatchObject({ paused: true });
    await s.trigger();
    expect(lease()).toEqual([]);
    expect((await s.send('POST', at('pause'), { action: 'resume' })).body).toMatchObject({ paused: false });
    expect(lease()).toHaveLength(1);
    expect((await s.send('POST', at('pause'), { action: 'stop' })).status).toBe(400);
  });
});
