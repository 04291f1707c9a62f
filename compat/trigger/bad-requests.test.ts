import { describe, expect, it } from 'vitest';
import { t, app, send, register, production } from './testing/wire.ts';

describe('bad requests', () => {
  it.each([
    ['GET', '/api/v2/whoami'],
    ['POST', '/api/v1/tasks/work/trigger'],
    ['POST', '/engine/v1/dev/dequeue'],
    ['GET', '/api/v1/runs'],
  ])('%s %s without or with an unknown key is 401', async (method, path) => {
    for (const key of [null, 'nonsense', 'tr_xx_abc', 'a.b.c']) {
      const answer = await send(method, path, method === 'POST' ? {} : undefined, { key });
      expect(answer.status).toBe(401);
      expect(answer.body).toMatchObject({ error: expect.any(String) as string });
    }
  });

  it('in production mode only the configured keys count', async () => {
    production({ TRIGGER_SECRET_KEY: 'tr_prod_right', TRIGGER_ACCESS_TOKEN: 'tr_pat_right' });
    expect((await send('GET', '/engine/v1/dev/config', undefined, { key: 'tr_prod_wrong' })).status).toBe(401);
    expect((await send('GET', '/engine/v1/dev/config', undefined, { key: 'tr_prod_right' })).status).toBe(200);
    expect((await send('GET', '/api/v2/whoami', undefined, { key: 'tr_pat_right' })).status).toBe(200);
    expect((await send('GET', '/api/v1/projects/p/dev', undefined, { key: 'tr_pat_right' })).body).toMatchObject({
      apiKey: 'tr_prod_right',
    });
  });

  it.each([
    ['not json', '{'],
    ['an array', '[]'],
    ['a wrong type', '{"options":{"tags":7}}'],
    ['a long tag', JSON.stringify({ options: { tags: ['x'.repeat(129)] } })],
    ['a bad maxAttempts', '{"options":{"maxAttempts":0}}'],
  ])('a trigger with %s is 400 and starts nothing', async (_name, body) => {
    await register();
    const answer = await send('POST', '/api/v1/tasks/work/trigger', body);
    expect(answer.status).toBe(400);
    expect(t.engine.query({ type: 'runs' }).items).toEqual([]);
  });

  it.each([
    [{ delay: 'soon' }, 422],
    [{ ttl: 'sometimes' }, 422],
    [{ tags: Array.from({ length: 11 }, (_, i) => `t${i}`) }, 422],
    [{ parentRunId: 'run_nonsense' }, 422],
    [{ parentRunId: 'run_01h00000000000000000000000', resumeParentOnCompletion: true }, 422],
    [{ debounce: { key: 'k', delay: 'soon' } }, 422],
  ])('the option %j is refused with %i', async (options, status) => {
    await register();
    const answer = await send('POST', '/api/v1/tasks/work/trigger', { payload: 'x', options });
    expect(answer.status).toBe(status);
    expect(t.engine.query({ type: 'runs' }).items).toEqual([]);
  });

  it('an unknown run, batch or token is 404', async () => {
    await register();
    const missing = 'run_01h00000000000000000000000';
    for (const [method, path] of [
      ['GET', `/api/v3/runs/${missing}`],
      ['GET', '/api/v3/runs/run_x'],
      ['POST', `/api/v2/runs/${missing}/cancel`],
      ['GET', `/engine/v1/dev/runs/${missing}/snapshots/latest`],
      ['GET', '/api/v2/batches/batch_x'],
      ['GET', '/api/v1/waitpoints/tokens/waitpoint_x'],
      ['GET', `/api/v1/runs/${missing}/metadata`],
    ] as const)
      expect((await send(method, path, method === 'POST' ? {} : undefined)).status, path).toBe(404);
  });

  it('a body over the limit is 413', async () => {
    await register();
    const answer = await send('POST', '/api/v1/tasks/work/trigger', JSON.stringify({ payload: 'x'.repeat(5_000_000) }));
    expect(answer.status).toBe(413);
  });

  it.each([
    ['GET', '/api/v1/prompts'],
    ['GET', '/api/v1/queues/x/y/z'],
    ['POST', '/api/v1/sessions'],
    ['GET', '/realtime/v1/sessions/s/out'],
  ])('%s %s is not served: 501, and the client is told not to try again', async (method, path) => {
    const answer = await send(method, path);
    expect(answer.status).toBe(501);
    expect(answer.body).toMatchObject({ code: 'not_served' });
    expect(answer.headers.get('x-should-retry')).toBe('false');
  });

  it('browsers may call, and read the token header', async () => {
    const preflight = await app.request('/api/v1/tasks/work/trigger', {
      method: 'OPTIONS',
      headers: {
        origin: 'http://app',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,x-trigger-client',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('x-trigger-client');
    await register();
    const answer = await send(
      'POST',
      '/api/v1/tasks/work/trigger',
      { payload: '1' },
      { headers: { origin: 'http://app' } },
    );
    expect(answer.headers.get('access-control-expose-headers')).toContain('x-trigger-jwt');
    expect(answer.headers.get('x-trigger-jwt')?.split('.').length).toBe(3);
  });
});
