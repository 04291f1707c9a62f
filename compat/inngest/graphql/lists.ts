import { compileExpression, isTrue } from '../../../core/events/expression/index.ts';
import type { Expression, JsonValue } from '../../../core/events/expression/index.ts';
import type { RunStatus } from '../../../core/model/call.ts';
import type { EventRecord } from '../../../core/model/event.ts';
import type { EventsFilter, Page, RunRecord, RunFilter } from '../../../core/model/query.ts';
import { INTERNAL_PREFIX, taskIdOf } from '../names.ts';
import { originEvents } from '../read.ts';
import { textOf } from '../events.ts';
import { eventV2View, runV2View } from './views.ts';
import type { Reader } from './views.ts';

const MAX_FIRST = 400;
/** Items that a list with a condition on their content looks at for one page. */
const MAX_SCANNED = 2_000;
const SCAN_PAGE = 100;

interface RunsArgs {
  first: number;
  after?: string | null;
  orderBy?: Array<{ field: string; direction: 'ASC' | 'DESC' }> | null;
  filter?: {
    from?: string | null;
    until?: string | null;
    status?: string[] | null;
    functionIDs?: string[] | null;
    appIDs?: string[] | null;
    query?: string | null;
  } | null;
}

/** Runs are listed by the time they were made, which is the order of their ids: `orderBy` chooses its direction. */
export async function listRuns(reader: Reader, args: RunsArgs): Promise<object> {
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
    ...timesOf(given),
  };
  const queued = given.status?.length === 1 && given.status[0] === 'QUEUED';
  const condition = expressionOf(given.query);
  const matches = async (run: RunRecord): Promise<boolean> => {
    if (queued && run.startedAt !== null) return false;
    if (condition === null) return true;
    const [event] = await originEvents(reader.cell, run);
    const output = run.output === null ? null : (JSON.parse(textOf(run.output)) as JsonValue);
    const holds = isTrue(condition, { event: JSON.parse(event ?? '{}') as JsonValue, nowMs: Date.now() });
    return holds || (output !== null && given.query?.includes('output') === true && outputHolds(given.query, output));
  };
  const order = args.orderBy?.[0]?.direction === 'ASC' ? ('asc' as const) : ('desc' as const);
  const scan = (cursor: string | undefined, limit: number): Promise<Page<RunRecord>> =>
    listed(reader.cell.query({ type: 'runs', ...filter, order, limit, ...(cursor === undefined ? {} : { cursor }) }));
  const plain = condition === null && !queued;
  const found = await collect(args, scan, plain ? null : matches);
  const totalCount = async (): Promise<number> => (await reader.cell.query({ type: 'run-count', ...filter })).count;
  return connection(found, (run) => runV2View(reader, run), totalCount);
}

/** The vendor makes a run when its events are together. */
async function listed(page: Promise<Page<RunRecord>>): Promise<Page<RunRecord>> {
  const { items, ...rest } = await page;
  return { ...rest, items: items.filter((run) => !run.open) };
}

/** The vendor's runs query may also speak of `output`; it takes the place of the event. */
function outputHolds(query: string, output: JsonValue): boolean {
  const compiled = compileExpression(query.replaceAll(/\boutput\b/g, 'event'));
  return compiled.ok && isTrue(compiled.expression, { event: output, nowMs: Date.now() });
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
  const condition = expressionOf(given.query);
  const internal = given.includeInternalEvents === true;
  const matches = (event: EventRecord): boolean =>
    (internal || !event.name.startsWith(INTERNAL_PREFIX)) &&
    (condition === null || isTrue(condition, { event: JSON.parse(event.body) as JsonValue, nowMs: Date.now() }));
  const scan = (cursor: string | undefined, limit: number): Promise<Page<EventRecord>> =>
    reader.cell.query({ type: 'events', ...filter, limit, ...(cursor === undefined ? {} : { cursor }) });
  const found = await collect(args, scan, matches);
  const totalCount = async (): Promise<number> => (await reader.cell.query({ type: 'event-count', ...filter })).count;
  return connection(found, (event) => eventV2View(reader, event), totalCount);
}

interface Collected<T> {
  items: T[];
  more: boolean;
  after: string | null;
}

async function collect<T extends { id: string }>(
  args: { first: number; after?: string | null },
  scan: (cursor: string | undefined, limit: number) => Promise<Page<T>>,
  matches: ((item: T) => boolean | Promise<boolean>) | null,
): Promise<Collected<T>> {
  const first = Math.min(Math.max(args.first, 1), MAX_FIRST);
  let cursor = args.after ? args.after : undefined;
  const items: T[] = [];
  for (let scanned = 0; scanned < MAX_SCANNED;) {
    const page = await scan(cursor, matches === null ? first : SCAN_PAGE);
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
  return { items, more: true, after: args.after ?? null };
}

function connection<T extends { id: string }>(
  { items, more, after }: Collected<T>,
  view: (item: T) => object,
  totalCount: () => Promise<number>,
): object {
  return {
    edges: items.map((item) => ({ cursor: item.id, node: view(item) })),
    pageInfo: {
      hasNextPage: more,
      hasPreviousPage: after !== null,
      startCursor: items[0]?.id ?? null,
      endCursor: items.at(-1)?.id ?? null,
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

function expressionOf(query: string | null | undefined): Expression | null {
  if (!query) return null;
  const compiled = compileExpression(query);
  if (!compiled.ok) throw new Error(`the query "${query}" cannot be read: ${compiled.error.message}`);
  return compiled.expression;
}
