import type { StartSpec } from '../../core/model/call.ts';
import type { Command, CommandResult, ResultOf } from '../../core/model/command.ts';
import type { Payload } from '../../core/model/payload.ts';
import { COLLECTION, DEDUPE_MS, DEFAULT_RETRIES, TASK_MESSAGE } from './constants.ts';
import { parseDestination } from './destination.ts';
import { payloadOf, sha256Hex } from './encoding.ts';
import { WireError } from './errors.ts';
import { mergeHeaders } from './headers.ts';
import { messageIdOf } from './ids.ts';
import { limitsOf, retryPolicy } from './limits.ts';
import type { RunMeta } from './meta.ts';
import type { FlowControl, PublishOptions } from './options.ts';
import type { Route } from './route.ts';
import { planSchedule } from './schedules.ts';
import { endpointsOf } from './url-groups.ts';
import { planWorkflowItem } from './workflow.ts';

/** One thing to send, from whichever route it came. */
export interface PublishItem {
  destination: string;
  options: PublishOptions;
  body: Uint8Array;
  queue?: string;
}

/** Commands of one item and what to answer once they have been applied. */
export interface ItemPlan {
  commands: Command[];
  answer(results: CommandResult[]): ItemAnswer;
}

export interface ItemAnswer {
  body: unknown;
  deduplicated: boolean;
}

/** Throws WireError for anything wrong with the item; nothing has been sent then. */
export async function planItem(route: Route, item: PublishItem): Promise<ItemPlan> {
  const options = item.queue === undefined ? item.options : { ...item.options, queue: item.queue };
  if (options.cron !== undefined) return planSchedule(route, { ...item, options });
  if (options.workflow !== undefined) return planWorkflowItem(route, { ...item, options });
  const destination = parseDestination(item.destination);
  const body = payloadOf(item.body);
  const dueAt = await dueTime(route, options);
  const shared = sharedCommands(options);
  if (destination.kind === 'url') {
    const start = await messageStart(route, options, body, dueAt, { url: destination.url });
    return plan(shared, [start], ([result]) => answerOf(result as ResultOf<'start'>));
  }
  const endpoints = await endpointsOf(route, destination.name);
  if (endpoints.length === 0) throw new WireError(404, `url group ${destination.name} not found`);
  const starts = await Promise.all(
    endpoints.map((endpoint) =>
      messageStart(route, options, body, dueAt, {
        url: endpoint.url,
        topic: destination.name,
        endpoint: endpoint.name,
      }),
    ),
  );
  return plan(shared, starts, (results) => {
    const answers = results.map((result) => answerOf(result as ResultOf<'start'>));
    return {
      body: answers.map((answer, i) => ({ ...answer.body, url: endpoints[i]?.url })),
      deduplicated: answers.every((answer) => answer.deduplicated),
    };
  });
}

function plan(shared: Command[], starts: StartSpec[], answer: (results: CommandResult[]) => ItemAnswer): ItemPlan {
  return {
    commands: [...shared, ...starts.map((spec): Command => ({ type: 'start', spec }))],
    answer: (results) => answer(results.slice(shared.length)),
  };
}

function answerOf(result: ResultOf<'start'>): {
  body: { messageId: string; deduplicated?: true };
  deduplicated: boolean;
} {
  const messageId = messageIdOf(result.run);
  return result.deduplicated
    ? { body: { messageId, deduplicated: true }, deduplicated: true }
    : { body: { messageId }, deduplicated: false };
}

/** Absolute due time, or undefined for at once. `Not-Before` wins over `Delay`. */
export async function dueTime(route: Route, options: PublishOptions): Promise<number | undefined> {
  if (options.notBeforeMs !== undefined) return options.notBeforeMs;
  return options.delayMs ? (await route.now()) + options.delayMs : undefined;
}

/** A queue exists from its first message on, a flow-control key shows what its last message said. */
export function sharedCommands(options: { queue?: string; flowControl?: FlowControl }): Command[] {
  const commands: Command[] = [];
  if (options.queue !== undefined) {
    const data = JSON.stringify({ parallelism: 1, paused: false });
    commands.push({ type: 'put-record', collection: COLLECTION.queue, id: options.queue, data, ifAbsent: true });
  }
  if (options.flowControl !== undefined) commands.push(flowRecord(options.flowControl));
  return commands;
}

export function flowRecord(flow: FlowControl): Command {
  const { key, ...data } = flow;
  return { type: 'put-record', collection: COLLECTION.flow, id: key, data: JSON.stringify(data) };
}

async function messageStart(
  route: Route,
  options: PublishOptions,
  body: Payload,
  dueAt: number | undefined,
  target: Pick<RunMeta, 'url' | 'topic' | 'endpoint'>,
): Promise<StartSpec> {
  const meta = messageMeta(options, target, route.host.callerIp, dueAt);
  return {
    task: TASK_MESSAGE,
    input: body,
    meta: JSON.stringify(meta),
    dueAt,
    maxAttempts: meta.retries + 1,
    retry: retryPolicy(meta.retryDelay),
    limits: limitsOf(meta),
    labels: meta.labels,
    dedupe: await dedupeOf(route, options, meta, body),
  };
}

export function messageMeta(
  options: PublishOptions,
  target: Pick<RunMeta, 'url' | 'topic' | 'endpoint' | 'schedule'>,
  callerIp: string,
  dueAt?: number,
): RunMeta {
  return {
    ...target,
    method: options.method ?? 'POST',
    contentType: options.contentType,
    headers: mergeHeaders(options.forward),
    retries: options.retries ?? DEFAULT_RETRIES,
    retryDelay: options.retryDelay,
    timeoutMs: options.timeoutMs,
    notBeforeMs: dueAt,
    callback: options.callback,
    failureCallback: options.failureCallback,
    flowControl: options.flowControl,
    labels: options.labels,
    redact: options.redact,
    queue: options.queue,
    callerIp,
  };
}

async function dedupeOf(
  route: Route,
  options: PublishOptions,
  meta: RunMeta,
  body: Payload,
): Promise<StartSpec['dedupe']> {
  let key: string;
  if (options.dedupeId !== undefined) {
    // Each endpoint of a group gets its own copy.
    key = `id:${meta.topic === undefined ? '' : `${meta.url}\n`}${options.dedupeId}`;
  } else if (options.contentDedupe) {
    const head = JSON.stringify([meta.url, meta.contentType ?? '', meta.headers]);
    key = `content:${await sha256Hex(head)}:${await sha256Hex(body)}`;
  } else return undefined;
  return { key: `qstash:${key}`, untilMs: (await route.now()) + DEDUPE_MS };
}

/** Plans and applies one item in one transaction. */
export async function publishOne(route: Route, item: PublishItem): Promise<ItemAnswer> {
  const { commands, answer } = await planItem(route, item);
  return answer(await route.apply(commands));
}
