import type { ResultOf } from '../model/command.ts';
import { endRun } from './end.ts';
import type { Kernel } from './kernel.ts';

/** Ends a run now; a pull call that a worker holds gets `graceMs` to end by itself. */
export function cancel(
  k: Kernel,
  run: string,
  reason: string | undefined,
  graceMs: number | undefined,
): ResultOf<'cancel'>['result'] {
  const handle = k.findNamed(run);
  if (!handle) return 'unknown';
  if (handle.state.status !== 'running') return 'ended';
  const held = [...handle.state.pending.values()].find((pending) => pending.lease !== null);
  if (held && graceMs !== undefined && graceMs > 0) {
    if (!handle.state.cancelling) {
      const untilMs = k.now + graceMs;
      k.append(handle, { kind: 'cancelling', untilMs, ...(reason === undefined ? {} : { reason }) });
      k.moveLease(handle, held.key, untilMs);
    }
    return 'cancelling';
  }
  endRun(k, handle, { status: 'cancelled', data: null, reason: reason ?? 'cancelled' });
  return 'cancelled';
}
