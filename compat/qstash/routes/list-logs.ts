import type { LogItem, Query, QueryResult } from '../../../core/model/query.ts';
import { MESSAGE_LOG, TASK_MESSAGE } from '../constants.ts';
import { json } from '../errors.ts';
import { type Filter, parseFilter } from '../filters.ts';
import { wholeHistory } from '../history.ts';
import { runOfMessage } from '../ids.ts';
import { activeEvent, commonFields, type EventFields, eventsOf, type LogEvent, type LoggedRun } from '../log-events.ts';
import { parseMeta } from '../meta.ts';
import type { Route } from '../route.ts';

const DEFAULT_COUNT = 100;
const MAX_COUNT = 1_000;
/** Lines read at once, and how many pages of them one request looks through before it answers with what it has found. */
const LINES = 200;
const MAX_PAGES = 50;

type LogQuery = Extract<Query, { type: 'log' }>;
type LogPage = QueryResult<LogQuery>;

/** SDKs read `/v2/events` (field `events`), the documentation says `/v2/logs` (field `logs`). Newest first, over all messages. */
export function listLogs(field: 'events' | 'logs') {
  return async (route: Route): Promise<Response> => {
    const filter = parseFilter(route.query(), { strict: false, maxCount: MAX_COUNT, defaultCount: DEFAULT_COUNT });
    const count = filter.count ?? DEFAULT_COUNT;
    const ids = [...filter.values('messageId'), ...filter.values('messageIds')];
    const { events, cursor } =
      ids.length > 0 ? await ofMessages(route, filter, ids, count) : await ofAll(route, filter, count);
    return json({ ...(cursor === undefined ? {} : { cursor: shownCursor(events, cursor, filter) }), [field]: events });
  };
}

/**
 * Clients read a cursor's beginning as a time, `<ms>-...`, and expect that of the next page to be before it (`@upstash/qstash`:
 * src/client/logs.test.ts), which two events of one millisecond would not do.
 */
function shownCursor(events: LogEvent[], position: string, filter: Filter): string {
  const before = Number(/^(\d{1,16})-/.exec(filter.cursor ?? '')?.[1] ?? Number.NaN);
  const at = events.at(-1)?.time ?? (Number.isNaN(before) ? 0 : before);
  if (Number.isNaN(before)) return `${at}-${position}`;
  return `${filter.ascending ? Math.max(at, before + 1) : Math.max(0, Math.min(at, before - 1))}-${position}`;
}

interface Found {
  events: LogEvent[];
  cursor?: string;
}

/** Walks the log. A cursor is `<line>~<events of it already shown>`. */
async function ofAll(route: Route, filter: Filter, count: number): Promise<Found> {
  const events: LogEvent[] = [];
  const fields = new Map<string, Promise<EventFields>>();
  const start = readCursor(filter.cursor);
  let cursor = start?.line;
  let inclusive = start !== null;
  let skip = start?.skip ?? 0;
  for (let pages = 0; ; pages++) {
    const request: LogQuery = {
      type: 'log',
      log: MESSAGE_LOG,
      inputs: true,
      limit: LINES,
      order: filter.ascending ? 'asc' : 'desc',
      ...(filter.values('label').length === 1 ? { labels: filter.values('label') } : {}),
      ...(cursor === undefined ? {} : { cursor, inclusive }),
    };
    const page = await route.ask(request);
    inclusive = false;
    const known = new Map(Object.values(page.runs).map((run) => [run.id, { run, meta: parseMeta(run.meta) }]));
    const fieldsOf = (logged: LoggedRun): Promise<EventFields> => {
      let made = fields.get(logged.run.id);
      if (!made) fields.set(logged.run.id, (made = commonFields(logged)));
      return made;
    };
    if (cursor === undefined && !filter.ascending)
      events.push(...(await activeOnes(page, known, fieldsOf, filter)).slice(0, count - 1));
    for (const item of page.items) {
      const matching = await eventsOfItem(item, known, fieldsOf, filter);
      const wanted = matching.slice(skip, skip + count - events.length);
      events.push(...wanted);
      if (skip + wanted.length < matching.length) return done(events, filter, `${item.cursor}~${skip + wanted.length}`);
      skip = 0;
    }
    if (page.cursor === undefined) return done(events, filter);
    // Where a page ends before its last line is shown, the next one begins with the line behind it.
    if (events.length >= count || pages + 1 >= MAX_PAGES) {
      const last = page.items.at(-1)?.cursor ?? page.cursor;
      return done(events, filter, `${last}~${EVENTS_OF_A_LINE}`);
    }
    cursor = page.cursor;
  }
}

