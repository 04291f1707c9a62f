import type { Pending } from '../history/state.ts';
import type { LapsedCall } from '../model/call.ts';
import { endRun } from './end.ts';
import { unbegun } from './guards.ts';
import type { Kernel, RunHandle } from './kernel.ts';
import { endLease } from './report.ts';

/**
 * A pull lease ran out. Its vendor decides; without a word of it the same attempt is handed out again. A cancellation under way ends with it.
 * `returned`: the holder gave the call back before that. It is free again and nothing is counted.
 */
export function lapse(k: Kernel, handle: RunHandle, key: string, returned = false): void {
  const { state } = handle;
  const pending = state.pending.get(key);
  if (pending?.lease === undefined || pending.lease === null) return;
  if (state.cancelling) {
    endRun(k, handle, { status: 'cancelled', data: null, reason: state.reason ?? 'lapsed' });
    return;
  }
  const outcome = returned ? null : k.translators[state.head.executor]?.lapsed?.(lapsedCall(k, handle, pending));
  if (outcome) {
    endLease(k, handle, { key, seenSeq: pending.leaseSeq, pullLease: pending.lease }, outcome);
    return;
  }
  k.places.releaseCall(handle, key);
  k.append(handle, { kind: 'lapse', key, dueAt: k.now, ...(returned ? { why: 'returned' as const } : {}) });
  if (state.startedAt === null && state.steps.length === 0) unbegun(k, handle);
}

function lapsedCall(k: Kernel, handle: RunHandle, pending: Pending): LapsedCall {
  const { head } = handle.state;
  const task = k.taskOf(handle);
  return {
    run: head.id,
    key: pending.key,
    attempt: pending.attempt,
    begun: pending.begun,
    lapses: pending.lapses + 1,
    task: {
      id: head.task,
      version: task?.version ?? handle.state.version,
      executor: head.executor,
      data: task?.data ?? '{}',
    },
    meta: head.meta,
    callMeta: pending.call?.meta ?? null,
    nowMs: k.now,
  };
}
