import { AsyncLocalStorage } from 'node:async_hooks';
import { Inngest, NonRetriableError, RetryAfterError } from 'inngest';
import { serve } from 'inngest/edge';
import { Inngest as Inngest3 } from 'inngest3';
import { serve as serve3 } from 'inngest3/edge';
import canonicalize from 'canonicalize';
import { describe, expect, test } from 'vitest';
import type { LeasedCall, Op, StepEntry } from '../../core/model/call.ts';
import type { EnvironmentContext } from '../../core/ports.ts';
import { inngestExecutor } from './executor.ts';
import { writeMeta } from './step-meta.ts';

// Both versions keep their async context under one global symbol, each in its own shape; in one process it has to be both.
const storage = new AsyncLocalStorage();
Object.assign(globalThis, {
  [Symbol.for('inngest:als')]: Object.assign(Promise.resolve(storage), {
    promise: Promise.resolve(storage),
    resolved: storage,
    isFallback: false,
  }),
});

const KEY = 'signkey-test-0123456789abcdef0123456789abcdef';
const NOW = 1_760_000_000_000;
const EVENT = '{"data":{"n":1},"id":"e1","name":"test/go","ts":1760000000000,"user":{}}';
type Handler = (request: Request) => Promise<Response>;

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

function contextWith(vars: Record<string, string> = {}): EnvironmentContext {
  return { mode: 'dev', environment: 'default', serverUrl: 'http://127.0.0.1:1', wallClockMs: () => Date.now(), vars };
}

function leased(over: Partial<LeasedCall> = {}): LeasedCall {
  const data = {
    slug: 'app-f',
    id: '0b2a1ad5-6c1c-8c3f-9d2e-000000000000',
    app: 'app',
    appId: 'x',
    url: 'http://app.test/api/inngest?fnId=app-f&stepId=step',
    crons: [],
  };
  return {
    lease: 'lease-1',
    run: '01K72M2G000000000000000000',
    alias: null,
    runCreatedAt: NOW,
    runDueAt: NOW,
    key: '',
    attempt: 0,
    maxAttempts: 5,
    dueAt: NOW,
    leasedAt: NOW,
    task: { id: 'inngest/app-f', version: 1, executor: 'inngest', data: JSON.stringify(data) },
    input: null,
    meta: null,
    scheduledAt: null,
    callData: null,
    callMeta: null,
    callSeq: 0,
    seq: 0,
    events: [
      {
        id: '01K72M2G000000000000000001',
        dedupeId: null,
        name: 'test/go',
        ts: NOW,
        receivedAt: NOW,
        body: EVENT,
        runs: [],
      },
    ],
    steps: [],
    pending: [],
    labels: [],
    ...over,
  };
}

function stepEntry(key: string, data: string, over: Partial<StepEntry> = {}): StepEntry {
  return { seq: 1, atMs: NOW, key, source: 'call', error: false, data, meta: writeMeta({ v: 2 }), from: null, ...over };
}

/** One call through the SDK's own handler. */
async function exchange(
  handler: Handler,
  call: LeasedCall,
  context = contextWith(),
): Promise<{ ops: Op[]; body: string; headers: Array<[string, string]> }> {
  const request = await inngestExecutor.request(call, context);
  if ('skip' in request) throw new Error('skipped');
  const response = await handler(
    new Request(request.url, {
      method: request.method,
      headers: [...request.headers, ['host', 'app.test']],
      body: request.body as string,
    }),
  );
  const outcome = await inngestExecutor.outcome(
    call,
    {
      ok: true,
      status: response.status,
      headers: [...response.headers],
      body: new Uint8Array(await response.arrayBuffer()),
      truncated: false,
      durationMs: 5,
    },
    context,
  );
  return { ops: outcome.ops, body: request.body as string, headers: request.headers };
}

