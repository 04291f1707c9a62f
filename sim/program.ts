import type { CallSpec, LeasedCall, Op, StepEntry } from '../core/model/call.ts';
import type { LimitSpec } from '../core/model/task.ts';

/** How long a parent that asks again gets the same child. */
const CHILD_KEY_MS = 2 * 86_400_000;
const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/**
 * Simulated user code. Like real workflow code it is called again and again: given the memoised steps it asks for what comes next. It is
 * deterministic, so that a model can say how a run must end.
 */
export interface Program {
  stages: Stage[];
  /** Attempts of the last call that fail; with none left the run fails. */
  failures: number;
  ending: 'complete' | 'fail';
}

export type Stage =
  /** Done by the main call itself, one call each. */
  | { kind: 'step'; step: Work; emits: string | null; spawns: string | null; asksAgain: boolean }
  /** Several steps within one call, each reported on the way. */
  | { kind: 'checkpoint'; keys: string[] }
  /** Calls and waits at the same time; goes on when all are resolved. */
  | { kind: 'group'; again: 'each' | 'last'; branches: Branch[] };

/** A piece of work that fails in its first `failures` attempts. */
export interface Work {
  key: string;
  failures: number;
  /** Attempts used up: the error is memoised and the run goes on, or the run fails. */
  exhausted: 'memo' | 'fail';
  maxAttempts: number | null;
  /** Length of padding in the result. */
  padding: number;
}

export type Branch =
  | { kind: 'call'; key: string; work: Work; then: string | null; limit: LimitSpec | null }
  | { kind: 'sleep'; key: string; ms: number }
  | { kind: 'event'; key: string; name: string; matched: boolean; timeoutMs: number | null }
  | { kind: 'child'; key: string; task: string }
  /** Waits for a run that an earlier step has started: it may have ended since. */
  | { kind: 'join'; key: string; spawnedBy: string }
  | {
      kind: 'token';
      key: string;
      /** A token that other runs wait for too; null: one of its own. */
      shared: string | null;
      exclusive: 'fail' | 'replace' | null;
      timeoutMs: number | null;
    };

/** What an executor sends back for one call: reports on the way, then the last one. */
export interface Execution {
  progress: Op[][];
  final: Op[];
}

export interface Caller {
  n: number;
  /** Number of this execution: results of two executions of the same step differ. */
  execution: number;
  nowMs: number;
  /** Its events start nothing: else tasks that start each other would never come to rest. */
  quiet: boolean;
  /** Holder keeps its lease through a retry until then. */
  keepLeaseUntilMs?: number;
}

/** The number a run works on: from its input, or from its first event. */
export function numberOf(call: LeasedCall): number {
  const text = typeof call.input === 'string' ? call.input : (call.events[0]?.body ?? '{}');
  const value = JSON.parse(text) as { n?: number; data?: { n?: number } };
  return value.n ?? value.data?.n ?? 0;
}

/** A run's id that follows from what it is for: the same however often it is asked for. */
export function idFor(timeMs: number, purpose: string): string {
  let text = '';
  for (let rest = timeMs, i = 0; i < 10; i++, rest = Math.floor(rest / 32)) text = DIGITS[rest % 32] + text;
  text += '00';
  for (let i = 0; i < 14; i++) text += DIGITS[hash(`${i} ${purpose}`) % 32];
  return text;
}

function childIdOf(call: LeasedCall, key: string): string {
  return idFor(call.runCreatedAt, `${call.run} ${key}`);
}

export function execute(program: Program, call: LeasedCall, caller: Caller): Execution {
  return call.key === ''
    ? executeMain(program, call, caller)
    : { progress: [], final: executeBranch(program, call, caller) };
}

