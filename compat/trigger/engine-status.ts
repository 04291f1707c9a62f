import type { RunDetail, RunRecord } from '../../core/model/query.ts';
import { failureStatusOf } from './task-errors.ts';
import { publicRunId, snapshotId } from './ids.ts';
import { completedWaitpoints, hasOpenWaits, mainCallOf, runErrorOf, type CompletedWaitpoint } from './waitpoints.ts';

/** The vocabulary of `/engine/*` (@trigger.dev/core: v3/schemas/runEngine.ts). The API's own is in api-status.ts: never mix them. */
export type EngineRunStatus =
  | 'PENDING_VERSION'
  | 'DELAYED'
  | 'PENDING'
  | 'DEQUEUED'
  | 'EXECUTING'
  | 'RETRYING_AFTER_FAILURE'
  | 'CANCELED'
  | 'COMPLETED_SUCCESSFULLY'
  | 'COMPLETED_WITH_ERRORS'
  | 'SYSTEM_FAILURE'
  | 'CRASHED'
  | 'EXPIRED'
  | 'TIMED_OUT';

export type ExecutionStatus =
  | 'QUEUED'
  | 'DELAYED'
  | 'PENDING_EXECUTING'
  | 'EXECUTING'
  | 'EXECUTING_WITH_WAITPOINTS'
  | 'PENDING_CANCEL'
  | 'FINISHED';

export interface Snapshot {
  id: string;
  friendlyId: string;
  executionStatus: ExecutionStatus;
  description: string;
  createdAt: string;
}

export interface EngineRun {
  id: string;
  friendlyId: string;
  status: EngineRunStatus;
  attemptNumber: number | null;
}

export interface ExecutionData {
  version: '1';
  snapshot: Snapshot;
  run: EngineRun;
  completedWaitpoints: CompletedWaitpoint[];
}

/** Status of a run that has ended. */
export function endedStatusOf(record: RunRecord): EngineRunStatus {
  if (record.status === 'completed') return 'COMPLETED_SUCCESSFULLY';
  if (record.status === 'cancelled') return 'CANCELED';
  if (record.reason === 'expired' || record.reason === 'unreleased') return 'EXPIRED';
  return failureStatusOf(runErrorOf(record.error, record.status, record.reason));
}

export function snapshot(
  ref: { seq: number; attempt: number; lease: string | null },
  executionStatus: ExecutionStatus,
  atMs: number,
  description: string,
): Snapshot {
  const id = snapshotId(ref);
  return { id, friendlyId: id, executionStatus, description, createdAt: new Date(atMs).toISOString() };
}

export function engineRun(run: string, status: EngineRunStatus, attemptNumber: number | null): EngineRun {
  const id = publicRunId(run);
  return { id, friendlyId: id, status, attemptNumber };
}

/**
 * What a worker sees of a run now. Until a worker has started the attempt that the main call is at, the number of the attempt before is
 * shown, because a worker drops a run whose number changes under it. `endedAttempt`: of a run that has ended.
 */
export function executionData(detail: RunDetail, nowMs: number, endedAttempt: number | null = null): ExecutionData {
  const main = mainCallOf(detail);
  const begun = main?.begun ?? false;
  const attempt = main?.attempt ?? 0;
  const ref = { seq: detail.seq, attempt, lease: main?.lease ?? null };
  const number = detail.status === 'running' ? (begun ? attempt + 1 : attempt === 0 ? null : attempt) : endedAttempt;
  const view = (
    executionStatus: ExecutionStatus,
    status: EngineRunStatus,
    description: string,
    completed: CompletedWaitpoint[] = [],
  ): ExecutionData => ({
    version: '1',
    snapshot: snapshot(ref, executionStatus, nowMs, description),
    run: engineRun(detail.id, status, number),
    completedWaitpoints: completed,
  });
  if (detail.status !== 'running') return view('FINISHED', endedStatusOf(detail), 'Run finished');
  if (detail.cancelling) return view('PENDING_CANCEL', 'CANCELED', 'Run is being canceled');
  if (detail.parked) return view('QUEUED', 'PENDING_VERSION', 'Run waits for a version that has its task');
  if (!main?.lease) {
    if (detail.startedAt !== null)
      return view('QUEUED', attempt > 0 ? 'RETRYING_AFTER_FAILURE' : 'PENDING', 'Run is queued again');
    return main !== undefined && main.dueAt > nowMs
      ? view('DELAYED', 'DELAYED', 'Run is delayed')
      : view('QUEUED', 'PENDING', 'Run is queued');
  }
  // Between two attempts in one worker's hands it goes on executing (trigger.dev: run-engine retryImmediate): of any other state the worker would speak aloud.
  if (!begun && attempt > 0) return view('EXECUTING', 'RETRYING_AFTER_FAILURE', 'Run is between two attempts');
  if (!begun) return view('PENDING_EXECUTING', 'DEQUEUED', 'Run was dequeued for execution');
  if (hasOpenWaits(detail, attempt)) return view('EXECUTING_WITH_WAITPOINTS', 'EXECUTING', 'Run is waiting');
  return view('EXECUTING', 'EXECUTING', 'Run is executing', completedWaitpoints(detail, attempt));
}
