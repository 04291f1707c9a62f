import { expect, suite } from '../harness/index.ts';
import type { PrivateServer, SuiteContext } from '../harness/context.ts';
import type { RunView } from './apps.ts';
import { LANGUAGES, type Program, type ProgramOptions, startProgram } from './languages.ts';

const DAY_MS = 86_400_000;
/** Longer than all retries of a function without settings. */
const ALL_RETRIES_MS = 10 * 60_000;

for (const language of LANGUAGES) {
  const { label, sdk, missing } = language;
  const skip = missing === undefined ? {} : { skip: missing };

  suite({ vendor: 'inngest', name: `languages (${label})`, sdk }, (s) => {
    const none: typeof s.case = () => {};
    const [unlessRefused, ifRefused] = language.refusesFailureEvents ? [none, s.case] : [s.case, none];
    const inFull: typeof s.case = (...args) => void (language.brief || s.case(...args));
    let command: string[] = [];
    let server: PrivateServer;
    let app: Program;

    // These SDKs turn durations into dates by their own clock: the server's must not be ahead of it when a case begins to sleep.
    s.beforeAll(async (context) => {
      command = await language.prepare();
      server = await context.startServer();
      app = await start(context, { server: server.url });
      await app.sync();
    });

    const start = (context: SuiteContext, options: Partial<ProgramOptions> & { server: string }): Promise<Program> =>
      startProgram(context, command, {
        id: context.unique('app'),
        events: `${context.unique('go')}/`,
        ...options,
        env: { ...language.env, ...options.env },
      });

    const ended = async (context: SuiteContext, from: Program, event: string): Promise<RunView> => {
      const runs = await context.until(
        async () => {
          const found = await from.runsOf(event);
          return found.length > 0 && found.every((run) => run.ended_at !== null) ? found : null;
        },
        { what: `the end of the run of ${event}` },
      );
      expect.equal(runs.length, 1);
      return runs[0] as RunView;
    };

    /** What the functions noted from now on. */
    const listen = async (from: Program): Promise<() => Promise<string[]>> => {
      const { length } = await from.ran();
      return async () => (await from.ran()).slice(length);
    };

    inFull(
      ['I-26'],
      'a sleep of 30 days ends after 30 days and not before',
      async (context) => {
        const id = await app.send('sleeper');
        await server.clock.idle();
        await server.clock.advance(30 * DAY_MS - 60_000);
        expect.equal((await app.runsOf(id))[0]?.status, 'Running');
        await server.clock.advance(120_000);
        expect.equal((await ended(context, app, id)).output, 'awake');
      },
      skip,
    );

    s.case(
      ['I-1', 'I-9', 'I-17', 'I-22', 'I-24', 'I-65'],
      'three steps, one retried: each result once, in order',
      async (context) => {
        const ran = await listen(app);
        const id = await app.send('three', { n: 20 });
        await server.clock.idle();
        expect.deepEqual(await ran(), ['a', 'b0']);
        await server.clock.advance(60_000);
        const run = await ended(context, app, id);
        expect.equal(run.status, 'Completed');
        expect.deepEqual(run.output, { a: 20, b: 21, c: 42, text: 'é😀' });
        expect.deepEqual(await ran(), ['a', 'b0', 'b1', 'c0']);
      },
      skip,
    );

    inFull(
      ['I-27'],
      'an event wait takes the event that its expression wants, or nothing after its timeout',
      async (context) => {
        const matched = await app.send('waiter', { order: 'A' });
        const missed = await app.send('waiter', { order: 'B' });
        await server.clock.idle();
        await app.send('answer', { order: 'C', n: 1 });
        await app.send('answer', { order: 'A', n: 5 });
        expect.equal((await ended(context, app, matched)).output, 5);
        expect.equal((await app.runsOf(missed))[0]?.status, 'Running');
        await server.clock.advance(3_601_000);
        expect.equal((await ended(context, app, missed)).output, null);
      },
      skip,
    );

    inFull(
      ['I-28'],
      'an invocation gives the result, or the error, of the other function',
      async (context) => {
        const run = await ended(context, app, await app.send('parent', { n: 21 }));
        expect.equal(run.status, 'Completed');
        expect.deepEqual(run.output, { doubled: 42, error: 'negative' });
      },
      skip,
    );

    s.case(
      ['I-31', 'I-22'],
      'parallel steps run once each, what follows them once',
      async (context) => {
        const ran = await listen(app);
        const run = await ended(context, app, await app.send('fan'));
        expect.equal(run.output, 'abc!');
        const names = await ran();
        expect.deepEqual(names.slice(0, 3).sort(), ['a', 'b', 'c']);
        expect.deepEqual(names.slice(3), ['join']);
      },
      skip,
    );

    unlessRefused(
      ['I-24', 'I-61', 'I-62'],
      'a failing run tells its failure handler, after its attempts',
      async (context) => {
        const ran = await listen(app);
        const id = await app.send('broken');
        await server.clock.idle();
        await server.clock.advance(ALL_RETRIES_MS);
        const run = await ended(context, app, id);
        expect.equal(run.status, 'Failed');
        expect.equal((run.output as { message?: string } | null)?.message, 'broken for good');
        await context.until(async () => (await ran()).length === 3, { what: 'the failure handler' });
        expect.deepEqual(await ran(), ['try0', 'try1', 'told broken for good']);
      },
      skip,
    );

    ifRefused(
      ['I-24', 'I-61', 'I-62'],
      'INN-60: a failing run calls its failure handler after its attempts; this version refuses its own event',
      async (context) => {
        const ran = await listen(app);
        const id = await app.send('broken');
        await server.clock.idle();
        await server.clock.advance(ALL_RETRIES_MS);
        await server.clock.advance(ALL_RETRIES_MS);
        const failing = await ended(context, app, id);
        expect.equal(failing.status, 'Failed');
        expect.deepEqual(await ran(), ['try0', 'try1']);
        const answer = await fetch(new URL('/v1/events?name=inngest/function.failed&limit=100', server.url));
        const { data } = (await answer.json()) as {
          data: Array<{ internal_id: string; data: { run_id: string; error: { message: string } } }>;
        };
        const told = data.find((event) => event.data.run_id === failing.run_id);
        expect.equal(told?.data.error.message, 'broken for good');
        const run = await ended(context, app, told?.internal_id ?? '');
        expect.equal(run.status, 'Failed');
        expect.match(JSON.stringify(run.output), /not found in triggers/);
      },
      skip,
    );

    inFull(
      ['I-25'],
      'an error that is not to be retried ends the run at once',
      async (context) => {
        const ran = await listen(app);
        const run = await ended(context, app, await app.send('never'));
        expect.equal(run.status, 'Failed');
        expect.equal((run.output as { message?: string } | null)?.message, 'no use');
        expect.deepEqual(await ran(), ['once']);
      },
      skip,
    );

    inFull(
      ['I-30', 'I-4'],
      'a step sends an event; the same id starts a function once',
      async (context) => {
        const run = await ended(context, app, await app.send('sender'));
        const sent = typeof run.output === 'string' ? run.output : '';
        expect.equal((await ended(context, app, sent)).output, 8);
        const own = context.unique('id');
        const first = await app.send('child', { n: 1 }, own);
        expect.equal((await ended(context, app, first)).output, 2);
        const second = await app.send('child', { n: 1 }, own);
        await server.clock.idle();
        expect.deepEqual(await app.runsOf(second), []);
      },
      skip,
    );

    inFull(
      ['I-64'],
      'a run that is cancelled while it waits goes no further',
      async (context) => {
        const id = await app.send('waiter', { order: 'X' });
        await server.clock.idle();
        const [waiting] = await app.runsOf(id);
        const answer = await fetch(`${server.url}/v1/runs/${waiting?.run_id}`, { method: 'DELETE' });
        expect.equal(answer.status, 200);
        await app.send('answer', { order: 'X', n: 1 });
        await server.clock.idle();
        expect.equal((await ended(context, app, id)).status, 'Cancelled');
      },
      skip,
    );

    inFull(
      ['I-55'],
      'a run is cancelled by the event that its function names, and by no other',
      async (context) => {
        const [kept, gone] = [await app.send('cancelled', { order: 'A' }), await app.send('cancelled', { order: 'B' })];
        await server.clock.idle();
        await app.send('stop', { order: 'B' });
        expect.equal((await ended(context, app, gone)).status, 'Cancelled');
        await server.clock.advance(3_700_000);
        const run = await ended(context, app, kept);
        expect.deepEqual([run.status, run.output], ['Completed', 'waited']);
      },
      skip,
    );

    inFull(
      ['I-48', 'I-50', 'I-51', 'I-54', 'I-56', 'I-57'],
      'a function with every policy is registered, and runs',
      async (context) => {
        const run = await ended(context, app, await app.send('policies', { n: 7 }));
        expect.deepEqual([run.status, run.output], ['Completed', 7]);
      },
      skip,
    );

    inFull(
      ['I-52', 'I-53'],
      'debounced events start one run with the last; batched ones one run with all',
      async (context) => {
        const order = context.unique('order');
        await app.send('debounced', { order, n: 1 });
        const last = await app.send('debounced', { order, n: 2 });
        const first = await app.send('batched', { order, n: 1 });
        await app.send('batched', { order, n: 2 });
        expect.equal((await ended(context, app, first)).output, 2);
        await server.clock.idle();
        await server.clock.advance(7_000);
        expect.equal((await ended(context, app, last)).output, 2);
      },
      skip,
    );

    if (label === 'Go' || sdk.startsWith('inngest 4')) {
      inFull(
        ['I-35', 'I-36'],
        'with checkpointing, the steps of one request are kept while it goes on',
        async (context) => {
          const checkpointing = await start(context, { server: server.url, env: { APP_CHECKPOINT: '1' } });
          await checkpointing.sync();
          const id = await checkpointing.send('three', { n: 1 });
          await server.clock.idle();
          expect.deepEqual(await checkpointing.ran(), ['a', 'b0']);
          await server.clock.advance(60_000);
          expect.deepEqual((await ended(context, checkpointing, id)).output, { a: 1, b: 2, c: 4, text: 'é😀' });
          const last = language.endsRequestAfterRetry ? 'c0' : 'c1';
          expect.deepEqual(await checkpointing.ran(), ['a', 'b0', 'b1', last]);
        },
        skip,
      );
    }

    s.case(
      ['I-8', 'I-9', 'I-10', 'I-14', 'I-15', 'I-17'],
      'cloud mode: keys on both sides, signatures checked by both',
      async (context) => {
        const { inngestEventKey: eventKey, inngestSigningKey: signingKey } = context.environment;
        const cloud = await context.startServer({
          mode: 'production',
          env: { INNGEST_EVENT_KEY: eventKey, INNGEST_SIGNING_KEY: signingKey, REPOINT_ALLOW_PRIVATE: '1' },
        });
        const keys = { eventKey, signingKey };
        const id = context.unique('app');
        // The Go SDK refuses to be synced by anybody unless it is told so.
        const env = { INNGEST_ENABLE_UNAUTHED_SYNC: 'true' };
        const signed = await start(context, { server: cloud.url, keys, id, env });
        await signed.sync();
        const run = await ended(context, signed, await signed.send('parent', { n: 4 }));
        expect.deepEqual(run.output, { doubled: 8, error: 'negative' });

        const unsigned = await fetch(`${signed.url}/api/inngest?fnId=${id}-child&stepId=step`, {
          method: 'POST',
          headers: { 'x-inngest-server-kind': 'cloud', 'content-type': 'application/json' },
          body: '{}',
        });
        expect(unsigned.status >= 400, `the app took an unsigned call: ${unsigned.status}`);

        const inBand = await fetch(`${cloud.url}/v2/apps/${id}/syncs`, {
          method: 'POST',
          headers: { authorization: `Bearer ${signingKey}` },
          body: JSON.stringify({ url: `${signed.url}/api/inngest` }),
        });
        expect.equal(inBand.status, 200, await inBand.text());

        const wrong = await start(context, {
          server: cloud.url,
          env,
          keys: { eventKey: 'nobody', signingKey: 'signkey-test-00ff' },
        });
        await expect.rejects(wrong.sync(), /signing key|unauthori[sz]ed/i);
        const event = await fetch(`${wrong.url}/send`, { method: 'POST', body: '{"name":"a","data":{}}' });
        expect(event.status >= 400, `an unknown event key was taken: ${event.status}`);
      },
      skip,
    );
  });
}
