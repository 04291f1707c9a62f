import { beforeEach, describe, expect, it } from 'vitest';
import { Session, task } from './testing/session.ts';
import { api } from './testing/vendor-schemas.ts';

let s: Session;
beforeEach(async () => {
  s = new Session();
  await s.register([task('work')]);
});

describe('wait tokens', () => {
  interface Page {
    data: Array<{ id: string; status: string }>;
    pagination: { next?: string; previous?: string };
  }
  const create = async (body: object): Promise<string> =>
    (await s.ok<{ id: string }>('CreateWaitpointTokenResponseBody', 'POST', '/api/v1/waitpoints/tokens', body)).id;
  const list = async (query = ''): Promise<Page> => {
    const page = (await s.send('GET', `/api/v1/waitpoints/tokens?${query}`)).body as Page;
    for (const item of page.data) expect(api.WaitpointTokenItem?.safeParse(item).success).toBe(true);
    return page;
  };
  const ids = async (query: string): Promise<string[]> => (await list(query)).data.map((item) => item.id);

  it('are listed newest first, by status, tag, key and time, page by page', async () => {
    const made: string[] = [];
    for (const body of [
      { tags: ['a'] },
      { tags: ['b', 'c'], idempotencyKey: 'k' },
      { tags: ['c'], timeout: '1m' },
      {},
      { timeout: '1h' },
    ]) {
      made.unshift(await create(body));
      s.t.advance(1_000);
    }
    const [timed, plain, soon, keyed, first] = made as [string, string, string, string, string];
    await s.ok('CompleteWaitpointTokenResponseBody', 'POST', `/api/v1/waitpoints/tokens/${plain}/complete`, {
      data: 1,
    });
    expect(await ids('')).toEqual(made);
    expect(await ids('filter[tags]=c')).toEqual([soon, keyed]);
    expect(await ids('filter[tags]=a,b')).toEqual([keyed, first]);
    expect(await ids('filter[idempotencyKey]=k')).toEqual([keyed]);
    expect(await ids('filter[status]=COMPLETED')).toEqual([plain]);
    expect(await ids('filter[createdAt][period]=3s')).toEqual([timed, plain, soon]);
    s.t.advance(120_000);
    expect(await ids('filter[status]=TIMED_OUT')).toEqual([soon]);
    expect(await ids('filter[status]=WAITING,TIMED_OUT')).toEqual([timed, soon, keyed, first]);
    const one = await list('page[size]=2');
    const two = await list(`page[size]=2&page[after]=${one.pagination.next}`);
    const three = await list(`page[size]=2&page[after]=${two.pagination.next}`);
    expect([...one.data, ...two.data, ...three.data].map((item) => item.id)).toEqual(made);
    expect([one.pagination.previous, three.pagination.next]).toEqual([undefined, undefined]);
    const back = await list(`page[size]=2&page[before]=${three.pagination.previous}`);
    expect(back.data).toEqual(two.data);
    expect((await s.send('GET', '/api/v1/waitpoints/tokens?filter[status]=DONE')).status).toBe(400);
  });
});

describe('a wait with an idempotency key', () => {
  it('is waited for once: the second time only what is left of it', async () => {
    const waiting = async (): Promise<string> => {
      const run = await s.trigger();
      s.t.engine.lease({ pool: 'trigger/proj_test/dev', max: 1, holdMs: 3_600_000, holder: 'w' });
      return run;
    };
    const wait = async (run: string, seconds: number): Promise<{ waitpoint: { id: string } }> => {
      const offset = Date.now() - s.t.nowMs;
      const date = new Date(s.t.nowMs + offset + seconds * 1_000).toISOString();
      return s.ok('WaitForDurationResponseBody', 'POST', `/engine/v1/runs/${run}/wait/duration`, {
        date,
        idempotencyKey: 'k',
      });
    };
    const open = (run: string): number =>
      s.t.engine
        .query({ type: 'run-detail', run: run.slice(4).toUpperCase() })
        ?.pending.filter((p) => p.kind === 'sleep').length ?? -1;
    const [first, second] = [await waiting(), await waiting()];
    const { waitpoint } = await wait(first, 60);
    expect((await wait(second, 600)).waitpoint.id).toBe(waitpoint.id);
    expect([open(first), open(second)]).toEqual([1, 1]);
    s.t.advance(61_000);
    expect([open(first), open(second)]).toEqual([0, 0]);
    await wait(first, 600);
    s.t.advance(10);
    expect(open(first)).toBe(0);
  });
});

