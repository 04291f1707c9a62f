import { expect, suite } from '../harness/index.ts';
import type { CaseContext, PrivateServer } from '../harness/context.ts';
import type { RunView } from './apps.ts';
import { WORKERS, type Language, type Program, type ProgramOptions, startProgram } from './languages.ts';

/** Workers try again after 1 s, 2 s, 5 s; their requests are given to another 10 s after a broken connection. */
const RECONNECT_MS = 20_000;
const CASE_MS = 60_000;
const FLUSH = { what: 'the flush', timeoutMs: 15_000 };

for (const language of WORKERS) {
  const { sdk, label } = language;
  const skip = language.missing === undefined ? {} : { skip: language.missing };

  suite({ vendor: 'inngest', name: `connect (${label})`, sdk }, (s) => {
    let command: string[] = [];
    s.beforeAll(async () => {
      command = await language.prepare();
    });

    const start = (context: CaseContext, options: Partial<ProgramOptions> & { server: string }): Promise<Program> =>
      startWorker(context, language, command, options);

    s.case(
      ['I-70', 'I-71', 'I-22', 'I-24'],
      'a worker runs functions over its connection: steps, a retry, an event wait, an invocation, a failure',
      async (context) => {
        const server = await context.startServer();
        const worker = await start(context, { server: server.url });
        await connected(context, server, 1);
        const three = await worker.send('three', { n: 20 });
        await context.until(async () => (await worker.ran()).includes('b0'), { what: 'the first attempt' });
        await retry(context, server, async () => (await worker.ran()).includes('b1'));
        const run = await ended(context, worker, three);
        expect.equal(run.status, 'Completed');
        expect.deepEqual(run.output, { a: 20, b: 21, c: 42, text: 'é😀' });
        expect.deepEqual((await worker.ran()).slice(0, 3), ['a', 'b0', 'b1']);
        expect.equal((await worker.ran()).filter((name) => name.startsWith('c')).length, 1);

        const waiting = await worker.send('waiter', { order: 'A' });
        await context.until(async () => (await worker.runsOf(waiting)).length === 1);
        await settled(server);
        await worker.send('answer', { order: 'A', n: 5 });
        expect.equal((await ended(context, worker, waiting)).output, 5);
        expect.deepEqual((await ended(context, worker, await worker.send('parent', { n: 21 }))).output, {
          doubled: 42,
          error: 'negative',
        });
        expect.equal((await ended(context, worker, await worker.send('fan'))).output, 'abc!');
        const never = await ended(context, worker, await worker.send('never'));
        expect.equal(never.status, 'Failed');
        expect.equal((never.output as { message?: string } | null)?.message, 'no use');
      },
      { ...skip, timeoutMs: CASE_MS },
    );

    s.case(
      ['I-70', 'I-71', 'I-9'],
      'an app that moves from HTTP to a connection, and back, takes the runs that are under way along',
      async (context) => {
        const server = await context.startServer();
        const id = context.unique('app');
        const options = { server: server.url, id, events: `${id}/` };
        const overHttp = async (): Promise<Program> => {
          const app = await startProgram(context, command, { ...options, env: { ...language.env } });
          await app.sync();
          return app;
        };
        const first = await overHttp();
        const begun = await first.send('waiter', { order: 'A' });
        await context.until(async () => (await first.runsOf(begun)).length === 1);
        await settled(server);
        await first.stop();
        const worker = await start(context, options);
        await connected(context, server, 1);
        await worker.send('answer', { order: 'A', n: 5 });
        expect.equal((await ended(context, worker, begun)).output, 5);
        const second = await worker.send('waiter', { order: 'B' });
        await context.until(async () => (await worker.runsOf(second)).length === 1);
        await settled(server);
        await worker.stop();
        await connected(context, server, 0);
        const last = await overHttp();
        await last.send('answer', { order: 'B', n: 6 });
        expect.equal((await ended(context, last, second)).output, 6);
      },
      { ...skip, timeoutMs: CASE_MS },
    );

    s.case(
      ['I-71', 'I-75'],
      'who is connected is told by app and group, over HTTP and GraphQL',
      async (context) => {
        const server = await context.startServer();
        await start(context, { server: server.url });
        const [connection] = await connected(context, server, 1);
        const [[app, group] = ['', '']] = Object.entries(connection?.synced_worker_groups ?? {});
        const answer = await fetch(new URL(`/v0/connect/envs/dev/groups/${group}`, server.url));
        const { data } = (await answer.json()) as { data: { app_id: string; synced: boolean } };
        expect.deepEqual([data.app_id, data.synced], [app, true]);
        const query = `query ($apps: [UUID!]) { workerConnections(first: 5, orderBy: [{ field: CONNECTED_AT, direction: DESC }], filter: { appIDs: $apps, status: [READY] }) {
          totalCount pageInfo { hasNextPage } edges { node { id instanceId status appID groupHash functionCount app { externalID } connectedAt } } } }`;
        const told = await fetch(new URL('/v0/gql', server.url), {
          method: 'POST',
          body: JSON.stringify({ query, variables: { apps: [app] }, operationName: '' }),
        });
        const { workerConnections } = ((await told.json()) as { data: { workerConnections: Workers } }).data;
        expect.equal(workerConnections.totalCount, 1);
        const node = workerConnections.edges[0]?.node;
        expect.deepEqual([node?.id, node?.status, node?.appID, node?.groupHash], [connection?.id, 'READY', app, group]);
        expect((node?.functionCount ?? 0) > 3);
      },
      { ...skip, timeoutMs: CASE_MS },
    );

    s.case(
      ['I-70', 'I-14', 'I-15'],
      'cloud mode: a worker with the key is let in, one with another key is not',
      async (context) => {
        const { inngestEventKey: eventKey, inngestSigningKey: signingKey } = context.environment;
        const server = await context.startServer({
          mode: 'production',
          env: { INNGEST_EVENT_KEY: eventKey, INNGEST_SIGNING_KEY: signingKey },
        });
        const keys = { eventKey, signingKey };
        const worker = await start(context, { server: server.url, keys });
        await connected(context, server, 1, { authorization: `Bearer ${signingKey}` });
        const run = await ended(context, worker, await worker.send('child', { n: 4 }));
        expect.equal(run.output, 8);
        const refused = await fetch(new URL('/v0/connect/start', server.url), {
          method: 'POST',
          headers: { authorization: 'Bearer signkey-test-00ff' },
        });
        expect.equal(refused.status, 401);
        expect.equal((await fetch(new URL('/v0/connect/envs/dev/conns', server.url))).status, 401);
      },
      { ...skip, timeoutMs: CASE_MS },
    );

    s.case(
      ['I-16', 'I-71'],
      'a worker that names its branch gets the work of that branch only, and is listed there only',
      async (context) => {
        const server = await context.startServer();
        const id = context.unique('app');
        const events = `${id}/`;
        const branch = await start(context, { server: server.url, id, events, branch: 'Feature X' });
        await connected(context, server, 1, { 'x-inngest-env': 'Feature X' });
        await connected(context, server, 0);
        expect.equal((await ended(context, branch, await branch.send('child', { n: 5 }))).output, 10);
        const main = await start(context, { server: server.url, id, events });
        await connected(context, server, 1);
        expect.equal((await ended(context, main, await main.send('slow', { ms: 1 }))).status, 'Completed');
        expect.deepEqual(await branch.ran(), []);
      },
      { ...skip, timeoutMs: CASE_MS },
    );

    s.case(
      ['I-72'],
      'a worker that is killed in the middle of a step: another one runs it, what was done stays done',
      async (context) => {
        const server = await context.startServer();
        const id = context.unique('app');
        const events = `${id}/`;
        const first = await start(context, { server: server.url, id, events, env: { APP_INSTANCE: 'first' } });
        await connected(context, server, 1);
        const event = await first.send('slow', { ms: 1_500 });
        await context.until(async () => (await first.ran()).includes('slow'), { what: 'the slow step' });
        const second = await start(context, { server: server.url, id, events, env: { APP_INSTANCE: 'second' } });
        await connected(context, server, 2);
        await first.kill9();
        await connected(context, server, 1);
        const run = await ended(context, second, event);
        expect.deepEqual(run.output, ['before', 'second', 'after']);
        expect.deepEqual(await second.ran(), ['slow', 'after']);
      },
      // Its requests are given away only when it has not come back after a while.
      { ...skip, timeoutMs: CASE_MS, slow: label !== 'TypeScript 4' },
    );

    s.case(
      ['I-72'],
      'several workers: each gets as much as it says it can take, the rest waits',
      async (context) => {
        const server = await context.startServer();
        const id = context.unique('app');
        const events = `${id}/`;
        const of = (instance: string, concurrency: string): Promise<Program> =>
          start(context, {
            server: server.url,
            id,
            events,
            env: { APP_INSTANCE: instance, APP_CONCURRENCY: concurrency },
          });
        const [one, two] = [await of('one', '1'), await of('two', '2')];
        await connected(context, server, 2);
        const events5 = await Promise.all([1, 2, 3, 4, 5].map(() => one.send('slow', { ms: 400 })));
        const busy = async (): Promise<[number, number]> => [slowSteps(await one.ran()), slowSteps(await two.ran())];
        await context.until(async () => (await busy()).join() === '1,2', { what: 'both workers at their bounds' });
        const outputs = await Promise.all(events5.map(async (event) => (await ended(context, one, event)).output));
        const ranAt = outputs.map((output) => (output as string[])[1]);
        expect.deepEqual(await busy(), [
          ranAt.filter((instance) => instance === 'one').length,
          ranAt.filter((instance) => instance === 'two').length,
        ]);
        expect.equal(ranAt.length, 5);
        expect(ranAt.includes('one') && ranAt.includes('two'), ranAt.join());
      },
      { ...skip, timeoutMs: CASE_MS },
    );

    s.case(
      ['I-72'],
      'the server is started anew as an operator does it: workers are told, and go on afterwards',
      async (context) => {
        const server = await context.startServer();
        const id = context.unique('app');
        const events = `${id}/`;
        const worker = await start(context, { server: server.url, id, events, env: { APP_INSTANCE: 'one' } });
        await connected(context, server, 1);
        const slow = await worker.send('slow', { ms: 1_000 });
        await context.until(async () => (await worker.ran()).includes('slow'), { what: 'the slow step' });
        await server.restart();
        // What was under way has been answered before the end: it is not made again.
        expect.match(await memos(server, worker, slow), /"data":"one"/);
        await connected(context, server, 1);
        expect.deepEqual((await ended(context, worker, slow)).output, ['before', 'one', 'after']);
        expect.deepEqual(await worker.ran(), ['before', 'slow', 'after']);
      },
      { ...skip, timeoutMs: CASE_MS, slow: label === 'Go' || label === 'Python' },
    );

    s.case(
      ['I-72'],
      'a worker that is told to end finishes what it has; it is gone from the list at once',
      async (context) => {
        const server = await context.startServer();
        const worker = await start(context, { server: server.url, env: { APP_INSTANCE: 'leaving' } });
        await connected(context, server, 1);
        const event = await worker.send('slow', { ms: 700 });
        await context.until(async () => (await worker.ran()).includes('slow'), { what: 'the slow step' });
        await worker.stop();
        await connected(context, server, 0);
        // What it was doing is done and kept; what follows waits for a worker.
        expect.match(await memos(server, worker, event), /"data":"leaving"/);
        expect.equal((await worker.runsOf(event, server.url))[0]?.status, 'Running');
      },
      { ...skip, timeoutMs: CASE_MS },
    );

    s.case(
      ['I-72', 'I-78'],
      'the server is killed while workers are connected: they come back, and every run ends',
      async (context) => {
        const server = await context.startServer();
        const id = context.unique('app');
        const events = `${id}/`;
        const worker = await start(context, { server: server.url, id, events, env: { APP_INSTANCE: 'one' } });
        await connected(context, server, 1);
        const slow = await worker.send('slow', { ms: 1_500 });
        await context.until(async () => (await worker.ran()).includes('slow'), { what: 'the slow step' });
        await server.kill9();
        await server.restart();
        let last = worker;
        if (language.endsWithItsConnection) {
          // Its flush of what it had done comes by HTTP; a supervisor starts the next one.
          await context.until(async () => (await memos(server, worker, slow)).includes('"data":"one"'), FLUSH);
          last = await start(context, { server: server.url, id, events, env: { APP_INSTANCE: 'two' } });
        }
        await connected(context, server, 1);
        if (language.losesReplies) {
          // Nobody tells of it any more: the request runs out after two minutes, and is made again.
          await context.until(async () => (await worker.ran()).includes('slow'));
          await server.clock.advance(121_000);
        }
        const run = await ended(context, last, slow);
        expect.deepEqual(run.output, ['before', 'one', 'after']);
        const ran = [...(await worker.ran()), ...(last === worker ? [] : await last.ran())];
        expect.deepEqual(ran, ['before', 'slow', ...(language.losesReplies ? ['slow'] : []), 'after']);
        expect.equal((await ended(context, last, await last.send('child', { n: 2 }))).output, 4);
      },
      { ...skip, timeoutMs: CASE_MS, slow: label === 'TypeScript 3' || label === 'Python' },
    );
  });
}

