import { limitsOf } from '../flow/lanes.ts';
import type { LeasedCall } from '../model/call.ts';
import { MAX_IN_FLIGHT, PUSH_LEASE_MS } from '../model/limits.ts';
import { endRun } from './end.ts';
import type { Kernel, RunHandle } from './kernel.ts';
import { resolve } from './resolve.ts';

/** Takes what is due: calls of push tasks are leased and returned, waits that ran out are resolved. */
export function pump(k: Kernel): LeasedCall[] {
  const calls: LeasedCall[] = [];
  if (k.draining) {
    k.flush();
    return calls;
  }
  do {
    k.flush();
    while (k.leases.size < MAX_IN_FLIGHT) {
      const item = k.ready.shift();
      if (!item) break;
      const call = takeReady(k, item.run, item.key);
      if (call) calls.push(call);
    }
    k.flush();
    for (const lane of [...k.lanes.open()]) drainLane(k, lane, calls);
    if (k.ready.size === 0 && k.spilled && k.leases.size < MAX_IN_FLIGHT) k.refill();
  } while (k.ready.size > 0 && k.leases.size < MAX_IN_FLIGHT);
  return calls;
}

function takeReady(k: Kernel, run: string, key: string): LeasedCall | null {
  const handle = k.find(run);
  const pending = handle?.state.pending.get(key);
  if (!handle || !pending || handle.state.status !== 'running' || pending.dueAt > k.now) return null;
  if (pending.kind !== 'call') {
    resolve(k, run, key, { source: pending.kind === 'sleep' ? 'sleep' : 'timeout', data: null });
    return null;
  }
  if (pending.lease !== null || k.leases.of(run, key)) return null;
  const lane = k.laneOf(handle, key);
  if (lane === '') return takePush(k, handle, key);
  // A run that holds its place goes on before those that wait for one. Else nobody overtakes: behind a backlog a call waits its turn even when there is room.
  const holds = k.holdsRunLimit(handle, key);
  if (handle.state.head.pool !== null) {
    k.toBacklog(handle, key, lane, holds);
    k.readyPools.add(handle.state.head.pool);
    return null;
  }
  if (handle.rows.get(key)?.row.bucket === lane) return null;
  const limits = limitsOf(lane);
  if ((k.lanes.hasBacklog(lane) && !holds) || k.limits.blockedBy(limits, run) !== null) {
    k.toBacklog(handle, key, lane, holds);
    return null;
  }
  return takePush(k, handle, key);
}

function drainLane(k: Kernel, lane: string, calls: LeasedCall[]): void {
  const limits = limitsOf(lane);
  while (k.leases.size < MAX_IN_FLIGHT) {
    const head = k.lanes.head(lane, (item) => isFree(k, lane, item.run, item.key));
    if (!head) return;
    const blocked = k.limits.blockedBy(limits, head.run);
    if (blocked !== null) return k.lanes.block(lane, blocked);
    k.lanes.shift(lane);
    calls.push(takePush(k, k.find(head.run) as RunHandle, head.key));
  }
}

/** A row of a lane was due when it came there: a clock that was set back since does not take it out again. */
function isFree(k: Kernel, lane: string, run: string, key: string): boolean {
  const handle = k.find(run);
  const pending = handle?.state.pending.get(key);
  return (
    handle?.state.status === 'running' &&
    pending?.kind === 'call' &&
    pending.lease === null &&
    handle.rows.get(key)?.row.bucket === lane &&
    !k.leases.of(run, key)
  );
}

function takePush(k: Kernel, handle: RunHandle, key: string): LeasedCall {
  const run = handle.state.head.id;
  const pending = handle.state.pending.get(key);
  const task = k.tasks.at(handle.state.head.task, handle.state.head.version);
  const lease = k.newLease();
  handle.state.startedAt ??= k.now;
  k.takePush({
    token: lease,
    run,
    key,
    seq: handle.state.seq,
    attempt: pending?.attempt ?? 0,
    takenAt: k.now,
    expiresAt: k.now + (task?.leaseMs ?? PUSH_LEASE_MS),
  });
  k.holdCall(handle, key);
  return leasedCall(k, handle, key, lease);
}

/** Leases the oldest ready calls of a pool, one limit's room at a time. */
export function leasePull(
  k: Kernel,
  request: { pool: string; max: number; holdMs: number; holder: string },
): LeasedCall[] {
  const calls: LeasedCall[] = [];
  while (calls.length < request.max && !k.draining) {
    let best: { lane: string; run: string; key: string; due: number } | null = null;
    for (const lane of [...k.lanes.lanesOfPool(request.pool)]) {
      if (k.lanes.isBlocked(lane)) continue;
      const head = k.lanes.head(lane, (item) => isFree(k, lane, item.run, item.key));
      if (!head) continue;
      const blocked = k.limits.blockedBy(limitsOf(lane), head.run);
      if (blocked !== null) k.lanes.block(lane, blocked);
      else if (!best || head.due < best.due || (head.due === best.due && head.run < best.run)) best = { lane, ...head };
    }
    if (!best) break;
    const handle = k.find(best.run) as RunHandle;
    const lease = k.newLease();
    k.lanes.shift(best.lane);
    k.append(handle, { kind: 'lease', key: best.key, lease, untilMs: k.now + request.holdMs, holder: request.holder });
    k.holdCall(handle, best.key);
    if (handle.state.head.expireAt !== null) k.dropTimer(best.run, '$expire');
    calls.push(leasedCall(k, handle, best.key, lease));
    k.flush();
  }
  return calls;
}

function leasedCall(k: Kernel, handle: RunHandle, key: string, lease: string): LeasedCall {
  const { state } = handle;
  const { head } = state;
  const pending = state.pending.get(key);
  const call = pending?.call;
  const task = k.tasks.at(head.task, head.version);
  return {
    lease,
    run: head.id,
    alias: head.alias,
    runCreatedAt: head.createdAt,
    key,
    attempt: pending?.attempt ?? 0,
    maxAttempts: call?.maxAttempts ?? head.maxAttempts,
    dueAt: pending?.dueAt ?? k.now,
    leasedAt: k.now,
    task: { id: head.task, version: head.version, executor: head.executor, data: task?.data ?? '{}' },
    input: state.input,
    meta: head.meta,
    scheduledAt: head.scheduledAt,
    callData: call?.data ?? null,
    callMeta: call?.meta ?? null,
    callSeq: pending?.seq ?? 0,
    seq: state.seq,
    events: k.eventsOf(handle),
    steps: [...state.steps],
    pending: [...state.pending.keys()].filter((other) => other !== key),
    labels: head.labels,
  };
}

/** A pull lease ran out: the same attempt again, or, where the task says so or a cancellation is under way, the end. */
export function lapse(k: Kernel, handle: RunHandle, key: string): void {
  const { state } = handle;
  const task = k.tasks.at(state.head.task, state.head.version);
  // A holder that never reported may not even have received the call: that is no attempt.
  const begun = state.seq > (state.pending.get(key)?.leaseSeq ?? state.seq);
  if (state.cancelling || (begun && task?.onLapse === 'cancel')) {
    endRun(k, handle, { status: 'cancelled', data: null, reason: state.reason ?? 'lapsed' });
    return;
  }
  k.releaseCall(handle, key);
  k.append(handle, { kind: 'lapse', key, dueAt: k.now });
}
