import { cancelRun } from '../cancel-run.ts';
import { runIdOf } from '../ids.ts';
import { open, readBody, type RouteContext } from '../request.ts';
import { DisconnectBodySchema, MAX_SMALL_BODY_BYTES } from '../schema.ts';

/** POST /engine/v1/dev/disconnect — sent by the watchdog of a worker that was killed: its runs cannot go on. */
export async function disconnect(c: RouteContext): Promise<Response> {
  const { cell } = await open(c);
  const { runFriendlyIds } = await readBody(c, DisconnectBodySchema, MAX_SMALL_BODY_BYTES);
  let cancelled = 0;
  for (const text of runFriendlyIds) {
    const run = runIdOf(text);
    if (run !== null && (await cancelRun(cell, run, { reason: 'Dev session ended', graceMs: 0 })) === 'cancelled')
      cancelled++;
  }
  return c.json({ cancelled });
}
