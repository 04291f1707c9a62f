import { envvars, idempotencyKeys, runs, tasks, wait } from '@trigger.dev/sdk';
import { expect, suite } from '../harness/index.ts';
import type * as surface from './project/src/trigger/surface.ts';
import { call, finished, SDK, seen, useWorker, type Run } from './support.ts';
import type { Worker } from './worker.ts';

suite({ vendor: 'trigger', name: "the SDK's surface inside tasks", sdk: SDK }, (s) => {
  let worker: Worker;

  s.beforeAll(async (context) => {
    worker = await useWorker(context);
  });

  /** Triggers a task and waits for its end. */
  const outcome = async (
    id: string,
    payload: unknown,
    options: Parameters<typeof tasks.trigger>[2] = {},
  ): Promise<Run> => finished(await tasks.trigger(id, payload, options));

  s.case(['T-63', 'T-64'], 'a payload is checked by its schema: right, with defaults, and wrong', async () => {
    expect.deepEqual((await outcome('validated', { n: 3 })).output, { doubled: 6, label: 'none' });
    const wrong = await outcome('validated', { n: 'three' });
    expect.equal(wrong.status, 'FAILED');
    expect.equal(wrong.attemptCount, 1);
  });

  s.case(['T-27', 'T-63', 'T-64', 'T-70'], 'hooks run in their order, over two attempts', async () => {
    const run = await outcome('hooked', { failures: 1 });
    expect.deepEqual(run.output, { attempt: 2 });
    expect.deepEqual(run.metadata?.hooks, [
      'startAttempt 1',
      'run',
      'cleanup',
      'startAttempt 2',
      'run',
      'success',
      'complete true',
      'cleanup',
    ]);
    const failed = await outcome('hooked', { failures: 9 });
    expect.equal(failed.status, 'FAILED');
    const hooks = failed.metadata?.hooks as string[];
    expect(hooks.includes('failure') && hooks.includes('complete false'));
  });

  s.case(['T-64', 'T-70'], 'catchError ends the attempts of one error and not of another', async () => {
    const hopeless = await outcome('decides', { message: 'hopeless' });
    expect.deepEqual([hopeless.status, hopeless.attemptCount], ['FAILED', 1]);
    expect.equal((await outcome('decides', { message: 'maybe' })).attemptCount, 3);
  });

  s.case(
    ['T-63', 'T-64'],
    'middleware and locals, retries within an attempt, an early end, nothing at all',
    async () => {
      expect.deepEqual((await outcome('wrapped', {})).output, { name: 'from middleware' });
      expect.deepEqual((await outcome('stubborn', {})).output, { tries: 3, attempt: 1 });
      expect.deepEqual((await outcome('leaves-early', {})).output, { early: true });
      const nothing = await outcome('answers-nothing', {});
      expect.deepEqual([nothing.status, nothing.output], ['COMPLETED', undefined]);
    },
  );

  s.case(
    ['T-73'],
    'a run over its maxDuration times out and is not tried again',
    async () => {
      const run = await outcome('overtime', {});
      expect.deepEqual([run.status, run.attemptCount, run.isFailed], ['TIMED_OUT', 1, true]);
    },
    { timeoutMs: 45_000 },
  );

  s.case(
    ['T-31', 'T-32'],
    "keys made in a task: one run for the run's own, one for all runs, until it is reset",
    async ({ unique }) => {
      const name = unique('key');
      const [first, second] = [await outcome('once', { name }), await outcome('once', { name })];
      const [a, b] = [first.output, second.output] as Array<{
        same: boolean;
        own: string;
        shared: string;
        ok: boolean;
      }>;
      expect.deepEqual([a?.same, b?.same, a?.ok, b?.ok], [true, true, true, true]);
      expect.equal(a?.shared, b?.shared);
      expect(a?.own !== b?.own);
      await idempotencyKeys.reset('echo', await idempotencyKeys.create(name, { scope: 'global' }));
      const third = (await outcome('once', { name })).output as { shared: string };
      expect(third.shared !== a?.shared);
    },
  );

  s.case(['T-15', 'T-16', 'T-75'], 'batches of different tasks give their results by place, failures too', async () => {
    type Results = [{ text: string }, ...unknown[]];
    const { byTask, byId } = (await outcome('mixed-batch', {})).output as Record<'byTask' | 'byId', Results>;
    expect.deepEqual([byTask[0].text, byTask[1], byTask[2]], ['one', { doubled: 42, label: 'none' }, 'failed']);
    expect.deepEqual([byId[0].text, byId[1]], ['two', { doubled: 8, label: 'none' }]);
  });

  s.case(['T-14', 'T-75'], 'unwrap gives the output of a child, by task and by id', async () => {
    expect.deepEqual((await outcome('unwraps', { text: 'inner' })).output, { text: 'inner' });
  });

  s.case(
    ['T-76', 'T-19', 'T-22'],
    'a child that nobody waits for is shown with its parent, and canceled with it',
    async (context) => {
      const parent = await tasks.trigger<typeof surface.launcher>('launcher', {
        id: 'endless',
        input: {},
        linger: true,
      });
      const shown = await seen(context, parent.id, 'the child', (run) => run.metadata?.child !== undefined);
      const child = shown.metadata?.child as string;
      await seen(context, child, 'the child to execute', (run) => run.metadata?.state === 'running');
      const parentShown = await runs.retrieve(parent.id);
      expect.deepEqual(
        parentShown.relatedRuns.children?.map((item) => item.id),
        [child],
      );
      const childShown = await runs.retrieve(child);
      expect.deepEqual(
        [childShown.relatedRuns.parent?.id, childShown.relatedRuns.root?.id, childShown.depth],
        [parent.id, parent.id, 1],
      );
      await runs.cancel(parent.id);
      expect.equal((await finished({ id: child })).status, 'CANCELED');
      expect.equal((await finished(parent)).status, 'CANCELED');
    },
    { timeoutMs: 60_000 },
  );

  s.case(
    ['T-95', 'T-94', 'T-63', 'T-57', 'T-77'],
    'a task sees what the server knows of its run: flags, machine, tags, version, itself',
    async () => {
      await envvars.upload(worker.project, 'dev', {
        variables: { SURFACE_COLOUR: 'green' },
        override: true,
      });
      const run = await outcome('introspects', {}, { tags: ['t1'], region: 'eu-1', machine: 'medium-1x' });
      expect.deepEqual(run.output, {
        isTest: false,
        isReplay: false,
        machine: 'medium-1x',
        project: worker.project,
        task: 'introspects',
        version: true,
        tags: ['t1'],
        seesItself: 'EXECUTING',
        variable: 'green',
      });
      expect.equal(run.region, 'eu-1');
    },
  );

  s.case(['T-95', 'T-23'], 'test and replayed runs know that they are', async (context) => {
    const answer = await call(context, 'POST', '/api/v1/tasks/introspects/trigger', {
      body: JSON.stringify({ payload: '{}', options: { payloadType: 'application/json', test: true } }),
    });
    const { id } = (await answer.json()) as { id: string };
    const first = await finished({ id });
    expect.equal((first.output as { isTest: boolean }).isTest, true);
    expect.equal(first.isTest, true);
    const replay = await finished(await runs.replay(id));
    expect.deepEqual([(replay.output as { isReplay: boolean }).isReplay, replay.isTest], [true, true]);
  });

  s.case(
    ['T-30', 'T-81'],
    'log lines and spans of a run are read back: flat, as a tree, and one by one',
    async (context) => {
      const run = await outcome('logs', {});
      const events = await context.until(
        async () => {
          const answer = await call(context, 'GET', `/api/v1/runs/${run.id}/events`);
          const { events: all } = (await answer.json()) as {
            events: Array<{ message: string; level: string; kind: string; properties: Record<string, unknown> }>;
          };
          return all.some((event) => event.message === 'a span of its own') &&
            all.some((event) => event.message === 'a line')
            ? all
            : null;
        },
        { what: 'the telemetry of the run', timeoutMs: 15_000 },
      );
      const line = events.find((event) => event.message === 'a line');
      expect.deepEqual([line?.kind, line?.level, line?.properties.colour], ['log', 'INFO', 'blue']);
      expect.equal(events.find((event) => event.message === 'a warning')?.level, 'WARN');
      interface Node {
        id: string;
        data: { message: string; duration: number };
        children: Node[];
      }
      const { trace } = (await (await call(context, 'GET', `/api/v1/runs/${run.id}/trace`)).json()) as {
        trace: { rootSpan: Node };
      };
      const all: Node[] = [];
      const walk = (node: Node): void => {
        all.push(node);
        node.children.forEach(walk);
      };
      walk(trace.rootSpan);
      const own = all.find((node) => node.data.message === 'a span of its own');
      expect((own?.data.duration ?? 0) >= 15_000_000, 'in nanoseconds');
      const answer = await call(context, 'GET', `/api/v1/runs/${run.id}/spans/${own?.id}`);
      const span = (await answer.json()) as { message: string; isPartial: boolean; properties?: { size: number } };
      expect.deepEqual([span.message, span.properties?.size, span.isPartial], ['a span of its own', 7, false]);
    },
  );

  s.case(
    ['T-45'],
    'a wait with a key is waited for once',
    async (context) => {
      const key = context.unique('wait');
      const first = await tasks.trigger<typeof surface.waitsOnce>('waits-once', { key });
      const history = async (): Promise<number> => (await runs.retrieve(first.id)).attemptCount;
      await context.until(async () => (await history()) === 1, { what: 'the attempt' });
      await context.until(
        async () => (await context.clock.advance(30_000)) && (await runs.retrieve(first.id)).isCompleted,
        { what: 'the end of the wait', everyMs: 400, timeoutMs: 25_000 },
      );
      const startedAt = performance.now();
      expect.deepEqual((await outcome('waits-once', { key })).output, { done: true });
      expect(performance.now() - startedAt < 10_000, 'the second did not wait');
    },
    { timeoutMs: 60_000 },
  );

  s.case(['T-26', 'T-27'], 'metadata is changed in depth, and the server has what the task saw', async () => {
    const run = await outcome('deep-metadata', {}, { metadata: { gone: 1, count: 5 } });
    const expected = { a: { b: 5 }, count: 3, list: ['y'] };
    expect.deepEqual((run.output as { current: unknown }).current, expected);
    expect.deepEqual(run.metadata, expected);
  });

  s.case(
    ['T-36', 'T-37', 'T-38'],
    'in a queue of one, a run with priority overtakes those that have waited less than it is worth',
    async (context) => {
      const trigger = (name: string, priority?: number) =>
        tasks.trigger<typeof surface.inOrder>(
          'in-order',
          { name, ms: name === 'first' ? 1_500 : 10 },
          priority === undefined ? {} : { priority },
        );
      const first = await trigger('first');
      await seen(context, first.id, 'the first to run', (run) => run.metadata?.state === 'running');
      const handles = [await trigger('plain'), await trigger('small', 30), await trigger('large', 3_600)];
      const ended = await Promise.all(handles.map((handle) => finished(handle)));
      const order = ended
        .map((run) => run.output as { name: string; at: number })
        .sort((a, b) => a.at - b.at)
        .map(({ name }) => name);
      expect.deepEqual(order, ['large', 'small', 'plain']);
    },
    { timeoutMs: 45_000 },
  );

  s.case(['T-19', 'T-64'], 'whatever is thrown is told: text, an object, a class of its own', async () => {
    const [text, object, own] = await Promise.all(
      (['text', 'object', 'own'] as const).map((what) => outcome('throws-odd', { what })),
    );
    expect.deepEqual([text?.status, object?.status, own?.status], ['FAILED', 'FAILED', 'FAILED']);
    expect.match(text?.error?.message ?? '', /only text/);
    expect.match(object?.error?.message ?? '', /an object/);
    expect.deepEqual([own?.error?.name, own?.error?.message], ['OwnError', 'of my own']);
  });

  s.case(['T-13', 'T-19'], 'maps, sets, dates and big integers go there and back', async () => {
    const payload = {
      map: new Map([['a', 1]]),
      set: new Set(['x']),
      big: 12345678901234567890n,
      at: new Date(0),
      nothing: undefined,
    };
    const run = await outcome('rich', payload);
    const output = run.output as Record<string, unknown>;
    expect.deepEqual([output.isMap, output.isSet, output.isBig, output.isDate], [true, true, true, true]);
  });

  s.case(['T-63', 'T-27'], 'usage, heartbeats and waitUntil', async (context) => {
    const run = await outcome('working', {});
    expect.deepEqual(run.output, { result: 'measured', later: false });
    await seen(context, run.id, 'what was done later', (found) => found.metadata?.later === true);
  });

  s.case(
    ['T-46', 'T-48'],
    'a token made in the task is completed from outside, and is found in the list',
    async (context) => {
      const handle = await tasks.trigger<typeof surface.parsesToken>('parses-token', {});
      const shown = await seen(context, handle.id, 'the token', (run) => run.metadata?.token !== undefined);
      const token = shown.metadata?.token as string;
      const listed = await wait.listTokens({ tags: ['from-task'], status: 'WAITING' });
      expect(listed.data.some((item) => item.id === token));
      await wait.completeToken(token, { by: 'hand' });
      expect.deepEqual((await finished(handle)).output, { by: 'hand', url: true, isCached: false });
      const done = await wait.listTokens({ status: ['COMPLETED'], tags: 'from-task' });
      expect(done.data.some((item) => item.id === token && item.status === 'COMPLETED'));
    },
  );
});
