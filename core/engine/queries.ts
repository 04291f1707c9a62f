import type { RunStatus } from '../model/call.ts';
import { assertNever } from '../model/errors.ts';
import { counterOf } from '../model/limit.ts';
import { MAX_PAGE, MAX_STATES, NEVER_MS, PAGE_BYTES } from '../model/limits.ts';
import type {
  DeadLetterRecord,
  EngineStats,
  Page,
  PendingRecord,
  Query,
  QueryResult,
  RunDetail,
  RunRecord,
} from '../model/query.ts';
import type { EventRecord } from '../model/event.ts';
import type { SweepRecord } from '../model/sweep.ts';
import type { SqlRow, SqlValue } from '../ports.ts';
import type { RunRow } from '../store/run-store.ts';
import { documentOf } from './document.ts';
import { countEvents, listEvents } from './event-lists.ts';
import type { Kernel, RunHandle } from './kernel.ts';
import { leasedCall } from './lease.ts';
import { limitRecord, listLimits } from './limit-queries.ts';
import { listLog } from './log-list.ts';
import { tokenMatch } from './matching.ts';
import { countRuns, DEFAULT_PAGE, listFacts, listRuns, listSummaries, runRecord } from './run-lists.ts';
import { scheduleOf, schedules } from './schedules.ts';
import { shown, sweepOf, SWEEPS } from './sweep.ts';
import { waiters } from './timers.ts';

/** Reads only. Bounded: every list is a page. */
export function answer<Q extends Query>(k: Kernel, query: Q): QueryResult<Q> {
  return dispatch(k, query) as QueryResult<Q>;
}

function dispatch(k: Kernel, query: Query): unknown {
  switch (query.type) {
    case 'run': {
      const row = rowOf(k, query.run);
      return row ? runRecord(k, row) : null;
    }
    case 'run-detail': {
      const row = rowOf(k, query.run);
      return row ? runDetail(k, row) : null;
    }
    case 'document': {
      const row = rowOf(k, query.run);
      return row ? documentOf(k, row.id, query.document) : null;
    }
    case 'documents':
      return query.runs.slice(0, MAX_PAGE).map((run) => documentOf(k, run, query.document)?.data ?? null);
    case 'leased-call': {
      const handle = k.find(query.run);
      const held = handle && [...handle.state.pending.values()].find((pending) => pending.lease === query.lease);
      return handle && held ? leasedCall(k, handle, held.key, query.lease) : null;
    }
    case 'history': {
      const row = rowOf(k, query.run);
      const maxBytes = Math.min(query.maxBytes ?? PAGE_BYTES, PAGE_BYTES);
      return row ? k.runs.historyPage(row.id, query.afterSeq ?? 0, query.limit ?? MAX_PAGE, maxBytes) : [];
    }
    case 'runs':
      return listRuns(k, query);
    case 'run-list':
      return listSummaries(k, query);
    case 'run-facts':
      return listFacts(k, query);
    case 'run-count':
      return countRuns(k, query);
    case 'log':
      return listLog(k, query);
    case 'event-count':
      return countEvents(k, query);
    case 'label-runs': {
      const limit = Math.max(1, Math.min(query.limit ?? MAX_STATES, MAX_STATES));
      const items = k.sql.all<{ id: string; status: RunStatus; reason: string | null; endedAt: number | null }>(
        `SELECT runs.id, status, reason, ended_at AS endedAt FROM labels JOIN runs ON runs.id = labels.run
         WHERE label = ? AND labels.run > ? ORDER BY labels.run LIMIT ?`,
        query.label,
        query.cursor ?? '',
        limit + 1,
      );
      return items.length > limit ? { items: items.slice(0, limit), cursor: items[limit - 1]?.id } : { items };
    }
    case 'label-count':
      return k.sql.all<{ n: number }>(`SELECT count(*) AS n FROM labels WHERE label = ?`, query.label)[0]?.n ?? 0;
    case 'event':
      return k.events.get(query.id);
    case 'events-of':
      return eventsOf(k, query.ids);
    case 'events':
      return listEvents(k, query);
    case 'event-runs':
      return (k.events.get(query.event)?.runs ?? []).flatMap((run) => {
        const row = rowOf(k, run);
        const record = row && runRecord(k, row);
        // One that still collects is made of its events when it has them all.
        return record && !record.open ? [record] : [];
      });
    case 'tasks':
      return k.tasks.list(query.group);
    case 'task':
      return k.tasks.get(query.id);
    case 'schedules':
      return schedules(k, query.prefix ?? '');
    case 'schedule':
      return scheduleOf(k, query.id);
    case 'records':
      return page(
        k,
        query,
        `SELECT id, data, updated_at, expires_at FROM records`,
        [
          ['collection = ?', query.collection],
          ['(expires_at IS NULL OR expires_at > ?)', k.now],
        ],
        (row) => ({
          id: row.id as string,
          data: k.payloads.get(`k:${query.collection}:${row.id}`, row.data as SqlValue) as string,
          updatedAt: row.updated_at as number,
          expiresAt: row.expires_at as number | null,
        }),
      );
    case 'record': {
      const record = k.records.get(query.collection, query.id);
      return record && { id: query.id, ...record };
    }
    case 'sweep':
      return sweepOf(k, query.id);
    case 'sweeps':
      return page(
        k,
        query,
        `SELECT id, data FROM records`,
        [
          ['collection = ?', SWEEPS],
          ['instr(id, ?) = 1', query.prefix ?? ''],
        ],
        (row) =>
          shown(JSON.parse(k.payloads.get(`k:${SWEEPS}:${row.id}`, row.data as SqlValue) as string) as SweepRecord),
      );
    case 'dead-letters':
      return page(k, query, `SELECT id, run, at, data FROM dead_letters`, [], (row) => deadLetter(k, row));
    case 'dead-letter': {
      const row = k.sql.all(`SELECT id, run, at, data FROM dead_letters WHERE id = ?`, query.id)[0];
      return row ? deadLetter(k, row) : null;
    }
    case 'limits':
      return listLimits(k, query.prefix ?? '', query.ready ?? false);
    case 'limit':
      return limitRecord(k, query);
    case 'sub-limit': {
      const counter = counterOf(query);
      return { max: k.limits.rules.subMax(counter) ?? null, held: k.limits.held(counter) };
    }
    case 'pauses':
      return k.limits.rules.pauses();
    case 'waiters':
      return waiters(k, tokenMatch(query.token)).flatMap(({ run, key }) => {
        const handle = k.find(run);
        return handle ? pendingOf(k, handle).filter((pending) => pending.key === key) : [];
      });
    case 'stats':
      return stats(k);
    case 'clock':
      return { nowMs: k.now };
    default:
      return assertNever(query);
  }
}

