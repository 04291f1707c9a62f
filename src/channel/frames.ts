import type { RunStatus } from '../../core/model/call.ts';

export interface RunChange {
  run: string;
  seq: number;
  status: RunStatus;
}

/** One JSON text frame a change. */
export function channelFrame(change: RunChange): string {
  return JSON.stringify({ type: 'run-changed', ...change });
}
