import { expect, suite } from '../harness/index.ts';
import { FLAVOURS, fail, outputOf, serveApp, startApp } from './apps.ts';

// Whole patterns of the vendor's guides (inngest/website: pages/docs/durable-execution/durable-agents, pages/docs/features/events-triggers) and what its
// server's own tests show of apps behind other servers (inngest/inngest: tests/golang/redirect_test.go, multi_trigger_expression_test.go).

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

for (const flavour of FLAVOURS) {
  const { label, sdk } = flavour;

  suite({ vendor: 'inngest', name: `as documented: patterns (${label})`, sdk }, (s) => {
    s.case(
      ['I-27', 'I-26', 'I-22'],
      'a person in the loop: reminded twice, then approved, or given up',
      async (context) => {
        const name = context.unique('draft');
        const mails: string[] = [];
        const app = await startApp(context, flavour, [
          {
            id: 'review',
            triggers: [{ event: name }],
            body: async ({ step, event }) => {
              const draft = String(event.data['draft']);
              for (let turn = 1; turn <= 3; turn++) {
                await step.run(`ask ${turn}`, () => void mails.push(`${draft} ${turn}`));
                const answer = await step.waitForEvent(`answer ${turn}`, {
                  event: `${name}/decided`,
                  if: 'event.data.draft == async.data.draft',
                  timeout: '1d',
                });
                if (answer) return [turn, answer.data['approved']];
              }
              return 'given up';
            },
          },
        ]);
        const { ids } = await app.send(['a', 'b'].map((draft) => ({ name, data: { draft } })));
        await context.clock.idle();
        await context.clock.advance(2 * DAY_MS + HOUR_MS);
        await app.send({ name: `${name}/decided`, data: { draft: 'a', approved: true } });
        const [a] = await app.ended(ids[0] ?? fail('no id'));
        expect.deepEqual(a?.output, [3, true]);
        await context.clock.advance(DAY_MS);
        const [b] = await app.ended(ids[1] ?? fail('no id'));
        expect.equal(b?.output, 'given up');
        expect.deepEqual(mails.toSorted(), ['a 1', 'a 2', 'a 3', 'b 1', 'b 2', 'b 3']);
      },
    );

    s.case(
      ['I-28', 'I-31', 'I-23'],
      'work that is handed on: a function that invokes itself, and twenty at once of which some fail',
      async (context) => {
        const name = context.unique('task');
        const ran: number[] = [];
        const app = await startApp(context, flavour, [
          {
            id: 'tree',
            triggers: [{ event: `${name}/x` }],
            body: async ({ step, event }, { tree }) => {
              const depth = event.data['depth'] as number;
              if (depth === 0) return 1;
              const parts = await Promise.all(
                [0, 1].map((n) =>
                  step.invoke(`child ${n}`, { function: tree ?? fail('no tree'), data: { depth: depth - 1 } }),
                ),
              );
              return (parts as number[]).reduce((sum, part) => sum + part, 1);
            },
          },
          {
            id: 'piece',
            triggers: [{ event: `${name}/y` }],
            retries: 0,
            body: ({ event }) => {
              const n = event.data['n'] as number;
              ran.push(n);
              return n % 5 === 0 ? fail(`piece ${n}`) : n;
            },
          },
          {
            id: 'lead',
            triggers: [{ event: name }],
            body: async ({ step }, { tree, piece }) => {
              const nodes = await step.invoke('tree', { function: tree ?? fail('no tree'), data: { depth: 3 } });
              const pieces = await Promise.allSettled(
                Array.from({ length: 20 }, (_, n) =>
                  step.invoke(`piece ${n}`, { function: piece ?? fail('no piece'), data: { n } }),
                ),
              );
              return {
                nodes,
                good: pieces.filter((one) => one.status === 'fulfilled').length,
                bad: pieces.flatMap((one) => (one.status === 'rejected' ? [(one.reason as Error).message] : [])),
              };
            },
          },
        ]);
        const { ids } = await app.send({ name });
        const [run] = await app.ended(ids[0] ?? fail('no id'));
        expect.deepEqual(outputOf(run), { nodes: 15, good: 16, bad: ['piece 0', 'piece 5', 'piece 10', 'piece 15'] });
        expect.equal(new Set(ran).size, 20);
        expect.equal(ran.length, 20);
      },
    );

    s.case(
      ['I-27', 'I-30', 'I-31'],
      'answers of many are waited for beside the questions, whatever comes first',
      async (context) => {
        const name = context.unique('poll');
        const app = await startApp(context, flavour, [
          {
            id: 'ask',
            triggers: [{ event: name }],
            body: async ({ step }) => {
              const people = ['ann', 'bob', 'cy'];
              const [, ...answers] = await Promise.all([
                step.sendEvent(
                  'questions',
                  people.map((who) => ({ name: `${name}/asked`, data: { who } })),
                ),
                ...people.map((who) =>
                  step.waitForEvent(`answer of ${who}`, {
                    event: `${name}/answered`,
                    if: `async.data.who == "${who}"`,
                    timeout: '1h',
                  }),
                ),
              ]);
              return answers.map((answer) => answer?.data['says'] ?? 'nothing');
            },
          },
          {
            id: 'person',
            triggers: [{ event: `${name}/asked`, if: 'event.data.who != "bob"' }],
            body: async ({ step, event }) => {
              const { who } = event.data;
              await step.sendEvent('answer', {
                name: `${name}/answered`,
                data: { who, says: `yes from ${String(who)}` },
              });
            },
          },
        ]);
        const { ids } = await app.send({ name });
        await context.clock.idle();
        await context.clock.advance(HOUR_MS);
        const [run] = await app.ended(ids[0] ?? fail('no id'));
        expect.deepEqual(run?.output, ['yes from ann', 'nothing', 'yes from cy']);
      },
    );

    s.case(['I-59', 'I-60'], 'each trigger has a condition of its own', async (context) => {
      const name = context.unique('user');
      const seen: string[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'fn',
          triggers: [
            { event: `${name}.created`, if: "event.data.type == 'premium'" },
            { event: `${name}.updated`, if: "event.data.type == 'standard'" },
            { event: `${name}.removed` },
            { event: `${name}/any/*` },
          ],
          body: ({ event }) => void seen.push(`${event.name.slice(name.length)} ${String(event.data['type'])}`),
        },
      ]);
      const types = ['premium', 'standard'];
      await app.send(
        ['.created', '.updated', '.removed', '/any/a', '/any/b/c', '/other/a'].flatMap((end) =>
          types.map((type) => ({ name: name + end, data: { type } })),
        ),
      );
      await context.clock.idle();
      expect.deepEqual(
        seen.toSorted(),
        [
          '.created premium',
          '.updated standard',
          ...['.removed', '/any/a', '/any/b/c'].flatMap((end) => types.map((type) => `${end} ${type}`)),
        ].toSorted(),
      );
    });

    s.case(
      ['I-9', 'I-17', 'I-18'],
      'an app behind a server that points elsewhere is synced and called there',
      async (context) => {
        const name = context.unique('go');
        const pointed: string[] = [];
        const target = await serveApp(context, flavour, [
          { id: 'fn', triggers: [{ event: name }], body: ({ step, event }) => step.run('a', () => event.data['n']) },
        ]);
        const front = await context.serveHttp((request) => {
          pointed.push(request.method);
          const { search } = new URL(request.url);
          return new Response(null, { status: 307, headers: { location: `${target.url}${search}` } });
        });
        const synced = await fetch(new URL('/v0/gql', context.url), {
          method: 'POST',
          body: JSON.stringify({
            query: 'mutation ($url: String!) { createApp(input: { url: $url }) { externalID url } }',
            variables: { url: `${front.url}/api/inngest` },
          }),
        });
        const { data } = (await synced.json()) as { data: { createApp: { externalID: string } } };
        expect.equal(data.createApp.externalID, target.id);
        const { ids } = await target.send({ name, data: { n: 7 } });
        const [run] = await target.ended(ids[0] ?? fail('no id'));
        expect.equal(run?.output, 7);
        expect(pointed.includes('PUT') && pointed.includes('POST'), pointed.join());
      },
    );
  });
}
