import type { Command, CommandResult } from '../../../core/model/command.ts';
import { readJson, tooLarge } from '../body.ts';
import { MAX_BATCH_BYTES, MAX_BATCH_ITEMS, MAX_MESSAGE_BYTES, RUN_ENDED } from '../constants.ts';
import { bytesOf } from '../encoding.ts';
import { json, WireError } from '../errors.ts';
import { isHeaderName, isHeaderValue } from '../headers.ts';
import { parseOptions, resourceName } from '../options.ts';
import type { ItemPlan, PublishItem } from '../item.ts';
import { planItem } from '../publish.ts';
import type { Route } from '../route.ts';

/**
 * Everything in one transaction. A wrong item answers `{error}` in its place while the others go through; but a wrong step or start of a
 * workflow fails the whole request, because its SDK looks at the status only.
 */
export async function batch(route: Route): Promise<Response> {
  const answers = await sendBatch(route);
  return json(answers.map((answer) => ('error' in answer ? { error: answer.error } : answer.body)));
}

export async function sendBatch(route: Route): Promise<Array<{ body: unknown } | { error: string }>> {
  const items = await readJson(route.request, MAX_BATCH_BYTES);
  if (!Array.isArray(items)) throw new WireError(400, 'invalid body: it is not an array of messages');
  if (items.length > MAX_BATCH_ITEMS)
    throw new WireError(413, `quota exceeded: the batch has more than ${MAX_BATCH_ITEMS} messages`);
  const plans: Array<ItemPlan | { error: string }> = [];
  for (const [i, item] of (items as unknown[]).entries()) {
    const isWorkflow = hasWorkflowHeader(item);
    try {
      plans.push(await planItem(route, readItem(item, i)));
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      if (isWorkflow) throw asStepError(error);
      plans.push({ error: error.message });
    }
  }
  route.spend(plans.reduce((sum, plan) => sum + ('error' in plan ? 0 : plan.messages), 0));
  const commands: Command[] = plans.flatMap((plan) => ('error' in plan ? [] : plan.commands));
  const results = commands.length === 0 ? [] : await route.apply(commands);
  let at = 0;
  return plans.map((plan) => {
    if ('error' in plan) return plan;
    const own: CommandResult[] = results.slice(at, (at += plan.commands.length));
    return plan.answer(own);
  });
}

/** On 400 an SDK takes its run for ended and stops without a word; 412 fails the run with this message. */
function asStepError(error: WireError): WireError {
  return error.status === 400 && error.code !== RUN_ENDED ? new WireError(412, error.message, error.code) : error;
}

/** Checked by hand: bodies may be megabytes, and a schema would walk the whole. */
export function readItem(item: unknown, i: number): PublishItem {
  if (typeof item !== 'object' || item === null)
    throw new WireError(400, `invalid body: message ${i} is not an object`);
  const { destination, headers, body, queue } = item as Record<string, unknown>;
  if (typeof destination !== 'string')
    throw new WireError(400, `invalid body: message ${i}: destination is not a string`);
  if (body !== undefined && body !== null && typeof body !== 'string') {
    throw new WireError(400, `invalid body: message ${i}: body is not a string (of an object send its JSON)`);
  }
  const bytes = bytesOf(body ?? null);
  if (bytes.byteLength > MAX_MESSAGE_BYTES) throw tooLarge(MAX_MESSAGE_BYTES);
  const pairs = readHeaders(headers, i);
  return {
    destination,
    options: parseOptions(pairs),
    headers: pairs,
    body: bytes,
    queue: queue === undefined || queue === null ? undefined : resourceName('queue name', String(queue)),
  };
}

function readHeaders(headers: unknown, i: number): Array<[string, string]> {
  if (headers === undefined || headers === null) return [];
  if (typeof headers !== 'object' || Array.isArray(headers))
    throw new WireError(400, `invalid body: message ${i}: headers is not an object`);
  return Object.entries(headers).map(([name, value]: [string, unknown]) => {
    const text = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
    if (typeof text !== 'string' || !isHeaderName(name) || !isHeaderValue(text)) {
      throw new WireError(400, `invalid header ${name}: message ${i} has something there that is no header`);
    }
    return [name, text];
  });
}

function hasWorkflowHeader(item: unknown): boolean {
  const headers = (item as { headers?: unknown } | null)?.headers;
  return (
    typeof headers === 'object' &&
    headers !== null &&
    Object.keys(headers).some((name) => name.toLowerCase() === 'upstash-workflow-runid')
  );
}
