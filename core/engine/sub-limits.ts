import { MAIN } from '../model/call.ts';
import type { Command } from '../model/command.ts';
import { counterOf } from '../model/limit.ts';
import type { Kernel } from './kernel.ts';
import { dropTimer, putTimer } from './timers.ts';

/** Owner of the timer that takes the bound of one value of a limit's sub-key back: this and the counter. */
export const SUB_LIMIT_OWNER = 'sub-limit:';

export function setSubLimit(k: Kernel, command: Extract<Command, { type: 'set-sub-limit' }>): void {
  const counter = counterOf(command);
  dropTimer(k, SUB_LIMIT_OWNER + counter, MAIN);
  const { max, untilMs } = command;
  k.places.setSubRule(counter, max);
  if (max !== null && untilMs !== undefined) putTimer(k, SUB_LIMIT_OWNER + counter, MAIN, 'sub-limit', untilMs);
}

/** Its time is over. */
export function endSubLimit(k: Kernel, owner: string): void {
  dropTimer(k, owner, MAIN);
  k.places.setSubRule(owner.slice(SUB_LIMIT_OWNER.length), null);
}