function executeMain(program: Program, call: LeasedCall, caller: Caller): Execution {
  const memo = new Map(call.steps.map((step) => [step.key, step]));
  const pending = new Set(call.pending);
  const progress: Op[][] = [];
  for (const stage of program.stages) {
    switch (stage.kind) {
      case 'step': {
        const { step } = stage;
        if (memo.has(step.key)) break;
        if (call.attempt < step.failures) return { progress, final: [failure(step, caller)] };
        const final: Op[] = [{ op: 'step', key: step.key, data: resultOf(step, caller), again: 'each' }];
        if (stage.asksAgain)
          final.splice(0, 1, { ...(final[0] as Op & { op: 'step' }), again: 'none' }, { op: 'again' });
        if (stage.emits) {
          const event = eventOf(stage.emits, caller.n, `${call.run}:${step.key}`, caller.nowMs);
          final.push({ op: 'emit', events: [caller.quiet ? { ...event, onlyTask: 'nothing' } : event] });
        }
        if (stage.spawns)
          final.push({ op: 'start', spec: { ...childSpec(stage.spawns, caller.n), id: childIdOf(call, step.key) } });
        return { progress, final };
      }
      case 'checkpoint':
        for (const key of stage.keys)
          if (!memo.has(key))
            progress.push([{ op: 'step', key, data: `${key}/${caller.n}/${caller.execution}`, again: 'none' }]);
        break;
      case 'group': {
        if (isDone(stage, memo)) break;
        const isFresh = (key: string): boolean => !memo.has(key) && !pending.has(key);
        const fresh = stage.branches.filter(({ key }) => isFresh(key));
        // A follower comes with the step before it, unless it was taken out of a run that goes on from there.
        const reopened = stage.branches.flatMap((branch) =>
          branch.kind === 'call' &&
          branch.then !== null &&
          memo.get(branch.key)?.error === false &&
          isFresh(branch.then)
            ? [branch.then]
            : [],
        );
        return { progress, final: askFor(stage.again, fresh, reopened, call, caller) };
      }
    }
  }
  if (call.attempt < program.failures)
    return { progress, final: [{ op: 'fail', error: '"refused"', retry: 'policy' }] };
  const output = outputOf(program, call.steps, caller.n);
  const final: Op =
    program.ending === 'complete' ? { op: 'complete', output } : { op: 'fail', error: output, retry: 'never' };
  return { progress, final: [final] };
}

function isDone(stage: Stage & { kind: 'group' }, memo: ReadonlyMap<string, StepEntry>): boolean {
  return keysOf(stage, memo).every((key) => memo.has(key));
}

/** The keys that a stage leaves memoised; a follower comes only after a success. */
function keysOf(stage: Stage, memo: ReadonlyMap<string, StepEntry>): string[] {
  switch (stage.kind) {
    case 'step':
      return [stage.step.key];
    case 'checkpoint':
      return stage.keys;
    case 'group':
      return stage.branches.flatMap((branch) =>
        branch.kind === 'call' && branch.then !== null && !memo.get(branch.key)?.error
          ? [branch.key, branch.then]
          : [branch.key],
      );
  }
}

function askFor(
  again: 'each' | 'last',
  branches: Branch[],
  reopened: string[],
  call: LeasedCall,
  caller: Caller,
): Op[] {
  const calls: CallSpec[] = reopened.map((key) => ({ key, again }));
  const ops: Op[] = [];
  for (const branch of branches)
    switch (branch.kind) {
      case 'call':
        calls.push({
          key: branch.key,
          again,
          ...(branch.work.maxAttempts === null ? {} : { maxAttempts: branch.work.maxAttempts }),
          ...(branch.limit === null ? {} : { limits: [branch.limit] }),
          ...(branch.work.padding > 0 ? { data: 'd'.repeat(branch.work.padding) } : {}),
        });
        break;
      case 'sleep':
        ops.push({ op: 'sleep', key: branch.key, untilMs: caller.nowMs + branch.ms, again });
        break;
      case 'event':
        ops.push({
          op: 'wait-event',
          key: branch.key,
          name: branch.name,
          again,
          ...(branch.matched ? { expression: `async.data.n == ${caller.n}` } : {}),
          ...(branch.timeoutMs === null ? {} : { untilMs: caller.nowMs + branch.timeoutMs }),
        });
        break;
      case 'child':
        ops.push({
          op: 'wait-run',
          key: branch.key,
          again,
          start: {
            ...childSpec(branch.task, caller.n),
            dedupe: { key: `${call.run} ${branch.key}`, untilMs: caller.nowMs + CHILD_KEY_MS },
          },
        });
        break;
      case 'join':
        ops.push({ op: 'wait-run', key: branch.key, again, run: childIdOf(call, branch.spawnedBy) });
        break;
      case 'token':
        ops.push({
          op: 'wait-token',
          key: branch.key,
          token: branch.shared ?? `${call.run}:${branch.key}`,
          again,
          ...(branch.exclusive === null ? {} : { exclusive: branch.exclusive }),
          ...(branch.timeoutMs === null ? {} : { untilMs: caller.nowMs + branch.timeoutMs }),
        });
        break;
    }
  return calls.length > 0 ? [...ops, { op: 'plan', calls }] : ops;
}

