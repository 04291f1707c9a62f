import { auth, batch, configure, runs, tasks } from '@trigger.dev/sdk';
import { expect, suite } from '../harness/index.ts';
import type * as project from './project/src/trigger/basic.ts';
import type * as realtime from './project/src/trigger/realtime.ts';
import { call, finished, SDK, seen, useSdk, useWorker } from './support.ts';

type Seen = { status: string; isCompleted: boolean };

suite({ vendor: 'trigger', name: 'realtime', sdk: SDK }, (s) => {
  s.beforeAll(async (context) => {
    await useWorker(context);
  });

  s.case(
    ['T-82', 'T-26'],
    'a run is seen from its start to its end, its metadata as it changes, its output at last',
    async () => {
      const handle = await tasks.trigger<typeof realtime.progress>('progress', { steps: 4 }, { tags: ['seen'] });
      const states: Seen[] = [];
      const steps: unknown[] = [];
      let last: { output?: unknown; payload?: unknown; tags: string[]; finishedAt?: Date } | undefined;
      for await (const run of runs.subscribeToRun<typeof realtime.progress>(handle.id)) {
        states.push(run);
        if (run.metadata?.step !== undefined && steps.at(-1) !== run.metadata.step) steps.push(run.metadata.step);
        last = run;
      }
      // The loop has ended by itself, with the run.
      expect.equal(states.at(-1)?.status, 'COMPLETED');
      expect.deepEqual(last?.output, { steps: 4 });
      expect.deepEqual(last?.payload, { steps: 4 });
      expect.deepEqual(last?.tags, ['seen']);
      expect(
        last?.finishedAt instanceof Date && Math.abs(last.finishedAt.getTime() - Date.now()) < 3_600_000 * 24 * 400,
      );
      expect.equal(steps.at(-1), 4);
      expect.deepEqual(steps, [...steps].sort(), 'metadata goes forwards only');
      const order = ['QUEUED', 'DEQUEUED', 'EXECUTING', 'COMPLETED'];
      const places = states.map(({ status }) => order.indexOf(status));
      expect.deepEqual(
        places,
        [...places].sort(),
        `the statuses were ${states.map(({ status }) => status).join(', ')}`,
      );
      const failed = await tasks.trigger<typeof project.aborts>('aborts', {});
      for await (const run of runs.subscribeToRun<typeof project.aborts>(failed.id))
        if (run.isCompleted) {
          expect.equal(run.status, 'FAILED');
          expect.equal(run.error?.message, 'no use in trying again');
        }
    },
  );

  s.case(['T-82', 'T-4', 'T-5'], 'a public token sees the runs that it names, and no others', async (context) => {
    const handle = await tasks.trigger<typeof project.echo>('echo', { text: 'public' });
    const other = await tasks.trigger<typeof project.echo>('echo', { text: 'secret' });
    await finished(handle);
    try {
      configure({ baseURL: context.url, accessToken: handle.publicAccessToken });
      let output: unknown;
      for await (const run of runs.subscribeToRun<typeof project.echo>(handle.id)) output = run.output;
      expect.equal((output as { text: string }).text, 'public');
      const refused = await call(context, 'GET', `/realtime/v1/runs/${other.id}?offset=-1`, {
        key: handle.publicAccessToken,
      });
      expect.equal(refused.status, 403);
      expect.equal((await call(context, 'GET', `/realtime/v1/runs/${handle.id}?offset=-1`, { key: null })).status, 401);
    } finally {
      useSdk(context);
    }
    expect.equal(
      (await call(context, 'GET', '/realtime/v1/runs/run_01jzzzzzzzzzzzzzzzzzzzzzzz?offset=-1')).status,
      404,
    );
  });

  s.case(['T-83'], 'runs with a tag are seen as they start and change, those that have all tags', async (context) => {
    const [one, two] = [context.unique('one'), context.unique('two')];
    const before = await tasks.trigger<typeof project.echo>('echo', { text: 'before' }, { tags: [one, two] });
    await tasks.trigger<typeof project.echo>('echo', { text: 'half' }, { tags: [one] });
    await finished(before);
    const seenRuns = new Map<string, string[]>();
    const token = await auth.createPublicToken({ scopes: { read: { tags: [one] } } });
    configure({ baseURL: context.url, accessToken: token });
    try {
      const subscription = runs.subscribeToRunsWithTag<typeof project.echo>([one, two]);
      let after: { id: string } | undefined;
      for await (const run of subscription) {
        const statuses = seenRuns.get(run.id) ?? [];
        seenRuns.set(run.id, [...statuses, run.status]);
        if (run.id === before.id && !after) {
          useSdk(context);
          after = await tasks.trigger<typeof project.echo>('echo', { text: 'after' }, { tags: [two, one] });
        }
        if (run.id === after?.id && run.isCompleted) {
          expect.equal(run.output?.text, 'after');
          break;
        }
      }
      expect.deepEqual([...seenRuns.keys()], [before.id, after?.id], 'and not the run that has one of the two');
      expect.deepEqual(seenRuns.get(before.id), ['COMPLETED']);
    } finally {
      useSdk(context);
    }
    expect.equal((await call(context, 'GET', '/realtime/v1/runs?offset=-1')).status, 400);
    const nonsense = await call(context, 'GET', `/realtime/v1/runs?offset=-1&tags=${one}&createdAt=yesterday`);
    expect.equal(nonsense.status, 400);
  });

  s.case(
    ['T-83', 'T-85'],
    'a subscription by tag goes back as far as it is told, and leaves out what it is told',
    async (context) => {
      const tag = context.unique('age');
      const old = await finished(await tasks.trigger<typeof project.echo>('echo', { text: 'old' }, { tags: [tag] }));
      await context.clock.advance(2 * 3_600_000);
      const young = await finished(
        await tasks.trigger<typeof project.echo>('echo', { text: 'young' }, { tags: [tag] }),
      );
      const ids = async (createdAt: string): Promise<string[]> => {
        const found: string[] = [];
        const wanted = createdAt === '1h' ? 1 : 2;
        for await (const run of runs.subscribeToRunsWithTag<typeof project.echo>(tag, {
          createdAt,
          skipColumns: ['payload', 'output'],
        })) {
          expect.equal(run.payload, undefined);
          expect.equal(run.output, undefined);
          found.push(run.id);
          if (found.length === wanted) break;
        }
        return found;
      };
      expect.deepEqual(await ids('1h'), [young.id]);
      expect.deepEqual(await ids('3h'), [old.id, young.id]);
    },
  );

  s.case(['T-84'], 'the runs of a batch are seen until all have ended', async () => {
    const started = await batch.trigger<typeof project.echo>(
      Array.from({ length: 5 }, (_, i) => ({ id: 'echo' as const, payload: { text: `item ${i}` } })),
    );
    const ended = new Map<string, unknown>();
    for await (const run of runs.subscribeToBatch<typeof project.echo>(started.batchId)) {
      if (run.isCompleted) ended.set(run.id, run.output?.text);
      if (ended.size === 5) break;
    }
    expect.deepEqual(
      [...ended.values()].sort(),
      [0, 1, 2, 3, 4].map((i) => `item ${i}`),
    );
  });

  s.case(
    ['T-85'],
    'columns that are left out are in neither row nor schema; those that name a run stay',
    async (context) => {
      const handle = await tasks.trigger<typeof project.echo>('echo', { text: 'columns' });
      await finished(handle);
      const subscription = runs.subscribeToRun<typeof project.echo>(handle.id, {
        skipColumns: ['payload', 'output', 'metadata'],
      });
      for await (const run of subscription) {
        expect.equal(run.payload, undefined);
        expect.equal(run.output, undefined);
        expect.equal(run.status, 'COMPLETED');
      }
      const answer = await call(
        context,
        'GET',
        `/realtime/v1/runs/${handle.id}?offset=-1&skipColumns=payload,id,status`,
      );
      const [insert] = (await answer.json()) as [{ value: Record<string, unknown> }];
      const schema = JSON.parse(answer.headers.get('electric-schema') ?? '{}') as object;
      expect.equal('payload' in insert.value, false);
      expect.equal('payload' in schema, false);
      for (const fixed of ['id', 'status', 'friendlyId']) expect(fixed in insert.value && fixed in schema, fixed);
      // A token may say it too.
      const token = await auth.createPublicToken({
        scopes: { read: { runs: [handle.id] } },
        realtime: { skipColumns: ['output'] },
      });
      const byToken = await call(context, 'GET', `/realtime/v1/runs/${handle.id}?offset=-1`, { key: token });
      expect.equal('output' in ((await byToken.json()) as [{ value: object }])[0].value, false);
    },
  );

  s.case(
    ['T-82', 'T-99'],
    'who lost the connection goes on from where it was; clients of 3.x find their headers',
    async (context) => {
      const handle = await tasks.trigger<typeof project.endless>('endless', {});
      await seen(context, handle.id, 'the run to execute', (run) => run.metadata?.state === 'running');
      const poll = async (
        query: string,
      ): Promise<{ response: Response; messages: Array<{ value?: { status: string } }> }> => {
        const response = await call(context, 'GET', `/realtime/v1/runs/${handle.id}?log=full&${query}`);
        return { response, messages: (await response.json()) as Array<{ value?: { status: string } }> };
      };
      const first = await poll('offset=-1');
      const handleOf = (response: Response): string => response.headers.get('electric-handle') ?? '';
      const offsetOf = (response: Response): string => response.headers.get('electric-offset') ?? '';
      expect.equal(first.response.headers.get('electric-shape-id'), handleOf(first.response));
      expect.equal(first.response.headers.get('electric-chunk-last-offset'), offsetOf(first.response));
      const position = `handle=${handleOf(first.response)}&offset=${offsetOf(first.response)}`;
      const live = poll(`live=true&cursor=1&${position}`);
      await runs.cancel(handle.id);
      const second = await live;
      expect.equal(second.messages[0]?.value?.status, 'CANCELED');
      expect(second.response.headers.get('electric-cursor'));
      // The same poll again, as after a lost answer: nothing is missing.
      const again = await poll(`live=true&cursor=1&${position}`);
      expect.equal(again.messages[0]?.value?.status, 'CANCELED');
      // At the end of what happened, the worker's last word about its cancelled attempt included, there is nothing but the word that it is the end.
      let last = again;
      await context.until(
        async () => {
          last = await poll(`handle=${handleOf(last.response)}&offset=${offsetOf(last.response)}`);
          return last.messages.length === 1;
        },
        { what: 'the end of what happened' },
      );
      expect.deepEqual(last.messages, [{ headers: { control: 'up-to-date' } }]);
    },
  );

  s.case(['T-83'], 'a subscription whose snapshot is not known any more begins again', async (context) => {
    const tag = context.unique('refetch');
    const run = await finished(await tasks.trigger<typeof project.echo>('echo', { text: 'x' }, { tags: [tag] }));
    const lost = await call(context, 'GET', `/realtime/v1/runs?tags=${tag}&handle=l.0.unknown&offset=7_0&live=true`);
    expect.equal(lost.status, 409);
    expect.deepEqual(await lost.json(), [{ headers: { control: 'must-refetch' } }]);
    const handle = lost.headers.get('electric-handle') ?? '';
    const again = await call(context, 'GET', `/realtime/v1/runs?tags=${tag}&handle=${handle}&offset=-1`);
    const [insert] = (await again.json()) as [{ value: { friendlyId: string } }];
    expect.equal(insert.value.friendlyId, run.id);
  });
});

