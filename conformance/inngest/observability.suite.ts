import { experiment } from 'inngest';
import type { Inngest } from 'inngest';
import { metadataMiddleware, scoreMiddleware } from 'inngest/experimental';
import { expect, suite } from '../harness/index.ts';
import { FLAVOURS, startApp } from './apps.ts';
import { call, gql, RUN_QUERY } from './graphql.ts';
import type { GqlSpan } from './graphql.ts';

const four = FLAVOURS.filter(({ version }) => version === 4);
for (const flavour of four) {
  suite({ vendor: 'inngest', name: `observability (${flavour.label})`, sdk: flavour.sdk }, (s) => {
    s.case(['I-44'], 'metadata and scores of a run and of a step are kept and shown in its trace', async (context) => {
      const name = context.unique('meta');
      const app = await startApp(
        context,
        flavour,
        [
          {
            id: 'meta',
            triggers: [{ event: name }],
            body: async ({ step }) => {
              const tools = step as unknown as {
                metadata(id: string): { run(id?: string): { set(values: object, kind?: string): Promise<void> } };
                score(id: string, options: object): Promise<void>;
              };
              await step.run('work', () => 1);
              await tools.metadata('tell').run().set({ color: 'red' }, 'paint');
              await tools.score('rate', { name: 'quality', value: 0.5 });
              return 'done';
            },
          },
        ],
        { middleware: [metadataMiddleware(), scoreMiddleware()] },
      );
      const [run] = await app.ended((await app.send({ name, data: {} })).ids[0] as string);
      expect.equal(run?.status, 'Completed', JSON.stringify(run?.output));
      const added = await call(context, 'POST', `/v2/runs/${run?.run_id}/scores`, [
        { name: 'late', value: true, stepId: 'work' },
      ]);
      expect.equal(added.status, 200);
      const { run: shown } = await gql<{ run: { trace: GqlSpan } }>(context, RUN_QUERY, { runID: run?.run_id });
      const all = [shown.trace, ...shown.trace.childrenSpans].flatMap((span) =>
        span.metadata.map(({ kind, values }) => [kind, values]),
      );
      expect.deepEqual(
        all.find(([kind]) => kind === 'userland.paint'),
        ['userland.paint', { color: 'red' }],
      );
      const scores = all.filter(([kind]) => kind === 'inngest.score').map(([, values]) => values);

      expect.deepEqual(scores, [{ late: { value: true } }, { quality: { value: 0.5 } }]);
      const large = {
        target: { run_id: run?.run_id },
        metadata: [{ kind: 'k', op: 'set', values: { text: 'x'.repeat(70_000) } }],
      };
      expect.equal((await call(context, 'POST', `/v1/runs/${run?.run_id}/metadata`, large)).status, 413);
      expect.equal(
        (await call(context, 'POST', `/v1/runs/${run?.run_id}/metadata`, { metadata: [{ kind: 'k' }] })).status,
        400,
      );
    });

    s.case(['I-44'], 'an experiment’s variant is chosen once, and shown with its step', async (context) => {
      const name = context.unique('experiment');
      const app = await startApp(context, flavour, [
        {
          id: 'experiment',
          triggers: [{ event: name }],
          body: async ({ group, step }) => {
            const { experiment } = group as unknown as {
              experiment(
                id: string,
                options: { variants: Record<string, () => Promise<unknown>>; select: unknown },
              ): Promise<unknown>;
            };
            const { experiment: strategies } = await import('inngest');
            return experiment('colour', {
              variants: { red: () => step.run('red', () => 'r'), blue: () => step.run('blue', () => 'b') },
              select: (strategies as unknown as { weighted(weights: object): unknown }).weighted({ red: 1, blue: 0 }),
            });
          },
        },
      ]);
      const [run] = await app.ended((await app.send({ name, data: {} })).ids[0] as string);
      expect.equal((run as { output: { result: string } }).output.result, 'r');
      const { run: shown } = await gql<{ run: { trace: GqlSpan } }>(context, RUN_QUERY, { runID: run?.run_id });
      const told = shown.trace.childrenSpans
        .flatMap((span) => span.metadata)
        .filter(({ kind }) => kind === 'inngest.experiment');
      expect.equal(told.length > 0, true, JSON.stringify(shown.trace));
    });

    s.case(['I-44'], 'each way to choose a variant; a score is the variant’s that was chosen', async (context) => {
      const name = context.unique('experiment');
      let client: Inngest | undefined;
      const ran: string[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'experiment',
          triggers: [{ event: name }],
          make: (made, options) => (
            (client = made),
            (made as Inngest).createFunction(
              { ...(options as { id: string }), triggers: [{ event: name }] },
              async ({ group, step, event }) => {
                const variant = (colour: string) => (): Promise<string> =>
                  step.run(colour, () => (ran.push(colour), colour));
                const variants = { red: variant('red'), blue: variant('blue') };
                const fixed = await group.experiment('fixed', { variants, select: experiment.fixed('blue') });
                const bucket = await group.experiment('bucket', {
                  variants,
                  select: experiment.bucket(String(event.data['user']), { weights: { red: 1, blue: 0 } }),
                });
                const custom = await group.experiment('custom', { variants, select: experiment.custom(() => 'blue') });
                await client?.score.experiment({ name: 'clicks', value: 1, experiment: fixed.experimentRef });
                return [fixed.variant, bucket.result, custom.variant];
              },
            ) as never
          ),
          body: () => undefined,
        },
      ]);
      const [run] = await app.ended((await app.send({ name, data: { user: 'u1' } })).ids[0] as string);
      expect.deepEqual(
        [run?.output, ran],
        [
          ['blue', 'red', 'blue'],
          ['blue', 'red', 'blue'],
        ],
      );
      const { run: shown } = await gql<{ run: { trace: GqlSpan } }>(context, RUN_QUERY, { runID: run?.run_id });
      const told = shown.trace.metadata.map(({ kind, values }) => [kind, values] as const);
      expect.deepEqual(Object.fromEntries(told)['inngest.score'], { clicks: { value: 1 } }, JSON.stringify(told));
      const chosen = Object.fromEntries(told)['inngest.experiment'] as { experiment_name?: string } | undefined;
      expect.match(JSON.stringify(chosen), /fixed.*blue|blue.*fixed/);
    });

    s.case(
      ['I-45'],
      'INN-14: spans of the app’s own are taken as JSON and as protobuf, and those of no known run are told to be rejected',
      async (context) => {
        const json = await call(context, 'POST', '/v1/traces/userland', { resourceSpans: [] });
        expect.equal(json.status, 200);
        const protobuf = await fetch(new URL('/v1/traces/userland', context.url), {
          method: 'POST',
          headers: { 'content-type': 'application/x-protobuf' },
          body: new Uint8Array([10, 0]),
        });
        expect.deepEqual([protobuf.status, (await protobuf.arrayBuffer()).byteLength], [200, 0]);
        expect.equal((await call(context, 'POST', '/v1/traces/userland', { spans: [] })).status, 400);
        const spans = [{ spanId: '0123456789abcdef', name: 'lost', attributes: [] }];
        const lost = await call(context, 'POST', '/v1/traces/userland', {
          resourceSpans: [{ scopeSpans: [{ spans }] }],
        });
        expect.deepEqual([lost.status, lost.body], [200, { partialSuccess: { rejectedSpans: '1' } }]);
        const text = await fetch(new URL('/v1/traces/userland', context.url), { method: 'POST', body: 'x' });
        expect.equal(text.status, 415);
      },
    );

    s.case(['I-43'], 'sessions travel with events, are merged, and reach the function', async (context) => {
      const name = context.unique('session');
      const seen: unknown[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'chat',
          triggers: [{ event: name }],
          body: ({ event }) => void seen.push((event as unknown as { meta?: unknown }).meta),
        },
      ]);
      const { ids } = await app.send({ name, data: {}, meta: { sessions: { chat: 'c1', user: 7 } } });
      await app.ended(ids[0] as string);
      const raw = await call(context, 'POST', `/e/key`, {
        name,
        meta: { sessions: { chat: null, room: 'r' }, propagated_sessions: { chat: 'old', user: 'u' } },
      });
      await app.ended((raw.body['ids'] as string[])[0] as string);
      expect.deepEqual(seen, [{ sessions: { chat: 'c1', user: '7' } }, { sessions: { room: 'r', user: 'u' } }]);
      const many = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`s${i}`, 'x']));
      expect.equal((await call(context, 'POST', '/e/key', { name, meta: { sessions: many } })).status, 400);
    });
  });
}
