import { type CallSpec, MAIN } from '../model/call.ts';
import { assertNever } from '../model/errors.ts';
import type { HistoryBody, HistoryEntry } from '../model/history.ts';
import type { Payload } from '../model/payload.ts';
import { type Pending, PendingMap, type RunHead, type RunState } from './state.ts';

/** The state of a run right after its start. */
export function openRun(head: RunHead, input: Payload | null): RunState {
  const state: RunState = {
    head,
    input,
    status: 'running',
    reason: null,
    output: null,
    outcomeMeta: null,
    expireAt: head.expireAt,
    startedAt: null,
    startKept: false,
    endedAt: null,
    cancelling: false,
    version: head.version,
    pool: head.pool,
    locked: head.locked ?? false,
    parked: head.parked ?? false,
    seq: 0,
    againSeq: 0,
    steps: [],
    stepKeys: new Set(),
    pending: new PendingMap(),
    amended: false,
    standsAt: head.createdAt,
  };
  putCall(state, head.call, head.dueAt, 0);
  return state;
}

/** The only place where a run's state changes: every transition appends entries and applies them here. */
export function applyEntry(state: RunState, entry: HistoryEntry): void {
  const { body, atMs, seq } = entry;
  state.seq = seq;
  if (body.begunAt !== undefined) {
    state.startedAt ??= body.begunAt;
    state.startKept = true;
  }
  switch (body.kind) {
    case 'start':
      return;
    case 'step': {
      const waited = state.pending.get(body.key);
      state.steps.push({
        seq,
        atMs,
        key: body.key,
        source: body.source,
        error: body.error ?? false,
        data: entry.data,
        meta: body.meta ?? waited?.meta ?? null,
        from: body.from ?? null,
      });
      state.stepKeys.add(body.key);
      if (body.key !== MAIN) state.pending.delete(body.key);
      if (body.renews !== undefined) renew(state, body.renews);
      const then = body.then ?? waited?.then;
      // The follower may bear this step's own key, but a step that was finished before is not called again.
      // Nor does it take the place of a call or wait that is there already.
      if (then && !state.pending.has(then.key) && (then.key === body.key || !state.stepKeys.has(then.key)))
        putCall(state, then, then.dueAt ?? atMs, seq);
      const again = body.again ?? waited?.again ?? 'none';
      if (again === 'each' || (again === 'last' && !hasLastGroup(state))) askMain(state, atMs, seq);
      // Last, as in the transition: the reporting call goes after what it told has been applied.
      if (body.ends !== undefined) state.pending.delete(body.ends);
      return;
    }
    case 'plan':
      for (const call of body.calls) putCall(state, call, call.dueAt ?? atMs, seq);
      if (body.ends !== undefined) state.pending.delete(body.ends);
      return;
    case 'wait':
      state.pending.set(body.key, {
        key: body.key,
        kind: body.wait.kind,
        dueAt: body.untilMs,
        attempt: 0,
        lease: null,
        leaseSeq: seq,
        opening: false,
        begun: false,
        lapses: 0,
        seq,
        again: body.again ?? 'each',
        call: null,
        priorityMs: 0,
        wait: body.wait,
        then: body.then ?? null,
        meta: body.meta ?? null,
      });
      if (body.ends !== undefined) state.pending.delete(body.ends);
      return;
    case 'retry':
      change(state, body.key, {
        attempt: body.attempt,
        dueAt: body.dueAt,
        lease: body.lease ?? null,
        leaseSeq: seq,
        opening: false,
        begun: false,
        lapses: 0,
      });
      if (body.next) prepareNext(state, body.key, body.next);
      return;
    case 'again':
      if (body.ends !== undefined) state.pending.delete(body.ends);
      askMain(state, atMs, seq);
      return;
    case 'done':
      state.pending.delete(body.ends);
      return;
    case 'lease':
      change(state, body.key, {
        lease: body.lease,
        dueAt: body.untilMs,
        leaseSeq: seq,
        opening: state.startedAt === null,
        begun: false,
      });
      state.startedAt ??= atMs;
      state.startKept = true;
      if (body.version !== undefined) settle(state, body.version, body.pool);
      return;
    case 'park':
      setParked(state, true);
      return;
    case 'open':
      setParked(state, false);
      state.version = body.version;
      state.pool = body.pool;
      if (body.locked) state.locked = true;
      if (state.expireAt !== null) state.expireAt += Math.max(0, atMs - state.head.dueAt);
      return;
    case 'begin':
      change(state, body.key, { begun: true });
      return;
    case 'lapse': {
      const call = state.pending.get(body.key);
      if (call?.opening && !call.begun && body.why !== 'reported') {
        state.startedAt = null;
        state.startKept = false;
      }
      change(state, body.key, {
        lease: null,
        dueAt: body.dueAt,
        opening: false,
        begun: false,
        lapses: (call?.lapses ?? 0) + (body.why === undefined ? 1 : 0),
      });
      return;
    }
    case 'amend':
      if (body.closed) state.standsAt = atMs;
      return amend(state, body, entry.data);
    case 'cancelling':
      state.cancelling = true;
      state.reason = body.reason ?? null;
      return;
    case 'label':
      state.head = {
        ...state.head,
        labels: [...new Set([...state.head.labels, ...body.labels])].filter((label) => !body.remove?.includes(label)),
      };
      return;
    case 'note':
      return;
    case 'end':
      state.status = body.status;
      state.reason = body.reason ?? null;
      state.output = entry.data;
      state.outcomeMeta = body.meta ?? null;
      state.endedAt = atMs;
      state.pending.clear();
      return;
    default:
      assertNever(body);
  }
}

