import type { RunState } from '../history/state.ts';
import type { RunStatus } from '../model/call.ts';
import { MAX_EXAMINED, MAX_PAGE, PAGE_BYTES } from '../model/limits.ts';
import type { Page, Query, RunFacts, RunFilter, RunRecord, RunSummary } from '../model/query.ts';
import type { SqlValue } from '../ports.ts';
import { IDLE_INDEX, type RunFactsRow, type RunRow, statusIndex, taskIndex } from '../store/run-store.ts';
import type { Kernel } from './kernel.ts';

export const DEFAULT_PAGE = 50;
/** Candidates taken from an index at once, at most: a page's worth at first, then twice as many each time. */
const CHUNK = 500;
/** A run is seldom busy with more; of more, the rest is not looked at for a list. */
const PENDING_SHOWN = 64;
/** The entry that says since when a run goes on is the first after its first call; only labels and the like stand before it. */
const BEGUN_WITHIN = 16;

const FACTS = `id, alias, task, version, status, reason, created_at, started_at, ended_at, seq, parent, head, meta`;
/** All but the input, whose size is enough. */
const COLUMNS = `${FACTS}, ${bytes('input', `'r:' || id`)} AS input_bytes`;

type LiveFacts = Pick<RunState, 'seq' | 'startedAt' | 'cancelling' | 'version' | 'locked' | 'parked'>;

interface SummaryRow extends RunFactsRow {
  input_bytes: number;
}

interface Sized<T> {
  item: T;
  bytes: number;
}

/** Size of a payload column (store/payloads.ts): itself, or the chunks of its owner. */
function bytes(column: string, owner: string): string {
  return `CASE typeof(${column}) WHEN 'null' THEN 0 WHEN 'text' THEN length(CAST(${column} AS BLOB)) WHEN 'blob' THEN length(${column}) ELSE (SELECT coalesce(sum(length(CAST(data AS BLOB))), 0) FROM chunks WHERE owner = ${owner}) END`;
}

export function listSummaries(k: Kernel, query: Extract<Query, { type: 'run-list' }>): Page<RunSummary> {
  const read = (row: SummaryRow): Sized<RunSummary> => ({ item: summaryOf(k, row), bytes: 0 });
  return walk(k, query, COLUMNS, read, Number.POSITIVE_INFINITY);
}

export function listFacts(k: Kernel, query: Extract<Query, { type: 'run-facts' }>): Page<RunFacts> {
  const read = (row: RunFactsRow): Sized<RunFacts> => ({ item: factsOf(k, row, outcomeMetaOf(k, row)), bytes: 0 });
  return walk(k, query, FACTS, read, Number.POSITIVE_INFINITY);
}

export function listRuns(k: Kernel, query: Extract<Query, { type: 'runs' }>): Page<RunRecord> {
  const maxBytes = Math.min(query.maxBytes ?? PAGE_BYTES, PAGE_BYTES);
  return walk(
    k,
    query,
    FACTS,
    (row: RunFactsRow) => {
      const { input } = k.sql.all<{ input: SqlValue }>(`SELECT input FROM runs WHERE id = ?`, row.id)[0] ?? {};
      const item = runRecord(k, { ...row, input: input ?? null });
      return { item, bytes: (item.input?.length ?? 0) + (item.output?.length ?? 0) + (item.error?.length ?? 0) };
    },
    maxBytes,
  );
}

export function countRuns(k: Kernel, query: Extract<Query, { type: 'run-count' }>): { count: number; more: boolean } {
  const max = Math.max(1, Math.min(query.max ?? MAX_PAGE, MAX_PAGE));
  const matches = matcher(k, query);
  let count = 0;
  let examined = 0;
  for (const { ids: chunk, isLast } of candidates(k, query, undefined, false, CHUNK)) {
    count += matches('id', chunk).length;
    examined += chunk.length;
    if (count > max) return { count: max, more: true };
    if (examined >= MAX_EXAMINED && !isLast) return { count, more: true };
  }
  return { count, more: false };
}

