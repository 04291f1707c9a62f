import type { Op } from '../../core/model/call.ts';
import type { JsonText } from '../../core/model/payload.ts';
import type { Completion } from './schema.ts';
import type { AttemptMeta, OutcomeMeta } from './run-meta.ts';
import { CANCELLED_CODE, isOutOfMemory, retryWishOf } from './task-errors.ts';

/**
 * Below this delay the worker keeps the run and its process and starts the next attempt itself; above, the run goes back to its queue
 * (trigger.dev: RUN_ENGINE_RETRY_WARM_START_THRESHOLD_MS).
 */
export const IMMEDIATE_RETRY_MS = 30_000;
/** How long after its delay a kept run may go unstarted before it is queued again. */
export const START_GRACE_MS = 60_000;

export interface CompletionPlan {
  ops: Op[];
  meta: JsonText;
  /** What the worker is told when the run goes on. */
  retry: 'RETRY_IMMEDIATELY' | 'RETRY_QUEUED';
}

export interface CompletedAttempt {
  /** From 0. */
  attempt: number;
  nowMs: number;
  forceRequeue: boolean;
  /** What the attempt differed in from the run. */
  before: AttemptMeta;
  /** The task wants it after an attempt that ran out of memory, and this attempt did not run on it. */
  largerMachine?: string | undefined;
}

/** An attempt's completion as operations. Attempts left are counted by the engine. */
export function planCompletion(
  completion: Completion,
  { attempt, nowMs, forceRequeue, before, largerMachine }: CompletedAttempt,
): CompletionPlan {
  const usedMs = (before.usedMs ?? 0) + (completion.usage?.durationMs ?? 0);
  const facts: OutcomeMeta = { attemptNumber: attempt + 1, ...(usedMs === 0 ? {} : { durationMs: usedMs }) };
  const nextOf = (changes: AttemptMeta): { meta: JsonText } => ({
    meta: JSON.stringify({ ...before, ...(usedMs === 0 ? {} : { usedMs }), ...changes } satisfies AttemptMeta),
  });
  if (completion.ok) {
    const meta = JSON.stringify({ ...facts, outputType: completion.outputType } satisfies OutcomeMeta);
    return { ops: [{ op: 'complete', output: completion.output ?? null, meta }], meta, retry: 'RETRY_QUEUED' };
  }
  const meta = JSON.stringify(facts);
  const { error } = completion;
  if (error.type === 'INTERNAL_ERROR' && error.code === CANCELLED_CODE) {
    return {
      ops: [{ op: 'cancel', ...(error.message === undefined ? {} : { reason: error.message }) }],
      meta,
      retry: 'RETRY_QUEUED',
    };
  }
  if (isOutOfMemory(error)) {
    // Not worth another try in the same space (trigger.dev: run-engine retrying.ts retryOOMOnMachine).
    const retry =
      largerMachine === undefined
        ? ({ retry: 'never' } as const)
        : ({
            retry: 'policy',
            next: nextOf({ machine: largerMachine }),
          } as const);
    return { ops: [{ op: 'fail', error: JSON.stringify(error), meta, ...retry }], meta, retry: 'RETRY_QUEUED' };
  }
  const wish = retryWishOf(error, completion.retry !== undefined && completion.skippedRetrying !== true);
  const fail = { op: 'fail', error: JSON.stringify(error), meta } as const;
  if (wish.kind === 'never') return { ops: [{ ...fail, retry: 'never' }], meta, retry: 'RETRY_QUEUED' };
  if (wish.kind === 'policy' || completion.retry === undefined)
    return { ops: [{ ...fail, retry: 'policy', next: nextOf({}) }], meta, retry: 'RETRY_QUEUED' };
  // The worker's clock is not this engine's: its delay counts, not its timestamp.
  const at = nowMs + completion.retry.delay;
  const keep = !forceRequeue && completion.retry.delay < IMMEDIATE_RETRY_MS;
  return {
    ops: [{ ...fail, retry: { at }, next: nextOf({}), ...(keep ? { keepLeaseUntilMs: at + START_GRACE_MS } : {}) }],
    meta,
    retry: keep ? 'RETRY_IMMEDIATELY' : 'RETRY_QUEUED',
  };
}
