import type { RunStatus, StepEntry } from '../../core/model/call.ts';
import type { HistoryEntry } from '../../core/model/history.ts';
import type { PendingRecord, RunDetail } from '../../core/model/query.ts';
import { failureState } from './dead-letters.ts';
import { bytesOf, fromBase64 } from './encoding.ts';
import { wholeHistory } from './history.ts';
import { headerMap } from './headers.ts';
import { deliveredMessage, messageIdOf } from './ids.ts';
import { type CallMeta, parseResponse, type RunMeta } from './meta.ts';
import type { Route } from './route.ts';
import { type RawStep, rawStepText } from './workflow-delivery.ts';

const STATES: Record<RunStatus, string> = {
  running: 'RUN_STARTED',
  completed: 'RUN_SUCCESS',
  failed: 'RUN_FAILED',
  cancelled: 'RUN_CANCELED',
};

export function runState(status: RunStatus): string {
  return STATES[status];
}

interface Step {
  stepId: number;
  stepName: string;
  stepType: string;
  out?: unknown;
  concurrent?: number;
  targetStep?: number;
  [field: string]: unknown;
}

interface StepLog {
  messageId: string;
  state: string;
  [field: string]: unknown;
}

interface Group {
  type: 'sequential' | 'parallel' | 'next';
  steps: StepLog[];
}

/** One run of the workflow log. */
export async function workflowRunView(route: Route, runId: string, meta: RunMeta): Promise<Record<string, unknown>> {
  const [detail, history] = await Promise.all([
    route.ask({ type: 'run-detail', run: runId }),
    wholeHistory(route, runId),
  ]);
  if (!detail) return {};
  const workflow = meta.workflow;
  const labels = meta.labels;
  const deadLetter = detail.status === 'failed' ? await failureFunction(route, detail, meta) : {};
  return {
    workflowRunId: workflow?.runId,
    workflowUrl: workflow?.url ?? meta.url,
    workflowState: runState(detail.status),
    workflowRunCreatedAt: detail.createdAt,
    ...(detail.endedAt === null ? {} : { workflowRunCompletedAt: detail.endedAt }),
    ...(detail.output === null ? {} : { workflowRunResponse: text(detail.output) }),
    ...(meta.callerIp === '' ? {} : { workflowRunCallerIp: meta.callerIp }),
    ...(workflow?.invoker === undefined ? {} : { invoker: invoker(workflow.invoker) }),
    ...(labels === undefined ? {} : { label: labels[0], labels }),
    ...(meta.flowControl === undefined ? {} : { flowControlKey: meta.flowControl.key }),
    ...deadLetter,
    steps: groups(detail, meta, history),
  };
}

function invoker({
  workflowRunId,
  workflowUrl,
  createdAt,
}: NonNullable<NonNullable<RunMeta['workflow']>['invoker']>): unknown {
  return { workflowRunId, workflowUrl, workflowRunCreatedAt: createdAt };
}

async function failureFunction(route: Route, run: RunDetail, meta: RunMeta): Promise<Record<string, unknown>> {
  const page = await route.ask({ type: 'dead-letters', limit: 1_000 });
  const dlqId = page.items.find((letter) => letter.run === run.id)?.id;
  if (dlqId === undefined) return {};
  const state = await failureState(route, dlqId);
  if (state === null) return { dlqId };
  const response = parseResponse(run.error);
  return {
    dlqId,
    failureFunction: {
      url: meta.failureCallback?.url,
      state,
      dlqId,
      failHeaders: response.header,
      failStatus: response.status,
      failResponse: text(fromBase64(response.body) ?? ''),
    },
  };
}

