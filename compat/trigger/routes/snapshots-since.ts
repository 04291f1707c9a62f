import { endedAttemptOf } from '../attempt-number.ts';
import { executionData, snapshot, engineRun, type ExecutionData } from '../engine-status.ts';
import { ApiError, staleSnapshot } from '../errors.ts';
import { parseSnapshotId } from '../ids.ts';
import { openEngine, param, runParam, type RouteContext } from '../request.ts';
import { mainCallOf } from '../waitpoints.ts';

/**
 * GET …/runs/:run/snapshots/since/:snapshot — what has become of a run since then: nothing, or its newest snapshot. Where another worker
 * holds it meanwhile, a queued one stands between the two: from that a worker knows that it is not its run any more.
 */
export async function snapshotsSince(c: RouteContext): Promise<Response> {
  const { cell } = await openEngine(c);
  const ref = parseSnapshotId(param(c, 'snapshot'));
  if (!ref) throw staleSnapshot();
  const detail = await cell.query({ type: 'run-detail', run: runParam(c) });
  if (!detail) throw new ApiError('not_found', 'Run not found');
  if (detail.seq <= ref.seq) return c.json({ snapshots: [] });
  const nowMs = c.get('host').context.wallClockMs();
  const ended = detail.status === 'running' ? null : await endedAttemptOf(cell, detail);
  const newest = executionData(detail, nowMs, ended);
  const lease = mainCallOf(detail)?.lease ?? null;
  const lost = ref.lease !== null && lease !== null && lease !== ref.lease && detail.seq - 1 > ref.seq;
  const between: ExecutionData[] = lost
    ? [
        {
          version: '1',
          snapshot: snapshot(
            { seq: detail.seq - 1, attempt: ref.attempt, lease: null },
            'QUEUED',
            nowMs,
            'Run was queued again',
          ),
          run: engineRun(detail.id, 'PENDING', ref.attempt + 1),
          completedWaitpoints: [],
        },
      ]
    : [];
  return c.json({ snapshots: [...between, newest] });
}
