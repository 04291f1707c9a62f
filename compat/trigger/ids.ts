import { isId } from '../../core/model/ids.ts';

/** Public ids carry a prefix and are lower case, as the vendor's (they end up in host names of its workers). */
export function publicRunId(run: string): string {
  return `run_${run.toLowerCase()}`;
}

/** The engine's id behind `run_…`, or null for text that is no id. */
export function runIdOf(text: string): string | null {
  const bare = (text.startsWith('run_') ? text.slice(4) : text).toUpperCase();
  return isId(bare) ? bare : null;
}

const RANDOM_BYTES = 16;

/** `<prefix>_` and 32 hexadecimal digits. */
export function newId(prefix: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(RANDOM_BYTES));
  return `${prefix}_${hex(bytes)}`;
}

/** The same id for the same text: a repeated request must not make a second object. */
export async function derivedId(prefix: string, text: string): Promise<string> {
  return `${prefix}_${(await sha256Hex(text)).slice(0, RANDOM_BYTES * 2)}`;
}

export async function sha256Hex(text: string): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))));
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What a worker's request must prove, carried by the snapshot id that it echoes. */
export interface SnapshotRef {
  /** Position in the run's history. */
  seq: number;
  /** Attempt of the main call, from 0. */
  attempt: number;
  /** Absent when no worker holds the run. */
  lease: string | null;
}

const SEQ_DIGITS = 9;

/**
 * `snapshot_<seq><attempt>_<lease>`: workers ignore a snapshot whose id sorts before the one they know, so the sequence comes first with a
 * fixed width (trigger.dev: packages/cli-v3 entryPoints/managed/execution).
 */
export function snapshotId(ref: SnapshotRef): string {
  const seq = ref.seq.toString(32).padStart(SEQ_DIGITS, '0');
  const attempt = ref.attempt.toString(32).padStart(2, '0');
  return `snapshot_${seq}${attempt}${ref.lease === null ? '' : `_${ref.lease}`}`;
}

export function parseSnapshotId(text: string): SnapshotRef | null {
  const match = /^snapshot_([0-9a-v]{9})([0-9a-v]{2})(?:_(.{1,200}))?$/.exec(text);
  if (!match) return null;
  return {
    seq: Number.parseInt(match[1] as string, 32),
    attempt: Number.parseInt(match[2] as string, 32),
    lease: match[3] ?? null,
  };
}
