import { MAIN } from '../model/call.ts';
import { TIMERS_PER_TICK } from '../model/limits.ts';
import { cancelChildren } from './cancel.ts';
import { fireGuard } from './guards.ts';
import type { Kernel } from './kernel.ts';
import { lapse } from './lapse.ts';
import { openParked, openReleased, OPENING_OWNER } from './orphan.ts';
import { collectGarbage, RETENTION_OWNER } from './retention.ts';
import { fireSchedule, SCHEDULE_OWNER } from './schedules.ts';
import { endSubLimit } from './sub-limits.ts';
import { sweepOn, SWEEP_OWNER } from './sweep.ts';
import { dropTimer } from './timers.ts';

/** Looks at everything that has become due since the last time. True: there is more. */
export function wake(k: Kernel): boolean {
  for (const lease of k.leases.expired(k.now)) {
    const handle = k.find(lease.run);
    k.dropPush(lease);
    if (!handle) continue;
    k.places.releaseCall(handle, lease.key);
    k.rows.recheck(handle, lease.key);
  }
  for (const counter of k.openings.take(k.now)) k.backlogs.opened(counter);
  const rows = k.sql.all<{ owner: string; key: string; kind: string; due: number; lease: string | null }>(
    `SELECT owner, key, kind, due, lease FROM pending WHERE bucket = '' AND due > ? AND due <= ? ORDER BY due LIMIT ?`,
    k.watermark,
    k.now,
    TIMERS_PER_TICK + 1,
  );
  const more = rows.length > TIMERS_PER_TICK;
  // Rows of one due time are taken whole, or the watermark would hide the rest of them.
  const batch = more ? rows.filter((row) => row.due < (rows.at(-1)?.due as number)) : rows;
  const taken = batch.length > 0 || !more ? batch : allAt(k, rows[0]?.due as number);
  for (const row of taken) fire(k, row);
  k.watermark = more ? (taken.at(-1)?.due as number) : k.now;
  k.findNextDue();
  return more;
}

function allAt(
  k: Kernel,
  due: number,
): Array<{ owner: string; key: string; kind: string; due: number; lease: string | null }> {
  return k.sql.all(`SELECT owner, key, kind, due, lease FROM pending WHERE bucket = '' AND due = ?`, due);
}

function fire(k: Kernel, row: { owner: string; key: string; kind: string; lease: string | null }): void {
  switch (row.kind) {
    case 'schedule':
      return fireSchedule(k, row.owner.slice(SCHEDULE_OWNER.length));
    case 'retention':
      return collectGarbage(k, row.owner === RETENTION_OWNER);
    case 'sweep':
      return sweepOn(k, row.owner.slice(SWEEP_OWNER.length));
    case 'open': {
      dropTimer(k, row.owner, row.key);
      const id = row.owner.slice(OPENING_OWNER.length);
      const task = row.key === MAIN ? k.tasks.get(id) : k.tasks.at(id, Number(row.key));
      if (task) (row.key === MAIN ? openParked : openReleased)(k, task);
      return;
    }
    case 'sub-limit':
      return endSubLimit(k, row.owner);
    case 'children':
      return cancelChildren(k, row.owner);
    case 'guard':
      return fireGuard(k, row);
    default:
      if (row.lease !== null) {
        const handle = k.find(row.owner);
        const pending = handle?.state.pending.get(row.key);
        // The holder may have extended it in this very transaction.
        if (handle && pending && pending.lease === row.lease && pending.dueAt <= k.now) lapse(k, handle, row.key);
        return;
      }
      k.pushReady({ run: row.owner, key: row.key });
  }
}
