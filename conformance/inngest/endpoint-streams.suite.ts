import { Inngest } from 'inngest';
import { endpointAdapter } from 'inngest/edge';
import { stream } from 'inngest/experimental/durable-endpoints';
import { fetchWithStream } from 'inngest/experimental/durable-endpoints/client';
import { expect, suite, type CaseContext, type FetchHandler } from '../harness/index.ts';
import { fail } from './apps.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const HOUR_MS = 3_600_000;

interface StepTools {
  run<T>(id: string, body: () => T | Promise<T>): Promise<T>;
  sleep(id: string, time: string): Promise<void>;
}

/** Serves one durable endpoint; answers its address. */
async function serveEndpoint(context: CaseContext, body: (step: StepTools) => Promise<Response>): Promise<string> {
  const { step } = (await import('inngest')) as unknown as { step: StepTools };
  const client = new Inngest({
    id: context.unique('streaming-endpoint'),
    baseUrl: context.url,
    isDev: true,
    logger: quiet,
    endpointAdapter: endpointAdapter.withOptions({}),
  } as never);
  const endpoint = (client as unknown as { endpoint(handler: FetchHandler): FetchHandler }).endpoint.bind(client);
  const handler = endpoint(() => body(step));
  return `${(await context.serveHttp(handler)).url}/flow`;
}

suite({ vendor: 'inngest', name: 'streams of durable endpoints', sdk: 'inngest 4.24.0' }, (s) => {
  s.case(['I-38'], 'a visitor gets what an endpoint pushes, and its answer, in one request', async (context) => {
    const url = await serveEndpoint(context, async (step) => {
      await step.run('a', () => stream.push({ part: 1 }));
      stream.push('two ü');
      return Response.json({ done: true }, { status: 201 });
    });
    const parts: unknown[] = [];
    const answer = await fetchWithStream(url, { onData: ({ data }: { data: unknown }) => void parts.push(data) });
    expect.deepEqual(parts, [{ part: 1 }, 'two ü']);
    expect.deepEqual([answer.status, await answer.json()], [201, { done: true }]);
  });

  s.case(
    ['I-38', 'I-47'],
    'a visitor whose endpoint sleeps goes on with its stream at the server: what was pushed before and after, and the answer',
    async (context) => {
      const url = await serveEndpoint(context, async (step) => {
        await step.run('before', () => stream.push('before'));
        await step.sleep('nap', '1h');
        await step.run('after', () => stream.push('after'));
        return Response.json({ done: true });
      });
      const parts: unknown[] = [];
      let run: string | undefined;
      const answering = fetchWithStream(url, {
        onData: ({ data }: { data: unknown }) => void parts.push(data),
        onMetadata: ({ runId }: { runId: string }) => void (run = runId),
      });
      await context.until(() => parts.length === 1, { what: 'the first part' });
      // The app hands the run over after it has pushed: until then it is not the server that is busy with it.
      await context.until(
        async () => {
          const response = await fetch(new URL(`/v1/runs/${run ?? ''}/jobs`, context.url));
          if (!response.ok) return null;
          const { data } = (await response.json()) as { data: Array<{ kind: string }> };
          return data.some(({ kind }) => kind === 'sleep') ? true : null;
        },
        { what: 'the sleep' },
      );
      await context.clock.advance(HOUR_MS + 1_000);
      const answer = await answering;
      expect.deepEqual(parts, ['before', 'after']);
      expect.equal(answer.status, 200);
      expect.deepEqual(JSON.parse(await answer.text()), { done: true });
      expect.match(run ?? fail('no run was named'), /^[0-9A-Z]{26}$/);
    },
  );
});
