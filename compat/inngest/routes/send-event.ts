import { requireEventKey, requireSigningKey } from '../auth.ts';
import { InngestError, toErrorBody } from '../errors.ts';
import { MAX_EVENTS, toEventInput } from '../events.ts';
import { cellOf, completeJson, onError, parseJson, readText } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { answerV2 } from '../http-v2.ts';
import { parseIdSeed } from '../ids.ts';

/** All events of one request: they reach the cell in one message, which the runtime bounds to 32 MiB. */
const MAX_BODY_BYTES = 24 * 1_048_576;

/** POST /e/:key: one event or many. All are taken or none. */
export async function sendEvent(c: RouteContext): Promise<Response> {
  try {
    const { context } = c.var.host;
    requireEventKey(context, c.req.param('key') ?? '');
    return completeJson(c, JSON.stringify({ ids: await takeEvents(c), status: 200 }));
  } catch (error) {
    const body = toErrorBody(error);
    if (body.status >= 500) return onError(error, c);
    const refused = { ids: [], status: body.status, error: body.error, code: body.code };
    return completeJson(c, JSON.stringify(refused), body.status);
  }
}

/** POST /v2/events: the same with a signing key or an event key as bearer, in the second API's envelope. */
export async function sendEventV2(c: RouteContext): Promise<Response> {
  const bearer = /^Bearer\s+(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? '';
  await requireSigningKey(c.var.host.context, c.req.header('authorization')).catch(() =>
    requireEventKey(c.var.host.context, bearer),
  );
  return answerV2(c, { ids: await takeEvents(c) });
}

async function takeEvents(c: RouteContext): Promise<string[]> {
  const text = await readText(c, MAX_BODY_BYTES);
  const value = isForm(c) && !looksLikeJson(text) ? fromForm(text) : parseJson(text);
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > MAX_EVENTS)
    throw new InngestError(400, 'too_many_events', `A request has at most ${MAX_EVENTS} events.`);
  const nowMs = c.var.host.context.wallClockMs();
  const seed = parseIdSeed(c.req.header('x-inngest-event-id-seed'));
  const events = list.map((raw, i) => toEventInput(raw, i + 1, nowMs, seed));
  if (events.length === 0) return [];
  const [result] = await cellOf(c).apply([{ type: 'ingest', events }]);
  if (result?.type !== 'ingest') throw new Error('the engine did not answer an event');
  return result.ids;
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
