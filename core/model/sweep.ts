import type { RunStatus, StartSpec } from './call.ts';
import type { JsonText } from './payload.ts';

/** Which runs. All that is given must hold; with `runs`, these and no others. */
export interface RunFilter {
  runs?: string[];
  task?: string;
  taskPrefix?: string;
  status?: RunStatus;
  label?: string;
  /** Created from, and up to, both included. */
  fromMs?: number;
  toMs?: number;
  /** Sees `event`: the run's first event or, without one, its input. False, or an error: not this run. */
  expression?: string;
}

/** Runs that one sweep may name. */
export const MAX_SWEEP_RUNS = 1_000;

/** Something that is done to many runs: newest first, a batch at each tick of the timer, so that it holds nobody up and outlives a restart. */
export interface SweepSpec {
  id: string;
  filter: RunFilter;
  /** `cancel` passes over what has ended; `rerun` starts each anew from its start. */
  action: { do: 'cancel'; reason?: string; graceMs?: number } | { do: 'rerun'; overrides?: Partial<StartSpec> };
  /** Every run that was changed gets it, so that a sweep's runs can be listed. */
  label?: string;
  /** Opaque; listed back. */
  data?: JsonText;
}

export interface SweepRecord extends SweepSpec {
  status: 'running' | 'done' | 'stopped';
  createdAt: number;
  endedAt: number | null;
  /** Runs that matched; of them those that were changed, and those that could not be (they had ended, their task is gone). */
  matched: number;
  changed: number;
  refused: number;
}
