import type { LapsedCall, Outcome } from '../../core/model/call.ts';
import { readTaskData } from './run-meta.ts';
import type { TaskRunError } from './task-errors.ts';

/** Times that a run is handed out without its worker starting it (trigger.dev: run-engine dequeueSystem, maxDequeueCount). */
const MAX_UNSTARTED = 12;
/** An attempt whose worker has gone silent is made again after this (trigger.dev: run-engine handleStalledSnapshot). */
const RETRY_STALLED_MS = 250;

/** A worker holds a run and lets its heartbeats lapse. */
export function stalled(call: LapsedCall): Outcome | null {
  if (!call.begun) {
    if (call.lapses < MAX_UNSTARTED) return null;
    return fail(
      'TASK_RUN_DEQUEUED_MAX_RETRIES',
      `Run was handed out ${MAX_UNSTARTED} times and no worker started it`,
      'never',
    );
  }
  // A development session that vanishes takes its attempts with it; elsewhere the attempt counts as failed.
  if (readTaskData(call.task.data).environmentType === 'DEVELOPMENT')
    return { ops: [{ op: 'cancel', reason: 'The worker did not send a heartbeat in time' }] };
  return fail('TASK_RUN_STALLED_EXECUTING', 'The worker did not send a heartbeat in time', {
    at: call.nowMs + RETRY_STALLED_MS,
  });

  function fail(code: string, message: string, retry: 'never' | { at: number }): Outcome {
    const error: TaskRunError = { type: 'INTERNAL_ERROR', code, message };
    const meta = JSON.stringify({ attemptNumber: call.attempt + 1 });
    return { ops: [{ op: 'fail', error: JSON.stringify(error), retry, meta }], meta };
  }
}
