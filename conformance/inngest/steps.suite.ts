import { NonRetriableError, referenceFunction as referenceFunction4, RetryAfterError } from 'inngest';
import {
  NonRetriableError as NonRetriableError3,
  referenceFunction as referenceFunction3,
  RetryAfterError as RetryAfterError3,
} from 'inngest3';
import { expect, suite } from '../harness/index.ts';
import { FLAVOURS, fail, startApp } from './apps.ts';
import type { Definition } from './apps.ts';

const DAY_MS = 86_400_000;
/** Longer than all retries of a function without settings: 15 s to 2 min, each with up to 30 s at random. */
const ALL_RETRIES_MS = 10 * 60_000;

for (const flavour of FLAVOURS) {
  const { label, sdk, version, checkpointing } = flavour;
  const NonRetriable = version === 4 ? NonRetriableError : NonRetriableError3;
  const referenceFunction = (version === 4 ? referenceFunction4 : referenceFunction3) as (target: {
    appId: string;
    functionId: string;
  }) => unknown;
  const RetryAfter = version === 4 ? RetryAfterError : RetryAfterError3;

  suite({ vendor: 'inngest', name: `steps (${label})`, sdk }, (s) => {
    s.case(
      ['I-1', 'I-9', 'I-17', 'I-22', 'I-24', 'I-65', ...(checkpointing ? ['I-35', 'I-36'] : [])],
      'three steps, one retried: each result once, in order',
      async (context) => {
        const name = context.unique('go');
        const ran: string[] = [];
        const app = await startApp(context, flavour, [
          {
            id: 'three',
            triggers: [{ event: name }],
            body: async ({ step, event, attempt }) => {
              const a = await step.run('a', () => (ran.push('a'), { n: event.data['n'] as number }));
              const b = await step.run('b', () => {
                ran.push(`b${attempt}`);
                return attempt === 0 ? fail('once') : a.n + 1;
              });
              const c = await step.run('c', () => (ran.push(`c${attempt}`), b * 2));
              return { a, b, c, text: 'é😀' };
            },
          },
        ]);
        const { ids } = await app.send({ name, data: { n: 20 } });
        const id = ids[0] ?? fail('no id');
        await context.clock.idle();
        expect.deepEqual(ran, ['a', 'b0']);
        await context.clock.advance(60_000);
        const [run] = await app.ended(id);
        expect.deepEqual(ran, ['a', 'b0', 'b1', 'c0']);
        expect.equal(run?.status, 'Completed');
        expect.deepEqual(run?.output, { a: { n: 20 }, b: 21, c: 42, text: 'é😀' });
        expect.deepEqual(await app.read(`/v1/runs/${run?.run_id}`), run);
        // Checkpointed steps share a request; after a retry the SDK returns its step at once.
        expect.equal(app.calls, checkpointing ? 3 : 5);
      },
    );

    s.case(['I-26'], 'a sleep of 30 days ends after 30 days and not before', async (context) => {
      const name = context.unique('go');
      const app = await startApp(context, flavour, [
        {
          id: 'sleeper',
          triggers: [{ event: name }],
          body: async ({ step }) => {
            await step.sleep('nap', '30d');
            return 'awake';
          },
        },
      ]);
      const { ids } = await app.send({ name });
      const id = ids[0] ?? fail('no id');
      await context.clock.idle();
      await context.clock.advance(30 * DAY_MS - 60_000);
      expect.equal((await app.runsOf(id))[0]?.status, 'Running');
      expect.equal(app.calls, 1);
      await context.clock.advance(120_000);
      const [run] = await app.ended(id);
      expect.equal(run?.output, 'awake');
      expect.equal(app.calls, 2);
    });

    s.case(['I-26'], 'sleepUntil ends at its date; a date that has passed ends at once', async (context) => {
      const name = context.unique('go');
      const until = (await context.clock.now()) + 3 * DAY_MS;
      const app = await startApp(context, flavour, [
        {
          id: 'sleeper',
          triggers: [{ event: name }],
          body: async ({ step }) => {
            await step.sleepUntil('past', new Date(1_700_000_000_000));
            await step.sleepUntil('later', new Date(until));
            return 'awake';
          },
        },
      ]);
      const { ids } = await app.send({ name });
      const id = ids[0] ?? fail('no id');
      await context.clock.idle();
      await context.clock.advance(3 * DAY_MS + 1_000);
      expect.equal((await app.ended(id))[0]?.output, 'awake');
      expect.equal(app.calls, 3);
    });

    s.case(['I-27'], 'waitForEvent gives the matching event, or null after its timeout', async (context) => {
      const name = context.unique('go');
      const answer = context.unique('answer');
      const app = await startApp(context, flavour, [
        {
          id: 'waiter',
          triggers: [{ event: name }],
          body: async ({ step }) => {
            const event = await step.waitForEvent('w', { event: answer, timeout: '1h', match: 'data.order' });
            return event && { name: event.name, data: event.data };
          },
        },
        {
          id: 'chooser',
          triggers: [{ event: name }],
          body: async ({ step }) => {
            const event = await step.waitForEvent('w', { event: answer, timeout: '1h', if: 'async.data.n > 10' });
            return event?.data['n'] ?? null;
          },
        },
      ]);
      const matched = await app.send({ name, data: { order: 'A' } });
      const missed = await app.send({ name, data: { order: 'B' } });
      await context.clock.idle();
      await app.send([
        { name: answer, data: { order: 'C', n: 1 } },
        { name: answer, data: { order: 'A', n: 5 } },
      ]);
      await context.clock.idle();
      await app.send({ name: answer, data: { order: 'A', n: 11 } });
      await context.clock.idle();
      const first = await app.ended(matched.ids[0] ?? fail('no id'), 2);
      expect.deepEqual(new Set(first.map((run) => run.output)).has(11), true);
      expect.deepEqual(first.find((run) => run.output !== 11)?.output, { name: answer, data: { order: 'A', n: 5 } });
      await context.clock.advance(3_601_000);
      const second = await app.ended(missed.ids[0] ?? fail('no id'), 2);
      expect.deepEqual(second.map((run) => run.output).sort(), [11, null]);
    });

    s.case(
      [version === 3 ? 'I-33' : 'I-31', 'I-22'],
      'parallel steps run once each, at the same time',
      async (context) => {
        const name = context.unique('go');
        const ran: string[] = [];
        let together = 0;
        let most = 0;
        const app = await startApp(context, flavour, [
          {
            id: 'fan',
            triggers: [{ event: name }],
            body: async ({ step }) => {
              const parts = await Promise.all(
                ['a', 'b', 'c'].map((id) =>
                  step.run(id, async () => {
                    ran.push(id);
                    most = Math.max(most, ++together);
                    await new Promise((resolve) => setTimeout(resolve, 30));
                    together--;
                    return id;
                  }),
                ),
              );
              const joined = await step.run('join', () => (ran.push('join'), parts.join('')));
              return await step.run('last', () => (ran.push('last'), `${joined}!`));
            },
          },
        ]);
        const { ids } = await app.send({ name });
        const [run] = await app.ended(ids[0] ?? fail('no id'));
        expect.equal(run?.output, 'abc!');
        expect.deepEqual(ran.slice(0, 3).sort(), ['a', 'b', 'c']);
        expect.deepEqual(ran.slice(3), ['join', 'last']);
        expect.equal(most, 3);
        // One discovery after the whole group; in version 1 one after each step.
        if (version === 4) expect.equal(app.calls, checkpointing ? 1 + 3 + 1 : 1 + 3 + 1 + 2);
      },
    );

    s.case(['I-61', 'I-62', 'I-24'], 'a failing run tells its onFailure, after its attempts', async (context) => {
      const name = context.unique('go');
      const attempts: number[] = [];
      const told: unknown[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'broken',
          triggers: [{ event: name }],
          retries: 2,
          onFailure: async ({ event, error, step }) => {
            await step.run('tell', () => {
              const { function_id, run_id, event: origin } = event.data as never as Record<string, unknown>;
              told.push({
                name: event.name,
                function_id,
                run_id,
                error: error?.message,
                origin: (origin as { data: unknown }).data,
              });
            });
          },
          body: ({ attempt }) => {
            attempts.push(attempt);
            fail('broken for good');
          },
        },
      ]);
      const { ids } = await app.send({ name, data: { n: 1 } });
      const id = ids[0] ?? fail('no id');
      await context.clock.idle();
      await context.clock.advance(ALL_RETRIES_MS);
      const [run] = await app.ended(id);
      expect.equal(run?.status, 'Failed');
      expect.equal((run?.output as { message: string } | undefined)?.message, 'broken for good');
      expect.deepEqual(attempts, [0, 1, 2]);
      expect.deepEqual(told, [
        {
          name: 'inngest/function.failed',
          function_id: `${app.id}-broken`,
          run_id: run?.run_id,
          error: 'broken for good',
          origin: { n: 1 },
        },
      ]);
    });

    s.case(['I-23'], 'an error of a step can be caught once its retries are used up', async (context) => {
      const name = context.unique('go');
      let tries = 0;
      const app = await startApp(context, flavour, [
        {
          id: 'catcher',
          triggers: [{ event: name }],
          retries: 1,
          body: async ({ step }) => {
            try {
              await step.run('a', () => (tries++, fail('no luck')));
            } catch (error) {
              return await step.run('b', () => `caught ${(error as Error).message}`);
            }
            return 'never';
          },
        },
      ]);
      const { ids } = await app.send({ name });
      await context.clock.idle();
      await context.clock.advance(ALL_RETRIES_MS);
      const [run] = await app.ended(ids[0] ?? fail('no id'));
      expect.equal(run?.output, 'caught no luck');
      expect.equal(tries, 2);
    });

    s.case(['I-25', 'I-18'], 'NonRetriableError is final, RetryAfterError names the time', async (context) => {
      const name = context.unique('go');
      const at: Record<string, number[]> = { never: [], later: [] };
      const app = await startApp(context, flavour, [
        {
          id: 'never',
          triggers: [{ event: name }],
          body: async () => {
            at['never']?.push(await context.clock.now());
            throw new NonRetriable('stop');
          },
        },
        {
          id: 'later',
          triggers: [{ event: name }],
          body: async ({ step, attempt }) =>
            await step.run('a', async () => {
              at['later']?.push(await context.clock.now());
              if (attempt === 0) throw new RetryAfter('later', '2h');
              return 'done';
            }),
        },
      ]);
      const { ids } = await app.send({ name });
      const id = ids[0] ?? fail('no id');
      await context.clock.idle();
      await context.clock.advance(3 * 3_600_000);
      const runs = await app.ended(id, 2);
      expect.deepEqual(runs.map((run) => run.status).sort(), ['Completed', 'Failed']);
      expect.equal(at['never']?.length, 1);
      expect.equal(at['later']?.length, 2);
      const waited = (at['later']?.[1] ?? 0) - (at['later']?.[0] ?? 0);
      expect(Math.abs(waited - 2 * 3_600_000) < 60_000, `waited ${waited} ms`);
    });

    s.case(
      ['I-28'],
      'invoke gives the child its data and the parent its result, its error or a timeout',
      async (context) => {
        const name = context.unique('go');
        const id = context.unique('app');
        const functions: Definition[] = [
          {
            id: 'child',
            triggers: [{ event: context.unique('child') }],
            retries: 0,
            body: async ({ step, event }) => {
              if (event.data['mode'] === 'fail') fail('the child broke');
              if (event.data['mode'] === 'sleep') await step.sleep('long', '2d');
              return await step.run('double', () => ({ doubled: (event.data['n'] as number) * 2, name: event.name }));
            },
          },
          {
            id: 'parent',
            triggers: [{ event: name }],
            body: async ({ step }, functions) => {
              const child = functions['child'] as never;
              const reference = referenceFunction({ appId: id, functionId: 'child' }) as never;
              const good = await step.invoke('good', { function: reference, data: { n: 21 } });
              const errors: string[] = [];
              for (const mode of ['fail', 'sleep']) {
                try {
                  await step.invoke(mode, { function: child, data: { mode, n: 1 }, timeout: '1d' });
                } catch (error) {
                  errors.push((error as Error).message);
                }
              }
              return { good, errors };
            },
          },
        ];
        const app = await startApp(context, flavour, functions, { id });
        const { ids } = await app.send({ name });
        await context.clock.idle();
        await context.clock.advance(3 * DAY_MS);
        const [run] = await app.ended(ids[0] ?? fail('no id'));
        const output = run?.output as { good: unknown; errors: string[] };
        expect.deepEqual(output.good, { doubled: 42, name: 'inngest/function.invoked' });
        expect.equal(output.errors[0], 'the child broke');
        expect.match(output.errors[1] ?? '', /[Tt]imed out/);
      },
    );

    s.case(
      ['I-30', 'I-59'],
      'sendEvent starts what listens: by name, by wildcard and by condition',
      async (context) => {
        const name = context.unique('go');
        const next = context.unique('next');
        const seen: string[] = [];
        const app = await startApp(context, flavour, [
          {
            id: 'sender',
            triggers: [{ event: name }],
            body: ({ step }) =>
              step.sendEvent('send', [
                { name: `${next}/a`, data: { n: 1 } },
                { name: `${next}/b`, data: { n: 5 } },
              ]),
          },
          {
            id: 'exact',
            triggers: [{ event: `${next}/a` }],
            body: ({ event }) => void seen.push(`exact ${event.data['n']}`),
          },
          {
            id: 'wild',
            triggers: [{ event: `${next}/*` }],
            body: ({ event }) => void seen.push(`wild ${event.data['n']}`),
          },
          {
            id: 'big',
            triggers: [{ event: `${next}/*`, if: 'event.data.n > 3' }, { event: `${next}/b` }],
            body: ({ event }) => void seen.push(`big ${event.data['n']}`),
          },
        ]);
        const { ids } = await app.send({ name });
        await app.ended(ids[0] ?? fail('no id'));
        await context.clock.idle();
        expect.deepEqual(seen.sort(), ['big 5', 'exact 1', 'wild 1', 'wild 5']);
      },
    );

    s.case(['I-3', 'I-4'], 'the same event id starts a function once', async (context) => {
      const name = context.unique('go');
      const seen: string[] = [];
      const app = await startApp(context, flavour, [
        { id: 'once', triggers: [{ event: name }], body: ({ event }) => void seen.push(event.id) },
      ]);
      const own = context.unique('id');
      await app.send({ id: own, name });
      await app.send([
        { id: own, name },
        { id: own, name },
      ]);
      await context.clock.idle();
      expect.deepEqual(seen, [own]);
    });

    s.case(['I-5'], 'an event of the future starts its run at that time', async (context) => {
      const name = context.unique('go');
      const app = await startApp(context, flavour, [{ id: 'later', triggers: [{ event: name }], body: () => 'ran' }]);
      const ts = (await context.clock.now()) + 3_600_000;
      const { ids } = await app.send({ name, ts });
      await context.clock.idle();
      expect.equal(app.calls, 0);
      await context.clock.advance(3_601_000);
      expect.equal((await app.ended(ids[0] ?? fail('no id')))[0]?.output, 'ran');
    });

    s.case(['I-58', 'I-13'], 'a cron fires at each of its times', async (context) => {
      const seen: Array<{ name: string; data: Record<string, unknown> }> = [];
      const cron = 'TZ=Europe/Stockholm 0 3 * * *';
      const app = await startApp(context, flavour, [
        {
          id: 'nightly',
          triggers: [{ cron }],
          body: ({ event }) => void seen.push({ name: event.name, data: event.data }),
        },
      ]);
      await context.clock.advance(2 * DAY_MS);
      expect.equal(seen.length, 2);
      expect.equal(seen[0]?.name, 'inngest/scheduled.timer');
      expect.equal(seen[0]?.data['cron'], cron);
      // Told without the function, the server forgets it.
      await startApp(context, flavour, [{ id: 'other', triggers: [{ event: app.id }], body: () => null }], {
        id: app.id,
      });
      await context.clock.advance(DAY_MS);
      expect.equal(seen.length, 2);
    });

    s.case(['I-48'], 'concurrency bounds the steps that run at once, by key', async (context) => {
      const name = context.unique('go');
      const now: Record<string, number> = {};
      let most = 0;
      let other = 0;
      const app = await startApp(context, flavour, [
        {
          id: 'limited',
          triggers: [{ event: name }],
          concurrency: { limit: 1, key: 'event.data.user' },
          body: async ({ step, event }) => {
            const user = event.data['user'] as string;
            await step.run('a', async () => {
              now[user] = (now[user] ?? 0) + 1;
              most = Math.max(most, now[user]);
              other = Math.max(
                other,
                Object.values(now).reduce((sum, n) => sum + n, 0),
              );
              await new Promise((resolve) => setTimeout(resolve, 40));
              now[user]--;
            });
          },
        },
      ]);
      const { ids } = await app.send(['x', 'x', 'x', 'y'].map((user) => ({ name, data: { user } })));
      for (const id of ids) expect.equal((await app.ended(id))[0]?.status, 'Completed');
      expect.equal(most, 1);
      expect.equal(other, 2);
    });

    s.case(['I-48'], 'a limit of the environment is shared by the functions that name its key', async (context) => {
      const name = context.unique('go');
      const key = context.unique('key');
      let now = 0;
      let most = 0;
      const body: Definition['body'] = ({ step }) =>
        step.run('a', async () => {
          most = Math.max(most, ++now);
          await new Promise((resolve) => setTimeout(resolve, 30));
          now--;
        });
      const concurrency = [{ limit: 1, scope: 'env', key: `'${key}'` }];
      const app = await startApp(context, flavour, [
        { id: 'one', triggers: [{ event: name }], concurrency, body },
        { id: 'two', triggers: [{ event: name }], concurrency, body },
      ]);
      const { ids } = await app.send([{ name }, { name }]);
      for (const id of ids) await app.ended(id, 2);
      expect.equal(most, 1);
    });

    s.case(['I-59', 'I-60'], "conditions follow the vendor's lenient expression language", async (context) => {
      const name = context.unique('go');
      const data = {
        n: 5,
        text: 'Hello',
        nothing: null,
        list: [1, 2, 3],
        deep: { flag: true },
        when: '2026-01-02T00:00:00Z',
      };
      const expressions: Record<string, boolean> = {
        'event.data.n > 4 && event.data.n < 5.5': true,
        'event.data.n == 5.0': true,
        "event.data.n == '5'": false,
        'event.data.missing == null': true,
        'event.data.missing == 1': false,
        'event.data.missing != 1': true,
        'event.data.missing.deeper == null': true,
        'event.data.missing < 1': true,
        'event.data.missing > 1': false,
        'event.data.nothing == null': true,
        'event.data.nothing != 1': true,
        "event.data.text.startsWith('He') && event.data.text.endsWith('lo')": true,
        "lowercase(event.data.text) == 'hello'": true,
        "uppercase(event.data.text) in ['HELLO']": true,
        'event.data.list.exists(x, x == 2)': true,
        'event.data.list.all(x, x < 3)': false,
        'size(event.data.list) == 3': true,
        'has(event.data.deep.flag) && event.data.deep.flag': true,
        'date(event.data.when) < now() ? true : false': true,
        'event.data.n': false,
      };
      const seen = new Set<string>();
      const sources = Object.keys(expressions);
      const app = await startApp(
        context,
        flavour,
        sources.map((source, i) => ({
          id: `f${i}`,
          triggers: [{ event: name, if: source }],
          body: () => void seen.add(source),
        })),
      );
      await app.send({ name, data });
      await context.clock.idle();
      const expected = sources.filter((source) => expressions[source]);
      expect.deepEqual([...seen].sort(), expected.sort());
    });

    s.case(['I-64', 'I-62'], 'a cancelled run goes no further and tells so', async (context) => {
      const name = context.unique('go');
      const told: unknown[] = [];
      const id = context.unique('app');
      const functions: Definition[] = [
        {
          id: 'sleeper',
          triggers: [{ event: name }],
          body: async ({ step }) => {
            await step.sleep('nap', '1h');
            return await step.run('a', () => 'never');
          },
        },
        {
          id: 'listener',
          triggers: [{ event: 'inngest/function.cancelled', if: `event.data.function_id == '${id}-sleeper'` }],
          body: ({ event }) => void told.push(event.data['run_id']),
        },
      ];
      const app = await startApp(context, flavour, functions, { id });
      const { ids } = await app.send({ name });
      const event = ids[0] ?? fail('no id');
      await context.clock.idle();
      const [run] = await app.runsOf(event);
      const cancelled = await fetch(new URL(`/v1/runs/${run?.run_id}`, context.url), { method: 'DELETE' });
      expect.equal(cancelled.status, 200);
      await context.clock.advance(2 * 3_600_000);
      const [after] = await app.ended(event);
      expect.equal(after?.status, 'Cancelled');
      expect.deepEqual(told, [run?.run_id]);
    });

    s.case(['I-21', 'I-22'], 'a state of more than 4 MiB is fetched by the SDK', async (context) => {
      const name = context.unique('go');
      const app = await startApp(context, flavour, [
        {
          id: 'large',
          triggers: [{ event: name }],
          body: async ({ step, event }) => {
            let total = 0;
            for (let i = 0; i < 3; i++) total += (await step.run(`part-${i}`, () => 'x'.repeat(2_000_000))).length;
            // A new call of the app: its state no longer fits a request.
            await step.sleep('nap', '1m');
            const last = await step.run('last', () => 'y');
            return { total, last, n: event.data['n'] };
          },
        },
      ]);
      const { ids } = await app.send({ name, data: { n: 7 } });
      await context.clock.idle();
      await context.clock.advance(61_000);
      const [run] = await app.ended(ids[0] ?? fail('no id'));
      expect.deepEqual(run?.output, { total: 6_000_000, last: 'y', n: 7 });
    });

    s.case(['I-19'], 'streamed answers are understood', async (context) => {
      const name = context.unique('go');
      const app = await startApp(
        context,
        flavour,
        [
          {
            id: 'streamed',
            triggers: [{ event: name }],
            body: async ({ step, attempt }) => {
              const a = await step.run('a', () => (attempt === 0 ? fail('once') : 1));
              return await step.run('b', () => a + 1);
            },
          },
        ],
        { streaming: true },
      );
      const { ids } = await app.send({ name });
      await context.clock.idle();
      await context.clock.advance(60_000);
      expect.equal((await app.ended(ids[0] ?? fail('no id')))[0]?.output, 2);
    });

    s.case(['I-24'], "retries follow the vendor's table, each step with its own budget", async (context) => {
      const name = context.unique('go');
      const times: Record<string, number[]> = { a: [], b: [] };
      const app = await startApp(context, flavour, [
        {
          id: 'flaky',
          triggers: [{ event: name }],
          retries: 3,
          body: async ({ step, attempt }) => {
            for (const id of ['a', 'b']) {
              await step.run(id, async () => {
                times[id]?.push(await context.clock.now());
                return attempt < 3 ? fail('again') : id;
              });
            }
            return 'done';
          },
        },
      ]);
      const { ids } = await app.send({ name });
      await context.clock.idle();
      await context.clock.advance(2 * ALL_RETRIES_MS);
      expect.equal((await app.ended(ids[0] ?? fail('no id')))[0]?.output, 'done');
      for (const id of ['a', 'b']) {
        const at = times[id] ?? [];
        const waits = at.slice(1).map((time, i) => (time - (at[i] ?? 0)) / 1_000);
        expect.equal(waits.length, 3, `${id}: ${waits.join(', ')}`);
        for (const [i, least] of [15, 30, 60].entries()) {
          const wait = waits[i] ?? 0;
          expect(wait >= least && wait <= least + 32, `${id}: retry ${i + 1} after ${wait} s`);
        }
      }
    });

    s.case(
      ['I-62', 'I-65'],
      'every end is told to who listens, and listeners tell nothing of their own',
      async (context) => {
        const name = context.unique('go');
        const id = context.unique('app');
        const told: Array<Record<string, unknown>> = [];
        const app = await startApp(
          context,
          flavour,
          [
            { id: 'good', triggers: [{ event: name }], body: ({ event }) => ({ n: event.data['n'] }) },
            {
              id: 'listener',
              triggers: [{ event: 'inngest/function.finished', if: `event.data.function_id.startsWith('${id}-')` }],
              body: ({ event }) => void told.push(event.data),
            },
          ],
          { id },
        );
        const { ids } = await app.send({ name, data: { n: 7 } });
        const [run] = await app.ended(ids[0] ?? fail('no id'));
        await context.clock.idle();
        expect.equal(told.length, 1);
        const { function_id, run_id, result, _inngest, event } = told[0] ?? {};
        expect.deepEqual(
          { function_id, run_id, result, _inngest, name: (event as { name: string } | undefined)?.name },
          { function_id: `${id}-good`, run_id: run?.run_id, result: { n: 7 }, _inngest: { status: 'Completed' }, name },
        );
      },
    );

    if (checkpointing)
      s.case(
        ['I-31', 'I-35'],
        'steps after a parallel group are checkpointed again: no request for each of them',
        async (context) => {
          const name = context.unique('go');
          const ran: string[] = [];
          const app = await startApp(context, flavour, [
            {
              id: 'wide',
              triggers: [{ event: name }],
              body: async ({ step }) => {
                const one = (id: string): Promise<unknown> => step.run(id, () => void ran.push(id));
                await one('before-1');
                await one('before-2');
                await Promise.all([one('beside-1'), one('beside-2')]);
                for (const id of ['after-1', 'after-2', 'after-3']) await one(id);
                return 'done';
              },
            },
          ]);
          const { ids } = await app.send({ name });
          expect.equal((await app.ended(ids[0] ?? fail('no id')))[0]?.output, 'done');
          expect.deepEqual(
            [ran.slice(0, 2), ran.slice(2, 4).sort(), ran.slice(4)],
            [
              ['before-1', 'before-2'],
              ['beside-1', 'beside-2'],
              ['after-1', 'after-2', 'after-3'],
            ],
          );
          // To the group, one for each of its two steps, and from there to the end.
          expect.equal(app.calls, 4);
        },
      );

    if (version === 4) {
      if (!checkpointing) {
        s.case(
          ['I-34'],
          'a step that the app does not find is asked for again, and then runs',
          async (context) => {
            const name = context.unique('go');
            const ran: string[] = [];
            let discovered = false;
            const app = await startApp(context, flavour, [
              {
                id: 'forgetful',
                triggers: [{ event: name }],
                body: async ({ step, attempt }) => {
                  // Asked for its second step the first time, the function does not come to it.
                  const hidden = discovered && attempt === 0 && !ran.includes('b');
                  discovered = true;
                  const b = hidden ? new Promise<string>(() => {}) : step.run('b', () => (ran.push('b'), 'b'));
                  return await Promise.all([step.run('a', () => (ran.push('a'), 'a')), b]);
                },
              },
            ]);
            const { ids } = await app.send({ name });
            // The SDK itself waits ten seconds of real time before it gives up.
            await context.clock.idle(20_000);
            expect.deepEqual(ran, ['a']);
            await context.clock.advance(60_000);
            expect.deepEqual((await app.ended(ids[0] ?? fail('no id')))[0]?.output, ['a', 'b']);
            expect.deepEqual(ran, ['a', 'b']);
          },
          { timeoutMs: 60_000 },
        );
      }

      s.case(['I-32'], 'a race goes on with the winner while the loser still runs', async (context) => {
        const name = context.unique('go');
        const ran: string[] = [];
        let release = (): void => {};
        const slow = new Promise<void>((resolve) => (release = resolve));
        const app = await startApp(context, flavour, [
          {
            id: 'racer',
            triggers: [{ event: name }],
            body: async ({ step, group }) => {
              const winner = await group.parallel({ mode: 'race' }, () =>
                Promise.race([step.run('fast', () => 'fast'), step.run('slow', () => slow)]),
              );
              return await step.run('after', () => (ran.push('after'), `after ${winner as string}`));
            },
          },
        ]);
        const { ids } = await app.send({ name });
        await context.until(() => ran.length > 0);
        release();
        expect.equal((await app.ended(ids[0] ?? fail('no id')))[0]?.output, 'after fast');
        expect.deepEqual(ran, ['after']);
      });

      s.case(['I-29'], 'a signal resumes the run that waits for it', async (context) => {
        const name = context.unique('go');
        const signal = context.unique('signal');
        const app = await startApp(context, flavour, [
          {
            id: 'waiter',
            triggers: [{ event: name }],
            body: ({ step }) => step.waitForSignal('w', { signal, timeout: '1h', onConflict: 'fail' }),
          },
          {
            id: 'sender',
            triggers: [{ event: `${name}/send` }],
            body: ({ step }) => step.sendSignal('s', { signal, data: { ok: true } }),
          },
        ]);
        const waiting = await app.send({ name });
        await context.clock.idle();
        const second = await app.send({ name });
        expect.equal((await app.ended(second.ids[0] ?? fail('no id')))[0]?.status, 'Failed');
        await app.send({ name: `${name}/send` });
        const [run] = await app.ended(waiting.ids[0] ?? fail('no id'));
        expect.deepEqual(run?.output, { signal, data: { ok: true } });
        const late = await fetch(new URL('/v1/signals', context.url), {
          method: 'POST',
          body: JSON.stringify({ signal }),
        });
        expect.equal(late.status, 404);
      });
    }
  });
}
