import type { RunStatus } from '../../../core/model/call.ts';
import type { CellApi } from '../../../core/ports.ts';
import { planCompletion, type CompletedAttempt, type CompletionPlan } from '../completion.ts';
import { engineRun, snapshot, type EngineRunStatus } from '../engine-status.ts';
import { ApiError, staleSnapshot } from '../errors.ts';
import { parseSnapshotId, type SnapshotRef } from '../ids.ts';
import { FlushedMetadataSchema } from '../metadata.ts';
import { flushMetadata } from '../metadata-store.ts';
import { plainValue } from '../packets.ts';
import { engineNow, openEngine, param, readBody, runParam, type RouteContext } from '../request.ts';
import { CompletionSchema, MAX_COMPLETION_BODY_BYTES, type Completion } from '../schema.ts';
import { readAttemptMeta, readTaskData } from '../run-meta.ts';
import { failureStatusOf, isOutOfMemory } from '../task-errors.ts';
import { machineNameOf, mainCallOf } from '../waitpoints.ts';

/** POST /engine/v1/dev/runs/:run/snapshots/:snapshot/attempts/complete */
export async function completeAttempt(c: RouteContext): Promise<Response> {
  const { cell } = await openEngine(c);
  const run = runParam(c);
  const ref = parseSnapshotId(param(c, 'snapshot'));
  const [{ completion, forceRequeue = false }, nowMs] = await Promise.all([
    readBody(c, CompletionSchema, MAX_COMPLETION_BODY_BYTES),
    engineNow(c, cell),
  ]);
  if (!ref?.lease) throw staleSnapshot();
  await applyFlushed(cell, run, ref, completion);
  const plan = planCompletion(completion, {
    attempt: ref.attempt,
    nowMs,
    forceRequeue,
    ...(await differencesOf(cell, run, ref.attempt, completion)),
  });
  const [reported] = await cell.apply([
    {
      type: 'report',
      run,
      lease: ref.lease,
      attempt: ref.attempt,
      final: true,
      outcome: { ops: plan.ops, meta: plan.meta },
    },
  ]);
  if (reported?.type !== 'report' || reported.result === 'unknown') throw new ApiError('not_found', 'Run not found');
  if (reported.result === 'stale') return c.json({ result: await repeated(cell, run, ref, nowMs) });
  if (reported.status === 'running') return c.json({ result: goesOn(run, ref, reported.seq, plan.retry, nowMs) });
  return c.json({ result: finished(run, ref, reported.seq, statusOf(reported.status, completion), nowMs) });
}

/** What the attempt differed in, and where the next is to run if this one ran out of memory and its task says so. A first attempt that ended otherwise is as its run. */
async function differencesOf(
  cell: CellApi,
  run: string,
  attempt: number,
  completion: Completion,
): Promise<Pick<CompletedAttempt, 'before' | 'largerMachine'>> {
  const outOfMemory = !completion.ok && isOutOfMemory(completion.error);
  const detail = attempt > 0 || outOfMemory ? await cell.query({ type: 'run-detail', run }) : null;
  if (!detail) return { before: {} };
  const before = readAttemptMeta(mainCallOf(detail)?.meta);
  const wanted = outOfMemory ? readTaskData(detail.taskData ?? '{}').outOfMemoryMachine : undefined;
  return { before, largerMachine: wanted === machineNameOf(detail) ? undefined : wanted };
}

/** The last changes to a run's metadata travel with its completion; short runs never send them otherwise. */
async function applyFlushed(cell: CellApi, run: string, ref: SnapshotRef, completion: Completion): Promise<void> {
  if (completion.flushedMetadata?.data === undefined) return;
  const parsed = FlushedMetadataSchema.safeParse(plainValue(completion.flushedMetadata));
  if (!parsed.success) return;
  try {
    await flushMetadata(cell, run, parsed.data, `complete:${ref.lease}:${ref.attempt}`);
  } catch (error) {
    // The attempt has ended all the same: metadata over its bound stays as it was.
    if (!(error instanceof ApiError) || error.code !== 'payload_too_large') throw error;
  }
}

function goesOn(
  run: string,
  ref: SnapshotRef,
  seq: number,
  retry: CompletionPlan['retry'],
  nowMs: number,
): Record<string, unknown> {
  const kept = retry === 'RETRY_IMMEDIATELY';
  return {
    attemptStatus: retry,
    snapshot: snapshot(
      { seq, attempt: ref.attempt + 1, lease: kept ? ref.lease : null },
      kept ? 'EXECUTING' : 'QUEUED',
      nowMs,
      kept ? 'Attempt failed with a short delay, starting a new attempt' : 'Attempt failed, queued for the next one',
    ),
    // The number of the attempt that has just ended: the worker drops a run whose number changes here.
    run: engineRun(run, 'RETRYING_AFTER_FAILURE', ref.attempt + 1),
  };
}

function finished(
  run: string,
  ref: SnapshotRef,
  seq: number,
  status: EngineRunStatus,
  nowMs: number,
): Record<string, unknown> {
  return {
    attemptStatus: 'RUN_FINISHED',
    snapshot: snapshot({ seq, attempt: ref.attempt, lease: ref.lease }, 'FINISHED', nowMs, 'Run finished'),
    run: engineRun(run, status, ref.attempt + 1),
  };
}

/** The same completion came before and its answer was lost: say again what was decided then. */
async function repeated(cell: CellApi, run: string, ref: SnapshotRef, nowMs: number): Promise<Record<string, unknown>> {
  const detail = await cell.query({ type: 'run-detail', run });
  const main = detail ? mainCallOf(detail) : undefined;
  if (!detail || main?.attempt !== ref.attempt + 1) throw staleSnapshot();
  return goesOn(run, ref, detail.seq, main.lease === ref.lease ? 'RETRY_IMMEDIATELY' : 'RETRY_QUEUED', nowMs);
}

function statusOf(status: RunStatus | null, completion: Completion): EngineRunStatus {
  if (status === 'completed') return 'COMPLETED_SUCCESSFULLY';
  if (status === 'cancelled' || completion.ok) return 'CANCELED';
  return failureStatusOf(completion.error);
}
