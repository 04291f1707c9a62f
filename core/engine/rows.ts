import { limitOfBucket, poolBucket } from '../flow/backlogs.ts';
import { holderOf } from '../flow/limit-book.ts';
import type { Pending, RunHead } from '../history/state.ts';
import { counterOf } from '../model/limit.ts';
import { NEVER_MS } from '../model/limits.ts';
import { IDLE_INDEX, type PendingRow, pendingRowOf, statusIndex, taskIndex } from '../store/run-store.ts';
import type { Kernel, RunHandle, Saved } from './kernel.ts';
import { limitsUnder } from './limit-order.ts';
import { releaseMatch, taskMatch } from './matching.ts';

/** In a pending row's `held`: the unit of what the call holds by itself, beside what its run holds. */
export const OWN_HELD = 1000;

/** Writes what a transaction did to its runs, and keeps each pending row in the bucket where its call waits. */
export class Rows {
  readonly #k: Kernel;

  constructor(kernel: Kernel) {
    this.#k = kernel;
  }

  write(run: string, handle: RunHandle): void {
    const { state, rows } = handle;
    const { head } = state;
    const { index, log } = this.#k.tasks.get(head.task) ?? this.#k.tasks.at(head.task, head.version) ?? {};
    if (handle.isNew) {
      this.#k.runs.insertRun(state, index?.includes('task') ? [taskIndex(head.task)] : []);
      if (log !== undefined) this.#k.runs.putLogLine(log, head.createdAt, run, 0);
      handle.isNew = false;
    }
    for (const entry of handle.entries) {
      this.#k.runs.insertEntry(run, entry);
      if (log !== undefined) this.#k.runs.putLogLine(log, entry.atMs, run, entry.seq);
    }
    if (handle.entries.length > 0) this.#k.changed.set(run, state);
    for (const { body } of handle.entries) if (body.kind === 'label') this.#k.runs.putLabels(head, body.remove ?? []);
    // Events that a batch takes are written when it has them all: nobody is shown a run that collects them.
    if (handle.entries.some(({ body }) => body.kind === 'amend' && !('grown' in body)))
      this.#k.runs.putHead(state, handle.labelsBefore ?? head.labels);
    handle.labelsBefore = null;
    const ended = state.status !== 'running';
    if (ended && handle.entries.some((entry) => entry.body.kind === 'end')) {
      this.#k.runs.endRun(state);
      if (index?.includes('status')) this.#k.runs.putLabel(statusIndex(state.status, head.task), run);
    } else if (!ended && state.pending.size === 0) this.#k.runs.putLabel(IDLE_INDEX, run);
    handle.entries = [];
    const { changed } = state.pending;
    if (changed.size === 0) return;
    for (const key of changed) {
      const saved = rows.get(key);
      if (!saved || state.pending.has(key)) continue;
      const { row, pending } = saved;
      this.#letGo(handle, pending);
      this.#k.runs.deletePending(run, key);
      rows.delete(key);
      if (row.bucket === '') continue;
      this.#left(handle, pending, row.bucket);
      this.#letBehindGo(row.bucket);
    }
    for (const key of changed) {
      const pending = state.pending.get(key);
      const saved = rows.get(key);
      if (!pending || saved?.pending === pending) continue;
      // Resolved, and followed by a call under the same key: whoever has the one before in hand has nothing any more.
      if (saved && saved.pending.seq !== pending.seq) this.#letGo(handle, saved.pending);
      const isParked = state.parked && pending.kind === 'call';
      const match = pending.wait ? this.#matchFor(handle, pending) : isParked ? openedBy(state.head) : null;
      const isDueCall = pending.kind === 'call' && pending.lease === null && pending.dueAt <= this.#k.now && !isParked;
      const pool = isDueCall ? this.#k.poolOf(handle) : null;
      // A pull call that is due waits in its pool's bucket; a push call is looked at first (see pump).
      const bucket = pool === null ? '' : poolBucket(pool);
      const row = pendingRowOf(run, pending, bucket, match, this.#k.places.heldBy(handle, pending));
      if (bucket !== '') row.due -= pending.priorityMs;
      if (isParked) row.due = NEVER_MS;
      // A lease that is to end now or earlier still has to be found by the next look at the clock.
      if (pending.lease !== null) row.due = Math.max(row.due, this.#k.now + 1);
      if (saved) this.#k.runs.updatePending(saved.row, row);
      else this.#k.runs.insertPending(row);
      if (saved && saved.row.bucket !== '' && saved.row.bucket !== bucket) {
        this.#left(handle, saved.pending, saved.row.bucket);
        this.#letBehindGo(saved.row.bucket);
      }
      rows.set(key, { row, pending });
      if (bucket !== '') {
        this.#k.backlogs.added(bucket, { run, key, due: row.due });
        this.#k.readyPools.add(pool as string);
      } else if (row.due > this.#k.now) {
        this.#k.nextDue = Math.min(this.#k.nextDue, row.due);
      } else {
        this.#k.pushReady({ run, key });
      }
    }
    changed.clear();
    this.#keepPlace(handle);
  }

  /**
   * Some row of a run says that it holds its place, or a restart would give it to somebody else: those that were written before it had one
   * do not, and the call that took it has gone. One that is still in hand takes the place again by itself.
   */
  #keepPlace(handle: RunHandle): void {
    const { head, status } = handle.state;
    if (status !== 'running' || !head.limits.some((limit) => limit.hold === 'run')) return;
    let first: Saved | null = null;
    for (const saved of handle.rows.values()) {
      if ((saved.row.held ?? 0) % OWN_HELD > 0 || this.#k.leases.of(head.id, saved.row.key)) return;
      first ??= saved;
    }
    const held = first && this.#k.places.heldBy(handle, first.pending);
    if (first && held) this.#rewrite(handle, first, { ...first.row, held });
  }

  /** Another row for a call or wait that stays as it is: the run counts as untouched, so memory is taken back here. */
  #rewrite(handle: RunHandle, saved: Saved, row: PendingRow): void {
    this.#k.runs.updatePending(saved.row, row);
    handle.rows.set(row.key, { row, pending: saved.pending });
    this.#k.onUndo(() => handle.rows.set(row.key, saved));
  }

  /**
   * A call is resolved. Where that happened while it was leased, by somebody else's report, its lease is over, and what it held is free. A place that
   * the run has for it alone is free too.
   */
  #letGo(handle: RunHandle, pending: Pending): void {
    if (pending.kind !== 'call') return;
    const { head } = handle.state;
    const push = this.#k.leases.of(head.id, pending.key);
    if (push) this.#k.dropPush(push);
    for (const limit of limitsUnder(head, pending.call))
      if (limit.hold === 'call') this.#k.places.release(limit, holderOf(limit, head, pending.key));
    if (pending.call?.limits) this.#k.places.leave(handle, pending.call.limits);
  }