export function foldHistory(head: RunHead, input: Payload | null, entries: Iterable<HistoryEntry>): RunState {
  const state = openRun(head, input);
  for (const entry of entries) applyEntry(state, entry);
  return state;
}

/** The run's head as it is from now on. Applied to a head that has it already, it changes nothing: a run's row may hold its last one. */
function amend(state: RunState, body: Extract<HistoryBody, { kind: 'amend' }>, input: Payload | null): void {
  const { head } = state;
  const { kind: _kind, input: newInput, grown, closed, addEvents, events, expireAt, ...plain } = body;
  const eventIds = events ?? head.eventIds;
  state.head = {
    ...head,
    ...plain,
    eventIds: addEvents ? [...eventIds, ...addEvents.filter((id) => !eventIds.includes(id))] : eventIds,
    expireAt: expireAt === undefined ? head.expireAt : expireAt,
    window: closed ? null : grown !== undefined && head.window ? { ...head.window, chars: grown } : head.window,
  };
  if (expireAt !== undefined) state.expireAt = expireAt;
  if (newInput) state.input = input;
  state.amended = true;
  const first = state.pending.get(head.call.key);
  const placed = [body.dueAt, body.priorityMs, body.limits].some((value) => value !== undefined);
  if (!first?.call || !placed) return;
  // A new object, so that its row is written, and its place looked for, again.
  state.pending.set(first.key, {
    ...first,
    dueAt: body.dueAt ?? first.dueAt,
    priorityMs: priorityOf(state, first.call),
  });
}

function priorityOf({ head }: RunState, call: CallSpec): number {
  return head.priorityMs + (call.priorityMs ?? 0);
}

function putCall(state: RunState, call: CallSpec, dueAt: number, seq: number): void {
  state.pending.set(call.key, {
    key: call.key,
    kind: 'call',
    dueAt,
    attempt: 0,
    lease: null,
    leaseSeq: seq,
    opening: false,
    begun: false,
    lapses: 0,
    seq,
    again: call.again ?? 'none',
    call,
    priorityMs: priorityOf(state, call),
    wait: null,
    then: null,
    meta: null,
  });
}

function change(state: RunState, key: string, changes: Partial<Pending>): void {
  const pending = state.pending.get(key);
  if (pending) state.pending.set(key, { ...pending, ...changes });
}

/** Its calls are other rows now: they are due, or not. */
function setParked(state: RunState, parked: boolean): void {
  state.parked = parked;
  for (const [key, pending] of state.pending) if (pending.kind === 'call') change(state, key, {});
}

/** What the next attempt differs in. */
function prepareNext(state: RunState, key: string, next: { meta?: string; pool?: string }): void {
  const call = state.pending.get(key)?.call;
  if (call && next.meta !== undefined) change(state, key, { call: { ...call, meta: next.meta } });
  if (next.pool !== undefined) state.pool = next.pool;
}

function settle(state: RunState, version: number, pool: string | undefined): void {
  state.version = version;
  state.locked = true;
  if (pool !== undefined) state.pool = pool;
}

/** A finished step gives the call that is under way its retries back. */
function renew(state: RunState, key: string): void {
  if ((state.pending.get(key)?.attempt ?? 0) > 0) change(state, key, { attempt: 0 });
}

function askMain(state: RunState, atMs: number, seq: number): void {
  state.againSeq = seq;
  const main = state.pending.get(MAIN);
  if (!main) putCall(state, { key: MAIN }, atMs, seq);
  // While a worker holds it, its attempt and its time are the holder's: it is asked for again when the holder is done.
  else if (main.lease === null && (main.attempt > 0 || main.dueAt > atMs))
    state.pending.set(MAIN, { ...main, attempt: 0, dueAt: Math.min(main.dueAt, atMs) });
}

function hasLastGroup(state: RunState): boolean {
  for (const pending of state.pending.values()) if (pending.again === 'last' && pending.key !== MAIN) return true;
  return false;
}
