import type { Command } from '../../core/model/command.ts';
import { readJson } from './body.ts';
import { json } from './errors.ts';
import { type Filter, parseFilter } from './filters.ts';
import { newBulkActionId } from './ids.ts';
import type { Route } from './route.ts';
import { BulkSchema, parse } from './schema.ts';

/** Kept for 7 days after their creation (Upstash documentation: api-reference/bulk-actions/list-bulk-actions). */
const BULK_ACTION_MS = 7 * 86_400_000;

/** One bulk cancellation as `GET .../bulkActions` shows it. */
export interface BulkAction {
  actionId: string;
  kind: 'cancel';
  state: 'IN_PROGRESS' | 'FINISHED';
  total: number;
  processed: number;
  createdAt: number;
  completedAt?: number;
  filter: Record<string, string[]>;
}

/**
 * What a bulk request means: ids and filters of its query and, as Python, Go and plain HTTP send them, of its JSON body. A name that is not known is
 * refused, wherever it stands.
 */
export async function bulkFilter(route: Route, options: { maxCount: number; defaultCount?: number }): Promise<Filter> {
  const query = route.query();
  const body = parse(BulkSchema, (await readJson(route.request)) ?? {});
  for (const [name, value] of Object.entries(body)) {
    if (value === null) continue;
    const values = [value].flat().map(String);
    for (const one of values.length === 0 ? [''] : values) query.append(name, one);
  }
  return parseFilter(query, { ...options, strict: true });
}

/**
 * Answers a bulk cancellation. With `async=true` and no ids it leaves a bulk action, which is finished by the time it is answered: what was found was
 * cancelled in this request.
 */
export async function bulkCancelled(
  route: Route,
  filter: Filter,
  collection: string,
  counts: { total: number; cancelled: number; sinceMs: number },
): Promise<Response> {
  const { total, cancelled, sinceMs } = counts;
  if (filter.values('async')[0] !== 'true') return json({ cancelled });
  const action: BulkAction = {
    actionId: newBulkActionId(),
    kind: 'cancel',
    state: 'FINISHED',
    total,
    processed: total,
    createdAt: sinceMs,
    completedAt: await route.now(),
    filter: filter.given,
  };
  const record: Command = {
    type: 'put-record',
    collection,
    id: action.actionId,
    data: JSON.stringify(action),
    keepMs: BULK_ACTION_MS,
  };
  await route.apply([record]);
  return json({ actionId: action.actionId, cancelled });
}
