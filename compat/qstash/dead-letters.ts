import type { RunStatus } from '../../core/model/call.ts';
import type { DeadLetterRecord, RunRecord } from '../../core/model/query.ts';
import { EXECUTOR } from './constants.ts';
import { payloadOf, bodyFields, fromBase64 } from './encoding.ts';
import type { Filter, Subject } from './filters.ts';
import { messageView } from './message-view.ts';
import { parseMeta, parseResponse } from './meta.ts';
import type { Route } from './route.ts';
import { type DeadLetterData, failureCallbackAlias } from './translator.ts';

const PAGE = 100;

export interface Letter extends Subject {
  id: string;
  run: RunRecord;
  atMs: number;
  source: DeadLetterData['source'];
  deadLetterId: string;
}

type StoredLetter = DeadLetterRecord & { record: RunRecord | null };

/** Null for another vendor's letter, or one whose run is no longer kept. */
export function readLetter(stored: StoredLetter): Letter | null {
  const data = JSON.parse(stored.data) as Partial<DeadLetterData>;
  if (data.executor !== EXECUTOR || data.source === undefined || stored.record === null) return null;
  return {
    id: stored.id,
    deadLetterId: stored.id,
    run: stored.record,
    meta: parseMeta(stored.record.meta),
    atMs: stored.at,
    source: data.source,
    responseStatus: data.responseStatus,
  };
}

/** Letters of one source that pass the filter, newest first. */
export async function* scanLetters(
  route: Route,
  filter: Filter,
  source: DeadLetterData['source'],
): AsyncGenerator<Letter> {
  let cursor = filter.cursor;
  for (;;) {
    const page = await route.ask({
      type: 'dead-letters',
      cursor,
      limit: PAGE,
      order: filter.ascending ? 'asc' : 'desc',
    });
    for (const stored of page.items) {
      const letter = readLetter(stored);
      if (letter?.source === source && filter.matches(letter) && (await hasState(route, filter, letter.id)))
        yield letter;
    }
    if (page.cursor === undefined) return;
    cursor = page.cursor;
  }
}

/** Documentation and older clients name the filter differently. */
async function hasState(route: Route, filter: Filter, deadLetterId: string): Promise<boolean> {
  const wanted = [...filter.values('failureFunctionState'), ...filter.values('failureCallbackState')];
  return wanted.length === 0 || wanted.includes((await failureState(route, deadLetterId)) ?? '');
}

/** Up to `count` letters, and the cursor when there are more. */
export async function takeLetters(
  route: Route,
  filter: Filter,
  source: DeadLetterData['source'],
  count: number,
): Promise<{ letters: Letter[]; cursor?: string }> {
  const letters: Letter[] = [];
  for await (const letter of scanLetters(route, filter, source)) {
    if (letters.length === count) return { letters, cursor: letters.at(-1)?.id };
    letters.push(letter);
  }
  return { letters };
}

/** The dead letter object of the API. */
export async function letterView(route: Route, letter: Letter): Promise<Record<string, unknown>> {
  const response = parseResponse(letter.run.error);
  const responseBody = payloadOf(fromBase64(response.body) ?? new Uint8Array());
  return {
    ...(await messageView(letter.run)),
    dlqId: letter.id,
    responseStatus: response.status,
    responseHeader: response.header,
    ...bodyFields(responseBody, 'responseBody'),
    ...(letter.source === 'workflow' ? await workflowFields(route, letter) : {}),
  };
}

async function workflowFields(route: Route, letter: Letter): Promise<Record<string, unknown>> {
  const { meta, run } = letter;
  const state = await failureState(route, letter.id);
  return {
    workflowRunId: meta.workflow?.runId,
    workflowCreatedAt: run.createdAt,
    workflowUrl: meta.workflow?.url ?? meta.url,
    ...(state === null
      ? {}
      : { failureCallbackInfo: { state, url: meta.failureCallback?.url }, failureFunctionState: state }),
  };
}

/** The newest failure callback that this letter's end started, or was asked for since. */
export async function failureCallback(
  route: Route,
  deadLetterId: string,
): Promise<{ run: RunRecord; n: number } | null> {
  let last: { run: RunRecord; n: number } | null = null;
  for (let n = 1; ; n++) {
    const run = await route.ask({ type: 'run', run: failureCallbackAlias(deadLetterId, n) });
    if (!run) return last;
    last = { run, n };
  }
}

export const CALLBACK_STATES: Record<RunStatus, string> = {
  running: 'CALLBACK_INPROGRESS',
  completed: 'CALLBACK_SUCCESS',
  cancelled: 'CALLBACK_CANCELED',
  failed: 'CALLBACK_FAIL',
};

/** What became of the failure callback, or null without one. */
export async function failureState(route: Route, deadLetterId: string): Promise<string | null> {
  const callback = await failureCallback(route, deadLetterId);
  return callback && CALLBACK_STATES[callback.run.status];
}
