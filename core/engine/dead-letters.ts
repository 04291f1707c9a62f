import type { StartSpec } from '../model/call.ts';
import type { StartResult } from '../model/command.ts';
import { EngineError } from '../model/errors.ts';
import type { Kernel } from './kernel.ts';
import { start } from './start.ts';

/** Starts the letter's run anew, with its input and settings, and removes the letter. */
export function retryDeadLetter(k: Kernel, id: string, overrides: Partial<StartSpec> = {}): StartResult {
  const letter = k.sql.all<{ run: string }>(`SELECT run FROM dead_letters WHERE id = ?`, id)[0];
  const handle = letter ? k.find(letter.run) : null;
  if (!letter || !handle) throw new EngineError('unknown-dead-letter', `no dead letter "${id}"`);
  const { head, input } = handle.state;
  k.deleteDeadLetter(id);
  return start(k, {
    task: head.task,
    input,
    eventIds: head.eventIds,
    call: head.call,
    maxAttempts: head.maxAttempts,
    labels: head.labels,
    limits: head.limits,
    ...(head.meta === null ? {} : { meta: head.meta }),
    ...(head.retry === null ? {} : { retry: head.retry }),
    ...(head.scheduledAt === null ? {} : { scheduledAt: head.scheduledAt }),
    ...overrides,
  });
}
