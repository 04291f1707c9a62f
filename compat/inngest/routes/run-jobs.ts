import { isId } from '../../../core/model/ids.ts';
import { InngestError } from '../errors.ts';
import { cellOf, envelope } from '../http.ts';
import type { RouteContext } from '../http.ts';

/** GET /v1/runs/:run/jobs: what of a run waits for its time, or is being done. */
export async function listRunJobs(c: RouteContext): Promise<Response> {
  const run = c.req.param('run') ?? '';
  if (!isId(run)) throw new InngestError(400, 'invalid_request', 'The run id is not a ULID.');
  const detail = await cellOf(c).query({ type: 'run-detail', run });
  if (!detail) throw new InngestError(404, 'unknown-run', 'No such run.');
  const jobs = detail.pending.map((pending) => ({
    run_id: run,
    step_id: pending.key === '' ? 'step' : pending.key,
    kind: pending.kind,
    at: new Date(Math.min(pending.dueAt, 8_640_000_000_000_000)).toISOString(),
    attempt: pending.attempt,
    running: pending.leased,
  }));
  return envelope(c, JSON.stringify(jobs));
}
