import { RETENTION_BATCH, RETENTION_EVERY_MS } from '../model/limits.ts';
import type { SqlRow } from '../ports.ts';
import type { EventRow } from '../store/event-store.ts';
import type { RunRow } from '../store/run-store.ts';
import { dropDocuments } from './document.ts';
import type { Kernel } from './kernel.ts';
import { putTimer } from './timers.ts';

export const RETENTION_OWNER = '$retention';

/** Cursor behind every id. */
const PASSED_ALL = '\uffff';

/** Keeps one timer for the whole cell; called at start. */
export function armRetention(k: Kernel): void {
  const armed = k.sql.all(`SELECT 1 AS x FROM pending WHERE owner = ? AND key = ''`, RETENTION_OWNER).length > 0;
  if (!armed) putTimer(k, RETENTION_OWNER, '', 'retention', k.now + RETENTION_EVERY_MS);
}

/**
 * Deletes a batch of what is older than its retention: the task's, else the cell's. Runs that have not ended stay, with their events, and a
 * failed one stays as long as its dead letter may.
 */
export function collectGarbage(k: Kernel, rearm: boolean): void {
  const before = k.now - k.retentionMs;
  const cursor = k.meta.get('retention-cursor') ?? '';
  const rows = k.sql.all<RunRow>(`SELECT * FROM runs WHERE id > ? ORDER BY id LIMIT ?`, cursor, RETENTION_BATCH);
  const youngest = k.now - shortest(k);
  const old = rows.filter((row) => row.created_at < youngest);
  for (const row of old) {
    if (row.ended_at === null || row.ended_at >= k.now - keptMs(k, row.task, row.status === 'failed')) continue;
    k.forget(row.id);
    dropDocuments(k, row.id);
    k.runs.deleteRun(row);
  }
  const eventCursor = k.meta.get('retention-event-cursor') ?? '';
  const events = k.sql.all<EventRow>(
    `SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?`,
    eventCursor,
    RETENTION_BATCH,
  );
  const oldEvents = events.filter((event) => event.received_at < before);
  for (const event of oldEvents)
    if (!(event.runs ?? '').split(',').some((run) => run !== '' && k.find(run))) k.events.delete(event);
  const walks = WALKS.map((walk) => ({ walk, at: step(k, walk, youngest) }));
  const lines = dropLogLines(k);
  const moreRuns = old.length === RETENTION_BATCH;
  const moreEvents = oldEvents.length === RETENTION_BATCH;
  const more = lines || moreRuns || moreEvents || walks.some(({ at }) => at !== null);
  // What has to stay is passed over and looked at again in the next round, from the start; who is done first waits for the others.
  k.meta.set('retention-cursor', moreRuns ? (old.at(-1)?.id ?? '') : more ? PASSED_ALL : '');
  k.meta.set('retention-event-cursor', moreEvents ? (oldEvents.at(-1)?.id ?? '') : more ? PASSED_ALL : '');
  for (const { walk, at } of walks) {
    const cursor = at ?? (more ? JSON.stringify(walk.key.map(() => PASSED_ALL)) : '');
    if (cursor !== (k.meta.get(cursorName(walk)) ?? '')) k.meta.set(cursorName(walk), cursor);
  }
  if (rearm) putTimer(k, RETENTION_OWNER, '', 'retention', more ? k.now + 1 : k.now + RETENTION_EVERY_MS);
}

function runMs(k: Kernel, task: string): number {
  return k.tasks.get(task)?.retention?.runMs ?? k.retentionMs;
}

function letterMs(k: Kernel, task: string): number {
  return k.tasks.get(task)?.retention?.deadLetterMs ?? k.retentionMs;
}

function keptMs(k: Kernel, task: string, failed: boolean): number {
  return failed ? Math.max(runMs(k, task), letterMs(k, task)) : runMs(k, task);
}

/** Nothing younger than this is old for any task. */
function shortest(k: Kernel): number {
  return k.tasks.list().reduce((least, { id }) => Math.min(least, runMs(k, id), letterMs(k, id)), k.retentionMs);
}

