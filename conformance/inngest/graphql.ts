import { expect } from '../harness/index.ts';
import type { CaseContext } from '../harness/index.ts';

export interface Answer {
  status: number;
  body: Record<string, unknown>;
}

export async function call(context: CaseContext, method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(new URL(path, context.url), {
    method,
    headers: { authorization: 'Bearer x', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
}

export async function gql<T>(context: CaseContext, query: string, variables: object = {}): Promise<T> {
  const { status, body } = await call(context, 'POST', '/v0/gql', { query, variables });
  expect.equal(status, 200);
  expect.equal(body['errors'], undefined, JSON.stringify(body['errors']));
  return body['data'] as T;
}

export interface GqlSpan {
  name: string;
  status: string;
  attempts: number;
  stepOp: string | null;
  stepID: string | null;
  outputID: string | null;
  isRoot: boolean;
  stepInfo: Record<string, unknown> | null;
  metadata: Array<{ scope: string; kind: string; values: unknown }>;
  childrenSpans: GqlSpan[];
}

export const SPAN = `name runID status attempts isRoot parentSpanID spanID stepID startedAt endedAt duration outputID stepOp
  stepInfo { __typename
    ... on InvokeStepInfo { triggeringEventID functionID timeout returnEventID runID timedOut }
    ... on SleepStepInfo { sleepUntil }
    ... on WaitForEventStepInfo { eventName expression timeout foundEventID timedOut }
    ... on RunStepInfo { type } }
  metadata { scope kind values updatedAt }`;
export const RUN_QUERY = `query GetRun($runID: String!) { run(runID: $runID) {
  id status traceID isBatch batchCreatedAt cronSchedule endedAt eventName output
  function { slug app { externalID } }
  trace(preview: true) { ${SPAN} childrenSpans { ${SPAN} childrenSpans { ${SPAN} } } } } }`;

/** Runs the traced function to its end; returns its run. */
