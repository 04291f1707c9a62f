import { Hono } from 'hono';
import * as z from 'zod';
import type { Cell } from '../cell/cell.ts';

const MAX_TIMEOUT_MS = 600_000;
const DEFAULT_TIMEOUT_MS = 30_000;
/** 10,000 years is where dates end to make sense; a century is plenty for a test. */
const MAX_ADVANCE_MS = 100 * 366 * 86_400_000;

const TimeoutSchema = z.number().int().min(0).max(MAX_TIMEOUT_MS).default(DEFAULT_TIMEOUT_MS);
const ClockSchema = z.union([
  z.strictObject({ advanceMs: z.number().int().min(0).max(MAX_ADVANCE_MS), timeoutMs: TimeoutSchema }),
  z.strictObject({ setMs: z.number().int().min(0), timeoutMs: TimeoutSchema }),
]);
const IdleSchema = z.strictObject({ timeoutMs: TimeoutSchema });

/** Time control for tests: only mounted in dev mode. */
export function timeRoutes(cell: () => DurableObjectStub<Cell>): Hono {
  const app = new Hono();
  app.get('/clock', async (c) => c.json({ nowMs: await cell().clockNow() }));
  app.post('/clock', async (c) => {
    const body = ClockSchema.safeParse(await c.req.json().catch(() => null));
    if (!body.success)
      return c.json({ error: 'send {"advanceMs": n} or {"setMs": n}, whole milliseconds, forwards only' }, 400);
    const nowMs = await cell().clockNow();
    const toMs = 'advanceMs' in body.data ? nowMs + body.data.advanceMs : body.data.setMs;
    if (toMs < nowMs || toMs > nowMs + MAX_ADVANCE_MS)
      return c.json({ error: `time moves forwards, by at most a century; it is ${nowMs}` }, 400);
    return c.json(await cell().clockAdvance(toMs, body.data.timeoutMs));
  });
  app.post('/idle', async (c) => {
    const text = await c.req.text();
    const body = IdleSchema.safeParse(text === '' ? {} : safeJson(text));
    if (!body.success) return c.json({ error: 'send {"timeoutMs": n}' }, 400);
    return c.json(await cell().idle(body.data.timeoutMs));
  });
  return app;
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
