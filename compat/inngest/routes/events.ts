import type { EventRecord } from '../../../core/model/event.ts';
import { isId } from '../../../core/model/ids.ts';
import { PAGE_BYTES } from '../../../core/model/limits.ts';
import type { EventsFilter, Page } from '../../../core/model/query.ts';
import type { CellApi } from '../../../core/ports.ts';
import { InngestError } from '../errors.ts';
import { cellOf, envelope } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { eventText, runText } from '../read.ts';
import { SharedReads } from '../shared-reads.ts';

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 100;
/** Pages put together for one answer: each looks at up to 20,000 events, and the cell does other work between them. */
const MAX_LOOKS = 50;

/** GET /v1/events: newest first. */
export async function listEvents(c: RouteContext): Promise<Response> {
  const { limit, cursor, received_before: before, received_after: after, name } = c.req.query();
  if (cursor !== undefined && !isId(cursor)) throw new InngestError(400, 'invalid_request', 'cursor is not a ULID.');
  const fromMs = timeOf('received_after', after);
  const toMs = timeOf('received_before', before);
  const wanted = limitOf(limit);
  const filter: EventsFilter = {
    ...(name ? { name } : {}),
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(toMs === undefined ? {} : { toMs }),
  };
  const found = await firstEvents(cellOf(c), filter, wanted, cursor);
  return envelope(c, `[${found.map(eventText).join(',')}]`);
}

/** A client reads a short page as the last one: pages are put together until it is full, or the bound of one request is reached. */
async function firstEvents(
  cell: CellApi,
  filter: EventsFilter,
  wanted: number,
  after: string | undefined,
): Promise<EventRecord[]> {
  const found: EventRecord[] = [];
  let cursor = after;
  for (let looks = 0; looks < MAX_LOOKS; looks++) {
    const page: Page<EventRecord> = await cell.query({
      type: 'events',
      ...filter,
      limit: wanted - found.length,
      ...(cursor === undefined ? {} : { cursor }),
    });
    found.push(...page.items);
    cursor = page.cursor;
    const bytes = found.reduce((total, { body }) => total + body.length, 0);
    if (cursor === undefined || found.length >= wanted || bytes > PAGE_BYTES) break;
  }
  return found;
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