/** Keyset pages by id: candidates from the best index, filtered, until the page is full or one of its bounds is reached. */
function walk<T, R extends RunFactsRow>(
  k: Kernel,
  query: RunFilter & { cursor?: string; limit?: number; order?: 'asc' | 'desc' },
  columns: string,
  read: (row: R) => Sized<T>,
  maxBytes: number,
): Page<T> {
  const limit = Math.max(1, Math.min(query.limit ?? DEFAULT_PAGE, MAX_PAGE));
  const ascending = query.order === 'asc';
  const matches = matcher(k, query);
  const items: T[] = [];
  let total = 0;
  let examined = 0;
  let last: string | undefined;
  for (const { ids: chunk, isLast } of candidates(k, query, query.cursor, ascending, limit + 1)) {
    const rows = matches(columns, chunk) as R[];
    rows.sort((a, b) => (a.id < b.id === ascending ? -1 : 1));
    for (const row of rows) {
      if (items.length === limit) return { items, cursor: last };
      const { item, bytes } = read(row);
      if (items.length > 0 && total + bytes > maxBytes) return { items, cursor: last };
      items.push(item);
      total += bytes;
      last = row.id;
    }
    examined += chunk.length;
    last = chunk.at(-1) as string;
    if (isLast) break;
    if (examined >= MAX_EXAMINED) return { items, cursor: last };
  }
  return { items };
}

/** Rows of these ids that pass what the filter says. */
function matcher(k: Kernel, filter: RunFilter): (columns: string, ids: string[]) => Array<{ id: string }> {
  const conditions: string[] = [];
  const values: SqlValue[] = [];
  const need = (condition: string, ...bound: SqlValue[]): void => {
    conditions.push(condition);
    values.push(...bound);
  };
  if (filter.task !== undefined) need('task = ?', filter.task);
  if (filter.tasks !== undefined) need('task IN (SELECT value FROM json_each(?))', JSON.stringify(filter.tasks));
  if (filter.taskPrefix !== undefined) need('substr(task, 1, length(?)) = ?', filter.taskPrefix, filter.taskPrefix);
  const statuses = statusesOf(filter);
  if (statuses) need('status IN (SELECT value FROM json_each(?))', JSON.stringify(statuses));
  if (filter.parent !== undefined) need('parent = ?', filter.parent);
  for (const label of labelsOf(filter)) need('EXISTS (SELECT 1 FROM labels WHERE label = ? AND run = runs.id)', label);
  if (filter.anyLabels !== undefined)
    need(
      'EXISTS (SELECT 1 FROM labels WHERE run = runs.id AND label IN (SELECT value FROM json_each(?)))',
      JSON.stringify(filter.anyLabels),
    );
  if (filter.fromMs !== undefined) need('created_at >= ?', filter.fromMs);
  if (filter.toMs !== undefined) need('created_at <= ?', filter.toMs);
  const where = conditions.map((condition) => ` AND ${condition}`).join('');
  return (columns, ids) =>
    k.sql.all<{ id: string }>(
      `SELECT ${columns} FROM runs WHERE id IN (SELECT value FROM json_each(?))${where}`,
      JSON.stringify(ids),
      ...values,
    );
}

function labelsOf(filter: RunFilter): string[] {
  return [...(filter.label === undefined ? [] : [filter.label]), ...(filter.labels ?? [])];
}

function statusesOf({ status }: RunFilter): RunStatus[] | null {
  return status === undefined ? null : typeof status === 'string' ? [status] : status;
}

/** Ids in order, a chunk at a time; a chunk that is not full is the last. */
function* candidates(
  k: Kernel,
  filter: RunFilter,
  cursor: string | undefined,
  ascending: boolean,
  first: number,
): Generator<{ ids: string[]; isLast: boolean }> {
  const sources = sourcesOf(k, filter);
  let after = cursor;
  for (let size = Math.min(first, CHUNK); ; size = Math.min(size * 2, CHUNK)) {
    const merged = new Set<string>();
    for (const source of sources) for (const { id } of source(k, after, ascending, size)) merged.add(id);
    const ids = [...merged].sort((a, b) => (a < b === ascending ? -1 : 1)).slice(0, size);
    const isLast = ids.length < size;
    if (ids.length > 0) yield { ids, isLast };
    if (isLast) return;
    after = ids.at(-1);
  }
}

