import { cron, eventType, group, invoke, staticSchema, step as stepTools } from 'inngest';
import type { Inngest } from 'inngest';
import { createScorer } from 'inngest/experimental';
import { z } from 'zod';
import { expect, suite } from '../harness/index.ts';
import type { CaseContext } from '../harness/index.ts';
import { FLAVOURS, fail, outputOf, startApp } from './apps.ts';
import type { App, Definition, FunctionContext, ReceivedEvent } from './apps.ts';
import { gql } from './graphql.ts';

// Options of clients and functions, and helpers to declare them, as the vendor's reference lists them (inngest/website:
// pages/docs/reference/typescript; inngest/inngest-js: packages/inngest/src/test/integration/checkpointing).

const HOUR_MS = 3_600_000;
const [CHECKPOINTING, CLASSIC, VERSION_3] = FLAVOURS;
if (!CHECKPOINTING || !CLASSIC || !VERSION_3) fail('a flavour is missing');

suite({ vendor: 'inngest', name: 'as documented: checkpointing options', sdk: CHECKPOINTING.sdk }, (s) => {
  s.case(
    ['I-35', 'I-36'],
    'maxRuntime: a request that takes longer is answered, and nothing runs twice',
    async (context) => {
      const name = context.unique('go');
      const entered: string[] = [];
      const ran: string[] = [];
      // The time of the request is the app's own: longer than the millisecond that the option gives it.
      const late = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));
      const define = (id: string, body: (one: (id: string) => Promise<unknown>) => Promise<void>): Definition => ({
        id,
        triggers: [{ event: name }],
        options: { checkpointing: { maxRuntime: 1 } },
        body: async ({ step }) => {
          entered.push(id);
          await body((key) => step.run(key, () => void ran.push(`${id}/${key}`)));
          return 'done';
        },
      });
      const app = await startApp(context, CHECKPOINTING, [
        define('no-step', late),
        define('before', async (one) => void (await one('a'), await late())),
        define('between', async (one) => void (await one('a'), await late(), await one('b'))),
      ]);
      const { ids } = await app.send({ name });
      const runs = await app.ended(ids[0] ?? fail('no id'), 3);
      expect.deepEqual(
        runs.map((run) => run.output),
        ['done', 'done', 'done'],
      );
      expect.deepEqual(ran.toSorted(), ['before/a', 'between/a', 'between/b']);
      const count = (id: string): number => entered.filter((other) => other === id).length;
      expect.deepEqual([count('no-step'), count('before'), count('between')], [1, 1, 3]);
    },
  );

  s.case(
    ['I-35'],
    'bufferedSteps and maxInterval: steps are told together; nothing is lost before a sleep or an error',
    async (context) => {
      const name = context.unique('go');
      const told: string[][] = [];
      const ran: string[] = [];
      const noting: typeof fetch = (input, init) => {
        const url = input instanceof Request ? input.url : String(input);
        if (url.includes('/v1/checkpoint/')) {
          const { steps } = JSON.parse(String(init?.body)) as { steps: Array<{ displayName: string }> };
          told.push(steps.map((item) => item.displayName));
        }
        return fetch(input, init);
      };
      const body: Definition['body'] = async ({ step, attempt }) => {
        for (const id of ['1', '2', '3', '4', '5']) await step.run(id, () => void ran.push(id));
        await step.sleep('nap', '1h');
        for (const id of ['6', '7']) await step.run(id, () => void ran.push(id));
        if (attempt === 0) throw new Error('once');
        return 'done';
      };
      const app = await startApp(
        context,
        CHECKPOINTING,
        [
          {
            id: 'buffered',
            triggers: [{ event: name }],
            options: { checkpointing: { bufferedSteps: 3, maxInterval: '1h' } },
            body,
          },
          {
            id: 'hurried',
            triggers: [{ event: `${name}/2` }],
            options: { checkpointing: { bufferedSteps: 100, maxInterval: 1 } },
            body,
          },
        ],
        { client: { fetch: noting } },
      );
      const run = async (event: string): Promise<void> => {
        const { ids } = await app.send({ name: event });
        await context.clock.idle();
        await context.clock.advance(2 * HOUR_MS);
        expect.equal((await app.ended(ids[0] ?? fail('no id')))[0]?.output, 'done');
        expect.deepEqual(ran.splice(0), ['1', '2', '3', '4', '5', '6', '7']);
      };
      await run(name);
      expect.deepEqual(told.splice(0), [
        ['1', '2', '3'],
        ['4', '5'],
        ['6', '7'],
      ]);
      await run(`${name}/2`);
      expect.deepEqual(told.flat(), ['1', '2', '3', '4', '5', '6', '7']);
    },
  );
});

