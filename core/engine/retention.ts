import { RETENTION_BATCH, RETENTION_EVERY_MS } from '../model/limits.ts';
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
  k.sql.run(`DELETE FROM names WHERE until <= ?`, k.now);
  const expired = k.sql.all<{ collection: string; id: string }>(
    `SELECT collection, id FROM records WHERE expires_at IS NOT NULL AND expires_at <= ? LIMIT ?`,
    k.now,
    RETENTION_BATCH,
  );
  for (const { collection, id } of expired) k.records.delete(collection, id);
  const letters = oldLetters(k);
  for (const letter of letters) k.deadLetters.delete(letter);
  const lines = dropLogLines(k);
  const idleRates = k.limits.rates.collect(k.now, RETENTION_BATCH) === RETENTION_BATCH;
  const moreRuns = old.length === RETENTION_BATCH;
  const moreEvents = oldEvents.length === RETENTION_BATCH;
  const more =
    lines || idleRates || [old, oldEvents, expired, letters].some((batch) => batch.length === RETENTION_BATCH);
  // What has to stay is passed over and looked at again in the next round, from the start; who is done first waits for the others.
  k.meta.set('retention-cursor', moreRuns ? (old.at(-1)?.id ?? '') : more ? PASSED_ALL : '');
  k.meta.set('retention-event-cursor', moreEvents ? (oldEvents.at(-1)?.id ?? '') : more ? PASSED_ALL : '');
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

function oldLetters(k: Kernel): string[] {
  const tasks = k.tasks.list().filter(({ retention }) => retention?.deadLetterMs !== undefined);
  const ids = tasks.map(({ id }) => id);
  const common = k.sql.all<{ id: string }>(
    `SELECT id FROM dead_letters WHERE at < ?${ids.length === 0 ? '' : ` AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = dead_letters.run AND task IN (SELECT value FROM json_each(?)))`} LIMIT ?`,
    k.now - k.retentionMs,
    ...(ids.length === 0 ? [] : [JSON.stringify(ids)]),
    RETENTION_BATCH,
  );
  const own = ids.flatMap((task) =>
    k.sql.all<{ id: string }>(
      `SELECT d.id FROM dead_letters d JOIN runs r ON r.id = d.run WHERE d.at < ? AND r.task = ? LIMIT ?`,
      k.now - letterMs(k, task),
      task,
      RETENTION_BATCH,
    ),
  );
  // Without its run a letter is of no use to anyone.
  const orphans = k.sql.all<{ id: string }>(
    `SELECT id FROM dead_letters WHERE at < ? AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = dead_letters.run) LIMIT ?`,
    k.now - shortest(k),
    RETENTION_BATCH,
  );
  return [...common, ...own, ...orphans].slice(0, RETENTION_BATCH).map(({ id }) => id);
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
