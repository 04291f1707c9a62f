import type { StoredRecord } from '../../core/model/query.ts';
import { COLLECTION } from './constants.ts';
import type { HeaderMap } from './headers.ts';
import type { Route } from './route.ts';

/** One run that waits for an event: a record `<event>\n<run>\n<message>`, so that a broadcast finds all of them. */
export interface Waiter {
  id: string;
  eventId: string;
  workflowRunId: string;
  messageId: string;
  view: WaiterView;
}

export interface WaiterView {
  url: string;
  headers: HeaderMap;
  /** Unix seconds. */
  deadline: number;
  timeoutUrl?: string;
  timeoutBody?: unknown;
  timeoutHeaders?: HeaderMap;
}

export function waiterId(eventId: string, workflowRunId: string, messageId: string): string {
  return `${eventId}\n${workflowRunId}\n${messageId}`;
}

/** Everyone who has begun to wait for the event; some may have been served since. */
export async function waitersOf(route: Route, eventId: string): Promise<Waiter[]> {
  const prefix = `${eventId}\n`;
  const waiters: Waiter[] = [];
  let cursor: string | undefined = prefix;
  do {
    const page: { items: StoredRecord[]; cursor?: string } = await route.ask({
      type: 'records',
      collection: COLLECTION.waiter,
      order: 'asc',
      cursor,
      limit: 1_000,
    });
    for (const record of page.items) {
      if (!record.id.startsWith(prefix)) return waiters;
      const [, workflowRunId = '', messageId = ''] = record.id.split('\n');
      waiters.push({ id: record.id, eventId, workflowRunId, messageId, view: JSON.parse(record.data) as WaiterView });
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
  return waiters;
}
