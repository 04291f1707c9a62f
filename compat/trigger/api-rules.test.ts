import { beforeEach, describe, expect, it } from 'vitest';
import { Session, task } from './testing/session.ts';
import { api } from './testing/vendor-schemas.ts';

// What the tests of the vendor's own API hold it to, as far as a client can see it
// (trigger.dev: apps/webapp/test, packages/core/src/v3/schemas).

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let s: Session;
beforeEach(async () => {
  s = new Session();
  await s.register([task('work'), task('clock', { triggerSource: 'schedule' })]);
});

const post = (path: string, body: unknown, options = {}): ReturnType<Session['send']> =>
  s.send('POST', path, body, options);
const triggerWith = (options: object): ReturnType<Session['send']> =>
  post('/api/v1/tasks/work/trigger', { payload: '1', options });
const errorOf = (answer: { body: unknown }): string => (answer.body as { error: string }).error;

// apps/webapp/test/engine/triggerTask.debounce.test.ts
describe('a debounce', () => {
  const every = (debounce: object, more: object = {}): Promise<string> => s.trigger('work', { debounce, ...more });

  it('without a greatest delay is put off for as long as triggers come, however long its delay is', async () => {
    const debounce = { key: 'k', delay: '12h' };
    const first = await every(debounce);
    for (let i = 0; i < 5; i++) {
      s.t.advance(11 * HOUR);
      expect(await every(debounce)).toBe(first);
    }
    s.t.advance(12 * HOUR - 1);
    expect((await s.run(first)).status).toBe('DELAYED');
    s.t.advance(1);
    expect((await s.run(first)).status).toBe('QUEUED');
  });

  it('starts with the delay of its trigger, and is never made sooner', async () => {
    const debounce = { key: 'k', delay: '5m' };
    const at = (run: Record<string, unknown>): number => Date.parse(run.delayedUntil as string);
    const from = s.t.nowMs;
    const first = await every(debounce, { delay: '1h' });
    expect(at(await s.run(first))).toBe(from + HOUR);
    s.t.advance(10 * MINUTE);
    expect(await every(debounce)).toBe(first);
    expect(at(await s.run(first))).toBe(from + HOUR);
    s.t.advance(48 * MINUTE);
    expect(await every(debounce)).toBe(first);
    expect(at(await s.run(first))).toBe(from + 63 * MINUTE);
  });

  it.each([
    [{ delay: '12h', maxDelay: '12h' }, /longer than debounce\.delay/],
    [{ delay: '12h', maxDelay: '1h' }, /longer than debounce\.delay/],
    [{ delay: '10s', maxDelay: 'soon' }, /debounce\.maxDelay/],
    [{ delay: '10s', maxDelay: '' }, /debounce\.maxDelay/],
    [{ delay: '300ms' }, /debounce\.delay/],
    [{ delay: '2030-01-01T00:00:00Z' }, /debounce\.delay/],
  ])('of %j is refused', async (debounce, why) => {
    const answer = await triggerWith({ delay: '5m', debounce: { key: 'k', ...debounce } });
    expect(answer.status).toBe(422);
    expect(errorOf(answer)).toMatch(why);
  });
});