for (const flavour of [CHECKPOINTING, CLASSIC]) {
  suite({ vendor: 'inngest', name: `as documented: options (${flavour.label})`, sdk: flavour.sdk }, (s) => {
    s.case(
      ['I-59', 'I-27', 'I-55', 'I-28'],
      'event types as triggers, in send, wait and cancelOn; a trigger for invocations alone',
      async (context) => {
        const name = context.unique('order');
        const placed = eventType(`${name}/placed`, {
          schema: z.object({ id: z.string(), total: z.number() }),
          version: '3',
        });
        const paid = eventType(`${name}/paid`, { schema: staticSchema<{ id: string }>() });
        const stopped = eventType(`${name}/stopped`);
        const seen: unknown[] = [];
        const app = await startApp(context, flavour, [
          {
            id: 'order',
            triggers: [{ event: placed, if: 'event.data.total > 10' }, cron('0 0 1 1 *')] as never,
            options: { cancelOn: [{ event: stopped, if: 'async.data.id == event.data.id', timeout: '2h' }] },
            body: async ({ step, event }, { tax }) => {
              const { v, data } = event as ReceivedEvent & { v?: string };
              const reply = await step.waitForEvent('pay', {
                event: paid,
                timeout: '1h',
                if: 'async.data.id == event.data.id',
              });
              const added = await step.invoke('tax', {
                function: tax ?? fail('no tax'),
                data: { total: data['total'] },
              });
              return [data['id'], v, reply?.name ?? 'nothing', added];
            },
          },
          {
            id: 'tax',
            triggers: [invoke(z.object({ total: z.number() }))] as never,
            body: ({ event }) => (event.data['total'] as number) / 10,
          },
          { id: 'other', triggers: [paid] as never, body: ({ event }) => void seen.push(event.data) },
        ]);
        await expect.rejects(placed.create({ id: 'x', total: 'much' as never }).validate());
        await expect.rejects(app.send(placed.create({ id: 'x', total: 'much' as never })));
        const sent = await app.send(
          ['a', 'b', 'c', 'small'].map((id) => placed.create({ id, total: id === 'small' ? 5 : 20 })),
        );
        await context.clock.idle();
        await app.send([paid.create({ id: 'a' }), stopped.create({ id: 'b' })]);
        await context.clock.idle();
        await context.clock.advance(HOUR_MS);
        const ends: unknown[] = [];
        for (const id of sent.ids.slice(0, 3)) {
          const [run] = await app.ended(id);
          ends.push(run?.status === 'Completed' ? run.output : run?.status);
        }
        expect.deepEqual(ends, [['a', '3', `${name}/paid`, 2], 'Cancelled', ['c', '3', 'nothing', 2]]);
        expect.deepEqual(await app.runsOf(sent.ids[3] ?? fail('no id')), []);
        expect.deepEqual(seen, [{ id: 'a' }]);
      },
    );

    s.case(
      ['I-29'],
      'signals: a newer wait takes the place of an older one, a time-out gives null',
      async (context) => {
        const name = context.unique('go');
        const signal = context.unique('signal');
        const app = await startApp(context, flavour, [
          {
            id: 'waiter',
            triggers: [{ event: name }],
            body: ({ step }) => step.waitForSignal('w', { signal, timeout: '1h', onConflict: 'replace' }),
          },
          {
            id: 'sender',
            triggers: [{ event: `${name}/send` }],
            body: ({ step }) => step.sendSignal('s', { signal, data: [1] }),
          },
        ]);
        const older = await app.send({ name });
        await context.clock.idle();
        const newer = await app.send({ name });
        await context.clock.idle();
        const sent = await app.send({ name: `${name}/send` });
        await app.ended(sent.ids[0] ?? fail('no id'));
        expect.deepEqual((await app.ended(newer.ids[0] ?? fail('no id')))[0]?.output, { signal, data: [1] });
        await context.clock.advance(HOUR_MS);
        const [run] = await app.ended(older.ids[0] ?? fail('no id'));
        expect.deepEqual([run?.status, run?.output], ['Completed', null]);
      },
    );

    s.case(
      ['I-43', 'I-28', 'I-30', 'I-42'],
      'sessions go along with what a run sends, invokes and defers, unless the client says no',
      async (context) => {
        const run = async (sessionPropagation: boolean): Promise<unknown> => {
          const name = context.unique('go');
          const seen: Record<string, unknown> = {};
          const note = (id: string) => (tools: FunctionContext) =>
            void (seen[id] = (tools.event as ReceivedEvent & { meta?: { sessions?: unknown } }).meta?.sessions ?? null);
          const app = await startApp(
            context,
            flavour,
            [
              {
                id: 'parent',
                triggers: [{ event: name }],
                body: async ({ step, defer }, { invoked, deferred }) => {
                  await step.sendEvent('send', { name: `${name}/sent` });
                  await step.sendEvent('other', { name: `${name}/other`, meta: { sessions: { org: 'mine' } } });
                  await step.invoke('invoke', { function: invoked ?? fail('none') });
                  defer('defer', { function: deferred ?? fail('none'), data: {} });
                },
              },
              { id: 'sent', triggers: [{ event: `${name}/sent` }], body: note('sent') },
              { id: 'other', triggers: [{ event: `${name}/other` }], body: note('other') },
              { id: 'invoked', triggers: [{ event: `${name}/x` }], body: note('invoked') },
              { id: 'deferred', triggers: [], deferred: true, body: note('deferred') },
            ],
            { client: { sessionPropagation } },
          );
          await app.send({ name, meta: { sessions: { org: 'acme', team: 'core' } } });
          await context.until(() => Object.keys(seen).length === 4);
          return seen;
        };
        const whole = { org: 'acme', team: 'core' };
        expect.deepEqual(await run(true), {
          sent: whole,
          other: { org: 'mine', team: 'core' },
          invoked: whole,
          deferred: whole,
        });
        expect.deepEqual(await run(false), { sent: null, other: { org: 'mine' }, invoked: null, deferred: null });
      },
    );

    s.case(['I-44', 'I-42'], 'a scorer judges a run once it has ended, and the score is the run’s', async (context) => {
      const name = context.unique('go');
      const scored: string[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'answer',
          triggers: [{ event: name }],
          body: ({ defer }, { judge }) => {
            defer('judge', { function: judge ?? fail('no judge'), data: { text: 'good' } });
            return 'answered';
          },
        },
        {
          id: 'judge',
          triggers: [],
          make: (client: never, options: never) =>
            createScorer(client as Inngest.Any, options, ({ event }) => {
              scored.push(String((event.data as unknown as { text: string }).text));
              return { name: 'quality', value: 0.75 };
            }) as never,
          body: () => undefined,
        },
      ]);
      const { ids } = await app.send({ name });
      const [run] = await app.ended(ids[0] ?? fail('no id'));
      const scores = (): Promise<unknown[]> => scoresOf(context, run?.run_id ?? fail('no run'));
      await context.until(async () => (await scores()).length > 0);
      expect.deepEqual([new Set(scored), await scores()], [new Set(['good']), [{ quality: { value: 0.75 } }]]);
    });

    s.case(
      ['I-22', 'I-26', 'I-32'],
      'the tools that are imported work in helpers, far from the function',
      async (context) => {
        const name = context.unique('go');
        const ran: string[] = [];
        const helper = async (id: string): Promise<string> => await stepTools.run(id, () => (ran.push(id), id));
        const app = await startApp(context, flavour, [
          {
            id: 'fn',
            triggers: [{ event: name }],
            body: async () => {
              const a = await helper('a');
              await stepTools.sleep('nap', '1m');
              const first = await group.parallel(async () => await Promise.race([helper('b'), helper('c')]));
              return [a, ['b', 'c'].includes(first)];
            },
          },
        ]);
        const { ids } = await app.send({ name });
        await context.clock.idle();
        await context.clock.advance(60_000);
        expect.deepEqual(outputOf((await app.ended(ids[0] ?? fail('no id')))[0]), ['a', true]);
        expect.deepEqual(ran.toSorted(), ['a', 'b', 'c']);
        await expect.rejects(async () => await helper('outside'));
      },
    );

    s.case(
      ['I-53', 'I-57', 'I-48'],
      'keys of a batch, a singleton and a concurrency keep what belongs together',
      async (context) => {
        const name = context.unique('go');
        const batches: string[] = [];
        const singles: string[] = [];
        const app = await startApp(context, flavour, [
          {
            id: 'batched',
            triggers: [{ event: name }],
            options: { batchEvents: { maxSize: 3, timeout: '30s', key: 'event.data.org' } },
            body: ({ events }) =>
              void batches.push(events.map((event) => `${String(event.data['org'])}${String(event.data['n'])}`).join()),
          },
          {
            id: 'single',
            triggers: [{ event: name }],
            concurrency: { limit: 1, key: 'event.data.org', scope: 'account' },
            options: { singleton: { key: 'event.data.org', mode: 'skip' } },
            body: async ({ step, event }) => {
              singles.push(`${String(event.data['org'])}${String(event.data['n'])}`);
              await step.sleep('nap', '1m');
            },
          },
        ]);
        await app.send(['a', 'b', 'a', 'a', 'b', 'a'].map((org, n) => ({ name, data: { org, n } })));
        await context.clock.idle();
        expect.deepEqual([batches.splice(0), singles.toSorted()], [['a0,a2,a3'], ['a0', 'b1']]);
        await context.clock.advance(30_000);
        expect.deepEqual(batches.toSorted(), ['a5', 'b1,b4']);
        expect.equal(singles.length, 2);
      },
    );
  });
}

