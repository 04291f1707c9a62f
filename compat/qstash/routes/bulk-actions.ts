import type { BulkAction } from '../bulk.ts';
import { json, notFound, WireError } from '../errors.ts';
import { parseFilter } from '../filters.ts';
import type { Route, RouteBody } from '../route.ts';

const MAX_COUNT = 1_000;
const DEFAULT_COUNT = 100;
const STATES = new Set(['IN_PROGRESS', 'FINISHED']);

/** Newest first. `state` is looked at within each page, so that one may be short, or empty, and go on (as documented). */
export function listBulkActions(collection: string): RouteBody {
  return async (route: Route) => {
    const query = route.query();
    const { count, cursor } = parseFilter(query, { strict: false, maxCount: MAX_COUNT, defaultCount: DEFAULT_COUNT });
    const state = query.get('state');
    if (state !== null && !STATES.has(state))
      throw new WireError(
        400,
        `invalid query parameter state: ${JSON.stringify(state)} is not IN_PROGRESS or FINISHED`,
      );
    const page = await route.ask({ type: 'records', collection, limit: count, ...(cursor ? { cursor } : {}) });
    const bulkActions = page.items
      .map(({ data }) => JSON.parse(data) as BulkAction)
      .filter((action) => state === null || action.state === state);
    return json({ bulkActions, ...(page.cursor === undefined ? {} : { cursor: page.cursor }) });
  };
}

export function getBulkAction(collection: string): RouteBody {
  return async (route: Route) => {
    const id = route.param('id');
    const record = await route.ask({ type: 'record', collection, id });
    if (!record) throw notFound(`bulk action ${id}`);
    return json(JSON.parse(record.data));
  };
}
