import type { StartSpec } from '../../../core/model/call.ts';
import type { Command, ResultOf } from '../../../core/model/command.ts';
import { bulkFilter } from '../bulk.ts';
import { type Letter, letterView, readLetter, takeLetters } from '../dead-letters.ts';
import { json, notFound } from '../errors.ts';
import { type Filter, parseFilter } from '../filters.ts';
import { mergeHeaders } from '../headers.ts';
import { messageIdOf } from '../ids.ts';
import { dueTime } from '../item.ts';
import { limitsOf, retryPolicy } from '../limits.ts';
import type { RunMeta } from '../meta.ts';
import { parseOptions } from '../options.ts';
import type { Route } from '../route.ts';
import type { DeadLetterData } from '../translator.ts';

const MAX_COUNT = 100;

type Source = DeadLetterData['source'];

/** `source=workflow` lists the runs, without it only messages are listed. */
export async function listDeadLetters(route: Route): Promise<Response> {
  return listOf(route, route.query().get('source') === 'workflow' ? 'workflow' : 'message');
}

export async function listWorkflowDeadLetters(route: Route): Promise<Response> {
  return listOf(route, 'workflow');
}

async function listOf(route: Route, source: Source): Promise<Response> {
  const filter = parseFilter(route.query(), { strict: false, maxCount: MAX_COUNT, defaultCount: MAX_COUNT });
  const { letters, cursor } = await takeLetters(route, filter, source, filter.count ?? MAX_COUNT);
  const messages = await Promise.all(letters.map((letter) => letterView(route, letter)));
  return json({ messages, ...(cursor === undefined ? {} : { cursor }) });
}

export async function getDeadLetter(route: Route): Promise<Response> {
  return json(await letterView(route, await oneLetter(route)));
}

export async function oneLetter(route: Route): Promise<Letter> {
  const id = route.param('id');
  const stored = await route.ask({ type: 'dead-letter', id });
  const letter = stored && readLetter(stored);
  if (!letter) throw notFound(`dlq message ${id}`);
  return letter;
}

export async function deleteDeadLetter(route: Route): Promise<Response> {
  const { id } = await oneLetter(route);
  const { found } = await route.one({ type: 'delete-dead-letter', id });
  if (!found) throw notFound(`dlq message ${id}`);
  return json({});
}

export function deleteDeadLetters(source: Source) {
  return async (route: Route): Promise<Response> => {
    const { letters, cursor } = await chosen(route, source);
    const results = await route.apply(letters.map(({ id }): Command => ({ type: 'delete-dead-letter', id })));
    const deleted = results.filter((result) => result.type === 'delete-dead-letter' && result.found).length;
    return json({ deleted, ...(cursor === undefined ? {} : { cursor }) });
  };
}

export async function retryDeadLetter(route: Route): Promise<Response> {
  const letter = await oneLetter(route);
  const [response] = await retryAll(route, [letter]);
  return json(response, 201);
}

export async function retryDeadLetters(route: Route): Promise<Response> {
  const { letters, cursor } = await chosen(route, 'message');
  return json({ responses: await retryAll(route, letters), cursor: cursor ?? '' });
}

/** Each letter becomes a new message; headers of the request override what it was published with. */
async function retryAll(route: Route, letters: Letter[]): Promise<Array<{ messageId: string }>> {
  if (letters.length === 0) return [];
  const overrides = parseOptions(route.request.headers);
  const dueAt = await dueTime(route, overrides);
  const results = await route.apply(
    letters.map((letter): Command => ({
      type: 'retry-dead-letter',
      id: letter.id,
      overrides: restart(letter.meta, overrides, dueAt),
    })),
  );
  return results.map((result) => ({ messageId: messageIdOf((result as ResultOf<'retry-dead-letter'>).run) }));
}

function restart(
  before: RunMeta,
  overrides: ReturnType<typeof parseOptions>,
  dueAt: number | undefined,
): Partial<StartSpec> {
  const meta: RunMeta = { ...before, notBeforeMs: dueAt, headers: mergeHeaders(before.headers, overrides.forward) };
  if (overrides.method !== undefined) meta.method = overrides.method;
  if (overrides.redact !== undefined) meta.redact = overrides.redact;
  if (overrides.retries !== undefined) meta.retries = overrides.retries;
  if (overrides.retryDelay !== undefined) meta.retryDelay = overrides.retryDelay;
  if (overrides.timeoutMs !== undefined) meta.timeoutMs = overrides.timeoutMs;
  if (overrides.flowControl !== undefined) meta.flowControl = overrides.flowControl;
  if (overrides.labels !== undefined) meta.labels = overrides.labels;
  if (overrides.callback !== undefined) meta.callback = overrides.callback;
  if (overrides.failureCallback !== undefined) meta.failureCallback = overrides.failureCallback;
  return {
    meta: JSON.stringify(meta),
    dueAt,
    maxAttempts: meta.retries + 1,
    retry: retryPolicy(meta.retryDelay),
    limits: limitsOf(meta),
    labels: meta.labels,
  };
}

/** The letters that a bulk request means: ids from the query or (Python, Go) the JSON body, else those of the filter. */
export async function chosen(route: Route, source: Source): Promise<{ letters: Letter[]; cursor?: string }> {
  const filter = await bulkFilter(route, { maxCount: MAX_COUNT, defaultCount: MAX_COUNT });
  if (!filter.has('dlqIds')) return takeLetters(route, filter, source, filter.count ?? MAX_COUNT);
  return { letters: await byIds(route, filter.values('dlqIds'), source, filter) };
}

async function byIds(route: Route, ids: string[], source: Source, filter: Filter): Promise<Letter[]> {
  const stored = await Promise.all(ids.map((id) => route.ask({ type: 'dead-letter', id })));
  return stored
    .flatMap((letter) => (letter ? [readLetter(letter)] : []))
    .filter((letter) => letter !== null)
    .filter((letter) => letter.source === source && filter.matches(letter));
}
