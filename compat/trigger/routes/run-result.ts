import type { RunRecord } from '../../../core/model/query.ts';
import { ApiError } from '../errors.ts';
import { publicRunId } from '../ids.ts';
import { slugOf } from '../names.ts';
import { open, param, runParam, type RouteContext } from '../request.ts';
import { readOutcomeMeta, readRunMeta } from '../run-meta.ts';
import { runErrorOf } from '../waitpoints.ts';
import { readBatch, runsOfBatch } from '../batches.ts';

/** Results of a batch that are asked for side by side. */
const READ_AT_ONCE = 50;

/** GET /api/v1/runs/:run/result — the raw result, as a waiting parent gets it. */
export async function runResult(c: RouteContext): Promise<Response> {
  const { cell } = await open(c);
  const record = await cell.query({ type: 'run', run: runParam(c) });
  if (!record || record.status === 'running')
    throw new ApiError('not_found', 'Run either does not exist or has not finished yet');
  return c.json(resultOf(record));
}

/** GET /api/v1/batches/:batch/results */
export async function batchResults(c: RouteContext): Promise<Response> {
  const { cell } = await open(c);
  const batch = await readBatch(cell, param(c, 'batch'));
  const runs = batch ? await runsOfBatch(cell, batch.id) : [];
  if (!batch || runs.some((run) => run.status === 'running'))
    throw new ApiError('not_found', 'Batch either does not exist or has not finished yet');
  const items: Array<Record<string, unknown>> = [];
  for (let i = 0; i < runs.length; i += READ_AT_ONCE) {
    const some = runs.slice(i, i + READ_AT_ONCE);
    const records = await Promise.all(some.map(({ id }) => cell.query({ type: 'run', run: id })));
    for (const record of records) if (record) items.push(resultOf(record));
  }
  return c.json({ id: batch.id, items });
}

/** @trigger.dev/core: v3/schemas/common.ts TaskRunExecutionResult */
export function resultOf(record: RunRecord): Record<string, unknown> {
  const id = publicRunId(record.id);
  const taskIdentifier = slugOf(record.task);
  if (record.status !== 'completed')
    return {
      ok: false,
      id,
      taskIdentifier,
      error: runErrorOf(record.error, record.status, record.reason, readRunMeta(record.meta).ttl),
    };
  const { outputType = 'application/json' } = readOutcomeMeta(record.outcomeMeta);
  return {
    ok: true,
    id,
    taskIdentifier,
    outputType,
    ...(typeof record.output === 'string' ? { output: record.output } : {}),
  };
}
