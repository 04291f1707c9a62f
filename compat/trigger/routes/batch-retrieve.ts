import { requireScope } from '../auth.ts';
import { oddItems, readBatch, runsOfBatch, type Batch, type OddItem } from '../batches.ts';
import { ApiError } from '../errors.ts';
import { publicRunId } from '../ids.ts';
import { open, param, type RouteContext } from '../request.ts';
import type { RunState } from '../../../core/model/query.ts';

/** GET /api/v2/batches/:batch (and v1) */
export async function retrieveBatch(c: RouteContext): Promise<Response> {
  const { access, cell } = await open(c, ['secret', 'public']);
  const id = param(c, 'batch');
  requireScope(access, 'read', [['batch', id]]);
  const batch = await readBatch(cell, id);
  if (!batch) throw new ApiError('not_found', 'Batch not found');
  const [runs, odd] = await Promise.all([runsOfBatch(cell, id), oddItems(cell, id)]);
  return c.json(batchResponse(batch, runs, odd));
}

/** @trigger.dev/core: v3/schemas/api.ts RetrieveBatchV2Response */
export function batchResponse(
  batch: Batch,
  runs: readonly RunState[],
  odd: readonly OddItem[],
): Record<string, unknown> {
  const errors = odd.flatMap((item) =>
    'error' in item ? [{ index: item.index, taskIdentifier: item.task, error: item.error }] : [],
  );
  const ended = runs.every((run) => run.status !== 'running');
  const endedAt = runs.reduce((latest, run) => Math.max(latest, run.endedAt ?? 0), batch.createdAt);
  const status = !batch.sealed
    ? 'PENDING'
    : errors.length === batch.runCount
      ? 'ABORTED'
      : !ended
        ? 'PROCESSING'
        : errors.length > 0
          ? 'PARTIAL_FAILED'
          : 'COMPLETED';
  return {
    id: batch.id,
    status,
    ...(batch.idempotencyKey === undefined ? {} : { idempotencyKey: batch.idempotencyKey }),
    createdAt: new Date(batch.createdAt).toISOString(),
    updatedAt: new Date(endedAt).toISOString(),
    runCount: batch.runCount,
    runs: [
      ...runs.map((run) => publicRunId(run.id)),
      ...odd.flatMap((item) => ('run' in item ? [publicRunId(item.run)] : [])),
    ],
    processing: { ...(batch.sealed ? { completedAt: new Date(batch.createdAt).toISOString() } : {}), errors },
  };
}
