import { auth, configure, runs, tasks, wait } from '@trigger.dev/sdk';
import { expect, suite, type CaseContext } from '../harness/index.ts';
import { furtherEnvironment } from '../harness/further-environment.ts';
import { SDK, useSdk } from './support.ts';

/** The SDK in another environment, until the case ends. */
function useKeys(context: CaseContext, secretKey: string, previewBranch?: string): void {
  configure({ baseURL: context.url, secretKey, ...(previewBranch === undefined ? {} : { previewBranch }) });
  context.onCleanup(() => useSdk(context));
}

async function registerTask(
  context: CaseContext,
  secretKey: string,
  headers: Record<string, string> = {},
): Promise<void> {
  const metadata = {
    packageVersion: '4.8.3',
    contentHash: context.unique('build'),
    tasks: [{ id: 'work', filePath: 'a.ts', entryPoint: 'a.ts' }],
  };
  const response = await fetch(
    `${context.url}/api/v1/projects/${context.environment.triggerProjectRef}/background-workers`,
    {
      method: 'POST',
      headers: { authorization: `Bearer ${secretKey}`, ...headers },
      body: JSON.stringify({ localOnly: true, metadata }),
    },
  );
  expect.equal(response.status, 200);
}

suite({ vendor: 'trigger', name: 'environments', sdk: SDK }, (s) => {
  s.case(
    ['T-2', 'T-4', 'T-5'],
    "a further environment's secret key has runs of its own; its public tokens read them and nothing elsewhere",
    async (context) => {
      const keys = await furtherEnvironment(context.url);
      const secretKey = keys.TRIGGER_SECRET_KEY as string;
      expect.match(secretKey, /^tr_stg_/);
      await registerTask(context, secretKey);
      useKeys(context, secretKey);
      const handle = await tasks.trigger('work', { n: 1 });
      expect.equal((await runs.retrieve(handle.id)).status, 'QUEUED');
      await auth.withAuth({ accessToken: handle.publicAccessToken }, async () => {
        expect.equal((await runs.retrieve(handle.id)).id, handle.id);
      });
      const own = await auth.createPublicToken({ scopes: { read: { runs: [handle.id] } } });
      await auth.withAuth({ accessToken: own }, async () => {
        expect.equal((await runs.retrieve(handle.id)).id, handle.id);
      });
      useSdk(context);
      await expect.rejects(runs.retrieve(handle.id), /404|not found/i);
    },
  );

  s.case(['T-2', 'T-47'], "a wait token's callback address completes it in its own environment", async (context) => {
    const keys = await furtherEnvironment(context.url);
    await registerTask(context, keys.TRIGGER_SECRET_KEY as string);
    useKeys(context, keys.TRIGGER_SECRET_KEY as string);
    const token = await wait.createToken({ timeout: '1h' });
    const answer = await fetch(token.url, { method: 'POST', body: '{"approved":true}' });
    expect.equal(answer.status, 200);
    const { status } = await wait.retrieveToken(token.id);
    expect.equal(status, 'COMPLETED');
  });

  s.case(
    ['T-93'],
    'preview branches are environments under one key: runs and tasks of one are not in another',
    async (context) => {
      const keys = await furtherEnvironment(context.url, 'preview');
      const secretKey = keys.TRIGGER_SECRET_KEY as string;
      const upserted = await fetch(`${context.url}/api/v1/projects/${context.environment.triggerProjectRef}/branches`, {
        method: 'POST',
        headers: { authorization: `Bearer ${keys.TRIGGER_ACCESS_TOKEN as string}` },
        body: JSON.stringify({ env: 'preview', branch: 'feature/one' }),
      });
      expect.equal(upserted.status, 200);
      expect.equal(typeof ((await upserted.json()) as { id: unknown }).id, 'string');
      await registerTask(context, secretKey, { 'x-trigger-branch': 'feature/one' });
      useKeys(context, secretKey, 'feature/one');
      const handle = await tasks.trigger('work', { n: 1 });
      expect.equal((await runs.retrieve(handle.id)).status, 'QUEUED');
      await auth.withAuth({ accessToken: handle.publicAccessToken }, async () => {
        expect.equal((await runs.retrieve(handle.id)).id, handle.id);
      });
      useKeys(context, secretKey, 'feature/two');
      await expect.rejects(runs.retrieve(handle.id), /404|not found/i);
    },
  );
});
