import { requireEventKey } from '../auth.ts';
import { InngestError, toErrorBody } from '../errors.ts';
import { MAX_EVENTS, toEventInput } from '../events.ts';
import { cellOf, onError, parseJson, readText } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { parseIdSeed } from '../ids.ts';
import type { ContentfulStatusCode } from 'hono/utils/http-status';

/** All events of one request: they reach the cell in one message, which the runtime bounds to 32 MiB. */
const MAX_BODY_BYTES = 24 * 1_048_576;

/** POST /e/:key: one event or many. All are taken or none. */
export async function sendEvent(c: RouteContext): Promise<Response> {
  try {
    const { context } = c.var.host;
    requireEventKey(context, c.req.param('key') ?? '');
    const text = await readText(c, MAX_BODY_BYTES);
    const value = isForm(c) && !looksLikeJson(text) ? fromForm(text) : parseJson(text);
    const list: unknown[] = Array.isArray(value) ? value : [value];
    if (list.length > MAX_EVENTS)
      throw new InngestError(400, 'too_many_events', `A request has at most ${MAX_EVENTS} events.`);
    const nowMs = context.wallClockMs();
    const seed = parseIdSeed(c.req.header('x-inngest-event-id-seed'));
    const events = list.map((raw, i) => toEventInput(raw, i + 1, nowMs, seed));
    if (events.length === 0) return c.json({ ids: [], status: 200 });
    const [result] = await cellOf(c).apply([{ type: 'ingest', events }]);
    if (result?.type !== 'ingest') throw new Error('the engine did not answer an event');
    return c.json({ ids: result.ids, status: 200 });
  } catch (error) {
    const body = toErrorBody(error);
    if (body.status >= 500) return onError(error, c);
    return c.json(
      { ids: [], status: body.status, error: body.error, code: body.code },
      body.status as ContentfulStatusCode,
    );
  }
}

/** curl's `-d` says that it sends a form, whatever it sends. */
function looksLikeJson(text: string): boolean {
  return /^\s*[[{]/.test(text);
}

function isForm(c: RouteContext): boolean {
  return c.req.header('content-type')?.startsWith('application/x-www-form-urlencoded') ?? false;
}

/** A form's fields: `name` names the event, `data` is its data as JSON, or every other field is. */
function fromForm(text: string): unknown {
  const { name, data, id, ts, ...rest } = Object.fromEntries(new URLSearchParams(text));
  return {
    name,
    data: data === undefined ? rest : parseJson(data),
    ...(id === undefined ? {} : { id }),
    ...(ts === undefined ? {} : { ts: Number(ts) }),
  };
}
