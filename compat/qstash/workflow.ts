import type { CallSpec, Op, StartSpec } from '../../core/model/call.ts';
import type { Command, ResultOf } from '../../core/model/command.ts';
import { DEFAULT_RETRIES, RUN_ENDED, TASK_WORKFLOW } from './constants.ts';
import { parseDestination } from './destination.ts';
import { base64, payloadOf, sha256Hex } from './encoding.ts';
import { badHeader, WireError } from './errors.ts';
import { mergeHeaders } from './headers.ts';
import { deliveryKey, isWorkflowRunId, messageIdOf, newMessageId } from './ids.ts';
import { flowLimit, limitsOf, retryPolicy } from './limits.ts';
import type { CallMeta, RunMeta, WaitMeta, WorkflowMeta } from './meta.ts';
import { parseOptions, type PublishOptions, type WorkflowOptions } from './options.ts';
import { dueTime, type ItemPlan, type PublishItem, sharedCommands } from './item.ts';
import type { Route } from './route.ts';
import { InvokeSchema, parse } from './schema.ts';
import { rawStep } from './workflow-delivery.ts';

/** A message with `Upstash-Workflow-*` headers: the start of a run, one of its steps, or a call that it makes. */
export async function planWorkflowItem(route: Route, item: PublishItem): Promise<ItemPlan> {
  const workflow = item.options.workflow as WorkflowOptions;
  requireWorkflowRunId(workflow.runId);
  const url = urlOf(item.destination);
  if (workflow.init) {
    if (workflow.invoke) return planInvoke(route, item, url);
    return workflow.triggeredBySdk ? planConfigured(item) : planTrigger(route, item, url);
  }
  await requireSameRun(route, workflow);
  if (workflow.callType === 'toCallback') return planCall(route, item, url);
  return workflow.callType === 'stepConfig' ? planBare(item) : planStep(route, item);
}

/** What a delivery of an earlier run with the same id still sends is not for the one that has the id now. */
async function requireSameRun(route: Route, { runId, createdAt }: WorkflowOptions): Promise<void> {
  if (createdAt === undefined) return;
  const run = await route.ask({ type: 'run', run: runId });
  if (run && run.createdAt !== createdAt) throw runEnded(runId);
}

export function requireWorkflowRunId(runId: string): void {
  if (!isWorkflowRunId(runId)) throw badHeader('Upstash-Workflow-RunId', runId, 'does not begin with wfr_');
}

function urlOf(destination: string): string {
  const parsed = parseDestination(destination);
  if (parsed.kind === 'group')
    throw new WireError(400, `invalid destination: a workflow needs a URL, not ${JSON.stringify(parsed.name)}`);
  return parsed.url;
}

async function planTrigger(route: Route, item: PublishItem, url: string): Promise<ItemPlan> {
  const shared = sharedCommands(item.options);
  const spec = await workflowStart(route, item.options, url, payloadOf(item.body));
  return {
    commands: [...shared, { type: 'start', spec }],
    messages: 1,
    answer: (results) => {
      const result = results[shared.length] as ResultOf<'start'>;
      const body = {
        messageId: messageIdOf(result.run),
        workflowRunId: spec.alias,
        workflowCreatedAt: result.createdAt,
        ...(result.deduplicated ? { deduplicated: true } : {}),
      };
      return { body, deduplicated: result.deduplicated };
    },
  };
}

/** A run of a workflow. Its configuration is stored here once: newer SDKs do not repeat it with every step. */
export async function workflowStart(
  route: Route,
  options: PublishOptions,
  url: string,
  input: StartSpec['input'],
  more: Pick<WorkflowMeta, 'invoker' | 'plain'> = {},
): Promise<StartSpec> {
  const workflow = options.workflow as WorkflowOptions;
  const dueAt = await dueTime(route, options);
  const meta: RunMeta = {
    url,
    method: options.method ?? 'POST',
    contentType: options.contentType,
    headers: mergeHeaders(options.forward),
    retries: options.retries ?? DEFAULT_RETRIES,
    retryDelay: options.retryDelay,
    timeoutMs: options.timeoutMs,
    notBeforeMs: dueAt,
    failureCallback: options.failureCallback,
    flowControl: options.flowControl,
    labels: options.labels,
    redact: options.redact,
    callerIp: route.host.callerIp,
    workflow: {
      runId: workflow.runId,
      url: workflow.url ?? url,
      features: options.features,
      unknownSdk: options.unknownSdk,
      ...more,
    },
  };
  return {
    alias: workflow.runId,
    aliasUntil: 'ended',
    task: TASK_WORKFLOW,
    input,
    meta: JSON.stringify(meta),
    dueAt,
    maxAttempts: meta.retries + 1,
    retry: retryPolicy(meta.retryDelay),
    limits: limitsOf({ flowControl: meta.flowControl }),
    labels: meta.labels,
  };
}

/** The SDK sends a run that was started by plain HTTP once more, now with its configuration: the run is delivered again. */
function planConfigured(item: PublishItem): ItemPlan {
  const workflow = item.options.workflow as WorkflowOptions;
  const messageId = newMessageId();
  const call = deliveryCall(messageId, item.options, undefined);
  return planReport(workflow.runId, [{ op: 'plan', calls: [call] }], messageId);
}

/**
 * `stepConfig`: the SDK is about to run a step whose settings the delivery in hand does not have, and asks for one that does. It is no
 * step, and the same request once more is the same one (`upstash/workflow-js`: src/qstash/step-config.ts).
 */
