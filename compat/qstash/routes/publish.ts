import { readBody } from '../body.ts';
import { MAX_MESSAGE_BYTES } from '../constants.ts';
import { splitTarget } from '../destination.ts';
import { json } from '../errors.ts';
import { parseOptions } from '../options.ts';
import { publishOne } from '../publish.ts';
import type { Route } from '../route.ts';

/** The publisher's own options win over those in the query. */
export async function publish(route: Route): Promise<Response> {
  const { destination, options: fromQuery } = splitTarget(route.url, '/v2/publish/');
  const headers = [...fromQuery, ...route.request.headers];
  const options = parseOptions(headers);
  const body = await readBody(route.request, MAX_MESSAGE_BYTES);
  const answer = await publishOne(route, { destination, options, headers, body });
  return json(answer.body, answer.deduplicated ? 202 : 200);
}
