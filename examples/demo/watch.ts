import { readFileSync } from 'node:fs';
import type { JournalEntry } from '../journal.ts';

export type SeenEntry = JournalEntry & { at: number };

/** Follows the file in which the apps note what they did. */
export class JournalWatch {
  readonly entries: SeenEntry[] = [];
  #file: string;
  #readChars = 0;
  #timer: NodeJS.Timeout;

  constructor(file: string, onEntry: (entry: SeenEntry) => void) {
    this.#file = file;
    this.#timer = setInterval(() => this.read(onEntry), 30);
  }

  read(onEntry: (entry: SeenEntry) => void): void {
    const text = readFileSync(this.#file, 'utf8');
    const complete = text.lastIndexOf('\n') + 1;
    const fresh = text.slice(this.#readChars, complete);
    this.#readChars = Math.max(complete, this.#readChars);
    for (const line of fresh.split('\n')) {
      if (line === '') continue;
      const entry = JSON.parse(line) as SeenEntry;
      this.entries.push(entry);
      onEntry(entry);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** Steps that had finished by `beforeMs` and ran to the end once more afterwards. */
export function repeatedSteps(entries: SeenEntry[], beforeMs: number): string[] {
  const finished = new Set(
    entries.filter((entry) => entry.phase === 'done' && entry.step !== 'run' && entry.at < beforeMs).map(keyOf),
  );
  const repeated = entries.filter(
    (entry) => entry.phase === 'start' && entry.step !== 'run' && entry.at >= beforeMs && finished.has(keyOf(entry)),
  );
  return [...new Set(repeated.map(keyOf))];
}

/** A thrown error is not an end of its step: it runs again, as the next attempt. */
export function keyOf(entry: SeenEntry): string {
  return `${entry.vendor} ${entry.run} ${entry.step}`;
}