/** No line stands for more; skipping so many shows nothing of it. */
const EVENTS_OF_A_LINE = 3;

function done(events: LogEvent[], filter: Filter, cursor?: string): Found {
  // Stable: what happened in the same millisecond stays in its order.
  events.sort((a, b) => (filter.ascending ? a.time - b.time : b.time - a.time));
  return { events, ...(cursor === undefined ? {} : { cursor }) };
}

async function eventsOfItem(
  item: LogItem,
  known: Map<string, LoggedRun>,
  fieldsOf: (logged: LoggedRun) => Promise<EventFields>,
  filter: Filter,
): Promise<LogEvent[]> {
  const logged = known.get(item.run);
  if (!logged || !filter.matches({ run: logged.run, meta: logged.meta, atMs: item.atMs })) return [];
  const all = eventsOf(logged, await fieldsOf(logged), item.entry);
  if (filter.ascending) all.reverse();
  return all.filter(({ state }) => filter.matches({ run: logged.run, meta: logged.meta, atMs: item.atMs, state }));
}

/** Attempts under way: their line is written when they end. */
async function activeOnes(
  page: LogPage,
  known: Map<string, LoggedRun>,
  fieldsOf: (logged: LoggedRun) => Promise<EventFields>,
  filter: Filter,
): Promise<LogEvent[]> {
  const events = await Promise.all(
    page.active.map(async ({ run, sinceMs }) => {
      const logged = known.get(run);
      if (!logged || !filter.matches({ run: logged.run, meta: logged.meta, atMs: sinceMs, state: 'ACTIVE' })) return [];
      return [activeEvent(await fieldsOf(logged), sinceMs)];
    }),
  );
  return events.flat();
}

/** Named messages are read one by one, whatever else the log holds. A cursor is the number of events already shown. */
async function ofMessages(route: Route, filter: Filter, messageIds: string[], count: number): Promise<Found> {
  const { active } = await route.ask({ type: 'log', log: MESSAGE_LOG, limit: 1 });
  const lists = await Promise.all(
    [...new Set(messageIds)].map(async (messageId) => {
      const id = runOfMessage(messageId);
      const run = id === null ? null : await route.ask({ type: 'run', run: id });
      if (run?.task !== TASK_MESSAGE) return [];
      const logged: LoggedRun = { run, meta: parseMeta(run.meta) };
      const fields = await commonFields(logged);
      const history = await wholeHistory(route, run.id);
      const events = [null, ...history].flatMap((entry) => eventsOf(logged, fields, entry).reverse());
      for (const call of active) if (call.run === run.id) events.push(activeEvent(fields, call.sinceMs));
      return events.filter(({ state, time }) => filter.matches({ ...logged, state, atMs: time }));
    }),
  );
  const all = lists.flat().sort((a, b) => a.time - b.time);
  if (!filter.ascending) all.reverse();
  const from = Number(/^\d{1,16}-n(\d{1,9})$/.exec(filter.cursor ?? '')?.[1] ?? 0);
  const events = all.slice(from, from + count);
  return { events, ...(from + count < all.length ? { cursor: `n${from + count}` } : {}) };
}

function readCursor(cursor: string | undefined): { line: string; skip: number } | null {
  const match = /^\d{1,16}-(\d{1,16}\.[^.~]{1,64}\.\d{1,9})~(\d{1,3})$/.exec(cursor ?? '');
  return match ? { line: match[1] as string, skip: Number(match[2]) } : null;
}
