import type { EventRecord } from '../model/event.ts';
import { MAX_EVENTS_EXAMINED, MAX_PAGE, PAGE_BYTES } from '../model/limits.ts';
import type { EventsFilter, Page, Query } from '../model/query.ts';
import type { SqlValue } from '../ports.ts';
import type { Kernel } from './kernel.ts';
import { DEFAULT_PAGE } from './run-lists.ts';

/**
 * Events have no index but their id: another would be a row more for each event, and most are never listed. So a filtered page looks at a bounded
 * number of rows, without their bodies, and tells where it stopped.
 */
export function listEvents(k: Kernel, query: Extract<Query, { type: 'events' }>): Page<EventRecord> {
  const limit = Math.max(1, Math.min(query.limit ?? DEFAULT_PAGE, MAX_PAGE));
  const order = query.order ?? 'desc';
  const { text, values } = conditionsOf(query);
  const window = windowOf(query.cursor, order);
  const ids = k.sql
    .all<{ id: string }>(`SELECT id FROM (${window.text})${text} LIMIT ${limit + 1}`, ...window.values, ...values)
    .map(({ id }) => id);
  const items: EventRecord[] = [];
  let bytes = 0;
  for (const id of ids.slice(0, limit)) {
    const item = k.events.get(id) as EventRecord;
    bytes += item.body.length;
    if (items.length > 0 && bytes > PAGE_BYTES) break;
    items.push(item);
  }
  const cursor = ids.length > items.length ? ids[items.length - 1] : windowEnd(k, query.cursor, order);
  return cursor === undefined ? { items } : { items, cursor };
}

/** Of all that have this filter, up to MAX_PAGE, or of those that one look reaches, from `cursor` on. */
export function countEvents(
  k: Kernel,
  query: Extract<Query, { type: 'event-count' }>,
): { count: number; more: boolean; cursor?: string } {
  const { text, values } = conditionsOf(query);
  const window = windowOf(query.cursor, 'desc');
  const n =
    k.sql.all<{ n: number }>(
      `SELECT count(*) AS n FROM (SELECT 1 FROM (${window.text})${text} LIMIT ${MAX_PAGE + 1})`,
      ...window.values,
      ...values,
    )[0]?.n ?? 0;
  if (n > MAX_PAGE) return { count: MAX_PAGE, more: true };
  const cursor = windowEnd(k, query.cursor, 'desc');
  return cursor === undefined ? { count: n, more: false } : { count: n, more: true, cursor };
}

function conditionsOf(query: EventsFilter): { text: string; values: SqlValue[] } {
  const where: string[] = [];
  const values: SqlValue[] = [];
  const need = (condition: string, value: SqlValue): void => {
    where.push(condition);
    values.push(value);
  };
  if (query.name !== undefined) need('name = ?', query.name);
  if (query.names !== undefined) need('name IN (SELECT value FROM json_each(?))', JSON.stringify(query.names));
  if (query.fromMs !== undefined) need('received_at >= ?', query.fromMs);
  if (query.toMs !== undefined) need('received_at <= ?', query.toMs);
  return { text: where.length > 0 ? ` WHERE ${where.join(' AND ')}` : '', values };
}

type Order = 'asc' | 'desc';

/** The rows that one look reaches. The columns are those before the body: what is long is not read. */
function windowOf(cursor: string | undefined, order: Order): { text: string; values: SqlValue[] } {
  return {
    text: `SELECT id, name, received_at FROM events${beyond(cursor, order)} ORDER BY id ${order} LIMIT ${MAX_EVENTS_EXAMINED}`,
    values: cursor === undefined ? [] : [cursor],
  };
}

/** The last row of a look, if there are others behind it. */
function windowEnd(k: Kernel, cursor: string | undefined, order: Order): string | undefined {
  const ends = k.sql.all<{ id: string }>(
    `SELECT id FROM events${beyond(cursor, order)} ORDER BY id ${order} LIMIT 2 OFFSET ${MAX_EVENTS_EXAMINED - 1}`,
    ...(cursor === undefined ? [] : [cursor]),
  );
  return ends.length === 2 ? ends[0]?.id : undefined;
}

function beyond(cursor: string | undefined, order: Order): string {
  return cursor === undefined ? '' : ` WHERE id ${order === 'asc' ? '>' : '<'} ?`;
}
