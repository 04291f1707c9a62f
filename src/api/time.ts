import { Hono } from 'hono';
import * as z from 'zod';
import { readBoundedText } from '../../core/net/bounded-body.ts';
import type { Cell } from '../cell/cell.ts';

const MAX_TIMEOUT_MS = 600_000;
const DEFAULT_TIMEOUT_MS = 30_000;
/** 10,000 years is where dates end to make sense; a century is plenty for a test. */
const MAX_ADVANCE_MS = 100 * 366 * 86_400_000;

const MAX_BODY_BYTES = 4_096;
const TimeoutSchema = z.number().int().min(0).max(MAX_TIMEOUT_MS).default(DEFAULT_TIMEOUT_MS);
const ClockSchema = z.union([
  z.strictObject({ advanceMs: z.number().int().min(0).max(MAX_ADVANCE_MS), timeoutMs: TimeoutSchema }),
  z.strictObject({ setMs: z.number().int().min(0), timeoutMs: TimeoutSchema }),
]);
const IdleSchema = z.strictObject({ timeoutMs: TimeoutSchema });

/** Time control for tests: only mounted in dev mode. All environments in use move together, one after the other; the default one's clock is shown. */
export function timeRoutes(cells: () => Promise<Array<DurableObjectStub<Cell>>>): Hono {
  const app = new Hono();
  const first = async (): Promise<DurableObjectStub<Cell>> => (await cells())[0] as DurableObjectStub<Cell>;
  app.get('/clock', async (c) => c.json({ nowMs: await (await first()).clockNow() }));
  app.post('/clock', async (c) => {
    const body = ClockSchema.safeParse(safeJson(await bodyText(c.req.raw)));
    if (!body.success)
      return c.json({ error: 'send {"advanceMs": n} or {"setMs": n}, whole milliseconds, forwards only' }, 400);
    const nowMs = await (await first()).clockNow();
    const toMs = 'advanceMs' in body.data ? nowMs + body.data.advanceMs : body.data.setMs;
    if (toMs < nowMs || toMs > nowMs + MAX_ADVANCE_MS)
      return c.json({ error: `time moves forwards, by at most a century; it is ${nowMs}` }, 400);
    const { timeoutMs } = body.data;
    const moved: Array<{ nowMs: number; idle: boolean }> = [];
    for (const cell of await cells()) moved.push(await cell.clockAdvance(toMs, timeoutMs));
    return c.json({ nowMs: moved[0]?.nowMs ?? toMs, idle: moved.every(({ idle }) => idle) });
  });
  app.post('/idle', async (c) => {
    const text = await bodyText(c.req.raw);
    const body = IdleSchema.safeParse(text === '' ? {} : safeJson(text));
    if (!body.success) return c.json({ error: 'send {"timeoutMs": n}' }, 400);
    const all = await Promise.all((await cells()).map((cell) => cell.idle(body.data.timeoutMs)));
    const dueTimes = all.flatMap(({ nextDueAt }) => (nextDueAt === null ? [] : [nextDueAt]));
    return c.json({
      idle: all.every(({ idle }) => idle),
      inFlight: all.reduce((sum, { inFlight }) => sum + inFlight, 0),
      ready: all.reduce((sum, { ready }) => sum + ready, 0),
      nextDueAt: dueTimes.length === 0 ? null : Math.min(...dueTimes),
    });
  });
  return app;
}

/** Null when it is too long to be one of these. */
function bodyText(request: Request): Promise<string | null> {
  return readBoundedText(request, MAX_BODY_BYTES);
}

function safeJson(text: string | null): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
