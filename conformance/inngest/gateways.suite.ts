import { anthropic, openai } from 'inngest';
import { anthropic as anthropic3, openai as openai3 } from 'inngest3';
import { expect, suite } from '../harness/index.ts';
import { FLAVOURS, startApp } from './apps.ts';
import type { Tools } from './apps.ts';

/** More than all retries of two attempts. */
const RETRY_MS = 60_000;
const FOUR_MIB = 4 * 1_048_576;

interface Seen {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
}

for (const flavour of FLAVOURS) {
  const { label, sdk, version } = flavour;
  const models = version === 4 ? { openai, anthropic } : { openai: openai3, anthropic: anthropic3 };

  suite({ vendor: 'inngest', name: `requests by the server (${label})`, sdk }, (s) => {
    s.case(['I-40'], 'step.fetch: the server makes the request, once, and the app gets its answer', async (context) => {
      const name = context.unique('fetch');
      const seen: Seen[] = [];
      const target = await context.serveHttp(async (request) => {
        seen.push({
          method: request.method,
          path: new URL(request.url).pathname,
          headers: Object.fromEntries(request.headers),
          body: await request.text(),
        });
        return new Response('né', { status: 418, headers: { 'x-tea': 'green' } });
      });
      const app = await startApp(context, flavour, [
        {
          id: 'fetch',
          triggers: [{ event: name }],
          body: async ({ step }) => {
            const response = await step.fetch(`${target.url}/pot?a=1`, {
              method: 'PUT',
              headers: { 'x-mine': 'yes', 'content-type': 'text/plain' },
              body: 'water',
            });
            const text = await response.text();
            await step.run('after', () => 1);
            return { status: response.status, tea: response.headers.get('x-tea'), text };
          },
        },
      ]);
      const [run] = await app.ended((await app.send({ name, data: {} })).ids[0] as string);
      expect.deepEqual(run?.output, { status: 418, tea: 'green', text: 'né' });
      expect.equal(seen.length, 1);
      expect.deepEqual(
        [seen[0]?.method, seen[0]?.path, seen[0]?.headers['x-mine'], seen[0]?.body],
        ['PUT', '/pot', 'yes', 'water'],
      );
    });

    s.case(['I-40', 'I-73'], 'INN-10: an answer of more than 4 MiB is an error of the step', async (context) => {
      const name = context.unique('large');
      const target = await context.serveHttp(() => new Response('x'.repeat(FOUR_MIB + 1)));
      const app = await startApp(context, flavour, [
        {
          id: 'large',
          triggers: [{ event: name }],
          body: ({ step }) =>
            step.fetch(target.url).then(
              () => 'taken',
              (error: Error) => error.message,
            ),
        },
      ]);
      const [run] = await app.ended((await app.send({ name, data: {} })).ids[0] as string);
      expect.match(String(run?.output), /larger than 4194304 bytes/);
    });

    s.case(
      ['I-40'],
      'step.fetch: in parallel with a step; an unreachable host is retried and can be caught',
      async (context) => {
        const name = context.unique('fetch');
        const target = await context.serveHttp(() => new Response('late'));
        const gone = await context.serveHttp(() => new Response(''));
        await gone.close();
        const app = await startApp(context, flavour, [
          {
            id: 'fetches',
            retries: 1,
            triggers: [{ event: name }],
            body: async ({ step }) => {
              const [response, n] = await Promise.all([step.fetch(target.url), step.run('n', () => 7)]);
              let caught = '';
              try {
                await step.fetch(gone.url);
              } catch (error) {
                caught = (error as Error).name;
              }
              return [await response.text(), n, caught];
            },
          },
        ]);
        const { ids } = await app.send({ name, data: {} });
        await context.clock.idle();
        await context.clock.advance(RETRY_MS);
        const [run] = await app.ended(ids[0] as string);
        expect.equal(run?.status, 'Completed');
        const [text, n, caught] = (run as { output: unknown[] }).output;
        expect.deepEqual([text, n], ['late', 7]);
        expect.match(String(caught), /Error/);
      },
    );

    s.case(
      ['I-39'],
      'step.ai.infer: each provider’s key in its own way, and the provider’s answer as result',
      async (context) => {
        const name = context.unique('infer');
        const seen: Seen[] = [];
        const provider = await context.serveHttp(async (request) => {
          seen.push({
            method: request.method,
            path: new URL(request.url).pathname,
            headers: Object.fromEntries(request.headers),
            body: await request.text(),
          });
          return Response.json({ choices: [{ message: { content: `answer ${seen.length}` } }] });
        });
        const app = await startApp(context, flavour, [
          {
            id: 'infer',
            triggers: [{ event: name }],
            body: async ({ step }) => {
              const one = await step.ai.infer('one', {
                model: models.openai({ model: 'm1', apiKey: 'sk-open', baseUrl: `${provider.url}/v1/` }),
                body: { messages: [{ role: 'user', content: 'hi' }] },
              });
              const two = await step.ai.infer('two', {
                model: models.anthropic({
                  model: 'm2',
                  apiKey: 'sk-ant',
                  baseUrl: `${provider.url}/v1/`,
                  defaultParameters: { max_tokens: 5 },
                }),
                body: { messages: [{ role: 'user', content: 'ho' }], max_tokens: 5 },
              });
              return [one, two];
            },
          },
        ]);
        const [run] = await app.ended((await app.send({ name, data: {} })).ids[0] as string);
        expect.deepEqual(run?.output, [
          { choices: [{ message: { content: 'answer 1' } }] },
          { choices: [{ message: { content: 'answer 2' } }] },
        ]);
        expect.deepEqual(
          seen.map(({ method, path }) => `${method} ${path}`),
          ['POST /v1/chat/completions', 'POST /v1/messages'],
        );
        expect.equal(seen[0]?.headers['authorization'], 'Bearer sk-open');
        expect.equal(seen[1]?.headers['x-api-key'], 'sk-ant');
        expect.deepEqual(JSON.parse(seen[0]?.body ?? ''), {
          model: 'm1',
          messages: [{ role: 'user', content: 'hi' }],
        });
      },
    );

    s.case(['I-39'], 'step.ai.infer: a provider that fails is asked again, then the step fails', async (context) => {
      const name = context.unique('infer');
      let asked = 0;
      const provider = await context.serveHttp(() => (asked++, Response.json({ error: 'busy' }, { status: 529 })));
      const app = await startApp(context, flavour, [
        {
          id: 'infer',
          retries: 1,
          triggers: [{ event: name }],
          body: async ({ step }) => {
            try {
              await step.ai.infer('one', {
                model: models.openai({ model: 'm1', apiKey: 'k', baseUrl: `${provider.url}/v1/` }),
                body: { messages: [] },
              });
            } catch (error) {
              return (error as Error).message;
            }
            return 'no error';
          },
        },
      ]);
      const { ids } = await app.send({ name, data: {} });
      await context.clock.idle();
      expect.equal(asked, 1);
      await context.clock.advance(RETRY_MS);
      const [run] = await app.ended(ids[0] as string);
      expect.equal(asked, 2);
      expect.match(String(run?.output), /529.*busy/);
    });

    s.case(['I-41', 'I-79'], 'step.ai.wrap runs the call in the app, with its input', async (context) => {
      const name = context.unique('wrap');
      const app = await startApp(context, flavour, [
        {
          id: 'wrap',
          triggers: [{ event: name }],
          body: async ({ step }) => {
            const add = (a: number, b: { n: number }): Promise<number> => Promise.resolve(a + b.n);
            return step.ai.wrap('add', add as never, 2, { n: 3 });
          },
        },
      ]);
      const [run] = await app.ended((await app.send({ name, data: {} })).ids[0] as string);
      expect.equal(run?.output, 5);
    });

    s.case(
      ['I-73', 'I-79'],
      'a step’s result of more than 4 MiB, and a run of more than 1,000 steps, fail by the vendor’s names',
      async (context) => {
        const large = context.unique('large');
        const many = context.unique('many');
        const app = await startApp(context, flavour, [
          {
            id: 'large',
            triggers: [{ event: large }],
            body: ({ step }) => step.run('big', () => 'x'.repeat(FOUR_MIB + 1)),
          },
          {
            id: 'many',
            triggers: [{ event: many }],
            body: ({ step }) => Promise.all(Array.from({ length: 1_001 }, (_, i) => step.run(`s${i}`, () => i))),
          },
        ]);
        const errorOf = async (event: string): Promise<unknown> => {
          const [run] = await app.ended((await app.send({ name: event, data: {} })).ids[0] as string);
          expect.equal(run?.status, 'Failed');
          return (run as { output: { name: string } }).output.name;
        };
        expect.equal(await errorOf(large), 'InngestErrStepOutputTooLarge');
        expect.equal(await errorOf(many), 'InngestErrFunctionOverflowed');
      },
    );

    s.case(
      ['I-79'],
      'data is nobody’s but the app’s: odd keys, numbers and nulls come back as they were',
      async (context) => {
        const name = context.unique('opaque');
        const data = {
          __proto__x: 1,
          'data.encryption.marker': { encrypted: 'AAA=', nested: [null, { op: 'StepRun', id: 'x' }] },
          '': 'empty',
          big: 1e21,
          small: -0.000001,
          text: '\u2028 \ud83d\ude00 "quoted" \\',
        };
        const app = await startApp(context, flavour, [
          {
            id: 'opaque',
            triggers: [{ event: name }],
            body: async ({ step, event }) => {
              const kept = await step.run('keep', () => event.data);
              const nothing = await step.run('nothing', () => null);
              return { kept, nothing };
            },
          },
        ]);
        const [run] = await app.ended((await app.send({ name, data })).ids[0] as string);
        expect.deepEqual(run?.output, { kept: data, nothing: null });
      },
    );
  });
}

