import type { MiddlewareHandler } from 'hono';
import type { RouteEnv } from '../../core/ports.ts';
import { ApiError, renderError } from './errors.ts';

/** `REPOINT_TRIGGER_RATE_LIMIT`: requests a minute that one key may make to the API; unset or 0: any. Workers' own routes are not counted. */
const SETTING = 'REPOINT_TRIGGER_RATE_LIMIT';
const WINDOW_MS = 60_000;
/** Keys counted at once; beyond it the count begins anew. */
const MAX_KEYS = 10_000;

/**
 * Counts in this isolate, in windows of a minute: exact on one machine, and where the platform runs several isolates a bound for each.
 * Headers as the vendor's (trigger.dev: apiRateLimit.server.ts); the reset is in milliseconds since the epoch.
 */
export function rateLimit(): MiddlewareHandler<RouteEnv> {
  let windowStartMs = 0;
  const counts = new Map<string, number>();
  return async (c, next) => {
    const { context } = c.get('host');
    const limit = Number(context.vars[SETTING] ?? 0);
    if (!(limit > 0)) return next();
    const nowMs = context.wallClockMs();
    if (nowMs - windowStartMs >= WINDOW_MS || counts.size > MAX_KEYS) {
      windowStartMs = nowMs;
      counts.clear();
    }
    const key = c.req.header('authorization') ?? '';
    const used = (counts.get(key) ?? 0) + 1;
    counts.set(key, used);
    const resetAtMs = windowStartMs + WINDOW_MS;
    if (used > limit)
      return renderError(
        c,
        new ApiError('rate_limited', `Rate limit exceeded: ${limit} requests a minute`, { limit, resetAtMs }),
      );
    await next();
    c.header('x-ratelimit-limit', String(limit));
    c.header('x-ratelimit-remaining', String(limit - used));
    c.header('x-ratelimit-reset', String(resetAtMs));
  };
}
