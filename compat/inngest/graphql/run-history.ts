import type { Payload } from '../../../core/model/payload.ts';
import type { RunFacts } from '../../../core/model/query.ts';
import { appOf } from '../apps.ts';
import type { FunctionData } from '../function-data.ts';
import { derivedUlid } from '../ids.ts';
import { outputId, outputOf, traceOfRun } from '../run-view.ts';
import { FINALIZATION } from '../trace.ts';
import type { Span, StepOp } from '../trace.ts';
import { time } from './reader.ts';
import type { Reader } from './reader.ts';

type HistoryType =
  | 'FunctionScheduled'
  | 'FunctionStarted'
  | 'FunctionCompleted'
  | 'FunctionFailed'
  | 'FunctionCancelled'
  | 'StepScheduled'
  | 'StepStarted'
  | 'StepErrored'
  | 'StepCompleted'
  | 'StepFailed'
  | 'StepSleeping'
  | 'StepWaiting';

interface Item {
  type: HistoryType;
  atMs: number;
  attempt: number;
  /** What came out there, and what was asked for; null: nothing of either. */
  span: Span | null;
  /** Of the step, where the line is a step's. */
  name: string | null;
  /** It shows what came out. */
  isEnd?: boolean;
}

const STEP_TYPES: Readonly<Partial<Record<StepOp, string>>> = {
  RUN: 'Run',
  AI_GATEWAY: 'Run',
  SLEEP: 'Sleep',
  WAIT_FOR_EVENT: 'Wait',
  WAIT_FOR_SIGNAL: 'Wait',
};

/** `FunctionRun.history`, as the first generation of the vendor's pages shows a run: a line for each thing that happened, in order. */
export async function historyView(reader: Reader, run: RunFacts): Promise<object[]> {
  const fn = (await reader.functionOf(run))?.fn ?? null;
  const url = fn?.url ?? null;
  return numbered(await itemsOf(reader, run)).map(([id, item]) => ({
    id: id(run.id),
    attempt: item.attempt,
    createdAt: time(item.atMs),
    functionVersion: run.taskVersion,
    groupID: null,
    cancel: item.type === 'FunctionCancelled' ? { eventID: null, expression: null, userID: null } : null,
    result: () => resultOf(reader, run, fn, item),
    stepName: item.name,
    stepType: STEP_TYPES[item.span?.stepOp ?? 'INVOKE'] ?? null,
    type: item.type,
    url,
    ...detailsOf(item),
  }));
}

/**
 * What the app's answer was (inngest/inngest: pkg/execution/history, applyResponse and OnStepFinished; `framework`, `platform` and `errorCode` are
 * never filled there). Lines of a wait, a sleep and a cancellation have none; an invocation's says nothing but that something came; only of a step's
 * answer the SDK is told, here as its app registered last. The size is of what came out: of an answer that tells of more than that, nothing is kept.
 */
async function resultOf(reader: Reader, run: RunFacts, fn: FunctionData | null, item: Item): Promise<object | null> {
  const { span, isEnd, type } = item;
  if (!span || isEnd !== true || type === 'FunctionCancelled') return null;
  const told = { errorCode: null, framework: null, platform: null, sdkLanguage: '', sdkVersion: '' };
  if (span.stepOp === 'INVOKE') return { ...told, durationMS: 0, sizeBytes: 0 };
  if (span.stepOp !== null && span.stepOp !== 'RUN' && span.stepOp !== 'AI_GATEWAY') return null;
  const call = lastAttempt(span.isRoot ? (span.children.find(({ name }) => name === FINALIZATION) ?? span) : span);
  const [entry] =
    span.outputSeq === null
      ? []
      : await reader.cell.query({ type: 'history', run: run.id, afterSeq: span.outputSeq - 1, limit: 1 });
  const sdk = fn && span.stepOp === 'RUN' ? (await appOf(reader.cell, fn)).sdk : '';
  const [language = '', version = ''] = sdk.split(':');
  return {
    ...told,
    durationMS: call.startedAt === null || call.endedAt === null ? 0 : Math.round(call.endedAt - call.startedAt),
    sdkLanguage: language.replace(/^inngest-/, ''),
    sdkVersion: version,
    sizeBytes: entry?.data ? sizeOf(entry.data) : 0,
  };
}

