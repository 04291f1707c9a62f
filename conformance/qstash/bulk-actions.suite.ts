import { expect, suite } from '../harness/index.ts';
import type { CaseContext } from '../harness/index.ts';
import { call, clientOf, destination } from './support.ts';
import { serveWorkflow } from './workflow-support.ts';

interface BulkAction {
  actionId: string;
  kind: string;
  state: string;
  total: number;
  processed: number;
  createdAt: number;
  completedAt: number;
  filter: Record<string, string[]>;
}

async function json<T>(response: Promise<Response>): Promise<T> {
  const answer = await response;
  const text = await answer.text();
  expect(answer.ok, `${answer.status} ${text}`);
  return JSON.parse(text) as T;
}

suite({ vendor: 'qstash', name: 'bulk actions', sdk: 'plain HTTP' }, (s) => {
  const publishTwo = async (context: CaseContext, label: string): Promise<string[]> => {
    const app = await destination(context);
    const client = clientOf(context);
    const ids: string[] = [];
    for (const body of ['one', 'two'])
      ids.push((await client.publish({ url: app.url, body, delay: '1d', label })).messageId);
    return ids;
  };

  s.case(
    ['Q-38', 'Q-39', 'Q-40'],
    'QST-14: a bulk cancel in the background leaves an action that tells what it did, for seven days',
    async (context) => {
      const label = context.unique('bulk');
      const ids = await publishTwo(context, label);
      const started = await context.clock.now();
      const { actionId, cancelled } = await json<{ actionId: string; cancelled: number }>(
        call(context, 'DELETE', `/v2/messages?label=${label}&async=true`),
      );
      expect.equal(cancelled, 2);
      for (const id of ids) expect.equal((await call(context, 'GET', `/v2/messages/${id}`)).status, 404);
      const action = await json<BulkAction>(call(context, 'GET', `/v2/bulkActions/${actionId}`));
      expect(action.createdAt >= started && action.completedAt >= action.createdAt);
      expect.deepEqual(action, {
        actionId,
        kind: 'cancel',
        state: 'FINISHED',
        total: 2,
        processed: 2,
        createdAt: action.createdAt,
        completedAt: action.completedAt,
        filter: { label: [label] },
      });
      // The documentation also says it with a JSON body.
      const other = await json<{ actionId: string }>(
        call(context, 'DELETE', '/v2/messages', { body: JSON.stringify({ label: [label], async: true, count: 5 }) }),
      );
      const first = await json<{ bulkActions: BulkAction[]; cursor?: string }>(
        call(context, 'GET', '/v2/bulkActions?count=1'),
      );
      expect.deepEqual(
        first.bulkActions.map(({ actionId: id, total, filter }) => [id, total, filter]),
        [[other.actionId, 0, { label: [label] }]],
      );
      const second = await json<{ bulkActions: BulkAction[] }>(
        call(context, 'GET', `/v2/bulkActions?count=1&cursor=${first.cursor}`),
      );
      expect.equal(second.bulkActions[0]?.actionId, actionId);
      const running = await json<{ bulkActions: BulkAction[] }>(
        call(context, 'GET', '/v2/bulkActions?state=IN_PROGRESS'),
      );
      expect.deepEqual(running.bulkActions, []);
      expect.equal((await call(context, 'GET', '/v2/bulkActions?state=DONE')).status, 400);
      expect.equal((await call(context, 'GET', '/v2/bulkActions/none')).status, 404);
      expect.equal((await call(context, 'GET', `/v2/workflows/bulkActions/${actionId}`)).status, 404);
      await context.clock.advance(7 * 86_400_000 + 1_000);
      expect.equal((await call(context, 'GET', `/v2/bulkActions/${actionId}`)).status, 404);
    },
  );

  s.case(['Q-78', 'Q-40'], 'workflow runs have bulk actions of their own', async (context) => {
    const label = context.unique('bulk-runs');
    const workflow = await serveWorkflow(context, (w) => w.sleep('long', '1d'));
    await workflow.trigger(undefined, { label });
    const { actionId, cancelled } = await json<{ actionId: string; cancelled: number }>(
      call(context, 'DELETE', `/v2/workflows/runs?label=${label}&workflowUrl=${workflow.url}&async=true`),
    );
    expect.equal(cancelled, 1);
    const { kind, state, total, filter } = await json<BulkAction>(
      call(context, 'GET', `/v2/workflows/bulkActions/${actionId}`),
    );
    expect.deepEqual([kind, state, total], ['cancel', 'FINISHED', 1]);
    expect.deepEqual(filter, { label: [label], workflowUrl: [workflow.url] });
    const { bulkActions } = await json<{ bulkActions: BulkAction[] }>(
      call(context, 'GET', '/v2/workflows/bulkActions'),
    );
    expect.equal(bulkActions[0]?.actionId, actionId);
  });

  s.case(
    ['Q-38', 'Q-39', 'Q-56', 'Q-78'],
    'a bulk request whose ids or filters are empty, or misspelt in its body, acts on nothing',
    async (context) => {
      const label = context.unique('bulk-safe');
      const ids = await publishTwo(context, label);
      const workflow = await serveWorkflow(context, (w) => w.sleep('long', '1d'));
      const runId = await workflow.trigger(undefined, { label });
      const bad = await destination(context, () => new Response('', { status: 400 }));
      await clientOf(context).publish({ url: bad.url, body: 'x', retries: 0, label });
      const letters = async (): Promise<number> =>
        (await json<{ messages: unknown[] }>(call(context, 'GET', `/v2/dlq?label=${label}`))).messages.length;
      await context.until(async () => (await letters()) === 1);
      const attempts: Array<[string, string, string | undefined, number]> = [
        ['DELETE', '/v2/messages', '{"messageIds":[]}', 200],
        ['DELETE', '/v2/messages?messageIds=', undefined, 200],
        ['DELETE', '/v2/messages?label=', undefined, 400],
        ['DELETE', '/v2/messages', '{"labeel":"x"}', 400],
        ['DELETE', '/v2/messages', '{"queueName":{"a":1}}', 400],
        ['DELETE', '/v2/messages', `{"queueName":"${label}"}`, 200],
        ['DELETE', '/v2/dlq', '{"dlqIds":[]}', 200],
        ['DELETE', '/v2/dlq', '{"urll":"x"}', 400],
        ['POST', '/v2/dlq/retry', '{"dlqIds":[]}', 200],
        ['POST', '/v2/dlq/retry', '{"dlqIds":["none"]}', 200],
        ['DELETE', '/v2/workflows/runs', '{"workflowRunIds":[]}', 200],
        ['DELETE', '/v2/workflows/runs', '{"workflowUrls":"x"}', 400],
      ];
      for (const [method, path, body, status] of attempts) {
        const response = await call(context, method, path, body === undefined ? {} : { body });
        const text = await response.text();
        expect.equal(response.status, status, `${method} ${path} ${body}: ${text}`);
        const answer = JSON.parse(text) as { cancelled?: number; deleted?: number; responses?: unknown[] };
        if (status === 200)
          expect.equal(answer.cancelled ?? answer.deleted ?? answer.responses?.length, 0, `${method} ${path} ${body}`);
      }
      for (const id of ids) expect.equal((await call(context, 'GET', `/v2/messages/${id}`)).status, 200);
      expect.equal((await workflow.run(runId)).workflowState, 'RUN_STARTED');
      expect.equal(await letters(), 1);
      // What is known works in a body as in a query.
      expect.deepEqual(
        await json(call(context, 'DELETE', '/v2/messages', { body: JSON.stringify({ label, count: 1 }) })),
        { cancelled: 1 },
      );
      expect.deepEqual(
        await json(call(context, 'DELETE', '/v2/messages', { body: JSON.stringify({ messageIds: ids }) })),
        { cancelled: 1 },
      );
      expect.deepEqual(await json(call(context, 'DELETE', '/v2/workflows/runs', { body: JSON.stringify({ label }) })), {
        cancelled: 1,
      });
    },
  );
});