// Types of the two versions differ in how a function is made; what it does is the same.
interface Tools {
  run(id: string, body: () => unknown): Promise<unknown>;
  sleep(id: string, time: string): Promise<void>;
  sleepUntil(id: string, time: string): Promise<void>;
  waitForEvent(id: string, options: { event: string; timeout: string; if?: string; match?: string }): Promise<unknown>;
  invoke(id: string, options: { function: unknown; data?: unknown }): Promise<unknown>;
  sendSignal?(id: string, options: unknown): Promise<unknown>;
}
type Body = (context: {
  step: Tools;
  event: { data: Record<string, unknown> };
  attempt: number;
  runId: string;
}) => unknown;

function v4(body: Body, options: { checkpointing?: boolean; cloud?: boolean } = {}): Handler {
  const client = new Inngest({
    id: 'app',
    isDev: !options.cloud,
    checkpointing: options.checkpointing ?? false,
    logger: quiet,
    ...(options.cloud ? { signingKey: KEY, baseUrl: 'http://127.0.0.1:1' } : {}),
  });
  const fn = client.createFunction({ id: 'f', triggers: [{ event: 'test/go' }] }, body as never);
  return serve({ client, functions: [fn] }) as Handler;
}

function v3(body: Body): Handler {
  const client = new Inngest3({ id: 'app', isDev: true, logger: quiet });
  const fn = client.createFunction({ id: 'f' }, { event: 'test/go' }, body as never);
  return serve3({ client, functions: [fn] }) as Handler;
}

const SDKS = [
  ['SDK 4', v4],
  ['SDK 3', v3],
] as const;

