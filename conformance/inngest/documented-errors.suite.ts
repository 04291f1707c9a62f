import {
  NonRetriableError as NonRetriable4,
  RetryAfterError as RetryAfter4,
  StepError as StepError4,
  referenceFunction as reference4,
} from 'inngest';
import {
  NonRetriableError as NonRetriable3,
  RetryAfterError as RetryAfter3,
  StepError as StepError3,
  referenceFunction as reference3,
} from 'inngest3';
import { expect, suite } from '../harness/index.ts';
import { FLAVOURS, fail, outputOf, startApp } from './apps.ts';
import type { Definition, FunctionContext, RunView } from './apps.ts';

// Errors as the vendor's guides handle them (inngest/website: pages/docs/features/inngest-functions/error-retries;
// inngest/inngest-js: packages/inngest/src/test/functions/{handling,unhandled}-step-errors, step-invoke-not-found).

const ALL_RETRIES_MS = 10 * 60_000;

class CardDeclined extends Error {
  override name = 'CardDeclined';
}

for (const flavour of FLAVOURS) {
  const { label, sdk, version, checkpointing } = flavour;
  /** Version 3 keeps the names of the language's own errors only. */
  const named = (name: string): string => (version === 4 ? name : 'Error');
  const NonRetriable = version === 4 ? NonRetriable4 : NonRetriable3;
  const RetryAfter = version === 4 ? RetryAfter4 : RetryAfter3;
  const StepError = version === 4 ? StepError4 : StepError3;
  const referenceFunction = (version === 4 ? reference4 : reference3) as (target: {
    functionId: string;
    appId?: string;
  }) => never;

  suite({ vendor: 'inngest', name: `as documented: errors (${label})`, sdk }, (s) => {
    s.case(
      ['I-23'],
      'the cause of a step’s error reaches the catch; another step goes on from there',
      async (context) => {
        const name = context.unique('go');
        const ran: string[] = [];
        const app = await startApp(context, flavour, [
          {
            id: 'handling',
            triggers: [{ event: name }],
            retries: 1,
            body: async ({ step }) => {
              let told = '';
              try {
                await step.run('a', () => {
                  ran.push('a');
                  throw new Error('Oh no!', { cause: new CardDeclined('no money', { cause: 'the third' }) });
                });
              } catch (error) {
                const cause = (error as Error).cause as Error;
                told = await step.run('b', () => {
                  const known = error instanceof StepError && (error as { stepId?: string }).stepId !== undefined;
                  return `${known} ${(error as Error).name} ${(error as Error).message} ${cause.name} ${cause.message} ${String(cause.cause)}`;
                });
              }
              const beside = await Promise.all([
                step.run('c', () => 'c'),
                step
                  .run('d', () => fail('D failed!'))
                  .catch((error: Error) => step.run('e', () => ({ message: error.message }))),
              ]);
              return [told, ...beside];
            },
          },
        ]);
        const { ids } = await app.send({ name });
        await context.clock.idle();
        for (let i = 0; i < 3; i++) await context.clock.advance(60_000);
        const [run] = await app.ended(ids[0] ?? fail('no id'));
        expect.deepEqual(run?.output, [
          `true Error Oh no! ${named('CardDeclined')} no money the third`,
          'c',
          { message: 'D failed!' },
        ]);
        expect.deepEqual(ran, ['a', 'a']);
      },
    );

    s.case(
      ['I-23', 'I-61'],
      'a roll-back undoes what was done, once, and the run fails by its first error',
      async (context) => {
        const name = context.unique('go');
        const ran: string[] = [];
        const told: unknown[] = [];
        const app = await startApp(context, flavour, [
          {
            id: 'order',
            triggers: [{ event: name }],
            retries: 2,
            body: async ({ step, event }) => {
              const note = (text: string): Promise<void> => step.run(text, () => void ran.push(text));
              await note('reserve');
              await note('charge');
              try {
                await step.run('ship', () => {
                  ran.push('ship');
                  throw new CardDeclined(`order ${String(event.data['order'])} is lost`);
                });
              } catch (error) {
                await note('refund');
                await note('release');
                throw error;
              }
            },
            onFailure: async ({ step, event, error, runId }) => {
              const original = event.data['event'] as { name: string; data: object };
              await step.run('notify', () => {
                ran.push('notify');
                told.push({
                  name: event.name,
                  original: [original.name, original.data],
                  error: [error?.name, error?.message],
                  data: [(event.data['error'] as Error).name, (event.data['error'] as Error).message],
                  other: event.data['run_id'] !== runId,
                });
              });
              await step.sendEvent('alarm', {
                name: `${name}/alarm`,
                data: { order: (original.data as { order: number }).order },
              });
            },
          },
          { id: 'alarm', triggers: [{ event: `${name}/alarm` }], body: ({ event }) => void told.push(event.data) },
        ]);
        const { ids } = await app.send({ name, data: { order: 7 } });
        await context.clock.idle();
        await context.clock.advance(ALL_RETRIES_MS);
        const [run] = await app.ended(ids[0] ?? fail('no id'));
        await context.clock.idle();
        expect.equal(run?.status, 'Failed');
        const error = [named('CardDeclined'), 'order 7 is lost'];
        expect.deepEqual(names(run), error);
        expect.deepEqual(ran, ['reserve', 'charge', 'ship', 'ship', 'ship', 'refund', 'release', 'notify']);
        expect.deepEqual(told, [
          { name: 'inngest/function.failed', original: [name, { order: 7 }], error, data: error, other: true },
          { order: 7 },
        ]);
      },
    );

    s.case(['I-25'], 'NonRetriableError in a step and outside of one: one attempt, its cause kept', async (context) => {
      const name = context.unique('go');
      const ran: string[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'final',
          triggers: [{ event: name }],
          body: async ({ step, attempt }) => {
            try {
              await step.run('a', () => {
                ran.push('a');
                throw new NonRetriable('no such user', { cause: new CardDeclined('first') });
              });
            } catch (error) {
              const { cause } = error as Error;
              ran.push(`caught ${attempt} ${(cause as Error).name}: ${(cause as Error).message}`);
              throw new NonRetriable('stop', { cause: error });
            }
          },
        },
      ]);
      const { ids } = await app.send({ name });
      await context.clock.idle();
      const [run] = await app.ended(ids[0] ?? fail('no id'));
      expect.equal(run?.status, 'Failed');
      expect.deepEqual(names(run), [named('NonRetriableError'), 'stop']);
      const output = outputOf<{ cause?: { message: string; cause?: { message: string } } }>(run);
      expect.deepEqual([output.cause?.message, output.cause?.cause?.message], ['no such user', 'first']);
      expect.equal(ran[0], 'a');
      expect.deepEqual(new Set(ran.slice(1)), new Set([`caught 0 ${named('CardDeclined')}: first`]));
    });

    s.case(['I-25', 'I-24'], 'RetryAfterError by text, by number and by date', async (context) => {
      // Of text and numbers the SDK makes a date of the app's own clock: the server's must not have moved yet.
      const server = await context.startServer();
      const { clock } = server;
      const name = context.unique('go');
      const at: number[] = [];
      const later: Definition = {
        id: 'later',
        triggers: [{ event: name }],
        retries: 4,
        body: async ({ attempt, event }) => {
          const now = await clock.now();
          at.push(now);
          if (attempt === 0) throw new RetryAfter('text', event.data['after'] as string);
          if (attempt === 1) throw new RetryAfter('date', new Date(now + 3_600_000));
          return 'done';
        },
      };
      const app = await startApp(context, flavour, [later], { url: server.url });
      const first = await app.send([
        { name, data: { after: '2h' } },
        { name, data: { after: 1_800_000 } },
      ]);
      await clock.idle();
      for (let i = 0; i < 5; i++) await clock.advance(3_600_000);
      for (const id of first.ids) expect.equal((await app.ended(id))[0]?.output, 'done');
      const start = Math.min(...at);
      // Both at once; after 30 minutes and an hour more; after two hours and an hour more.
      expect.deepEqual(
        at.map((ms) => Math.round((ms - start) / 60_000)).toSorted((a, b) => a - b),
        [0, 0, 30, 90, 120, 180],
      );
    });

    s.case(['I-24', 'I-17'], 'a function counts its attempts, and each of its steps its own', async (context) => {
      const name = context.unique('go');
      const seen: string[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'counting',
          triggers: [{ event: name }],
          retries: 2,
          body: async (tools) => {
            const { step, attempt } = tools;
            const { maxAttempts } = tools as FunctionContext & { maxAttempts?: number };
            for (const id of ['a', 'b'])
              await step.run(id, () => {
                seen.push(`${id} ${attempt} of ${maxAttempts}`);
                if (attempt < 2) throw new Error('again');
              });
            seen.push(`end ${attempt}`);
            if (attempt < 2) throw new Error('again');
          },
        },
      ]);
      const { ids } = await app.send({ name });
      await context.clock.idle();
      await context.clock.advance(3 * ALL_RETRIES_MS);
      expect.equal((await app.ended(ids[0] ?? fail('no id')))[0]?.status, 'Completed');
      // Checkpointed steps share the attempt of their request: b succeeds at once where a has just done so.
      const of = (id: string): string[] => seen.filter((text) => text.startsWith(id));
      expect.deepEqual(of('a'), ['a 0 of 3', 'a 1 of 3', 'a 2 of 3']);
      expect.deepEqual(of('b').at(-1), 'b 2 of 3', seen.join(', '));
      expect.deepEqual(of('end').at(-1), 'end 2', seen.join(', '));
    });

    s.case(['I-28', 'I-23'], 'what an invoked function throws is told to who invoked it', async (context) => {
      const name = context.unique('go');
      const app = await startApp(context, flavour, [
        {
          id: 'parent',
          triggers: [{ event: name }],
          retries: 0,
          body: async ({ step }, { child }) => {
            const told: unknown[] = [];
            const target = child ?? fail('no child');
            const targets = [
              target,
              referenceFunction({ functionId: 'child' }),
              referenceFunction({ functionId: 'nobody' }),
            ];
            for (const [i, target] of targets.entries()) {
              try {
                await step.invoke(`i${i}`, { function: target, data: {} });
              } catch (error) {
                told.push([
                  (error as Error).name,
                  (error as Error).message,
                  ((error as Error).cause as Error | undefined)?.message,
                ]);
              }
            }
            return told;
          },
        },
        {
          id: 'child',
          triggers: [{ event: `${name}/x` }],
          retries: 0,
          body: () => {
            throw new CardDeclined('declined', { cause: new Error('the bank said so') });
          },
        },
      ]);
      const { ids } = await app.send({ name });
      const [run] = await app.ended(ids[0] ?? fail('no id'));
      const [one, two, three] = outputOf<string[][]>(run);
      expect.deepEqual(one, [named('CardDeclined'), 'declined', 'the bank said so']);
      expect.deepEqual(two, one);
      expect.match(three?.[1] ?? '', /could not find function/);
    });

    s.case(['I-23', 'I-25'], 'whatever is thrown makes an error: text, an object, nothing', async (context) => {
      const name = context.unique('go');
      const thrown: unknown[] = ['just text', { code: 7, message: 'an object' }, { code: 7 }, 42];
      // Of a step that throws nothing the SDK reports a checkpoint which no server takes, and asks five times for it.
      if (!checkpointing) thrown.push(null, undefined);
      const app = await startApp(context, flavour, [
        {
          id: 'thrower',
          triggers: [{ event: name }],
          retries: 0,
          body: async ({ step }) => {
            const told: unknown[] = [];
            for (const [i, what] of thrown.entries()) {
              try {
                await step.run(`t${i}`, () => {
                  throw what;
                });
                told.push('no error');
              } catch (error) {
                told.push(error instanceof Error ? error.message : typeof error);
              }
            }
            throw told;
          },
        },
      ]);
      const { ids } = await app.send({ name });
      const [run] = await app.ended(ids[0] ?? fail('no id'));
      expect.equal(run?.status, 'Failed');
      const { message } = outputOf<{ message: string }>(run);
      const told = JSON.parse(message) as string[];
      expect.deepEqual(
        [told.length, told[0], told[1], told[3]],
        [thrown.length, 'just text', 'an object', '42'],
        message,
      );
    });

    s.case(
      ['I-24', 'I-62'],
      'an error that nobody catches: as often as retries say, then failed with name and stack',
      async (context) => {
        const name = context.unique('go');
        const ran: number[] = [];
        const app = await startApp(
          context,
          flavour,
          [0, 1, 20].map((retries) => ({
            id: `r${retries}`,
            triggers: [{ event: name }],
            retries,
            body: ({ step }) =>
              step.run('a', () => {
                ran.push(retries);
                throw new CardDeclined(`after ${retries}`);
              }),
          })),
        );
        const { ids } = await app.send({ name });
        await context.clock.idle();
        await context.clock.advance(48 * 3_600_000);
        const runs = await app.ended(ids[0] ?? fail('no id'), 3);
        expect.deepEqual(
          [0, 1, 20].map((n) => ran.filter((other) => other === n).length),
          [1, 2, 21],
        );
        expect.deepEqual(runs.map((run) => [run.status, ...names(run)].join(' ')).toSorted(), [
          `Failed ${named('CardDeclined')} after 0`,
          `Failed ${named('CardDeclined')} after 1`,
          `Failed ${named('CardDeclined')} after 20`,
        ]);
        expect(
          runs.every((run) => /CardDeclined|documented-errors/.test((run.output as { stack?: string }).stack ?? '')),
        );
      },
    );
  });
}

function names(run: RunView | undefined): [string, string] {
  const { name, message } = outputOf<{ name: string; message: string }>(run);
  return [name, message];
}
