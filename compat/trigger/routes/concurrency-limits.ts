import type { Command } from '../../../core/model/command.ts';
import { ApiError, notServed } from '../errors.ts';
import { limitKeyOf } from '../names.ts';
import { limitNames, limitsNow, limitView, overrideCommands } from '../queues.ts';
import { engineNow, readBody, type RouteContext } from '../request.ts';
import { MAX_SMALL_BODY_BYTES, OverrideLimitBodySchema, PauseBodySchema, ResetLimitBodySchema } from '../schema.ts';
import { nameParam, opened, pageOf } from './queues.ts';

/** GET /api/v1/concurrency-limits?page&perPage — by name. */
export async function listLimits(c: RouteContext): Promise<Response> {
  const { cell, project } = await opened(c);
  const { shown, pagination } = pageOf(c, await limitNames(cell, project));
  const known = await limitsNow(cell, project);
  return c.json({ data: await Promise.all(shown.map((name) => limitView(cell, project, name, known))), pagination });
}

/** GET /api/v1/concurrency-limits/:name */
export async function retrieveLimit(c: RouteContext): Promise<Response> {
  if (c.req.query('concurrencyKey') !== undefined) throw oneKey();
  const { cell, project } = await opened(c);
  return c.json(await limitView(cell, project, nameParam(c, 'name')));
}

/** POST /api/v1/concurrency-limits/:name/override {perKey?, total?} — the side that is left out stays. */
export async function overrideLimit(c: RouteContext): Promise<Response> {
  const { perKey, total, concurrencyKey } = await readBody(c, OverrideLimitBodySchema, MAX_SMALL_BODY_BYTES);
  if (concurrencyKey !== undefined) throw oneKey();
  return change(c, (project, name, nowMs) => [
    ...(perKey === undefined ? [] : overrideCommands(limitKeyOf.named(project, name), perKey, nowMs)),
    ...(total === undefined ? [] : overrideCommands(limitKeyOf.namedTotal(project, name), total, nowMs)),
  ]);
}

/** POST /api/v1/concurrency-limits/:name/pause {action} */
export async function pauseLimit(c: RouteContext): Promise<Response> {
  const { action } = await readBody(c, PauseBodySchema, MAX_SMALL_BODY_BYTES);
  return change(c, (project, name) => [
    { type: 'set-limit', key: limitKeyOf.namedTotal(project, name), paused: action === 'pause' },
  ]);
}

/** POST /api/v1/concurrency-limits/:name/reset — both sides as they are declared. */
export async function resetLimit(c: RouteContext): Promise<Response> {
  const { concurrencyKey } = await readBody(c, ResetLimitBodySchema, MAX_SMALL_BODY_BYTES);
  if (concurrencyKey !== undefined) throw oneKey();
  const { cell, project } = await opened(c);
  const name = nameParam(c, 'name');
  const keys = [limitKeyOf.named(project, name), limitKeyOf.namedTotal(project, name)];
  const limits = await Promise.all(keys.map((key) => cell.query({ type: 'limit', key })));
  if (limits.every(({ set }) => set.max === undefined))
    throw new ApiError('bad_request', 'Concurrency limit is not overridden');
  return change(c, () => keys.flatMap((key) => overrideCommands(key, null, 0)));
}

async function change(
  c: RouteContext,
  commandsOf: (project: string, name: string, nowMs: number) => Command[],
): Promise<Response> {
  const { cell, project } = await opened(c);
  const name = nameParam(c, 'name');
  await limitView(cell, project, name);
  await cell.apply(commandsOf(project, name, await engineNow(c, cell)));
  return c.json(await limitView(cell, project, name));
}

function oneKey(): ApiError {
  return notServed('A bound of one concurrency key of a limit');
}