function childSpec(task: string, n: number): { task: string; input: string } {
  return { task, input: JSON.stringify({ n }) };
}

export function eventOf(
  name: string,
  n: number,
  id: string,
  nowMs: number,
): { id: string; name: string; ts: number; body: string } {
  return { id, name, ts: nowMs, body: JSON.stringify({ name, data: { n } }) };
}

function executeBranch(program: Program, call: LeasedCall, caller: Caller): Op[] {
  for (const stage of program.stages) {
    if (stage.kind !== 'group') continue;
    for (const branch of stage.branches) {
      if (branch.kind !== 'call') continue;
      if (branch.then === call.key)
        return [{ op: 'step', key: call.key, data: `${call.key}/${caller.n}/${caller.execution}` }];
      if (branch.key !== call.key) continue;
      if (call.attempt < branch.work.failures) return [failure(branch.work, caller)];
      return [
        {
          op: 'step',
          key: call.key,
          data: resultOf(branch.work, caller),
          ...(branch.then === null ? {} : { then: { key: branch.then, again: stage.again } }),
        },
      ];
    }
  }
  // A call that no program asks for: one that a lying executor planned.
  return [{ op: 'step', key: call.key, data: '"unasked"' }];
}

function failure(work: Work, caller: Caller): Op {
  return {
    op: 'fail',
    error: `"${work.key} failed"`,
    retry: caller.execution % 5 === 0 ? { at: caller.nowMs + 700 } : 'policy',
    ...(work.exhausted === 'memo' ? { memoKey: work.key } : {}),
    ...(caller.keepLeaseUntilMs === undefined ? {} : { keepLeaseUntilMs: caller.keepLeaseUntilMs }),
  };
}

function resultOf(work: Work, caller: Caller): string {
  return `${work.key}/${caller.n}/${caller.execution}${'.'.repeat(work.padding)}`;
}

/** A digest of all that was memoised: equal for two executions that saw the same, whichever execution did the work. */
export function outputOf(program: Program, steps: readonly StepEntry[], n: number): string {
  const memo = new Map(steps.map((step) => [step.key, step]));
  const parts = program.stages
    .flatMap((stage) => keysOf(stage, memo))
    .map((key) => {
      const step = memo.get(key);
      // A step on the way was done, whether or not its report arrived.
      if (!step) return `${key}/${n}`;
      if (step.source === 'call' && !step.error) return String(step.data).split('/').slice(0, 2).join('/');
      return `${key}:${step.source}${step.error ? '!' : ''}:${hash(String(step.data)).toString(36)}`;
    });
  return parts.join(';');
}

function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

/** The first piece of work whose attempts cannot suffice and that takes the run with it, or null: the run gets to its ending. */
export function fatalWork(program: Program, maxAttempts: number): { key: string } | null {
  for (const stage of program.stages) {
    const works =
      stage.kind === 'step'
        ? [stage.step]
        : stage.kind === 'group'
          ? stage.branches.flatMap((branch) => (branch.kind === 'call' ? [branch.work] : []))
          : [];
    for (const work of works)
      if (work.exhausted === 'fail' && work.failures >= (work.maxAttempts ?? maxAttempts)) return work;
  }
  return program.failures >= maxAttempts ? { key: 'its last call' } : null;
}
