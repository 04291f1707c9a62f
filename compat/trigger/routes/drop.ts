import { bodyOf, openEngine, type RouteContext } from '../request.ts';

/** POST /engine/v1/dev/runs/:run/logs/debug — the worker's own diary; chatty, and of no use here. */
export async function debugLog(c: RouteContext): Promise<Response> {
  await openEngine(c);
  for await (const _ of bodyOf(c));
  return c.body(null, 204);
}