/** The tools of the older releases that the cases use; their types ask for another zod. */
interface Older {
  configure(options: { baseURL: string; secretKey: string }): void;
  tasks: { trigger(task: string, payload: unknown, options?: object): Promise<{ id: string }> };
  runs: {
    subscribeToRun(id: string): AsyncIterable<OldRun>;
    subscribeToRunsWithTag(tag: string): AsyncIterable<OldRun>;
  };
}

interface OldRun {
  id: string;
  status: string;
  output?: unknown;
}

for (const [sdk, name] of [
  ['@trigger.dev/sdk 3.3.17', 'trigger-sdk-3-3'],
  ['@trigger.dev/sdk 4.0.0', 'trigger-sdk-4-0'],
] as const) {
  suite({ vendor: 'trigger', name: `realtime of ${sdk}`, sdk }, (s) => {
    s.beforeAll(async (context) => {
      await useWorker(context);
    });

    s.case(['T-82', 'T-83', 'T-99'], 'a run is seen to its end, alone and by its tag', async (context) => {
      const older = (await import(name)) as unknown as Older;
      older.configure({ baseURL: context.url, secretKey: context.environment.triggerSecretKey });
      const tag = context.unique('older');
      const handle = await older.tasks.trigger('progress', { steps: 2 }, { tags: [tag] });
      let last: OldRun | undefined;
      for await (const run of older.runs.subscribeToRun(handle.id)) {
        last = run;
        // These releases let go of a run half a minute after its end, and end no loop.
        if (run.status === 'COMPLETED') break;
      }
      expect.equal(last?.status, 'COMPLETED');
      expect.deepEqual(last?.output, { steps: 2 });
      for await (const run of older.runs.subscribeToRunsWithTag(tag)) {
        expect.equal(run.id, handle.id);
        if (run.status === 'COMPLETED') break;
      }
    });
  });
}
