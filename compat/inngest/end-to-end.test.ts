import { Inngest } from 'inngest';
import { serve } from 'inngest/edge';
import { describe, expect, test } from 'vitest';
import { LocalServer, type Handler } from './testing/local-server.ts';
import { APP_URL, makeV4, quiet, SDKS, sync, type Definition, type Client } from './testing/sdks.ts';

describe.each(SDKS)('%s', (name, make) => {
  test('three steps, one retried, run once each and give their result', async () => {
    const server = new LocalServer();
    const ran: string[] = [];
    const client = await make(server, [
      {
        id: 'f',
        event: 'test/go',
        body: async ({ step, event, attempt }) => {
          const a = await step.run('a', () => (ran.push('a'), 1));
          const b = await step.run('b', () => {
            ran.push(`b${attempt}`);
            if (attempt === 0) throw new Error('once');
            return a + 1;
          });
          const c = await step.run('c', () => (ran.push(`c${attempt}`), b + (event.data['n'] as number)));
          return { a, b, c };
        },
      },
    ]);
    const { ids } = await client.send({ name: 'test/go', data: { n: 10 } });
    await server.advance(60_000);
    expect(ran).toEqual(['a', 'b0', 'b1', 'c0']);
    expect(await server.runsOf(ids[0] as string)).toMatchObject([
      { status: 'Completed', output: { a: 1, b: 2, c: 12 } },
    ]);
  });

  test('a sleep of 30 days holds nothing and ends on time', async () => {
    const server = new LocalServer();
    const client = await make(server, [
      { id: 'f', event: 'test/go', body: async ({ step }) => (await step.sleep('nap', '30d'), 'awake') },
    ]);
    const { ids } = await client.send({ name: 'test/go' });
    await server.advance(30 * 86_400_000 - 1_000);
    expect(await server.runsOf(ids[0] as string)).toMatchObject([{ status: 'Running' }]);
    await server.advance(2_000);
    expect(await server.runsOf(ids[0] as string)).toMatchObject([{ status: 'Completed', output: 'awake' }]);
    expect(server.calls).toHaveLength(2);
  });

  test('waitForEvent gets the event that matches, or null in time', async () => {
    const server = new LocalServer();
    const client = await make(server, [
      {
        id: 'f',
        event: 'test/go',
        body: ({ step }) => step.waitForEvent('w', { event: 'test/ok', timeout: '1h', match: 'data.order' }),
      },
    ]);
    const first = await client.send({ name: 'test/go', data: { order: 'A' } });
    const second = await client.send({ name: 'test/go', data: { order: 'B' } });
    await server.idle();
    await client.send({ name: 'test/ok', data: { order: 'A', by: 'me' } });
    await server.advance(3_700_000);
    expect(await server.runsOf(first.ids[0] as string)).toMatchObject([
      { status: 'Completed', output: { name: 'test/ok', data: { order: 'A', by: 'me' } } },
    ]);
    expect(await server.runsOf(second.ids[0] as string)).toMatchObject([{ status: 'Completed', output: null }]);
  });

  test('parallel steps run once each, and discovery follows the last in version 2', async () => {
    const server = new LocalServer();
    const ran: string[] = [];
    const client = await make(server, [
      {
        id: 'f',
        event: 'test/go',
        body: async ({ step }) => {
          const parts = await Promise.all(['a', 'b', 'c'].map((id) => step.run(id, () => (ran.push(id), id))));
          const last = await step.run('d', () => (ran.push('d'), parts.join('')));
          return last;
        },
      },
    ]);
    const { ids } = await client.send({ name: 'test/go' });
    await server.advance(1_000);
    expect(ran.sort()).toEqual(['a', 'b', 'c', 'd']);
    expect(await server.runsOf(ids[0] as string)).toMatchObject([{ status: 'Completed', output: 'abc' }]);
    const discoveries = server.calls.filter((call) => call.key === '').length;
    // Version 1 asks after each step, as often as it can.
    expect(discoveries).toBeLessThanOrEqual({ 'SDK 4, checkpointing': 2, 'SDK 4, classic': 3 }[name] ?? 5);
  });

  test('a failing run tells onFailure', async () => {
    const server = new LocalServer();
    const told: unknown[] = [];
    const client = await make(server, [
      {
        id: 'f',
        event: 'test/go',
        retries: 1,
        onFailure: ({ event, error }) => void told.push([event.name, event.data['function_id'], error?.message]),
        body: () => {
          throw new Error('broken');
        },
      },
    ]);
    const { ids } = await client.send({ name: 'test/go' });
    await server.advance(3_600_000);
    expect(await server.runsOf(ids[0] as string)).toMatchObject([
      { status: 'Failed', output: { name: 'Error', message: 'broken' } },
    ]);
    expect(told).toEqual([['inngest/function.failed', 'app-f', 'broken']]);
    expect(server.calls.filter((call) => call.task.id === 'inngest/app-f').map((call) => call.attempt)).toEqual([0, 1]);
  });

  test('an error of a step can be caught once its retries are used up', async () => {
    const server = new LocalServer();
    let tries = 0;
    const client = await make(server, [
      {
        id: 'f',
        event: 'test/go',
        retries: 2,
        body: async ({ step }) => {
          try {
            await step.run('a', () => {
              tries++;
              throw new Error('no');
            });
          } catch (error) {
            return await step.run('b', () => `caught ${(error as Error).message}`);
          }
          return 'never';
        },
      },
    ]);
    const { ids } = await client.send({ name: 'test/go' });
    await server.advance(3_600_000);
    expect(tries).toBe(3);
    expect(await server.runsOf(ids[0] as string)).toMatchObject([{ status: 'Completed', output: 'caught no' }]);
  });

  test('invoke gives the child its data and the parent its result, or its error', async () => {
    const server = new LocalServer();
    const client = await make(server, [
      {
        id: 'child',
        event: 'test/child',
        retries: 0,
        body: async ({ step, event }) => {
          if ((event.data as { fail?: boolean }).fail) throw new Error('child broke');
          return await step.run('x', () => ({ doubled: (event.data['n'] as number) * 2 }));
        },
      },
      {
        id: 'f',
        event: 'test/go',
        body: async ({ step }, functions) => {
          const good = await step.invoke('good', { function: functions['child'] as never, data: { n: 21 } });
          try {
            await step.invoke('bad', { function: functions['child'] as never, data: { fail: true } });
          } catch (error) {
            return { good, bad: (error as Error).message };
          }
          return 'no error';
        },
      },
    ]);
    const { ids } = await client.send({ name: 'test/go' });
    await server.advance(60_000);
    expect(await server.runsOf(ids[0] as string)).toMatchObject([
      { status: 'Completed', output: { good: { doubled: 42 }, bad: 'child broke' } },
    ]);
  });

  test('sendEvent starts another function', async () => {
    const server = new LocalServer();
    const got: unknown[] = [];
    const client = await make(server, [
      { id: 'g', event: 'test/next', body: ({ event }) => void got.push(event.data) },
      {
        id: 'f',
        event: 'test/go',
        body: ({ step }) => step.sendEvent('send', { name: 'test/next', data: { hop: 1 } }),
      },
    ]);
    await client.send({ name: 'test/go' });
    await server.advance(1_000);
    expect(got).toEqual([{ hop: 1 }]);
  });

  test('a plain step writes one row of history', async () => {
    const server = new LocalServer();
    const client = await make(server, [
      {
        id: 'f',
        event: 'test/go',
        body: async ({ step }) => {
          for (let i = 0; i < 10; i++) await step.run(`s${i}`, () => i);
        },
      },
    ]);
    const before = server.sql.rowsWritten();
    const { ids } = await client.send({ name: 'test/go' });
    await server.idle();
    // The event, the run and what waits for it, and a row for each step: less than two rows a step with the rest.
    expect(server.sql.rowsWritten() - before).toBeLessThanOrEqual(10 + 6);
    await server.advance(1_000);
    const [run] = await server.runsOf(ids[0] as string);
    const history = server.engine.query({ type: 'history', run: run?.run_id ?? '' });
    expect(history.map((entry) => entry.body.kind)).toEqual([...Array.from({ length: 10 }, () => 'step'), 'end']);
  });
});

