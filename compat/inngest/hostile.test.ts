import fc from 'fast-check';
import { Hono } from 'hono';
import { describe, expect, test } from 'vitest';
import type { LeasedCall } from '../../core/model/call.ts';
import type { EnvironmentContext, HttpResult, RouteEnv } from '../../core/ports.ts';
import { TestEngine } from '../../core/testing/harness.ts';
import { NodeSql } from '../../core/testing/node-sql.ts';
import { testCell, testHost } from '../../core/testing/route-host.ts';
import { EXECUTOR, inngestExecutor, inngestRoutes, inngestTranslator } from './index.ts';

const DAY_MS = 86_400_000;
const context: EnvironmentContext = {
  environment: 'default',
  mode: 'dev',
  serverUrl: 'http://server.test',
  wallClockMs: () => Date.UTC(2026, 0, 1),
  vars: {},
} as EnvironmentContext;

const REGISTRATION = {
  url: 'http://app.test/api/inngest',
  appName: 'app',
  functions: ['f', 'g'].map((id) => ({
    id: `app-${id}`,
    name: id,
    triggers: id === 'f' ? [{ event: 'go' }] : [],
    steps: {
      step: {
        id: 'step',
        name: 'step',
        retries: { attempts: 1 },
        runtime: { type: 'http', url: `http://app.test/api/inngest?fnId=app-${id}&stepId=step` },
      },
    },
  })),
};

/** Engine, executor and routes without a network: an app's answers are given by the test. */
class Server {
  readonly t = new TestEngine({ sql: new NodeSql(), translators: { [EXECUTOR]: inngestTranslator } });
  readonly routes = new Hono<RouteEnv>();
  /** Answers of 500 and above, but for what is not served. */
  readonly faults: string[] = [];

  constructor() {
    const host = testHost(context, testCell(this.t.engine));
    this.routes.use(async (c, next) => {
      c.set('host', host);
      await next();
    });
    this.routes.route('/', inngestRoutes());
  }

  async send(method: string, path: string, body?: string): Promise<number> {
    const response = await this.routes.request(path, { method, ...(body === undefined ? {} : { body }) });
    if (response.status >= 500 && response.status !== 501)
      this.faults.push(`${method} ${path} ${body?.slice(0, 300)}: ${response.status} ${await response.text()}`);
    return response.status;
  }

  /** Answers a call as the app would by this HTTP answer. */
  async answer(call: LeasedCall, status: number, headers: Record<string, string>, body: string): Promise<void> {
    await inngestExecutor.request(call, context);
    const outcome = await inngestExecutor.outcome(
      call,
      {
        ok: true,
        status,
        headers: Object.entries(headers),
        body: new TextEncoder().encode(body),
        truncated: false,
        durationMs: 1,
      },
      context,
    );
    this.t.apply({ type: 'report', run: call.run, lease: call.lease, outcome, final: true });
  }
}

