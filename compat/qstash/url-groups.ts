import type { Route } from './route.ts';
import { COLLECTION } from './constants.ts';
import type { HeaderList } from './headers.ts';

export interface Endpoint {
  url: string;
  name?: string;
}

const PAGE = 1_000;

/** An endpoint is a record `<group>\n<url>`: adding and removing is atomic without reading the group first. */
export function endpointId(group: string, url: string): string {
  return `${group}\n${url}`;
}

export async function endpointsOf(route: Route, group: string): Promise<Endpoint[]> {
  const prefix = `${group}\n`;
  const page = await route.ask({
    type: 'records',
    collection: COLLECTION.endpoint,
    order: 'asc',
    cursor: prefix,
    limit: PAGE,
  });
  const endpoints: Endpoint[] = [];
  for (const record of page.items) {
    if (!record.id.startsWith(prefix)) break;
    const { url, name } = JSON.parse(record.data) as Endpoint;
    endpoints.push(name === undefined ? { url } : { url, name });
  }
  return endpoints;
}

/** Headers that stand before those of each publish to the group; names in lower case. */
export async function groupHeaders(route: Route, group: string): Promise<HeaderList> {
  const record = await route.ask({ type: 'record', collection: COLLECTION.groupHeaders, id: group });
  return record ? (JSON.parse(record.data) as HeaderList) : [];
}

export interface GroupRecord {
  name: string;
  createdAt: number;
  updatedAt: number;
  endpoints: Endpoint[];
}

/** All groups that have an endpoint, by name. */
export async function allGroups(route: Route): Promise<GroupRecord[]> {
  const groups = new Map<string, GroupRecord>();
  let cursor: string | undefined;
  do {
    const page = await route.ask({
      type: 'records',
      collection: COLLECTION.endpoint,
      order: 'asc',
      cursor,
      limit: PAGE,
    });
    for (const record of page.items) {
      const name = record.id.slice(0, record.id.indexOf('\n'));
      const { createdAt, ...endpoint } = JSON.parse(record.data) as Endpoint & { createdAt?: number };
      const group = groups.get(name) ?? {
        name,
        createdAt: createdAt ?? record.updatedAt,
        updatedAt: record.updatedAt,
        endpoints: [],
      };
      group.createdAt = Math.min(group.createdAt, createdAt ?? record.updatedAt);
      group.updatedAt = Math.max(group.updatedAt, record.updatedAt);
      group.endpoints.push(endpoint);
      groups.set(name, group);
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
  return [...groups.values()];
}