async function planBare(item: PublishItem): Promise<ItemPlan> {
  const { runId } = item.options.workflow as WorkflowOptions;
  const messageId = `msg_${(await sha256Hex(payloadOf(item.body))).slice(0, 26)}`;
  const call = deliveryCall(messageId, item.options, undefined, true);
  return planReport(runId, [{ op: 'plan', calls: [call] }], messageId, item.options);
}

async function planStep(route: Route, item: PublishItem): Promise<ItemPlan> {
  const { options } = item;
  const workflow = options.workflow as WorkflowOptions;
  const messageId = newMessageId();
  const then = deliveryCall(messageId, options, await dueTime(route, options));
  const data = rawStep(messageId, base64(item.body));
  const op: Op = { op: 'step', key: messageId, data, again: 'none', then };
  return planReport(workflow.runId, [op], messageId, options);
}

/** The delivery of a message of a run. What the step says itself wins over the run's stored configuration. */
export function deliveryCall(
  messageId: string,
  options: PublishOptions,
  dueAt: number | undefined,
  bare = false,
): CallSpec {
  const { retries, retryDelay, flowControl } = options;
  const meta: CallMeta = {
    kind: 'step',
    headers: mergeHeaders(options.forward),
    contentType: options.contentType,
    ...(options.features?.includes('WF_StepConfig') ? { settings: { retries, retryDelay, flowControl } } : {}),
    ...(bare ? { bare } : {}),
  };
  return {
    key: deliveryKey(messageId),
    dueAt,
    meta: JSON.stringify(meta),
    again: 'none',
    ...(options.retries === undefined ? {} : { maxAttempts: options.retries + 1 }),
    ...(options.retryDelay === undefined ? {} : { retry: retryPolicy(options.retryDelay) }),
    ...(options.flowControl === undefined ? {} : { limits: [flowLimit(options.flowControl)] }),
  };
}

async function planCall(route: Route, item: PublishItem, url: string): Promise<ItemPlan> {
  const { options } = item;
  const workflow = options.workflow as WorkflowOptions;
  if (!options.callback) throw new WireError(400, 'invalid header Upstash-Callback: a call of a workflow needs it');
  const messageId = newMessageId();
  const retries = options.retries ?? DEFAULT_RETRIES;
  const meta: CallMeta = {
    kind: 'call',
    url,
    method: options.method ?? 'POST',
    contentType: options.contentType,
    headers: mergeHeaders(options.forward),
    timeoutMs: options.timeoutMs,
    retries,
    callback: options.callback,
  };
  const call: CallSpec = {
    key: deliveryKey(messageId),
    dueAt: await dueTime(route, options),
    data: payloadOf(item.body),
    meta: JSON.stringify(meta),
    again: 'none',
    maxAttempts: retries + 1,
    retry: retryPolicy(options.retryDelay),
    limits: limitsOf({ flowControl: options.flowControl }),
  };
  return planReport(workflow.runId, [{ op: 'plan', calls: [call] }], messageId, options);
}

async function planInvoke(route: Route, item: PublishItem, url: string): Promise<ItemPlan> {
  const { options } = item;
  const child = options.workflow as WorkflowOptions;
  const request = parse(InvokeSchema, parseJson(item.body));
  requireWorkflowRunId(request.workflowRunId);
  const messageId = newMessageId();
  const invoker = {
    workflowRunId: request.workflowRunId,
    workflowUrl: request.workflowUrl,
    createdAt: request.workflowRunCreatedAt ?? (await route.now()),
  };
  const start = await workflowStart(route, options, url, request.body ?? '', { invoker });
  const meta: WaitMeta = { kind: 'invoke', step: request.step, childRunId: child.runId };
  const parentOptions = parseOptions(flat(request.headers ?? {}));
  const then = deliveryCall(messageId, parentOptions, undefined);
  const op: Op = { op: 'wait-run', key: messageId, start, meta: JSON.stringify(meta), again: 'none', then };
  return planReport(request.workflowRunId, [op], messageId, options);
}

export function flat(headers: Record<string, string[]>): Array<[string, string]> {
  return Object.entries(headers).flatMap(([name, values]) => values.map((value): [string, string] => [name, value]));
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch {
    throw new WireError(400, 'invalid body: it is not JSON');
  }
}

/** Ops for a running run, from outside any of its deliveries. 400 when it has ended: SDKs stop silently on that. */
export function planReport(
  run: string,
  ops: Op[],
  messageId: string,
  shared: Parameters<typeof sharedCommands>[0] = {},
): ItemPlan {
  const before = sharedCommands({ flowControl: shared.flowControl });
  const report: Command = { type: 'report', run, outcome: { ops }, final: false, anyLease: true };
  return {
    commands: [...before, report],
    messages: 1,
    answer: (results) => {
      requireRunning(results[before.length] as ResultOf<'report'>, run);
      return { body: { messageId }, deduplicated: false };
    },
  };
}

export function requireRunning(result: ResultOf<'report'>, run: string): void {
  if (result.result === 'ended') throw runEnded(run);
  if (result.result === 'unknown') throw new WireError(400, `workflow run ${run} not found`);
}

/** SDKs stop silently on this status; a batch answers it as it is (routes/batch.ts). */
function runEnded(run: string): WireError {
  return new WireError(400, `workflow run ${run} has already ended`, RUN_ENDED);
}