const id = fc.constantFrom('a', 'b', 'c', '0737c22d3bfae812339732d14d8c7dbd6dc4e09c', 'step', '');
const text = fc.oneof(
  fc.constantFrom(
    '1h',
    '',
    '2030-01-01T00:00:00Z',
    'app-g',
    'app-nobody',
    'e',
    'http://127.0.0.1:1/',
    'async.data.x == 1',
    '((',
    '900d',
  ),
  fc.string({ maxLength: 8 }),
);
const json = fc.jsonValue({ maxDepth: 2 });
const opts = fc.oneof(
  fc.constant({}),
  json,
  fc.dictionary(
    fc.constantFrom(
      'timeout',
      'duration',
      'event',
      'if',
      'function_id',
      'payload',
      'signal',
      'conflict',
      'url',
      'method',
      'headers',
      'body',
      'format',
      'auth_key',
      'input',
      'fn_slug',
      'target_hashed_id',
      'parallelMode',
      'meta',
    ),
    fc.oneof(text, json),
  ),
);
/** An operation as no SDK would say it, or as one would. */
const opcode = fc.record(
  {
    op: fc.constantFrom(
      'StepRun',
      'Step',
      'StepError',
      'StepFailed',
      'StepPlanned',
      'Sleep',
      'WaitForEvent',
      'InvokeFunction',
      'WaitForSignal',
      'AIGateway',
      'Gateway',
      'RunComplete',
      'SyncRunComplete',
      'RunError',
      'DiscoveryRequest',
      'DeferAdd',
      'DeferAbort',
      'StepNotFound',
      'None',
      'Nonsense',
    ),
    id,
    name: fc.oneof(text, json),
    displayName: text,
    opts,
    data: json,
    error: json,
    metadata: fc.array(json, { maxLength: 2 }),
  },
  { requiredKeys: ['op', 'id'] },
);
/** One that can be read: what an app with its steps in disorder would say. */
const plain = fc.record({
  op: fc.constantFrom(
    'StepRun',
    'StepPlanned',
    'StepError',
    'StepFailed',
    'Sleep',
    'WaitForEvent',
    'InvokeFunction',
    'WaitForSignal',
    'DeferAdd',
  ),
  id: fc.constantFrom('a', 'b', 'c'),
  name: fc.constant('1h'),
  opts: fc.constantFrom(
    { event: 'e', timeout: '1h', signal: 's', function_id: 'app-g', fn_slug: 'app-g' },
    { event: 'e', timeout: '1h', signal: 't', function_id: 'app-nobody', input: [1], parallelMode: 'race' },
  ),
  data: fc.constant(1),
  error: fc.constant({ name: 'Error', message: 'm' }),
});
const answer = fc.record({
  status: fc.constantFrom(206, 206, 206, 200, 201, 204, 302, 400, 404, 500),
  headers: fc.dictionary(
    fc.constantFrom('x-inngest-sdk', 'x-inngest-req-version', 'x-inngest-no-retry', 'retry-after'),
    fc.constantFrom('1', '2', 'true', 'false', 'soon', '999999999', 'x'),
  ),
  body: fc.oneof(
    fc.array(plain, { minLength: 1, maxLength: 3 }).map((ops) => JSON.stringify(ops)),
    fc.array(fc.oneof(opcode, opcode, json), { maxLength: 4 }).map((ops) => JSON.stringify(ops)),
    opcode.map((op) => JSON.stringify(op)),
    json.map((value) => JSON.stringify(value)),
    fc.string({ maxLength: 20 }),
    fc.record({ status: json, headers: json, body: json }).map((value) => ` \n${JSON.stringify(value)}`),
  ),
});

/** Every way to look at the runs. */
async function readAll(server: Server): Promise<void> {
  const { items } = server.t.engine.query({ type: 'runs', limit: 100 });
  expect(items.length).toBeGreaterThan(0);
  for (const run of items) {
    for (const path of [
      `/v1/runs/${run.id}`,
      `/v2/runs/${run.id}/trace?includeOutput=true`,
      `/v0/runs/${run.id}/actions`,
    ])
      expect([200, 410]).toContain(await server.send('GET', path));
  }
}

