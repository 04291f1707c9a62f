import * as z from 'zod';
import type { SweepRecord } from '../../../core/model/sweep.ts';
import { findApp, functionsOf, pickFunction } from '../apps.ts';
import { InngestError } from '../errors.ts';
import { cellOf, envelope, readJson } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { newEventId } from '../ids.ts';
import { explain } from '../schema.ts';

const MAX_BODY_BYTES = 65_536;
/** A clock that is a little ahead (inngest/inngest: apiv1 cancellations). */
const SKEW_MS = 5_000;
/** Ids of the sweeps that are cancellations of this vendor. */
const PREFIX = 'inngest/cancel/';

const CancellationSchema = z.looseObject({
  app_id: z.string().min(1).max(255),
  function_id: z.string().min(1).max(512),
  started_after: z.iso.datetime({ offset: true }).nullish(),
  started_before: z.iso.datetime({ offset: true }),
  if: z.string().max(4_096).nullish(),
});

interface CancellationData {
  app_id: string;
  function_id: string;
  started_after: string | null;
  started_before: string;
  if: string | null;
}

/** POST /v1/cancellations: cancels all runs of a function that began in a time and meet a condition. */
export async function createCancellation(c: RouteContext): Promise<Response> {
  const parsed = CancellationSchema.safeParse(await readJson(c, MAX_BODY_BYTES));
  if (!parsed.success)
    throw new InngestError(400, 'invalid_request', `The cancellation is invalid: ${explain(parsed.error)}.`);
  const { app_id: app, function_id: fn, started_after: after, started_before: before, if: condition } = parsed.data;
  const cell = cellOf(c);
  const { nowMs } = await cell.query({ type: 'clock' });
  if (Date.parse(before) > nowMs + SKEW_MS)
    throw new InngestError(400, 'invalid_request', 'started_before lies in the future.');
  const known = await findApp(cell, app);
  const found = known && pickFunction(await functionsOf(cell, known.name), known.name, fn);
  if (!known || !found)
    throw new InngestError(404, 'unknown-function', `No function "${fn}" of the app "${app}" is registered.`);
  const data: CancellationData = {
    app_id: app,
    function_id: fn,
    started_after: after ?? null,
    started_before: before,
    if: condition ?? null,
  };
  const id = newEventId(nowMs);
  await cell.apply([
    {
      type: 'sweep',
      sweep: {
        id: PREFIX + id,
        filter: {
          task: found.task.id,
          toMs: Date.parse(before),
          ...(after ? { fromMs: Date.parse(after) } : {}),
          ...(condition ? { expression: condition } : {}),
        },
        action: { do: 'cancel' },
        data: JSON.stringify(data),
      },
    },
  ]);
  return envelope(c, JSON.stringify({ id, ...data, created_at: new Date(nowMs).toISOString() }));
}

/** GET /v1/cancellations */
export async function listCancellations(c: RouteContext): Promise<Response> {
  const page = await cellOf(c).query({ type: 'sweeps', prefix: PREFIX, limit: 100 });
  return envelope(c, `[${page.items.map(text).join(',')}]`);
}

/** DELETE /v1/cancellations/:id: what it has not cancelled yet goes on. */
export async function deleteCancellation(c: RouteContext): Promise<Response> {
  const id = PREFIX + (c.req.param('id') ?? '');
  const [result] = await cellOf(c).apply([{ type: 'stop-sweep', id, forget: true }]);
  if (result?.type !== 'stop-sweep' || result.result === 'unknown')
    throw new InngestError(404, 'unknown-cancellation', 'No such cancellation.');
  return c.body(null, 204);
}

function text(sweep: SweepRecord): string {
  return JSON.stringify({
    id: sweep.id.slice(PREFIX.length),
    ...(JSON.parse(sweep.data ?? '{}') as CancellationData),
    created_at: new Date(sweep.createdAt).toISOString(),
    status: sweep.status,
    matched: sweep.matched,
    cancelled: sweep.changed,
  });
}
