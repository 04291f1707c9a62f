import type { LimitSpec } from '../../core/model/task.ts';
import type { RetryPolicy } from '../../core/schedule/backoff.ts';
import { BACKOFF, flowLimitKey, MAX_PARALLELISM, queueLimitKey } from './constants.ts';
import type { FlowControl } from './options.ts';

/** The delay before a retry: the publisher's formula (milliseconds), else the vendor's curve. */
export function retryPolicy(retryDelay: string | undefined): RetryPolicy {
  return retryDelay === undefined ? BACKOFF : { kind: 'expression', source: retryDelay, capMs: BACKOFF.capMs };
}

/**
 * A queue is a limit that a message holds from its first delivery to its end: with parallelism 1 strictly first in, first out.
 * Its bound here is the one of a queue that nobody configured; a configured one is pinned (routes/upsert-queue.ts).
 * A flow-control key is a limit held while a delivery is under way.
 */
export function limitsOf(options: { queue?: string; flowControl?: FlowControl }): LimitSpec[] {
  const limits: LimitSpec[] = [];
  if (options.queue !== undefined) limits.push({ key: queueLimitKey(options.queue), max: 1, hold: 'run' });
  if (options.flowControl !== undefined) limits.push(flowLimit(options.flowControl));
  return limits;
}

export function flowLimit(flow: FlowControl): LimitSpec {
  return { key: flowLimitKey(flow.key), max: flow.parallelism ?? MAX_PARALLELISM, hold: 'call' };
}
