import { fileURLToPath } from 'node:url';
import { auth, batch, runs, tasks, wait } from '@trigger.dev/sdk';
import type { Browser, Page } from 'playwright-core';
import { expect, suite, type CaseContext } from '../harness/index.ts';
import { openPage, seenBy, startBrowser } from '../harness/browser.ts';
import type * as project from './project/src/trigger/basic.ts';
import type * as realtime from './project/src/trigger/realtime.ts';
import { finished, seen, useWorker } from './support.ts';

interface ShownRun {
  id: string;
  status: string;
  metadata?: Record<string, unknown>;
  output?: unknown;
  payload?: unknown;
  tags: string[];
  isFinished: boolean;
}

const APP = fileURLToPath(new URL('./hooks-app/app.js', import.meta.url));

/** A component of the page: which hook, with which token, and what the hook takes. */
interface Shown {
  hook: string;
  accessToken: string;
  [prop: string]: unknown;
}

function openHooks(context: CaseContext, opened: Browser, show: Shown[]): Promise<Page> {
  return openPage(context, opened, APP, { baseURL: context.url, show });
}

let browser: Browser | undefined;

async function theBrowser(): Promise<Browser> {
  browser ??= await startBrowser();
  return browser;
}

/** What a hook gave last, once it satisfies. */
async function until<T>(
  context: CaseContext,
  page: Page,
  name: string,
  what: string,
  isReached: (last: T) => boolean,
): Promise<{ all: T[]; last: T }> {
  return context.until(
    async () => {
      const { all, last, error } = await seenBy<T>(page, name);
      if (error !== undefined) throw new Error(`${name}: ${error}`);
      return last !== undefined && isReached(last) ? { all, last } : null;
    },
    { what, timeoutMs: 15_000 },
  );
}

/** A first start of the browser unpacks it. */
const SLOW = { timeoutMs: 60_000 };