describe('whatever an app answers', () => {
  test('its run ends once it answers sensibly, and nothing of the server breaks', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(answer, { maxLength: 8 }), async (answers) => {
        const server = new Server();
        const { t } = server;
        expect(await server.send('POST', '/fn/register', JSON.stringify(REGISTRATION))).toBe(200);
        expect(await server.send('POST', '/e/key', '{"name":"go","data":{"n":1}}')).toBe(200);
        const left = [...answers];
        // Every wait is over after the longest one that is allowed; gateway calls and further attempts come between.
        for (let round = 0; round < 12; round++) {
          for (let calls = t.take(); calls.length > 0; calls = t.take())
            for (const call of calls) {
              const next = left.shift() ?? { status: 200, headers: { 'x-inngest-sdk': 'x' }, body: '"end"' };
              await server.answer(call, next.status, { 'x-inngest-sdk': 'x', ...next.headers }, next.body);
            }
          if (round === 0) await readAll(server);
          t.advance(DAY_MS * 40);
        }
        // Those that have ended are forgotten by now.
        const { items } = t.engine.query({ type: 'runs', status: 'running' });
        const stuck = items.map((run) => t.engine.query({ type: 'run-detail', run: run.id })?.pending);
        expect(stuck).toEqual([]);
        expect(server.faults).toEqual([]);
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  test('a thousand and one operations, an answer too large and an operation for an ended run have the vendor’s outcome', async () => {
    const server = new Server();
    const { t } = server;
    await server.send('POST', '/fn/register', JSON.stringify(REGISTRATION));
    const begin = async (): Promise<LeasedCall> => {
      await server.send('POST', '/e/key', '{"name":"go"}');
      return t.one();
    };
    const errorOf = (run: string): { name?: string } =>
      JSON.parse(String(t.engine.query({ type: 'run', run })?.error)) as { name?: string };
    const many = await begin();
    const ops = Array.from({ length: 1_001 }, (_, i) => ({ op: 'StepRun', id: `s${i}`, data: 1 }));
    await server.answer(many, 206, { 'x-inngest-sdk': 'x' }, JSON.stringify(ops));
    expect(errorOf(many.run).name).toBe('InngestErrFunctionOverflowed');
    let large = await begin();
    const answerTooLarge = async (): Promise<void> => {
      const result: HttpResult = {
        ok: true,
        status: 206,
        headers: [['x-inngest-sdk', 'x']],
        body: new Uint8Array(8),
        truncated: true,
        durationMs: 1,
      };
      const outcome = await inngestExecutor.outcome(large, result, context);
      t.apply({ type: 'report', run: large.run, lease: large.lease, outcome, final: true });
    };
    await answerTooLarge();
    expect(t.status(large.run)).toBe('running');
    t.advance(DAY_MS);
    large = t.one();
    await answerTooLarge();
    expect(errorOf(large.run).name).toBe('output_too_large');
    await server.answer(large, 206, { 'x-inngest-sdk': 'x' }, '[{"op":"StepRun","id":"late","data":1}]');
    expect(t.engine.query({ type: 'run-detail', run: large.run })?.steps).toEqual([]);
    const twice = await begin();
    const same = { op: 'StepRun', id: 'one', data: 1 };
    await server.answer(twice, 206, { 'x-inngest-sdk': 'x' }, JSON.stringify([same, { ...same, data: 2 }]));
    expect(t.engine.query({ type: 'run-detail', run: twice.run })?.steps.map(({ data }) => data)).toEqual(['1']);
  });
});

describe('whatever is sent to the server', () => {
  const body = fc.oneof(fc.json({ maxDepth: 4 }), fc.string({ maxLength: 40 }), fc.constant(undefined));
  const event = fc.record(
    {
      name: fc.oneof(text, json),
      data: json,
      user: json,
      ts: json,
      id: json,
      v: json,
      meta: fc.oneof(json, fc.record({ sessions: json, propagated_sessions: json })),
    },
    { requiredKeys: [] },
  );

  test('random events are taken or refused, never failed at', async () => {
    const server = new Server();
    await server.send('POST', '/fn/register', JSON.stringify(REGISTRATION));
    await fc.assert(
      fc.asyncProperty(fc.oneof(event, fc.array(fc.oneof(event, json), { maxLength: 3 }), json), async (value) => {
        expect([200, 400, 413]).toContain(await server.send('POST', '/e/key', JSON.stringify(value)));
        expect(server.faults).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test('random bodies at every route are refused in order', async () => {
    const server = new Server();
    await server.send('POST', '/fn/register', JSON.stringify(REGISTRATION));
    await server.send('POST', '/e/key', '{"name":"go"}');
    const call = server.t.one();
    const run = call.run;
    const paths: Array<[string, string]> = [
      ['POST', '/fn/register'],
      ['POST', `/v1/checkpoint/${run}/async`],
      ['POST', '/v1/checkpoint'],
      ['POST', `/v1/checkpoint/${run}/steps`],
      ['POST', '/v1/signals'],
      ['POST', '/v1/cancellations'],
      ['POST', `/v1/runs/${run}/metadata`],
      ['POST', '/v1/traces/userland'],
      ['POST', '/v0/gql'],
      ['POST', '/invoke/app-f'],
      ['POST', '/v2/apps/app/functions/f/invoke'],
      ['POST', `/v2/runs/${run}/rerun`],
      ['POST', `/v2/runs/${run}/scores`],
      ['POST', '/v2/events'],
      ['GET', '/v2/runs?limit=x'],
      ['GET', '/v1/events?limit=-1'],
    ];
    const shaped = fc.oneof(
      fc
        .record({
          query: fc.oneof(
            fc.string(),
            fc.constantFrom('{ functions { id app { functions { id } } } }', '{ runs(first: -1) { totalCount } }'),
          ),
        })
        .map((value) => JSON.stringify(value)),
      fc
        .record({ qi_id: fc.constant(call.lease), steps: fc.array(fc.oneof(opcode, json), { maxLength: 3 }) })
        .map((value) => JSON.stringify(value)),
      fc.record({ steps: fc.array(opcode, { maxLength: 3 }) }).map((value) => JSON.stringify(value)),
      fc
        .record({ fromStep: fc.record({ stepId: text, input: json }, { requiredKeys: [] }) })
        .map((value) => JSON.stringify(value)),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), fc.oneof(body, shaped), async ([method, path], sent) => {
        await server.send(method, path, method === 'GET' ? undefined : sent);
        expect(server.faults).toEqual([]);
      }),
      { numRuns: 600 },
    );
  }, 60_000);
});
