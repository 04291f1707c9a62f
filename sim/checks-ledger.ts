import type { EndingData } from './catalogue.ts';
import type { World } from './world.ts';

interface LedgerRow extends Record<string, string | number | null> {
  id: string;
  task: string;
  status: string;
  ended_at: number | null;
  waits: number;
}

/**
 * The books of what was accepted, from what is on disk alone: each run of a task whose failures are kept as dead letters is at each moment one of pending,
 * delivered, dead-lettered and cancelled, and never two of them. A letter that was deleted or tried again is off the books.
 */
export function checkLedger(world: World): void {
  const { db, checks, tracker } = world;
  const letters = new Map(
    db
      .all<{ run: string; n: number }>(`SELECT run, count(*) AS n FROM dead_letters GROUP BY run`)
      .map(({ run, n }) => [run, n]),
  );
  const rows = db.all<LedgerRow>(
    `SELECT id, task, status, ended_at, EXISTS (SELECT 1 FROM pending WHERE owner = id) AS waits FROM runs`,
  );
  const kept = world.engine.kernel.now - world.options.retentionMs;
  for (const { id, task, status, ended_at, waits } of rows) {
    const tracked = tracker.get(id);
    const data = world.tasks.get(task)?.spec.data;
    // A run whose executor lied, or whose result is on its way beside its call, may have nothing pending.
    if (!tracked || tracked.lied || tracked.owed > 0 || data === undefined) continue;
    const { deadLetter } = JSON.parse(data) as EndingData;
    if (!deadLetter || world.settledLetters.has(id) || (ended_at ?? Infinity) < kept) continue;
    const books = {
      pending: status === 'running' && waits === 1,
      delivered: status === 'completed',
      'dead-lettered': letters.get(id) === 1,
      cancelled: status === 'cancelled',
    };
    const entered = Object.entries(books).flatMap(([book, isIn]) => (isIn ? [book] : []));
    checks.that(
      'ledger',
      entered.length === 1 && (letters.get(id) ?? 0) === (status === 'failed' ? 1 : 0),
      () =>
        `run ${id} of ${task} (${status}, ${letters.get(id) ?? 0} letters) is ${entered.join(' and ') || 'nowhere'}`,
    );
  }
}
