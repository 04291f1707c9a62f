import { ApiError } from '../errors.ts';
import { limitKeyOf } from '../names.ts';
import { findQueue, limitsNow, overrideCommands, queueNames, queueView, type QueueType } from '../queues.ts';
import { engineNow, open, param, readBody, requireProject, type Call, type RouteContext } from '../request.ts';
import {
  MAX_SMALL_BODY_BYTES,
  OverrideQueueBodySchema,
  PauseQueueBodySchema,
  QueueTypeSchema,
  ResetQueueBodySchema,
} from '../schema.ts';

const DEFAULT_PER_PAGE = 25;
const MAX_PER_PAGE = 100;

/** GET /api/v1/queues?page&perPage — by name. */
export async function listQueues(c: RouteContext): Promise<Response> {
  const { cell, project } = await opened(c);
  const names = await queueNames(cell, project);
  const { shown, pagination } = pageOf(c, names);
  const known = await limitsNow(cell, project);
  return c.json({ data: await Promise.all(shown.map((name) => queueView(cell, project, name, known))), pagination });
}

/** GET /api/v1/queues/:queue?type=task|custom|id */
export async function retrieveQueue(c: RouteContext): Promise<Response> {
  const { cell, project } = await opened(c);
  const parsed = QueueTypeSchema.safeParse(c.req.query('type') ?? 'id');
  if (!parsed.success) throw new ApiError('bad_request', 'The type of a queue is "task", "custom" or "id"');
  return c.json(await queueView(cell, project, await findQueue(cell, project, nameParam(c, 'queue'), parsed.data)));
}

/** POST /api/v1/queues/:queue/pause {type, action} — runs that are executed go on; no other begins. */
export async function pauseQueue(c: RouteContext): Promise<Response> {
  const { type, action } = await readBody(c, PauseQueueBodySchema, MAX_SMALL_BODY_BYTES);
  const { cell, project, name } = await named(c, type);
  await cell.apply([{ type: 'set-limit', key: limitKeyOf.queue(project, name), paused: action === 'pause' }]);
  return c.json(await queueView(cell, project, name));
}

/** POST /api/v1/queues/:queue/concurrency/override {type, concurrencyLimit} — for each concurrency key, until it is reset. */
export async function overrideQueue(c: RouteContext): Promise<Response> {
  const { type, concurrencyLimit } = await readBody(c, OverrideQueueBodySchema, MAX_SMALL_BODY_BYTES);
  const { cell, project, name } = await named(c, type);
  const nowMs = await engineNow(c, cell);
  await cell.apply(overrideCommands(limitKeyOf.queue(project, name), concurrencyLimit, nowMs));
  return c.json(await queueView(cell, project, name));
}

/** POST /api/v1/queues/:queue/concurrency/reset {type} */
export async function resetQueue(c: RouteContext): Promise<Response> {
  const { type } = await readBody(c, ResetQueueBodySchema, MAX_SMALL_BODY_BYTES);
  const { cell, project, name } = await named(c, type);
  const key = limitKeyOf.queue(project, name);
  const limit = await cell.query({ type: 'limit', key });
  if (limit.set.max === undefined) throw new ApiError('bad_request', 'Queue is not overridden');
  await cell.apply(overrideCommands(key, null, 0));
  return c.json(await queueView(cell, project, name));
}

async function named(c: RouteContext, type: QueueType | undefined): Promise<Call & { project: string; name: string }> {
  const call = await opened(c);
  return { ...call, name: await findQueue(call.cell, call.project, nameParam(c, 'queue'), type ?? 'id') };
}

export async function opened(c: RouteContext): Promise<Call & { project: string }> {
  const call = await open(c, ['secret']);
  return { ...call, project: await requireProject(c, call) };
}

/** The clients escape a slash before they escape the whole (@trigger.dev/core: apiClient retrieveQueue). */
export function nameParam(c: RouteContext, name: string): string {
  return param(c, name).replaceAll(/%2f/gi, '/');
}

export function pageOf<T>(
  c: RouteContext,
  all: readonly T[],
): { shown: T[]; pagination: { currentPage: number; totalPages: number; count: number } } {
  const number = (name: string, otherwise: number, max: number): number => {
    const value = Number(c.req.query(name) ?? otherwise);
    return Number.isInteger(value) && value > 0 ? Math.min(value, max) : otherwise;
  };
  const perPage = number('perPage', DEFAULT_PER_PAGE, MAX_PER_PAGE);
  const currentPage = number('page', 1, Number.MAX_SAFE_INTEGER);
  return {
    shown: all.slice((currentPage - 1) * perPage, currentPage * perPage),
    pagination: { currentPage, totalPages: Math.ceil(all.length / perPage), count: all.length },
  };
}
