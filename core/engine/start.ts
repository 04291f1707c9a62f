import type { RunHead } from '../history/state.ts';
import { type CallSpec, MAIN, type StartSpec } from '../model/call.ts';
import type { StartResult } from '../model/command.ts';
import { EngineError } from '../model/errors.ts';
import type { EventRecord } from '../model/event.ts';
import { NEVER_MS } from '../model/limits.ts';
import { type Admitted, admit, type Arrival } from './admit.ts';
import { eventTextOf, KeyReader } from './binding.ts';
import { armGuards, begun } from './guards.ts';
import type { Kernel, RunHandle } from './kernel.ts';
import { inOrder } from './limit-order.ts';
import { priorityOf, templateLimits } from './templates.ts';

/** Starts a run, or answers the one that its id, alias or idempotency key names; unless the task's admissions want it otherwise. */
export function start(
  k: Kernel,
  spec: StartSpec,
  events: EventRecord[] | null = null,
  from?: { run: string; seq: number },
): StartResult {
  const known = findKnown(k, spec);
  if (known) return known;
  const released = spec.awaits && k.tasks.get(spec.task);
  // It came while whoever starts the run looked for it.
  if (released && released.release === spec.awaits?.release) {
    const { awaits: _awaits, ...rest } = spec;
    const { version, versionPool: pool } = released;
    return start(k, { ...rest, version, ...(pool === undefined ? {} : { pool }) }, events, from);
  }
  const task = spec.version === undefined ? k.tasks.get(spec.task) : k.tasks.at(spec.task, spec.version);
  if (!task && !spec.ifUnknown)
    throw new EngineError(
      'unknown-task',
      `no task "${spec.task}" is registered${spec.version === undefined ? '' : ` with version ${spec.version}`}`,
    );

  const arrival: Arrival = { task, spec, events, stored: storedEvents(k, spec, events), made: null };
  const keys = new KeyReader(k.now, () => eventTextOf(arrival.events ?? arrival.stored, arrival.spec.input));
  // What goes on from another run, or has begun already, is past that.
  const asked: Admitted =
    from || spec.leased ? { outcome: 'started', holds: [], window: null } : admit(k, arrival, keys);
  const admitted: Admitted =
    asked.outcome === 'started' &&
    asked.window === null &&
    !spec.leased &&
    k.places.skipsStarts(spec.task, arrival.task, spec)
      ? { outcome: 'skipped', holds: [], window: null }
      : asked;
  if (admitted.outcome === 'dropped') return { run: '', outcome: 'dropped', deduplicated: false, createdAt: k.now };
  const handle = admitted.outcome === 'joined' ? admitted.handle : make(k, arrival, keys, admitted, from);
  const { id, createdAt } = handle.state.head;
  if (arrival.made) k.events.insert({ ...arrival.made, runs: [id] });
  // The names of one that joined are not the run's own, which go with it; asked for again, it has joined already.
  const namedUntil = admitted.outcome === 'joined' ? k.now + k.retentionMs : NEVER_MS;
  if (spec.id !== undefined && admitted.outcome === 'joined') k.names.put(joinedName(spec.id), id, namedUntil);
  if (spec.alias !== undefined) k.names.put(`alias:${spec.alias}`, id, namedUntil);
  if (spec.dedupe) k.names.put(`key:${spec.dedupe.key}`, id, spec.dedupe.untilMs);
  if (admitted.outcome === 'skipped') k.end(handle, { status: 'cancelled', data: null, reason: 'skipped' });
  const lease = spec.leased ? takeAtOnce(k, handle, handle.state.head.call.key, spec.leased) : null;
  return { run: id, outcome: admitted.outcome, deduplicated: false, createdAt, ...(lease === null ? {} : { lease }) };
}

