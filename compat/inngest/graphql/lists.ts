import { compileExpression, isTrue } from '../../../core/events/expression/index.ts';
import type { Expression, JsonValue } from '../../../core/events/expression/index.ts';
import type { RunStatus } from '../../../core/model/call.ts';
import type { EventRecord } from '../../../core/model/event.ts';
import type { Payload } from '../../../core/model/payload.ts';
import type { EventsFilter, Page, RunFacts, RunFilter } from '../../../core/model/query.ts';
import { DEFERRED_SCHEDULE, INTERNAL_PREFIX, taskIdOf } from '../names.ts';
import { originEvents } from '../read.ts';
import { nameIn, textOf } from '../events.ts';
import { eventV2View, runV2View, statusOf } from './views.ts';
import type { Reader } from './reader.ts';

const MAX_FIRST = 400;
/** Items that a list with a condition on their content looks at for one page. */
const MAX_SCANNED = 2_000;
const SCAN_PAGE = 100;
/** Pages asked for one page of a list, or one count: each looks at a bounded number of rows, and the cell does other work between them. */
const MAX_LOOKS = 50;
const MAX_COUNTED = 1_000;
/** Runs that are put in order for one page of a list by another time than that of queueing. */
const MAX_SORTED = 10_000;
const SORT_PAGE = 1_000;
const LAST_MS = 9_007_199_254_740_991;

type TimeField = 'QUEUED_AT' | 'STARTED_AT' | 'ENDED_AT';

interface RunsArgs {
  first: number;
  after?: string | null;
  orderBy?: Array<{ field: TimeField; direction: 'ASC' | 'DESC' }> | null;
  filter?: {
    from?: string | null;
    until?: string | null;
    timeField?: TimeField | null;
    status?: string[] | null;
    functionIDs?: string[] | null;
    appIDs?: string[] | null;
    isDeferred?: boolean | null;
    query?: string | null;
  } | null;
}

/**
 * `whole`: their results are asked for, and read with them; else nothing of them is read that is not shown. Runs by the time they were queued are a walk of the primary key. By the time they began or ended, up to MAX_SORTED of the filter are put
 * in order for each page.
 */
export async function listRuns(reader: Reader, args: RunsArgs, whole: boolean): Promise<object> {
  const given = args.filter ?? {};
  const functions = await reader.functions();
  const wanted = functions.filter(
    ({ fn }) =>
      (!given.functionIDs?.length || given.functionIDs.includes(fn.id)) &&
      (!given.appIDs?.length || given.appIDs.includes(fn.appId)),
  );
  const byFunction = Boolean(given.functionIDs?.length) || Boolean(given.appIDs?.length);
  const filter: RunFilter = {
    ...(byFunction ? { tasks: wanted.map(({ task }) => task.id) } : { taskPrefix: taskIdOf('') }),
    ...(given.status?.length ? { status: statuses(given.status) } : {}),
  };
  const times = timesOf(given);
  const timeField = given.timeField ?? 'QUEUED_AT';
  const { field, direction } = args.orderBy?.[0] ?? { field: 'QUEUED_AT', direction: 'DESC' };
  const order = direction === 'ASC' ? ('asc' as const) : ('desc' as const);
  const conditions = runConditions(given.query);
  const matches = runMatcher(reader, given, conditions);
  const type = whole || conditions.some(({ ofResult }) => ofResult) ? 'runs' : 'run-facts';
  let scan: (cursor: string | undefined, limit: number) => Promise<Page<RunFacts>>;
  let cursorOf = (run: RunFacts): string => run.id;
  let plainCount: () => Promise<number>;
  if (field === 'QUEUED_AT' && timeField === 'QUEUED_AT') {
    const all = { ...filter, ...times };
    scan = (cursor, limit) =>
      listed(reader.cell.query({ type, ...all, order, limit, ...(cursor === undefined ? {} : { cursor }) }));
    plainCount = async () => (await reader.cell.query({ type: 'run-count', ...all })).count;
  } else {
    const sorted = await sortedRuns(reader, filter, { ...times, timeField, field, order });
    cursorOf = (run) => sortCursor(timeIn(run, field), run.id);
    scan = (cursor, limit) => sortedPage(reader, sorted, type, cursor, limit);
    plainCount = () => Promise.resolve(sorted.length);
  }
  const found = await collect(args, scan, matches);
  const totalCount = async (): Promise<number> => (matches === null ? plainCount() : countMatching(scan, matches));
  return connection(found, (run) => runV2View(reader, run), totalCount, cursorOf);
}

