import { bodyOf, open, type RouteContext } from '../request.ts';

/** POST /engine/v1/dev/runs/:run/logs/debug — the worker's own diary; chatty, and of no use here. */
export async function debugLog(c: RouteContext): Promise<Response> {
  await open(c);
  await drain(c);
  return c.body(null, 204);
}

/** POST /otel/v1/traces|logs|metrics — accepted and dropped: no key, as the exporters send none. */
export async function otlp(c: RouteContext): Promise<Response> {
  await drain(c);
  return c.json({});
}

async function drain(c: RouteContext): Promise<void> {
  for await (const _ of bodyOf(c));
}
