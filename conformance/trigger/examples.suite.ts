import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runs } from '@trigger.dev/sdk';
import { endWithUs } from '../harness/end-with-us.ts';
import { expect, suite, type CaseContext } from '../harness/index.ts';
import { finished, SDK, seen, useSdk } from './support.ts';
import { startWorker } from './worker.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));

/** A server of its own with the example's worker, and its app as a process; both end with the case. */
async function startExample(context: CaseContext, name: string): Promise<{ context: CaseContext; app: string }> {
  const server = await context.startServer({ mode: 'dev' });
  const source = path.join(EXAMPLES, name);
  const { triggerAccessToken } = context.environment;
  const worker = await startWorker({
    url: server.url,
    project: `proj_${name}`,
    accessToken: triggerAccessToken,
    source,
  });
  context.onCleanup(() => worker.stop());
  const child = spawn(process.execPath, ['app.ts'], {
    cwd: source,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, PORT: '0', TRIGGER_API_URL: server.url, TRIGGER_SECRET_KEY: 'tr_dev_example' },
  });
  endWithUs(child);
  context.onCleanup(() => child.kill());
  let said = '';
  child.stdout.on('data', (data: Buffer) => (said += data.toString()));
  const app = await context.until(() => /listening on (\S+)/.exec(said)?.[1] ?? null, { what: 'the app to listen' });
  const here = { ...context, url: server.url, clock: server.clock };
  useSdk(here);
  context.onCleanup(() => useSdk(context));
  return { context: here, app };
}

suite({ vendor: 'trigger', name: 'examples', sdk: SDK }, (s) => {
  s.case(
    ['T-15', 'T-27', 'T-38', 'T-70', 'T-82'],
    'the video pipeline: four renditions by two encoders, one of them made again, and a page that is told of each',
    async (outer) => {
      const { context, app } = await startExample(outer, 'trigger-video-pipeline');
      expect.match(await (await fetch(app)).text(), /Video pipeline/);
      const started = await fetch(`${app}/videos`, { method: 'POST' });
      const { id, videoId } = (await started.json()) as { id: string; videoId: string };
      const events = (await (await fetch(`${app}/videos/${id}`, { signal: context.signal })).text())
        .split('\n\n')
        .filter((event) => event.startsWith('data: '))
        .map((event) => JSON.parse(event.slice(6)) as { status: string; metadata?: { phase: string; done: number } });
      const last = events.at(-1);
      expect.deepEqual([last?.status, last?.metadata?.phase, last?.metadata?.done], ['COMPLETED', 'published', 4]);
      const counts = events.map((event) => event.metadata?.done ?? 0);
      expect.deepEqual(
        counts,
        [...counts].sort((a, b) => a - b),
      );
      expect(new Set(counts).size > 2, `the page saw ${counts.join(' ')}`);
      const run = await finished({ id });
      expect.deepEqual(run.output, {
        videoId,
        files: ['1080p', '720p', '480p', 'audio'].map((format) => `${videoId}-${format}.mp4`),
      });
      const children = await runs.list({ tag: `video_${videoId}`, taskIdentifier: 'encode' });
      const attempts = await Promise.all(
        children.data.map(async (child) => (await runs.retrieve(child.id)).attemptCount),
      );
      expect.deepEqual([...attempts].sort(), [1, 1, 1, 2]);
    },
    { timeoutMs: 120_000 },
  );

  s.case(
    ['T-46', 'T-47', 'T-48', 'T-26'],
    'the approval: by a page, refused at the address of the token, and never looked at',
    async (outer) => {
      const { context, app } = await startExample(outer, 'trigger-approval');
      const write = async (title: string, within?: string): Promise<{ id: string; url: string }> => {
        const answer = await fetch(`${app}/posts`, { method: 'POST', body: JSON.stringify({ title, within }) });
        const { id } = (await answer.json()) as { id: string };
        const run = await seen(context, id, 'the review', (found) => found.metadata?.review !== undefined);
        const review = run.metadata?.review as { url: string } | undefined;
        return { id, url: review?.url ?? '' };
      };
      const [liked, disliked, forgotten] = [await write('one'), await write('two'), await write('three', '2m')];
      expect.match(await (await fetch(`${app}/posts/${liked.id}`)).text(), /Written by a machine/);
      await fetch(`${app}/posts/${liked.id}`, { method: 'POST', body: JSON.stringify({ approved: true, by: 'Ada' }) });
      expect.deepEqual((await finished(liked)).output, { published: true, by: 'Ada' });
      await fetch(disliked.url, {
        method: 'POST',
        body: JSON.stringify({ approved: false, by: 'Bob', note: 'too long' }),
      });
      expect.deepEqual((await finished(disliked)).output, { published: false, by: 'Bob', reason: 'too long' });
      await context.clock.advance(121_000);
      const expired = await finished(forgotten);
      expect.deepEqual(expired.output, { published: false, reason: 'nobody looked at it in time' });
      expect.equal(expired.metadata?.state, 'expired');
    },
    { timeoutMs: 120_000 },
  );
});