describe('options of a trigger', () => {
  it.each([
    [0, undefined],
    [90, '1m30s'],
    [3_600, '1h'],
    ['45m', '45m'],
  ])('ttl %s is shown as %s', async (ttl, shown) => {
    expect((await s.run(await s.trigger('work', { ttl }))).ttl).toBe(shown);
  });

  // apps/webapp/app/v3/utils/priority.test.ts
  it('a priority beyond what a number of milliseconds holds is taken as the greatest', async () => {
    const plain = await s.trigger();
    const ids: string[] = [];
    for (const priority of [0.000_49, -31_536_000, 31_536_000]) ids.push(await s.trigger('work', { priority }));
    const [none, least, most] = ids;
    const taken = s.t.engine
      .lease({ pool: 'trigger/proj_test/dev', max: 10, holdMs: MINUTE, holder: 'w' })
      .map(({ run }) => `run_${run.toLowerCase()}`);
    expect(taken).toEqual([most, plain, none, least]);
  });

  // packages/core/src/v3/schemas/api-type.test.ts, idempotencyKey.test.ts, batchItemNDJSON.test.ts
  it.each<[name: string, options: object, payload?: unknown]>([
    ['a payload in the store', { payloadType: 'application/store' }, 'packets/a.json'],
    ['a payload in the store that is no text', { payloadType: 'application/store' }, { a: 1 }],
    ['a payload in the store that is nowhere', { payloadType: 'application/store' }, ''],
    ['a key of 2,048 characters', { idempotencyKey: 'x'.repeat(2_048) }],
    ['a key of 2,049 characters', { idempotencyKey: 'x'.repeat(2_049) }],
    ['a concurrency key that is a number', { concurrencyKey: 51_262 }],
    ['a concurrency key that is an object', { concurrencyKey: { nested: 1 } }],
    ['no deployment', { externalDeploymentId: null }],
    ['a blank deployment', { externalDeploymentId: '   ' }],
    ['a deployment of 128 characters between blanks', { externalDeploymentId: `  ${'a'.repeat(128)}  ` }],
    ['a deployment of 129 characters', { externalDeploymentId: 'a'.repeat(129) }],
    ['a delay that is a number', { delay: 1_893_456_000_000 }],
    ['a delay that is an object', { delay: {} }],
    ['a ttl below zero', { ttl: -1 }],
    ['a ttl that is no whole number', { ttl: 1.5 }],
    ['one tag', { tags: 'one' }],
    ['a tag of 129 characters', { tags: ['x'.repeat(129)] }],
    ['a machine', { machine: 'large-2x' }],
    ['no such machine', { machine: 'huge' }],
    ['a duration of nothing', { maxDuration: 0 }],
    ['a duration that is a text', { maxDuration: '5' }],
    ['three limits', { concurrency: ['a', 'b', 'c'] }],
    ['a limit of another form', { concurrency: ['a b'] }],
    ['a mode of a debounce', { debounce: { key: 'k', delay: '5s', mode: 'middle' } }],
    ['a key of a debounce of 513 characters', { debounce: { key: 'x'.repeat(513), delay: '5s' } }],
  ])('%s: taken where the vendor takes it', async (_name, options, payload = '1') => {
    const body = { payload, options };
    const taken = api.TriggerTaskRequestBody?.safeParse(body).success;
    const answer = await post('/api/v1/tasks/work/trigger', body);
    expect(answer.status === 200, JSON.stringify(answer.body)).toBe(taken);
    if (!taken) expect(answer.status).toBe(400);
  });

  it('a duration is five seconds at least, and 0 is that of the task', async () => {
    await s.register([task('work', { maxDuration: 60 })]);
    const seen = async (maxDuration: number): Promise<number | undefined> => {
      const id = await s.trigger('work', { maxDuration });
      const run = id.slice(4).toUpperCase();
      const record = s.t.engine.query({ type: 'run', run });
      return (JSON.parse(record?.meta ?? '{}') as { maxDuration?: number }).maxDuration;
    };
    expect([await seen(0), await seen(2), await seen(90), await seen(-1)]).toEqual([60, 5, 90, 5]);
  });
});

// apps/webapp/app/routes/api.v1.auth.public-tokens, packages/trigger-sdk/src/v3/auth.test.ts
describe('a public token', () => {
  const mint = (body: object): ReturnType<Session['send']> => post('/api/v1/auth/public-tokens', body);
  const endOf = (answer: { body: unknown }): number => {
    const [, claims = ''] = (answer.body as { token: string }).token.split('.');
    return (JSON.parse(Buffer.from(claims, 'base64url').toString()) as { exp: number }).exp;
  };
  const scopes = ['read:runs'];

  it('ends when it is told to: at a time in seconds, or after a length of time', async () => {
    const now = Math.floor(Date.now() / 1_000);
    expect(endOf(await mint({ scopes, expirationTime: now + 600 }))).toBe(now + 600);
    expect(endOf(await mint({ scopes, expirationTime: '2h' })) - now - 7_200).toBeLessThan(5);
    expect(endOf(await mint({ scopes })) - now - 900).toBeLessThan(5);
  });

  it.each([
    ['a time that is over', { expirationTime: 1_600_000_000 }],
    ['a length of time that is over', { expirationTime: '5m ago' }],
    ['more than thirty days', { expirationTime: '100y' }],
    ['what is no length of time', { expirationTime: 'soon' }],
    ['no scopes', { scopes: [] }],
  ])('with %s is refused', async (_name, body) => {
    expect((await mint({ scopes, ...body })).status).toBe(400);
  });

  it('that counts once is remembered until it ends', async () => {
    const trigger = ['trigger:tasks:work'];
    const answer = await mint({ scopes: trigger, oneTimeUse: true, expirationTime: '20d' });
    const { token } = answer.body as { token: string };
    const use = (): ReturnType<Session['send']> => post('/api/v1/tasks/work/trigger', { payload: '1' }, { key: token });
    expect((await use()).status).toBe(200);
    s.t.advance(15 * 24 * HOUR);
    expect((await use()).status).toBe(401);
  });
});

