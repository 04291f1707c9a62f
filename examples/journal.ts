import { appendFileSync } from 'node:fs';

export interface JournalEntry {
  vendor: 'inngest' | 'trigger' | 'upstash';
  run: string;
  /** Name of the step, or `run` for the run as a whole. */
  step: string;
  phase: 'start' | 'done' | 'failed';
  /** From 1. */
  attempt: number;
  durationMs?: number;
  message?: string;
}

/** Says what a step did: a line to read, and, where `JOURNAL_FILE` names a file, a line of JSON for a program. */
export function journal(entry: JournalEntry): void {
  const file = process.env.JOURNAL_FILE;
  if (file) appendFileSync(file, `${JSON.stringify({ at: Date.now(), ...entry })}\n`);
  else if (entry.phase !== 'start')
    console.log(`${entry.step} ${entry.phase} (run ${entry.run}, attempt ${entry.attempt}) ${entry.message ?? ''}`);
}
