import { type BacklogItem, compareItems, limitBucket, poolBucket } from '../flow/backlogs.ts';
import { counterOf } from '../model/limit.ts';
import type { LeasedCall } from '../model/call.ts';
import { MAX_LOOKED_AT, PUSH_LEASE_MS } from '../model/limits.ts';
import type { TaskRecord } from '../model/task.ts';
import { begun } from './guards.ts';
import type { Kernel, RunHandle } from './kernel.ts';
import { isOrphaned } from './orphan.ts';
import { resolve } from './resolve.ts';
import { closeWindow } from './window.ts';

/** Takes what is due: calls of push tasks are leased and returned, waits that ran out are resolved. */
export function pump(k: Kernel): LeasedCall[] {
  const calls: LeasedCall[] = [];
  if (k.draining) {
    k.flush();
    return calls;
  }
  for (;;) {
    k.flush();
    while (k.leases.size < k.maxInFlight) {
      const item = k.ready.shift();
      if (!item) break;
      const call = takeReady(k, item.run, item.key);
      if (call) calls.push(call);
    }
    k.flush();
    // All that is ready is looked at before those that wait for a limit: among it may be older ones.
    if (k.ready.size === 0 && k.spilled && k.leases.size < k.maxInFlight) {
      k.refill();
      if (k.ready.size > 0) continue;
    }
    while (k.leases.size < k.maxInFlight) {
      const open = k.backlogs.takeOpen();
      if (open.length === 0) break;
      for (const counter of open) admitWaiting(k, counter, calls);
    }
    if (k.ready.size === 0 || k.leases.size >= k.maxInFlight) return calls;
  }
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
  if (handle.rows.get(key)?.row.bucket !== '') return null;
  const pool = k.poolOf(handle);
  if (handle.state.parked) return null;
  if (handle.state.head.window) {
    // Nothing more has come in time. Its row is written, and looked at, again.
    closeWindow(k, handle);
    return null;
  }
  if (pool === null) return admit(k, handle, key) ? takePush(k, handle, key) : null;
  k.rows.moveTo(handle, key, poolBucket(pool));
  k.readyPools.add(pool);
  return null;
}

/** Whether a call may go now. If not, it waits for the first limit without room, holding what its run has got so far. */
function admit(k: Kernel, handle: RunHandle, key: string): boolean {
  const blocked = k.places.blockedBy(handle, key);
  k.places.holdRunLimits(handle, key, blocked);
  if (blocked) {
    k.rows.moveTo(handle, key, limitBucket(counterOf(blocked)));
    k.places.awaitOpening(blocked);
  }
  return blocked === null;
}

/** A limit may have room: those who wait for it, oldest first, go as far as there is. */
function admitWaiting(k: Kernel, counter: string, calls: LeasedCall[]): void {
  const bucket = limitBucket(counter);
  // A worker takes the room when it comes, another limit when it has room; until then it is promised to as many as it is enough for.
  const promised = { toPool: 0, elsewhere: 0 };
  for (let moved = 0; k.leases.size < k.maxInFlight;) {
    const head = k.backlogs.head(bucket, (item) => k.waitsIn(bucket, item));
    const handle = head && k.find(head.run);
    if (!head || !handle) return;
    const blocked = k.places.blockedBy(handle, head.key);
    if (blocked && counterOf(blocked) === counter) return k.places.awaitOpening(blocked);
    const pool = k.poolOf(handle);
    if (pool !== null || blocked) {
      // What is moved only is bounded: the rest follows in the next transaction.
      if (++moved > MAX_LOOKED_AT) return k.places.lookAgain(counter, k.now + 1);
      const spec = k.places.limitsOfCall(handle, head.key).find((one) => counterOf(one) === counter);
      const way = blocked ? 'elsewhere' : 'toPool';
      if (spec && promised[way] >= k.places.roomToPass(handle, spec, blocked !== null))
        return k.places.awaitOpening(spec, promised.toPool + promised.elsewhere);
      promised[way]++;
    }
    k.backlogs.shift(bucket);
    if (pool !== null && !blocked) {
      k.rows.moveTo(handle, head.key, poolBucket(pool));
      k.readyPools.add(pool);
    } else if (admit(k, handle, head.key)) {
      const call = takePush(k, handle, head.key);
      if (call) calls.push(call);
    }
  }
  // No call can be taken now; the next pump looks again.
  k.backlogs.opened(counter);
}

