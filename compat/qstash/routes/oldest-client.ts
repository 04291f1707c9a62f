import { readJson } from '../body.ts';
import { MAX_MESSAGE_BYTES } from '../constants.ts';
import { bytesOf } from '../encoding.ts';
import { json, WireError } from '../errors.ts';
import type { HeaderList } from '../headers.ts';
import { parseOptions } from '../options.ts';
import { planItem } from '../publish.ts';
import type { Route } from '../route.ts';
import { OldScheduleSchema, parse } from '../schema.ts';
import { deleteGroup, removeEndpoints } from './url-groups.ts';

// What `@upstash/qstash` 2.0.0 still sends, before the paths of today.

/** `DELETE /v2/topics/{name}`: with endpoints in the body these, without a body the group. */
export async function deleteGroupOrEndpoints(route: Route): Promise<Response> {
  const length = route.request.headers.get('content-length');
  return length === null || length === '0' ? deleteGroup(route) : removeEndpoints(route);
}

/** `POST /v2/schedules` with everything in a JSON body. */
export async function createScheduleFromJson(route: Route): Promise<Response> {
  const request = parse(OldScheduleSchema, await readJson(route.request, MAX_MESSAGE_BYTES));
  const headers: HeaderList = Object.entries(request.headers ?? {});
  const option = (name: string, value: string | number | undefined): void => {
    if (value !== undefined) headers.push([`upstash-${name}`, String(value)]);
  };
  option('cron', request.cron);
  option('delay', request.delay === undefined ? undefined : `${request.delay}s`);
  option('retries', request.retries);
  option('callback', request.callback);
  option('method', request.method);
  if (request.cron === '') throw new WireError(400, 'invalid body: cron: it is empty');
  const item = {
    destination: request.destination,
    options: parseOptions(headers),
    headers,
    body: bytesOf(request.body ?? null),
  };
  const plan = await planItem(route, item);
  return json(plan.answer(await route.apply(plan.commands)).body);
}
