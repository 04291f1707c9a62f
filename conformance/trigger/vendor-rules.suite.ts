import { auth, batch, BatchTriggerError, configure, runs, tasks, TriggerClient, wait } from '@trigger.dev/sdk';
import { expect, suite, type CaseContext } from '../harness/index.ts';
import { type Line, openLine } from './line.ts';
import type * as project from './project/src/trigger/basic.ts';
import type * as reference from './project/src/trigger/reference.ts';
import { call, finished, SDK, useSdk, useWorker } from './support.ts';

// Rules that the vendor's own tests hold its server to (trigger.dev: apps/webapp/test, internal-packages/run-engine/src/engine/tests, packages/*/src,
// references/hello-world), as its unmodified SDK sees them.

suite({ vendor: 'trigger', name: "what the vendor's tests hold", sdk: SDK }, (s) => {
  s.beforeAll(async (context) => void (await useWorker(context)));

  /** The SDK over a line that can be broken, until the case ends. */
  const useLine = async (context: CaseContext): Promise<Line> => {
    const line = await openLine(context.url);
    configure({ baseURL: line.url, secretKey: context.environment.triggerSecretKey });
    context.onCleanup(() => {
      line.close();
      useSdk(context);
    });
    return line;
  };
  const taggedWith = async (tag: string): Promise<string[]> => {
    const ids: string[] = [];
    for await (const run of runs.list({ tag, limit: 100 })) ids.push(run.id);
    return ids;
  };

  s.case(
    ['T-15', 'T-16', 'T-18'],
    'a batch whose upload breaks off is sent again: sealed, each of its items one run',
    async (context) => {
      const line = await useLine(context);
      const tag = context.unique('cut');
      line.cutUploadAfter(150_000);
      const handle = await tasks.batchTrigger<typeof project.echo>(
        'echo',
        Array.from({ length: 1_500 }, (_, i) => ({
          payload: { text: `${i} ${'x'.repeat(150)}` },
          options: { delay: '1h', tags: [tag] },
        })),
      );
      expect.equal(line.broken, 1);
      const shown = await batch.retrieve(handle.batchId);
      expect.deepEqual([shown.status, shown.runCount, new Set(shown.runs).size], ['PROCESSING', 1_500, 1_500]);
      expect.equal((await taggedWith(tag)).length, 1_500);
      await runs.bulk.poll((await runs.bulk.cancel({ filter: { tag } })).id, { pollIntervalMs: 50 });
    },
    { timeoutMs: 60_000 },
  );

  s.case(
    ['T-11', 'T-13', 'T-15', 'T-22'],
    'an answer that is lost on its way: asked again, the server answers what it did, and does it once',
    async (context) => {
      const line = await useLine(context);
      const tag = context.unique('lost');
      line.loseAnswer();
      const handle = await tasks.trigger<typeof project.echo>('echo', { text: '1' }, { delay: '1h', tags: [tag] });
      line.loseAnswer();
      const both = await tasks.batchTrigger<typeof project.echo>('echo', [
        { payload: { text: '2' }, options: { delay: '1h', tags: [tag] } },
        { payload: { text: '3' }, options: { delay: '1h', tags: [tag] } },
      ]);
      line.loseAnswer();
      expect.equal((await runs.cancel(handle.id)).id, handle.id);
      expect.equal(line.broken, 3);
      expect.deepEqual(
        new Set(await taggedWith(tag)),
        new Set([handle.id, ...(await batch.retrieve(both.batchId)).runs]),
      );
      expect.equal((await runs.retrieve(handle.id)).status, 'CANCELED');
    },
    { timeoutMs: 60_000 },
  );

  s.case(
    ['T-10', 'T-15'],
    'a batch beyond the rate of its key fails as such, and says when to come again',
    async (c) => {
      const server = await c.startServer({ mode: 'dev', env: { REPOINT_TRIGGER_RATE_LIMIT: '1' } });
      configure({ baseURL: server.url, secretKey: 'tr_dev_limited' });
      c.onCleanup(() => useSdk(c));
      const again = { retry: { maxAttempts: 1 } };
      await runs.list({}, again).catch(() => undefined);
      const error: unknown = await tasks
        .batchTrigger<typeof project.echo>('echo', [{ payload: { text: '1' } }], {}, again)
        .catch((thrown: unknown) => thrown);
      expect(error instanceof BatchTriggerError, String(error));
      expect.deepEqual([error.phase, error.isRateLimited, error.itemCount], ['create', true, 1]);
      // The client adds up to two seconds of its own.
      expect((error.retryAfterMs ?? 0) > 0 && (error.retryAfterMs ?? 0) <= 62_000, `${error.retryAfterMs}`);
    },
  );

  s.case(
    ['T-5', 'T-6', 'T-7'],
    'with an additional key tokens are made by the server: they end at the time that was asked for, one for a trigger counts once',
    async () => {
      const { id } = await tasks.trigger<typeof project.echo>('echo', { text: 'seen' }, { delay: '1h' });
      const end = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 3_600_000);
      const accessToken = 'tr_dev_sk_0123456789abcdefghijklmn';
      const [reads, triggers] = await auth.withAuth({ accessToken }, () =>
        Promise.all([
          auth.createPublicToken({ scopes: { read: { runs: [id] } }, expirationTime: end }),
          auth.createTriggerPublicToken('echo', { expirationTime: '2h' }),
        ]),
      );
      const claims = JSON.parse(Buffer.from(reads.split('.')[1] ?? '', 'base64url').toString()) as { exp: number };
      expect.equal(claims.exp * 1_000, end.getTime());
      await auth.withAuth({ accessToken: reads }, async () => expect.equal((await runs.retrieve(id)).id, id));
      await auth.withAuth({ accessToken: triggers }, async () => {
        await tasks.trigger<typeof project.echo>('echo', { text: 'once' });
        await expect.rejects(tasks.trigger<typeof project.echo>('echo', { text: 'twice' }), /has been used/);
      });
      await runs.cancel(id);
    },
  );

  s.case(
    ['T-20', 'T-25', 'T-46'],
    'runs, tokens and bulk actions are listed in pages, forward and back',
    async (context) => {
      const tag = context.unique('pages');
      const ids: Record<'runs' | 'tokens' | 'actions', string[]> = { runs: [], tokens: [], actions: [] };
      for (let i = 0; i < 5; i++) {
        const run = await tasks.trigger<typeof project.echo>('echo', { text: `${i}` }, { delay: '1h', tags: [tag] });
        ids.runs.unshift(run.id);
        ids.tokens.unshift((await wait.createToken({ tags: [tag] })).id);
        ids.actions.unshift((await runs.bulk.cancel({ runIds: [run.id], name: `${tag} ${i}` })).id);
      }
      for (const id of ids.actions) {
        const ended = await runs.bulk.poll(id, { pollIntervalMs: 30 });
        expect.deepEqual([ended.status, ended.counts], ['COMPLETED', { total: 1, success: 1, failure: 0 }]);
      }
      const lists = {
        runs: () => runs.list({ tag, limit: 2 }),
        tokens: () => wait.listTokens({ tags: [tag], limit: 2 }),
        actions: () => runs.bulk.list({ limit: 2 }),
      };
      for (const kind of ['runs', 'tokens', 'actions'] as const) {
        const idsOf = ({ data }: { data: Array<{ id: string }> }): string[] => data.map(({ id }) => id);
        const first = await lists[kind]();
        const second = await first.getNextPage();
        const third = await second.getNextPage();
        expect.deepEqual(
          [idsOf(first), idsOf(second), idsOf(third)[0], first.hasPreviousPage(), third.hasPreviousPage()],
          [ids[kind].slice(0, 2), ids[kind].slice(2, 4), ids[kind][4], false, true],
          kind,
        );
        const back = await third.getPreviousPage();
        expect.deepEqual([idsOf(back), idsOf(await back.getPreviousPage())], [idsOf(second), idsOf(first)], kind);
      }
    },
  );

  s.case(
    ['T-14', 'T-70', 'T-19'],
    'a run that fails with its child is tried again, each attempt with a child of its own',
    async () => {
      const run = await finished(await tasks.trigger<typeof reference.failsWithItsChild>('fails-with-its-child', {}));
      expect.deepEqual([run.status, run.attemptCount], ['FAILED', 3]);
      expect.deepEqual(
        run.relatedRuns.children?.map((child) => [child.status, child.triggerFunction]),
        Array.from({ length: 3 }, () => ['FAILED', 'triggerAndWait']),
      );
      const payloads: unknown[] = [];
      for (const child of run.relatedRuns.children ?? [])
        payloads.push(((await runs.retrieve(child.id)).payload as { say: string }).say);
      expect.deepEqual(new Set(payloads), new Set(['attempt 1', 'attempt 2', 'attempt 3']));
    },
    { timeoutMs: 60_000 },
  );

  s.case(
    ['T-15', 'T-35', 'T-75'],
    'items of a batch that are debounced to one run share its result, each at its place',
    async (context) => {
      const key = context.unique('key');
      const run = await finished(await tasks.trigger<typeof reference.batchOfDebounced>('batch-of-debounced', { key }));
      expect.equal(run.status, 'COMPLETED', JSON.stringify(run.error));
      const [first, second, another] = run.output as Array<{ ok: boolean; id: string; said: string }>;
      expect.deepEqual([first?.said, second?.said, another?.said], ['first', 'first', 'another']);
      expect.equal(first?.id, second?.id);
      expect.notEqual(first?.id, another?.id);
    },
    { timeoutMs: 60_000 },
  );

  s.case(
    ['T-82', 'T-22'],
    'a task that lets go of a run that it watches leaves it running, where it says so',
    async (context) => {
      const tag = context.unique('left');
      const run = await finished(await tasks.trigger<typeof reference.letsGo>('lets-go', { tag }));
      expect.deepEqual([run.status, run.output], ['COMPLETED', 'let go'], JSON.stringify(run.error));
      const [child] = await taggedWith(tag);
      expect.equal((await runs.poll(child ?? '', { pollIntervalMs: 50 })).output, 'goes on');
    },
    { timeoutMs: 45_000 },
  );

  s.case(
    ['T-15', 'T-16', 'T-75'],
    'a batch of more runs than may be waited for is refused before any of them is there, and says what to do',
    async (context) => {
      const tag = context.unique('many');
      const run = await finished(await tasks.trigger<typeof reference.waitsForTooMany>('waits-for-too-many', { tag }));
      expect(
        /^BatchTriggerError: .*10001.*10000.*several batches/.test(String(run.output)),
        JSON.stringify(run.output),
      );
      expect.deepEqual(await taggedWith(tag), []);
    },
    { timeoutMs: 60_000 },
  );

  s.case(
    ['T-84'],
    'two who watch one batch each see all of its runs to their end',
    async () => {
      const { batchId } = await tasks.batchTrigger<typeof reference.sample>('sample', [
        { payload: { say: 'a', ms: 600 } },
        { payload: { say: 'b', ms: 900 } },
      ]);
      const watch = async (): Promise<unknown[]> => {
        const ended = new Map<string, unknown>();
        for await (const run of runs.subscribeToBatch<typeof reference.sample>(batchId)) {
          if (run.isCompleted) ended.set(run.id, run.output);
          if (ended.size === 2) break;
        }
        return [...ended.values()].sort();
      };
      expect.deepEqual(await Promise.all([watch(), watch()]), [
        ['a', 'b'],
        ['a', 'b'],
      ]);
    },
    { timeoutMs: 45_000 },
  );

  s.case(
    ['T-79', 'T-36'],
    'a run is of the highest version that was deployed under the name that it asks for, unless it asks for a version; it waits for one that is not there yet',
    async (c) => {
      const server = await c.startServer({ mode: 'dev' });
      const accessToken = `tr_prod_ref_${c.environment.triggerProjectRef}`;
      const post = async (path: string, body: object): Promise<{ id: string; version: string }> => {
        const answer = await call({ ...c, url: server.url }, 'POST', path, {
          headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' },
          body: JSON.stringify(body),
        });
        expect.equal(answer.status, 200);
        return (await answer.json()) as { id: string; version: string };
      };
      // What `repoint worker` says of a build, without its workers.
      const deploy = async (contentHash: string, externalId: string): Promise<string> => {
        const { id, version } = await post('/api/v1/deployments', { contentHash, externalId });
        const task = { id: 'work', filePath: 'a.ts', entryPoint: 'a.ts' };
        const metadata = { packageVersion: '4.8.3', contentHash, tasks: [task] };
        await post(`/api/v1/deployments/${id}/background-workers`, { metadata });
        return version;
      };
      const versions = [await deploy('a', 'release-1'), await deploy('b', 'release-1'), await deploy('c', 'release-2')];
      const client = new TriggerClient({ baseURL: server.url, accessToken });
      const versionOf = async (options: object): Promise<string | undefined> => {
        const { id } = await client.tasks.trigger('work', {}, options);
        return (await client.runs.retrieve(id)).version;
      };
      expect.equal(await versionOf({ externalDeploymentId: 'release-1' }), versions[1]);
      expect.equal(await versionOf({ externalDeploymentId: ' release-2 ' }), versions[2]);
      expect.equal(await versionOf({ externalDeploymentId: 'release-2', version: versions[0] }), versions[0]);
      const waiting = await client.tasks.trigger('work', {}, { externalDeploymentId: 'release-3' });
      expect.equal((await client.runs.retrieve(waiting.id)).status, 'PENDING_VERSION');
      await deploy('d', 'release-4');
      expect.equal((await client.runs.retrieve(waiting.id)).status, 'PENDING_VERSION');
      const third = await deploy('e', 'release-3');
      const found = await client.runs.retrieve(waiting.id);
      expect.deepEqual([found.status, found.version], ['QUEUED', third]);
    },
  );
});
