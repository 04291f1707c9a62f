import { bindExpression, eventTextOf } from './binding.ts';
import type { RunState } from '../history/state.ts';
import { MAIN, type Op, type Outcome } from '../model/call.ts';
import type { ResultOf, StartResult } from '../model/command.ts';
import { assertNever } from '../model/errors.ts';
import type { HistoryBody, WaitKind } from '../model/history.ts';
import { MAX_PENDING, MAX_STEPS, NEVER_MS } from '../model/limits.ts';
import type { JsonText } from '../model/payload.ts';
import { decideRetry } from '../schedule/backoff.ts';
import { patchDocument } from './document.ts';
import { endRun } from './end.ts';
import { ingest } from './ingest.ts';
import type { Kernel, RunHandle } from './kernel.ts';
import { resolve } from './resolve.ts';
import { start } from './start.ts';
import { awaitToken } from './token.ts';

export interface Report {
  run: string;
  lease?: string;
  attempt?: number;
  outcome: Outcome;
  final: boolean;
  anyLease?: boolean;
}

/** The call that reports, while its lease is live. */
export interface Reporter {
  key: string;
  /** Sequence of the run that the executor was shown. */
  seenSeq: number;
  /** Pull leases are kept through a retry that asks for it. */
  pullLease: string | null;
}

export function report(k: Kernel, command: Report): ResultOf<'report'> {
  const handle = k.findNamed(command.run);
  const answer = (result: ResultOf<'report'>['result'], started: StartResult[] = []): ResultOf<'report'> => ({
    type: 'report',
    result,
    seq: handle?.state.seq ?? 0,
    status: handle?.state.status ?? null,
    started,
  });
  if (!handle) return answer('unknown');
  if (handle.state.status !== 'running') {
    if (command.anyLease) for (const op of command.outcome.ops) applyBeside(k, handle, op);
    return answer('ended');
  }
  const reporter = findReporter(k, handle, command.lease, command.attempt);
  const started: StartResult[] = [];
  if (!reporter && !command.anyLease) {
    keepFinishedSteps(k, handle, command.outcome.ops, started);
    return answer('stale', started);
  }
  if (reporter && command.final) releaseLease(k, handle, reporter, command.lease as string);
  if (reporter && command.final && handle.state.cancelling)
    endRun(k, handle, {
      status: 'cancelled',
      data: null,
      ...(handle.state.reason ? { reason: handle.state.reason } : {}),
    });
  else applyOps(k, handle, reporter, command, started);
  return answer(reporter ? 'live' : 'stale', started);
}

/** A pull lease is over without a report of its holder: this is what becomes of its call. */
export function endLease(k: Kernel, handle: RunHandle, reporter: Reporter, outcome: Outcome): void {
  k.places.releaseCall(handle, reporter.key);
  applyOps(k, handle, reporter, { run: handle.state.head.id, outcome, final: true }, []);
}

function findReporter(
  k: Kernel,
  handle: RunHandle,
  lease: string | undefined,
  attempt: number | undefined,
): Reporter | null {
  if (lease === undefined) return null;
  const push = k.leases.get(lease);
  if (push) return push.run === handle.state.head.id ? { key: push.key, seenSeq: push.seq, pullLease: null } : null;
  for (const pending of handle.state.pending.values()) {
    if (pending.lease === lease && (attempt === undefined || attempt === pending.attempt))
      return { key: pending.key, seenSeq: pending.leaseSeq, pullLease: lease };
  }
  return null;
}

function releaseLease(k: Kernel, handle: RunHandle, reporter: Reporter, token: string): void {
  const push = k.leases.get(token);
  if (push) {
    k.dropPush(push);
    handle.state.startedAt ??= push.takenAt;
  }
  k.places.releaseCall(handle, reporter.key);
}

/**
 * Work that is done is never asked for again, even when the lease under which it was done is not live any more. Nor are the runs that were to be started
 * with it: those that bear a name, so that whoever tells of them too starts none twice.
 */
