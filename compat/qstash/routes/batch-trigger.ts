import { readJson } from '../body.ts';
import { MAX_BATCH_BYTES, MAX_BATCH_ITEMS } from '../constants.ts';
import { json, WireError } from '../errors.ts';
import type { Route } from '../route.ts';
import { readItem } from './batch.ts';
import { planPlainTrigger } from './trigger.ts';

/** Several starts without an SDK, in one transaction: a wrong one refuses all. */
export async function batchTrigger(route: Route): Promise<Response> {
  const items = await readJson(route.request, MAX_BATCH_BYTES);
  if (!Array.isArray(items)) throw new WireError(400, 'invalid body: it is not an array of workflow runs');
  if (items.length > MAX_BATCH_ITEMS)
    throw new WireError(413, `quota exceeded: the batch has more than ${MAX_BATCH_ITEMS} workflow runs`);
  const plans = [];
  for (const [i, item] of (items as unknown[]).entries()) plans.push(await planPlainTrigger(route, readItem(item, i)));
  route.spend(plans.length);
  const results = plans.length === 0 ? [] : await route.apply(plans.flatMap(({ commands }) => commands));
  let at = 0;
  const answers = plans.map(({ commands, answer }) => answer(results.slice(at, (at += commands.length))).body);
  return json(answers, 201);
}