describe.each(SDKS)('%s', (name, make) => {
  test('a step runs, its memo is found, the run completes with the result', async () => {
    const handler = make(async ({ step, event }) => {
      const a = (await step.run('one', () => ({ z: 1, a: event.data['n'] }))) as { a: number };
      return { got: a.a };
    });
    const first = await exchange(handler, leased());
    expect(first.body).toBe(canonicalize(JSON.parse(first.body)));
    const step = first.ops[0];
    expect(first.ops).toHaveLength(1);
    if (step?.op !== 'step') throw new Error(`expected a step, got ${JSON.stringify(first.ops)}`);
    expect(step).toMatchObject({ op: 'step', data: '{"a":1,"z":1}', again: 'each' });
    const second = await exchange(
      handler,
      leased({ steps: [stepEntry(step.key, step.data as string, { meta: step.meta ?? null })] }),
    );
    expect(second.body).toBe(canonicalize(JSON.parse(second.body)));
    expect((JSON.parse(second.body) as { version: number }).version).toBe(name === 'SDK 4' ? 2 : 1);
    expect(second.ops).toEqual([{ op: 'complete', output: '{"got":1}' }]);
  });

  test('a step that throws is retried under its own key', async () => {
    const handler = make(({ step }) =>
      step.run('one', () => {
        throw new Error('no');
      }),
    );
    const { ops } = await exchange(handler, leased());
    expect(ops).toMatchObject([{ op: 'fail', retry: 'policy' }]);
    const fail = ops[0];
    if (fail?.op !== 'fail') throw new Error('expected a failure');
    expect(fail.memoKey).toMatch(/^[0-9a-f]{40}$/);
    expect(JSON.parse(fail.error as string)).toMatchObject({ name: 'Error', message: 'no' });
  });

  test('a function that throws fails by policy, on the last attempt and with NonRetriableError for good', async () => {
    const handler = make(() => {
      throw new Error('broken');
    });
    expect((await exchange(handler, leased())).ops).toMatchObject([{ op: 'fail', retry: 'policy' }]);
    const final = make(() => {
      throw new NonRetriableError('never');
    });
    const { ops } = await exchange(final, leased());
    expect(ops).toMatchObject([{ op: 'fail', retry: 'never' }]);
    expect(JSON.parse((ops[0] as { error: string }).error)).toMatchObject({ message: 'never' });
  });

  test('RetryAfterError names the earliest time', async () => {
    const handler = make(({ step }) =>
      step.run('one', () => {
        throw new RetryAfterError('later', 90_000);
      }),
    );
    expect((await exchange(handler, leased())).ops).toMatchObject([{ op: 'fail', retry: { at: NOW + 5 + 90_000 } }]);
  });

  test('sleep, sleepUntil and waitForEvent become waits', async () => {
    const asleep = await exchange(
      make(({ step }) => step.sleep('nap', '30d')),
      leased(),
    );
    expect(asleep.ops).toMatchObject([{ op: 'sleep', untilMs: NOW + 5 + 30 * 86_400_000, again: 'each' }]);
    const until = await exchange(
      make(({ step }) => step.sleepUntil('nap', '2026-06-01T00:00:00.000Z')),
      leased(),
    );
    expect(until.ops).toMatchObject([{ op: 'sleep', untilMs: Date.parse('2026-06-01T00:00:00.000Z') }]);
    const wait = await exchange(
      make(({ step }) => step.waitForEvent('w', { event: 'test/ok', timeout: '1h', match: 'data.n' })),
      leased(),
    );
    expect(wait.ops).toMatchObject([
      { op: 'wait-event', name: 'test/ok', untilMs: NOW + 5 + 3_600_000, expression: 'event.data.n == async.data.n' },
    ]);
  });

  test('parallel steps are planned, each is asked for by its key', async () => {
    const handler = make(({ step }) => Promise.all([step.run('a', () => 1), step.run('b', () => 2)]));
    const { ops } = await exchange(handler, leased());
    const again = name === 'SDK 4' ? 'last' : 'each';
    expect(ops).toMatchObject([{ op: 'plan', calls: [{ again }, { again }] }]);
    const plan = ops[0];
    const keys = plan?.op === 'plan' ? plan.calls.map((call) => call.key) : [];
    const callMeta = plan?.op === 'plan' ? (plan.calls[0]?.meta ?? null) : null;
    const targeted = await exchange(handler, leased({ key: keys[0] ?? '', callMeta, pending: [keys[1] ?? ''] }));
    expect(targeted.ops).toMatchObject([{ op: 'step', key: keys[0], data: '1', again: undefined }]);
    const done = await exchange(
      handler,
      leased({ steps: [stepEntry(keys[0] ?? '', '1'), stepEntry(keys[1] ?? '', '2')] }),
    );
    expect(done.ops).toEqual([{ op: 'complete', output: '[1,2]' }]);
  });

  test('a memoised error reaches the code that catches it', async () => {
    const handler = make(async ({ step }) => {
      try {
        await step.run('one', () => 1);
      } catch (error) {
        return { caught: (error as Error).message };
      }
      return 'not caught';
    });
    const key = (await exchange(handler, leased())).ops.map((op) => ('key' in op ? op.key : ''))[0] ?? '';
    const { ops } = await exchange(
      handler,
      leased({ steps: [stepEntry(key, '{"message":"no","name":"Error"}', { error: true })] }),
    );
    expect(ops).toEqual([{ op: 'complete', output: '{"caught":"no"}' }]);
  });

  test('an unknown function is an error of the call, retried', async () => {
    const call = leased();
    call.task.data = call.task.data.replaceAll('fnId=app-f', 'fnId=app-g');
    expect(
      (
        await exchange(
          make(() => 1),
          call,
        )
      ).ops,
    ).toMatchObject([{ op: 'fail', retry: 'policy' }]);
  });
});

test('the last attempt of a failing step memoises its error', async () => {
  const handler = v4(({ step }) =>
    step.run('one', () => {
      throw new Error('no');
    }),
  );
  const { ops } = await exchange(handler, leased({ attempt: 4 }));
  expect(ops).toMatchObject([{ op: 'step', error: true, again: 'each' }]);
});