function keepFinishedSteps(k: Kernel, handle: RunHandle, ops: Op[], started: StartResult[]): void {
  let kept = false;
  for (const op of ops)
    if (op.op === 'step' && !op.error && op.key !== MAIN && !handle.state.stepKeys.has(op.key)) {
      step(k, handle, op, null, false);
      kept = true;
    } else if (kept && op.op === 'start' && (op.spec.id ?? op.spec.dedupe) !== undefined)
      started.push(start(k, op.spec));
}

function step(
  k: Kernel,
  handle: RunHandle,
  op: Extract<Op, { op: 'step' }>,
  reporter: Reporter | null,
  final: boolean,
): void {
  k.append(
    handle,
    {
      kind: 'step',
      key: op.key,
      source: 'call',
      ...(op.error ? { error: true } : {}),
      ...(op.meta === undefined ? {} : { meta: op.meta }),
      ...(op.again === undefined ? {} : { again: op.again }),
      ...(op.then === undefined ? {} : { then: op.then }),
      // The attempt of a pull lease is part of what its holder reports with: it stays.
      ...(reporter?.pullLease === null && !final && (handle.state.pending.get(reporter.key)?.attempt ?? 0) > 0
        ? { renews: reporter.key }
        : {}),
    },
    op.data,
  );
}

function applyOps(
  k: Kernel,
  handle: RunHandle,
  reporter: Reporter | null,
  command: Report,
  started: StartResult[],
): void {
  const { state } = handle;
  const before = handle.entries.length;
  let kept = false;
  let known = false;
  // Asked for by an executor that was not shown it, as it is done since: it may go on when it is.
  const isNews = (key: string): boolean => reporter !== null && state.stepKeys.has(key) && state.seq > reporter.seenSeq;
  // Who tells of its work executes it. Of a push call that is plain from its answer: it costs no entry.
  if (reporter?.pullLease && !command.final && command.outcome.ops.length > 0) begin(k, handle, reporter);
  for (const op of command.outcome.ops) {
    if (state.status !== 'running') return;
    switch (op.op) {
      case 'step':
        if (state.stepKeys.has(op.key)) {
          known = true;
          break;
        }
        if (state.steps.length >= MAX_STEPS)
          return failRun(k, handle, 'too-many-steps', `more than ${MAX_STEPS} steps`);
        step(k, handle, op, reporter, command.final);
        break;
      case 'plan': {
        const calls = op.calls.filter((call) => isNew(state, call.key));
        if (state.pending.size + calls.length > MAX_PENDING)
          return failRun(k, handle, 'too-many-pending', `more than ${MAX_PENDING} calls and waits at once`);
        for (const call of calls) for (const limit of call.limits ?? []) k.places.declare(limit);
        if (calls.length > 0) k.append(handle, { kind: 'plan', calls });
        else known ||= op.calls.some((call) => isNews(call.key));
        break;
      }
      case 'sleep':
        if (isNew(state, op.key)) wait(k, handle, op, { kind: 'sleep' });
        else known ||= isNews(op.key);
        break;
      case 'wait-event': {
        if (!isNew(state, op.key)) {
          known ||= isNews(op.key);
          break;
        }
        const bound =
          op.expression === undefined
            ? null
            : bindExpression(op.expression, eventTextOf(k.eventsOf(handle), state.input));
        if (bound && !bound.ok) return failRun(k, handle, 'bad-expression', bound.message);
        wait(k, handle, op, { kind: 'event', name: op.name, ...(bound ? { expression: bound.bound } : {}) });
        break;
      }
      case 'wait-run': {
        if (!isNew(state, op.key)) {
          known ||= isNews(op.key);
          break;
        }
        if (op.start && !op.start.ifUnknown && !k.tasks.get(op.start.task)) {
          wait(k, handle, op, { kind: 'run', run: '' });
          resolve(k, state.head.id, op.key, {
            source: 'run',
            data: null,
            error: true,
            from: { run: '', status: 'failed', reason: 'unknown-task' },
          });
          break;
        }
        const child = op.start
          ? start(k, { ...op.start, parent: { ...op.start.parent, run: state.head.id, key: op.key } })
          : null;
        if (child) started.push(child);
        // Its start may have ended this very run, whose place it takes.
        if (hasEnded(state)) return;
        const run = child?.run ?? op.run ?? '';
        wait(k, handle, op, { kind: 'run', run });
        if (child?.outcome === 'dropped') {
          resolve(k, state.head.id, op.key, {
            source: 'run',
            data: null,
            error: true,
            from: { run: '', status: 'failed', reason: 'dropped' },
          });
          break;
        }
        resolveIfEnded(k, handle, op.key, run);
        break;
      }
      case 'wait-token':
        if (!isNew(state, op.key)) {
          known ||= isNews(op.key);
          break;
        }
        if (!awaitToken(k, handle, op, (kind) => wait(k, handle, op, kind)))
          return failRun(k, handle, 'signal-conflict', `another run already waits for "${op.token}"`);
        break;
      case 'emit':
        ingest(k, op.events);
        break;
      case 'start':
        started.push(start(k, op.spec));
        break;
      case 'again':
        k.append(handle, { kind: 'again', ...(op.meta === undefined ? {} : { meta: op.meta }) });
        break;
      case 'complete':
        return endRun(k, handle, {
          status: 'completed',
          data: op.output,
          ...metaOf(op.meta ?? command.outcome.meta),
          ...attemptOf(state, reporter),
        });
      case 'cancel':
        return endRun(k, handle, { status: 'cancelled', data: null, reason: op.reason ?? 'cancelled' });
      case 'fail':
        known = known || (op.memoKey !== undefined && state.stepKeys.has(op.memoKey));
        kept = fail(k, handle, reporter, op, command.outcome.meta) || kept;
        break;
      case 'begin':
        if (reporter) begin(k, handle, reporter);
        break;
      case 'label':
      case 'patch':
        applyBeside(k, handle, op);
        break;
      case 'note':
        k.append(handle, { kind: 'note', name: op.name }, op.data);
        break;
      default:
        assertNever(op);
    }
  }
  if (!reporter || !command.final || kept || state.status !== 'running') return;
  // All it told was known already (by a stale report, kept, or told by itself before): what follows that step was not asked for yet, and nothing else would.
  if (known && reporter.key === MAIN && handle.entries.length === before && state.pending.size === 1)
    k.append(handle, { kind: 'again' });
  finish(k, handle, reporter, before, command.outcome.meta);
}