suite({ vendor: 'inngest', name: 'as documented: what is registered', sdk: CLASSIC.sdk }, (s) => {
  s.case(['I-9', 'I-75'], 'names, descriptions and versions of app and functions are kept', async (context) => {
    const name = context.unique('go');
    const app = await startApp(
      context,
      CLASSIC,
      [
        {
          id: 'fn',
          triggers: [{ event: name }],
          options: { name: 'Send the report', description: 'Once a day' },
          body: ({ step }) =>
            (step.run as unknown as (id: object, body: () => string) => unknown)(
              { id: 'one', name: 'The first' },
              () => 'done',
            ),
        },
      ],
      { client: { appVersion: '2026.11.30' } },
    );
    const { ids } = await app.send({ name });
    const [run] = await app.ended(ids[0] ?? fail('no id'));
    const { apps, run: shown } = await gql<{
      apps: Array<{ externalID: string; appVersion: string | null; functions: Array<{ name: string; slug: string }> }>;
      run: { trace: { childrenSpans: Array<{ name: string }> } };
    }>(
      context,
      'query ($id: String!) { apps { externalID appVersion functions { name slug } } run(runID: $id) { trace { childrenSpans { name } } } }',
      { id: run?.run_id },
    );
    const mine = apps.find((item) => item.externalID === app.id);
    expect.deepEqual(mine, {
      externalID: app.id,
      appVersion: '2026.11.30',
      functions: [{ name: 'Send the report', slug: `${app.id}-fn` }],
    });
    expect.equal(shown.trace.childrenSpans[0]?.name, 'The first');
  });
});