function rowOf(k: Kernel, idOrAlias: string): RunRow | null {
  const byId = k.sql.all<RunRow>(`SELECT * FROM runs WHERE id = ?`, idOrAlias)[0];
  if (byId) return byId;
  const run = k.names.runOf(`alias:${idOrAlias}`);
  return run === null ? null : (k.sql.all<RunRow>(`SELECT * FROM runs WHERE id = ?`, run)[0] ?? null);
}

function runDetail(k: Kernel, row: RunRow): RunDetail {
  const handle = k.find(row.id);
  return {
    ...runRecord(k, row),
    steps: handle ? [...handle.state.steps] : [],
    pending: handle ? pendingOf(k, handle) : [],
  };
}

function pendingOf(k: Kernel, handle: RunHandle): PendingRecord[] {
  const run = handle.state.head.id;
  return [...handle.state.pending.values()].map((pending) => {
    const push = k.leases.of(run, pending.key);
    const wait = pending.wait;
    return {
      run,
      key: pending.key,
      kind: pending.kind,
      dueAt: pending.dueAt,
      attempt: pending.attempt,
      leased: push !== undefined || pending.lease !== null,
      begun: pending.begun,
      lapses: pending.lapses,
      lease: push?.token ?? pending.lease,
      lane: handle.rows.get(pending.key)?.row.bucket ?? '',
      data: pending.call?.data ?? null,
      meta: pending.meta ?? pending.call?.meta ?? null,
      target:
        wait === null || wait.kind === 'sleep'
          ? null
          : wait.kind === 'event'
            ? wait.name
            : wait.kind === 'run'
              ? wait.run
              : wait.token,
    };
  });
}

function eventsOf(k: Kernel, ids: string[]): { items: EventRecord[]; left: string[] } {
  const items: EventRecord[] = [];
  let bytes = 0;
  for (const [i, id] of ids.entries()) {
    if (i >= MAX_PAGE || bytes > PAGE_BYTES) return { items, left: ids.slice(i) };
    const event = k.events.get(id);
    if (event === null) continue;
    items.push(event);
    bytes += event.body.length;
  }
  return { items, left: [] };
}

/** Keyset pages by id, bounded by rows and bytes. A condition whose value is null has none to bind. */
function page<T extends object>(
  k: Kernel,
  request: { cursor?: string; limit?: number; order?: 'asc' | 'desc' },
  select: string,
  where: Array<[string, SqlValue]>,
  read: (row: SqlRow) => T,
): Page<T> {
  const limit = Math.max(1, Math.min(request.limit ?? DEFAULT_PAGE, MAX_PAGE));
  const ascending = request.order === 'asc';
  const conditions = [...where];
  if (request.cursor !== undefined) conditions.push([ascending ? 'id > ?' : 'id < ?', request.cursor]);
  const text = conditions.length > 0 ? ` WHERE ${conditions.map(([condition]) => condition).join(' AND ')}` : '';
  const rows = k.sql.all(
    `${select}${text} ORDER BY id ${ascending ? 'ASC' : 'DESC'} LIMIT ${limit + 1}`,
    ...conditions.map(([, value]) => value).filter((value) => value !== null),
  );
  const items: T[] = [];
  let bytes = 0;
  for (const row of rows.slice(0, limit)) {
    const item = read(row);
    bytes += sizeOf(item);
    if (items.length > 0 && bytes > PAGE_BYTES) break;
    items.push(item);
  }
  return rows.length > items.length ? { items, cursor: rows[items.length - 1]?.id as string } : { items };
}

/** The long texts of an item: a payload stands in a field of its own or in the run's record. */
function sizeOf(item: object): number {
  let size = 0;
  for (const value of Object.values(item) as unknown[]) {
    if (typeof value === 'string' || value instanceof Uint8Array) size += value.length;
    else if (typeof value === 'object' && value !== null && !Array.isArray(value)) size += sizeOf(value);
  }
  return size;
}

function deadLetter(k: Kernel, row: SqlRow): DeadLetterRecord & { record: RunRecord | null } {
  const run = rowOf(k, row.run as string);
  return {
    id: row.id as string,
    run: row.run as string,
    at: row.at as number,
    data: k.payloads.get(`d:${row.id}`, row.data as SqlValue) as string,
    record: run ? runRecord(k, run) : null,
  };
}

function stats(k: Kernel): EngineStats {
  return {
    nowMs: k.now,
    inFlight: k.leases.size,
    maxInFlight: k.maxInFlight,
    ready: k.ready.size,
    nextDueAt: k.nextDue >= NEVER_MS ? null : k.nextDue,
    rowsWritten: k.sql.rowsWritten(),
  };
}