function begin(k: Kernel, handle: RunHandle, { key }: Reporter): void {
  const call = handle.state.pending.get(key);
  if (call && !call.begun) k.append(handle, { kind: 'begin', key, attempt: call.attempt });
}

/** What stands beside a run's course: it may change after the end too. */
function applyBeside(k: Kernel, handle: RunHandle, op: Op): void {
  if (op.op === 'patch') return patchDocument(k, handle, op);
  if (op.op !== 'label') return;
  const known = handle.state.head.labels;
  const labels = [...new Set(op.labels)].filter((label) => !known.includes(label));
  const remove = (op.remove ?? []).filter((label) => known.includes(label) && !op.labels.includes(label));
  if (labels.length > 0 || remove.length > 0)
    k.append(handle, { kind: 'label', labels, ...(remove.length > 0 ? { remove } : {}) });
}

/** Takes the reporting call away, unless the run has asked for it again since the executor last saw the run. */
function finish(k: Kernel, handle: RunHandle, reporter: Reporter, before: number, meta: JsonText | undefined): void {
  const { state } = handle;
  const call = state.pending.get(reporter.key);
  if (call?.kind !== 'call') return;
  // Planned anew under its own key meanwhile: it could not be taken while this lease stood.
  if (call.seq > reporter.seenSeq) return k.rows.recheck(handle, reporter.key);
  if (reporter.key === MAIN && state.againSeq > reporter.seenSeq) {
    // The same row goes on: nothing is written for it.
    if (call.lease !== null) k.append(handle, { kind: 'lapse', key: MAIN, dueAt: k.now, why: 'reported' });
    else k.rows.recheck(handle, MAIN);
    return;
  }
  const last = handle.entries.length > before ? (handle.entries.at(-1)?.body as HistoryBody & { ends?: string }) : null;
  if (last && (last.kind === 'step' || last.kind === 'plan' || last.kind === 'wait') && last.ends === undefined) {
    last.ends = reporter.key;
    state.pending.delete(reporter.key);
  } else {
    k.append(handle, { kind: 'done', ends: reporter.key, ...(meta === undefined ? {} : { meta }) });
  }
}