/** Steps in the order in which they came: alone, or as the branches of one parallel group; what is under way comes last. */
function groups(run: RunDetail, meta: RunMeta, history: HistoryEntry[]): Group[] {
  const common = { retries: meta.retries, ...(meta.retryDelay === undefined ? {} : { retryDelay: meta.retryDelay }) };
  const init: StepLog = {
    stepName: 'init',
    stepType: 'Initial',
    callType: 'step',
    messageId: messageIdOf(run.id),
    out: text(run.input ?? ''),
    ...common,
    concurrent: 1,
    state: 'STEP_SUCCESS',
    createdAt: run.createdAt,
    headers: headerMap([
      ...(meta.contentType === undefined ? [] : [['content-type', meta.contentType] as const]),
      ...meta.headers,
    ]),
  };
  const result: Group[] = [{ type: 'sequential', steps: [init] }];
  let parallel: Group | null = null;
  for (const entry of run.steps) {
    const step = stepOf(entry);
    if (!step) continue;
    const log: StepLog = {
      ...fieldsOf(step),
      callType: 'step',
      messageId: entry.key,
      ...common,
      concurrent: step.concurrent ?? 1,
      state: 'STEP_SUCCESS',
      createdAt: entry.atMs,
      headers: {},
    };
    if (step.stepId === 0 && step.targetStep !== undefined) {
      const planned = {
        ...log,
        stepId: step.targetStep,
        state: run.status === 'running' ? 'STEP_PROGRESS' : 'STEP_CANCELED',
      };
      if (parallel?.steps.length === step.concurrent) parallel = null;
      if (!parallel) result.push((parallel = { type: 'parallel', steps: [] }));
      parallel.steps.push(planned);
    } else if ((step.concurrent ?? 1) > 1 && parallel) {
      const at: number = parallel.steps.findIndex((planned) => planned.stepId === step.stepId);
      if (at >= 0) parallel.steps[at] = log;
      else parallel.steps.push(log);
    } else {
      parallel = null;
      result.push({ type: 'sequential', steps: [log] });
    }
  }
  const next = nextSteps(run, common, history);
  if (next.length > 0) result.push({ type: 'next', steps: next });
  return result;
}

function nextSteps(run: RunDetail, common: Record<string, unknown>, history: HistoryEntry[]): StepLog[] {
  if (run.status === 'failed') {
    const errors = errorsOf(history, null);
    const key = lastKey(history);
    return [{ messageId: deliveredMessage(key, run.id), ...common, state: 'STEP_FAILED', errors }];
  }
  if (run.status !== 'running') return [];
  return run.pending
    .filter((pending) => pending.kind === 'call' && !isResult(pending))
    .map((pending) => ({
      messageId: deliveredMessage(pending.key, run.id),
      ...common,
      state: pending.attempt > 0 ? 'STEP_RETRY' : 'STEP_PROGRESS',
      ...(pending.attempt > 0 ? { errors: errorsOf(history, pending.key), nextDeliveryTime: pending.dueAt } : {}),
    }));
}

function isResult(pending: PendingRecord): boolean {
  return pending.meta !== null && (JSON.parse(pending.meta) as CallMeta).kind === 'result';
}

function lastKey(history: HistoryEntry[]): string {
  for (const { body } of history.toReversed()) if (body.kind === 'retry') return body.key;
  return '';
}

function errorsOf(history: HistoryEntry[], key: string | null): unknown[] {
  return history.flatMap((entry) => {
    const { body } = entry;
    const failed =
      (body.kind === 'retry' && (key === null || body.key === key)) ||
      (body.kind === 'end' && body.status === 'failed');
    if (!failed) return [];
    const response = parseResponse(entry.data);
    return [
      {
        error: response.message ?? `status ${response.status}`,
        body: text(fromBase64(response.body) ?? ''),
        headers: response.header,
        status: response.status,
        time: entry.atMs,
      },
    ];
  });
}

function stepOf(entry: StepEntry): Step | null {
  try {
    const raw = JSON.parse(rawStepText(entry)) as RawStep;
    return JSON.parse(text(fromBase64(raw.body) ?? '')) as Step;
  } catch {
    return null;
  }
}

function fieldsOf(step: Step): Record<string, unknown> {
  const { targetStep: _target, concurrent: _concurrent, ...fields } = step;
  return fields;
}

function text(payload: string | Uint8Array): string {
  return typeof payload === 'string' ? payload : new TextDecoder().decode(bytesOf(payload));
}