/** The next ids of one index. */
type Source = (k: Kernel, after: string | undefined, ascending: boolean, size: number) => Array<{ id: string }>;

function sourcesOf(k: Kernel, filter: RunFilter): Source[] {
  if (filter.ids !== undefined) return [named(filter.ids.slice(0, MAX_PAGE))];
  if (filter.parent !== undefined) return [column('runs', 'id', 'parent = ?', filter.parent)];
  const [label] = labelsOf(filter);
  if (label !== undefined) return [labelled(label)];
  if (filter.anyLabels !== undefined) return filter.anyLabels.map(labelled);
  const statuses = statusesOf(filter);
  if (statuses?.length === 1 && statuses[0] === 'running') return [unended, labelled(IDLE_INDEX)];
  const tasks = filter.tasks ?? (filter.task === undefined ? null : [filter.task]);
  const indexes = (kind: 'task' | 'status'): boolean =>
    tasks?.every((task) => k.tasks.get(task)?.index?.includes(kind)) ?? false;
  if (tasks && statuses && !statuses.includes('running') && indexes('status'))
    return tasks.flatMap((task) => statuses.map((status) => labelled(statusIndex(status, task))));
  if (tasks && indexes('task')) return tasks.map((task) => labelled(taskIndex(task)));
  return [column('runs', 'id')];
}

/** Ids that nobody has are left out when their rows are read. */
function named(ids: string[]): Source {
  return (_, after, ascending, size) =>
    [...new Set(ids)]
      .filter((id) => after === undefined || (ascending ? id > after : id < after))
      .sort((a, b) => (a < b === ascending ? -1 : 1))
      .slice(0, size)
      .map((id) => ({ id }));
}

function labelled(label: string): Source {
  return column('labels', 'run', 'label = ?', label);
}

/** Owners of what is pending; those that begin otherwise than a run's id are timers of other kinds. */
const unended: Source = column('pending', 'owner', `owner >= '0' AND owner < '8'`, null, true);

function column(
  table: string,
  name: string,
  condition?: string,
  value: string | null = null,
  distinct = false,
): Source {
  return (k, after, ascending, size) => {
    const conditions = [condition, after === undefined ? undefined : `${name} ${ascending ? '>' : '<'} ?`].filter(
      (text) => text !== undefined,
    );
    const bound = [value, after].filter((one): one is string => one !== null && one !== undefined);
    return k.sql.all<{ id: string }>(
      `SELECT ${distinct ? 'DISTINCT ' : ''}${name} AS id FROM ${table}${conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : ''} ORDER BY ${name} ${ascending ? 'ASC' : 'DESC'} LIMIT ${size}`,
      ...bound,
    );
  };
}

export function runRecord(k: Kernel, row: RunRow): RunRecord {
  const ended = row.ended_at !== null;
  const last = ended ? k.runs.history(row.id, row.seq - 1, 1)[0] : undefined;
  return {
    ...factsOf(k, row, last?.body.kind === 'end' ? (last.body.meta ?? null) : null),
    input: k.runs.inputOf(row),
    output: row.status === 'completed' ? (last?.data ?? null) : null,
    error: ended && row.status !== 'completed' ? (last?.data ?? null) : null,
  };
}

/** Summaries of runs by id; those that are not kept any more are left out. */
export function summariesOf(k: Kernel, runs: Iterable<string>): RunSummary[] {
  return k.sql
    .all<SummaryRow>(
      `SELECT ${COLUMNS} FROM runs WHERE id IN (SELECT value FROM json_each(?))`,
      JSON.stringify([...runs]),
    )
    .map((row) => summaryOf(k, row));
}