describe('a bound on requests', () => {
  it('is a 429 that says when to come again, for each key by itself', async () => {
    s.vars.REPOINT_TRIGGER_RATE_LIMIT = '3';
    const read = (key: string) => s.send('GET', '/api/v1/runs', undefined, { key });
    for (const left of ['2', '1', '0']) {
      const answer = await read('tr_dev_one');
      expect([answer.status, answer.headers.get('x-ratelimit-remaining')]).toEqual([200, left]);
    }
    const refused = await read('tr_dev_one');
    expect(refused.status).toBe(429);
    expect(refused.body).toMatchObject({ error: 'Rate limit exceeded: 3 requests a minute' });
    const reset = Number(refused.headers.get('x-ratelimit-reset'));
    expect(reset - Date.now()).toBeGreaterThan(0);
    expect(reset - Date.now()).toBeLessThanOrEqual(60_000);
    expect((await read('tr_dev_two')).status).toBe(200);
  });
});

describe('deployments', () => {
  it('are listed, the current one is told, and an earlier one is promoted with its tasks', async () => {
    expect((await s.send('GET', '/api/v1/deployments/current')).status).toBe(404);
    const { taskSpecOf } = await import('./routes/background-workers.ts');
    const { keepTaskVersions, takeVersion } = await import('./workers.ts');
    const cell = s.cell;
    const deploy = async (hash: string, ...slugs: string[]): Promise<string> => {
      const build = { contentHash: hash, environmentType: 'PRODUCTION' as const, deployed: true };
      const worker = await takeVersion(cell, 'proj_test', build, s.t.nowMs);
      const metadata = { packageVersion: '4.8.3', contentHash: hash, tasks: [] };
      const tasks = slugs.map((id) => taskSpecOf('proj_test', { id, filePath: `${hash}.ts` }, worker, metadata));
      const registered = s.t.apply({ type: 'register', group: 'trigger/proj_test', tasks, replace: true });
      await keepTaskVersions(cell, 'proj_test', worker, registered, []);
      s.t.advance(1_000);
      return worker.version;
    };
    const first = await deploy('one', 'work', 'gone');
    const second = await deploy('two', 'work');
    interface Deployment {
      version: string;
      status: string;
    }
    const list = await s.send('GET', '/api/v1/deployments');
    const { data } = list.body as { data: Deployment[] };
    expect(data.map((item) => item.version)).toEqual([second, first]);
    const current = (): Promise<Deployment> =>
      s.ok('RetrieveCurrentDeploymentResponseBody', 'GET', '/api/v1/deployments/current');
    expect(await current()).toMatchObject({ version: second, status: 'DEPLOYED' });
    expect((await s.send('POST', `/api/v1/deployments/${first}/promote`)).status).toBe(200);
    expect((await current()).version).toBe(first);
    expect(s.t.engine.query({ type: 'task', id: 'trigger/proj_test/gone' })?.data).toContain('one.ts');
    expect((await s.send('POST', `/api/v1/deployments/${first}/promote`)).status).toBe(400);
    expect((await s.send('POST', '/api/v1/deployments/20260101.99/promote')).status).toBe(404);
    const page = await s.send('GET', '/api/v1/deployments?page[size]=1');
    expect(page.body).toMatchObject({
      data: [{ version: second }],
      pagination: { next: expect.any(String) as string },
    });
  });
});
