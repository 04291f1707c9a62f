import { requireScope } from '../auth.ts';
import { readBatch } from '../batches.ts';
import { ApiError } from '../errors.ts';
import { labelOf } from '../names.ts';
import { open, param, type RouteContext } from '../request.ts';
import { labelShape } from '../realtime/label-shape.ts';
import { readShapeRequest } from '../realtime/shape.ts';

/** GET /realtime/v1/batches/:batch — the runs of a batch. */
export async function realtimeBatch(c: RouteContext): Promise<Response> {
  const { access, cell } = await open(c, ['secret', 'public']);
  const id = param(c, 'batch');
  requireScope(access, 'read', [['batch', id]]);
  if (!(await readBatch(cell, id))) throw new ApiError('not_found', 'Batch not found');
  const request = readShapeRequest(c, access.skipColumns);
  return labelShape(c, access.environment, request, { label: labelOf.batch(id), tags: [], sinceMs: 0 });
}
