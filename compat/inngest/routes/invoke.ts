import * as z from 'zod';
import { invokeFunction } from '../actions.ts';
import { findApp, functionsOf, pickFunction } from '../apps.ts';
import type { KnownFunction } from '../apps.ts';
import { InngestError } from '../errors.ts';
import { MAX_EVENT_BYTES, textOf } from '../events.ts';
import { cellOf, parseJson, readJson } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { answerV2, member } from '../http-v2.ts';
import { untilEnded } from '../run-view.ts';
import { explain } from '../schema.ts';

/** A synchronous invocation is answered with its run's id when that has not ended by then. */
const MAX_WAIT_MS = 55_000;

const PayloadSchema = z.looseObject({
  data: z.record(z.string(), z.unknown()).nullish(),
  user: z.record(z.string(), z.unknown()).nullish(),
  meta: z.unknown().optional(),
});
const KeySchema = z.string().min(1).max(512).optional();

/** POST /invoke/:slug: runs a function by its composite id. Its event can be asked for its runs. */
export async function invoke(c: RouteContext): Promise<Response> {
  const cell = cellOf(c);
  const slug = decodeURIComponent(c.req.param('slug') ?? '');
  const found = pickFunction(await functionsOf(cell), null, slug);
  if (!found) throw unknownFunction(slug);
  const payload = await payloadOf(c);
  const { event } = await invokeFunction(cell, found, payload, {
    nowMs: c.var.host.context.wallClockMs(),
    listed: true,
  });
  return c.json({ id: event, status: 200 });
}

/** POST /v2/apps/:app/functions/:fn/invoke: 202 with the run's id, or 201 with its result where `mode` is `sync`. */
export async function invokeV2(c: RouteContext): Promise<Response> {
  const cell = cellOf(c);
  const found = await functionOfPath(c);
  const payload = await payloadOf(c);
  const key = KeySchema.safeParse(member(payload, 'idempotencyKey') ?? undefined);
  if (!key.success)
    throw new InngestError(400, 'invalid_request', 'idempotencyKey must be a text of 1 to 512 characters.');
  const invoked = await invokeFunction(cell, found, payload, {
    nowMs: c.var.host.context.wallClockMs(),
    listed: false,
    ...(key.data === undefined ? {} : { idempotencyKey: key.data }),
  });
  if (invoked.known)
    throw new InngestError(409, 'idempotency_key_used', `The idempotency key was used for run ${invoked.run}.`);
  const data = { runId: invoked.run, queuedAt: new Date(invoked.createdAt).toISOString() };
  if (String(member(payload, 'mode') ?? '').toLowerCase() !== 'sync') return answerV2(c, data, undefined, 202);
  const run = await untilEnded(c.var.host, invoked.run, MAX_WAIT_MS);
  if (!run || run.status === 'running') return answerV2(c, data, undefined, 202);
  const result = run.status === 'completed' ? run.output : run.error;
  const value: unknown = result === null ? null : parseJson(textOf(result));
  const outcome = run.status === 'completed' ? { result: value } : { error: value };
  return answerV2(c, { ...data, status: run.status.toUpperCase(), ...outcome }, undefined, 201);
}

/** The function that a path of the second API names. Throws InngestError. */
export async function functionOfPath(c: RouteContext): Promise<KnownFunction> {
  const cell = cellOf(c);
  const app = await findApp(cell, c.req.param('app') ?? '');
  if (!app)
    throw new InngestError(
      404,
      'unknown-app',
      `No app "${c.req.param('app')}" has registered: is it synced with this server?`,
    );
  const wanted = c.req.param('fn') ?? '';
  const found = pickFunction(await functionsOf(cell, app.name), app.name, wanted);
  if (!found) throw unknownFunction(`${app.name}-${wanted}`);
  return found;
}

async function payloadOf(c: RouteContext): Promise<unknown> {
  const raw = c.req.header('content-length') === '0' ? {} : await readJson(c, MAX_EVENT_BYTES);
  const parsed = PayloadSchema.safeParse(raw);
  if (!parsed.success)
    throw new InngestError(400, 'invalid_request', `The request is invalid: ${explain(parsed.error)}.`);
  return parsed.data;
}

function unknownFunction(slug: string): InngestError {
  return new InngestError(404, 'unknown-function', `No function "${slug}" is registered: its id is <app>-<function>.`);
}
