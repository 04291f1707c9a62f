import type { RunState } from '../history/state.ts';
import { NEVER_MS } from '../model/limits.ts';
import { bindExpression, eventTextOf } from './binding.ts';
import type { Kernel, RunHandle } from './kernel.ts';
import { dropTimer, hasTimer, putTimer, type Waiter } from './timers.ts';

/**
 * Guards end a run from outside its own steps. Each is a row of the timer table beside the run's own, whose keys are the user's: owner is
 * this and the run's id. They are no part of the run's state: its head says what they are, its end what they did.
 */
export const GUARD_OWNER = 'guard:';

const START = 'start';
const FINISH = 'finish';
const EXPIRE = 'expire';
const RELEASE = 'release';
/** Keys of the events that cancel: this and the number. */
const EVENT = 'on:';

/** The run stands: from now on it may be ended from outside. `event`: what the expressions call so. */
export function armGuards(k: Kernel, handle: RunHandle): void {
  const { head, input, expireAt } = handle.state;
  const owner = GUARD_OWNER + head.id;
  if (expireAt !== null) putTimer(k, owner, EXPIRE, 'guard', expireAt);
  if (head.awaits) putTimer(k, owner, RELEASE, 'guard', head.dueAt + head.awaits.forMs);
  if (!head.guards) return;
  const { cancelOn = [], startWithinMs } = head.guards;
  const first = k.firstEventOf(handle);
  for (const [i, guard] of cancelOn.entries()) {
    const bound =
      guard.expression === undefined ? null : bindExpression(guard.expression, eventTextOf(first && [first], input));
    // What cannot be bound holds for no event: it was read when the task was registered, so it only takes in too much of this run's own.
    if (bound && !bound.ok) continue;
    const expression = bound?.bound;
    const match = k.waits.matchOf({
      kind: 'event',
      name: guard.name,
      ...(expression === undefined ? {} : { expression }),
    });
    const untilMs = Math.min(
      guard.untilMs ?? NEVER_MS,
      guard.withinMs === undefined ? NEVER_MS : k.now + guard.withinMs,
    );
    if (untilMs <= k.now) continue;
    putTimer(k, owner, EVENT + i, 'guard', untilMs, { match, guard: expression ?? null });
  }
  if (startWithinMs !== undefined) putTimer(k, owner, START, 'guard', k.now + startWithinMs);
}

/** The run's time has changed: its deadline goes with it. */
export function moveExpiry(k: Kernel, { state: { head, expireAt } }: RunHandle): void {
  if (expireAt === null) dropTimer(k, GUARD_OWNER + head.id, EXPIRE);
  else putTimer(k, GUARD_OWNER + head.id, EXPIRE, 'guard', expireAt);
}

/** What the run waited for has come. */
export function released(k: Kernel, handle: RunHandle): void {
  dropTimer(k, GUARD_OWNER + handle.state.head.id, RELEASE);
  moveExpiry(k, handle);
}

/** The run's first lease. */
export function begun(k: Kernel, { state: { head, expireAt } }: RunHandle): void {
  const owner = GUARD_OWNER + head.id;
  if (expireAt !== null) dropTimer(k, owner, EXPIRE);
  if (head.guards?.startWithinMs !== undefined) dropTimer(k, owner, START);
  const finish = head.guards?.finishWithinMs;
  // A process that was lost forgets that the run had begun: the first time counts.
  if (finish !== undefined && !hasTimer(k, owner, FINISH)) putTimer(k, owner, FINISH, 'guard', k.now + finish);
}

/** A worker's first lease has lapsed without a word: the run has not begun after all, and ends where it should have. */
export function unbegun(k: Kernel, handle: RunHandle): void {
  const { head, standsAt, expireAt } = handle.state;
  const owner = GUARD_OWNER + head.id;
  if (head.guards?.finishWithinMs !== undefined) dropTimer(k, owner, FINISH);
  const start = head.guards?.startWithinMs;
  for (const [key, atMs] of [
    [EXPIRE, expireAt],
    [START, start === undefined ? null : standsAt + start],
  ] as const) {
    if (atMs === null) continue;
    if (atMs > k.now) putTimer(k, owner, key, 'guard', atMs);
    else if (endBy(k, handle, key)) return;
  }
}

export function dropGuards(k: Kernel, { head, expireAt }: RunState): void {
  if (head.guards || head.awaits || expireAt !== null)
    k.sql.run(`DELETE FROM pending WHERE owner = ?`, GUARD_OWNER + head.id);
}

/** A guard's time has come. */
export function fireGuard(k: Kernel, row: { owner: string; key: string }): void {
  // Something else that was due at this moment has taken it back.
  if (!hasTimer(k, row.owner, row.key)) return;
  dropTimer(k, row.owner, row.key);
  const handle = k.find(row.owner.slice(GUARD_OWNER.length));
  if (!handle || row.key.startsWith(EVENT)) return;
  const { state } = handle;
  if (row.key === RELEASE) return unreleased(k, handle);
  // What had begun in a process that was lost shows by its steps.
  if (row.key !== FINISH && (state.parked || state.startedAt !== null || state.steps.length > 0)) return;
  endBy(k, handle, row.key);
}

/** What the run waits for has not come in time; that is longer where the run was put off since. */
function unreleased(k: Kernel, handle: RunHandle): void {
  const { head, parked, status } = handle.state;
  if (!head.awaits || !parked || status !== 'running') return;
  const untilMs = head.dueAt + head.awaits.forMs;
  if (untilMs > k.now) putTimer(k, GUARD_OWNER + head.id, RELEASE, 'guard', untilMs);
  else k.end(handle, { status: 'failed', data: JSON.stringify(head.awaits.release), reason: 'unreleased' });
}

/** The event of a guard has come, and its expression holds. False when it stands for another event. */
export function fireEventGuard(k: Kernel, { owner, key }: Waiter, eventName: string): boolean {
  const handle = k.find(owner.slice(GUARD_OWNER.length));
  const guard = handle?.state.head.guards?.cancelOn?.[Number(key.slice(EVENT.length))];
  return handle !== null && guard?.name === eventName && endBy(k, handle, key);
}

function endBy(k: Kernel, handle: RunHandle, key: string): boolean {
  if (handle.state.status !== 'running') return false;
  if (key === EXPIRE) k.end(handle, { status: 'failed', data: null, reason: 'expired' });
  else k.end(handle, { status: 'cancelled', data: null, reason: REASONS[key] ?? 'cancelled-by-event' });
  return true;
}

const REASONS: Record<string, string> = { [START]: 'start-timeout', [FINISH]: 'finish-timeout' };
