import { expect, suite } from '../harness/index.ts';
import type { CaseContext } from '../harness/index.ts';
import { FLAVOURS, fail, startApp } from './apps.ts';

const flavour = FLAVOURS[0] ?? fail('no flavour');
const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const HASH = 'a'.repeat(40);

interface Answer {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

async function send(
  { url }: CaseContext,
  method: string,
  path: string,
  body?: string,
  headers: Record<string, string> = { 'content-type': 'application/json' },
): Promise<Answer> {
  const response = await fetch(new URL(path, url), { method, headers, ...(body === undefined ? {} : { body }) });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
  };
}

/** The vendor's error shape: what the SDK's own schema reads. */
function expectError(answer: Answer, status: number, what: string): void {
  expect.equal(answer.status, status, `${what}: ${JSON.stringify(answer.body)}`);
  expect.equal(typeof answer.body['error'], 'string', what);
  expect.equal(answer.body['status'], status, what);
}

suite({ vendor: 'inngest', name: 'bad input', sdk: 'plain HTTP' }, (s) => {
  s.case(['I-2', 'I-6'], 'an event that is wrong is refused whole', async (context) => {
    const name = context.unique('bad');
    const key = context.environment.inngestEventKey;
    const wrong: Array<[string, string]> = [
      ['not JSON', '{'],
      ['empty body', ''],
      ['a number', '5'],
      ['a text', '"x"'],
      ['null', 'null'],
      ['no name', JSON.stringify({ data: {} })],
      ['an empty name', JSON.stringify({ name: '', data: {} })],
      ['a number as name', JSON.stringify({ name: 5 })],
      ['a reserved name', JSON.stringify({ name: 'inngest/function.finished' })],
      ['a long name', JSON.stringify({ name: 'n'.repeat(600) })],
      ['ts before 1980', JSON.stringify({ name, ts: 5 })],
      ['ts after 2100', JSON.stringify({ name, ts: 9e12 })],
      ['ts as text', JSON.stringify({ name, ts: 'now' })],
      ['a fraction as ts', JSON.stringify({ name, ts: 1760000000000.5 })],
      ['data as list', JSON.stringify({ name, data: [] })],
      ['data as text', JSON.stringify({ name, data: 'x' })],
      ['a number as id', JSON.stringify({ name, id: 7 })],
      ['a list of lists', JSON.stringify([[{ name }]])],
      ['sessions of a wrong kind', JSON.stringify({ name, meta: { sessions: { a: { b: 1 } } } })],
      ['six sessions', JSON.stringify({ name, meta: { sessions: { a: 1, b: 1, c: 1, d: 1, e: 1, f: 1 } } })],
      ['too deep', `{"name":"${name}","data":{"x":${'['.repeat(5_000)}${']'.repeat(5_000)}}}`],
      ['one good, one bad', JSON.stringify([{ name }, { name: '' }])],
    ];
    for (const [what, body] of wrong) {
      const answer = await send(context, 'POST', `/e/${key}`, body);
      expectError(answer, 400, what);
      expect.deepEqual(answer.body['ids'], [], what);
    }
    const many = JSON.stringify(Array.from({ length: 5_001 }, () => ({ name })));
    expectError(await send(context, 'POST', `/e/${key}`, many), 400, '5,001 events');
    const large = JSON.stringify({ name, data: { x: 'x'.repeat(3_200_000) } });
    expectError(await send(context, 'POST', `/e/${key}`, large), 413, 'an event of more than 3 MiB');
    const stored = await send(context, 'GET', `/v1/events?name=${encodeURIComponent(name)}`);
    expect.deepEqual(stored.body['data'], []);
  });

  s.case(['I-1', 'I-3', 'I-7'], 'events in every accepted form, from a browser, sent twice', async (context) => {
    const name = context.unique('good');
    const key = context.environment.inngestEventKey;
    const preflight = await fetch(new URL(`/e/${key}`, context.url), {
      method: 'OPTIONS',
      headers: {
        origin: 'https://example.com',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type',
      },
    });
    expect(preflight.ok);
    expect.equal(preflight.headers.get('access-control-allow-origin'), '*');
    const entropy = Buffer.from(crypto.getRandomValues(new Uint8Array(10))).toString('base64');
    const headers = { 'content-type': 'text/plain', 'x-inngest-event-id-seed': `1760000000000,${entropy}` };
    const body = JSON.stringify([
      { name, data: { n: 1, _inngest: { forged: true } } },
      { name, data: null, user: null, id: null, v: '2', ts: 1_760_000_000_000 },
    ]);
    const first = await send(context, 'POST', `/e/${key}`, body, headers);
    expect.equal(first.status, 200);
    expect.equal(first.body['status'], 200);
    expect.equal(first.headers.get('access-control-allow-origin'), '*');
    const again = await send(context, 'POST', `/e/${key}`, body, headers);
    expect.deepEqual(again.body['ids'], first.body['ids']);
    const form = new URLSearchParams({ name, n: '3' }).toString();
    const posted = await send(context, 'POST', `/e/${key}`, form, {
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect.equal(posted.status, 200);
    const listed = await send(context, 'GET', `/v1/events?name=${encodeURIComponent(name)}&limit=10`);
    const events = listed.body['data'] as Array<{
      internal_id: string;
      data: unknown;
      user: unknown;
      id: string;
      v?: string;
    }>;
    expect.equal(events.length, 3);
    const byId = new Map(events.map((event) => [event.internal_id, event]));
    const [a = '', b = ''] = first.body['ids'] as string[];
    expect.deepEqual(byId.get(a)?.data, { n: 1 });
    expect.equal(byId.get(a)?.id, a);
    expect.deepEqual(byId.get(b)?.user, {});
    expect.equal(byId.get(b)?.v, '2');
    expect.deepEqual(byId.get((posted.body['ids'] as string[])[0] ?? '')?.data, { n: '3' });
    const one = await send(context, 'GET', `/v1/events/${a}`);
    expect.equal((one.body['data'] as { internal_id: string }).internal_id, a);
  });

  s.case(['I-9', 'I-12', 'I-13'], 'a registration that is wrong changes nothing', async (context) => {
    const name = context.unique('go');
    const appName = context.unique('app');
    const fn = (over: object = {}): object => ({
      id: `${appName}-f`,
      name: 'f',
      triggers: [{ event: name }],
      steps: {
        step: { id: 'step', name: 'step', runtime: { type: 'http', url: 'http://127.0.0.1:9/?fnId=f&stepId=step' } },
      },
      ...over,
    });
    const registration = (functions: unknown, over: object = {}): string =>
      JSON.stringify({
        url: 'http://127.0.0.1:9/',
        deployType: 'ping',
        appName,
        functions,
        sdk: 'js:v4.24.0',
        v: '0.1',
        ...over,
      });
    const good = await send(context, 'POST', '/fn/register', registration([fn()]));
    expect.equal(good.status, 200);
    expect.equal(good.body['modified'], true);
    expect.equal((await send(context, 'POST', '/fn/register', registration([fn()]))).body['modified'], false);
    const url = (text: string): object => ({
      steps: { step: { id: 'step', name: 'step', runtime: { type: 'http', url: text } } },
    });
    const wrong: Array<[string, string, number]> = [
      ['not JSON', 'x', 400],
      ['a list', '[]', 400],
      ['no app name', registration([fn()], { appName: '' }), 400],
      ['functions as text', registration('x'), 400],
      ['neither id nor name', registration([fn({ id: '', name: '' })]), 400],
      ['the same id twice', registration([fn(), fn()]), 400],
      ['no step', registration([fn({ steps: {} })]), 400],
      ['a broken URL', registration([fn(url('nowhere'))]), 400],
      ['a URL of another kind', registration([fn(url('file:///etc/passwd'))]), 400],
      ['a broken cron', registration([fn({ triggers: [{ cron: '99 * * * *' }] })]), 400],
      ['seconds in a cron', registration([fn({ triggers: [{ cron: '* * * * * *' }] })]), 400],
      ['an unknown zone', registration([fn({ triggers: [{ cron: 'TZ=Mars/Base 0 3 * * *' }] })]), 400],
      ['event and cron in one', registration([fn({ triggers: [{ event: name, cron: '0 3 * * *' }] })]), 400],
      ['the same trigger twice', registration([fn({ triggers: [{ event: name }, { event: name }] })]), 400],
      [
        'eleven triggers',
        registration([fn({ triggers: Array.from({ length: 11 }, (_, i) => ({ event: `${name}/${i}` })) })]),
        400,
      ],
      ['a broken condition', registration([fn({ triggers: [{ event: name, expression: '((' }] })]), 400],
      ['a negative limit', registration([fn({ concurrency: -1 })]), 400],
      ['a shared limit without key', registration([fn({ concurrency: { limit: 1, scope: 'env' } })]), 400],
      [
        '21 retries',
        registration([
          fn({
            steps: {
              step: {
                id: 'step',
                name: 'step',
                runtime: { type: 'http', url: 'http://127.0.0.1:9/' },
                retries: { attempts: 21 },
              },
            },
          }),
        ]),
        400,
      ],
      [
        'one good, one bad',
        registration([fn({ triggers: [{ event: `${name}/other` }] }), fn({ id: '', name: '' })]),
        400,
      ],
      ['a throttle without a period', registration([fn({ throttle: { limit: 1 } })]), 400],
      ['a throttle of an odd period', registration([fn({ throttle: { limit: 1, period: 'soon' } })]), 400],
      ['a throttle of a bad key', registration([fn({ throttle: { limit: 1, period: '1m', key: 'event.' } })]), 400],
      ['three concurrency limits', registration([fn({ concurrency: [1, 2, 3].map((limit) => ({ limit })) })]), 400],
      ['a policy nobody knows', registration([fn({ gravity: 'low' })]), 501],
    ];
    for (const [what, body, status] of wrong)
      expectError(await send(context, 'POST', '/fn/register', body), status, what);
    expectError(
      await send(context, 'POST', '/fn/register', registration([fn()]), { 'x-inngest-expected-server-kind': 'cloud' }),
      400,
      'another kind of server',
    );
    expect.equal((await send(context, 'POST', '/fn/register', registration([fn()]))).body['modified'], false);
    await send(context, 'POST', '/fn/register', registration([]));
  });

  s.case(['I-35', 'I-78'], 'a checkpoint that is wrong or late changes nothing', async (context) => {
    const name = context.unique('go');
    const leases: string[] = [];
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => (open = resolve));
    const app = await startApp(
      context,
      flavour,
      [
        {
          id: 'held',
          triggers: [{ event: name }],
          body: async ({ step }) => {
            await step.run('a', () => 'mine');
            await opened;
            return await step.run('b', () => 'b');
          },
        },
      ],
      {
        onCall: (request) => void (request.method === 'POST' && leases.push(request.headers.get('x-request-id') ?? '')),
      },
    );
    const { ids } = await app.send({ name });
    const run = await context.until(async () =>
      ((await app.runsOf(ids[0] ?? ''))[0]?.run_id ?? null) && app.calls > 0
        ? (await app.runsOf(ids[0] ?? ''))[0]?.run_id
        : null,
    );
    const qi = leases[0] ?? fail('no lease');
    const path = `/v1/checkpoint/${run}/async`;
    const step = { id: HASH, op: 'StepRun', name: 'x', data: 'forged' };
    const checkpoint = (over: object): string =>
      JSON.stringify({ run_id: run, fn_id: 'f', qi_id: qi, steps: [step], ts: 1, ...over });
    const wrong: Array<[string, string, string, number]> = [
      ['not JSON', path, '{', 400],
      ['null', path, 'null', 400],
      ['no lease', path, checkpoint({ qi_id: undefined }), 400],
      ['a lease of another kind', path, checkpoint({ qi_id: 5 }), 400],
      ['steps as text', path, checkpoint({ steps: 'x' }), 400],
      ['a step without id', path, checkpoint({ steps: [{ op: 'StepRun' }] }), 400],
      ['a sleep', path, checkpoint({ steps: [step, { id: 'b'.repeat(40), op: 'Sleep', name: '1h' }] }), 400],
      ['the end of the run', path, checkpoint({ steps: [{ id: HASH, op: 'RunComplete', data: 1 }] }), 400],
      ['a run id of another form', '/v1/checkpoint/nope/async', checkpoint({}), 400],
      ['an unknown run', `/v1/checkpoint/${ULID}/async`, checkpoint({}), 404],
    ];
    for (const [what, target, body, status] of wrong)
      expectError(await send(context, 'POST', target, body), status, what);
    expectError(await send(context, 'POST', path, checkpoint({ qi_id: 'another', steps: [] })), 409, 'a stale lease');
    const actions = await context.until(async () => {
      const found = (await send(context, 'GET', `/v0/runs/${run}/actions`)).body;
      return Object.keys(found).length > 0 ? found : null;
    });
    expect.deepEqual(Object.values(actions), [{ data: 'mine' }]);
    open();
    const [ended] = await app.ended(ids[0] ?? '');
    expect.equal(ended?.output, 'b');
    expectError(await send(context, 'POST', path, checkpoint({})), 409, 'a run that has ended');
  });

  s.case(['I-65', 'I-64', 'I-21'], 'reads of what is not there, and ids of another form', async (context) => {
    const cases: Array<[string, string, number]> = [
      ['GET', '/v1/events/nope', 400],
      ['GET', `/v1/events/${ULID}`, 404],
      ['GET', '/v1/events/nope/runs', 400],
      ['GET', '/v1/events?limit=x', 400],
      ['GET', '/v1/events?limit=-1', 400],
      ['GET', '/v1/events?cursor=x', 400],
      ['GET', '/v1/events?received_after=yesterday', 400],
      ['GET', '/v1/runs/nope', 400],
      ['GET', `/v1/runs/${ULID}`, 404],
      ['DELETE', '/v1/runs/nope', 400],
      ['DELETE', `/v1/runs/${ULID}`, 404],
      ['GET', '/v0/runs/nope/actions', 400],
      ['GET', `/v0/runs/${ULID}/actions`, 410],
      ['GET', `/v0/runs/${ULID}/batch`, 410],
    ];
    for (const [method, path, status] of cases)
      expectError(await send(context, method, path), status, `${method} ${path}`);
    const runs = await send(context, 'GET', `/v1/events/${ULID}/runs`);
    expect.deepEqual(runs.body['data'], []);
    for (const body of ['', '{', '5', '{"signal":""}', '{"signal":5}']) {
      expectError(await send(context, 'POST', '/v1/signals', body), 400, `signal ${body}`);
    }
    expectError(
      await send(context, 'POST', '/v1/signals', '{"signal":"nobody waits"}'),
      404,
      'a signal nobody waits for',
    );
  });

  s.case(['I-69', 'I-80'], 'what is not served says so in the shape of its API', async (context) => {
    for (const [method, path] of [
      ['GET', '/v1/prom/default'],
      ['POST', '/v0/telemetry'],
    ] as const) {
      const answer = await send(context, method, path, method === 'GET' ? undefined : '{}');
      expectError(answer, 501, `${method} ${path}`);
      expect.equal(answer.body['code'], 'not_implemented');
    }
    const v2 = await send(context, 'GET', '/v2/account');
    expect.equal(v2.status, 501);
    expect.equal((v2.body['errors'] as Array<{ code: string }>)[0]?.code, 'not_implemented');
  });

  s.case(['I-18', 'I-20', 'I-78'], 'an app that misbehaves fails its own run only', async (context) => {
    const name = context.unique('go');
    const good = await startApp(context, flavour, [
      { id: 'good', triggers: [{ event: name }], body: ({ step }) => step.run('a', () => 'fine') },
    ]);
    const answers: Record<string, () => Response | Promise<Response>> = {
      html: () => new Response('<html>hello</html>', { headers: { 'content-type': 'text/html' } }),
      redirect: () => new Response(null, { status: 302, headers: { location: `${context.url}/health` } }),
      empty: () => new Response(null, { status: 204 }),
      operations: () => new Response('[{"op":"Explode","id":"x"}]', { status: 206, headers: { 'x-inngest-sdk': 'x' } }),
      broken: () => new Response('[{"op":', { status: 206, headers: { 'x-inngest-sdk': 'x' } }),
      reset: () => Promise.reject(new Error('reset')),
      large: () => new Response(new Uint8Array(9 * 1_048_576), { headers: { 'x-inngest-sdk': 'x' } }),
    };
    const served = await context.serveHttp((request) => {
      const mode = new URL(request.url).searchParams.get('fnId') ?? '';
      return answers[mode]?.() ?? new Response('?', { status: 404 });
    });
    const appName = context.unique('bad');
    const functions = [...Object.keys(answers), 'missing'].map((mode) => ({
      id: `${appName}-${mode}`,
      name: mode,
      triggers: [{ event: name }],
      steps: {
        step: {
          id: 'step',
          name: 'step',
          runtime: { type: 'http', url: `${served.url}/?fnId=${mode}&stepId=step` },
          retries: { attempts: 0 },
        },
      },
    }));
    const registered = await send(
      context,
      'POST',
      '/fn/register',
      JSON.stringify({ url: served.url, appName, functions, sdk: 'x:v1', v: '0.1', deployType: 'ping' }),
    );
    expect.equal(registered.status, 200);
    const { ids } = await good.send({ name });
    const runs = await good.ended(ids[0] ?? '', functions.length + 1);
    expect.equal(runs.filter((run) => run.status === 'Failed').length, functions.length);
    expect.deepEqual(
      runs.filter((run) => run.status === 'Completed').map((run) => run.output),
      ['fine'],
    );
    for (const run of runs) {
      if (run.status === 'Failed') expect.equal(typeof (run.output as { message: unknown }).message, 'string');
    }
  });

  s.case(['I-18', 'I-64'], 'an app that hangs holds nobody up, and its run can be cancelled', async (context) => {
    const name = context.unique('go');
    const app = await startApp(context, flavour, [
      { id: 'hangs', triggers: [{ event: `${name}/hang` }], body: () => new Promise(() => {}) },
      { id: 'works', triggers: [{ event: name }], body: ({ step }) => step.run('a', () => 'fine') },
    ]);
    const hanging = await app.send({ name: `${name}/hang` });
    await context.until(() => app.calls === 1);
    const working = await app.send({ name });
    expect.equal((await app.ended(working.ids[0] ?? fail('no id')))[0]?.output, 'fine');
    const [run] = await app.runsOf(hanging.ids[0] ?? fail('no id'));
    expect.equal(run?.status, 'Running');
    const cancelled = await send(context, 'DELETE', `/v1/runs/${run?.run_id}`);
    expect.equal(cancelled.status, 200);
    expect.equal((await app.ended(hanging.ids[0] ?? ''))[0]?.status, 'Cancelled');
  });
});