// apps/webapp/test/schedules-api.e2e.full.test.ts
describe('the window of a schedule', () => {
  const make = (window: unknown, key = 'k'): ReturnType<Session['send']> =>
    post('/api/v1/schedules', { task: 'clock', cron: '0 * * * *', deduplicationKey: key, window });

  it.each([
    ['0m', '0m'],
    ['0h', '0m'],
    ['0%', '0%'],
    ['2h', '2h'],
    ['90m', '90m'],
    ['120m', '2h'],
    ['24h', '24h'],
  ])('%s is %s', async (window, shown) => {
    const answer = await make(window);
    expect(answer.body).toMatchObject({ window: shown });
    expect(api.ScheduleObject?.safeParse(answer.body).success).toBe(true);
  });

  it.each([
    [30, 400],
    ['30.5%', 422],
    ['101%', 422],
    ['1d', 422],
    ['25h', 422],
    ['010m', 422],
  ])('%s is refused with %i', async (window, status) => {
    expect((await make(window)).status).toBe(status);
  });

  it('starts lie within it; without one there is none, and while it is switched off there is no next time', async () => {
    const times = (body: unknown): [number, number] => {
      const { nextRun, nextRunEffectiveAt } = body as { nextRun: string; nextRunEffectiveAt: string };
      return [Date.parse(nextRun), Date.parse(nextRunEffectiveAt)];
    };
    const made = await make('30%');
    const [next, effective] = times(made.body);
    expect(effective).toBeGreaterThanOrEqual(next);
    expect(effective).toBeLessThan(next + 18 * MINUTE);
    const path = `/api/v1/schedules/${(made.body as { id: string }).id}`;
    const cleared = await s.send('PUT', path, { task: 'clock', cron: '0 0 * * *' });
    expect(cleared.body).not.toHaveProperty('window');
    expect((await post(`${path}/deactivate`, undefined)).body).toMatchObject({
      active: false,
      nextRun: null,
      nextRunEffectiveAt: null,
    });
    const [again] = times((await post(`${path}/activate`, undefined)).body);
    expect(again).toBeGreaterThan(s.t.nowMs);
  });
});

// apps/webapp/test/apiRunListPresenter.test.ts
describe("a project's runs", () => {
  it('are those of the environments that are asked for', async () => {
    const id = await s.trigger();
    const ids = async (query: string): Promise<string[]> => {
      const answer = await s.send('GET', `/api/v1/projects/proj_test/runs?${query}`, undefined, {
        key: 'tr_pat_local',
      });
      return (answer.body as { data: Array<{ id: string }> }).data.map((run) => run.id);
    };
    expect(await ids('')).toEqual([id]);
    expect(await ids('filter[env]=dev')).toEqual([id]);
    expect(await ids('filter[env]=staging,dev')).toEqual([id]);
    expect(await ids('filter[env]=prod,staging')).toEqual([]);
    // A key is of one environment.
    const own = await s.send('GET', '/api/v1/runs?filter[env]=prod');
    expect((own.body as { data: unknown[] }).data).toHaveLength(1);
  });
});

// packages/core/src/v3/apiClient/pagination.ts: a page keeps the cursor by which it was found, and adds the one for its way back.
describe('a page before a later one', () => {
  it.each([
    ['runs', '/api/v1/runs'],
    ['tokens', '/api/v1/waitpoints/tokens'],
    ['bulk actions', '/api/v1/bulk-actions'],
  ])('of %s is found with both cursors', async (_name, path) => {
    for (let i = 0; i < 5; i++) {
      const run = await s.trigger('work', { delay: '1h' });
      await post('/api/v1/waitpoints/tokens', {});
      await post('/api/v1/bulk-actions', { action: 'cancel', runIds: [run] });
      s.t.advance(1);
    }
    interface Page {
      data: Array<{ id: string }>;
      pagination: { next?: string; previous?: string };
    }
    const page = async (query: string): Promise<Page> =>
      (await s.send('GET', `${path}?page[size]=2${query}`)).body as Page;
    const first = await page('');
    const second = await page(`&page[after]=${first.pagination.next}`);
    const third = await page(`&page[after]=${second.pagination.next}`);
    expect(third.data).toHaveLength(1);
    const back = await page(`&page[after]=${second.pagination.next}&page[before]=${third.pagination.previous}`);
    expect(back.data.map(({ id }) => id)).toEqual(second.data.map(({ id }) => id));
  });
});