function lastAttempt(span: Span): Span {
  return span.children.findLast(({ userland }) => userland === null) ?? span;
}

function sizeOf(data: Payload): number {
  return typeof data === 'string' ? new TextEncoder().encode(data).length : data.length;
}

/** `FunctionRun.historyItemOutput`: what came out where that line was written; null: nothing did. */
export async function historyOutput(reader: Reader, run: RunFacts, wanted: string): Promise<string | null> {
  const found = numbered(await itemsOf(reader, run)).find(([id]) => id(run.id) === wanted)?.[1];
  const span = found?.span ?? null;
  if (!span || found?.isEnd !== true) return null;
  const named = outputId(span);
  const output = named === null ? null : await outputOf(reader.cell, named);
  return output === null ? null : (output.data ?? output.error);
}

async function itemsOf(reader: Reader, run: RunFacts): Promise<Item[]> {
  const root = await traceOfRun(reader.cell, run, 'newer');
  const items: Item[] = [{ type: 'FunctionScheduled', atMs: run.createdAt, attempt: 0, span: null, name: null }];
  if (run.startedAt !== null)
    items.push({ type: 'FunctionStarted', atMs: run.startedAt, attempt: 0, span: null, name: null });
  for (const span of root.children) if (span.name !== FINALIZATION) items.push(...stepItems(span));
  if (run.endedAt !== null) {
    const type =
      run.status === 'completed'
        ? 'FunctionCompleted'
        : run.status === 'failed'
          ? 'FunctionFailed'
          : 'FunctionCancelled';
    items.push({ type, atMs: run.endedAt, attempt: root.attempts, span: root, name: null, isEnd: true });
  }
  return items.sort((a, b) => a.atMs - b.atMs);
}

function stepItems(span: Span): Item[] {
  const items: Item[] = [];
  const add = (type: HistoryType, atMs: number | null, attempt: number, of = span, isEnd = false): void => {
    if (atMs !== null) items.push({ type, atMs, attempt, span: of, name: span.name, isEnd });
  };
  if (span.stepOp === 'SLEEP') add('StepSleeping', span.queuedAt, 0);
  else if (span.stepOp === 'RUN' || span.stepOp === 'AI_GATEWAY') {
    add('StepScheduled', span.queuedAt, 0);
    add('StepStarted', span.startedAt, 0);
    for (const attempt of span.children.filter(
      (child) => child.status === 'FAILED' && child.outputSeq !== span.outputSeq,
    ))
      add('StepErrored', attempt.endedAt, attempt.attempts, attempt, true);
  } else add('StepWaiting', span.queuedAt, 0);
  if (span.status === 'COMPLETED') add('StepCompleted', span.endedAt, span.attempts, span, true);
  if (span.status === 'FAILED') add('StepFailed', span.endedAt, span.attempts, span, true);
  return items;
}

/** With its id, which is the same each time a run is read. */
function numbered(items: Item[]): Array<[id: (run: string) => string, item: Item]> {
  return items.map((item) => [
    (run) => derivedUlid(item.atMs, `${run} ${item.type} ${item.span?.spanID ?? ''} ${item.attempt}`),
    item,
  ]);
}

function detailsOf({ span, isEnd }: Item): object {
  const info = span?.stepInfo ?? null;
  const none = {
    sleep: null,
    waitForEvent: null,
    waitResult: null,
    invokeFunction: null,
    invokeFunctionResult: null,
  };
  switch (info?.kind) {
    case 'SleepStepInfo':
      return { ...none, sleep: { until: time(info.sleepUntil) } };
    case 'WaitForEventStepInfo':
      return isEnd
        ? { ...none, waitResult: { eventID: info.foundEventID, timeout: info.timedOut ?? false } }
        : {
            ...none,
            waitForEvent: { eventName: info.eventName, expression: info.expression, timeout: time(info.timeout) },
          };
    case 'InvokeStepInfo':
      return isEnd
        ? {
            ...none,
            invokeFunctionResult: { eventID: info.returnEventID, timeout: info.timedOut ?? false, runID: info.runID },
          }
        : {
            ...none,
            invokeFunction: {
              eventID: info.triggeringEventID,
              functionID: info.functionID,
              correlationID: `${span?.runID}.${span?.stepID}`,
              timeout: time(info.timeout),
            },
          };
    default:
      return none;
  }
}