suite({ vendor: 'trigger', name: 'hooks in a browser', sdk: '@trigger.dev/react-hooks 4.8.3' }, (s) => {
  s.beforeAll(async (context) => {
    await useWorker(context);
  });
  s.afterAll(async () => {
    await browser?.close();
  });

  s.case(
    ['T-82', 'T-85', 'T-8', 'T-26'],
    'useRealtimeRun shows a run from another origin as it goes on, without what it is told to leave out',
    async (context) => {
      const opened = await theBrowser();
      const { id, publicAccessToken } = await tasks.trigger<typeof realtime.progress>('progress', { steps: 15 });
      const token = { accessToken: publicAccessToken };
      const page = await openHooks(context, opened, [
        { hook: 'run', runId: id, ...token },
        { hook: 'run', name: 'partly', runId: id, skipColumns: ['payload', 'output'], ...token },
        { hook: 'retrieved', runId: id, ...token },
      ]);
      const { all, last } = await until<{ run?: ShownRun }>(
        context,
        page,
        'run',
        'the end of the run',
        ({ run }) => run?.isFinished === true,
      );
      expect.equal(last.run?.status, 'COMPLETED');
      expect.deepEqual(last.run?.output, { steps: 15 });
      const steps = all.flatMap(({ run }) => (run?.metadata?.step === undefined ? [] : [Number(run.metadata.step)]));
      expect.equal(steps.at(-1), 15);
      expect(new Set(steps).size >= 2, `metadata was seen as it changed: ${steps.join(', ')}`);
      expect.deepEqual(
        steps,
        [...steps].sort((a, b) => a - b),
      );
      const partly = await until<{ run?: ShownRun }>(
        context,
        page,
        'partly',
        'the end',
        ({ run }) => run?.isFinished === true,
      );
      expect.equal(partly.last.run?.output, undefined);
      expect.equal(partly.last.run?.payload, undefined);
      await until<{ run?: ShownRun }>(
        context,
        page,
        'retrieved',
        'the end by retrieving',
        ({ run }) => run?.status === 'COMPLETED',
      );
      await page.close();
    },
    SLOW,
  );

  s.case(
    ['T-83', 'T-84', 'T-8'],
    'useRealtimeRunsWithTag and useRealtimeBatch show what starts and ends',
    async (context) => {
      const opened = await theBrowser();
      const tag = context.unique('hooks');
      const before = await finished(
        await tasks.trigger<typeof project.echo>('echo', { text: 'before' }, { tags: [tag] }),
      );
      const started = await batch.trigger<typeof project.echo>(
        [0, 1, 2].map((i) => ({ id: 'echo' as const, payload: { text: `item ${i}` } })),
      );
      const page = await openHooks(context, opened, [
        { hook: 'tag', tag, accessToken: await auth.createPublicToken({ scopes: { read: { tags: [tag] } } }) },
        { hook: 'batch', batchId: started.batchId, accessToken: started.publicAccessToken },
      ]);
      await until<{ runs: ShownRun[] }>(
        context,
        page,
        'tag',
        'the run that was there',
        ({ runs }) => runs.length === 1,
      );
      const after = await tasks.trigger<typeof project.echo>('echo', { text: 'after' }, { tags: [tag] });
      const { last } = await until<{ runs: ShownRun[] }>(context, page, 'tag', 'the new run to end', ({ runs }) =>
        runs.some((run) => run.id === after.id && run.isFinished),
      );
      expect.deepEqual(last.runs.map(({ id }) => id).sort(), [before.id, after.id].sort());
      const items = await until<{ runs: ShownRun[] }>(
        context,
        page,
        'batch',
        'all items to end',
        ({ runs }) => runs.length === 3 && runs.every((run) => run.isFinished),
      );
      const texts = items.last.runs.map(({ output }) => (output as { text: string }).text);
      expect.deepEqual(texts.sort(), ['item 0', 'item 1', 'item 2']);
      await page.close();
    },
    SLOW,
  );

  s.case(
    ['T-86', 'T-87', 'T-8'],
    'useRealtimeStream and useRealtimeRunWithStreams show what a run writes, in order and once',
    async (context) => {
      const opened = await theBrowser();
      const key = 'hooked';
      const { id, publicAccessToken } = await tasks.trigger<typeof realtime.writesStream>('writes-stream', {
        count: 10,
        everyMs: 50,
        key,
      });
      const token = { accessToken: publicAccessToken };
      const page = await openHooks(context, opened, [
        { hook: 'stream', runId: id, stream: key, ...token },
        { hook: 'streams', runId: id, ...token },
      ]);
      const isAll = (parts: unknown[] | undefined): boolean => parts?.length === 11;
      const alone = await until<{ parts?: Array<{ n: number } | string> }>(
        context,
        page,
        'stream',
        'all parts',
        ({ parts }) => isAll(parts),
      );
      const numbers = (alone.last.parts ?? []).map((part) => (typeof part === 'string' ? part : part.n));
      expect.deepEqual(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 'a part']);
      await until<{ run?: ShownRun; streams: Record<string, unknown[]> }>(
        context,
        page,
        'streams',
        'the run and its stream',
        ({ run, streams }) => run?.isFinished === true && isAll(streams[key]),
      );
      await page.close();
    },
    SLOW,
  );

  s.case(
    ['T-4', 'T-7', 'T-8', 'T-46', 'T-49'],
    'a page starts a task, completes a token and sends a run what it waits for',
    async (context) => {
      const opened = await theBrowser();
      const token = await wait.createToken({ timeout: '1h' });
      const approval = await tasks.trigger<typeof project.approval>('approval', { token: token.id });
      const listening = await tasks.trigger<typeof realtime.listens>('listens', {});
      await seen(context, listening.id, 'the task to listen', (run) => run.metadata?.state === 'once');
      const page = await openHooks(context, opened, [
        {
          hook: 'trigger',
          task: 'echo',
          payload: { text: 'from a page' },
          accessToken: await auth.createTriggerPublicToken('echo'),
        },
        { hook: 'token', tokenId: token.id, data: { by: 'the page' }, accessToken: token.publicAccessToken },
        {
          hook: 'input',
          runId: listening.id,
          stream: 'question',
          data: { answer: 'by a page' },
          accessToken: await auth.createPublicToken({ scopes: { write: { inputStreams: listening.id } } } as never),
        },
      ]);
      const { last } = await until<{ handle?: { id: string } }>(
        context,
        page,
        'trigger',
        'a handle',
        ({ handle }) => handle !== undefined,
      );
      const echoed = await finished(last.handle as { id: string });
      expect.equal((echoed.output as { text: string }).text, 'from a page');
      expect.deepEqual((await finished(approval)).output, { ok: true, by: 'the page' });
      await seen(context, listening.id, 'the task to have heard', (run) => run.metadata?.state === 'wait');
      await runs.cancel(listening.id);
      await page.close();
    },
    SLOW,
  );
});