// apps/webapp/test/updateMetadata.test.ts
describe('metadata', () => {
  const append = (value: string): object => ({ type: 'append', key: 'logs', value });
  const put = (run: string, body: object): ReturnType<Session['send']> =>
    s.send('PUT', `/api/v1/runs/${run}/metadata`, body);
  const of = async (run: string): Promise<unknown> => (await s.run(run)).metadata;
  const huge = append('x'.repeat(300_000));

  it('of a parent that has no room for more stays as it is; what the child says of itself is kept', async () => {
    const parent = await s.trigger();
    const child = await s.trigger('work', { parentRunId: parent });
    await put(child, { parentOperations: [append('one')] });
    const answer = await put(child, { operations: [append('mine')], parentOperations: [huge] });
    expect(answer).toMatchObject({ status: 200, body: { metadata: { logs: ['mine'] } } });
    expect([await of(parent), await of(child)]).toEqual([{ logs: ['one'] }, { logs: ['mine'] }]);
    await put(child, { parentOperations: [append('two')] });
    expect(await of(parent)).toEqual({ logs: ['one', 'two'] });
  });

  it('of its own that has no room for more is refused, with all that came with it', async () => {
    const parent = await s.trigger();
    const child = await s.trigger('work', { parentRunId: parent });
    const answer = await put(child, { operations: [huge], parentOperations: [append('one')] });
    expect(answer.status).toBe(413);
    expect([await of(parent), await of(child)]).toEqual([undefined, undefined]);
  });
});

// apps/webapp/test/engine/streamBatchItems.test.ts
describe('the items of a batch', () => {
  const encoder = new TextEncoder();
  const line = (index: number, payload: string): string => JSON.stringify({ index, task: 'work', payload });
  /** Sends the bytes in parts of such a size, as a network may cut them. */
  async function stream(runCount: number, text: string, partBytes: number): Promise<{ id: string; body: unknown }> {
    const { id } = (await post('/api/v3/batches', { runCount })).body as { id: string };
    const bytes = encoder.encode(text);
    let at = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (at >= bytes.length) return controller.close();
        controller.enqueue(bytes.slice(at, (at += partBytes)));
      },
    });
    const response = await s.app.request(`/api/v3/batches/${id}/items`, {
      method: 'POST',
      headers: { authorization: 'Bearer tr_dev_ref_proj_test' },
      body,
      duplex: 'half',
    } as RequestInit);
    return { id, body: await response.json() };
  }
  const payloadsOf = async (batch: string): Promise<unknown[]> => {
    const { runs } = (await s.send('GET', `/api/v2/batches/${batch}`)).body as { runs: string[] };
    return Promise.all(runs.map(async (id) => (await s.run(id)).payload));
  };

  it.each([1, 2, 3, 7, 10_000])(
    'come whole in parts of %i bytes, with any characters and blank lines',
    async (size) => {
      const texts = ['"\u00e9 😀 こんにちは"', '"line\\nline"', '"last"'];
      const text = `\n${line(0, texts[0]!)}\n   \n${line(1, texts[1]!)}\n\n${line(2, texts[2]!)}`;
      const { id, body } = await stream(3, text, size);
      expect(body).toMatchObject({ sealed: true, itemsAccepted: 3 });
      expect(await payloadsOf(id)).toEqual(texts.map((one) => JSON.parse(one) as unknown));
    },
  );

  it('that are too large fail by themselves, whatever says where they stand', async () => {
    const huge = 'x'.repeat(3 * 1_024 * 1_024);
    const items = [
      line(0, '"a"'),
      line(1, huge),
      JSON.stringify({ task: 'work', payload: { index: 0, huge } }),
      line(3, '"d"'),
    ];
    const { id, body } = await stream(4, items.join('\n'), 100_000);
    expect(body).toMatchObject({ sealed: true });
    expect(await payloadsOf(id)).toEqual(['a', 'd']);
    const { processing } = (await s.send('GET', `/api/v2/batches/${id}`)).body as {
      processing: { errors: Array<{ index: number; taskIdentifier: string; error: string }> };
    };
    expect(processing.errors.map(({ index, taskIdentifier }) => [index, taskIdentifier])).toEqual([
      [1, 'work'],
      [2, 'work'],
    ]);
    expect(processing.errors[0]?.error).toMatch(/too large/);
  });

  it('that are too large and out of range are refused', async () => {
    const { body } = await stream(1, line(5, 'x'.repeat(3 * 1_024 * 1_024 + 1)), 1_000_000);
    expect(body).toMatchObject({ error: expect.stringMatching(/out of range/) });
  });
});
