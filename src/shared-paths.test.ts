import { Hono } from 'hono';
import { expect, it } from 'vitest';
import type { RouteEnv } from '../core/ports.ts';
import { inngestRoutes } from '../compat/inngest/index.ts';
import { triggerRoutes } from '../compat/trigger/index.ts';

/** The handlers' paths that match, in order, without middleware for any path. */
function matched(app: Hono<RouteEnv>, method: string, path: string): number {
  const found = app.router.match(method, path)[0];
  return found.length;
}

it('a path under /api/v2 that two vendors have is answered by the one whose run it is', () => {
  const ulid = '01J0000000000000000000000A';
  const inngest = new Hono<RouteEnv>().route('/', inngestRoutes());
  const trigger = new Hono<RouteEnv>().route('/', triggerRoutes());
  expect(matched(inngest, 'POST', `/api/v2/runs/${ulid}/cancel`)).toBeGreaterThan(0);
  expect(matched(inngest, 'POST', `/v2/runs/${ulid}/cancel`)).toBeGreaterThan(0);
  expect(matched(inngest, 'POST', `/api/v2/runs/run_${ulid.toLowerCase()}/cancel`)).toBe(0);
  expect(matched(trigger, 'POST', `/api/v2/runs/run_${ulid.toLowerCase()}/cancel`)).toBeGreaterThan(0);
});
