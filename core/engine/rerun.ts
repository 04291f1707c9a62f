import { foldHistory } from '../history/fold.ts';
import type { Pending, RunState } from '../history/state.ts';
import { MAIN, type StartSpec } from '../model/call.ts';
import type { Command, StartResult } from '../model/command.ts';
import { EngineError } from '../model/errors.ts';
import type { WaitKind } from '../model/history.ts';
import { NEVER_MS } from '../model/limits.ts';
import type { Kernel, RunHandle } from './kernel.ts';
import { resolveIfEnded } from './report.ts';
import { start } from './start.ts';
import { awaitToken } from './token.ts';

/** What a run was started with, as a start of another. Its own names (id, alias, idempotency key) and its parent are not part of it. */
export function specOf({ head, input }: RunState): StartSpec {
  return {
    task: head.task,
    input,
    eventIds: head.eventIds,
    call: head.call,
    labels: head.labels,
    limits: head.limits,
    ...(head.maxAttempts === null ? {} : { maxAttempts: head.maxAttempts }),
    ...(head.meta === null ? {} : { meta: head.meta }),
    ...(head.retry === null ? {} : { retry: head.retry }),
    ...(head.priorityMs === 0 ? {} : { priorityMs: head.priorityMs }),
    ...(head.scheduledAt === null ? {} : { scheduledAt: head.scheduledAt }),
  };
}

/** Starts a run from another's beginning or prefix. The other is only read, whether it has ended or not. */
export function rerun(k: Kernel, command: Extract<Command, { type: 'rerun' }>): StartResult {
  const source = k.findNamed(command.run);
  if (!source) throw new EngineError('unknown-run', `no run "${command.run}"`);
  const { overrides = {} } = command;
  const run = source.state.head.id;
  if (command.from === 'start') return start(k, { ...specOf(source.state), ...overrides }, null, { run, seq: 0 });

  k.flush();
  const seq = 'key' in command.from ? positionBefore(source.state, command.from.key) : command.from.seq;
  const history = k.runs.history(run).filter((entry) => entry.seq <= seq);
  const past = foldHistory(source.state.head, source.state.input, history);
  const atMs = history.at(-1)?.atMs ?? past.head.createdAt;
  const main = past.pending.get(MAIN);
  // The head's own call carries data; one that was asked for later does not, and knows the steps before it.
  const keepsMain = overrides.call !== undefined || main?.seq === 0;
  const { call, ...spec } = specOf(past);
  const answer = start(k, { ...spec, call: keepsMain && call ? call : { key: MAIN }, ...overrides }, null, {
    run,
    seq,
  });
  const handle = k.find(answer.run);
  if (answer.outcome !== 'started' || !handle) return answer;
  copySteps(k, handle, past, new Set(command.reopen ?? []));
  if (overrides.call === undefined) {
    const reopened = 'key' in command.from ? command.from.key : null;
    copyPending(k, handle, past, { delayMs: k.now - atMs, keepsMain, reopened });
  }
  return answer;
}

/** The position just before a step was finished or, where it never was, before the end. */
function positionBefore(state: RunState, key: string): number {
  const finished = state.steps.find((step) => step.key === key);
  if (finished) return finished.seq - 1;
  if (state.status === 'running' && !state.pending.has(key))
    throw new EngineError('unknown-step', `the run has no step "${key}"`);
  return state.status === 'running' ? state.seq : state.seq - 1;
}

function copySteps(k: Kernel, handle: RunHandle, past: RunState, reopen: ReadonlySet<string>): void {
  for (const step of past.steps) {
    if (reopen.has(step.key)) continue;
    k.append(
      handle,
      {
        kind: 'step',
        key: step.key,
        source: step.source,
        ...(step.error ? { error: true } : {}),
        ...(step.meta === null ? {} : { meta: step.meta }),
        ...(step.from === null ? {} : { from: step.from }),
      },
      step.data,
    );
  }
}

/** Calls and waits as they stood, with the time that they had left. The wait for the step from which it goes on is not: the app asks for it again. */
function copyPending(
  k: Kernel,
  handle: RunHandle,
  past: RunState,
  { delayMs, keepsMain, reopened }: { delayMs: number; keepsMain: boolean; reopened: string | null },
): void {
  const others = [...past.pending.values()].filter((pending) => pending.key !== MAIN);
  const calls = others.flatMap((pending) => {
    if (!pending.call) return [];
    // A lease is not taken over: what was in somebody's hands is done at once.
    const dueAt = pending.lease === null ? Math.max(k.now, pending.dueAt + delayMs) : k.now;
    const { data, ...call } = pending.call;
    return [{ ...call, dueAt, ...(data === undefined ? {} : { data }) }];
  });
  const ends = keepsMain ? {} : { ends: MAIN };
  if (calls.length > 0) k.append(handle, { kind: 'plan', calls, ...ends });
  else if (!keepsMain) k.append(handle, { kind: 'done', ends: MAIN });
  const waits = others.filter((pending) => pending.wait !== null);
  for (const pending of waits) if (pending.key !== reopened) copyWait(k, handle, pending, delayMs);
  const asked = waits.some((pending) => pending.key === reopened) || (past.pending.has(MAIN) && !keepsMain);
  if (asked || handle.state.pending.size === 0) k.append(handle, { kind: 'again' });
}

function copyWait(k: Kernel, handle: RunHandle, pending: Pending, delayMs: number): void {
  const wait = (kind: WaitKind): void => {
    k.append(handle, {
      kind: 'wait',
      key: pending.key,
      wait: kind,
      untilMs: pending.dueAt >= NEVER_MS ? NEVER_MS : pending.dueAt + delayMs,
      again: pending.again,
      ...(pending.meta === null ? {} : { meta: pending.meta }),
      ...(pending.then === null ? {} : { then: pending.then }),
    });
  };
  const kind = pending.wait as WaitKind;
  if (kind.kind === 'token') awaitToken(k, handle, { op: 'wait-token', key: pending.key, token: kind.token }, wait);
  else wait(kind);
  if (kind.kind === 'run') resolveIfEnded(k, handle, pending.key, kind.run);
}
