import { isId } from '../../../core/model/ids.ts';
import { InngestError } from '../errors.ts';
import { cellOf, envelope } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { eventText, runText } from '../read.ts';
import { SharedReads } from '../shared-reads.ts';

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 100;

/** GET /v1/events: newest first. */
export async function listEvents(c: RouteContext): Promise<Response> {
  const { limit, cursor, received_before: before, received_after: after, name } = c.req.query();
  if (cursor !== undefined && !isId(cursor)) throw new InngestError(400, 'invalid_request', 'cursor is not a ULID.');
  const fromMs = timeOf('received_after', after);
  const toMs = timeOf('received_before', before);
  const page = await cellOf(c).query({
    type: 'events',
    limit: limitOf(limit),
    ...(cursor === undefined ? {} : { cursor }),
    ...(name ? { name } : {}),
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(toMs === undefined ? {} : { toMs }),
  });
  return envelope(c, `[${page.items.map(eventText).join(',')}]`);
}

/** GET /v1/events/:event */
export async function getEvent(c: RouteContext): Promise<Response> {
  const event = await cellOf(c).query({ type: 'event', id: eventId(c) });
  if (!event) throw new InngestError(404, 'unknown-event', 'No such event.');
  return envelope(c, eventText(event));
}

/** GET /v1/events/:event/runs: the documented way to wait for a result. */
export async function getEventRuns(c: RouteContext): Promise<Response> {
  const cell = new SharedReads(cellOf(c));
  const runs = await cell.query({ type: 'event-runs', event: eventId(c) });
  const texts = await Promise.all(runs.map((run) => runText(cell, run)));
  return envelope(c, `[${texts.join(',')}]`);
}

function eventId(c: RouteContext): string {
  const id = c.req.param('event') ?? '';
  if (!isId(id))
    throw new InngestError(400, 'invalid_request', 'The event id is not a ULID: use the id that sending it answered.');
  return id;
}

function limitOf(text: string | undefined): number {
  if (text === undefined || text === '') return DEFAULT_LIMIT;
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1)
    throw new InngestError(400, 'invalid_request', 'limit must be a positive integer.');
  return Math.min(limit, MAX_LIMIT);
}

function timeOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new InngestError(400, 'invalid_request', `${name} is not a date.`);
  return ms;
}
