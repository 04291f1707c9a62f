import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, suite } from '../harness/index.ts';
import type { RunView } from './apps.ts';

const APP = fileURLToPath(new URL('traced-app/main.ts', import.meta.url));

interface Step {
  name: string;
  stepOp: string | null;
  isUserland: boolean;
  childrenSpans: Array<{
    name: string;
    status: string;
    isUserland: boolean;
    userlandSpan: { spanAttrs: string } | null;
  }>;
}

async function stepsOf(url: string, run: string): Promise<Step[]> {
  const query = `query ($run: String!) { runTrace(runID: $run) { childrenSpans {
    name stepOp isUserland childrenSpans { name status isUserland userlandSpan { spanAttrs } } } } }`;
  const response = await fetch(new URL('/v0/gql', url), {
    method: 'POST',
    body: JSON.stringify({ query, variables: { run } }),
  });
  const { data } = (await response.json()) as { data: { runTrace: { childrenSpans: Step[] } } };
  return data.runTrace.childrenSpans;
}

suite({ vendor: 'inngest', name: 'extended traces', sdk: 'inngest 4.24.0' }, (s) => {
  s.case(
    ['I-45'],
    'the spans that the SDK’s extended tracing exports are shown in the trace, under the step that made them',
    async (context) => {
      const exported: Array<{ status: number; body: string }> = [];
      // Between the app and the server, to see what the exporter is answered.
      const between = await context.serveHttp(async (request) => {
        const url = new URL(request.url);
        const body = await request.text();
        const answer = await fetch(new URL(url.pathname + url.search, context.url), {
          method: request.method,
          headers: {
            'content-type': request.headers.get('content-type') ?? 'application/json',
            authorization: request.headers.get('authorization') ?? '',
          },
          ...(body === '' ? {} : { body }),
        });
        if (url.pathname === '/v1/traces/userland') exported.push({ status: answer.status, body });
        return new Response(await answer.text(), {
          status: answer.status,
          headers: { 'content-type': answer.headers.get('content-type') ?? 'application/json' },
        });
      });
      const name = context.unique('traced');
      const child = spawn(process.execPath, [APP, context.unique('app'), name], {
        env: { ...process.env, INNGEST_DEV: between.url, OTEL_BSP_SCHEDULE_DELAY: '100' },
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      context.onCleanup(() => child.stdin.end());
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
      const url = await context.until(() => /listening on (\S+)/.exec(output)?.[1] ?? null, {
        what: 'the app',
        timeoutMs: 20_000,
      });
      expect.equal((await fetch(url, { method: 'PUT' })).status, 200);
      const sent = await fetch(new URL('/e/key', context.url), { method: 'POST', body: JSON.stringify({ name }) });
      const [event] = ((await sent.json()) as { ids: string[] }).ids;
      const run = await context.until(
        async () => {
          const { data } = (await (await fetch(new URL(`/v1/events/${event}/runs`, context.url))).json()) as {
            data: RunView[];
          };
          return data[0]?.status === 'Completed' ? data[0] : null;
        },
        { what: 'the run' },
      );
      const one = await context.until(() => exported.find(({ body }) => body.includes('inside the step')) ?? null, {
        what: 'the export of the span',
      });
      expect.equal(one.status, 200);
      expect.equal(one.body.includes('colour'), true);
      const steps = await context.until(
        async () => {
          const shown = await stepsOf(context.url, run.run_id);
          return shown.some(({ childrenSpans }) => childrenSpans.length > 0) ? shown : null;
        },
        { what: 'the span in the trace' },
      );
      const work = steps.find(({ name }) => name === 'work');
      expect.equal(work?.stepOp, 'RUN');
      expect.deepEqual(
        work?.childrenSpans.map(({ name, isUserland, status, userlandSpan }) => ({
          name,
          isUserland,
          status,
          attributes: JSON.parse(userlandSpan?.spanAttrs ?? 'null') as unknown,
        })),
        [{ name: 'inside the step', isUserland: true, status: 'COMPLETED', attributes: { colour: 'red' } }],
      );
      expect.deepEqual(
        steps.filter(({ isUserland }) => isUserland).map(({ name }) => name),
        [],
      );
    },
    { timeoutMs: 60_000 },
  );
});
