import { openEngine, readText, type RouteContext } from '../request.ts';

/** A line of it is a few hundred bytes. */
const MAX_BYTES = 8 * 1_024 * 1_024;

/** POST /engine/v1/dev/runs/:run/logs/debug — the worker's own diary; chatty, and of no use here. */
export async function debugLog(c: RouteContext): Promise<Response> {
  await openEngine(c);
  await readText(c, MAX_BYTES);
  return c.body(null, 204);
}
