import type { RunStatus, StepEntry } from '../../core/model/call.ts';
import type { HistoryEntry } from '../../core/model/history.ts';
import type { RunDetail, RunRecord } from '../../core/model/query.ts';
import { CALLBACK_STATES, failureCallback } from './dead-letters.ts';
import { bytesOf, fromBase64 } from './encoding.ts';
import type { HeaderMap } from './headers.ts';
import { wholeHistory } from './history.ts';
import { deliveredMessage, messageIdOf } from './ids.ts';
import { type CallMeta, type ExchangeMeta, parseMeta, parseResponse, type RunMeta, type WaitMeta } from './meta.ts';
import { shownHeaders, shownPayload } from './message-view.ts';
import { openWork } from './resume.ts';
import type { Route } from './route.ts';
import {
  finishedCallFields,
  invokeFields,
  pendingCallFields,
  type StepDetails,
  stepDetails,
  waitFields,
} from './step-details.ts';
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
  const initial = { out: await shownPayload(meta, detail.input), headers: await shownHeaders(meta) };
  const deadLetter = detail.status === 'failed' ? await failureFunction(route, detail, meta) : {};
  const details = stepDetails(history);
  const shown = await withInvokes(route, groups(detail, meta, history, initial, details), details);
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
    steps: await settleInvokes(route, shown, detail.status, history),
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
  const callback = await failureCallback(route, dlqId);
  if (callback === null) return { dlqId };
  const response = parseResponse(run.error);
  const errors = errorsOf(await wholeHistory(route, callback.run.id), '');
  return {
    dlqId,
    failureFunction: {
      messageId: messageIdOf(callback.run.id),
      url: meta.failureCallback?.url,
      state: CALLBACK_STATES[callback.run.status],
      dlqId,
      failHeaders: response.header,
      failStatus: response.status,
      failResponse: text(fromBase64(response.body) ?? ''),
      maxRetries: parseMeta(callback.run.meta).retries,
      ...(errors.length === 0 ? {} : { errors }),
      ...callbackAnswer(callback.run),
    },
  };
}

/** What the failure function has answered at last. */
function callbackAnswer({ status, output, error, outcomeMeta }: RunRecord): Record<string, unknown> {
  if (status === 'failed') {
    const response = parseResponse(error);
    return {
      responseStatus: response.status,
      responseHeaders: response.header,
      responseBody: text(fromBase64(response.body) ?? ''),
    };
  }
  if (status !== 'completed') return {};
  const exchange = JSON.parse(outcomeMeta ?? '{}') as Partial<ExchangeMeta>;
  return {
    responseStatus: exchange.status ?? 0,
    responseHeaders: exchange.header ?? {},
    responseBody: text(output ?? ''),
  };
}

