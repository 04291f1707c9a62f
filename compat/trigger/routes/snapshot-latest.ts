import { endedAttemptOf } from '../attempt-number.ts';
import { executionData } from '../engine-status.ts';
import { ApiError } from '../errors.ts';
import { openEngine, runParam, type RouteContext } from '../request.ts';

/** GET /engine/v1/dev/runs/:run/snapshots/latest */
export async function latestSnapshot(c: RouteContext): Promise<Response> {
  const { cell } = await openEngine(c);
  const detail = await cell.query({ type: 'run-detail', run: runParam(c) });
  if (!detail) throw new ApiError('not_found', 'Run not found');
  const ended = detail.status === 'running' ? null : await endedAttemptOf(cell, detail);
  return c.json({ execution: executionData(detail, c.get('host').context.wallClockMs(), ended) });
}