/**
 * A table whose rows do not grow old in the order of their keys. It is walked whole, a batch at a time: that reads each row once a round, where an
 * index would be one more row written for each.
 */
interface Walk {
  table: string;
  key: readonly string[];
  columns: string;
  /** Deletes the row if it is old; nothing from `youngest` on is. */
  look(k: Kernel, row: SqlRow, youngest: number): void;
}

const WALKS: readonly Walk[] = [
  {
    table: 'names',
    key: ['key'],
    columns: 'until',
    look(k, { key, until }) {
      if (Number(until) <= k.now) k.sql.run(`DELETE FROM names WHERE key = ?`, String(key));
    },
  },
  {
    table: 'records',
    key: ['collection', 'id'],
    columns: 'expires_at',
    look(k, { collection, id, expires_at: expiresAt }) {
      if (expiresAt !== null && Number(expiresAt) <= k.now) k.records.delete(String(collection), String(id));
    },
  },
  {
    table: 'dead_letters',
    key: ['id'],
    columns: 'run, at',
    look(k, { id, run, at }, youngest) {
      if (Number(at) < youngest && Number(at) < k.now - keptLetterMs(k, String(run))) k.deadLetters.delete(String(id));
    },
  },
  {
    table: 'rates',
    key: ['counter'],
    columns: 'idle_at',
    look(k, { counter, idle_at: idleAt }) {
      if (Number(idleAt) <= k.now) k.limits.rates.drop(String(counter));
    },
  },
];

function cursorName({ table }: Walk): string {
  return `retention-cursor:${table}`;
}

/** Looks at the next batch. Returns where it ended, or null at the end of the table. */
function step(k: Kernel, walk: Walk, youngest: number): string | null {
  const { table, key, columns } = walk;
  const cursor = k.meta.get(cursorName(walk));
  const after = cursor ? (JSON.parse(cursor) as string[]) : key.map(() => '');
  const names = key.join(', ');
  const rows = k.sql.all(
    `SELECT ${names}, ${columns} FROM ${table} WHERE (${names}) > (${key.map(() => '?').join(', ')}) ORDER BY ${names} LIMIT ?`,
    ...after,
    RETENTION_BATCH,
  );
  for (const row of rows) walk.look(k, row, youngest);
  const last = rows.at(-1);
  return last && rows.length === RETENTION_BATCH ? JSON.stringify(key.map((name) => last[name])) : null;
}

/** Without its run a letter is of no use to anyone. */
function keptLetterMs(k: Kernel, run: string): number {
  const task = k.sql.all<{ task: string }>(`SELECT task FROM runs WHERE id = ?`, run)[0]?.task;
  return task === undefined ? shortest(k) : letterMs(k, task);
}

/** A log's lines go with the runs that they are of: those are ended by then, or the line is older than any that is shown. True: there are more. */
function dropLogLines(k: Kernel): boolean {
  let more = false;
  for (let log = nextLog(k, ''); log !== null; log = nextLog(k, log)) {
    const keepMs = k.tasks
      .list()
      .filter((task) => task.log === log)
      .reduce((most, { id }) => Math.max(most, runMs(k, id)), 0);
    const lines = k.sql.all<{ at: number; run: string; seq: number }>(
      `SELECT at, run, seq FROM log WHERE name = ? AND at < ? ORDER BY at, run, seq LIMIT ?`,
      log,
      k.now - (keepMs || k.retentionMs),
      RETENTION_BATCH,
    );
    const last = lines.at(-1);
    if (last)
      k.sql.run(`DELETE FROM log WHERE name = ? AND (at, run, seq) <= (?, ?, ?)`, log, last.at, last.run, last.seq);
    more ||= lines.length === RETENTION_BATCH;
  }
  return more;
}

function nextLog(k: Kernel, after: string): string | null {
  return k.sql.all<{ name: string | null }>(`SELECT min(name) AS name FROM log WHERE name > ?`, after)[0]?.name ?? null;
}
