import { dependencyInjectionMiddleware as inject4 } from 'inngest';
import { dependencyInjectionMiddleware as inject3, InngestMiddleware } from 'inngest3';
import { expect, suite } from '../harness/index.ts';
import { FLAVOURS, fail, startApp } from './apps.ts';
import type { FunctionContext } from './apps.ts';

// What both versions of the SDK have of middleware, and how version 3 has the rest (inngest/website:
// pages/docs/reference/typescript/v3/middleware).

const V3 = FLAVOURS.find(({ version }) => version === 3) ?? fail('no version 3');

suite({ vendor: 'inngest', name: 'as documented: middleware of version 3', sdk: V3.sdk }, (s) => {
  s.case(['I-79'], 'every hook in the documented order, over a run of two requests', async (context) => {
    const name = context.unique('go');
    const log: string[] = [];
    const put = (text: string) => (): void => void log.push(text);
    const middleware = new InngestMiddleware({
      name: 'watch',
      init: ({ client, fn }) => {
        log.push(`init ${typeof client} ${fn === undefined ? 'client' : 'function'}`);
        return {
          onFunctionRun: ({ ctx, steps }) => {
            log.push(`run ${ctx.event.name === name} ${steps.length}`);
            return {
              transformInput: put('transformInput'),
              beforeMemoization: put('beforeMemoization'),
              afterMemoization: put('afterMemoization'),
              beforeExecution: put('beforeExecution'),
              afterExecution: put('afterExecution'),
              transformOutput: ({ result, step }) =>
                void log.push(`transformOutput ${step?.op ?? 'function'} ${String(result.data)}`),
              finished: ({ result }) => void log.push(`finished ${String(result.data)}`),
              beforeResponse: put('beforeResponse'),
            };
          },
          onSendEvent: () => ({
            transformInput: ({ payloads }) => void log.push(`send ${payloads.length}`),
            transformOutput: ({ result }) => void log.push(`sent ${result.ids.length}`),
          }),
        };
      },
    });
    const app = await startApp(
      context,
      V3,
      [
        {
          id: 'fn',
          triggers: [{ event: name }],
          body: async ({ step }) => {
            const a = await step.run('a', () => (log.push('inside'), 'a'));
            return `${a} done`;
          },
        },
      ],
      { middleware: [middleware] },
    );
    const { ids } = await app.send({ name });
    await app.ended(ids[0] ?? fail('no id'));
    expect.deepEqual(
      log.filter((line) => !line.startsWith('init')),
      [
        ...['send 1', 'sent 1'],
        ...['run true 0', 'transformInput', 'beforeMemoization', 'afterMemoization', 'beforeExecution'],
        ...['inside', 'afterExecution', 'transformOutput StepRun a', 'beforeResponse'],
        ...['run true 1', 'transformInput', 'beforeMemoization', 'afterMemoization', 'beforeExecution'],
        ...['afterExecution', 'transformOutput function a done', 'finished a done', 'beforeResponse'],
      ],
    );
    expect.equal(log[0], 'init object client');
  });

  s.case(['I-79', 'I-28', 'I-30'], 'what hooks make of events, inputs, steps and outputs', async (context) => {
    const name = context.unique('go');
    const wrap = (value: unknown): unknown => ({ '~': JSON.stringify(value) ?? 'null' });
    const unwrap = (value: unknown): unknown =>
      typeof value === 'object' && value !== null && '~' in value ? (JSON.parse(String(value['~'])) as unknown) : value;
    const seen: unknown[] = [];
    const middleware = new InngestMiddleware({
      name: 'wrap',
      init: () => ({
        onFunctionRun: () => ({
          transformInput: ({ ctx, steps }) => ({
            ctx: {
              event: { ...ctx.event, data: unwrap((ctx.event.data as { secret?: unknown }).secret) },
              who: 'injected',
            },
            steps: steps.map((step) => ({ ...step, data: step.data && unwrap(step.data) })),
          }),
          transformOutput: ({ result }) =>
            result.error === undefined ? { result: { data: wrap(result.data) } } : undefined,
        }),
        onSendEvent: () => ({
          transformInput: ({ payloads }) => ({
            payloads: payloads.map((event) => ({
              ...event,
              data: { ...(event.data as object), secret: wrap(event.data) },
            })),
          }),
          transformOutput: ({ result }) => ({ result: { ...result, extra: 'yes' } }),
        }),
      }),
    });
    const app = await startApp(
      context,
      V3,
      [
        {
          id: 'parent',
          triggers: [{ event: name }],
          body: async (tools, { child }) => {
            const { step, event } = tools;
            seen.push(event.data, (tools as FunctionContext & { who: string }).who);
            const kept = await step.run('a', () => ({ n: 1 }));
            const invoked = await step.invoke('i', { function: child ?? fail('no child'), data: { n: 2 } });
            await step.sleep('pause', '1m');
            return { kept, invoked };
          },
        },
        { id: 'child', triggers: [{ event: `${name}/x` }], body: ({ event }) => ({ got: event.data['n'] }) },
      ],
      { middleware: [middleware] },
    );
    const sent = await app.send({ name, data: { n: 7 } });
    expect.equal((sent as { extra?: string }).extra, 'yes');
    await context.clock.idle();
    await context.clock.advance(60_000);
    const [run] = await app.ended(sent.ids[0] ?? fail('no id'));
    expect.deepEqual(unwrap(run?.output), { kept: { n: 1 }, invoked: { got: 2 } });
    expect(
      seen.every((item) => item === 'injected' || JSON.stringify(item) === '{"n":7}'),
      JSON.stringify(seen),
    );
    const event = await app.read<{ data: unknown }>(`/v1/events/${sent.ids[0]}`);
    expect.deepEqual(event.data, { n: 7, secret: { '~': '{"n":7}' } });
  });
});