/** The vendor makes a run when its events are together. */
async function listed(page: Promise<Page<RunFacts>>): Promise<Page<RunFacts>> {
  const { items, ...rest } = await page;
  return { ...rest, items: items.filter((run) => !run.open) };
}

interface Sorted {
  id: string;
  /** Time and id: what the list is in order of. */
  key: string;
}

function timeIn(run: RunFacts, field: TimeField): number | null {
  return field === 'QUEUED_AT' ? run.createdAt : field === 'STARTED_AT' ? run.startedAt : run.endedAt;
}

/** What has not begun or ended comes after all that has. */
function sortCursor(ms: number | null, id: string): string {
  return `${String(ms ?? LAST_MS).padStart(16, '0')}_${id}`;
}

async function sortedRuns(
  reader: Reader,
  filter: RunFilter,
  by: { fromMs?: number; toMs?: number; timeField: TimeField; field: TimeField; order: 'asc' | 'desc' },
): Promise<Sorted[]> {
  const sorted: Sorted[] = [];
  // A run is queued before it begins and ends: only the later bound holds for all three times.
  const bounds = by.timeField === 'QUEUED_AT' ? { fromMs: by.fromMs, toMs: by.toMs } : { toMs: by.toMs };
  const given = Object.fromEntries(Object.entries(bounds).filter(([, ms]) => ms !== undefined));
  let cursor: string | undefined;
  do {
    const page: Page<RunFacts> = await reader.cell.query({
      type: 'run-facts',
      ...filter,
      ...given,
      limit: SORT_PAGE,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const run of page.items) {
      const at = timeIn(run, by.timeField);
      const within = at !== null && at >= (by.fromMs ?? 0) && at <= (by.toMs ?? LAST_MS);
      if (within && !run.open) sorted.push({ id: run.id, key: sortCursor(timeIn(run, by.field), run.id) });
    }
    cursor = page.cursor;
  } while (cursor !== undefined && sorted.length < MAX_SORTED);
  const up = by.order === 'asc' ? 1 : -1;
  return sorted.sort((a, b) => (a.key < b.key ? -up : up));
}

async function sortedPage(
  reader: Reader,
  sorted: readonly Sorted[],
  type: 'runs' | 'run-facts',
  cursor: string | undefined,
  limit: number,
): Promise<Page<RunFacts>> {
  const descending = sorted.length > 1 && (sorted[0] as Sorted).key > (sorted[1] as Sorted).key;
  const start = cursor === undefined ? 0 : sorted.findIndex(({ key }) => (descending ? key < cursor : key > cursor));
  if (start === -1) return { items: [] };
  const part = sorted.slice(start, start + limit);
  const runs = await runsOf(
    reader,
    type,
    part.map(({ id }) => id),
  );
  const last = part.at(-1);
  return {
    items: part.flatMap(({ id }) => runs.get(id) ?? []),
    ...(last && start + limit < sorted.length ? { cursor: last.key } : {}),
  };
}

async function runsOf(reader: Reader, type: 'runs' | 'run-facts', ids: string[]): Promise<Map<string, RunFacts>> {
  const found = new Map<string, RunFacts>();
  let cursor: string | undefined;
  do {
    const limit = ids.length;
    const more: Page<RunFacts> = await reader.cell.query({
      type,
      ids,
      limit,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const run of more.items) found.set(run.id, run);
    cursor = more.cursor;
  } while (cursor !== undefined);
  return found;
}

/** What the filter says of a run beyond its columns; null: nothing. */
function runMatcher(
  reader: Reader,
  given: NonNullable<RunsArgs['filter']>,
  conditions: readonly RunCondition[],
): ((run: RunFacts) => Promise<boolean>) | null {
  const wanted = new Set(given.status ?? []);
  // The engine has one status for each of these two.
  const told = [
    ['QUEUED', 'RUNNING'],
    ['SKIPPED', 'CANCELLED'],
  ].some(([a, b]) => wanted.has(a as string) !== wanted.has(b as string));
  const deferred = given.isDeferred ?? null;
  if (!told && conditions.length === 0 && deferred === null) return null;
  return async (run) => {
    if (told && !wanted.has(statusOf(run))) return false;
    if (conditions.length === 0 && deferred === null) return true;
    const events = await originEvents(reader.cell, run);
    if (deferred !== null && (nameIn(events[0] ?? '{}') === DEFERRED_SCHEDULE) !== deferred) return false;
    if (conditions.length === 0) return true;
    const whole = conditions.some(({ ofResult }) => ofResult) ? await reader.whole(run) : null;
    const result = { output: jsonOf(whole?.output ?? null), error: jsonOf(whole?.error ?? null) };
    // Of a batch, one event that fits is enough.
    return (events.length === 0 ? ['{}'] : events).some((text) => {
      const event = JSON.parse(text) as JsonValue;
      return conditions.every(({ condition }) => isTrue(condition, { event, async: result, nowMs: Date.now() }));
    });
  };
}

function jsonOf(payload: Payload | null): JsonValue {
  return payload === null ? null : (JSON.parse(textOf(payload)) as JsonValue);
}

interface RunCondition {
  condition: Expression;
  /** It speaks of what came out of the run. */
  ofResult: boolean;
}

/**
 * A condition a line, all of which must hold (inngest/inngest: pkg/run/cel.go). They may speak of `event`, and of the run's `output` and
 * `error`, which take the place of the arriving event here.
 */
function runConditions(query: string | null | undefined): RunCondition[] {
  return lines(query).map((line) => {
    const own = line
      .split(STRING_LITERAL)
      .map((part, i) => (i % 2 === 1 ? part : part.replaceAll(RESULT_NAME, 'async.$1')))
      .join('');
    return { condition: expressionOf(own, line), ofResult: own !== line };
  });
}

/** Every second part of a split is a text in quotes. */
const STRING_LITERAL = /("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')/;
const RESULT_NAME = /(?<![\w.])(output|error)\b/g;

function lines(query: string | null | undefined): string[] {
  return (query ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

interface EventsArgs {
  first: number;
  after?: string | null;
  filter: {
    eventNames?: string[] | null;
    from?: string | null;
    until?: string | null;
    includeInternalEvents?: boolean | null;
    query?: string | null;
  };
}

export async function listEvents(reader: Reader, args: EventsArgs): Promise<object> {
  const given = args.filter;
  const filter: EventsFilter = {
    ...(given.eventNames?.length ? { names: given.eventNames } : {}),
    ...timesOf(given),
  };
  const conditions = lines(given.query).map((line) => expressionOf(line, line));
  const internal = given.includeInternalEvents === true;
  const matches = (event: EventRecord): boolean =>
    (internal || !event.name.startsWith(INTERNAL_PREFIX)) &&
    conditions.every((one) => isTrue(one, { event: JSON.parse(event.body) as JsonValue, nowMs: Date.now() }));
  const scan = (cursor: string | undefined, limit: number): Promise<Page<EventRecord>> =>
    reader.cell.query({ type: 'events', ...filter, limit, ...(cursor === undefined ? {} : { cursor }) });
  const idOf = (event: EventRecord): string => event.id;
  const found = await collect(args, scan, matches);
  const totalCount = (): Promise<number> =>
    internal && conditions.length === 0 ? countEvents(reader, filter) : countMatching(scan, matches);
  return connection(found, (event) => eventV2View(reader, event), totalCount, idOf);
}

async function countEvents(reader: Reader, filter: EventsFilter): Promise<number> {
  let count = 0;
  let cursor: string | undefined;
  for (let looks = 0; looks < MAX_LOOKS && count < MAX_COUNTED; looks++) {
    const part = await reader.cell.query({
      type: 'event-count',
      ...filter,
      ...(cursor === undefined ? {} : { cursor }),
    });
    count += part.count;
    cursor = part.cursor;
    if (cursor === undefined) break;
  }
  return Math.min(count, MAX_COUNTED);
}

/** How many of a list's first MAX_SCANNED fit. */
async function countMatching<T>(
  scan: (cursor: string | undefined, limit: number) => Promise<Page<T>>,
  matches: (item: T) => boolean | Promise<boolean>,
): Promise<number> {
  let cursor: string | undefined;
  let count = 0;
  for (let scanned = 0, looks = 0; scanned < MAX_SCANNED && looks < MAX_LOOKS; looks++) {
    const page = await scan(cursor, SCAN_PAGE);
    scanned += page.items.length;
    for (const fits of await Promise.all(page.items.map(matches))) if (fits) count++;
    if (page.cursor === undefined) break;
    cursor = page.cursor;
  }
  return count;
}

interface Collected<T> {
  items: T[];
  more: boolean;
  after: string | null;
  /** Where the next page begins, if the bound of one page was reached before it was full. */
  reached?: string;
}

async function collect<T>(
  args: { first: number; after?: string | null },
  scan: (cursor: string | undefined, limit: number) => Promise<Page<T>>,
  matches: ((item: T) => boolean | Promise<boolean>) | null,
): Promise<Collected<T>> {
  const first = Math.min(Math.max(args.first, 1), MAX_FIRST);
  let cursor = args.after ? args.after : undefined;
  const items: T[] = [];
  for (let scanned = 0, looks = 0; scanned < MAX_SCANNED && looks < MAX_LOOKS; looks++) {
    const page = await scan(cursor, matches === null ? first - items.length : SCAN_PAGE);
    for (const item of page.items) {
      scanned++;
      if (matches !== null && !(await matches(item))) continue;
      if (items.length === first) return { items, more: true, after: args.after ?? null };
      items.push(item);
    }
    if (page.cursor === undefined) return { items, more: false, after: args.after ?? null };
    if (items.length === first && matches === null) return { items, more: true, after: args.after ?? null };
    cursor = page.cursor;
  }
  return { items, more: true, after: args.after ?? null, ...(cursor === undefined ? {} : { reached: cursor }) };
}

function connection<T>(
  { items, more, after, reached }: Collected<T>,
  view: (item: T) => object,
  totalCount: () => Promise<number>,
  cursorOf: (item: T) => string,
): object {
  const [first, last] = [items[0], items.at(-1)];
  return {
    edges: items.map((item) => ({ cursor: cursorOf(item), node: view(item) })),
    pageInfo: {
      hasNextPage: more,
      hasPreviousPage: after !== null,
      startCursor: first === undefined ? null : cursorOf(first),
      endCursor: reached ?? (last === undefined ? null : cursorOf(last)),
    },
    totalCount,
  };
}

function timesOf(given: { from?: string | null; until?: string | null }): { fromMs?: number; toMs?: number } {
  return {
    ...(given.from ? { fromMs: timeOf('from', given.from) } : {}),
    ...(given.until ? { toMs: timeOf('until', given.until) } : {}),
  };
}

function timeOf(name: string, text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new Error(`${name} is not a date`);
  return ms;
}

function statuses(given: string[]): RunStatus[] {
  const known = given.flatMap((status): RunStatus[] => {
    if (status === 'QUEUED' || status === 'RUNNING') return ['running'];
    if (status === 'SKIPPED') return ['cancelled'];
    return [status.toLowerCase() as RunStatus];
  });
  return [...new Set(known)];
}

function expressionOf(text: string, shown: string): Expression {
  const compiled = compileExpression(text);
  if (!compiled.ok) throw new Error(`the query "${shown}" cannot be read: ${compiled.error.message}`);
  return compiled.expression;
}