function summaryOf(k: Kernel, row: SummaryRow): RunSummary {
  const end =
    row.ended_at === null
      ? undefined
      : k.sql.all<{ meta: string | null; bytes: number }>(
          `SELECT json_extract(body, '$.meta') AS meta, ${bytes('data', `'h:' || run || ':' || seq`)} AS bytes FROM history WHERE run = ? AND seq = ?`,
          row.id,
          row.seq,
        )[0];
  return {
    ...factsOf(k, row, end?.meta ?? null),
    inputBytes: row.input_bytes,
    outputBytes: end?.bytes ?? 0,
    ...(row.ended_at === null ? busyOf(k, row) : { dueAt: null, attempt: 0, leased: false }),
  };
}

function outcomeMetaOf(k: Kernel, row: RunFactsRow): string | null {
  if (row.ended_at === null) return null;
  return (
    k.sql.all<{ meta: string | null }>(
      `SELECT json_extract(body, '$.meta') AS meta FROM history WHERE run = ? AND seq = ?`,
      row.id,
      row.seq,
    )[0]?.meta ?? null
  );
}

function factsOf(k: Kernel, row: RunFactsRow, outcomeMeta: string | null): RunFacts {
  const head = k.runs.headOf(row);
  // What a worker's lease may have changed is only in the history.
  const bound = head.pool !== null || head.parked === true || k.tasks.get(head.task)?.binding === 'lease';
  const live = row.ended_at === null ? liveOf(k, row, bound) : null;
  return {
    id: row.id,
    alias: row.alias,
    task: row.task,
    taskVersion: live?.version ?? row.version,
    versionLocked: live?.locked ?? head.locked ?? row.started_at !== null,
    taskData: k.tasks.at(row.task, live?.version ?? row.version)?.data ?? null,
    parked: live?.parked ?? false,
    status: row.status as RunStatus,
    reason: row.reason,
    createdAt: row.created_at,
    startedAt: row.started_at ?? live?.startedAt ?? null,
    endedAt: row.ended_at,
    // What came after its end is not in its row.
    seq: live?.seq ?? k.runs.newestSeq(row.id),
    startDueAt: head.dueAt,
    open: row.ended_at === null && head.window !== null,
    outcomeMeta,
    cancelling: live?.cancelling ?? false,
    meta: row.meta,
    eventIds: head.eventIds,
    labels: head.labels,
    parent: head.parent,
    scheduledAt: head.scheduledAt,
    from: head.from ?? null,
  };
}

/**
 * What a running run's row does not say. From memory where it is there; a run that is not is read, but for its payloads where that is
 * possible, and not kept: lists do not push out those at work.
 */
function liveOf(k: Kernel, row: RunFactsRow, bound: boolean): LiveFacts {
  const state = k.peek(row.id)?.state ?? (bound ? k.runs.load(row.id) : null);
  if (state) return state;
  const [facts] = k.sql.all<{ seq: number | null; begun: number | null }>(
    `SELECT max(seq) AS seq, (SELECT min(json_extract(body, '$.begunAt')) FROM history WHERE run = ? AND seq <= ${BEGUN_WITHIN}) AS begun FROM history WHERE run = ?`,
    row.id,
    row.id,
  );
  return {
    seq: facts?.seq ?? 0,
    startedAt: facts?.begun ?? null,
    cancelling: false,
    version: row.version,
    locked: false,
    parked: false,
  };
}

function busyOf(k: Kernel, row: SummaryRow): Pick<RunSummary, 'dueAt' | 'attempt' | 'leased'> {
  const rows = k.sql.all<{ key: string; bucket: string; due: number; attempt: number; lease: string | null }>(
    `SELECT key, bucket, due, attempt, lease FROM pending WHERE owner = ? LIMIT ${PENDING_SHOWN}`,
    row.id,
  );
  let dueAt: number | null = null;
  for (const { bucket, due } of rows) {
    // In a bucket the due time is a position, moved by priorities; whoever is there is due.
    const at = bucket === '' ? due : Math.max(row.created_at, Math.min(due, k.now));
    dueAt = dueAt === null ? at : Math.min(dueAt, at);
  }
  return {
    dueAt,
    attempt: rows.reduce((most, { attempt }) => Math.max(most, attempt), 0),
    leased: rows.some(({ key, lease }) => lease !== null || k.leases.of(row.id, key) !== undefined),
  };
}