for (const flavour of FLAVOURS.filter(({ checkpointing }) => !checkpointing)) {
  const { label, sdk, version } = flavour;
  const inject = (version === 4 ? inject4 : inject3) as (ctx: object) => unknown;

  suite({ vendor: 'inngest', name: `as documented: dependency injection and logs (${label})`, sdk }, (s) => {
    s.case(['I-79'], 'what is injected reaches functions and their failure handlers', async (context) => {
      const name = context.unique('go');
      const asked: string[] = [];
      const db = { find: (id: string) => (asked.push(id), `row ${id}`) };
      type Injected = FunctionContext & { db: typeof db };
      const app = await startApp(
        context,
        flavour,
        [
          {
            id: 'fn',
            triggers: [{ event: name }],
            retries: 0,
            body: async (tools) => {
              await tools.step.run('find', () => (tools as Injected).db.find('1'));
              throw new Error('no');
            },
            onFailure: (tools) => void (tools as Injected).db.find('2'),
          },
        ],
        { middleware: [inject({ db })] },
      );
      const { ids } = await app.send({ name });
      await app.ended(ids[0] ?? fail('no id'));
      await context.until(() => asked.length === 2);
      expect.deepEqual(asked, ['1', '2']);
    });

    s.case(['I-79', 'I-22'], 'a line is logged once, however often the function is called', async (context) => {
      const name = context.unique('go');
      const lines: string[] = [];
      const put = (...args: unknown[]): void => void lines.push(String(args.find((arg) => typeof arg === 'string')));
      const logger = { debug: () => {}, info: put, warn: () => {}, error: () => {} };
      const app = await startApp(
        context,
        flavour,
        [
          {
            id: 'fn',
            triggers: [{ event: name }],
            body: async (tools) => {
              const { logger } = tools as FunctionContext & { logger: { info(text: string): void } };
              logger.info('top');
              await tools.step.run('a', () => logger.info('in a'));
              logger.info('between');
              await tools.step.sleep('nap', '1m');
              logger.info('end');
            },
          },
        ],
        { client: { logger } },
      );
      const { ids } = await app.send({ name });
      await context.clock.idle();
      await context.clock.advance(60_000);
      await app.ended(ids[0] ?? fail('no id'));
      expect.deepEqual(
        lines.filter((line) => ['top', 'in a', 'between', 'end'].includes(line)),
        ['top', 'in a', 'between', 'end'],
      );
    });
  });
}
