import type { StartSpec } from '../../core/model/call.ts';
import type { Command, CommandResult, ResultOf } from '../../core/model/command.ts';
import type { Payload } from '../../core/model/payload.ts';
import { TASK_MESSAGE } from './constants.ts';
import { parseDestination } from './destination.ts';
import { payloadOf, sha256Hex } from './encoding.ts';
import { WireError } from './errors.ts';
import { messageIdOf } from './ids.ts';
import { dueTime, type ItemAnswer, type ItemPlan, messageMeta, type PublishItem, sharedCommands } from './item.ts';
import { limitsOf, retryPolicy } from './limits.ts';
import type { RunMeta } from './meta.ts';
import type { PublishOptions } from './options.ts';
import type { Route } from './route.ts';
import { dedupeMs } from './settings.ts';
import { endpointsOf } from './url-groups.ts';

/** A message to a URL, or one to each endpoint of a URL group. */
export async function planMessage(route: Route, item: PublishItem): Promise<ItemPlan> {
  const { options } = item;
  const destination = parseDestination(item.destination);
  const body = payloadOf(item.body);
  const dueAt = await dueTime(route, options);
  const shared = sharedCommands(options);
  if (destination.kind === 'url') {
    const start = await messageStart(route, options, body, dueAt, { url: destination.url, hops: item.hops });
    return plan(shared, [start], ([result]) => answerOf(result as ResultOf<'start'>));
  }
  const endpoints = await endpointsOf(route, destination.name);
  if (endpoints.length === 0) throw new WireError(404, `url group ${destination.name} not found`);
  const starts = await Promise.all(
    endpoints.map((endpoint) =>
      messageStart(route, options, body, dueAt, {
        url: endpoint.url,
        topic: destination.name,
        endpoint: endpoint.name,
        hops: item.hops,
      }),
    ),
  );
  return plan(shared, starts, (results) => {
    const answers = results.map((result) => answerOf(result as ResultOf<'start'>));
    return {
      body: answers.map((answer, i) => ({ ...answer.body, url: endpoints[i]?.url })),
      deduplicated: answers.every((answer) => answer.deduplicated),
    };
  });
}

function plan(shared: Command[], starts: StartSpec[], answer: (results: CommandResult[]) => ItemAnswer): ItemPlan {
  return {
    commands: [...shared, ...starts.map((spec): Command => ({ type: 'start', spec }))],
    messages: starts.length,
    answer: (results) => answer(results.slice(shared.length)),
  };
}

function answerOf(result: ResultOf<'start'>): {
  body: { messageId: string; deduplicated?: true };
  deduplicated: boolean;
} {
  const messageId = messageIdOf(result.run);
  return result.deduplicated
    ? { body: { messageId, deduplicated: true }, deduplicated: true }
    : { body: { messageId }, deduplicated: false };
}

async function messageStart(
  route: Route,
  options: PublishOptions,
  body: Payload,
  dueAt: number | undefined,
  target: Pick<RunMeta, 'url' | 'topic' | 'endpoint' | 'hops'>,
): Promise<StartSpec> {
  const meta = messageMeta(options, target, route.host.callerIp, dueAt);
  return {
    task: TASK_MESSAGE,
    input: body,
    meta: JSON.stringify(meta),
    dueAt,
    maxAttempts: meta.retries + 1,
    retry: retryPolicy(meta.retryDelay),
    limits: limitsOf(meta),
    labels: meta.labels,
    dedupe: await dedupeOf(route, options, meta, body),
  };
}

async function dedupeOf(
  route: Route,
  options: PublishOptions,
  meta: RunMeta,
  body: Payload,
): Promise<StartSpec['dedupe']> {
  let key: string;
  if (options.dedupeId !== undefined) {
    // Each endpoint of a group gets its own copy.
    key = `id:${meta.topic === undefined ? '' : `${meta.url}\n`}${options.dedupeId}`;
  } else if (options.contentDedupe) {
    const head = JSON.stringify([meta.url, meta.contentType ?? '', meta.headers]);
    key = `content:${await sha256Hex(head)}:${await sha256Hex(body)}`;
  } else return undefined;
  return { key: `qstash:${key}`, untilMs: (await route.now()) + dedupeMs(route.host.context) };
}
