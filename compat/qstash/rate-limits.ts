import { WireError } from './errors.ts';
import type { ApiLimits } from './settings.ts';

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;

interface Window {
  start: number;
  used: number;
}

/**
 * The API's own limits, counted where the requests arrive: in this isolate, by the wall clock. None where the settings name none. SDKs tell the two
 * apart by the headers' names (Upstash documentation: api/api-ratelimiting).
 */
export class RateLimits {
  #windows = new Map<string, Window>();

  /** Throws 429 when the window has no room for `cost`. */
  take(kind: keyof ApiLimits, environment: string, limits: ApiLimits, nowMs: number, cost = 1): void {
    const limit = limits[kind];
    if (limit === null) return;
    const length = kind === 'burst' ? SECOND_MS : DAY_MS;
    const start = Math.floor(nowMs / length) * length;
    const key = `${kind} ${environment}`;
    let window = this.#windows.get(key);
    if (window?.start !== start) this.#windows.set(key, (window = { start, used: 0 }));
    if (window.used + cost > limit) {
      const prefix = kind === 'burst' ? 'Burst-RateLimit' : 'RateLimit';
      throw new WireError(
        429,
        kind === 'burst'
          ? `too many requests: at most ${limit} a second`
          : `quota exceeded: at most ${limit} messages a day`,
        null,
        {
          [`${prefix}-Limit`]: String(limit),
          [`${prefix}-Remaining`]: String(Math.max(0, limit - window.used)),
          [`${prefix}-Reset`]: String(Math.floor((start + length) / 1000)),
        },
      );
    }
    window.used += cost;
  }
}