  #matchFor(handle: RunHandle, pending: Pending): string | null {
    let match = handle.matches.get(pending.key);
    if (match === undefined) {
      match = (pending.wait && this.#k.waits.matchOf(pending.wait)) ?? '';
      handle.matches.set(pending.key, match);
    }
    return match || null;
  }

  /** A ready call waits in this bucket from now on. */
  moveTo(handle: RunHandle, key: string, bucket: string): void {
    const saved = handle.rows.get(key);
    if (!saved || saved.row.bucket === bucket) return;
    const row: PendingRow = {
      ...saved.row,
      bucket,
      due: orderOf(saved.row, saved.pending),
      held: this.#k.places.heldBy(handle, saved.pending),
    };
    this.#rewrite(handle, saved, row);
    if (saved.row.bucket !== '') this.#left(handle, saved.pending, saved.row.bucket);
    this.#k.backlogs.added(bucket, { run: row.owner, key, due: row.due });
  }

  /** A call that stays as it is was given back: it is ready again. */
  recheck(handle: RunHandle, key: string): void {
    const saved = handle.rows.get(key);
    if (!saved) return;
    const run = handle.state.head.id;
    const { row } = saved;
    const limit = limitOfBucket(row.bucket);
    if (limit !== null && this.#k.limits.holds(limit, handle.state.head.holder ?? run)) {
      // Its place is taken already: it does not wait behind those that have none.
      const after = {
        ...row,
        bucket: '',
        due: saved.pending.dueAt,
        held: this.#k.places.heldBy(handle, saved.pending),
      };
      this.#rewrite(handle, saved, after);
      this.#k.backlogs.removed(row.bucket);
      this.#letBehindGo(row.bucket);
      // Due when it came to wait, and not yet again where the clock was set back since: should it have to wait here, it is looked at then too.
      if (after.due > this.#k.now) this.#k.nextDue = Math.min(this.#k.nextDue, after.due);
      this.#k.pushReady({ run, key });
    } else if (row.bucket === '') this.#k.pushReady({ run, key });
    else {
      this.#k.backlogs.added(row.bucket, { run, key, due: row.due });
      if (limit !== null) this.#k.backlogs.opened(limit);
    }
  }

  /** A call no longer waits in a limit's backlog, for another reason than that it goes: who stood behind it may be one that can. */
  #letBehindGo(bucket: string): void {
    const limit = limitOfBucket(bucket);
    if (limit !== null) this.#k.backlogs.opened(limit);
  }

  /** A row left its bucket. The room that was promised to a call in a pool's bucket is there for others now, unless it was leased: then there is none. */
  #left(handle: RunHandle, pending: Pending, bucket: string): void {
    this.#k.backlogs.removed(bucket);
    if (limitOfBucket(bucket) !== null) return;
    for (const limit of limitsUnder(handle.state.head, pending.call)) this.#k.backlogs.opened(counterOf(limit));
  }
}

/** What a parked run waits for. */
function openedBy({ task, awaits }: RunHead): string {
  return awaits ? releaseMatch(task, awaits.release) : taskMatch(task);
}

/** Position in a backlog. In a bucket the row's due time is the position already. */
export function orderOf(row: PendingRow, pending: Pending | undefined): number {
  return row.bucket === '' ? row.due - (pending?.priorityMs ?? 0) : row.due;
}
