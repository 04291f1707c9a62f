import { expect, suite } from '../harness/index.ts';
import { PYTHON_MISSING, preparePython, type PythonApp, type PythonProgram, startPython } from './python.ts';
import { call, destination } from './support.ts';

const skip = PYTHON_MISSING === undefined ? {} : { skip: PYTHON_MISSING };

const STYLES: Array<{ program: PythonProgram; name: string; label: string }> = [
  { program: 'main.py', name: 'python', label: 'Python' },
  { program: 'async_main.py', name: 'python asyncio', label: 'Python, asyncio and FastAPI' },
];

const SDK = 'qstash (Python) 3.4.0, upstash-workflow (Python) 2.0.0';

for (const { program, name, label: style } of STYLES)
  suite({ vendor: 'qstash', name, sdk: SDK }, (s) => {
    let app: PythonApp;
    if (PYTHON_MISSING === undefined)
      s.beforeAll(async (context) => {
        app = await startPython(context, await preparePython(), program);
      });

    s.case(
      ['Q-8', 'Q-9', 'Q-11', 'Q-12', 'Q-29', 'Q-37', 'Q-53', 'Q-54', 'Q-55'],
      `${style}: messages, groups, queues and batches are published, received with their signature, and logged`,
      async (context) => {
        const label = context.unique('py');
        const group = context.unique('py-group');
        const { message_id: messageId } = await app.call<{ message_id: string }>('message.publish', {
          url: `${app.url}/hook`,
          body: 'plain',
          retry_delay: '1000 * (1 + retried)',
          label,
        });
        await app.call('message.publish_json', { url: `${app.url}/hook`, body: { a: 1 } });
        await app.call('url_group.upsert_endpoints', {
          url_group: group,
          endpoints: [{ url: `${app.url}/hook`, name: 'one' }],
        });
        expect.equal((await app.call<{ name: string }>('url_group.get', { url_group: group })).name, group);
        const toGroup = await app.call<Array<{ url: string }>>('message.publish', {
          url_group: group,
          body: 'grouped',
        });
        expect.deepEqual(
          toGroup.map(({ url }) => url),
          [`${app.url}/hook`],
        );
        await app.call('message.enqueue', {
          queue: context.unique('py-queue'),
          url: `${app.url}/hook`,
          body: 'queued',
        });
        const batch = await app.call<unknown[]>('message.batch', {
          messages: [
            { url: `${app.url}/hook`, body: 'b1' },
            { url_group: group, body: 'b2' },
          ],
        });
        expect.equal(batch.length, 2);
        const { received } = await context.until(async () => {
          const seen = await app.seen();
          return seen.received.length >= 6 ? seen : null;
        });
        expect.deepEqual(received.sort(), ['b1', 'b2', 'grouped', 'plain', 'queued', '{"a": 1}'].sort());
        const { logs } = await context.until(async () => {
          const page = await app.call<{
            logs: Array<{ state: string; message_id: string; retry_delay_expression?: string }>;
          }>('log.list', {
            filter: { message_id: messageId },
          });
          return page.logs[0]?.state === 'DELIVERED' ? page : null;
        });
        expect.deepEqual(
          logs.map(({ state }) => state),
          ['DELIVERED', 'ACTIVE', 'CREATED'],
        );
        expect.equal(logs[0]?.retry_delay_expression, '1000 * (1 + retried)');
        const delayed = await app.call<{ message_id: string }>('message.publish', {
          url: `${app.url}/hook`,
          body: 'late',
          delay: '1h',
        });
        const message = await app.call<Record<string, unknown>>('message.get', { message_id: delayed.message_id });
        expect.deepEqual(
          [message.message_id, message.url, message.method, message.max_retries, message.body],
          [delayed.message_id, `${app.url}/hook`, 'POST', 3, 'late'],
        );
        // Ids in a JSON body, as this client sends them.
        expect.equal(await app.call('message.cancel_many', { message_ids: [delayed.message_id] }), 1);
        const cancelled = await app.call<{ logs: Array<{ state: string }> }>('log.list', {
          filter: { message_id: delayed.message_id },
        });
        expect.deepEqual(
          cancelled.logs.map(({ state }) => state),
          ['CANCELED', 'CANCEL_REQUESTED', 'CREATED'],
        );
        await expect.rejects(app.call('message.publish', { url: 'ftp://example.com' }), /QStashError/);
      },
      skip,
    );

    s.case(
      ['Q-41', 'Q-43', 'Q-46', 'Q-47', 'Q-50', 'Q-56'],
      `${style}: queues, schedules, groups, dead letters and flow control are managed`,
      async (context) => {
        const queue = context.unique('py-queue');
        await app.call('queue.upsert', { queue, parallelism: 2 });
        const stored = await app.call<{ name: string; parallelism: number; lag: number; paused: boolean }>(
          'queue.get',
          {
            queue,
          },
        );
        expect.deepEqual([stored.name, stored.parallelism, stored.lag, stored.paused], [queue, 2, 0, false]);
        await app.call('queue.pause', { queue });
        expect.equal((await app.call<{ paused: boolean }>('queue.get', { queue })).paused, true);
        await app.call('queue.delete', { queue });
        await expect.rejects(app.call('queue.get', { queue }), /not found/);

        const schedule = await app.call<string>('schedule.create', {
          destination: `${app.url}/hook`,
          cron: '0 0 1 1 *',
          body: 's',
          retries: 2,
        });
        const view = await app.call<Record<string, unknown>>('schedule.get', { schedule_id: schedule });
        expect.deepEqual(
          [view.schedule_id, view.cron, view.destination, view.retries, view.method],
          [schedule, '0 0 1 1 *', `${app.url}/hook`, 2, 'POST'],
        );
        await app.call('schedule.pause', { schedule_id: schedule });
        expect.equal((await app.call<{ paused: boolean }>('schedule.get', { schedule_id: schedule })).paused, true);
        await app.call('schedule.delete', { schedule_id: schedule });

        const group = context.unique('py-group');
        await app.call('url_group.upsert_endpoints', {
          url_group: group,
          endpoints: [{ url: `${app.url}/a` }, { url: `${app.url}/b` }],
        });
        await app.call('url_group.remove_endpoints', { url_group: group, endpoints: [{ url: `${app.url}/a` }] });
        const endpoints = (await app.call<{ endpoints: Array<{ url: string }> }>('url_group.get', { url_group: group }))
          .endpoints;
        expect.deepEqual(
          endpoints.map(({ url }) => url),
          [`${app.url}/b`],
        );
        await app.call('url_group.delete', { url_group: group });

        const bad = await destination(context, () => new Response('gone', { status: 410 }));
        const { message_id: failing } = await app.call<{ message_id: string }>('message.publish', {
          url: bad.url,
          body: 'x',
          retries: 0,
        });
        const letter = await context.until(async () => {
          const page = await app.call<{ messages: Array<Record<string, unknown>> }>('dlq.list', {
            filter: { message_id: failing },
          });
          return page.messages[0];
        });
        expect.deepEqual([letter.message_id, letter.response_status, letter.response_body], [failing, 410, 'gone']);
        expect.equal(await app.call('dlq.delete_many', { dlq_ids: [letter.dlq_id] }), 1);
        await expect.rejects(app.call('dlq.get', { dlq_id: letter.dlq_id }), /not found/);
        const { current } = await app.call<{ current: string }>('signing_key.get');
        expect.equal(current, context.environment.qstashCurrentSigningKey);
        expect.equal(
          typeof (await app.call<{ parallelism_max: number }>('flow_control.get_global_parallelism')).parallelism_max,
          'number',
        );
      },
      skip,
    );

    s.case(
      ['Q-32', 'Q-35', 'Q-36', 'Q-38', 'Q-48', 'Q-49', 'Q-52'],
      `${style}: duplicates are told, flow control is pinned and paused, callbacks come, and an empty list cancels nothing`,
      async (context) => {
        const key = context.unique('py-key');
        const once = { url: `${app.url}/hook`, body: 'once', delay: '1h', deduplication_id: context.unique('py-once') };
        const first = await app.call<{ message_id: string; deduplicated: boolean }>('message.publish', once);
        expect.equal(first.deduplicated, false);
        expect.deepEqual(await app.call('message.publish', once), { ...first, deduplicated: true });
        const same = { url: `${app.url}/hook`, body: key, delay: '1h', content_based_deduplication: true };
        const { message_id: content } = await app.call<{ message_id: string }>('message.publish', same);
        expect.deepEqual(await app.call('message.publish', same), { message_id: content, deduplicated: true });

        const back = await destination(context);
        await app.call('message.publish', {
          url: `${app.url}/hook`,
          body: 'secret',
          flow_control: { key, parallelism: 3, rate: 5, period: '1m' },
          callback: back.url,
          callback_headers: { 'Forward-X-Back': 'yes' },
          redact: { body: true },
        });
        await context.until(() => back.received.length === 1);
        expect.equal(back.received[0]?.headers.get('x-back'), 'yes');
        expect.equal((JSON.parse(back.received[0]?.body ?? '{}') as { status: number }).status, 200);
        const info = await app.call<Record<string, unknown>>('flow_control.get', { flow_control_key: key });
        expect.deepEqual(
          [info.key, info.parallelism_max, info.rate_max, info.rate_period, info.rate_count, info.is_paused],
          [key, 3, 5, 60, 1, false],
        );
        await app.call('flow_control.pin', { flow_control_key: key, options: { parallelism: 7, rate: 9, period: 30 } });
        await app.call('flow_control.pause', { flow_control_key: key });
        const pinned = await app.call<Record<string, unknown>>('flow_control.get', { flow_control_key: key });
        expect.deepEqual(
          [pinned.parallelism_max, pinned.rate_max, pinned.rate_period, pinned.is_paused],
          [7, 9, 30, true],
        );
        expect.deepEqual([pinned.is_pinned_parallelism, pinned.is_pinned_rate], [true, true]);
        await app.call('flow_control.unpin', { flow_control_key: key, options: { parallelism: true, rate: true } });
        await app.call('flow_control.resume', { flow_control_key: key });
        await app.call('flow_control.reset_rate', { flow_control_key: key });
        const after = await app.call<Record<string, unknown>>('flow_control.get', { flow_control_key: key });
        expect.deepEqual([after.is_paused, after.is_pinned_parallelism, after.rate_count], [false, false, 0]);

        // This client sends an empty list as it is.
        expect.equal(await app.call('message.cancel_many', { message_ids: [] }), 0);
        expect.equal(await app.call('dlq.delete_many', { dlq_ids: [] }), 0);
        await app.call('message.get', { message_id: first.message_id });
        await app.call('message.cancel', { message_id: first.message_id });
        await expect.rejects(app.call('message.get', { message_id: first.message_id }), /not found/);
        expect((await app.call<number>('message.cancel_all')) >= 1);
        await expect.rejects(app.call('message.get', { message_id: content }), /not found/);
      },
      skip,
    );

    s.case(
      ['Q-81', 'Q-60', 'Q-62', 'Q-64', 'Q-66', 'Q-76'],
      `${style}: a workflow whose steps carry their own settings runs, sleeps, calls, retries, and its failure function is called`,
      async (context) => {
        const third = await destination(
          context,
          ({ body, headers }) => new Response(`re ${body} ${headers.get('x-from')}`),
        );
        const start = async (path: string, body: unknown): Promise<string> => {
          const response = await call(context, 'POST', `/v2/publish/${app.url}${path}`, {
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(body),
          });
          return ((await response.json()) as { messageId: string }).messageId;
        };
        const before = (await app.seen()).ran.length;
        const until = Math.floor((await context.clock.now()) / 1000) + 7_200;
        await start('/workflow', { name: 'ada', third: third.url, until });
        await context.until(async () => (await app.seen()).ran.length > before);
        await context.clock.idle();
        expect.equal(third.received.length, 0);
        await context.clock.advance(3_600_000);
        await context.clock.idle();
        // Asleep until a time that the workflow has named.
        expect.equal(third.received.length, 0);
        await context.clock.advance(3_600_000);
        await context.until(() => third.received.length === 1);
        await context.clock.idle();
        // The last step fails once and is tried again.
        await context.clock.advance(60_000);
        const { ran } = await context.until(async () => {
          const seen = await app.seen();
          return seen.ran.length === before + 2 ? seen : null;
        });
        expect.deepEqual(ran.slice(before), ['first', 'last 200 re {"q": "ada"} python']);
        await start('/failing', { order: 7 });
        const { failures } = await context.until(async () => {
          const seen = await app.seen();
          return seen.failures.length === 1 ? seen : null;
        });
        const [[status, response, payload]] = failures as [[number, string, unknown]];
        expect.equal(status, 500);
        expect.match(response, /no such order/);
        expect.deepEqual(payload, { order: 7 });
      },
      { ...skip, timeoutMs: 60_000 },
    );
  });
