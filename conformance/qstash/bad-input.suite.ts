import { expect, suite } from '../harness/index.ts';
import { call, destination } from './support.ts';

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

  s.case(
    ['Q-6', 'Q-14', 'Q-20', 'Q-21', 'Q-23', 'Q-26', 'Q-34', 'Q-44', 'Q-51', 'Q-52'],
    'each header with each malformed value is refused by its name, and nothing is published',
    async (context) => {
      const app = await destination(context);
      const wrong: Record<string, string[]> = {
        'Upstash-Method': ['TRACE', 'get it', ''],
        'Upstash-Delay': ['soon', '-1s', '10 s s', '1.5.2s'],
        'Upstash-Not-Before': ['tomorrow', '-5', '1e99', ' '],
        'Upstash-Retries': ['many', '-1', '1.5', '0x10', ''],
        'Upstash-Retry-Delay': ['', '1 +', 'retried(', 'process.exit()', 'pow(2)', '1;2', 'x', '('.repeat(3_000)],
        'Upstash-Timeout': ['never', '0', '-3s'],
        'Upstash-Callback': ['', 'not a url', 'ftp://example.com', 'example.com', 'http://'],
        'Upstash-Failure-Callback': ['', 'mailto:a@b', '//example.com'],
        'Upstash-Deduplication-Id': ['', 'x'.repeat(300)],
        'Upstash-Content-Based-Deduplication': ['maybe'],
        'Upstash-Cron': ['every day', '* * * *', '60 * * * *', '* * * * * * *', 'CRON_TZ=Mars/Base 0 0 * * *'],
        'Upstash-Flow-Control-Key': ['with space', 'a/b', ''],
        'Upstash-Label': ['with space', 'a,,b', 'a,b c', ''],
        'Upstash-Redact-Fields': ['everything', 'header[', 'body,nothing'],
        'Upstash-Header-Forward': ['perhaps'],
        'Upstash-Queue-Name': ['a b', ''],
        'Upstash-Schedule-Id': ['a b', ''],
        'Upstash-Workflow-RunId': [''],
      };
      for (const [name, values] of Object.entries(wrong))
        for (const value of values) {
          const response = await call(context, 'POST', `/v2/publish/${app.url}`, {
            headers: { [name]: value },
            body: 'x',
          });
          const { error } = (await response.json()) as { error: string };
          const what = `${name}: ${JSON.stringify(value.slice(0, 40))} -> ${response.status} ${error}`;
          expect.equal(response.status, 400, what);
          expect(error.toLowerCase().includes(name.toLowerCase()), what);
        }
      const flow = [
        '',
        'parallelism',
        'parallelism=0',
        'parallelism=x',
        'rate=-1',
        'rate=1,period=soon',
        'speed=3',
        'period=1s',
      ];
      for (const value of flow) {
        const headers = { 'upstash-flow-control-key': 'k', 'upstash-flow-control-value': value };
        const response = await call(context, 'POST', `/v2/publish/${app.url}`, { headers, body: 'x' });
        const { error } = (await response.json()) as { error: string };
        expect.deepEqual(
          [response.status, error.includes('Upstash-Flow-Control-Value')],
          [400, true],
          `${value}: ${error}`,
        );
      }
      // Options of callbacks are named with their whole name.
      for (const [name, value] of [
        ['Upstash-Callback-Retries', 'x'],
        ['Upstash-Callback-Delay', '1s'],
        ['Upstash-Failure-Callback-Method', 'x'],
        ['Upstash-Failure-Callback-Timeout', 'x'],
        ['Upstash-Callback-Failure-Callback-Retries', 'x'],
      ] as const) {
        const headers = {
          'upstash-callback': app.url,
          'upstash-failure-callback': app.url,
          'upstash-callback-failure-callback': app.url,
          [name]: value,
        };
        const response = await call(context, 'POST', `/v2/publish/${app.url}`, { headers, body: 'x' });
        const { error } = (await response.json()) as { error: string };
        expect.deepEqual([response.status, error.includes(name)], [400, true], `${name}: ${response.status} ${error}`);
      }
      // Above a plan's quota is another answer.
      const quotas: Array<Record<string, string>> = [
        { 'upstash-retries': '1000000' },
        { 'upstash-delay': '400d' },
        { 'upstash-timeout': '3h' },
      ];
      for (const headers of quotas) {
        expect.equal((await call(context, 'POST', `/v2/publish/${app.url}`, { headers, body: 'x' })).status, 412);
      }
      await context.clock.idle();
      expect.equal(app.received.length, 0);
      const logs = await call(context, 'GET', `/v2/logs?url=${encodeURIComponent(app.url)}`);
      expect.deepEqual(((await logs.json()) as { logs: unknown[] }).logs, []);
      const schedules = (await (await call(context, 'GET', '/v2/schedules')).json()) as Array<{ destination: string }>;
      expect.equal(
        schedules.some((schedule) => schedule.destination === app.url),
        false,
      );
    },
  );
});
