import { expect, suite } from '../harness/index.ts';
import { call } from './support.ts';

const PATHS = [
  ...[
    '/v2/publish/',
    '/v2/publish/http://',
    '/v2/publish/%E0%A4%A',
    '/v2/publish/http://127.0.0.1:9/?%ZZ=1&upstash-delay=%ZZ',
  ],
  ...[
    '/v2/enqueue/q',
    '/v2/enqueue/q%/http://127.0.0.1:9',
    '/v2/batch',
    '/v2/messages',
    '/v2/messages/%',
    '/v2/messages/msg_',
  ],
  ...[
    '/v2/logs?cursor=%&count=abc',
    '/v2/logs?count=-1',
    '/v2/logs?fromDate=x',
    '/v2/queues',
    '/v2/queues/%00',
    '/v2/queues/x/pause',
  ],
  ...['/v2/schedules/x', '/v2/schedules/x/pause', '/v2/topics/x/endpoints', '/v2/topics/%/endpoints'],
  ...['/v2/dlq?count=1e9', '/v2/dlq?cursor=%00', '/v2/dlq/x', '/v2/dlq/retry', '/v2/dlq/retry/x'],
  ...[
    '/v2/flowControl/%',
    '/v2/flowControl/x/pin?parallelism=x',
    '/v2/flowControl/x/unpin',
    '/v2/trigger/',
    '/v2/wait/e',
    '/v2/wait/%0a',
  ],
  ...[
    '/v2/notify/e',
    '/v2/notify/%0a',
    '/v2/notify/r/e',
    '/v2/waiters/%',
    '/v2/workflows/runs',
    '/v2/workflows/runs/wfr_x?cancel=true',
  ],
  ...['/v2/workflows/runs/wfr_x', '/v2/workflows/logs?groupBy=workflowRunId&count=x', '/v2/workflows/hooks/u/r/%'],
  ...['/v2/workflows/dlq/restart', '/v2/workflows/dlq/resume', '/v2/workflows/dlq/callback/x', '/v2/keys/x'],
];
const BODIES = [
  ...[
    '',
    '{',
    '1',
    'null',
    '[null]',
    '[{"destination":1}]',
    '[{"destination":"http://127.0.0.1:9","headers":{"a":{}}}]',
  ],
  '[{"destination":"http://127.0.0.1:9","headers":{"upstash-workflow-runid":"wfr_a"},"body":"{}"}]',
  '[{"destination":"http://127.0.0.1:9","headers":{"upstash-workflow-runid":"wfr_a","upstash-workflow-init":"true","upstash-workflow-invoke":"true"},"body":"{}"}]',
  ...[
    '{"endpoints":[{"url":5}]}',
    '{"messageIds":5}',
    '{"dlqIds":["x"]}',
    '{"queueName":5}',
    '{"url":"x","timeout":"zz","step":{}}',
  ],
];
const HEADERS: Array<Record<string, string>> = [
  {},
  { 'upstash-workflow-runid': 'wfr_q' },
  { 'upstash-cron': 'x', 'upstash-delay': '9'.repeat(30) },
  { 'upstash-retry-delay': '('.repeat(2000) },
];

suite({ vendor: 'qstash', name: 'bad input', sdk: '@upstash/qstash 2.12.0' }, (s) => {
  s.case(
    ['Q-6', 'Q-85'],
    'whatever is sent to any route, the answer is JSON and never a failure of the server',
    async (context) => {
      const statuses = new Map<number, number>();
      for (const path of PATHS) {
        const requests = ['POST', 'DELETE', 'PATCH'].flatMap((method) =>
          BODIES.map((body, i) => ({ method, body, headers: HEADERS[i % HEADERS.length] ?? {} })),
        );
        await Promise.all(
          requests.map(async ({ method, body, headers }) => {
            const response = await call(context, method, path, { body, headers });
            const text = await response.text();
            const what = `${method} ${path} ${body}: ${response.status} ${text.slice(0, 200)}`;
            statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
            expect(response.status < 500 || response.status === 501, what);
            const answer = JSON.parse(text) as { error?: string };
            if (response.status >= 400) expect.equal(typeof answer.error, 'string', what);
          }),
        );
      }
      context.log(JSON.stringify([...statuses]));
      expect((statuses.get(400) ?? 0) > 100);
    },
  );
});