suite({ vendor: 'inngest', name: 'as documented: parallel steps of version 3', sdk: VERSION_3.sdk }, (s) => {
  for (const optimizeParallelism of [true, false])
    s.case(
      ['I-31', 'I-33'],
      `optimizeParallelism ${String(optimizeParallelism)}: each step once, what follows once`,
      async (context) => {
        const name = context.unique('go');
        const ran: string[] = [];
        let entered = 0;
        const app: App = await startApp(
          context,
          VERSION_3,
          [
            {
              id: 'wide',
              triggers: [{ event: name }],
              body: async ({ step }) => {
                entered++;
                const parts = await Promise.all(
                  ['a', 'b', 'c', 'd'].map((id) => step.run(id, () => (ran.push(id), id))),
                );
                return await step.run('join', () => (ran.push('join'), parts.join('')));
              },
            },
          ],
          { client: { optimizeParallelism } },
        );
        const { ids } = await app.send({ name });
        expect.equal((await app.ended(ids[0] ?? fail('no id')))[0]?.output, 'abcd');
        expect.deepEqual([ran.slice(0, 4).toSorted(), ran.slice(4)], [['a', 'b', 'c', 'd'], ['join']]);
        // Plan, four steps, once after them all, the join and the end.
        if (optimizeParallelism) expect(entered <= 8, String(entered));
        else expect(entered >= 7, String(entered));
      },
    );
});

async function scoresOf(context: CaseContext, run: string): Promise<unknown[]> {
  const { run: shown } = await gql<{ run: { trace: { metadata: Array<{ kind: string; values: unknown }> } } }>(
    context,
    'query ($id: String!) { run(runID: $id) { trace { metadata { kind values } } } }',
    { id: run },
  );
  return shown.trace.metadata.filter(({ kind }) => kind === 'inngest.score').map(({ values }) => values);
}
