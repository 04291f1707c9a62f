import type { JsonText } from './payload.ts';

/** A fact that may start runs and end waits. `body` is what user code receives; the engine parses it only for an expression. */
export interface EventInput {
  /** Internal id; made by the engine when absent. The same id twice is stored once. */
  id?: string;
  /** The sender's own id: starts each task at most once while `dedupeMs` last. */
  dedupeId?: string;
  dedupeMs?: number;
  name: string;
  /** When it happened, in ms. In the future: runs it starts wait until then. */
  ts: number;
  body: JsonText;
  /** Kept only when a trigger or wait takes it. */
  transient?: boolean;
  /** Starts and resumes nothing else than this task, when set. */
  onlyTask?: string;
}

export interface EventRecord {
  id: string;
  dedupeId: string | null;
  name: string;
  ts: number;
  receivedAt: number;
  body: JsonText;
  /** Runs this event started, oldest first. */
  runs: string[];
}
