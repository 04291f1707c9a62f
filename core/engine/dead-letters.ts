import type { StartSpec } from '../model/call.ts';
import type { StartResult } from '../model/command.ts';
import { EngineError } from '../model/errors.ts';
import type { Kernel } from './kernel.ts';
import { specOf } from './rerun.ts';
import { start } from './start.ts';

/** Starts the letter's run anew, with its input and settings, and removes the letter. */
export function retryDeadLetter(k: Kernel, id: string, overrides: Partial<StartSpec> = {}): StartResult {
  const letter = k.sql.all<{ run: string }>(`SELECT run FROM dead_letters WHERE id = ?`, id)[0];
  const handle = letter ? k.find(letter.run) : null;
  if (!letter || !handle) throw new EngineError('unknown-dead-letter', `no dead letter "${id}"`);
  k.deadLetters.delete(id);
  return start(k, { ...specOf(handle.state), ...overrides }, null, { run: letter.run, seq: 0 });
}
