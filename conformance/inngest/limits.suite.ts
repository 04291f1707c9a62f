import { referenceFunction as referenceFunction4 } from 'inngest';
import { referenceFunction as referenceFunction3 } from 'inngest3';
import { expect, suite } from '../harness/index.ts';
import { FLAVOURS, fail, startApp, serveApp } from './apps.ts';
import type { App, Definition } from './apps.ts';

const MINUTE_MS = 60_000;

// How many calls go at once, and how many runs begin in a time.
for (const flavour of FLAVOURS) {
  const { label, sdk, version } = flavour;
  const reference = (version === 4 ? referenceFunction4 : referenceFunction3) as (target: object) => never;

  suite({ vendor: 'inngest', name: `limits (${label})`, sdk }, (s) => {
    s.case(
      ['I-50'],
      'throttle: limit and burst at once, then one every period / limit, in order; later steps are free',
      async (context) => {
        const name = context.unique('go');
        const seen: unknown[] = [];
        const steps: unknown[] = [];
        const app = await startApp(context, flavour, [
          {
            id: 'throttled',
            triggers: [{ event: name }],
            options: { throttle: { limit: 2, period: '1m', burst: 1 } },
            body: async ({ event, step }) => {
              await step.run('a', () => void seen.push(event.data['n']));
              await step.sleep('nap', '1s');
              await step.run('b', () => void steps.push(event.data['n']));
            },
          },
        ]);
        const { ids } = await app.send([1, 2, 3, 4, 5, 6].map((n) => ({ name, data: { n } })));
        await context.clock.idle();
        expect.deepEqual(seen, [1, 2, 3]);
        await context.clock.advance(1_000);
        expect.deepEqual([...steps].sort(), [1, 2, 3]);
        await context.clock.advance(28_500);
        expect.deepEqual(seen, [1, 2, 3]);
        await context.clock.advance(500);
        expect.deepEqual(seen, [1, 2, 3, 4]);
        await context.clock.advance(MINUTE_MS);
        expect.deepEqual(seen, [1, 2, 3, 4, 5, 6]);
        await context.clock.advance(1_000);
        for (const id of ids) expect.equal((await app.ended(id))[0]?.status, 'Completed');
        expect.equal(steps.length, 6);
      },
    );

    s.case(['I-76', 'I-73'], 'other bounds for one function, set for a test, and taken back', async (context) => {
      const name = context.unique('go');
      const app = await startApp(context, flavour, [
        {
          id: 'two',
          retries: 0,
          triggers: [{ event: name }],
          body: async ({ step }) => {
            await step.run('a', () => 'some text');
            await step.sleep('nap', '1s');
            return step.run('b', () => 'more text');
          },
        },
      ]);
      const override = async (method: string, path: string, limit?: number): Promise<number> => {
        const url = new URL(path, context.url);
        url.searchParams.set('functionId', `${app.id}-two`);
        if (limit !== undefined) url.searchParams.set('limit', String(limit));
        const headers = { authorization: `Bearer ${context.environment.inngestSigningKey}` };
        return (await fetch(url, { method, headers })).status;
      };
      const end = async (): Promise<[status: unknown, error: unknown]> => {
        const id = (await app.send({ name, data: {} })).ids[0] ?? fail('no id');
        await context.clock.idle();
        await context.clock.advance(1_000);
        const [run] = await app.ended(id);
        return [run?.status, (run?.output as { name?: string } | null)?.name];
      };
      expect.equal(await override('POST', '/fn/step-limit', 1), 200);
      expect.deepEqual(await end(), ['Failed', 'InngestErrFunctionOverflowed']);
      expect.equal(await override('DELETE', '/fn/step-limit'), 200);
      expect.equal(await override('POST', '/fn/state-size-limit', 5), 200);
      expect.deepEqual(await end(), ['Failed', 'InngestErrStateOverflowed']);
      expect.equal(await override('DELETE', '/fn/state-size-limit'), 200);
      expect.deepEqual(await end(), ['Completed', undefined]);
      expect.equal(await override('POST', '/fn/step-limit', 0), 400);
    });

    s.case(['I-50'], 'throttle: each value of the key by itself', async (context) => {
      const name = context.unique('go');
      const seen: string[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'throttled',
          triggers: [{ event: name }],
          options: { throttle: { limit: 1, period: '1h', key: 'event.data.user' } },
          body: ({ event }) => void seen.push(`${event.data['user']}${event.data['n']}`),
        },
      ]);
      await app.send(
        [
          ['a', 1],
          ['a', 2],
          ['b', 1],
          ['b', 2],
        ].map(([user, n]) => ({ name, data: { user, n } })),
      );
      await context.clock.idle();
      expect.deepEqual([...seen].sort(), ['a1', 'b1']);
      await context.clock.advance(60 * MINUTE_MS);
      expect.deepEqual([...seen].sort(), ['a1', 'a2', 'b1', 'b2']);
    });

    s.case(
      ['I-48', 'I-50'],
      'options that cannot be are refused by name, and the version before stays',
      async (context) => {
        const name = context.unique('go');
        let ran = 0;
        const definition: Definition = { id: 'f', triggers: [{ event: name }], body: () => void ran++ };
        const app = await startApp(context, flavour, [definition]);
        const refused: Array<[options: Record<string, unknown>, message: RegExp]> = [
          [{ throttle: { limit: 1, period: '500ms' } }, /f" is invalid: "throttle.period" must lie between 1s and 7d/],
          [{ throttle: { limit: 1, period: '8d' } }, /"throttle.period"/],
          [{ throttle: { limit: 1, period: '1m', key: 'event.data.' } }, /"throttle.key"/],
          [{ concurrency: [{ limit: 1 }, { limit: 2 }, { limit: 3 }] }, /concurrency/],
          [{ concurrency: { limit: 1, scope: 'env' } }, /f" is invalid: "concurrency" of scope "env" needs a key/],
        ];
        for (const [options, message] of refused) {
          const bad = await serveApp(context, flavour, [{ ...definition, options }], { id: app.id });
          const synced = await bad.sync();
          expect.equal(synced.status, 400, JSON.stringify(options));
          expect.match(synced.message, message);
        }
        await app.ended((await app.send({ name })).ids[0] ?? fail('no id'));
        expect.equal(ran, 1);
      },
    );

    s.case(['I-48'], 'two limits of a function hold at once, and neither holds others up', async (context) => {
      const name = context.unique('go');
      const calls = new Meter();
      const app = await startApp(context, flavour, [
        {
          id: 'limited',
          triggers: [{ event: name }],
          concurrency: [{ limit: 3 }, { limit: 1, key: 'event.data.user' }],
          body: async ({ step, event }) => {
            await step.run('a', () => calls.during(String(event.data['user']), 25));
          },
        },
      ]);
      const users = ['a', 'a', 'a', 'a', 'b', 'c', 'd', 'e'];
      const { ids } = await app.send(users.map((user) => ({ name, data: { user } })));
      for (const id of ids) await app.ended(id);
      expect.equal(calls.total, 8);
      expect.equal(calls.most('a'), 1);
      expect.equal(calls.most(), 3);
    });

    s.case(
      ['I-48'],
      "functions share an environment's limit by the value of their keys, each with its own number",
      async (context) => {
        const value = context.unique('value');
        const [one, two] = [context.unique('one'), context.unique('two')];
        const calls = new Meter();
        const body =
          (who: string): Definition['body'] =>
          ({ step }) =>
            step.run('a', () => calls.during(who, 25));
        const limited = (id: string, event: string, limit: number, key: string): Definition => ({
          id,
          triggers: [{ event }],
          concurrency: [{ limit, scope: 'env', key }],
          body: body(id),
        });
        const app = await startApp(context, flavour, [
          limited('one', one, 1, 'event.data.account'),
          limited('two', two, 2, `"${value}"`),
        ]);
        const { ids } = await app.send(
          [1, 2, 3, 4, 5, 6].map((n) => ({ name: n % 2 ? one : two, data: { account: value } })),
        );
        for (const id of ids) await app.ended(id);
        expect.equal(calls.total, 6);
        expect.equal(calls.most('one'), 1);
        expect.ok(calls.most() <= 2, `${calls.most()} at once`);
      },
    );

    s.case(['I-48'], 'a run that sleeps or waits holds nothing', async (context) => {
      const name = context.unique('go');
      const order: unknown[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'limited',
          triggers: [{ event: name }],
          concurrency: 1,
          body: async ({ step, event }) => {
            await step.run('a', () => void order.push(`a${event.data['n']}`));
            await step.sleep('nap', '1h');
            await step.run('b', () => void order.push(`b${event.data['n']}`));
          },
        },
      ]);
      await app.send([1, 2].map((n) => ({ name, data: { n } })));
      await context.clock.idle();
      expect.deepEqual(order, ['a1', 'a2']);
      await context.clock.advance(60 * MINUTE_MS);
      expect.deepEqual([...order].sort(), ['a1', 'a2', 'b1', 'b2']);
    });

    s.case(['I-49'], 'a limit of whole runs is held through sleeps, in order', async (context) => {
      const name = context.unique('go');
      const order: string[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'limited',
          triggers: [{ event: name }],
          // As the Go SDK says it; the others pass on what they are given.
          concurrency: { fn: [{ limit: 1, key: 'event.data.user' }] },
          body: async ({ step, event }) => {
            const { user, n } = event.data as { user: string; n: number };
            await step.run('a', () => void order.push(`${user}${n} begins`));
            await step.sleep('nap', '1h');
            await step.run('b', () => void order.push(`${user}${n} ends`));
          },
        },
      ]);
      const events = [
        { user: 'x', n: 1 },
        { user: 'x', n: 2 },
        { user: 'y', n: 1 },
      ];
      await app.send(events.map((data) => ({ name, data })));
      await context.clock.idle();
      expect.deepEqual([...order].sort(), ['x1 begins', 'y1 begins']);
      await context.clock.advance(60 * MINUTE_MS);
      expect.deepEqual(
        order.filter((line) => line.startsWith('x')),
        ['x1 begins', 'x1 ends', 'x2 begins'],
      );
      await context.clock.advance(60 * MINUTE_MS);
      expect.equal(order.at(-1), 'x2 ends');
    });

    s.case(['I-74'], 'a paused function goes no further; what starts meanwhile is skipped', async (context) => {
      const name = context.unique('go');
      const order: unknown[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'pausable',
          triggers: [{ event: name }],
          body: async ({ step, event }) => {
            await step.run('a', () => void order.push(`a${event.data['n']}`));
            await step.sleep('nap', '1m');
            await step.run('b', () => void order.push(`b${event.data['n']}`));
          },
        },
        {
          id: 'caller',
          triggers: [{ event: `${name}/call` }],
          retries: 0,
          body: ({ step }) =>
            step
              .invoke('call', { function: reference({ appId: app.id, functionId: 'pausable' }), data: { n: 9 } })
              .catch((error: Error) => `refused: ${error.message}`),
        },
      ]);
      const first = (await app.send({ name, data: { n: 1 } })).ids[0] ?? fail('no id');
      await context.clock.idle();
      await pause(context.url, app, 'pausable', 'pause');
      const second = (await app.send({ name, data: { n: 2 } })).ids[0] ?? fail('no id');
      const call = (await app.send({ name: `${name}/call` })).ids[0] ?? fail('no id');
      await context.clock.advance(60 * MINUTE_MS);
      expect.deepEqual(order, ['a1']);
      expect.equal((await app.runsOf(first))[0]?.status, 'Running');
      expect.equal((await app.runsOf(second))[0]?.status, 'Skipped');
      expect.match(String((await app.ended(call))[0]?.output), /refused: invoked function was skipped/);
      await pause(context.url, app, 'pausable', 'unpause');
      expect.equal((await app.ended(first))[0]?.status, 'Completed');
      expect.deepEqual(order, ['a1', 'b1']);
      const third = (await app.send({ name, data: { n: 3 } })).ids[0] ?? fail('no id');
      await context.clock.advance(MINUTE_MS);
      expect.equal((await app.ended(third))[0]?.status, 'Completed');
    });
  });
}

async function pause(server: string, app: App, id: string, what: 'pause' | 'unpause'): Promise<void> {
  const url = new URL(`/test/function/${what}?functionId=${encodeURIComponent(`${app.id}-${id}`)}`, server);
  const response = await fetch(url, { method: 'POST' });
  expect.equal(response.status, 200, await response.text());
}

/** Counts what goes on at once, in all and by name. */
class Meter {
  total = 0;
  #now = new Map<string, number>();
  #most = new Map<string, number>();
  #mostOfAll = 0;

  most(name?: string): number {
    return name === undefined ? this.#mostOfAll : (this.#most.get(name) ?? 0);
  }

  async during(name: string, ms: number): Promise<void> {
    this.total++;
    const now = (this.#now.get(name) ?? 0) + 1;
    this.#now.set(name, now);
    this.#most.set(name, Math.max(this.most(name), now));
    this.#mostOfAll = Math.max(
      this.#mostOfAll,
      [...this.#now.values()].reduce((sum, n) => sum + n, 0),
    );
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.#now.set(name, (this.#now.get(name) ?? 1) - 1);
  }
}
