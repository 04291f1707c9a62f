import { createHmac } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { issueToken } from './jwt.ts';
import { KEY, register, send, task, trigger } from './testing/wire.ts';

// Who may do what, as the vendor's own server answers (trigger.dev: apps/webapp/test/auth-api.e2e.full.test.ts).

const PASSES = 'passes';
let run: string;
let batch: string;

beforeEach(async () => {
  await register([task('work')]);
  const answer = await send('POST', '/api/v2/tasks/batch', {
    items: [{ task: 'work', payload: '{}', options: { payloadType: 'application/json', tags: ['alpha', 'beta'] } }],
  });
  ({
    id: batch,
    runs: [{ id: run }],
  } = answer.body as { id: string; runs: [{ id: string }] });
});

async function tokenOf(...scopes: string[]): Promise<string> {
  // The server makes none without scopes; a client that signs its own may.
  if (scopes.length === 0) {
    const { body } = await send('POST', '/api/v1/auth/jwt/claims');
    return issueToken(KEY, (body as { sub: string }).sub, [], Date.now(), 60);
  }
  const { body } = await send('POST', '/api/v1/auth/public-tokens', { scopes });
  return (body as { token: string }).token;
}

/** What the door says: its refusal, or that it lets through to whatever the route answers. */
async function door(scopes: string[], method: string, path: string, body?: unknown): Promise<number | typeof PASSES> {
  const { status } = await send(method, path, body, { key: await tokenOf(...scopes) });
  return status === 401 || status === 403 ? status : PASSES;
}

describe('a public token', () => {
  it('reads a run by its id, its task, one of its tags or its batch, and by scopes for more', async () => {
    for (const path of [`/api/v3/runs/${run}`, `/api/v1/runs/${run}/events`, `/api/v1/runs/${run}/trace`]) {
      const may = (...scopes: string[]): ReturnType<typeof door> => door(scopes, 'GET', path);
      for (const scope of [
        `read:runs:${run}`,
        'read:runs',
        'read:tasks:work',
        'read:tags:alpha',
        `read:batch:${batch}`,
        'read:all',
        'admin',
      ])
        expect(await may(scope), `${scope} ${path}`).toBe(PASSES);
      for (const scope of [
        'read:runs:run_other',
        'read:tags:gamma',
        'read:batch:batch_other',
        'read:tasks:other',
        `write:runs:${run}`,
      ])
        expect(await may(scope), `${scope} ${path}`).toBe(403);
      expect(await may()).toBe(403);
    }
  });

  it('lists runs with a scope for all of them, or for one of the tasks or tags that it asks for', async () => {
    const may = (scope: string, query = ''): ReturnType<typeof door> => door([scope], 'GET', `/api/v1/runs${query}`);
    for (const scope of ['read:runs', 'read:all', 'admin']) expect(await may(scope), scope).toBe(PASSES);
    for (const scope of ['write:runs', `read:runs:${run}`, 'read:tasks:work'])
      expect(await may(scope), scope).toBe(403);
    expect(await may('read:tasks:work', '?filter[taskIdentifier]=work,other')).toBe(PASSES);
    expect(await may('read:tasks:third', '?filter[taskIdentifier]=work')).toBe(403);
    expect(await door(['read:tags:alpha'], 'GET', '/realtime/v1/runs?tags=alpha,x&offset=-1')).toBe(PASSES);
    expect(await door(['read:tags:other'], 'GET', '/realtime/v1/runs?tags=alpha&offset=-1')).toBe(403);
  });

  it('triggers with a scope for that, or with one to write', async () => {
    const may = (scope: string): ReturnType<typeof door> =>
      door([scope], 'POST', '/api/v1/tasks/work/trigger', { payload: '{}' });
    for (const scope of ['trigger:tasks:work', 'trigger:tasks', 'write:tasks', 'write:tasks:work', 'admin'])
      expect(await may(scope), scope).toBe(PASSES);
    for (const scope of ['trigger:tasks:other', 'read:tasks', 'batchTrigger:tasks'])
      expect(await may(scope), scope).toBe(403);
  });

  it('triggers a batch of which it may trigger one task; a batch whose items come later, with a scope for all tasks', async () => {
    const items = ['work', 'other'].map((id) => ({ task: id, payload: '{}' }));
    const atOnce = (scope: string): ReturnType<typeof door> => door([scope], 'POST', '/api/v1/tasks/batch', { items });
    for (const scope of ['write:tasks', 'batchTrigger:tasks:work', 'admin']) expect(await atOnce(scope)).toBe(PASSES);
    for (const scope of ['batchTrigger:tasks:third', 'read:tasks', 'trigger:tasks'])
      expect(await atOnce(scope), scope).toBe(403);
    const later = (scope: string): ReturnType<typeof door> => door([scope], 'POST', '/api/v3/batches', { runCount: 1 });
    for (const scope of ['write:tasks', 'batchTrigger:tasks', 'admin']) expect(await later(scope)).toBe(PASSES);
    for (const scope of ['read:tasks', 'batchTrigger:tasks:work']) expect(await later(scope), scope).toBe(403);
  });

  it('cancels a run, completes a token, sends to an input and resets a key with scopes to write', async () => {
    const { id } = (await send('POST', '/api/v1/waitpoints/tokens', {})).body as { id: string };
    const waiting = await trigger();
    const writes: Array<[path: string, body: unknown, scopes: string[], not: string[]]> = [
      [
        `/api/v2/runs/${run}/cancel`,
        {},
        [`write:runs:${run}`, 'write:runs', 'write:all', 'admin'],
        [`read:runs:${run}`, 'write:runs:run_other'],
      ],
      [
        `/api/v1/waitpoints/tokens/${id}/complete`,
        {},
        [`write:waitpoints:${id}`, 'write:waitpoints', 'write:all', 'admin'],
        [`read:waitpoints:${id}`, 'write:waitpoints:waitpoint_other', `write:runs:${run}`],
      ],
      [
        `/realtime/v1/streams/${waiting}/input/approval`,
        { data: 1 },
        [`write:inputStreams:${waiting}`, 'write:inputStreams', 'write:all', 'admin'],
        [`read:inputStreams:${waiting}`, 'write:inputStreams:run_other'],
      ],
      [
        '/api/v1/idempotencyKeys/any/reset',
        { taskIdentifier: 'work' },
        ['write:runs', 'write:all', 'admin'],
        ['read:runs', `write:runs:${run}`],
      ],
    ];
    for (const [path, sent, scopes, not] of writes) {
      for (const scope of not) expect(await door([scope], 'POST', path, sent), `${scope} ${path}`).toBe(403);
      for (const scope of scopes) expect(await door([scope], 'POST', path, sent), `${scope} ${path}`).toBe(PASSES);
    }
  });

  it('is no key where none is taken', async () => {
    for (const path of [`/api/v1/runs/${run}/result`, '/api/v1/projects/proj_test/runs', '/api/v1/queues'])
      expect(await door(['admin'], 'GET', path), path).toBe(401);
  });
});

