import { type Rate, UNBOUNDED } from '../../core/model/limit.ts';
import type { LimitSpec } from '../../core/model/task.ts';
import type { RetryPolicy } from '../../core/schedule/backoff.ts';
import { BACKOFF, flowLimitKey, queueLimitKey } from './constants.ts';
import type { FlowControl } from './options.ts';

/** The vendor's period where a message names a rate alone. */
export const DEFAULT_FLOW_PERIOD_MS = 1_000;

/** The delay before a retry: the publisher's formula (milliseconds), else the vendor's curve. */
export function retryPolicy(retryDelay: string | undefined): RetryPolicy {
  return retryDelay === undefined ? BACKOFF : { kind: 'expression', source: retryDelay, capMs: BACKOFF.capMs };
}

/**
 * A queue is a limit that a message holds from its first delivery until its callbacks are done: with parallelism 1 strictly first in, first out.
 * Its bound here is the one of a queue that nobody configured; what routes/queues.ts sets counts instead.
 * A flow-control key bounds deliveries, wherever they go: how many are under way, and how many begin in a period, retries included.
 */
export function limitsOf(options: { queue?: string; flowControl?: FlowControl }): LimitSpec[] {
  const limits: LimitSpec[] = [];
  if (options.queue !== undefined) limits.push({ key: queueLimitKey(options.queue), max: 1, hold: 'run' });
  if (options.flowControl !== undefined) limits.push(flowLimit(options.flowControl));
  return limits;
}

export function flowLimit(flow: FlowControl): LimitSpec {
  const rate = flowRate(flow);
  return { key: flowLimitKey(flow.key), max: flow.parallelism ?? UNBOUNDED, hold: 'call', ...(rate ? { rate } : {}) };
}

/** A window that begins with its first delivery: what `ratePeriodStart` and `rateCount` of the vendor's API tell of. */
export function flowRate(flow: { rate?: number; periodMs?: number }): Rate | undefined {
  return flow.rate === undefined
    ? undefined
    : { max: flow.rate, periodMs: flow.periodMs ?? DEFAULT_FLOW_PERIOD_MS, shape: 'fixed', takes: 'call' };
}
