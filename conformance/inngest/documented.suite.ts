import { fetch as fetch4 } from 'inngest';
import { fetch as fetch3 } from 'inngest3';
import { Temporal } from 'temporal-polyfill';
import { expect, suite } from '../harness/index.ts';
import { FLAVOURS, fail, outputOf, startApp } from './apps.ts';
import type { App, FunctionContext, ReceivedEvent, RunView } from './apps.ts';

// What the vendor's guides show and its own integration tests run (inngest/website: pages/docs, inngest/inngest-js:
// packages/inngest/src/test), wherever no other suite has it: how steps are put together.

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

for (const flavour of FLAVOURS) {
  const { label, sdk, version } = flavour;
  const durableFetch = (version === 4 ? fetch4 : fetch3) as unknown as typeof fetch & {
    config(options: { fallback: typeof fetch | undefined }): typeof fetch;
  };
  /** In version 4 only a group is a race; in version 3 every `Promise.race` is one. */
  const race = <T>({ group }: FunctionContext, body: () => Promise<T>): Promise<T> =>
    version === 4 ? (group.parallel({ mode: 'race' }, body) as Promise<T>) : body();

  suite({ vendor: 'inngest', name: `as documented: steps (${label})`, sdk }, (s) => {
    s.case(['I-22'], 'a loop repeats a step under one id: each turn has a result of its own', async (context) => {
      const name = context.unique('go');
      const ran: string[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'loop',
          triggers: [{ event: name }],
          body: async ({ step }) => {
            const pages: string[] = [];
            let cursor: string | null = 'start';
            while (cursor !== null) {
              const from: string = cursor;
              const page: { items: string[]; next: string | null } = await step.run('load page', () => {
                ran.push(from);
                return { items: [`${from}-item`], next: ran.length < 4 ? `page-${ran.length}` : null };
              });
              pages.push(...page.items);
              cursor = page.next;
            }
            let sum = 0;
            for (const n of [1, 2, 3]) sum = await step.run(`add ${n}`, () => sum + n);
            return { pages, sum };
          },
        },
      ]);
      expect.deepEqual((await only(app, name)).output, {
        pages: ['start-item', 'page-1-item', 'page-2-item', 'page-3-item'],
        sum: 6,
      });
      expect.deepEqual(ran, ['start', 'page-1', 'page-2', 'page-3']);
    });

    s.case(['I-22', 'I-31'], 'what a step returns: nothing, emptiness, dates and text', async (context) => {
      const name = context.unique('go');
      const at = new Date('2026-02-03T00:00:00.000Z');
      const app = await startApp(context, flavour, [
        {
          id: 'values',
          triggers: [{ event: name }],
          body: async ({ step }) => {
            const one = await step.run('nothing', () => undefined);
            const [two, three] = await Promise.all([
              step.run('nothing beside', () => undefined),
              step.run('text', () => 'text'),
            ]);
            const values: unknown[] = [null, 0, '', false, [], {}, 'data', { data: 1 }, { error: 'no error' }];
            const kept: unknown[] = [];
            for (const value of values) kept.push(await step.run('value', () => value));
            const dated = await step.run('date', () => ({ at, list: [at] }));
            return { nothing: [one, two], three, same: JSON.stringify(kept) === JSON.stringify(values), dated };
          },
        },
        { id: 'nothing', triggers: [{ event: name }], body: () => undefined },
      ]);
      const { ids } = await app.send({ name });
      const runs = await app.ended(ids[0] ?? fail('no id'), 2);
      const outputs = Object.fromEntries(runs.map((run) => [run.status === 'Completed' && run.output === null, run]));
      const text = at.toISOString();
      expect.deepEqual(outputs['false']?.output, {
        nothing: [null, null],
        three: 'text',
        same: true,
        dated: { at: text, list: [text] },
      });
      expect.equal(outputs['true']?.status, 'Completed');
    });

    s.case(['I-31', 'I-26', 'I-27', 'I-28'], 'groups in groups, of every kind of step', async (context) => {
      const name = context.unique('go');
      const ran: string[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'nested',
          triggers: [{ event: name }],
          body: async ({ step }, { double }) => {
            const one = (id: string): Promise<string> => step.run(id, () => (ran.push(id), id));
            const first = async (): Promise<string> => {
              const a = await one('a');
              const inner = await Promise.all([one('a1'), one('a2'), step.sleep('a3', '10m')]);
              return [a, ...inner.slice(0, 2), await one('a4')].join('');
            };
            const second = async (): Promise<string> => {
              await step.sleep('b', '5m');
              const inner = await Promise.all([
                step.invoke('b1', { function: double ?? fail('no double'), data: { n: 4 } }),
                step.waitForEvent('b2', { event: `${name}/never`, timeout: '15m' }),
              ]);
              return JSON.stringify(inner);
            };
            const parts = await Promise.all([first(), second(), one('c')]);
            return [...parts, await one('end')];
          },
        },
        { id: 'double', triggers: [{ event: `${name}/x` }], body: ({ event }) => (event.data['n'] as number) * 2 },
      ]);
      const { ids } = await app.send({ name });
      await context.clock.idle();
      await context.clock.advance(30 * MINUTE_MS);
      const [run] = await app.ended(ids[0] ?? fail('no id'));
      expect.deepEqual(run?.output, ['aa1a2a4', '[8,null]', 'c', 'end']);
      expect.deepEqual(ran.toSorted(), ['a', 'a1', 'a2', 'a4', 'c', 'end']);
      expect.equal(ran.at(-1), 'end');
    });

    s.case(['I-31', 'I-27', 'I-28'], 'time-outs beside one another are told each in its way', async (context) => {
      const name = context.unique('go');
      const app = await startApp(context, flavour, [
        {
          id: 'waiting',
          triggers: [{ event: name }],
          body: async ({ step }, { slow }) => {
            const settled = await Promise.allSettled([
              step.waitForEvent('w', { event: `${name}/never`, timeout: '1h' }),
              step.invoke('i', { function: slow ?? fail('no slow'), timeout: '30m' }),
              step.run('r', () => fail('refused')),
              step.sleep('s', '10m'),
            ]);
            return settled.map((item) =>
              item.status === 'fulfilled' ? item.value : [(item.reason as Error).name, (item.reason as Error).message],
            );
          },
          retries: 0,
        },
        { id: 'slow', triggers: [{ event: `${name}/x` }], body: ({ step }) => step.sleep('long', '1d') },
      ]);
      const { ids } = await app.send({ name });
      await context.clock.idle();
      await context.clock.advance(2 * HOUR_MS);
      const [run] = await app.ended(ids[0] ?? fail('no id'));
      const [waited, invoked, refused, slept] = outputOf<[unknown, string[], string[], unknown]>(run);
      expect.deepEqual([waited, refused, slept], [null, ['Error', 'refused'], null]);
      expect.match(invoked.join(': '), /InngestInvokeTimeoutError.*Timed out waiting for invoked function/);
    });

    s.case(['I-32', 'I-27'], 'whichever comes first, an event or the time, wins the race', async (context) => {
      const name = context.unique('go');
      const ran: string[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'racer',
          triggers: [{ event: name }],
          body: async (tools) => {
            const { step, event } = tools;
            const winner = await race(tools, () =>
              Promise.race([
                step
                  .waitForEvent('w', { event: `${name}/reply`, match: 'data.order', timeout: '2d' })
                  .then((reply) => `reply ${String(reply?.data['text'])}`),
                step.sleep('s', '1h').then(() => 'too late'),
              ]),
            );
            return await step.run('after', () => (ran.push(`${String(event.data['order'])} ${winner}`), winner));
          },
        },
      ]);
      const first = await app.send({ name, data: { order: 1 } });
      const second = await app.send({ name, data: { order: 2 } });
      await context.clock.idle();
      await app.send({ name: `${name}/reply`, data: { order: 1, text: 'yes' } });
      await context.clock.idle();
      expect.deepEqual(ran, ['1 reply yes']);
      // Version 4 ends a run when its losers have ended too: it tells of them again instead of its result.
      await context.clock.advance(2 * HOUR_MS);
      expect.equal((await app.ended(first.ids[0] ?? fail('no id')))[0]?.output, 'reply yes');
      expect.deepEqual(ran, ['1 reply yes', '2 too late']);
      await context.clock.advance(2 * 24 * HOUR_MS);
      expect.equal((await app.ended(second.ids[0] ?? fail('no id')))[0]?.output, 'too late');
      expect.deepEqual(ran, ['1 reply yes', '2 too late']);
    });

    s.case(['I-31', 'I-23'], 'Promise.any takes the first that succeeds, or tells every error', async (context) => {
      const name = context.unique('go');
      const app = await startApp(context, flavour, [
        {
          id: 'any',
          triggers: [{ event: name }],
          retries: 0,
          body: async (tools) => {
            const { step } = tools;
            const one = await race(tools, () =>
              Promise.any([step.run('bad', () => fail('bad')), step.run('good', () => 'good')]),
            );
            try {
              await race(tools, () =>
                Promise.any([step.run('bad-1', () => fail('one')), step.run('bad-2', () => fail('two'))]),
              );
              return 'never';
            } catch (error) {
              return [one, (error as AggregateError).errors.map((item: Error) => item.message)];
            }
          },
        },
      ]);
      expect.deepEqual((await only(app, name)).output, ['good', ['one', 'two']]);
    });

    s.case(['I-26', 'I-27'], 'times as text, number, date and Temporal', async (context) => {
      const name = context.unique('go');
      const start = await context.clock.now();
      const at = (hours: number): number => Math.ceil(start / 1_000) * 1_000 + hours * HOUR_MS;
      const woke: Array<[string, number]> = [];
      const app = await startApp(context, flavour, [
        {
          id: 'sleeper',
          triggers: [{ event: name }],
          body: async ({ step }) => {
            const note = (what: string): Promise<unknown> =>
              step.run(what, async () => void woke.push([what, await context.clock.now()]));
            await step.sleepUntil('date', new Date(at(1)));
            await note('a date');
            await step.sleepUntil('iso', new Date(at(2)).toISOString());
            await note('ISO text');
            const instant = Temporal.Instant.fromEpochMilliseconds(at(3));
            await step.sleepUntil('instant', instant);
            await note('an instant');
            await step.sleepUntil(
              'zoned',
              Temporal.Instant.fromEpochMilliseconds(at(4)).toZonedDateTimeISO('Asia/Tokyo'),
            );
            await note('a time of a zone');
            await step.sleep('duration', Temporal.Duration.from({ minutes: 59, seconds: 30 }));
            await note('a duration');
            await step.sleep('number', HOUR_MS);
            await note('milliseconds');
            const wait = { event: `${name}/never`, timeout: version === 4 ? HOUR_MS : '1h' };
            await step.waitForEvent('wait', wait);
            await note('a wait');
          },
        },
      ]);
      const { ids } = await app.send({ name });
      await context.clock.idle();
      for (let hour = 0; hour < 8; hour++) await context.clock.advance(HOUR_MS);
      expect.equal((await app.ended(ids[0] ?? fail('no id')))[0]?.status, 'Completed');
      const due = [at(1), at(2), at(3), at(4), at(5) - 30_000, at(6) - 30_000, at(7) - 30_000];
      expect.deepEqual(
        woke.map(([what, ms], i) => [what, ms >= (due[i] ?? 0) && ms < (due[i] ?? 0) + 10_000]),
        ['a date', 'ISO text', 'an instant', 'a time of a zone', 'a duration', 'milliseconds', 'a wait'].map((what) => [
          what,
          true,
        ]),
        JSON.stringify(woke.map(([what, ms], i) => [what, ms - (due[i] ?? 0)])),
      );
    });

    s.case(['I-30', 'I-1'], 'a step sends 300 events, and each starts its run once', async (context) => {
      const name = context.unique('go');
      const seen: number[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'importer',
          triggers: [{ event: name }],
          body: async ({ step }) => {
            const rows = await step.run('load', () => Array.from({ length: 300 }, (_, n) => ({ n })));
            const events = rows.map((data) => ({
              name: `${name}/row`,
              data,
              user: { external_id: `u${data.n}` },
              v: '2',
            }));
            const { ids } = await step.sendEvent('fan-out', events);
            return { sent: ids.length, different: new Set(ids).size };
          },
        },
        {
          id: 'row',
          triggers: [{ event: `${name}/row` }],
          body: ({ event }) => {
            const { user, v } = event as ReceivedEvent & { user?: { external_id: string }; v?: string };
            if (user?.external_id === `u${String(event.data['n'])}` && v === '2') seen.push(event.data['n'] as number);
          },
        },
      ]);
      expect.deepEqual((await only(app, name)).output, { sent: 300, different: 300 });
      await context.clock.idle();
      expect.deepEqual(
        seen.toSorted((a, b) => a - b),
        Array.from({ length: 300 }, (_, n) => n),
      );
    });

    s.case(['I-4', 'I-78'], 'inngest.send in a function: once in a step, once by its id', async (context) => {
      const name = context.unique('go');
      const seen: string[] = [];
      let entered = 0;
      const app: App = await startApp(context, flavour, [
        {
          id: 'sender',
          triggers: [{ event: name }],
          body: async ({ step, runId }) => {
            entered++;
            await app.send({ id: `${runId}-body`, name: `${name}/sent`, data: { from: 'the body' } });
            await step.run('send', () => app.send({ name: `${name}/sent`, data: { from: 'a step' } }));
            await step.sleep('pause', '1m');
          },
        },
        {
          id: 'sent',
          triggers: [{ event: `${name}/sent` }],
          body: ({ event }) => void seen.push(String(event.data['from'])),
        },
      ]);
      const { ids } = await app.send({ name });
      await context.clock.idle();
      await context.clock.advance(MINUTE_MS);
      expect.equal((await app.ended(ids[0] ?? fail('no id')))[0]?.status, 'Completed');
      expect(entered > 1, String(entered));
      expect.deepEqual(seen.toSorted(), ['a step', 'the body']);
    });

    s.case(
      ['I-40'],
      'a client library that is given fetch of the SDK makes each of its requests once',
      async (context) => {
        const name = context.unique('go');
        const asked: string[] = [];
        const site = await context.serveHttp(async (request) => {
          const { pathname, search } = new URL(request.url);
          asked.push(`${request.method} ${pathname}${search} ${await request.text()}`);
          return Response.json({ page: asked.length }, { status: pathname === '/missing' ? 404 : 200 });
        });
        const app = await startApp(context, flavour, [
          {
            id: 'fetcher',
            triggers: [{ event: name }],
            body: async ({ step }) => {
              const first = await durableFetch(`${site.url}/list?page=1`);
              const second = await durableFetch(`${site.url}/list`, { method: 'POST', body: '{"page":2}' });
              const missing = await durableFetch(`${site.url}/missing`);
              await step.sleep('pause', '1s');
              return [await first.json(), await second.json(), missing.status];
            },
          },
        ]);
        const { ids } = await app.send({ name });
        await context.clock.idle();
        await context.clock.advance(1_000);
        expect.deepEqual((await app.ended(ids[0] ?? fail('no id')))[0]?.output, [{ page: 1 }, { page: 2 }, 404]);
        expect.deepEqual(asked, ['GET /list?page=1 ', 'POST /list {"page":2}', 'GET /missing ']);
        // Outside of a function it is the plain fetch, or an error where the app wants none.
        expect.equal((await durableFetch(site.url)).status, 200);
        // What is configured is configured for the process.
        const strict = durableFetch.config({ fallback: undefined });
        await expect.rejects(strict(site.url), /no fallback set/);
        durableFetch.config({ fallback: globalThis.fetch });
        expect.equal(asked.length, 4);
      },
    );

    s.case(['I-26', 'I-22'], 'polling with a time limit that nobody awaits', async (context) => {
      const name = context.unique('go');
      let asked = 0;
      const app = await startApp(context, flavour, [
        {
          id: 'poller',
          triggers: [{ event: name }],
          // What stands beside one another is followed together in version 4, unless the function says so.
          options: { optimizeParallelism: false },
          body: async ({ step, event }) => {
            const limit = { passed: false };
            void step.sleep('limit', '35s').then(() => (limit.passed = true));
            for (let turn = 0; !limit.passed; turn++) {
              const job = await step.run('ask', () => (++asked === event.data['readyAt'] ? { done: true } : null));
              if (job) return { turn, ...job };
              await step.sleep(`interval-${turn}`, '10s');
            }
            return 'timed out';
          },
        },
      ]);
      const poll = async (readyAt: number): Promise<unknown> => {
        asked = 0;
        const { ids } = await app.send({ name, data: { readyAt } });
        await context.clock.idle();
        for (let i = 0; i < 8; i++) await context.clock.advance(10_000);
        return [(await app.ended(ids[0] ?? fail('no id')))[0]?.output, asked];
      };
      expect.deepEqual(await poll(3), [{ turn: 2, done: true }, 3]);
      expect.deepEqual(await poll(99), ['timed out', 4]);
    });

    s.case(['I-58', 'I-59'], 'an event and a cron start the same function, which sees which', async (context) => {
      const name = context.unique('go');
      const seen: string[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'report',
          triggers: [
            { event: name, if: 'event.data.ask == true' },
            { cron: 'TZ=Europe/Paris 30 4 * * *' },
            { cron: '0 12 * * *' },
          ],
          body: ({ event }) =>
            void seen.push(event.name === name ? 'asked' : `${event.name} ${String(event.data['cron'])}`),
        },
      ]);
      await app.send([
        { name, data: { ask: true } },
        { name, data: { ask: false } },
      ]);
      await context.clock.idle();
      expect.deepEqual(seen.splice(0), ['asked']);
      await context.clock.advance(24 * HOUR_MS);
      expect.deepEqual(seen.toSorted(), [
        'inngest/scheduled.timer 0 12 * * *',
        'inngest/scheduled.timer TZ=Europe/Paris 30 4 * * *',
      ]);
    });
  });
}

/** Sends the event, and returns its one run when it has ended. */
async function only(app: App, name: string): Promise<RunView> {
  const { ids } = await app.send({ name });
  return (await app.ended(ids[0] ?? fail('no id')))[0] ?? fail('no run');
}
