import { describe, expect, test } from 'vitest';
import type { LeasedCall, StepEntry } from '../../core/model/call.ts';
import type { HttpResult } from '../../core/ports.ts';
import { TASK_WORKFLOW } from './constants.ts';
import type { Delivery } from './delivery.ts';
import type { CallMeta, RunMeta, StepSettings, WaitMeta } from './meta.ts';
import { type RawStep, rawStep, workflowOutcome, workflowRequest } from './workflow-delivery.ts';

const RUN = '01M83MG21X007B2M5KH51V1GT4';

const meta: RunMeta = {
  url: 'http://app.test/workflow',
  method: 'POST',
  contentType: 'application/json',
  headers: [
    ['upstash-workflow-sdk-version', '1'],
    ['x-user', 'me'],
  ],
  retries: 3,
  callerIp: '',
  workflow: { runId: 'wfr_1', url: 'http://app.test/workflow', features: 'LazyFetch,InitialBody,WF_DetectTrigger' },
};

function call(changes: Partial<LeasedCall> = {}): LeasedCall {
  return {
    lease: 'l',
    run: RUN,
    alias: 'wfr_1',
    runCreatedAt: 5,
    runDueAt: 5,
    key: '',
    attempt: 0,
    maxAttempts: 4,
    dueAt: 5,
    leasedAt: 5,
    task: { id: TASK_WORKFLOW, version: 1, executor: 'qstash', data: '{}' },
    input: '{"a":1}',
    meta: null,
    scheduledAt: null,
    callData: null,
    callMeta: null,
    callSeq: 0,
    seq: 0,
    events: [],
    steps: [],
    pending: [],
    labels: [],
    ...changes,
  };
}

function answer(status: number, headers: Array<[string, string]> = []): HttpResult {
  return { ok: true, status, headers, body: new Uint8Array(), truncated: false, durationMs: 1 };
}

function step(seq: number, changes: Partial<StepEntry> = {}): StepEntry {
  const key = `msg_${seq}`;
  return {
    seq,
    atMs: 0,
    key,
    source: 'call',
    error: false,
    data: rawStep(key, btoa(`{"stepId":${seq}}`)),
    meta: null,
    from: null,
    ...changes,
  };
}

function requestOf(leased: LeasedCall, run: RunMeta): Delivery {
  const delivery = workflowRequest(leased, run);
  if (!delivery) throw new Error('nothing to send');
  return delivery;
}

function bodyOf(leased: LeasedCall): Array<RawStep & { decoded: unknown }> {
  const body = new TextDecoder().decode(requestOf(leased, meta).body);
  return (JSON.parse(body) as RawStep[]).map((raw) => ({ ...raw, decoded: JSON.parse(atob(raw.body)) as unknown }));
}

describe('the delivery of a message of a run', () => {
  test('carries the initial payload and the steps up to its own, whatever came since', () => {
    const steps = [step(1), step(2), step(4)];
    const body = bodyOf(call({ key: 'd:msg_2', callSeq: 2, seq: 4, steps }));
    expect(body.map(({ messageId, callType, decoded }) => [messageId, callType, decoded])).toEqual([
      [`msg_${RUN}`, 'step', { a: 1 }],
      ['msg_1', 'step', { stepId: 1 }],
      ['msg_2', 'step', { stepId: 2 }],
    ]);
  });

  test('names the run, and its message', () => {
    const delivery = requestOf(call({ key: 'd:msg_2', callSeq: 2, steps: [step(2)] }), meta);
    expect(delivery.messageId).toBe('msg_2');
    expect(Object.fromEntries(delivery.headers)).toEqual({
      'upstash-workflow-sdk-version': '1',
      'x-user': 'me',
      'upstash-workflow-runid': 'wfr_1',
      'upstash-workflow-createdat': '5',
      'upstash-workflow-init': 'false',
      'upstash-workflow-url': 'http://app.test/workflow',
    });
  });

  test('is empty when it would be large and the SDK can fetch it, and never otherwise', () => {
    const large = call({ input: 'x'.repeat(1_000_000) });
    expect(requestOf(large, meta).body.byteLength).toBe(0);
    const legacy = { ...meta, workflow: { runId: 'wfr_1' } };
    expect(requestOf(large, legacy).body.byteLength).toBeGreaterThan(1_000_000);
  });

  test('an event, a timeout and an invoked run appear as the steps that waited for them', () => {
    const wait: WaitMeta = { kind: 'wait', step: { stepId: 1, stepName: 'w' }, eventId: 'e' };
    const invoke: WaitMeta = { kind: 'invoke', step: { stepId: 2 }, childRunId: 'wfr_2' };
    const steps = [
      step(1, { source: 'token', data: 'hello', meta: JSON.stringify(wait) }),
      step(2, { source: 'timeout', data: null, meta: JSON.stringify(wait) }),
      step(3, { source: 'run', data: '"r"', meta: JSON.stringify(invoke) }),
      step(4, {
        source: 'run',
        error: true,
        data: null,
        meta: JSON.stringify(invoke),
        from: { run: 'x', status: 'cancelled', reason: null },
      }),
      step(5, {
        source: 'run',
        error: true,
        data: '{}',
        meta: JSON.stringify(invoke),
        from: { run: 'x', status: 'failed', reason: null },
      }),
    ];
    const decoded = bodyOf(call({ callSeq: 5, steps })).map((item) => item.decoded as { out?: string });
    expect(decoded[1]).toEqual({ stepId: 1, stepName: 'w', waitEventId: 'e', out: btoa('hello'), waitTimeout: false });
    expect(decoded[2]).toEqual({ stepId: 1, stepName: 'w', waitEventId: 'e', waitTimeout: true });
    expect(decoded.slice(3).map(({ out }) => JSON.parse(out ?? '') as unknown)).toEqual([
      { body: '"r"', isFailed: false, isCanceled: false, workflowRunId: 'wfr_2' },
      { isFailed: false, isCanceled: true, workflowRunId: 'wfr_2' },
      { isFailed: true, isCanceled: false, workflowRunId: 'wfr_2' },
    ]);
  });
});