function make(
  k: Kernel,
  { task, spec, events }: Arrival,
  keys: KeyReader,
  { outcome, holds, window, dueAt }: Exclude<Admitted, { outcome: 'dropped' | 'joined' }>,
  from: RunHead['from'],
): RunHandle {
  const { executor, mode, pool } = task ?? (spec.ifUnknown as NonNullable<StartSpec['ifUnknown']>);
  const id = spec.id ?? k.ids.next(k.now);
  const call: CallSpec = spec.call ?? { key: MAIN };
  // What depends on its event is decided when it has stopped collecting.
  const decided = window === null && outcome === 'started';
  for (const limit of [...(spec.limits ?? []), ...(call.limits ?? [])]) k.places.declare(limit);
  const head: RunHead = {
    id,
    alias: spec.alias ?? null,
    task: spec.task,
    version: task?.version ?? 0,
    createdAt: k.now,
    dueAt: dueAt ?? Math.max(k.now, spec.dueAt ?? call.dueAt ?? k.now),
    meta: spec.meta ?? null,
    scheduledAt: spec.scheduledAt ?? null,
    parent: spec.parent ?? null,
    eventIds: events ? events.map((event) => event.id) : (spec.eventIds ?? []),
    labels: spec.labels ?? [],
    call,
    maxAttempts: spec.maxAttempts ?? ((task?.binding ?? 'start') === 'start' ? (task?.maxAttempts ?? null) : null),
    retry: spec.retry ?? null,
    limits: inOrder([...(spec.limits ?? []), ...(decided && task ? templateLimits(k, task, keys) : [])]),
    expireAt: spec.expireAt ?? null,
    executor,
    pool: mode === 'pull' ? (spec.pool ?? pool ?? '') : null,
    ...(spec.pool === undefined ? {} : { ownPool: spec.pool }),
    ...(spec.version === undefined ? {} : { locked: true as const }),
    ...(task && !spec.awaits ? {} : { parked: true as const }),
    ...(spec.awaits ? { awaits: spec.awaits } : {}),
    ...(from ? { from } : {}),
    priorityMs: spec.priorityMs ?? (decided && task ? priorityOf(task, keys) : 0),
    guards: outcome === 'skipped' ? null : (spec.guards ?? task?.guards ?? null),
    holds,
    window,
    ...(spec.holder === undefined ? {} : { holder: spec.holder }),
  };
  const handle = k.create(head, spec.input);
  if (events) handle.events = events;
  // An event that is stored by now is kept as long as the run is.
  else if (window?.kind !== 'debounce') for (const event of head.eventIds) k.events.addRun(event, id);
  for (const name of holds) k.names.put(name, id, NEVER_MS);
  if (window) k.names.put(window.name, id, NEVER_MS);
  else if (outcome === 'started') armGuards(k, handle);
  k.places.shareHolds(handle);
  return handle;
}

/** The lease is on disk, as a worker's is, for nobody here would notice that its holder is gone. */
function takeAtOnce(
  k: Kernel,
  handle: RunHandle,
  key: string,
  { holder, untilMs }: NonNullable<StartSpec['leased']>,
): string {
  const lease = k.newLease();
  k.places.takeRates(handle, key);
  begun(k, handle);
  k.append(handle, { kind: 'lease', key, lease, untilMs, holder });
  k.places.holdCall(handle, key);
  return lease;
}

function findKnown(k: Kernel, spec: StartSpec): StartResult | null {
  const run =
    (spec.id !== undefined ? identified(k, spec.id, spec) : null) ??
    (spec.alias !== undefined ? aliased(k, spec.alias, spec.aliasUntil) : null) ??
    (spec.dedupe ? keyed(k, spec.dedupe) : null);
  const handle = run === null ? null : k.find(run);
  return (
    handle && {
      run: handle.state.head.id,
      outcome: 'known',
      deduplicated: true,
      createdAt: handle.state.head.createdAt,
    }
  );
}

/** The run with this id, or the one that a start with it has joined: only where something may be joined is that looked for. */
function identified(k: Kernel, id: string, spec: StartSpec): string | null {
  if (k.find(id)) return id;
  const task = k.tasks.get(spec.task);
  return !task || task.admit || spec.admit ? k.names.runOf(joinedName(id)) : null;
}

function joinedName(id: string): string {
  return `joined:${id}`;
}

/** The first event of those that a start names: what expressions call `event`. */
function storedEvents(k: Kernel, spec: StartSpec, events: EventRecord[] | null): EventRecord[] | null {
  const first = events === null ? spec.eventIds?.[0] : undefined;
  if (first === undefined) return null;
  const event = k.events.get(first);
  return event && [event];
}

/** The run that has this alias, while that keeps others away. */
function aliased(k: Kernel, alias: string, until: StartSpec['aliasUntil']): string | null {
  const run = k.names.runOf(`alias:${alias}`);
  return run === null || (until === 'ended' && k.find(run)?.state.status !== 'running') ? null : run;
}

/** The run that an idempotency key names, while it counts. */
function keyed(k: Kernel, { key, unless }: NonNullable<StartSpec['dedupe']>): string | null {
  const run = k.names.runOf(`key:${key}`);
  if (run === null || !unless) return run;
  const status = k.find(run)?.state.status;
  return status !== undefined && unless.includes(status) ? null : run;
}