type Deferring = (context: {
  step: Tools;
  attempt: number;
  put(id: string, what?: string): { abort(): void };
}) => unknown;

interface DeferCase {
  title: string;
  expected: string[];
  retries?: number;
  body: Deferring;
}

const RETRIED: DeferCase = {
  title: 'in a step that succeeds at its second attempt: once',
  expected: ['a'],
  retries: 1,
  body: ({ step, put, attempt }) =>
    step.run('flaky', () => {
      put('a');
      if (attempt === 0) throw new Error('once');
    }),
};

for (const flavour of FLAVOURS.filter((one) => one.version === 4)) {
  suite({ vendor: 'inngest', name: `deferred runs (${flavour.label})`, sdk: flavour.sdk }, (s) => {
    s.case(['I-42'], 'defer starts its functions once the run has ended, and an aborted one not', async (context) => {
      const name = context.unique('order');
      const received: unknown[] = [];
      let ended = false;
      const app = await startApp(context, flavour, [
        {
          id: 'score',
          triggers: [],
          deferred: true,
          body: ({ event, ...rest }) => {
            const { parents } = rest as unknown as { parents: Array<{ fnSlug: string; runId: string }> };
            received.push([event.data, parents[0]?.fnSlug, parents[0]?.runId, ended]);
          },
        },
        {
          id: 'order',
          triggers: [{ event: name }],
          body: async ({ step, defer, runId }, functions) => {
            defer('keep', { function: functions['score'] as never, data: { n: 1 } });
            const unwanted = defer('drop', { function: functions['score'] as never, data: { n: 2 } });
            await step.run('a', () => 1);
            await step.sleep('nap', '1h');
            unwanted.abort();
            await step.run('b', () => 2);
            ended = true;
            return runId;
          },
        },
      ]);
      const { ids } = await app.send({ name, data: {} });
      await context.clock.idle();
      expect.deepEqual(received, []);
      await context.clock.advance(3_600_000);
      const [run] = await app.ended(ids[0] as string);
      await context.clock.idle();
      expect.deepEqual(received, [[{ n: 1 }, `${app.id}-order`, run?.run_id, true]]);
    });

    const DEFERRING: DeferCase[] = [
      // With checkpointing this release of the SDK does not tell what such a step deferred.
      ...(flavour.checkpointing ? [] : [RETRIED]),
      {
        title: 'twice under one id, a step between them: the first',
        expected: ['a'],
        body: async ({ step, put }) => {
          put('a');
          await step.run('between', () => 1);
          put('a', 'again');
        },
      },
      {
        title: 'met again after a sleep: once',
        expected: ['a'],
        body: async ({ step, put }) => {
          put('a');
          await step.sleep('nap', '1s');
        },
      },
      { title: 'at the end of the function', expected: ['a'], body: ({ put }) => void put('a') },
      {
        title: 'and aborted at once, beside another',
        expected: ['b'],
        body: ({ put }) => (put('a').abort(), void put('b')),
      },
      {
        title: 'and aborted after it was told',
        expected: [],
        body: async ({ step, put }) => {
          const one = put('a');
          await step.run('between', () => 1);
          one.abort();
        },
      },
      {
        title: 'and aborted in a later step',
        expected: [],
        body: async ({ step, put }) => {
          const one = put('a');
          await step.sleep('nap', '1s');
          await step.run('abort', () => one.abort());
        },
      },
      {
        title: 'and aborted in one step, which is remembered',
        expected: [],
        body: async ({ step, put }) => {
          await step.run('both', () => put('a').abort());
          await step.sleep('nap', '1s');
        },
      },
    ];
    for (const { title, expected, retries = 0, body } of DEFERRING)
      s.case(['I-42'], `deferred ${title}`, async (context) => {
        const name = context.unique('order');
        const received: unknown[] = [];
        const app = await startApp(context, flavour, [
          {
            id: 'later',
            triggers: [],
            deferred: true,
            // Steps of its own, over more than one request.
            body: async ({ step, event }) => {
              await step.run('one', () => 1);
              await step.sleep('nap', '1s');
              await step.run('two', () => void received.push(event.data['what']));
            },
          },
          {
            id: 'order',
            retries,
            triggers: [{ event: name }],
            body: ({ step, attempt, defer }, functions) =>
              body({
                step,
                attempt,
                put: (id, what = id) => defer(id, { function: functions['later'] as never, data: { what } }),
              }),
          },
        ]);
        const { ids } = await app.send({ name, data: {} });
        await context.clock.advance(120_000);
        const [run] = await app.ended(ids[0] as string);
        expect.equal(run?.status, 'Completed');
        await context.clock.advance(10_000);
        expect.deepEqual(received, expected);
      });

    s.case(['I-42'], 'a run that fails starts what it deferred, 20 of them at most', async (context) => {
      const name = context.unique('order');
      const received: number[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'later',
          triggers: [],
          deferred: true,
          body: ({ event }) => void received.push(event.data['n'] as number),
        },
        {
          id: 'order',
          retries: 0,
          triggers: [{ event: name }],
          body: async ({ step, defer }, functions) => {
            for (let n = 0; n < 25; n++) defer(`d${n}`, { function: functions['later'] as never, data: { n } });
            await step.run('a', () => 1);
            throw new Error('broken');
          },
        },
      ]);
      const [run] = await app.ended((await app.send({ name, data: {} })).ids[0] as string);
      await context.clock.idle();
      expect.equal(run?.status, 'Failed');
      expect.deepEqual(
        received.sort((a, b) => a - b),
        Array.from({ length: 20 }, (_, n) => n),
      );
    });
  });
}
