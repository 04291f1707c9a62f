import * as z from 'zod';
import { MAIN } from '../../core/model/call.ts';
import type { LeasedCall, Op } from '../../core/model/call.ts';
import type { RunDetail } from '../../core/model/query.ts';
import type { TaskSpec } from '../../core/model/task.ts';
import type { EnvironmentContext, HttpCall } from '../../core/ports.ts';
import { signingKeys } from './auth.ts';
import { canonicalJson, canonicalObject } from './canonical.ts';
import { deferOps, isLazy } from './defers.ts';
import { eventsOf, textOf } from './events.ts';
import type { FunctionData } from './function-data.ts';
import { uuidOf } from './hex.ts';
import { MAX_RESPONSE_BYTES } from './limits.ts';
import { DISCOVERY_STEP, EXECUTOR, groupOf, HTTP_REQUEST, taskIdOf } from './names.ts';
import { nameOf, valueText } from './opcode.ts';
import type { Opcode } from './opcode.ts';
import { retryPolicy } from './registration.ts';
import { sign } from './signature.ts';
import { notesOf } from './step-notes.ts';
import { writeMeta } from './step-meta.ts';

/** An app that does not report for so long is taken to be lost: its endpoint is called instead. Each report starts it anew. */
export const HELD_MS = 10 * 60_000;
/** As for every call of an app. */
const CALL_TIMEOUT_MS = 2 * 3_600_000;

/** What a durable endpoint tells of the request that it serves (wire: inngest/http.request). */
export const HttpRequestSchema = z.looseObject({
  domain: z.url({ protocol: /^https?$/ }).max(2_048),
  method: z.string().min(1).max(16),
  path: z.string().min(1).max(4_096).startsWith('/'),
  fn: z.string().max(512).nullish(),
  content_type: z.string().max(512).nullish(),
  query_params: z.string().max(65_536).nullish(),
  body: z.string().nullish(),
});

export type HttpRequest = z.infer<typeof HttpRequestSchema>;

/** The function that an endpoint is: its app is the domain, its id the one it was given or its method and path. */
export async function endpointTask(request: HttpRequest, context: EnvironmentContext): Promise<TaskSpec> {
  const app = new URL(request.domain).host;
  // An endpoint without an id of its own is called like its client.
  const own = request.fn && !request.fn.endsWith('-') ? request.fn : `${request.method} ${request.path}`;
  const slug = `${app}-${own}`;
  const data: FunctionData = {
    slug,
    id: await uuidOf(`inngest function ${app} ${slug}`),
    app,
    appId: await uuidOf(`inngest app ${app}`),
    url: `${request.domain}${request.path}`,
    crons: [],
  };
  return {
    id: taskIdOf(slug),
    group: groupOf(app),
    name: own,
    executor: EXECUTOR,
    mode: 'push',
    triggers: [],
    maxAttempts: 5,
    retry: retryPolicy(context),
    limits: [],
    binding: 'current',
    data: JSON.stringify(data),
  };
}

/** The event of a run that its app has begun, as canonical text. */
export function requestEvent(run: string, request: HttpRequest, nowMs: number): string {
  return canonicalObject([
    ['data', canonicalJson(request)],
    ['id', JSON.stringify(run)],
    ['name', JSON.stringify(HTTP_REQUEST)],
    ['ts', String(nowMs)],
    ['user', '{}'],
  ]);
}

