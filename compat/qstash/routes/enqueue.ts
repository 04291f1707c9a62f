import { readBody } from '../body.ts';
import { MAX_MESSAGE_BYTES } from '../constants.ts';
import { splitTarget } from '../destination.ts';
import { json, WireError } from '../errors.ts';
import { parseOptions, resourceName } from '../options.ts';
import { publishOne } from '../publish.ts';
import type { Route } from '../route.ts';

export async function enqueue(route: Route): Promise<Response> {
  const { destination: rest, options: fromQuery } = splitTarget(route.url, '/v2/enqueue/');
  const slash = rest.indexOf('/');
  if (slash < 0) throw new WireError(400, 'invalid destination: it is empty');
  const queue = resourceName('queue name', rest.slice(0, slash));
  const headers = [...fromQuery, ...route.request.headers];
  const options = parseOptions(headers);
  const body = await readBody(route.request, MAX_MESSAGE_BYTES);
  const answer = await publishOne(route, { destination: rest.slice(slash + 1), options, headers, body, queue });
  return json(answer.body, answer.deduplicated ? 202 : 200);
}
