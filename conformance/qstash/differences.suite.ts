import { Client } from '@upstash/qstash';
import { expect, suite } from '../harness/index.ts';
import { call, clientOf, destination } from './support.ts';
import { serveWorkflow } from './workflow-support.ts';

suite({ vendor: 'qstash', name: 'differences', sdk: '@upstash/qstash 2.12.0' }, (s) => {
  s.case(['Q-6', 'Q-58'], 'what is not served answers 501 with a code and does nothing', async (context) => {
    const { url } = await destination(context);
    const unserved: Array<[string, string, string, Record<string, string>]> = [
      ['POST', '/v2/publish/api/llm', 'qstash-api-destination', {}],
      ['POST', '/llm/v1/chat/completions', 'qstash-llm', {}],
    ];
    for (const [method, path, code, headers] of unserved) {
      const response = await call(context, method, path, { headers });
      const answer = (await response.json()) as { error: string; code: string };
      expect.deepEqual([response.status, answer.code], [501, code], `${method} ${path}`);
      expect.equal(typeof answer.error, 'string');
    }
    const stranger = await fetch(`${context.url}/v2/publish/api/llm`, { method: 'POST' });
    expect.equal(stranger.status, 401);
    expect.equal(
      (await clientOf(context).schedules.list()).some((item) => item.destination === url),
      false,
    );
  });

  s.case(
    ['Q-13'],
    'QST-5: bad input in a step fails its run instead of stopping it without a word',
    async (context) => {
      const workflow = await serveWorkflow(context, async (w) => {
        // The type asks for text; an object cannot be delivered.
        await w.call('call', { url: context.url, method: 'POST', body: { not: 'text' } as never });
      });
      const runId = await workflow.trigger();
      expect.equal((await workflow.ended(runId)).workflowState, 'RUN_FAILED');
      const { messages } = await workflow.client.dlq.list({ filter: { workflowRunId: runId } });
      expect.equal(messages[0]?.responseStatus, 489);
      expect.match(messages[0]?.responseBody ?? '', /body is not a string/);
    },
  );

  s.case(['Q-37'], 'QST-10: a message inside a workflow run is not found by its id', async (context) => {
    const workflow = await serveWorkflow(context, async (w) => {
      await w.sleep('nap', '1h');
    });
    const runId = await workflow.trigger();
    await context.clock.idle();
    const steps = (await (await call(context, 'GET', `/v2/workflows/runs/${runId}`)).json()) as Array<{
      messageId: string;
    }>;
    expect.equal(steps.length, 2);
    await expect.rejects(clientOf(context).messages.get(steps[1]?.messageId ?? ''), { status: 404 });
    await workflow.client.cancel(runId);
  });

  s.case(['Q-3', 'Q-4'], 'QST-13: a read-only token reads and does not write', async (context) => {
    const token = btoa('{"UserID":"me","Password":"all"}');
    const readOnly = btoa('{"UserID":"me","Password":"read"}');
    const server = await context.startServer({
      mode: 'production',
      env: {
        QSTASH_TOKEN: token,
        REPOINT_QSTASH_READONLY_TOKEN: readOnly,
        QSTASH_CURRENT_SIGNING_KEY: 'sig_mine',
        QSTASH_NEXT_SIGNING_KEY: 'sig_next',
      },
    });
    const client = new Client({ baseUrl: server.url, token: readOnly, retry: false });
    expect.deepEqual(await client.schedules.list(), []);
    await expect.rejects(client.publish({ url: 'https://example.com', body: 'x' }), { status: 403 });
  });
});