/** Steps in the order in which they came: alone, or as the branches of one parallel group; what is under way comes last. */
function groups(
  run: RunDetail,
  meta: RunMeta,
  history: HistoryEntry[],
  initial: Pick<StepLog, 'out' | 'headers'>,
  details: StepDetails,
): Group[] {
  const common = { retries: meta.retries, ...(meta.retryDelay === undefined ? {} : { retryDelay: meta.retryDelay }) };
  const init: StepLog = {
    stepName: 'init',
    stepType: 'Initial',
    callType: 'step',
    messageId: messageIdOf(run.id),
    ...common,
    concurrent: 1,
    state: 'STEP_SUCCESS',
    createdAt: run.createdAt,
    ...initial,
  };
  const result: Group[] = [{ type: 'sequential', steps: [init] }];
  let parallel: Group | null = null;
  for (const entry of run.steps) {
    const step = stepOf(entry);
    if (!step) continue;
    const log: StepLog = {
      ...fieldsOf(step),
      ...(step.stepType === 'Call' && step.out !== undefined
        ? finishedCallFields(details, step.stepId, step.out)
        : waitFieldsOf(step, details, entry.key)),
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
  for (const waiting of openWaits(run, common)) {
    // A branch has its plan's line there already.
    const branch = parallel?.steps.find(
      ({ stepId, state }) =>
        stepId === waiting.stepId && (waiting.concurrent as number) > 1 && state !== 'STEP_SUCCESS',
    );
    if (branch) Object.assign(branch, waiting);
    else result.push({ type: 'sequential', steps: [waiting] });
  }
  const next = nextSteps(run, common, history).filter((step) => {
    // A branch of a parallel group has its line there already.
    const branch = result
      .flatMap((group) => (group.type === 'parallel' ? group.steps : []))
      .find(({ messageId }) => messageId === step.messageId);
    if (branch) Object.assign(branch, step);
    return !branch;
  });
  if (next.length > 0) result.push({ type: 'next', steps: next });
  return result;
}

/** Events and invoked runs that are waited for now: they have no memo yet. */
function openWaits(run: RunDetail, common: Record<string, unknown>): StepLog[] {
  if (run.status !== 'running') return [];
  return run.pending.flatMap((pending) => {
    if (pending.kind !== 'token' && pending.kind !== 'run') return [];
    const { step, eventId } = JSON.parse(pending.meta ?? '{"step":{}}') as WaitMeta;
    return [
      {
        ...fieldsOf(step as Step),
        callType: 'step',
        messageId: pending.key,
        ...common,
        concurrent: (step as Step).concurrent ?? 1,
        state: 'STEP_PROGRESS',
        headers: {},
        ...(eventId === undefined ? {} : { waitEventId: eventId, waitTimeoutDeadline: pending.dueAt }),
      },
    ];
  });
}

function waitFieldsOf(step: Step, details: StepDetails, messageId: string): Record<string, unknown> {
  return step.stepType === 'Wait' || step.stepType === 'WaitForWebhook' ? waitFields(details, messageId) : {};
}

async function withInvokes(route: Route, all: Group[], details: StepDetails): Promise<Group[]> {
  const invokes = all.flatMap(({ steps }) => steps.filter(({ stepType }) => stepType === 'Invoke'));
  for (const step of invokes) Object.assign(step, await invokeFields(route, details, step.messageId));
  return all;
}

/** A run that is invoked by a branch goes on when its parent has failed beside it: the branch shows what became of it. */
async function settleInvokes(route: Route, all: Group[], status: RunStatus, history: HistoryEntry[]): Promise<Group[]> {
  if (status === 'running' || status === 'completed') return all;
  const branches = all.flatMap((group) => (group.type === 'parallel' ? group.steps : []));
  for (const { wait, meta } of openWork(history).waits.values()) {
    if (wait.kind !== 'run' || meta === undefined) continue;
    const { stepId } = (JSON.parse(meta) as WaitMeta).step;
    const branch = branches.find((step) => step.stepId === stepId && step.state === 'STEP_CANCELED');
    const child = branch && (await route.ask({ type: 'run', run: wait.run }));
    if (branch && child) branch.state = child.status === 'running' ? 'STEP_PROGRESS' : 'STEP_SUCCESS';
  }
  return all;
}

function nextSteps(run: RunDetail, common: Record<string, unknown>, history: HistoryEntry[]): StepLog[] {
  if (run.status === 'failed') {
    const key = failedCall(history);
    const errors = errorsOf(history, key);
    return [{ messageId: deliveredMessage(key, run.id), ...common, state: 'STEP_FAILED', ...namedBy(errors), errors }];
  }
  if (run.status === 'cancelled') {
    const open = openWork(history);
    return [
      ...(open.first ? [''] : []),
      ...[...open.calls].filter(([, call]) => !isHidden(call)).map(([key]) => key),
    ].map((key) => {
      const errors = errorsOf(history, key);
      const failed = errors.length === 0 ? {} : { errors };
      return { messageId: deliveredMessage(key, run.id), ...common, state: 'STEP_CANCELED', ...failed };
    });
  }
  if (run.status !== 'running') return [];
  return run.pending
    .filter((pending) => pending.kind === 'call' && !isHidden(pending))
    .map((pending) => ({
      messageId: deliveredMessage(pending.key, run.id),
      ...common,
      state: pending.attempt > 0 ? 'STEP_RETRY' : 'STEP_PROGRESS',
      ...pendingCallFields(pending),
      ...(pending.attempt > 0 ? retried(errorsOf(history, pending.key), pending.dueAt) : {}),
    }));
}

function retried(errors: StepError[], dueAt: number): Record<string, unknown> {
  return { ...namedBy(errors), errors, nextDeliveryTime: dueAt };
}

/** The SDK says in its answer which step has failed. */
function namedBy(errors: StepError[]): { stepName?: string } {
  const stepName = errors.at(-1)?.headers['Upstash-Error-Step-Name']?.[0];
  return stepName === undefined ? {} : { stepName };
}

/** What the log does not show: a call's result on its way to the workflow, and a delivery that brings no step. */
function isHidden({ meta }: { meta?: string | null }): boolean {
  if (typeof meta !== 'string') return false;
  const call = JSON.parse(meta) as CallMeta;
  return call.kind === 'result' || (call.kind === 'step' && call.bare === true);
}

/** The call whose failure ended the run. */
function failedCall(history: HistoryEntry[]): string {
  for (const { body } of history.toReversed()) {
    if (body.kind === 'end') {
      const { call } = JSON.parse(body.meta ?? '{}') as Partial<ExchangeMeta>;
      if (call !== undefined) return call;
    } else if (body.kind === 'retry') return body.key;
  }
  return '';
}

interface StepError {
  error: string;
  body: string;
  headers: HeaderMap;
  status: number;
  time: number;
}

function errorsOf(history: HistoryEntry[], key: string): StepError[] {
  return history.flatMap((entry) => {
    const { body } = entry;
    const failed = (body.kind === 'retry' && body.key === key) || (body.kind === 'end' && body.status === 'failed');
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
