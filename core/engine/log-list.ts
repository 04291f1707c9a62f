import type { HistoryEntry } from '../model/history.ts';
import { MAX_EXAMINED, MAX_PAGE, PAGE_BYTES } from '../model/limits.ts';
import type { ActiveCall, LogItem, Query, QueryResult } from '../model/query.ts';
import type { SqlValue } from '../ports.ts';
import type { Kernel } from './kernel.ts';
import { DEFAULT_PAGE, summariesOf } from './run-lists.ts';

type LogQuery = Extract<Query, { type: 'log' }>;

interface Line extends Record<string, SqlValue> {
  at: number;
  run: string;
  seq: number;
}

const CHUNK = 200;

/** Lines of a log by time, keyset by (time, run, entry). Lines of runs that are not kept any more are passed over. */
export function listLog(k: Kernel, query: LogQuery): QueryResult<LogQuery> {
  const limit = Math.max(1, Math.min(query.limit ?? DEFAULT_PAGE, MAX_PAGE));
  const maxBytes = Math.min(query.maxBytes ?? PAGE_BYTES, PAGE_BYTES);
  const result: QueryResult<LogQuery> = {
    items: [],
    runs: {},
    active: query.cursor === undefined ? active(k, query) : [],
  };
  let bytes = 0;
  const know = (ids: Iterable<string>): void => {
    const unknown = [...new Set(ids)].filter((id) => !(id in result.runs));
    if (unknown.length === 0) return;
    for (const run of summariesOf(k, unknown)) {
      const input = query.inputs ? inputOf(k, run.id) : null;
      bytes += (input?.length ?? 0) + (run.meta?.length ?? 0);
      result.runs[run.id] = { ...run, input };
    }
  };
  know(result.active.map(({ run }) => run));
  let after = readCursor(query.cursor);
  let examined = 0;
  for (;;) {
    const lines = nextLines(
      k,
      query,
      after,
      query.inclusive === true && examined === 0,
      Math.min(CHUNK, limit - result.items.length + 1),
    );
    for (const line of lines) {
      if (result.items.length === limit || (result.items.length > 0 && bytes > maxBytes))
        return { ...result, cursor: cursorOf(after as Line) };
      know([line.run]);
      after = line;
      examined++;
      const entry = line.seq === 0 ? null : entryOf(k, line);
      if (!(line.run in result.runs) || entry === undefined) continue;
      bytes += entry?.data?.length ?? 0;
      result.items.push({
        atMs: line.at,
        run: line.run,
        seq: line.seq,
        entry,
        cursor: cursorOf(line),
      } satisfies LogItem);
    }
    if (lines.length === 0) return result;
    if (examined >= MAX_EXAMINED) return { ...result, cursor: cursorOf(after as Line) };
  }
}

function nextLines(k: Kernel, query: LogQuery, after: Line | null, inclusive: boolean, count: number): Line[] {
  const ascending = query.order === 'asc';
  const conditions = ['name = ?'];
  const values: SqlValue[] = [query.log];
  if (after) {
    conditions.push(`(at, run, seq) ${ascending ? '>' : '<'}${inclusive ? '=' : ''} (?, ?, ?)`);
    values.push(after.at, after.run, after.seq);
  }
  const need = (condition: string, value: SqlValue | undefined): void => {
    if (value === undefined) return;
    conditions.push(condition);
    values.push(value);
  };
  need('at >= ?', query.fromMs);
  need('at <= ?', query.toMs);
  for (const label of query.labels ?? [])
    need('EXISTS (SELECT 1 FROM labels WHERE label = ? AND run = log.run)', label);
  const direction = ascending ? 'ASC' : 'DESC';
  return k.sql.all<Line>(
    `SELECT at, run, seq FROM log WHERE ${conditions.join(' AND ')} ORDER BY at ${direction}, run ${direction}, seq ${direction} LIMIT ${count}`,
    ...values,
  );
}

function entryOf(k: Kernel, line: Line): HistoryEntry | undefined {
  return k.runs.history(line.run, line.seq - 1, 1)[0];
}

function inputOf(k: Kernel, run: string): string | Uint8Array | null {
  const row = k.sql.all<{ id: string; input: SqlValue }>(`SELECT id, input FROM runs WHERE id = ?`, run)[0];
  return row ? k.runs.inputOf(row) : null;
}

function active(k: Kernel, query: LogQuery): ActiveCall[] {
  return [...k.leases.all()]
    .filter(({ run }) => {
      const head = k.find(run)?.state.head;
      if (!head || k.tasks.get(head.task)?.log !== query.log) return false;
      return (query.labels ?? []).every((label) => head.labels.includes(label));
    })
    .map(({ run, key, attempt, takenAt }) => ({ run, key, attempt, sinceMs: takenAt }));
}

function cursorOf({ at, run, seq }: Line): string {
  return `${at}.${run}.${seq}`;
}

/** A cursor of another form begins at the start. */
function readCursor(cursor: string | undefined): Line | null {
  const [, at, run, seq] = /^(\d{1,16})\.([^.]{1,64})\.(\d{1,9})$/.exec(cursor ?? '') ?? [];
  return at === undefined ? null : { at: Number(at), run: run as string, seq: Number(seq) };
}