/** What the run of an event has kept so far. */
async function memos(server: PrivateServer, worker: Program, event: string): Promise<string> {
  const [run] = await worker.runsOf(event);
  return (await fetch(new URL(`/v0/runs/${run?.run_id}/actions`, server.url))).text();
}

function slowSteps(ran: string[]): number {
  return ran.filter((name) => name === 'slow').length;
}

async function startWorker(
  context: CaseContext,
  language: Language,
  command: string[],
  options: Partial<ProgramOptions> & { server: string },
): Promise<Program> {
  const id = options.id ?? context.unique('app');
  return startProgram(context, command, {
    id,
    events: `${id}/`,
    ...options,
    env: { ...language.env, ...options.env, APP_CONNECT: '1' },
  });
}

interface Connection {
  id: string;
  instance_id: string;
  synced_worker_groups: Record<string, string>;
  status?: number;
}

interface Workers {
  totalCount: number;
  edges: Array<{ node: { id: string; status: string; appID: string; groupHash: string; functionCount: number } }>;
}

/** Waits until so many workers are connected and ready. */
async function connected(
  context: CaseContext,
  server: PrivateServer,
  count: number,
  headers: Record<string, string> = {},
): Promise<Connection[]> {
  return context.until(
    async () => {
      const response = await fetch(new URL('/v0/connect/envs/dev/conns', server.url), { headers });
      const { data } = (await response.json()) as { data: Connection[] };
      return data.length === count && data.every(({ status }) => status === 1) ? data : null;
    },
    { what: `${count} connected workers`, timeoutMs: RECONNECT_MS },
  );
}

async function ended(context: CaseContext, worker: Program, event: string): Promise<RunView> {
  const runs = await context.until(
    async () => {
      const found = await worker.runsOf(event);
      return found.length > 0 && found.every((run) => run.ended_at !== null) ? found : null;
    },
    { what: `the end of the run of ${event}`, timeoutMs: 40_000 },
  );
  expect.equal(runs.length, 1);
  return runs[0] as RunView;
}

/** Time enough for the waits of calls that have just been answered to be there. */
async function settled(server: PrivateServer): Promise<void> {
  for (let i = 0; i < 20; i++) await server.clock.idle();
}

/** Moves the clock past a retry's delay until it has happened: the worker's answer comes in its own time. */
async function retry(context: CaseContext, server: PrivateServer, happened: () => Promise<boolean>): Promise<void> {
  await context.until(
    async () => {
      if (await happened()) return true;
      await server.clock.advance(5_000);
      return null;
    },
    { what: 'the retry', timeoutMs: 20_000 },
  );
}
