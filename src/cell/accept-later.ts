import type { Command, CommandResult } from '../../core/model/command.ts';
import { errorCodeOf } from '../../core/model/errors.ts';

/** What the platform throws for an object that is overloaded, was reset or cannot be reached. A refusal of the engine's own has a code. */
export function isUnreachable(error: unknown): boolean {
  if (errorCodeOf(error) !== null || typeof error !== 'object' || error === null) return false;
  return ('overloaded' in error && error.overloaded === true) || ('retryable' in error && error.retryable === true);
}

/**
 * The answer to commands that may be applied later: only those whose result is known in advance, because they name their own ids, and that
 * change nothing when they are applied twice. Null for all others.
 */
export function acceptedWithoutAnswer(commands: Command[]): CommandResult[] | null {
  const results: CommandResult[] = [];
  for (const command of commands) {
    if (command.type === 'ingest' && command.events.every((event) => event.id !== undefined))
      results.push({ type: 'ingest', ids: command.events.map((event) => event.id as string), runs: [] });
    else if (
      command.type === 'start' &&
      command.spec.id !== undefined &&
      command.spec.dedupe === undefined &&
      command.spec.alias === undefined
    )
      results.push({
        type: 'start',
        run: command.spec.id,
        outcome: 'started',
        deduplicated: false,
        createdAt: Date.now(),
      });
    else return null;
  }
  return results;
}
