import type { Again, CallSpec, EndedRef, RunStatus, StepSource } from './call.ts';
import type { Amendment } from './command.ts';
import type { JsonText, Payload } from './payload.ts';

/** One transition of a run. Entry 0, `start`, is the immutable half of the run's own row. */
export interface HistoryEntry {
  seq: number;
  atMs: number;
  body: HistoryBody & {
    /** On the first entry after a push executor has had the run in hand: since when. */
    begunAt?: number;
  };
  /** The entry's user payload: memo, output, error, note. */
  data: Payload | null;
}

export type HistoryBody =
  | { kind: 'start'; call: CallSpec; dueAt: number }
  | {
      kind: 'step';
      key: string;
      source: StepSource;
      error?: boolean;
      meta?: JsonText;
      again?: Again;
      then?: CallSpec;
      ends?: string;
      renews?: string;
      from?: EndedRef;
    }
  | { kind: 'plan'; calls: CallSpec[]; ends?: string }
  | {
      kind: 'wait';
      key: string;
      wait: WaitKind;
      untilMs: number;
      meta?: JsonText;
      again?: Again;
      then?: CallSpec;
      ends?: string;
    }
  | {
      kind: 'retry';
      key: string;
      attempt: number;
      dueAt: number;
      lease?: string;
      meta?: JsonText;
      /** What the next attempt differs in. */
      next?: { meta?: JsonText; pool?: string };
    }
  | { kind: 'again'; meta?: JsonText; ends?: string }
  /** A call's lease ended and nothing of it remains. */
  | { kind: 'done'; ends: string; meta?: JsonText }
  /** With `version`: the run is tied to it from now on, and to its workers' pool. */
  | { kind: 'lease'; key: string; lease: string; untilMs: number; holder: string; version?: number; pool?: string }
  /** No call is ready until its task is registered. */
  | { kind: 'park' }
  /** `locked`: what it waited for was this version. */
  | { kind: 'open'; version: number; pool: string | null; locked?: true }
  /** The holder says that it executes the attempt: until then it may never have received it. */
  | { kind: 'begin'; key: string; attempt: number }
  /**
   * The lease is over and the same attempt comes again. It ran out, unless `why` says that its holder gave it back, or reported while the run
   * asked for the call anew. One that had not begun does not count as a start.
   */
  | { kind: 'lapse'; key: string; dueAt: number; why?: 'returned' | 'reported' }
  /** What the run will work on, or when, has changed before it began. `input`: the entry's data takes the input's place. */
  | ({ kind: 'amend'; input?: true; grown?: number; closed?: true; holds?: string[] } & Omit<Amendment, 'input'>)
  | { kind: 'cancelling'; reason?: string; untilMs: number }
  | { kind: 'label'; labels: string[]; remove?: string[] }
  | { kind: 'note'; name: string }
  | { kind: 'end'; status: Exclude<RunStatus, 'running'>; reason?: string; meta?: JsonText };

export type WaitKind =
  | { kind: 'sleep' }
  | { kind: 'event'; name: string; expression?: string }
  | { kind: 'run'; run: string }
  | { kind: 'token'; token: string };
