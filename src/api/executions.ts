import { Hono } from 'hono';
import * as z from 'zod';
import type { Payload } from '../../core/model/payload.ts';
import type { RunRecord } from '../../core/model/query.ts';
import type { RouteEnv } from '../../core/ports.ts';
import { runTopic } from '../../core/model/channel.ts';
import { changeFrame, NATIVE_PROTOCOL } from '../channel/native-protocol.ts';
import { sameText } from './same-text.ts';

/** Long polls are held this long at most. */
const MAX_WAIT_MS = 55_000;

const ListSchema = z.strictObject({
  cursor: z.string().max(64).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  status: z.enum(['running', 'completed', 'failed', 'cancelled']).optional(),
  task: z.string().max(512).optional(),
});
const HistorySchema = z.strictObject({
  after: z.coerce.number().int().min(0).default(0),
  waitMs: z.coerce.number().int().min(0).max(MAX_WAIT_MS).default(0),
});

/** The native read API of runs, whatever vendor's code they are: list, one, its history (held open for news), and a WebSocket of its changes. */
export function executionRoutes(): Hono<RouteEnv> {
  const app = new Hono<RouteEnv>();
  app.use(async (c, next) => {
    const { mode, vars } = c.get('host').context;
    if (mode === 'production') {
      const key = vars.REPOINT_API_KEY;
      if (!key)
        return c.json({ error: 'the native API is closed: set REPOINT_API_KEY and send it as a bearer token' }, 401);
      if (!(await sameText(c.req.header('authorization') ?? '', `Bearer ${key}`)))
        return c.json({ error: 'unknown key: send REPOINT_API_KEY as a bearer token' }, 401);
    }
    return next();
  });
  app.get('/', async (c) => {
    const query = ListSchema.safeParse(c.req.query());
    if (!query.success) return c.json({ error: z.prettifyError(query.error) }, 400);
    const page = await c
      .get('host')
      .cell(c.get('host').context.environment)
      .query({ type: 'runs', ...query.data });
    return c.json({ items: page.items.map(view), ...(page.cursor === undefined ? {} : { cursor: page.cursor }) });
  });
  app.get('/:id', async (c) => {
    const run = await c
      .get('host')
      .cell(c.get('host').context.environment)
      .query({ type: 'run-detail', run: c.req.param('id') });
    if (!run) return c.json({ error: `no execution "${c.req.param('id')}"` }, 404);
    const steps = run.steps.map(({ data, ...step }) => ({ ...step, data: text(data) }));
    const pending = run.pending.map(({ key, kind, dueAt, attempt, leased, target }) => ({
      key,
      kind,
      dueAt,
      attempt,
      leased,
      target,
    }));
    return c.json({ ...view(run), steps, pending });
  });
  app.get('/:id/history', async (c) => {
    const query = HistorySchema.safeParse(c.req.query());
    if (!query.success) return c.json({ error: z.prettifyError(query.error) }, 400);
    const { after, waitMs } = query.data;
    const cell = c.get('host').cell(c.get('host').context.environment);
    const seq = await cell.watch({ run: c.req.param('id'), afterSeq: after, waitMs });
    if (seq === null) return c.json({ error: `no execution "${c.req.param('id')}"` }, 404);
    const entries = await cell.query({ type: 'history', run: c.req.param('id'), afterSeq: after, limit: 200 });
    return c.json({ items: entries.map(({ data, body, ...entry }) => ({ ...entry, ...body, data: text(data) })), seq });
  });
  app.get('/:id/live', async (c) => {
    if (c.req.header('upgrade')?.toLowerCase() !== 'websocket')
      return c.json({ error: 'a WebSocket upgrade is expected here' }, 426);
    const host = c.get('host');
    const run = await host.cell(host.context.environment).query({ type: 'run', run: c.req.param('id') });
    if (!run) return c.json({ error: `no execution "${c.req.param('id')}"` }, 404);
    return host.channel(host.context.environment, `run:${run.id}`).connect(c.req.raw, {
      protocol: NATIVE_PROTOCOL,
      topics: [runTopic(run.id)],
      data: changeFrame({ run: run.id, seq: run.seq, status: run.status }),
    });
  });
  return app;
}

function view(run: RunRecord): object {
  const { input, output, error, meta: _, ...rest } = run;
  return { ...rest, input: text(input), output: text(output), error: text(error) };
}

/** Text as it is; bytes as base 64 with a mark. */
function text(payload: Payload | null): string | { base64: string } | null {
  if (payload === null || typeof payload === 'string') return payload;
  let binary = '';
  for (const byte of payload) binary += String.fromCharCode(byte);
  return { base64: btoa(binary) };
}
