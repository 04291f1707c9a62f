import type { Command } from '../../../core/model/command.ts';
import { readJson } from '../body.ts';
import { COLLECTION } from '../constants.ts';
import { json, notFound, WireError } from '../errors.ts';
import { headerMap, type HeaderList, isHeaderName, isHeaderValue } from '../headers.ts';
import { isHttpUrl, parseOptions, resourceName } from '../options.ts';
import type { Route } from '../route.ts';
import { refreshSchedules } from '../schedules.ts';
import { EndpointsSchema, GroupHeadersSchema, parse } from '../schema.ts';
import { allGroups, endpointId, endpointsOf, groupHeaders } from '../url-groups.ts';

/** Adds; an endpoint of the same URL or name is replaced, the others stay. */
export async function addEndpoints(route: Route): Promise<Response> {
  const group = resourceName('url group', route.param('name'));
  const { endpoints } = parse(EndpointsSchema, await readJson(route.request));
  const existing = await endpointsOf(route, group);
  const createdAt = await route.now();
  const commands: Command[] = [];
  for (const { url, name } of endpoints) {
    if (url === undefined || !isHttpUrl(url)) throw new WireError(400, `invalid endpoint url: ${JSON.stringify(url)}`);
    if (name !== undefined && name !== '') {
      for (const other of existing) {
        if (other.name === name && other.url !== url)
          commands.push({ type: 'delete-record', collection: COLLECTION.endpoint, id: endpointId(group, other.url) });
      }
    }
    const data = JSON.stringify({ url, ...(name ? { name } : {}), createdAt });
    commands.push({ type: 'put-record', collection: COLLECTION.endpoint, id: endpointId(group, url), data });
  }
  await route.apply(commands);
  await refreshSchedules(route, group);
  return json({});
}

/** The group's default headers, as a whole: names that are not sent are taken away. Read as a publish's headers are, so that what is wrong is refused here. */
export async function setGroupHeaders(route: Route): Promise<Response> {
  const group = resourceName('url group', route.param('name'));
  const { headers } = parse(GroupHeadersSchema, await readJson(route.request));
  const pairs: HeaderList = Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().map((value): [string, string] => [name.toLowerCase(), value]),
  );
  for (const [name, value] of pairs)
    if (!isHeaderName(name) || !isHeaderValue(value))
      throw new WireError(400, `invalid header ${name}: it is no header`);
  parseOptions(pairs);
  if ((await endpointsOf(route, group)).length === 0) throw notFound(`url group ${group}`);
  await route.apply([
    pairs.length === 0
      ? { type: 'delete-record', collection: COLLECTION.groupHeaders, id: group }
      : { type: 'put-record', collection: COLLECTION.groupHeaders, id: group, data: JSON.stringify(pairs) },
  ]);
  return json({});
}

export async function removeEndpoints(route: Route): Promise<Response> {
  const group = route.param('name');
  const { endpoints } = parse(EndpointsSchema, await readJson(route.request));
  const existing = await endpointsOf(route, group);
  const gone = existing.filter((known) =>
    endpoints.some(
      ({ url, name }) =>
        (url !== undefined && known.url === url) || (name !== undefined && name !== '' && known.name === name),
    ),
  );
  await removeAll(route, group, gone);
  return json({});
}

export async function deleteGroup(route: Route): Promise<Response> {
  const group = route.param('name');
  await removeAll(route, group, await endpointsOf(route, group));
  return json({});
}

async function removeAll(route: Route, group: string, endpoints: Array<{ url: string }>): Promise<void> {
  if (endpoints.length === 0) return;
  const left = (await endpointsOf(route, group)).length - endpoints.length;
  await route.apply([
    ...endpoints.map(({ url }): Command => ({
      type: 'delete-record',
      collection: COLLECTION.endpoint,
      id: endpointId(group, url),
    })),
    // An empty group is none.
    ...(left > 0 ? [] : [{ type: 'delete-record', collection: COLLECTION.groupHeaders, id: group } as const]),
  ]);
  await refreshSchedules(route, group);
}

export async function listGroups(route: Route): Promise<Response> {
  return json(await allGroups(route));
}

export async function getGroup(route: Route): Promise<Response> {
  const name = route.param('name');
  const group = (await allGroups(route)).find((candidate) => candidate.name === name);
  if (!group) throw notFound(`url group ${name}`);
  const headers = await groupHeaders(route, name);
  return json({ ...group, ...(headers.length === 0 ? {} : { headers: headerMap(headers) }) });
}
