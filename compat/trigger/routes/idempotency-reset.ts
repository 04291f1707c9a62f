import * as z from 'zod';
import { requireScope } from '../auth.ts';
import { ApiError } from '../errors.ts';
import { open, param, readBody, requireProject, type RouteContext } from '../request.ts';
import { MAX_SMALL_BODY_BYTES } from '../schema.ts';
import { dedupeKeyOf } from '../start-run.ts';

const ResetKeyBodySchema = z.object({ taskIdentifier: z.string().min(1).max(128) });

/** POST /api/v1/idempotencyKeys/:key/reset — the next trigger with that key (its hash) makes a new run. */
export async function resetIdempotencyKey(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret', 'public']);
  requireScope(call.access, 'write', [['runs', '']]);
  const { taskIdentifier } = await readBody(c, ResetKeyBodySchema, MAX_SMALL_BODY_BYTES);
  const project = await requireProject(c, call);
  const key = param(c, 'key');
  const [released] = await call.cell.apply([{ type: 'release-key', key: dedupeKeyOf(project, taskIdentifier, key) }]);
  if (released?.type !== 'release-key' || released.run === null)
    throw new ApiError('not_found', `No runs found with idempotency key: ${key} and task: ${taskIdentifier}`);
  return c.json({ id: key });
}