/** The request by which the server goes on with an endpoint's run: the one that began it, with the run's id. */
export async function endpointRequest(
  call: LeasedCall,
  context: EnvironmentContext,
  forcePlan: boolean,
): Promise<HttpCall> {
  const origin = {
    events: call.events,
    input: call.input,
    meta: call.meta,
    scheduledAt: null,
    createdAt: 0,
    startDueAt: 0,
    run: call.run,
  };
  const [event] = eventsOf({ ...origin, crons: [] });
  const request = (JSON.parse(event ?? '{}') as { data: HttpRequest }).data;
  const query = request.query_params ? `?${request.query_params}` : '';
  const body = request.body ? request.body : null;
  const key = signingKeys(context)[0];
  // An empty signature is what tells a call of this server from a visitor's, where nothing is signed.
  const signature = key === undefined ? '' : await sign(key, signedText(request, body), context.wallClockMs());
  return {
    url: `${request.domain}${request.path}${query}`,
    method: request.method,
    headers: [
      ...(request.content_type ? [['content-type', request.content_type] as [string, string]] : []),
      ['x-run-id', call.run],
      ['x-inngest-signature', signature],
      ['x-inngest-step-id', call.key === MAIN ? DISCOVERY_STEP : call.key],
      ['x-inngest-force-step-plan', String(forcePlan)],
      ['x-inngest-req-version', '2'],
      ['x-request-id', call.lease],
    ],
    body,
    timeoutMs: CALL_TIMEOUT_MS,
    maxResponseBytes: MAX_RESPONSE_BYTES,
  };
}

/** The SDK checks the signature over the parsed body of a POST or PUT, and over nothing otherwise. */
function signedText(request: HttpRequest, body: string | null): string {
  if (body === null || (request.method !== 'POST' && request.method !== 'PUT')) return '';
  try {
    return canonicalJson(JSON.parse(body));
  } catch {
    return body;
  }
}

/** Operations that leave the run with its app: finished steps. All else hands it over to the server, or ends it. */
export function staysWithApp(opcodes: readonly Opcode[]): boolean {
  return opcodes.every((opcode) => opcode.op === 'StepRun' || opcode.op === 'Step' || isLazy(opcode));
}

export function keptOps(opcodes: readonly Opcode[], detail: RunDetail): Op[] {
  const steps = opcodes.filter((opcode) => !isLazy(opcode));
  return [
    ...deferOps(opcodes, detail.steps),
    ...steps.flatMap((opcode): Op[] => [
      ...notesOf(opcode),
      {
        op: 'step',
        key: opcode.id,
        data: valueText(opcode.data),
        meta: writeMeta({ n: nameOf(opcode), v: 2 }),
        again: 'none',
      },
    ]),
  ];
}

/** The call that the app has in hand, as the translation of its answer wants to see it. */
export function callInHand(detail: RunDetail, task: { id: string; data: string; version: number }): LeasedCall {
  const main = detail.pending.find(({ key }) => key === MAIN);
  return {
    lease: main?.lease ?? '',
    run: detail.id,
    alias: detail.alias,
    runCreatedAt: detail.createdAt,
    runDueAt: detail.startDueAt,
    key: MAIN,
    attempt: main?.attempt ?? 0,
    maxAttempts: 1,
    dueAt: detail.createdAt,
    leasedAt: detail.createdAt,
    task: { id: task.id, version: task.version, executor: EXECUTOR, data: task.data },
    input: detail.input,
    meta: detail.meta,
    scheduledAt: null,
    callData: null,
    callMeta: null,
    callSeq: 0,
    seq: detail.seq,
    events: [],
    steps: detail.steps,
    pending: detail.pending.filter(({ key }) => key !== MAIN).map(({ key }) => key),
    labels: detail.labels,
  };
}

/** The answer of an endpoint, as its run keeps it. */
const ResultSchema = z.looseObject({
  status: z.number().int().min(200).max(599),
  headers: z.record(z.string(), z.string()).default({}),
  body: z.string().default(''),
});

/** What a run's result says to whoever waits for it: the answer that the endpoint gave, or its value as JSON. */
export function storedAnswer(output: string | Uint8Array | null): {
  status: number;
  headers: Record<string, string>;
  body: string;
} {
  const text = output === null ? 'null' : textOf(output);
  const parsed = ResultSchema.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : { status: 200, headers: { 'content-type': 'application/json' }, body: text };
}
