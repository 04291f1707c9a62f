import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { auth, batch, runs, streams, tasks, TriggerClient, wait } from '@trigger.dev/sdk';
import { expect, suite } from '../harness/index.ts';
import type * as project from './project/src/trigger/basic.ts';
import type * as documented from './project/src/trigger/documented.ts';
import { call, finished, SDK, seen, useWorker } from './support.ts';

// What the vendor's documentation shows, page by page; the tasks are those of project/src/trigger/documented.ts.

suite({ vendor: 'trigger', name: "what the vendor's documentation shows", sdk: SDK }, (s) => {
  s.beforeAll(async (context) => void (await useWorker(context)));

  const outcome = async (id: string, payload: unknown, options: Parameters<typeof tasks.trigger>[2] = {}) =>
    finished(await tasks.trigger(id, payload, options));
  const output = async <T>(id: string, payload: unknown = {}): Promise<T> => {
    const run = await outcome(id, payload);
    expect.equal(run.status, 'COMPLETED', JSON.stringify(run.error));
    return run.output as T;
  };

  s.case(
    ['T-14', 'T-15', 'T-45', 'T-48', 'T-63'],
    "lifecycle functions of the task and of all tasks surround each kind of wait, in the documentation's order",
    async (context) => {
      const token = await wait.createToken({ timeout: '1h' });
      const handle = await tasks.trigger<typeof documented.saysAllHooks>('says-all-hooks', { token: token.id });
      await seen(
        context,
        handle.id,
        'the wait',
        ({ metadata, isCompleted, error }) => {
          expect(!isCompleted, JSON.stringify(error));
          return (metadata?.hooks as string[] | undefined)?.at(-1) === 'wait token';
        },
        20_000,
      );
      await wait.completeToken(token, {});
      await context.until(
        async () => (await context.clock.advance(6_000)) && (await runs.retrieve(handle.id)).isCompleted,
        { what: 'the end of the last wait', everyMs: 400, timeoutMs: 40_000 },
      );
      const run = await runs.retrieve(handle.id);
      expect.equal(run.output, 'from the outermost middleware');
      const around = (kind: string): string[] =>
        ['any wait', 'wait', 'any resume', 'resume'].map((word) => `${word} ${kind}`);
      expect.deepEqual(run.metadata?.hooks, [
        'middleware in',
        'any start 1',
        'start 1',
        ...around('token'),
        ...around('task'),
        ...around('batch'),
        ...around('duration'),
        'any success',
        'success',
        'any complete true',
        'complete',
        'middleware out',
      ]);
    },
    { timeoutMs: 90_000 },
  );

  s.case(['T-64', 'T-70'], 'catchError says when the next attempt comes, or what the error was', async () => {
    for (const how of ['delay', 'date', 'settings', 'nothing']) {
      const run = await outcome('wraps-errors', { how });
      expect.deepEqual([run.status, run.output, run.attemptCount], ['COMPLETED', 2, 2], how);
      // The hook of all tasks is asked where the task's own says nothing.
      expect.deepEqual(run.metadata?.hooks, how === 'nothing' ? ['any catch the first'] : undefined, how);
    }
    const other = await outcome('wraps-errors', { how: 'error' });
    expect.deepEqual(
      [other.status, other.attemptCount, other.error?.name, other.error?.message],
      ['FAILED', 1, 'TypeError', 'instead of the first'],
    );
    expect.deepEqual(other.metadata?.hooks, ['any failure']);
  });

  s.case(['T-63', 'T-64'], 'retry.fetch tries again within the attempt: by status, by header, in time', async () => {
    const seenPaths: string[] = [];
    const server = createServer((request, response) => {
      const path = request.url ?? '';
      seenPaths.push(path);
      const count = seenPaths.filter((other) => other === path).length;
      if (path === '/busy' && count < 3) return void response.writeHead(503).end();
      if (path === '/limited' && count < 2)
        return void response
          .writeHead(429, {
            'x-ratelimit-limit': '10',
            'x-ratelimit-remaining': '0',
            'x-ratelimit-reset': String(Date.now() + 200),
          })
          .end();
      if (path === '/slow' && count < 2) return;
      response.end('ok');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const run = await outcome('fetches-again', { url });
      expect.deepEqual([run.status, run.output, run.attemptCount], ['COMPLETED', [200, 200, 200], 1]);
      expect.deepEqual(seenPaths, ['/busy', '/busy', '/busy', '/limited', '/limited', '/slow', '/slow']);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  s.case(['T-14', 'T-75'], 'a child that failed, unwrapped, says which run of which task it was and why', async () => {
    const thrown = await output<Record<'name' | 'task' | 'run' | 'cause', string>>('unwraps-failure');
    expect.deepEqual([thrown.name, thrown.task, thrown.cause], ['SubtaskUnwrapError', 'flaky', 'attempt 3 fails']);
    expect.equal((await runs.retrieve(thrown.run)).status, 'FAILED');
  });

  s.case(['T-48', 'T-64'], 'waits one after another end in their order, those completed before at once', async () => {
    const tokens = await Promise.all([1, 2, 3].map(() => wait.createToken({})));
    const ids = tokens.map(({ id }) => id);
    await wait.completeToken(tokens[2]!, { n: 3 });
    await wait.completeToken(tokens[1]!, { n: 2 });
    const handle = await tasks.trigger<typeof documented.waitsInTurn>('waits-in-turn', { ids });
    await wait.completeToken(tokens[0]!, { n: 1 });
    expect.deepEqual((await finished(handle)).output, [{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  s.case(
    ['T-86', 'T-87', 'T-88'],
    'streams are defined, piped, written, appended to and read, inside and out',
    async () => {
      const run = await outcome('streams-as-defined', {});
      expect.equal(run.status, 'COMPLETED', JSON.stringify(run.error));
      expect.deepEqual(run.output, {
        seen: ['one', 'two', 'x', 'y'],
        back: ['first', 'second', 'third', 'appended'],
      });
      const read = async <T>(key: string): Promise<T[]> => {
        const parts: T[] = [];
        for await (const part of await streams.read<T>(run.id, key, { timeoutInSeconds: 5 })) parts.push(part);
        return parts;
      };
      const words = streams.define<{ word: string }>({ id: 'words' });
      const defined: string[] = [];
      for await (const { word } of await words.read(run.id, { timeoutInSeconds: 5 })) defined.push(word);
      expect.deepEqual(defined, ['one', 'two']);
      expect.deepEqual(await read<string>('lines'), ['first', 'second', 'third', 'appended']);
      expect.deepEqual(await read<string>('older'), ['x', 'y']);
      const later: string[] = [];
      for await (const line of await streams.read<string>(run.id, 'lines', { timeoutInSeconds: 5, startIndex: 2 }))
        later.push(line);
      expect.deepEqual(later, ['third', 'appended']);
    },
  );

  s.case(
    ['T-26', 'T-27'],
    'metadata is read, replaced, refreshed; of a run without parents all is its own',
    async () => {
      const run = await outcome('metadata-as-documented', {}, { metadata: { user: { name: 'Ada' } } });
      const expected = { whole: { new: true }, 'at the root': 1, list: ['of the parent'] };
      expect.deepEqual(run.output, {
        given: { name: 'Ada' },
        replaced: { whole: { new: true } },
        current: expected,
      });
      expect.deepEqual(run.metadata, expected);
    },
  );

  s.case(
    ['T-63', 'T-14', 'T-15', 'T-31', 'T-36'],
    'a run knows itself, its parent, its batch and its options',
    async () => {
      type Known = Record<string, unknown>;
      const told = await output<{ self: string; one: Known; batch: string; inBatch: Known }>('knows-its-family');
      const same = {
        parent: told.self,
        root: told.self,
        organization: 'string',
        task: 'knows-itself',
        queue: 'task/knows-itself',
        environment: 'dev',
        started: true,
      };
      expect.deepEqual(told.one, {
        ...same,
        batch: null,
        key: `order-${told.self}`,
        scope: 'global',
        maxAttempts: 1,
        maxDuration: 300,
        priority: 5,
        tags: ['single'],
        machine: 'small-1x',
      });
      expect.deepEqual(told.inBatch, {
        ...same,
        batch: told.batch,
        key: null,
        scope: null,
        maxAttempts: 4,
        maxDuration: 60,
        priority: 0,
        tags: ['a', 'b'],
        machine: 'small-2x',
      });
    },
  );

  s.case(
    ['T-15', 'T-16', 'T-18', 'T-31'],
    'batches come from arrays, generators and streams; a key of the batch is a key for each of its items',
    async ({ unique }) => {
      expect.deepEqual(await output('batches-of-all', { key: unique('batch') }), {
        generated: ['item 0', 'item 1', 'item 2'],
        streamed: [
          ['echo', true],
          ['decides', false],
        ],
        same: true,
        counts: [2, 2],
      });
    },
  );

  s.case(['T-15', 'T-16', 'T-18'], 'a script triggers a batch by ids out of a generator', async ({ unique }) => {
    const tag = unique('generated');
    async function* generated() {
      for (const text of ['a', 'b', 'c'])
        yield { id: 'echo' as const, payload: { text }, options: { tags: [tag], metadata: { text } } };
    }
    const handle = await batch.trigger<typeof project.echo>(generated());
    expect.equal(handle.runCount, 3);
    const { runs: ids } = await batch.retrieve(handle.batchId);
    const ended = await Promise.all((ids as string[]).map((id) => finished({ id })));
    expect.deepEqual(
      ended.map((run) => [(run.output as { text: string }).text, run.metadata?.text, run.tags]),
      ['a', 'b', 'c'].map((text) => [text, text, [tag]]),
    );
  });

  s.case(
    ['T-57', 'T-52', 'T-28', 'T-6', 'T-20'],
    'a task manages variables, schedules and tags without naming its project, and has clients of its own',
    async ({ unique }) => {
      const name = unique('DOCUMENTED').replaceAll(/[^A-Za-z0-9]/g, '_');
      expect.deepEqual(await output('manages-from-inside', { name }), {
        read: 'one',
        listed: 'two',
        tags: ['inside', 'of:manages-from-inside'],
        own: 'by a client of its own',
        parentOfClients: null,
        listedAsPublic: true,
      });
    },
  );

  s.case(['T-22', 'T-74'], 'onCancel awaits what the run returns once its signal is aborted', async (context) => {
    const handle = await tasks.trigger<typeof documented.cancelsInPeace>('cancels-in-peace', {});
    await seen(context, handle.id, 'the task to run', (run) => run.metadata?.state === 'running');
    await runs.cancel(handle.id);
    const run = await seen(context, handle.id, 'what onCancel says', (found) => found.metadata?.cancel !== undefined);
    expect.equal(run.status, 'CANCELED');
    expect.deepEqual(run.metadata?.cancel, { aborted: true, made: { aborted: true } });
  });

  s.case(
    ['T-37', 'T-38', 'T-39'],
    'a trigger chooses a declared queue: one at a time for each key, side by side for two',
    async () => {
      const trigger = (concurrencyKey: string) =>
        tasks.trigger<typeof documented.choosesItsQueue>(
          'chooses-its-queue',
          { ms: 900 },
          { queue: 'documented-shared', concurrencyKey },
        );
      const handles = [await trigger('a'), await trigger('a'), await trigger('b')];
      const ended = await Promise.all(handles.map((handle) => finished(handle)));
      const spans = ended.map((run) => run.output as Span & { queue: string });
      expect.deepEqual(
        spans.map(({ queue }) => queue),
        ['documented-shared', 'documented-shared', 'documented-shared'],
      );
      const [first, second, other] = spans;
      expect(!overlap(first!, second!), 'one key, one at a time');
      expect(overlap(first!, other!), 'another key does not wait');
    },
  );

  s.case(
    ['T-30', 'T-81'],
    'spans within spans, levels of log lines and a span that failed are read back',
    async (c) => {
      const run = await outcome('traces-deep', {});
      interface Node {
        data: { message: string; level: string; isError: boolean };
        children: Node[];
      }
      const find = (node: Node, message: string): Node | undefined =>
        node.data.message === message ? node : node.children.map((child) => find(child, message)).find(Boolean);
      const root = await c.until(
        async () => {
          const answer = await call(c, 'GET', `/api/v1/runs/${run.id}/trace`);
          const { trace } = (await answer.json()) as { trace: { rootSpan: Node } };
          return find(trace.rootSpan, 'broken') && find(trace.rootSpan, 'inner') ? trace.rootSpan : null;
        },
        { what: 'the spans', timeoutMs: 15_000 },
      );
      const outer = find(root, 'outer')!;
      expect(find(outer, 'inner'), 'the inner span is below the outer');
      expect.deepEqual([find(root, 'broken')?.data.isError, outer.data.isError], [true, false]);
      expect.equal(find(outer, 'an error line')?.data.level, 'ERROR');
      expect.equal(find(outer, 'a log line')?.data.level, 'LOG');
    },
  );

  s.case(['T-33', 'T-34', 'T-13'], 'options of a trigger are shown as they were given', async () => {
    const handle = await tasks.trigger<typeof project.echo>(
      'echo',
      { text: 'shown' },
      {
        delay: new Date(Date.now() + 3_600_000),
        ttl: 90,
        idempotencyKey: ['a', 'b'],
        idempotencyKeyTTL: '60s',
        maxAttempts: 1,
        tags: 'one',
      },
    );
    const run = await runs.retrieve(handle);
    expect.deepEqual(
      [run.status, run.ttl, run.tags, run.isQueued, run.payload],
      ['DELAYED', '1m30s', ['one'], true, { text: 'shown' }],
    );
    const delayMs = Number(run.delayedUntil) - Number(run.createdAt);
    expect(delayMs > 3_590_000 && delayMs <= 3_600_000, `an hour, not ${delayMs} ms`);
    await runs.cancel(handle.id);
    expect.equal((await runs.retrieve(handle)).status, 'CANCELED');
  });

  s.case(['T-4', 'T-6', 'T-7'], 'tokens for triggers of tasks and batches do what they name', async (context) => {
    await auth.withTriggerPublicToken('echo', {}, async () => {
      const { id } = await tasks.trigger('echo', { text: 'by token' });
      expect.match(id, /^run_/);
      await expect.rejects(tasks.trigger('plain-text', 'x'), /scope|permission|401|403|used/i);
    });
    const token = await auth.createBatchTriggerPublicToken(['echo', 'plain-text'], { multipleUse: true });
    const client = new TriggerClient({ baseURL: context.url, accessToken: token });
    const refused = await client.tasks.trigger('flaky', { failures: 0 }).then(
      () => 0,
      (error: { status?: number }) => error.status,
    );
    expect.equal(refused, 403);
  });

  s.case(['T-82', 'T-28'], 'a subscription may go on beyond the end of its run', async (context) => {
    const handle = await tasks.trigger<typeof project.tagged>('tagged', { tag: 'while-watched' });
    const seenTags: string[][] = [];
    for await (const run of runs.subscribeToRun(handle.id, { stopOnCompletion: false })) {
      if (!run.isCompleted) continue;
      seenTags.push(run.tags);
      if (run.tags.includes('after')) break;
      const answer = await call(context, 'POST', `/api/v1/runs/${handle.id}/tags`, {
        body: JSON.stringify({ tags: ['after'] }),
      });
      expect.equal(answer.status, 200);
    }
    expect.deepEqual(seenTags, [['while-watched'], ['while-watched', 'after']]);
  });
});

interface Span {
  from: number;
  to: number;
}
function overlap(a: Span, b: Span): boolean {
  return a.from < b.to && b.from < a.to;
}
