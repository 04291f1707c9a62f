import { UNBOUNDED } from '../../../core/model/limit.ts';
import { limitKeyOf } from '../names.ts';
import { open, projectParam, readBody, type RouteContext } from '../request.ts';
import { EnvironmentConcurrencyBodySchema, MAX_SMALL_BODY_BYTES, PauseBodySchema } from '../schema.ts';

/** GET /api/v1/projects/:project/:env/concurrency — what the vendor shows on a page: how many runs are executed, how many may be, whether it is paused. */
export async function environmentConcurrency(c: RouteContext): Promise<Response> {
  const { cell } = await open(c);
  const key = limitKeyOf.environment(projectParam(c));
  const limit = await cell.query({ type: 'limit', key, ready: true });
  const max = limit.set.max ?? UNBOUNDED;
  return c.json({
    running: limit.held,
    queued: limit.ready ?? 0,
    concurrencyLimit: max >= UNBOUNDED ? null : max,
    paused: limit.paused,
  });
}

/** POST /api/v1/projects/:project/:env/pause {action} — no run of the environment begins or goes on; what workers have in hand they finish. */
export async function pauseEnvironment(c: RouteContext): Promise<Response> {
  const { cell } = await open(c);
  const { action } = await readBody(c, PauseBodySchema, MAX_SMALL_BODY_BYTES);
  const key = limitKeyOf.environment(projectParam(c));
  await cell.apply([{ type: 'set-limit', key, paused: action === 'pause' }]);
  return environmentConcurrency(c);
}

/** POST /api/v1/projects/:project/:env/concurrency {concurrencyLimit} — null: as many as workers take. */
export async function setEnvironmentConcurrency(c: RouteContext): Promise<Response> {
  const { cell } = await open(c);
  const { concurrencyLimit } = await readBody(c, EnvironmentConcurrencyBodySchema, MAX_SMALL_BODY_BYTES);
  await cell.apply([{ type: 'set-limit', key: limitKeyOf.environment(projectParam(c)), max: concurrencyLimit }]);
  return environmentConcurrency(c);
}