test('a checkpointing run ends with its remaining steps and its result', async () => {
  const handler = v4(() => 'done', { checkpointing: true });
  expect((await exchange(handler, leased())).ops).toEqual([{ op: 'complete', output: '"done"' }]);
});

test('in cloud mode the SDK accepts the signature and refuses another', async () => {
  const handler = v4(() => 'done', { cloud: true });
  const signed = await exchange(handler, leased(), contextWith({ INNGEST_SIGNING_KEY: KEY }));
  expect(signed.headers.some(([name]) => name === 'x-inngest-signature')).toBe(true);
  expect(signed.ops).toEqual([{ op: 'complete', output: '"done"' }]);
  const wrong = await exchange(handler, leased(), contextWith({ INNGEST_SIGNING_KEY: 'signkey-test-ffff' }));
  expect(wrong.ops).toMatchObject([{ op: 'fail', retry: 'policy' }]);
});

test('non-ASCII text survives the signature', async () => {
  const handler = v4(({ event }) => event.data['n'], { cloud: true });
  const call = leased();
  const event = call.events[0];
  if (event)
    event.body = '{"data":{"n":"é\\u2028😀"},"id":"e1","name":"test/go","ts":1760000000000,"user":{}}'.replace(
      '\\u2028',
      '\u2028',
    );
  const { ops } = await exchange(handler, call, contextWith({ INNGEST_SIGNING_KEY: KEY }));
  expect(ops).toEqual([{ op: 'complete', output: '"é\u2028😀"' }]);
});

test.each<[string, number, Record<string, string>, string, unknown]>([
  ['HTML from something that is no SDK', 200, { 'content-type': 'text/html' }, '<html>hi', 'policy'],
  ['a 404 of a wrong URL', 404, {}, 'not found', 'policy'],
  ['a 206 that is no list', 206, { 'x-inngest-sdk': 'x' }, '"hi"', 'policy'],
  ['a 206 with operations without ids', 206, { 'x-inngest-sdk': 'x' }, '[{"op":"StepRun"}]', 'policy'],
  ['broken JSON', 200, { 'x-inngest-sdk': 'x' }, '{', 'policy'],
  ['an unknown operation', 206, { 'x-inngest-sdk': 'x' }, '[{"op":"Jump","id":"a"}]', 'policy'],
  ['no operation at all', 206, { 'x-inngest-sdk': 'x' }, '[]', 'policy'],
  ['a sleep of two years', 206, { 'x-inngest-sdk': 'x' }, '[{"op":"Sleep","id":"a","name":"104w1d"}]', 'never'],
  [
    'an invalid wait expression',
    206,
    { 'x-inngest-sdk': 'x' },
    '[{"op":"WaitForEvent","id":"a","name":"e","opts":{"if":"((","timeout":"1h"}}]',
    'never',
  ],
  [
    'nothing but a deferred function',
    206,
    { 'x-inngest-sdk': 'x' },
    '[{"op":"DeferAdd","id":"a","opts":{}}]',
    'policy',
  ],
  ['a fetch of no URL', 206, { 'x-inngest-sdk': 'x' }, '[{"op":"Gateway","id":"a","opts":{"url":"nowhere"}}]', 'never'],
])('%s fails the call in order', async (_, status, headers, body, retry) => {
  const outcome = await inngestExecutor.outcome(
    leased(),
    {
      ok: true,
      status,
      headers: Object.entries(headers),
      body: new TextEncoder().encode(body),
      truncated: false,
      durationMs: 1,
    },
    contextWith(),
  );
  expect(outcome.ops).toMatchObject([{ op: 'fail', retry }]);
  expect(JSON.parse((outcome.ops[0] as { error: string }).error)).toHaveProperty('message');
});

