import { MAX_HOPS } from './constants.ts';
import { parseDestination } from './destination.ts';
import { WireError } from './errors.ts';
import { runOfMessage } from './ids.ts';
import type { ItemAnswer, ItemPlan, PublishItem } from './item.ts';
import { planMessage } from './message.ts';
import { parseMeta } from './meta.ts';
import { parseOptions, type PublishOptions } from './options.ts';
import type { Route } from './route.ts';
import { planSchedule } from './schedules.ts';
import { groupHeaders } from './url-groups.ts';
import { planWorkflowItem } from './workflow.ts';

/** Throws WireError for anything wrong with the item; nothing has been sent then. */
export async function planItem(route: Route, item: PublishItem): Promise<ItemPlan> {
  const given = await withGroupDefaults(route, item);
  const options = item.queue === undefined ? given : { ...given, queue: item.queue };
  const whole = { ...item, options, hops: await hopsOf(route) };
  if (options.cron !== undefined) return planSchedule(route, whole);
  if (options.workflow !== undefined) return planWorkflowItem(route, whole);
  return planMessage(route, whole);
}

/** What the URL group says by default; the publisher's own headers win. */
async function withGroupDefaults(
  route: Route,
  { destination, options, headers }: PublishItem,
): Promise<PublishOptions> {
  if (headers === undefined || options.workflow !== undefined) return options;
  const parsed = parseDestination(destination);
  const defaults = parsed.kind === 'group' ? await groupHeaders(route, parsed.name) : [];
  if (defaults.length === 0) return options;
  const own = new Set(headers.map(([name]) => name.toLowerCase()));
  return parseOptions([...defaults.filter(([name]) => !own.has(name)), ...headers]);
}

/**
 * Deliveries carry their message's id. A request to publish that carries one comes from a destination that is this server itself, straight or behind
 * another name: such a chain is cut off instead of going round for ever.
 */
async function hopsOf(route: Route): Promise<number | undefined> {
  const run = runOfMessage(route.request.headers.get('upstash-message-id') ?? '');
  if (run === null) return undefined;
  const before = await route.ask({ type: 'run', run });
  const hops = (before === null ? 0 : (parseMeta(before.meta).hops ?? 0)) + 1;
  if (hops > MAX_HOPS)
    throw new WireError(
      400,
      `this message was published by a delivery of this server, ${MAX_HOPS} times over: a loop`,
      null,
      {
        'Upstash-NonRetryable-Error': 'true',
      },
    );
  return hops;
}

/** Plans and applies one item in one transaction. */
export async function publishOne(route: Route, item: PublishItem): Promise<ItemAnswer> {
  const { commands, answer, messages } = await planItem(route, item);
  route.spend(messages);
  return answer(await route.apply(commands));
}
