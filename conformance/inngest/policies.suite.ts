import { referenceFunction as referenceFunction4 } from 'inngest';
import { referenceFunction as referenceFunction3 } from 'inngest3';
import { expect, suite } from '../harness/index.ts';
import { FLAVOURS, fail, serveApp, startApp } from './apps.ts';
import type { App, Definition, FunctionContext } from './apps.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

// What stands between an event and a run, and what ends a run from outside its own steps.
for (const flavour of FLAVOURS) {
  const { label, sdk, version } = flavour;
  const reference = (version === 4 ? referenceFunction4 : referenceFunction3) as (target: object) => never;

  suite({ vendor: 'inngest', name: `policies (${label})`, sdk }, (s) => {
    s.case(
      ['I-51'],
      'rateLimit: a tenth of the limit at once, the rest evenly; by key; what is beyond is dropped',
      async (context) => {
        const name = context.unique('go');
        const seen: unknown[] = [];
        const app = await startApp(context, flavour, [
          {
            id: 'limited',
            triggers: [{ event: name }],
            options: { rateLimit: { limit: 20, period: '1h', key: 'event.data.user' } },
            body: ({ event }) => void seen.push(event.data['n']),
          },
        ]);
        // A burst of 20 / 10, and one more.
        const sent = await sendEach(
          app,
          name,
          [1, 2, 3, 4, 5].map((n) => ({ user: 'a', n })),
        );
        await sendEach(app, name, [{ user: 'b', n: 6 }]);
        await context.clock.idle();
        expect.deepEqual([...seen].sort(), [1, 2, 3, 6]);
        expect.deepEqual(await app.runsOf(sent[3] ?? fail('no id')), []);
        await context.clock.advance(HOUR_MS / 20);
        await sendEach(app, name, [
          { user: 'a', n: 7 },
          { user: 'a', n: 8 },
        ]);
        await context.clock.idle();
        expect.deepEqual([...seen].sort(), [1, 2, 3, 6, 7]);
      },
    );

    s.case(['I-51'], 'rateLimit: a key that is false is not limited', async (context) => {
      const name = context.unique('go');
      let ran = 0;
      const app = await startApp(context, flavour, [
        {
          id: 'limited',
          triggers: [{ event: name }],
          options: { rateLimit: { limit: 1, period: '1h', key: 'event.data.user == "a"' } },
          body: () => void ran++,
        },
      ]);
      await sendEach(app, name, [{ user: 'b' }, { user: 'b' }, { user: 'a' }, { user: 'a' }]);
      await context.clock.idle();
      expect.equal(ran, 3);
    });

    s.case(['I-51'], 'idempotency: one run for a value in 24 hours', async (context) => {
      const name = context.unique('go');
      const seen: unknown[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'once',
          triggers: [{ event: name }],
          options: { idempotency: 'event.data.cart' },
          body: ({ event }) => void seen.push(event.data['cart']),
        },
      ]);
      await sendEach(app, name, [{ cart: 1 }, { cart: 2 }, { cart: 1 }]);
      await context.clock.idle();
      await context.clock.advance(DAY_MS - 60_000);
      await sendEach(app, name, [{ cart: 1 }]);
      await context.clock.idle();
      expect.deepEqual([...seen].sort(), [1, 2]);
      await context.clock.advance(120_000);
      await sendEach(app, name, [{ cart: 1 }]);
      await context.clock.idle();
      expect.deepEqual([...seen].sort(), [1, 1, 2]);
    });

    s.case(['I-28', 'I-51'], 'an invocation that is dropped fails the step that made it', async (context) => {
      const name = context.unique('go');
      const appId = context.unique('app');
      const app = await startApp(
        context,
        flavour,
        [
          {
            id: 'limited',
            triggers: [{ event: context.unique('never') }],
            options: { rateLimit: { limit: 1, period: '1h' } },
            body: () => 'first',
          },
          {
            id: 'parent',
            triggers: [{ event: name }],
            body: async ({ step }) => {
              const call = { function: reference({ appId, functionId: 'limited' }), data: {} };
              const first = await step.invoke('one', call);
              const second = await step.invoke('two', call).catch((error: Error) => `${error.name}: ${error.message}`);
              return [first, second];
            },
          },
        ],
        { id: appId },
      );
      const [run] = await app.ended((await app.send({ name })).ids[0] ?? fail('no id'));
      expect.equal(run?.status, 'Completed');
      const [first, second] = (run?.output ?? fail('no output')) as [string, string];
      expect.equal(first, 'first');
      expect.match(second, /rate limited/);
    });

    s.case(['I-52'], 'debounce: the last event wins, and each puts the run off; by key', async (context) => {
      const name = context.unique('go');
      const seen: unknown[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'quiet',
          triggers: [{ event: name }],
          options: { debounce: { period: '1m', key: 'event.data.k' } },
          body: ({ event, events }) => void seen.push([event.data['n'], events.length]),
        },
      ]);
      const ids = await sendEach(app, name, [
        { k: 1, n: 1 },
        { k: 2, n: 10 },
      ]);
      await context.clock.advance(40_000);
      ids.push(...(await sendEach(app, name, [{ k: 1, n: 2 }])));
      await context.clock.advance(40_000);
      expect.deepEqual(seen, [[10, 1]]);
      expect.deepEqual(await app.runsOf(ids[2] ?? fail('no id')), []);
      await context.clock.advance(25_000);
      expect.deepEqual(seen, [
        [10, 1],
        [2, 1],
      ]);
      // The run is that of the event that it ended up with.
      expect.deepEqual((await app.runsOf(ids[0] ?? fail('no id'))).length, 0);
      expect.deepEqual((await app.ended(ids[2] ?? fail('no id'))).length, 1);
    });

    s.case(
      ['I-52'],
      'debounce: no later than its timeout after the first; an older event changes nothing',
      async (context) => {
        const name = context.unique('go');
        const seen: unknown[] = [];
        const app = await startApp(context, flavour, [
          {
            id: 'quiet',
            triggers: [{ event: name }],
            options: { debounce: { period: '1m', timeout: '2m' } },
            body: ({ event }) => void seen.push(event.data['n']),
          },
        ]);
        for (const n of [1, 2, 3]) {
          await sendEach(app, name, [{ n }]);
          await context.clock.advance(50_000);
        }
        // 100 s after the first, the third would have waited until 160.
        expect.deepEqual(seen, [3]);
        await app.send({ name, data: { n: 4 }, ts: 1_700_000_000_000 });
        await app.send({ name, data: { n: 5 }, ts: 1_600_000_000_000 });
        await context.clock.advance(70_000);
        expect.deepEqual(seen, [3, 4]);
      },
    );

    s.case(
      ['I-53'],
      'batchEvents: goes when it is full or its time is over; all events in order, `event` the first',
      async (context) => {
        const name = context.unique('go');
        const seen: Array<{ event: unknown; events: unknown[] }> = [];
        const app = await startApp(context, flavour, [
          {
            id: 'batch',
            triggers: [{ event: name }],
            options: { batchEvents: { maxSize: 3, timeout: '30s', key: 'event.data.k' } },
            body: ({ event, events }) => {
              seen.push({ event: event.data['n'], events: events.map((one) => one.data['n']) });
              return events.length;
            },
          },
        ]);
        const ids = await sendEach(app, name, [
          { k: 1, n: 1 },
          { k: 1, n: 2 },
          { k: 2, n: 10 },
          { k: 1, n: 3 },
          { k: 1, n: 4 },
        ]);
        const [run] = await app.ended(ids[0] ?? fail('no id'));
        expect.deepEqual(run?.output, 3);
        expect.deepEqual(seen, [{ event: 1, events: [1, 2, 3] }]);
        expect.equal((await app.runsOf(ids[3] ?? fail('no id')))[0]?.run_id, run?.run_id);
        expect.deepEqual(await app.runsOf(ids[4] ?? fail('no id')), []);
        await context.clock.advance(31_000);
        expect.deepEqual(
          seen.slice(1).sort((a, b) => Number(a.event) - Number(b.event)),
          [
            { event: 4, events: [4] },
            { event: 10, events: [10] },
          ],
        );
      },
    );

    s.case(
      ['I-53', 'I-65', 'I-75'],
      'batchEvents: all events of a batch lead to one run, which names one batch; the next batch has an id of its own',
      async (context) => {
        const name = context.unique('go');
        const app = await startApp(context, flavour, [
          {
            id: 'batch',
            triggers: [{ event: name }],
            options: { batchEvents: { maxSize: 2, timeout: '30s' } },
            body: ({ events }) => events.length,
          },
        ]);
        const ids = await sendEach(app, name, [{ n: 1 }, { n: 2 }, { n: 3 }]);
        await app.ended(ids[0] ?? fail('no id'));
        await context.clock.advance(31_000);
        await app.ended(ids[2] ?? fail('no id'));
        const runs = await Promise.all(ids.map(async (id) => (await app.runsOf(id))[0] ?? fail('no run')));
        expect.equal(runs[0]?.run_id, runs[1]?.run_id);
        const batches = runs.map((run) => (run as unknown as { batch_id: string }).batch_id);
        expect.match(batches[0] ?? '', /^[0-9A-HJKMNP-TV-Z]{26}$/);
        expect.equal(batches[0], batches[1]);
        expect.equal(new Set([...batches, ...ids, ...runs.map((run) => run.run_id)]).size, 2 + 3 + 2);
        const shown = await Promise.all(
          [runs[0], runs[2]].map(async (run) => {
            const query = `query ($id: String!) { runTrigger(runID: $id) { IDs isBatch batchID }
              functionRun(query: { functionRunId: $id }) { batchID } run(runID: $id) { isBatch } }`;
            const response = await fetch(new URL('/v0/gql', context.url), {
              method: 'POST',
              body: JSON.stringify({ query, variables: { id: run?.run_id } }),
            });
            return ((await response.json()) as { data: unknown }).data;
          }),
        );
        const expected = (of: string[], batchID: string | undefined): object => ({
          runTrigger: { IDs: of, isBatch: true, batchID },
          functionRun: { batchID },
          run: { isBatch: true },
        });
        expect.deepEqual(shown, [expected(ids.slice(0, 2), batches[0]), expected(ids.slice(2), batches[2])]);
      },
    );

    s.case(
      ['I-53'],
      'batchEvents: steps of a batch keep all its events; `if` leaves an event alone',
      async (context) => {
        const name = context.unique('go');
        const seen: unknown[] = [];
        const app = await startApp(context, flavour, [
          {
            id: 'batch',
            triggers: [{ event: name }],
            options: { batchEvents: { maxSize: 2, timeout: '30s', if: 'event.data.small' } },
            body: async ({ step, events }) => {
              const a = await step.run('a', () => events.length);
              await step.sleep('nap', '1m');
              seen.push([a, events.length]);
            },
          },
        ]);
        await sendEach(app, name, [{ small: true }, { small: false }, { small: true }]);
        await context.clock.idle();
        await context.clock.advance(61_000);
        expect.deepEqual([...seen].sort(), [
          [1, 1],
          [2, 2],
        ]);
      },
    );

    s.case(['I-28', 'I-53'], 'batchEvents: invocations join a batch, and each gets its result', async (context) => {
      const name = context.unique('go');
      const appId = context.unique('app');
      const app = await startApp(
        context,
        flavour,
        [
          {
            id: 'batch',
            triggers: [{ event: context.unique('never') }],
            options: { batchEvents: { maxSize: 2, timeout: '1h' } },
            body: ({ events }) => events.map((event) => event.data['n']),
          },
          {
            id: 'parent',
            triggers: [{ event: name }],
            body: ({ step, event }) =>
              step.invoke('one', { function: reference({ appId, functionId: 'batch' }), data: { n: event.data['n'] } }),
          },
        ],
        { id: appId },
      );
      const ids = await sendEach(app, name, [{ n: 1 }, { n: 2 }]);
      for (const id of ids) {
        const [run] = await app.ended(id);
        expect.equal(run?.status, 'Completed');
        expect.deepEqual([...((run?.output ?? []) as number[])].sort(), [1, 2]);
      }
    });

    s.case(['I-54'], 'priority: what waits for room goes by its factor, in seconds', async (context) => {
      const name = context.unique('go');
      const seen: unknown[] = [];
      let release = (): void => {};
      const gate = new Promise<void>((resolve) => (release = resolve));
      const app = await startApp(context, flavour, [
        {
          id: 'ordered',
          triggers: [{ event: name }],
          concurrency: 1,
          options: { priority: { run: 'event.data.plan == "gold" ? 120 : event.data.plan == "free" ? -60 : 0' } },
          body: async ({ event }) => {
            seen.push(event.data['n']);
            if (event.data['n'] === 0) await gate;
          },
        },
      ]);
      await sendEach(app, name, [{ n: 0 }]);
      await context.until(() => Promise.resolve(seen.length === 1 ? true : null), { what: 'the first call' });
      const ids = await sendEach(app, name, [{ n: 1, plan: 'free' }, { n: 2 }, { n: 3, plan: 'gold' }]);
      release();
      await app.ended(ids[0] ?? fail('no id'));
      expect.deepEqual(seen, [0, 3, 2, 1]);
    });

    s.case(
      ['I-55', 'I-62'],
      'cancelOn: match, if and timeout; exactly the runs it means, and function.cancelled tells it',
      async (context) => {
        const [name, stop, halt] = [context.unique('go'), context.unique('stop'), context.unique('halt')];
        const cancelled: unknown[] = [];
        const steps: unknown[] = [];
        const app = await startApp(context, flavour, [
          {
            id: 'long',
            triggers: [{ event: name }],
            options: {
              cancelOn: [
                { event: stop, match: 'data.id', timeout: '1h' },
                { event: halt, if: 'async.data.from < event.data.id' },
              ],
            },
            body: async ({ step, event }) => {
              await step.sleep('nap', '2h');
              await step.run('after', () => void steps.push(event.data['id']));
            },
          },
          {
            id: 'told',
            triggers: [{ event: 'inngest/function.cancelled', if: `event.data.event.name == '${name}'` }],
            body: ({ event }) => {
              const { function_id, event: origin, error, result, _inngest } = event.data as Record<string, unknown>;
              cancelled.push({
                function_id,
                id: (origin as { data: { id: number } }).data.id,
                error,
                result,
                _inngest,
              });
            },
          },
        ]);
        const ids = await sendEach(app, name, [{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 }]);
        await context.clock.idle();
        await app.send({ name: stop, data: { id: 2 } });
        await app.send({ name: stop, data: { id: 9 } });
        await app.send({ name: halt, data: { from: 3 } });
        await context.clock.idle();
        await context.clock.advance(HOUR_MS + 60_000);
        await app.send({ name: stop, data: { id: 1 } });
        await context.clock.advance(HOUR_MS);
        const statuses = await Promise.all(ids.map(async (id) => (await app.ended(id))[0]?.status));
        expect.deepEqual(statuses, ['Completed', 'Cancelled', 'Completed', 'Cancelled']);
        expect.deepEqual([...steps].sort(), [1, 3]);
        const told = {
          function_id: `${app.id}-long`,
          error: undefined,
          result: undefined,
          _inngest: { status: 'Cancelled' },
        };
        expect.deepEqual(cancelled, [
          { ...told, id: 2 },
          { ...told, id: 4 },
        ]);
      },
    );

    s.case(['I-55'], 'cancelOn: a timeout may be a date, after which the event means nothing', async (context) => {
      const [name, stop] = [context.unique('go'), context.unique('stop')];
      const until = new Date((await context.clock.now()) + HOUR_MS);
      const app = await startApp(context, flavour, [
        {
          id: 'dated',
          triggers: [{ event: name }],
          options: { cancelOn: [{ event: stop, match: 'data.id', timeout: until }] },
          body: ({ step }) => step.sleep('nap', '3h'),
        },
      ]);
      const ids = await sendEach(app, name, [{ id: 1 }, { id: 2 }]);
      await context.clock.advance(HOUR_MS / 2);
      const [late] = await sendEach(app, name, [{ id: 3 }]);
      await context.clock.idle();
      await app.send({ name: stop, data: { id: 1 } });
      await context.clock.advance(HOUR_MS / 2 + 1_000);
      await app.send([
        { name: stop, data: { id: 2 } },
        { name: stop, data: { id: 3 } },
      ]);
      await context.clock.advance(3 * HOUR_MS);
      const statuses = await Promise.all(
        [...ids, late ?? fail('no id')].map(async (id) => (await app.ended(id))[0]?.status),
      );
      expect.deepEqual(statuses, ['Cancelled', 'Completed', 'Completed']);
    });

    s.case(['I-55'], 'cancelOn: the answer of the call that was under way is dropped', async (context) => {
      const [name, stop] = [context.unique('go'), context.unique('stop')];
      let release = (): void => {};
      const gate = new Promise<void>((resolve) => (release = resolve));
      const seen: string[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'long',
          triggers: [{ event: name }],
          options: { cancelOn: [{ event: stop }] },
          body: async ({ step }) => {
            await step.run('a', async () => {
              seen.push('a');
              await gate;
            });
            await step.run('b', () => void seen.push('b'));
            return 'done';
          },
        },
      ]);
      const { ids } = await app.send({ name });
      await context.until(() => Promise.resolve(seen.length === 1 ? true : null), { what: 'the first step' });
      await app.send({ name: stop });
      release();
      const [run] = await app.ended(ids[0] ?? fail('no id'));
      await context.clock.idle();
      expect.equal(run?.status, 'Cancelled');
      expect.equal(run?.output, null);
    });

    s.case(
      ['I-56', 'I-62'],
      'timeouts.start ends a run that waits for room, timeouts.finish one that takes too long',
      async (context) => {
        const name = context.unique('go');
        const app = await startApp(context, flavour, [
          {
            id: 'slow',
            triggers: [{ event: name }],
            options: { timeouts: { finish: '1h' } },
            body: async ({ step, event }) => {
              await step.sleep('nap', event.data['nap'] as string);
              return 'done';
            },
          },
        ]);
        const ids = await sendEach(app, name, [{ nap: '59m' }, { nap: '61m' }]);
        await context.clock.idle();
        await context.clock.advance(2 * HOUR_MS);
        expect.deepEqual(await statusesOf(app, ids), ['Completed', 'Cancelled']);
      },
    );

    s.case(
      ['I-56'],
      'timeouts.start: counted from the event to the first call',
      async (context) => {
        const name = context.unique('go');
        let release = (): void => {};
        const gate = new Promise<void>((resolve) => (release = resolve));
        const seen: unknown[] = [];
        const app = await startApp(context, flavour, [
          {
            id: 'crowded',
            triggers: [{ event: name }],
            concurrency: 1,
            options: { timeouts: { start: '2s' } },
            body: async ({ event }) => {
              seen.push(event.data['n']);
              await gate;
            },
          },
        ]);
        const ids = await sendEach(app, name, [{ n: 1 }]);
        await context.until(() => Promise.resolve(seen.length === 1 ? true : null), { what: 'the first call' });
        ids.push(...(await sendEach(app, name, [{ n: 2 }])));
        // With a call in hand the clock is not moved on: the real one does.
        const [late] = await context.until(
          async () => {
            const runs = await app.runsOf(ids[1] ?? fail('no id'));
            return runs[0]?.ended_at ? runs : null;
          },
          { what: 'the start timeout', timeoutMs: 20_000 },
        );
        release();
        expect.equal(late?.status, 'Cancelled');
        const [first] = await app.ended(ids[0] ?? fail('no id'));
        expect.equal(first?.status, 'Completed');
        expect.deepEqual(seen, [1]);
      },
      { timeoutMs: 40_000 },
    );

    s.case(
      ['I-57', 'I-62'],
      'singleton skip: one run from start to end, the next is listed as skipped and tells nobody',
      async (context) => {
        const name = context.unique('go');
        const told: unknown[] = [];
        const app = await startApp(context, flavour, [
          {
            id: 'one',
            triggers: [{ event: name }],
            options: { singleton: { mode: 'skip', key: 'event.data.user' } },
            body: async ({ step, event }) => {
              await step.sleep('nap', '1h');
              return event.data['n'];
            },
          },
          {
            id: 'told',
            triggers: [{ event: 'inngest/function.cancelled', if: `event.data.event.name == '${name}'` }],
            body: ({ event }) => void told.push(event),
          },
        ]);
        const ids = await sendEach(app, name, [
          { user: 'a', n: 1 },
          { user: 'a', n: 2 },
          { user: 'b', n: 3 },
        ]);
        await context.clock.idle();
        await context.clock.advance(HOUR_MS + 60_000);
        ids.push(...(await sendEach(app, name, [{ user: 'a', n: 4 }])));
        await context.clock.idle();
        await context.clock.advance(HOUR_MS + 60_000);
        expect.deepEqual(await statusesOf(app, ids), ['Completed', 'Skipped', 'Completed', 'Completed']);
        expect.deepEqual(told, []);
      },
    );

    s.case(['I-57', 'I-62'], 'singleton cancel: the newest run takes the place of the one before', async (context) => {
      const name = context.unique('go');
      const app = await startApp(context, flavour, [
        {
          id: 'one',
          triggers: [{ event: name }],
          options: { singleton: { mode: 'cancel' } },
          body: async ({ step, event }) => {
            await step.sleep('nap', '1h');
            return event.data['n'];
          },
        },
      ]);
      const ids = await sendEach(app, name, [{ n: 1 }, { n: 2 }, { n: 3 }]);
      await context.clock.idle();
      await context.clock.advance(HOUR_MS + 60_000);
      expect.deepEqual(await statusesOf(app, ids), ['Cancelled', 'Cancelled', 'Completed']);
    });

    s.case(
      ['I-51', 'I-52', 'I-53', 'I-54', 'I-55', 'I-56', 'I-57', 'I-80'],
      'a policy that means nothing is refused by function and field, and the version before stays',
      async (context) => {
        const name = context.unique('go');
        const appId = context.unique('app');
        const definition = (options: Record<string, unknown>): Definition => ({
          id: 'kept',
          triggers: [{ event: name }],
          body: (_: FunctionContext) => 'kept',
          options,
        });
        const app = await startApp(context, flavour, [definition({})], { id: appId });
        const refused: Array<[RegExp, Record<string, unknown>]> = [
          [/rateLimit\.period/, { rateLimit: { limit: 1, period: '25h' } }],
          [/rateLimit\.limit/, { rateLimit: { limit: 0, period: '1h' } }],
          [/rateLimit\.key/, { rateLimit: { limit: 1, period: '1h', key: 'event.data.' } }],
          [/idempotency/, { idempotency: '((' }],
          [/debounce\.period/, { debounce: { period: '8d' } }],
          [/debounce\.period/, { debounce: { period: 'soon' } }],
          [/batchEvents\.maxSize/, { batchEvents: { maxSize: 1, timeout: '5s' } }],
          [/batchEvents\.timeout/, { batchEvents: { maxSize: 5, timeout: '100ms' } }],
          [/priority\.run/, { priority: { run: '1 +' } }],
          [/cancelOn\[0\]\.if/, { cancelOn: [{ event: 'x', if: 'async.data.list.exists(x, x == event.data.id)' }] }],
          [/cancel/, { cancelOn: Array.from({ length: 6 }, () => ({ event: 'x' })) }],
          [/timeouts\.start/, { timeouts: { start: 'never' } }],
          [/singleton/, { singleton: { mode: 'both' } }],
          [/batchEvents.*cancelOn/, { batchEvents: { maxSize: 5, timeout: '5s' }, cancelOn: [{ event: 'x' }] }],
          [/batchEvents.*debounce/, { batchEvents: { maxSize: 5, timeout: '5s' }, debounce: { period: '5s' } }],
          [/batchEvents.*singleton/, { batchEvents: { maxSize: 5, timeout: '5s' }, singleton: { mode: 'skip' } }],
          [/batchEvents.*priority/, { batchEvents: { maxSize: 5, timeout: '5s' }, priority: { run: '1' } }],
        ];
        for (const [field, options] of refused) {
          const synced = await (await serveApp(context, flavour, [definition(options)], { id: appId })).sync();
          expect.equal(synced.status, 400, JSON.stringify(options));
          expect.match(synced.message, field);
          expect.match(synced.message, new RegExp(`${appId}-kept`));
        }
        const [run] = await app.ended((await app.send({ name })).ids[0] ?? fail('no id'));
        expect.equal(run?.output, 'kept');
      },
    );
  });
}

/** One request each, so that they arrive in this order. */
async function sendEach(app: App, name: string, data: object[]): Promise<string[]> {
  const ids: string[] = [];
  for (const one of data) ids.push((await app.send({ name, data: one })).ids[0] ?? fail('no id'));
  return ids;
}

async function statusesOf(app: App, ids: string[]): Promise<Array<string | undefined>> {
  return Promise.all(ids.map(async (id) => (await app.ended(id))[0]?.status));
}