function takePush(k: Kernel, handle: RunHandle, key: string): LeasedCall | null {
  if (isOrphaned(k, handle, key)) {
    k.flush();
    return null;
  }
  const run = handle.state.head.id;
  const pending = handle.state.pending.get(key);
  const task = k.taskOf(handle);
  const lease = k.newLease();
  k.places.takeRates(handle, key);
  if (handle.state.startedAt === null) begun(k, handle);
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
  k.places.holdCall(handle, key);
  return leasedCall(k, handle, key, lease);
}

export interface PullRequest {
  pool: string;
  also?: string[];
  max: number;
  holdMs: number;
  holder: string;
}

/** Leases the oldest ready calls of some pools for which there is room. */
export function leasePull(k: Kernel, request: PullRequest): LeasedCall[] {
  const calls: LeasedCall[] = [];
  const pools = [request.pool, ...(request.also ?? [])];
  let buckets = pools.map(poolBucket);
  for (let looked = 0; calls.length < request.max && !k.draining; looked++) {
    const oldest = oldestOf(k, buckets);
    const handle = oldest && k.find(oldest.head.run);
    if (!oldest || !handle) break;
    const { head, bucket } = oldest;
    if (looked >= MAX_LOOKED_AT) {
      k.readyPools.add(request.pool);
      break;
    }
    const task = bindsTo(k, handle);
    if (task?.versionPool !== undefined && !pools.includes(task.versionPool)) {
      // These are free for the workers of the current version, and this is not one of them.
      buckets = buckets.filter((other) => other !== bucket);
      continue;
    }
    k.backlogs.shift(bucket);
    if (isOrphaned(k, handle, head.key)) {
      k.flush();
      continue;
    }
    if (!admit(k, handle, head.key)) continue;
    const lease = k.newLease();
    k.places.takeRates(handle, head.key);
    if (handle.state.startedAt === null) begun(k, handle);
    k.append(handle, {
      kind: 'lease',
      key: head.key,
      lease,
      untilMs: k.now + request.holdMs,
      holder: request.holder,
      ...(task ? { version: task.version, ...(task.versionPool === undefined ? {} : { pool: task.versionPool }) } : {}),
    });
    k.places.holdCall(handle, head.key);
    k.flush();
    calls.push(leasedCall(k, handle, head.key, lease));
  }
  return calls;
}

function oldestOf(k: Kernel, buckets: string[]): { head: BacklogItem; bucket: string } | null {
  let oldest: { head: BacklogItem; bucket: string } | null = null;
  for (const bucket of buckets) {
    const head = k.backlogs.head(bucket, (item) => k.waitsIn(bucket, item));
    if (head && (!oldest || compareItems(head, oldest.head) < 0)) oldest = { head, bucket };
  }
  return oldest;
}

/** The version to which a lease would tie the run, where its task lets the first lease decide. */
function bindsTo(k: Kernel, handle: RunHandle): TaskRecord | null {
  const task = k.tasks.get(handle.state.head.task);
  return !handle.state.locked && task?.binding === 'lease' ? task : null;
}

/** A call with all that its executor needs, as it is now. */
export function leasedCall(k: Kernel, handle: RunHandle, key: string, lease: string): LeasedCall {
  const { state } = handle;
  const { head } = state;
  const pending = state.pending.get(key);
  const call = pending?.call;
  const task = k.taskOf(handle);
  return {
    lease,
    run: head.id,
    alias: head.alias,
    runCreatedAt: head.createdAt,
    runDueAt: head.dueAt,
    key,
    attempt: pending?.attempt ?? 0,
    maxAttempts: k.maxAttemptsOf(handle, key),
    dueAt: pending?.dueAt ?? k.now,
    leasedAt: k.now,
    task: { id: head.task, version: task?.version ?? state.version, executor: head.executor, data: task?.data ?? '{}' },
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
    ...(head.holder === undefined ? {} : { holder: head.holder }),
  };
}