test('a race goes on with the winner while the loser still runs', async () => {
  const server = new LocalServer();
  const ran: string[] = [];
  let release = (_: string): void => {};
  const slow = new Promise<string>((resolve) => {
    release = resolve;
  });
  const client = new Inngest({
    id: 'app',
    isDev: true,
    baseUrl: 'http://server.test',
    fetch: server.fetch as never,
    logger: quiet,
  });
  const fn = client.createFunction({ id: 'f', triggers: [{ event: 'test/go' }] }, async ({ step, group }) => {
    const winner = await group.parallel({ mode: 'race' }, () =>
      Promise.race([step.run('fast', () => 'fast'), step.run('slow', () => slow)]),
    );
    return await step.run('after', () => {
      ran.push(`after ${winner}`);
      return ran[0];
    });
  });
  server.app = serve({ client, functions: [fn] }) as Handler;
  await sync(server);
  const { ids } = await client.send({ name: 'test/go' });
  for (let i = 0; i < 500 && ran.length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(ran).toEqual(['after fast']);
  expect(await server.runsOf(ids[0] as string)).toMatchObject([{ status: 'Running' }]);
  // The SDK does not let a function end while one of its steps runs.
  release('slow');
  await server.idle();
  expect(await server.runsOf(ids[0] as string)).toMatchObject([{ status: 'Completed', output: 'after fast' }]);
});

test('signals resume the run that waits, and nobody else', async () => {
  const server = new LocalServer();
  const client = await makeV4(true)(server, [
    { id: 'f', event: 'test/go', body: ({ step }) => step.waitForSignal('w', { signal: 'go', timeout: '1h' }) },
    { id: 'g', event: 'test/send', body: ({ step }) => step.sendSignal('s', { signal: 'go', data: { ok: true } }) },
  ]);
  const { ids } = await client.send({ name: 'test/go' });
  await server.idle();
  await client.send({ name: 'test/send' });
  await server.advance(1_000);
  expect(await server.runsOf(ids[0] as string)).toMatchObject([
    { status: 'Completed', output: { signal: 'go', data: { ok: true } } },
  ]);
});

test('a cron starts a run for each of its times', async () => {
  const server = new LocalServer();
  const seen: unknown[] = [];
  await makeV4(true)(server, [
    { id: 'f', cron: 'TZ=Europe/Stockholm */5 * * * *', body: ({ event }) => void seen.push([event.name, event.data]) },
  ]);
  await server.advance(10 * 60_000);
  expect(seen).toHaveLength(2);
  expect(seen[0]).toMatchObject(['inngest/scheduled.timer', { cron: 'TZ=Europe/Stockholm */5 * * * *' }]);
});

test('a registration tells whether it changed anything, and removes functions that are gone', async () => {
  const server = new LocalServer();
  const definitions: Definition[] = [
    { id: 'f', event: 'test/go', body: () => 1 },
    { id: 'g', event: 'test/go', body: () => 2 },
  ];
  await makeV4(true)(server, definitions);
  expect((await sync(server)).modified).toBe(false);
  const client = await makeV4(true)(server, definitions.slice(0, 1));
  const { ids } = await client.send({ name: 'test/go' });
  await server.idle();
  expect(await server.runsOf(ids[0] as string)).toHaveLength(1);
});

test('a function with a throttle that cannot be is refused by name and field', async () => {
  const server = new LocalServer();
  const client = new Inngest({
    id: 'app',
    isDev: true,
    baseUrl: 'http://server.test',
    fetch: server.fetch as never,
    logger: quiet,
  });
  const fn = client.createFunction(
    { id: 'f', triggers: [{ event: 'a' }], throttle: { limit: 1, period: '8d' } },
    () => 1,
  );
  server.app = serve({ client, functions: [fn] }) as Handler;
  const response = await server.app(new Request(APP_URL, { method: 'PUT', headers: { host: 'app.test' } }));
  expect(response.status).toBe(400);
  expect(((await response.json()) as { message: string }).message).toMatch(
    /"app-f".*"throttle\.period" must lie between 1s and 7d/,
  );
  expect(server.engine.query({ type: 'tasks' })).toEqual([]);
});

test('concurrency bounds executing calls by key', async () => {
  const server = new LocalServer();
  const now: Record<string, number> = {};
  let most = 0;
  const client = await makeV4(false)(server, [
    {
      id: 'f',
      event: 'test/go',
      concurrency: { limit: 1, key: 'event.data.user' },
      body: async ({ step, event }) => {
        const user = event.data['user'] as string;
        await step.run('a', async () => {
          now[user] = (now[user] ?? 0) + 1;
          most = Math.max(most, now[user]);
          await new Promise((resolve) => setTimeout(resolve, 5));
          now[user]--;
        });
      },
    },
  ]);
  await client.send(['x', 'x', 'x', 'y'].map((user) => ({ name: 'test/go', data: { user } })));
  await server.advance(1_000);
  expect(most).toBe(1);
  expect(server.engine.query({ type: 'runs' }).items.map((run) => run.status)).toEqual(
    Array.from({ length: 4 }, () => 'completed'),
  );
});

test('in production mode keys are required, and the fallback key is taken', async () => {
  const signingKey = 'signkey-prod-0123456789abcdef0123456789abcdef';
  const fallback = 'signkey-prod-ffff456789abcdef0123456789abcdef';
  const server = new LocalServer(
    { INNGEST_SIGNING_KEY: signingKey, INNGEST_SIGNING_KEY_FALLBACK: fallback, INNGEST_EVENT_KEY: 'evt' },
    'production',
  );
  const app = (keys: { signingKey: string; signingKeyFallback?: string; eventKey: string }): Client => {
    const client = new Inngest({
      id: 'app',
      isDev: false,
      baseUrl: 'http://server.test',
      fetch: server.fetch as never,
      logger: quiet,
      ...keys,
    });
    const fn = client.createFunction({ id: 'f', triggers: [{ event: 'test/go' }] }, async ({ step }) =>
      step.run('a', () => 'signed'),
    );
    server.app = serve({ client, functions: [fn] }) as Handler;
    return client as unknown as Client;
  };
  app({ signingKey: 'signkey-prod-00', eventKey: 'evt' });
  const refused = await server.app(new Request(APP_URL, { method: 'PUT', headers: { host: 'app.test' } }));
  expect(refused.status).toBe(401);
  app({ signingKey: 'signkey-prod-00', signingKeyFallback: fallback, eventKey: 'evt' });
  await sync(server);
  const client = app({ signingKey, eventKey: 'evt' });
  const { ids } = await client.send({ name: 'test/go' });
  await server.advance(1_000);
  const response = await server.routes.request(`/v1/events/${ids[0]}/runs`, {
    headers: { authorization: `Bearer ${signingKey}` },
  });
  expect(await response.json()).toMatchObject({ data: [{ status: 'Completed', output: 'signed' }] });
  await expect(app({ signingKey, eventKey: 'wrong' }).send({ name: 'test/go' })).rejects.toThrow(/Event key not found/);
  expect((await server.routes.request('/v1/events')).status).toBe(401);
});
