import { NEVER_MS } from '../model/limits.ts';
import type { SqlRow } from '../ports.ts';
import type { Kernel } from './kernel.ts';

/** Waits that one look reads at once. */
const WAITERS_PER_READ = 1_000;
const AFTER_ALL_OWNERS = '\uffff';

/** A row that waits for something to happen: a run's wait, or a guard beside it (engine/guards.ts). */
export interface Waiter {
  owner: string;
  key: string;
  kind: string;
  guard: string | null;
}

/** A timer that is no part of a run's history: a schedule's tick, a guard, housekeeping. With `event`, an event may end it too. */
export function putTimer(
  k: Kernel,
  owner: string,
  key: string,
  kind: string,
  atMs: number,
  event?: { match: string | null; guard: string | null },
): void {
  // One set for now or earlier still has to be found by the next look at the clock, also while this one is at work.
  const due = Math.min(Math.max(atMs, k.now + 1), NEVER_MS);
  k.runs.insertPending({
    owner,
    key,
    kind,
    bucket: '',
    due,
    attempt: 0,
    lease: null,
    held: null,
    match: event?.match ?? null,
    guard: event?.guard ?? null,
  });
  k.nextDue = Math.min(k.nextDue, due);
}

export function hasTimer(k: Kernel, owner: string, key: string): boolean {
  return k.sql.all(`SELECT 1 AS x FROM pending WHERE owner = ? AND key = ?`, owner, key).length > 0;
}

export function dropTimer(k: Kernel, owner: string, key: string): void {
  k.sql.run(`DELETE FROM pending WHERE owner = ? AND key = ?`, owner, key);
}

/** Waits that stand under an index value, oldest run first. */
export function waiters(k: Kernel, match: string, limit = -1): Array<{ run: string; key: string }> {
  k.flush();
  return k.sql
    .all<{ owner: string; key: string }>(
      `SELECT owner, key FROM pending WHERE match = ? ORDER BY owner, key LIMIT ?`,
      match,
      limit,
    )
    .map((row) => ({ run: row.owner, key: row.key }));
}

/**
 * What waits for an event under an index value now, runs oldest first, then guards; read as it is gone through, so that there may be any
 * number. What comes to wait meanwhile is not among it: who was started by what the event did was not there when it came.
 */
export function* eventWaiters(k: Kernel, match: string): Generator<Waiter> {
  k.flush();
  const read = (after: Waiter | null, last: string): Array<Waiter & SqlRow> =>
    k.sql.all(
      `SELECT owner, key, kind, guard FROM pending WHERE match = ? AND (owner, key) > (?, ?) AND owner <= ? ORDER BY owner, key LIMIT ?`,
      match,
      after?.owner ?? '',
      after?.key ?? '',
      last,
      WAITERS_PER_READ,
    );
  let rows = read(null, AFTER_ALL_OWNERS);
  const newest =
    rows.length < WAITERS_PER_READ
      ? ''
      : (k.sql.all<{ owner: string }>(`SELECT max(owner) AS owner FROM pending WHERE match = ?`, match)[0]?.owner ??
        '');
  for (;;) {
    yield* rows;
    const last = rows.at(-1);
    if (!last || rows.length < WAITERS_PER_READ) return;
    rows = read(last, newest);
  }
}
