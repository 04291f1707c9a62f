import { encryptionMiddleware, isEncryptedValue } from '@inngest/middleware-encryption';
import { Middleware } from 'inngest';
import { expect, suite } from '../harness/index.ts';
import { FLAVOURS, fail, outputOf, startApp } from './apps.ts';
import type { App, FunctionContext } from './apps.ts';
import { dates, watching } from './middlewares.ts';

// Middleware as the vendor's guides and tests write it (inngest/website: pages/docs/reference/typescript/{v3,v4}/middleware;
// inngest/inngest-js: packages/inngest/src/test/integration/middleware, packages/middleware-encryption).

for (const flavour of FLAVOURS.filter(({ version }) => version === 4)) {
  const { label, sdk, checkpointing } = flavour;

  suite({ vendor: 'inngest', name: `as documented: middleware (${label})`, sdk }, (s) => {
    for (const level of ['client', 'function', 'client, then function'] as const)
      s.case(['I-79'], `every hook of two middlewares in the documented order: of the ${level}`, async (context) => {
        const name = context.unique('go');
        const log: string[] = [];
        const [one, two] = [watching('1', log), watching('2', log)];
        const ofClient = level === 'client' ? [one, two] : level === 'function' ? [] : [one];
        const ofFunction = level === 'client' ? [] : level === 'function' ? [one, two] : [two];
        const app = await startApp(
          context,
          flavour,
          [
            {
              id: 'fn',
              triggers: [{ event: name }],
              options: { middleware: ofFunction },
              body: async ({ step }) => {
                log.push('top');
                await step.run('my-step', () => void log.push('inside'));
                log.push('bottom');
              },
            },
          ],
          { middleware: ofClient },
        );
        expect.deepEqual(log.splice(0), ['onRegister 1', 'onRegister 2']);
        const { ids } = await app.send({ name });
        await app.ended(ids[0] ?? fail('no id'));
        const sending = ofClient.map((item) => (item === one ? '1' : '2'));
        const around = (what: string, names = ['1', '2']): [string[], string[]] => [
          names.map((n) => `${what} before ${n}`),
          names.toReversed().map((n) => `${what} after ${n}`),
        ];
        const both = (what: string): string[] => [`${what} 1`, `${what} 2`];
        const [sendBefore, sendAfter] = around('wrapSendEvent', sending);
        const [requestBefore, requestAfter] = around('wrapRequest');
        const [handlerBefore, handlerAfter] = around('wrapFunctionHandler');
        const [stepBefore, stepAfter] = around('wrapStep fresh');
        const [memoBefore, memoAfter] = around('wrapStep memo');
        const [ownBefore, ownAfter] = around('wrapStepHandler');
        const sent = [...sending.map((n) => `transformSendEvent ${n}`), ...sendBefore, ...sendAfter];
        const entry = [...requestBefore, ...both('transformFunctionInput')];
        const first = [...both('onMemoizationEnd'), ...both('onRunStart'), ...handlerBefore, 'top'];
        const own = [...both('onStepStart'), ...ownBefore, 'inside', ...ownAfter];
        const fresh = [...both('transformStepInput fresh'), ...stepBefore, ...own];
        const done = ['bottom', ...handlerAfter, ...both('onRunComplete'), ...requestAfter];
        if (checkpointing) {
          // One request: the step is kept while it goes on.
          expect.deepEqual(
            [...log].toSorted(),
            [...sent, ...entry, ...first, ...fresh, ...stepAfter, ...both('onStepComplete'), ...done].toSorted(),
          );
          expect.deepEqual(log.slice(0, sent.length + entry.length + first.length), [...sent, ...entry, ...first]);
          expect.deepEqual(log.slice(-done.length), done);
        } else {
          const second = [
            ...handlerBefore,
            'top',
            ...both('transformStepInput memo'),
            ...both('onMemoizationEnd'),
            ...memoBefore,
            ...memoAfter,
          ];
          expect.deepEqual(log, [
            ...sent,
            // A step that is new interrupts the function: what waits for it in `wrapStep` is left where it is.
            ...[...entry, ...first, ...fresh, ...both('onStepComplete'), ...requestAfter],
            ...[...entry, ...second, ...done],
          ]);
        }
      });

    s.case(['I-79', 'I-28', 'I-30'], 'dates stay dates in events, steps, invocations and results', async (context) => {
      const name = context.unique('go');
      const at = new Date('2026-02-03T00:00:00.000Z');
      const seen: Record<string, unknown> = {};
      const app = await startApp(
        context,
        flavour,
        [
          {
            id: 'parent',
            triggers: [{ event: name }],
            body: async ({ step, event, events }, { child }) => {
              seen['event'] = [event.data['at'], events[0]?.data['at']];
              seen['step'] = await step.run('step', () => ({ at, list: [at] }));
              seen['child'] = await step.invoke('invoke', { function: child ?? fail('no child'), data: { at } });
              await step.sendEvent('send', { name: `${name}/sent`, data: { at } });
              return { at };
            },
          },
          {
            id: 'child',
            triggers: [{ event: `${name}/sent` }],
            body: ({ event }) => {
              seen[event.name === `${name}/sent` ? 'sent' : 'invoked'] = event.data['at'];
              return { at: event.data['at'] };
            },
          },
        ],
        { middleware: [dates()] },
      );
      const { ids } = await app.send({ name, data: { at } });
      const [run] = await app.ended(ids[0] ?? fail('no id'));
      await context.until(() => seen['sent']);
      expect.deepEqual(seen, {
        event: [at, at],
        step: { at, list: [at] },
        invoked: at,
        child: { at },
        sent: at,
      });
      // What the server was given is what the middleware made of it.
      const text = { '~date': at.toISOString() };
      expect.deepEqual(run?.output, { at: text });
      expect.deepEqual((await app.read<{ data: unknown }>(`/v1/events/${ids[0]}`)).data, { at: text });
    });

    s.case(
      ['I-22', 'I-26', 'I-79'],
      'steps of a middleware’s own stand around each step, also a sleep',
      async (context) => {
        const name = context.unique('go');
        const ran: string[] = [];
        class Bookend extends Middleware.BaseMiddleware {
          readonly id = 'bookend';
          override async wrapStep({ ctx, next, stepInfo }: Middleware.WrapStepArgs): Promise<unknown> {
            const { id } = stepInfo.options;
            if (id.includes('/')) return await next();
            const { step } = ctx as unknown as FunctionContext;
            await step.run(`${id}/before`, () => void ran.push(`${id}/before`));
            const output = await next();
            await step.run(`${id}/after`, () => void ran.push(`${id}/after`));
            return output;
          }
        }
        const app = await startApp(
          context,
          flavour,
          [
            {
              id: 'fn',
              triggers: [{ event: name }],
              body: async ({ step }) => {
                await step.sleep('nap', '1h');
                return await step.run('work', () => (ran.push('work'), 'worked'));
              },
            },
          ],
          { middleware: [Bookend] },
        );
        const { ids } = await app.send({ name });
        await context.clock.idle();
        await context.clock.advance(3_600_000);
        expect.equal((await app.ended(ids[0] ?? fail('no id')))[0]?.output, 'worked');
        expect.deepEqual(ran, ['nap/before', 'nap/after', 'work/before', 'work', 'work/after']);
      },
    );

    s.case(
      ['I-79', 'I-24', 'I-61'],
      'errors as middleware sees and changes them, with what is the last attempt',
      async (context) => {
        const name = context.unique('go');
        const log: string[] = [];
        class Watch extends Middleware.BaseMiddleware {
          readonly id = 'watch';
          override async wrapStepHandler({ next }: Middleware.WrapStepHandlerArgs): Promise<unknown> {
            try {
              return await next();
            } catch (error) {
              throw new Error(`seen: ${(error as Error).message}`, { cause: error });
            }
          }
          override onStepError({ error, isFinalAttempt }: Middleware.OnStepErrorArgs): void {
            log.push(`step ${error.message} ${isFinalAttempt}`);
          }
          override onRunError({ error, isFinalAttempt }: Middleware.OnRunErrorArgs): void {
            log.push(`run ${error.message} ${isFinalAttempt}`);
          }
        }
        const app = await startApp(
          context,
          flavour,
          [
            {
              id: 'fn',
              triggers: [{ event: name }],
              retries: 1,
              body: ({ step, attempt }) => step.run('a', () => fail(`try ${attempt}`)),
            },
          ],
          { middleware: [Watch] },
        );
        const { ids } = await app.send({ name });
        await context.clock.idle();
        await context.clock.advance(600_000);
        const [run] = await app.ended(ids[0] ?? fail('no id'));
        expect.equal(outputOf<{ message: string }>(run).message, 'seen: try 1');
        expect.deepEqual(log, ['step seen: try 0 false', 'step seen: try 1 true', 'run seen: try 1 true']);
      },
    );

    s.case(
      ['I-79', 'I-17'],
      'what a step is given, what a request is for, and what it is answered',
      async (context) => {
        const name = context.unique('go');
        const seen: unknown[] = [];
        const statuses: number[] = [];
        class Change extends Middleware.BaseMiddleware {
          readonly id = 'change';
          #runs: unknown[] = [];
          override async wrapRequest({
            next,
            requestInfo,
            runId,
          }: Middleware.WrapRequestArgs): Promise<Middleware.Response> {
            this.#runs = [runId, requestInfo.url.searchParams.get('stepId'), requestInfo.method];
            const response = await next();
            statuses.push(response.status);
            return response;
          }
          override transformFunctionInput(
            arg: Middleware.TransformFunctionInputArgs,
          ): Middleware.TransformFunctionInputArgs {
            return { ...arg, ctx: Object.assign(arg.ctx, { runs: this.#runs }) };
          }
          override transformStepInput(arg: Middleware.TransformStepInputArgs): Middleware.TransformStepInputArgs {
            if (arg.stepInfo.stepType === 'sleep') return { ...arg, input: ['1h'] };
            if (arg.stepInfo.stepType !== 'run') return arg;
            return { ...arg, input: [(arg.input[0] as number) + 41] };
          }
        }
        const app = await startApp(
          context,
          flavour,
          [
            {
              id: 'fn',
              triggers: [{ event: name }],
              body: async (tools) => {
                const { runs, runId } = tools as FunctionContext & { runs: unknown[] };
                seen.push([...runs, runId]);
                const run = tools.step.run as unknown as (
                  id: string,
                  body: (n: number) => number,
                  n: number,
                ) => Promise<number>;
                const n = await run('plus', (n) => n, 1);
                await tools.step.sleep('nap', '30d');
                return n;
              },
            },
          ],
          { middleware: [Change] },
        );
        const { ids } = await app.send({ name });
        await context.clock.idle();
        await context.clock.advance(3_600_000);
        const [run] = await app.ended(ids[0] ?? fail('no id'));
        expect.equal(run?.output, 42);
        const id = run?.run_id;
        expect(
          seen.length > 0 && seen.every((item) => String(item) === String([id, 'step', 'POST', id])),
          JSON.stringify(seen),
        );
        expect.deepEqual(statuses, checkpointing ? [206, 206] : [206, 206, 200]);
      },
    );

    s.case(['I-79', 'I-1'], 'events that cannot be sent are kept by a middleware', async (context) => {
      const name = context.unique('go');
      const kept: unknown[] = [];
      class Backup extends Middleware.BaseMiddleware {
        readonly id = 'backup';
        override async wrapSendEvent({
          events,
          next,
        }: Middleware.WrapSendEventArgs): ReturnType<Middleware.WrapSendEventArgs['next']> {
          try {
            return await next();
          } catch (error) {
            kept.push(...events.map((event) => event.name), (error as Error).message);
            return { ids: ['kept'] };
          }
        }
      }
      const app = await startApp(context, flavour, [], { middleware: [Backup] });
      expect.deepEqual(await app.send([{ name: 'inngest/reserved' }, { name }]), { ids: ['kept'] });
      expect.deepEqual(kept.slice(0, 2), ['inngest/reserved', name]);
      expect.match(String(kept[2]), /reserved/);
      expect.equal((await app.send({ name })).ids.length, 1);
    });

    s.case(['I-79', 'I-28'], 'the encryption package: the server holds nothing that can be read', async (context) => {
      const name = context.unique('go');
      const seen: unknown[] = [];
      const failed: unknown[] = [];
      const secret = { card: '4242 4242' };
      const started = async (key: string, ...fallbackDecryptionKeys: string[]): Promise<App> =>
        await startApp(
          context,
          flavour,
          [
            {
              id: 'parent',
              triggers: [{ event: name }],
              body: async ({ step, event }, { child }) => {
                seen.push(event.data['encrypted'], event.data['open']);
                const kept = await step.run('step', () => secret);
                await step.sleep('pause', '1h');
                const data = { encrypted: kept, open: 'yes' };
                return [kept, await step.invoke('invoke', { function: child ?? fail('no child'), data })];
              },
            },
            { id: 'child', triggers: [{ event: `${name}/x` }], body: ({ event }) => event.data['encrypted'] },
            {
              id: 'fails',
              triggers: [{ event: name }],
              retries: 0,
              body: () => fail('in the open'),
              // An event within an event is left as it is.
              onFailure: ({ event }) =>
                void failed.push((event.data['event'] as { data: { encrypted: unknown } }).data.encrypted),
            },
          ],
          { id: `app-${name}`, middleware: [encryptionMiddleware({ key, fallbackDecryptionKeys })] },
        );
      const app = await started('a first key that is long enough');
      const { ids } = await app.send({ name, data: { encrypted: secret, open: 'yes' } });
      const id = ids[0] ?? fail('no id');
      await context.clock.idle();
      // The key is changed while the run sleeps; what the old one wrote is read with it.
      await started('a second key that is long enough', 'a first key that is long enough');
      await context.clock.advance(3_600_000);
      const runs = await app.ended(id, 2);
      await context.until(() => failed.length > 0);
      expect(isEncryptedValue(failed[0]));
      expect.deepEqual(new Set(seen.map((item) => JSON.stringify(item))), new Set([JSON.stringify(secret), '"yes"']));
      const event = await app.read<{ data: Record<string, unknown> }>(`/v1/events/${id}`);
      expect(isEncryptedValue(event.data['encrypted']));
      expect.equal(event.data['open'], 'yes');
      const good = runs.find((run) => run.status === 'Completed') ?? fail('no run succeeded');
      expect(isEncryptedValue(good.output), JSON.stringify(good.output));
      const history = await fetch(new URL(`/api/executions/${good.run_id}/history?after=0`, context.url));
      const text = await history.text();
      expect(text.includes('__ENCRYPTED__') && !text.includes(secret.card), text);
    });
  });
}