test('a streamed answer is unwrapped', async () => {
  const inner = {
    status: 206,
    headers: { 'x-inngest-sdk': 'x', 'x-inngest-req-version': '2' },
    body: '[{"op":"StepRun","id":"a","data":1}]',
  };
  const outcome = await inngestExecutor.outcome(
    leased(),
    {
      ok: true,
      status: 201,
      headers: [],
      body: new TextEncoder().encode(`   ${JSON.stringify(inner)}`),
      truncated: false,
      durationMs: 1,
    },
    contextWith(),
  );
  expect(outcome.ops).toMatchObject([{ op: 'step', key: 'a', data: '1' }]);
});

test('a state of more than 4 MiB is left to the SDK to fetch', async () => {
  const request = await inngestExecutor.request(
    leased({ steps: [stepEntry('a', JSON.stringify('x'.repeat(5_000_000)))] }),
    contextWith(),
  );
  const body = JSON.parse('skip' in request ? '{}' : (request.body as string)) as {
    use_api: boolean;
    events: unknown[];
    steps: object;
    event: { name: string };
  };
  expect(body).toMatchObject({ use_api: true, events: [], steps: {}, event: { name: 'test/go' } });
});

test('a race is a race however its SDK writes it: discovery follows each of its steps', async () => {
  for (const parallelMode of ['race', 'Race']) {
    const planned = ['a', 'b'].map((id) => ({ op: 'StepPlanned', id, name: id, opts: { parallelMode } }));
    const { ops } = await inngestExecutor.outcome(
      leased(),
      {
        ok: true,
        status: 206,
        headers: [
          ['x-inngest-sdk', 'x'],
          ['x-inngest-req-version', '2'],
        ],
        body: new TextEncoder().encode(JSON.stringify(planned)),
        truncated: false,
        durationMs: 1,
      },
      contextWith(),
    );
    expect(ops).toMatchObject([{ op: 'plan', calls: [{ again: 'each' }, { again: 'each' }] }]);
  }
});

test('an error of the function beside what it deferred: retried when its header says, or never where it says so itself', async () => {
  const answer = async (error: object, headers: Array<[string, string]> = []): Promise<Op | undefined> => {
    const opts = { fn_slug: 'app-later', input: {} };
    const body = [
      { op: 'DeferAdd', id: 'd', opts },
      { op: 'RunError', id: 'e', error },
    ];
    const result = { ok: true, status: 206, truncated: false, durationMs: 1 } as const;
    const sent = { headers: [['x-inngest-sdk', 'x'] as [string, string], ...headers] };
    const text = new TextEncoder().encode(JSON.stringify(body));
    return (await inngestExecutor.outcome(leased(), { ...result, ...sent, body: text }, contextWith())).ops.at(-1);
  };
  const error = { name: 'E', message: 'no' };
  expect(await answer(error)).toEqual({ op: 'fail', error: '{"message":"no","name":"E"}', retry: 'policy' });
  expect(await answer(error, [['retry-after', '600']])).toMatchObject({ op: 'fail', retry: { at: NOW + 600_001 } });
  expect(await answer({ ...error, noRetry: true })).toMatchObject({ op: 'fail', retry: 'never' });
  expect(await answer(error, [['x-inngest-no-retry', 'true']])).toMatchObject({ retry: 'never' });
});

test('a step that is named like the run’s end is a step', async () => {
  const id = '0737c22d3bfae812339732d14d8c7dbd6dc4e09c';
  const answer = async (more: object): Promise<Op[]> => {
    const body = [{ op: 'StepFailed', id, error: { name: 'E', message: 'no' }, ...more }];
    const headers: Array<[string, string]> = [['x-inngest-sdk', 'x']];
    const result = { ok: true, status: 206, headers, truncated: false, durationMs: 1 } as const;
    const text = new TextEncoder().encode(JSON.stringify(body));
    return (await inngestExecutor.outcome(leased(), { ...result, body: text }, contextWith())).ops;
  };
  expect(await answer({})).toMatchObject([{ op: 'fail', retry: 'never' }]);
  expect(await answer({ name: 'complete', displayName: 'complete' })).toMatchObject([
    { op: 'step', key: id, error: true },
  ]);
});