/** Decides about the failed attempt. True when the call stays: it is made again. */
function fail(
  k: Kernel,
  handle: RunHandle,
  reporter: Reporter | null,
  op: Extract<Op, { op: 'fail' }>,
  outcomeMeta: JsonText | undefined,
): boolean {
  const { state } = handle;
  const call = reporter ? state.pending.get(reporter.key) : undefined;
  const meta = metaOf(op.meta ?? outcomeMeta);
  if (reporter && call && op.retry !== 'never') {
    const task = k.taskOf(handle);
    const decision = decideRetry({
      attempt: call.attempt + 1,
      maxAttempts: k.maxAttemptsOf(handle, call.key),
      policy: call.call?.retry ?? state.head.retry ?? task?.retry ?? { kind: 'constant', delayMs: 1000 },
      random01: k.random.next(),
      nowMs: k.now,
      ...(typeof op.retry === 'object' ? { retryAtMs: op.retry.at } : {}),
    });
    if (decision.retry) {
      const keep = reporter.pullLease !== null && op.keepLeaseUntilMs !== undefined;
      if (keep) k.places.holdCall(handle, reporter.key);
      k.append(
        handle,
        {
          kind: 'retry',
          key: reporter.key,
          attempt: call.attempt + 1,
          dueAt: keep ? (op.keepLeaseUntilMs as number) : decision.atMs,
          ...(keep ? { lease: reporter.pullLease as string } : {}),
          ...(op.next === undefined ? {} : { next: op.next }),
          ...meta,
        },
        op.error,
      );
      return true;
    }
  }
  if (op.memoKey === undefined) {
    endRun(k, handle, { status: 'failed', data: op.error, ...meta, ...attemptOf(state, reporter) });
  } else if (!state.stepKeys.has(op.memoKey)) {
    const waited = state.pending.get(op.memoKey);
    k.append(
      handle,
      { kind: 'step', key: op.memoKey, source: 'call', error: true, again: waited?.again ?? 'each', ...meta },
      op.error,
    );
  }
  return false;
}

function failRun(k: Kernel, handle: RunHandle, code: string, message: string): void {
  endRun(k, handle, { status: 'failed', data: JSON.stringify({ name: code, message }), reason: code });
}

function wait(
  k: Kernel,
  handle: RunHandle,
  op: Extract<Op, { op: 'sleep' | 'wait-event' | 'wait-run' | 'wait-token' }>,
  kind: WaitKind,
): void {
  k.append(handle, {
    kind: 'wait',
    key: op.key,
    wait: kind,
    untilMs: Math.min(op.untilMs ?? NEVER_MS, NEVER_MS),
    ...(op.meta === undefined ? {} : { meta: op.meta }),
    ...(op.again === undefined ? {} : { again: op.again }),
    ...(op.then === undefined ? {} : { then: op.then }),
  });
}

/** A wait for a run that has ended already, or that is not there, ends at once. */
export function resolveIfEnded(k: Kernel, handle: RunHandle, key: string, run: string): void {
  const child = k.find(run)?.state;
  if (child?.status === 'running') return;
  resolve(k, handle.state.head.id, key, {
    source: 'run',
    data: child?.output ?? null,
    error: child?.status !== 'completed',
    from: {
      run,
      status: child?.status ?? 'failed',
      reason: child ? child.reason : 'unknown-run',
      ...metaOf(child?.outcomeMeta ?? undefined),
    },
  });
}

/** The main call's key is no wait's and no planned call's. */
function isNew(state: RunState, key: string): boolean {
  return key !== MAIN && !state.stepKeys.has(key) && !state.pending.has(key);
}

function metaOf(meta: JsonText | undefined): { meta?: JsonText } {
  return meta === undefined ? {} : { meta };
}

function attemptOf(state: RunState, reporter: Reporter | null): { attempt?: number } {
  const attempt = reporter ? state.pending.get(reporter.key)?.attempt : undefined;
  return attempt === undefined ? {} : { attempt };
}

/** Asked where the state may have changed since it was last known to go on. */
function hasEnded(state: RunState): boolean {
  return state.status !== 'running';
}
