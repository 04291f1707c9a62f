import type { Command } from '../../../core/model/command.ts';
import { parseNaturalDuration } from '../durations.ts';
import { ApiError } from '../errors.ts';
import { limitKeyOf } from '../names.ts';
import { keyOverrideCommands, limitKeyView, limitNames, limitsNow, limitView, overrideCommands } from '../queues.ts';
import { engineNow, readBody, type RouteContext } from '../request.ts';
import {
  LimitKeySchema,
  MAX_SMALL_BODY_BYTES,
  OverrideLimitBodySchema,
  PauseBodySchema,
  ResetLimitBodySchema,
} from '../schema.ts';
import { nameParam, opened, pageOf } from './queues.ts';

/** GET /api/v1/concurrency-limits?page&perPage — by name. */
export async function listLimits(c: RouteContext): Promise<Response> {
  const { cell, project } = await opened(c);
  const { shown, pagination } = pageOf(c, await limitNames(cell, project));
  const known = await limitsNow(cell, project);
  return c.json({ data: await Promise.all(shown.map((name) => limitView(cell, project, name, known))), pagination });
}

/** How long the bound of one concurrency key stays, by default and at most (@trigger.dev/core: v3/schemas/queues.ts). */
const KEY_TTL_MS = 7 * 86_400_000;
const MAX_KEY_TTL_MS = 30 * 86_400_000;

/** GET /api/v1/concurrency-limits/:name?concurrencyKey */
export async function retrieveLimit(c: RouteContext): Promise<Response> {
  const { cell, project } = await opened(c);
  const { success, data: concurrencyKey } = LimitKeySchema.optional().safeParse(c.req.query('concurrencyKey'));
  if (!success) throw new ApiError('bad_request', 'A concurrencyKey has 1 to 128 characters');
  const name = nameParam(c, 'name');
  return c.json(
    concurrencyKey === undefined
      ? await limitView(cell, project, name)
      : await limitKeyView(cell, project, name, concurrencyKey),
  );
}

/** POST /api/v1/concurrency-limits/:name/override {perKey?, total?} — the side that is left out stays; {concurrencyKey, perKey, ttl?} — of that key alone, for a time. */
export async function overrideLimit(c: RouteContext): Promise<Response> {
  const { perKey, total, concurrencyKey, ttl } = await readBody(c, OverrideLimitBodySchema, MAX_SMALL_BODY_BYTES);
  if (concurrencyKey !== undefined && perKey !== undefined) {
    const forMs = keyTtlOf(ttl);
    const wallMs = c.get('host').context.wallClockMs();
    return changeKey(c, concurrencyKey, (_view, nowMs) => ({
      max: perKey,
      untilMs: nowMs + forMs,
      shownUntilMs: wallMs + forMs,
    }));
  }
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
  if (concurrencyKey !== undefined)
    return changeKey(c, concurrencyKey, ({ perKey }) => {
      if (perKey.override === null)
        throw new ApiError('bad_request', `Concurrency limit is not overridden for the key "${concurrencyKey}"`);
      return null;
    });
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

async function changeKey(
  c: RouteContext,
  sub: string,
  setOf: (view: KeyView, nowMs: number) => Parameters<typeof keyOverrideCommands>[1],
): Promise<Response> {
  const { cell, project } = await opened(c);
  const name = nameParam(c, 'name');
  const view = (await limitKeyView(cell, project, name, sub)) as unknown as KeyView;
  const set = setOf(view, await engineNow(c, cell));
  await cell.apply(keyOverrideCommands({ key: limitKeyOf.named(project, name), sub }, set));
  return c.json(await limitKeyView(cell, project, name, sub));
}

interface KeyView {
  perKey: { override: number | null };
}

function keyTtlOf(ttl: string | number | undefined): number {
  if (ttl === undefined) return KEY_TTL_MS;
  const ms = typeof ttl === 'number' ? ttl * 1_000 : parseNaturalDuration(ttl);
  if (ms === null || ms <= 0)
    throw new ApiError('bad_request', `Invalid ttl: "${ttl}". Expected a duration like 7d, or seconds`);
  if (ms > MAX_KEY_TTL_MS) throw new ApiError('bad_request', `Invalid ttl: "${ttl}" is more than 30 days`);
  return ms;
}
