import type { Command, CommandResult } from '../../core/model/command.ts';
import { COLLECTION, DEFAULT_RETRIES, FLOW_RECORD_MS } from './constants.ts';
import { type HeaderList, mergeHeaders } from './headers.ts';
import type { RunMeta } from './meta.ts';
import type { FlowControl, PublishOptions } from './options.ts';
import type { Route } from './route.ts';

/** One thing to send, from whichever route it came. */
export interface PublishItem {
  destination: string;
  options: PublishOptions;
  body: Uint8Array;
  queue?: string;
  /** As they came: a URL group's default headers stand before them. */
  headers?: HeaderList;
  /** How many of this server's own deliveries led here. */
  hops?: number;
}

/** Commands of one item and what to answer once they have been applied. */
export interface ItemPlan {
  commands: Command[];
  /** How many messages it publishes. */
  messages: number;
  answer(results: CommandResult[]): ItemAnswer;
}

export interface ItemAnswer {
  body: unknown;
  deduplicated: boolean;
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
  return {
    type: 'put-record',
    collection: COLLECTION.flow,
    id: key,
    data: JSON.stringify(data),
    keepMs: FLOW_RECORD_MS,
  };
}

export function messageMeta(
  options: PublishOptions,
  target: Pick<RunMeta, 'url' | 'topic' | 'endpoint' | 'schedule' | 'fanOut' | 'hops'>,
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
