import { requireScope } from '../auth.ts';
import { cancelRun } from '../cancel-run.ts';
import { ApiError } from '../errors.ts';
import { publicRunId } from '../ids.ts';
import { open, runParam, type RouteContext } from '../request.ts';

/** POST /api/v2/runs/:run/cancel */
export async function cancelRunRoute(c: RouteContext): Promise<Response> {
  const { access, cell } = await open(c, ['secret', 'public', 'personal']);
  const run = runParam(c);
  requireScope(access, 'write', [['runs', publicRunId(run)]]);
  if ((await cancelRun(cell, run)) === 'unknown') throw new ApiError('not_found', 'Run not found');
  return c.json({ id: publicRunId(run) });
}