it('without a key nobody is let in, and the refusal says so', async () => {
  for (const path of [`/api/v3/runs/${run}`, '/api/v1/runs', '/realtime/v1/runs', '/api/v1/projects/proj_test/runs']) {
    const answer = await send('GET', path, undefined, { key: null });
    expect(answer.status).toBe(401);
    expect((answer.body as { error: string }).error).toMatch(/API key/);
  }
  expect((await send('GET', '/api/v1/runs', undefined, { key: KEY })).status).toBe(200);
});

// trigger.dev: apps/webapp/test/auth-cross-cutting.e2e.full.test.ts
it('a public token that another key has signed, that names no environment or that is not whole is none', async () => {
  const { body } = await send('POST', '/api/v1/auth/jwt/claims');
  const { sub } = body as { sub: string };
  const sign = (key: string, claims: object): string => {
    const text = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${text({ alg: 'HS256', typ: 'JWT' })}.${text(claims)}`;
    return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
  };
  const seconds = Math.floor(Date.now() / 1_000);
  const good = {
    sub,
    pub: true,
    scopes: ['read:runs'],
    iat: seconds,
    exp: seconds + 60,
    iss: 'https://id.trigger.dev',
    aud: 'https://api.trigger.dev',
  };
  const status = async (key: string): Promise<number> => (await send('GET', '/api/v1/runs', undefined, { key })).status;
  const whole = sign(KEY, good);
  expect(await status(whole)).toBe(200);
  for (const [what, token] of [
    ['another key', sign('tr_dev_another', good)],
    ['not public', sign(KEY, { ...good, pub: false })],
    ['no word of it', sign(KEY, { ...good, pub: undefined })],
    ['no environment', sign(KEY, { ...good, sub: undefined })],
    ['an environment that is not there', sign(KEY, { ...good, sub: 'no-environment' })],
    ['ended', sign(KEY, { ...good, exp: seconds - 120 })],
    ['another issuer', sign(KEY, { ...good, iss: 'https://else' })],
    ['another audience', sign(KEY, { ...good, aud: 'https://else' })],
    ['cut off', whole.slice(0, -10)],
    ['two parts', whole.split('.').slice(0, 2).join('.')],
    ['three words', 'not.a.token'],
  ] as const)
    expect(await status(token), what).toBe(401);
});

it('whoever may read a run reads its payload and output, and its tags in order', async () => {
  const own = await trigger('work', { tags: ['b', 'a'] });
  const answer = await send('GET', `/api/v3/runs/${own}`, undefined, { key: await tokenOf(`read:runs:${own}`) });
  expect(answer.body).toMatchObject({ id: own, payload: { n: 1 }, tags: ['a', 'b'] });
});

it('whoever has started a run may read it and send it input, and neither of another', async () => {
  const { headers, body } = await send('POST', '/api/v1/tasks/work/trigger', { payload: '1' });
  const key = headers.get('x-trigger-jwt');
  const { id } = body as { id: string };
  for (const [other, status] of [
    [id, 200],
    [run, 403],
  ] as const) {
    expect((await send('GET', `/api/v3/runs/${other}`, undefined, { key })).status).toBe(status);
    const input = await send('POST', `/realtime/v1/streams/${other}/input/approval`, { data: 1 }, { key });
    expect(input.status).toBe(status);
  }
});

it("a project's runs are listed for a personal token, not for an environment's key", async () => {
  const path = '/api/v1/projects/proj_test/runs';
  expect((await send('GET', path, undefined, { key: KEY })).status).toBe(401);
  expect((await send('GET', path, undefined, { key: 'tr_pat_local' })).status).toBe(200);
});