describe('settings of a single step', () => {
  const settled = (settings: StepSettings, run: Partial<RunMeta> = {}): Record<string, string> => {
    const callMeta = JSON.stringify({ kind: 'step', settings } satisfies CallMeta);
    const { headers } = requestOf(call({ key: 'd:msg_1', callMeta }), { ...meta, ...run });
    return Object.fromEntries(
      headers.filter(([name]) => /step-config|max-retries|retry-delay|flow-control/.test(name)),
    );
  };

  test('are reported with what they leave to the run, in the form that the SDK compares', () => {
    expect(settled({ retries: 0 }, { retryDelay: '1000' })).toEqual({
      'upstash-workflow-step-config': 'true',
      'upstash-max-retries': '0',
      'upstash-retry-delay': '1000',
    });
    const flowControl = { key: 'k', parallelism: 3, rate: 10, periodMs: 7_200_000 };
    expect(settled({ flowControl }, { flowControl: { key: 'run', parallelism: 5 } })).toEqual({
      'upstash-workflow-step-config': 'true',
      'upstash-max-retries': '3',
      'upstash-flow-control-key': 'k',
      'upstash-flow-control-value': 'parallelism=3,rate=10,period=7200',
    });
    expect(settled({}, { flowControl: { key: 'run', parallelism: 5 } })).toMatchObject({
      'upstash-flow-control-value': 'parallelism=5,period=1',
    });
  });

  test('are said of no delivery that has none', () => {
    const { headers } = requestOf(call(), { ...meta, flowControl: { key: 'run', parallelism: 5 } });
    expect(headers.map(([name]) => name).filter((name) => /step-config|flow-control/.test(name))).toEqual([]);
  });
});

describe('context.call', () => {
  const third: CallMeta = {
    kind: 'call',
    url: 'http://third.test',
    method: 'PUT',
    headers: [['x-own', '1']],
    retries: 1,
    callback: { url: 'http://app.test/workflow', forward: [['upstash-workflow-callback', 'true']] },
  };
  const leased = call({ key: 'd:msg_1', callMeta: JSON.stringify(third), callData: 'body', maxAttempts: 2 });
  const failed = answer(503);

  test('sends the third party what the call says and nothing of the run', () => {
    expect(requestOf(leased, meta)).toMatchObject({
      url: 'http://third.test',
      method: 'PUT',
      headers: [['x-own', '1']],
    });
  });

  test('every answer is delivered; only attempts that are left are made again, and the run never fails', () => {
    expect(workflowOutcome(leased, meta, failed).ops.map(({ op }) => op)).toEqual(['plan', 'fail']);
    expect(workflowOutcome({ ...leased, attempt: 1 }, meta, failed).ops.map(({ op }) => op)).toEqual(['plan']);
  });

  test('the answer goes without the version header, so that the SDK reads it as an answer', () => {
    const { ops } = workflowOutcome(leased, meta, answer(200));
    const plan = ops[0] as { calls: Array<{ key: string; data: string; meta: string }> };
    const [planned] = plan.calls;
    const delivery = requestOf(call({ key: planned?.key, callData: planned?.data, callMeta: planned?.meta }), meta);
    const headers = Object.fromEntries(delivery.headers);
    expect(headers).toMatchObject({
      'upstash-workflow-callback': 'true',
      'x-user': 'me',
      'upstash-workflow-runid': 'wfr_1',
    });
    expect(headers).not.toHaveProperty('upstash-workflow-sdk-version');
    expect(JSON.parse(new TextDecoder().decode(delivery.body))).toMatchObject({
      status: 200,
      retried: 0,
      maxRetries: 1,
      sourceBody: btoa('body'),
    });
  });
});

test("a first answer that is no workflow's fails the run at once", () => {
  expect(workflowOutcome(call(), meta, answer(200)).ops).toMatchObject([{ op: 'fail', retry: 'never' }]);
  const sdk = answer(200, [['upstash-workflow-sdk-version', '1']]);
  expect(workflowOutcome(call(), meta, sdk).ops).toEqual([]);
  expect(workflowOutcome(call({ key: 'd:msg_1' }), meta, answer(200)).ops).toEqual([]);
});
