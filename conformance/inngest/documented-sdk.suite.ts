import { eventType } from 'inngest';
import { z } from 'zod';
import { expect, suite } from '../harness/index.ts';
import { FLAVOURS, fail, startApp } from './apps.ts';
import type { Definition, ReceivedEvent } from './apps.ts';

// What the SDK's own integration tests ask of a server (inngest/inngest-js: packages/inngest/src/test/integration), wherever no other suite has it.

for (const flavour of FLAVOURS.filter(({ version }) => version === 4)) {
  const { label, sdk, checkpointing } = flavour;

  suite({ vendor: 'inngest', name: `as its own tests have it (${label})`, sdk }, (s) => {
    s.case(
      ['I-28', 'I-55'],
      'an invoked function that is cancelled fails the step that invoked it',
      async (context) => {
        const name = context.unique('go');
        const child: Definition = {
          id: 'child',
          triggers: [{ event: `${name}/x` }],
          options: { cancelOn: [{ event: `${name}/stop` }] },
          body: ({ step }) => step.sleep('long', '1h'),
        };
        const app = await startApp(context, flavour, [
          child,
          {
            id: 'caught',
            triggers: [{ event: `${name}/caught` }],
            body: async ({ step }, { child }) => {
              try {
                await Promise.all([
                  step.invoke('invoke', { function: child ?? fail('no child'), data: {} }),
                  step.sendEvent('stop', { name: `${name}/stop`, data: {} }),
                ]);
                return 'not cancelled';
              } catch (error) {
                return [(error as Error).name, (error as Error).message];
              }
            },
          },
          {
            id: 'uncaught',
            triggers: [{ event: `${name}/uncaught` }],
            body: async ({ step }, { child }) => {
              await Promise.all([
                step.invoke('invoke', { function: child ?? fail('no child'), data: {} }),
                step.sendEvent('stop', { name: `${name}/stop`, data: {} }),
              ]);
            },
          },
        ]);
        const caught = await app.send({ name: `${name}/caught` });
        expect.deepEqual((await app.ended(caught.ids[0] ?? fail('no id')))[0]?.output, [
          'NonRetriableError',
          'Invoked function was cancelled',
        ]);
        const uncaught = await app.send({ name: `${name}/uncaught` });
        expect.equal((await app.ended(uncaught.ids[0] ?? fail('no id')))[0]?.status, 'Failed');
      },
    );

    s.case(
      ['I-23', 'I-36'],
      'steps of any name: of those that the SDK itself uses, of none, of every script',
      async (context) => {
        const name = context.unique('go');
        const names = [
          'complete',
          '',
          ' ',
          'step',
          'constructor',
          '__proto__',
          'a:1',
          'a',
          'a',
          'é😀/漢字?#%',
          'x'.repeat(2_000),
        ];
        const app = await startApp(context, flavour, [
          {
            id: 'fn',
            triggers: [{ event: name }],
            retries: 0,
            body: async ({ step }) => {
              const caught: string[] = [];
              for (const id of ['complete', 'step'])
                await step.run(id, () => fail(`boom ${id}`)).catch((error: Error) => void caught.push(error.message));
              const kept: number[] = [];
              for (const [n, id] of names.entries()) kept.push(await step.run(id, () => n));
              await step.sleep('pause', '1s');
              return { caught, kept };
            },
          },
        ]);
        const { ids } = await app.send({ name });
        await context.clock.idle();
        await context.clock.advance(1_000);
        const [run] = await app.ended(ids[0] ?? fail('no id'));
        expect.deepEqual(run?.output, { caught: ['boom complete', 'boom step'], kept: names.map((_, n) => n) });
      },
    );

    s.case(['I-61'], 'the schema of a trigger is not that of its failure handler', async (context) => {
      const name = context.unique('go');
      const told: unknown[] = [];
      const app = await startApp(context, flavour, [
        {
          id: 'fn',
          triggers: [eventType(name, { schema: z.object({ msg: z.string() }) })] as never,
          retries: 0,
          onFailure: ({ event }) => void told.push((event.data['event'] as ReceivedEvent).data),
          body: () => fail('test'),
        },
      ]);
      await app.send({ name, data: { msg: 'hi' } });
      await context.until(() => told.length > 0);
      // An event that is not of the schema fails the run, which is told too.
      await app.send({ name, data: { msg: 1 } });
      await context.until(() => told.length > 1);
      expect.deepEqual(told, [{ msg: 'hi' }, { msg: 1 }]);
    });

    s.case(['I-26', 'I-27'], 'times of less than a second are a second', async (context) => {
      const name = context.unique('go');
      const woke: Array<[string, number]> = [];
      let start = 0;
      const app = await startApp(context, flavour, [
        {
          id: 'fn',
          triggers: [{ event: name }],
          body: async ({ step }) => {
            const note = (what: string): Promise<unknown> =>
              step.run(what, async () => void woke.push([what, (await context.clock.now()) - start]));
            await note('start');
            await step.sleep('half', 500);
            await note('slept half');
            await step.sleep('more', 1_500);
            await note('slept more');
            const reply = await step.waitForEvent('wait', { event: `${name}/never`, timeout: 500 });
            await note('waited');
            return reply;
          },
        },
      ]);
      start = await context.clock.now();
      const { ids } = await app.send({ name });
      await context.clock.idle();
      for (let i = 0; i < 20; i++) await context.clock.advance(250);
      const [run] = await app.ended(ids[0] ?? fail('no id'));
      expect.deepEqual([run?.status, run?.output], ['Completed', null]);
      const waits = woke.slice(1).map(([, at], i) => at - (woke[i]?.[1] ?? 0));
      expect(
        waits.every((ms) => ms >= 900 && ms < 2_500),
        JSON.stringify(woke),
      );
    });

    s.case(
      ['I-32', 'I-31'],
      'in a race, a branch goes on while a step of another runs, which is not begun again',
      async (context) => {
        const name = context.unique('go');
        const began: string[] = [];
        let release = (): void => {};
        const held = new Promise<void>((resolve) => (release = resolve));
        const app = await startApp(context, flavour, [
          {
            id: 'fn',
            triggers: [{ event: name }],
            retries: 0,
            body: async ({ step, group, attempt }) => {
              const one = (id: string, until?: Promise<void>): Promise<unknown> =>
                step.run(id, async () => {
                  began.push(`${id}${attempt}`);
                  await until;
                });
              await group.parallel({ mode: 'race' }, () =>
                Promise.all([one('A').then(() => one('B')), one('C', held)]),
              );
              await one('Final');
              return 'done';
            },
          },
        ]);
        const { ids } = await app.send({ name });
        await context.until(() => began.includes('B0'));
        release();
        expect.equal((await app.ended(ids[0] ?? fail('no id')))[0]?.output, 'done');
        expect.deepEqual([began.toSorted(), began.at(-1)], [['A0', 'B0', 'C0', 'Final0'], 'Final0']);
      },
    );

    if (checkpointing) {
      s.case(
        ['I-35', 'I-78'],
        'a request that its proxy gave up does nothing more once the next one is under way',
        async (context) => {
          const name = context.unique('go');
          const ran: string[] = [];
          const arrived: number[] = [];
          let calls = 0;
          let release = (): void => {};
          const second = new Promise<void>((resolve) => (release = resolve));
          const app = await startApp(
            context,
            flavour,
            [
              {
                id: 'fn',
                triggers: [{ event: name }],
                retries: 1,
                body: async ({ step }) => {
                  await step.run('a', async () => {
                    ran.push('a');
                    // The first waits until the second is there, and reports its step after that.
                    if (ran.length === 1) await second;
                  });
                  for (const id of ['b', 'c', 'd']) await step.run(id, () => void ran.push(id));
                  return 'done';
                },
              },
            ],
            {
              // Stands between the server and the app: it answers the first call itself, while the app works on it.
              proxy: async (request, next) => {
                if (request.method !== 'POST') return await next(request);
                const call = ++calls;
                arrived.push(call);
                if (call === 1) {
                  void next(request);
                  await context.until(() => ran.length > 0);
                  return new Response('Gateway Timeout', { status: 504, headers: { 'content-type': 'text/plain' } });
                }
                release();
                return await next(request);
              },
            },
          );
          const { ids } = await app.send({ name });
          await context.until(() => ran.length === 1);
          await context.clock.advance(60_000);
          expect.equal((await app.ended(ids[0] ?? fail('no id')))[0]?.output, 'done');
          await context.clock.idle();
          expect.deepEqual(ran.toSorted(), ['a', 'a', 'b', 'c', 'd']);
        },
      );

      s.case(
        ['I-35', 'I-78'],
        'checkpoints whose answers are lost are told again, and count once',
        async (context) => {
          const name = context.unique('go');
          const ran: string[] = [];
          let lost = 0;
          const losing: typeof fetch = async (input, init) => {
            const url = input instanceof Request ? input.url : String(input);
            const response = await fetch(input, init);
            if (!url.includes('/v1/checkpoint/')) return response;
            lost++;
            throw new DOMException('The operation was aborted due to timeout', 'TimeoutError');
          };
          const app = await startApp(
            context,
            flavour,
            [
              {
                id: 'fn',
                triggers: [{ event: name }],
                retries: 0,
                body: async ({ step }) => {
                  for (const id of ['a', 'b']) await step.run(id, () => void ran.push(id));
                  return 'done';
                },
              },
            ],
            { client: { fetch: losing } },
          );
          const { ids } = await app.send({ name });
          expect.equal((await app.ended(ids[0] ?? fail('no id')))[0]?.output, 'done');
          expect.deepEqual(ran, ['a', 'b']);
          expect(lost >= 2, String(lost));
        },
        { timeoutMs: 30_000 },
      );
    }
  });
}
