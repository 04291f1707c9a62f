import { RETENTION_BATCH, RETENTION_EVERY_MS } from '../model/limits.ts';
import type { EventRow } from '../store/event-store.ts';
import type { RunRow } from '../store/run-store.ts';
import { dropDocuments } from './document.ts';
import type { Kernel } from './kernel.ts';

export const RETENTION_OWNER = '$retention';

/** Cursor behind every id. */
const PASSED_ALL = '\uffff';

/** Keeps one timer for the whole cell; called at start. */
export function armRetention(k: Kernel): void {
  const armed = k.sql.all(`SELECT 1 AS x FROM pending WHERE owner = ? AND key = ''`, RETENTION_OWNER).length > 0;
  if (!armed) k.putTimer(RETENTION_OWNER, '', 'retention', k.now + RETENTION_EVERY_MS);
}

/** Deletes a batch of what is older than the retention; runs that have not ended stay, with their events. */
export function collectGarbage(k: Kernel, rearm: boolean): void {
  const before = k.now - k.retentionMs;
  const cursor = k.meta('retention-cursor') ?? '';
  const rows = k.sql.all<RunRow>(`SELECT * FROM runs WHERE id > ? ORDER BY id LIMIT ?`, cursor, RETENTION_BATCH);
  const old = rows.filter((row) => row.created_at < before);
  for (const row of old) {
    if (row.ended_at === null || row.ended_at >= before) continue;
    k.forget(row.id);
    dropDocuments(k, row.id);
    k.runs.deleteRun(row);
  }
  const eventCursor = k.meta('retention-event-cursor') ?? '';
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
  for (const { collection, id } of expired) k.deleteRecord(collection, id);
  const letters = k.sql.all<{ id: string }>(
    `SELECT id FROM dead_letters WHERE at < ? LIMIT ?`,
    before,
    RETENTION_BATCH,
  );
  for (const letter of letters) k.deleteDeadLetter(letter.id);
  const moreRuns = old.length === RETENTION_BATCH;
  const moreEvents = oldEvents.length === RETENTION_BATCH;
  const more = [old, oldEvents, expired, letters].some((batch) => batch.length === RETENTION_BATCH);
  // What has to stay is passed over and looked at again in the next round, from the start; who is done first waits for the others.
  k.setMeta('retention-cursor', moreRuns ? (old.at(-1)?.id ?? '') : more ? PASSED_ALL : '');
  k.setMeta('retention-event-cursor', moreEvents ? (oldEvents.at(-1)?.id ?? '') : more ? PASSED_ALL : '');
  if (rearm) k.putTimer(RETENTION_OWNER, '', 'retention', more ? k.now + 1 : k.now + RETENTION_EVERY_MS);
}
