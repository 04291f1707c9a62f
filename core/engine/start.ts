import { compileExpression, evaluate, type JsonValue } from '../events/expression/index.ts';
import { eventTextOf } from './binding.ts';
import type { RunHead } from '../history/state.ts';
import { type CallSpec, MAIN, type StartSpec } from '../model/call.ts';
import type { StartResult } from '../model/command.ts';
import { EngineError } from '../model/errors.ts';
import type { EventRecord } from '../model/event.ts';
import { NEVER_MS } from '../model/limits.ts';
import type { LimitSpec, TaskRecord } from '../model/task.ts';
import { inOrder, type Kernel, type RunHandle } from './kernel.ts';

/** Starts a run, or answers the one that its id, alias or idempotency key names. */
export function start(
  k: Kernel,
  spec: StartSpec,
  events: EventRecord[] | null = null,
  from?: { run: string; seq: number },
): StartResult {
  const known = findKnown(k, spec);
  if (known) return known;
  const task = spec.version === undefined ? k.tasks.get(spec.task) : k.tasks.at(spec.task, spec.version);
  if (!task && !spec.ifUnknown)
    throw new EngineError(
      'unknown-task',
      `no task "${spec.task}" is registered${spec.version === undefined ? '' : ` with version ${spec.version}`}`,
    );
  const { executor, mode, pool } = task ?? (spec.ifUnknown as NonNullable<StartSpec['ifUnknown']>);

  const id = spec.id ?? k.ids.next(k.now);
  const call: CallSpec = spec.call ?? { key: MAIN };
  const limits = limitsFor(k, task, spec, events);
  for (const limit of call.limits ?? []) k.putLimit(limit);
  const head: RunHead = {
    id,
    alias: spec.alias ?? null,
    task: spec.task,
    version: task?.version ?? 0,
    createdAt: k.now,
    dueAt: Math.max(k.now, spec.dueAt ?? call.dueAt ?? k.now),
    meta: spec.meta ?? null,
    scheduledAt: spec.scheduledAt ?? null,
    parent: spec.parent ?? null,
    eventIds: events ? events.map((event) => event.id) : (spec.eventIds ?? []),
    labels: spec.labels ?? [],
    call: spec.priorityMs === undefined ? call : { ...call, priorityMs: spec.priorityMs },
    maxAttempts: spec.maxAttempts ?? ((task?.binding ?? 'start') === 'start' ? (task?.maxAttempts ?? null) : null),
    retry: spec.retry ?? null,
    limits,
    expireAt: spec.expireAt ?? null,
    executor,
    pool: mode === 'pull' ? (spec.pool ?? pool ?? '') : null,
    ...(spec.pool === undefined ? {} : { ownPool: spec.pool }),
    ...(spec.version === undefined ? {} : { locked: true as const }),
    ...(task ? {} : { parked: true as const }),
    ...(from ? { from } : {}),
  };
  const handle = k.create(head, spec.input);
  if (events) handle.events = events;
  else for (const event of head.eventIds) k.events.addRun(event, id);
  if (spec.alias !== undefined) k.putName(`alias:${spec.alias}`, id, NEVER_MS);
  if (spec.dedupe) k.putName(`key:${spec.dedupe.key}`, id, spec.dedupe.untilMs);
  if (spec.expireAt !== undefined) k.putExpiry(id, spec.expireAt);
  const lease = spec.leased ? takeAtOnce(k, handle, call.key, spec.leased) : null;
  return { run: id, deduplicated: false, createdAt: k.now, ...(lease === null ? {} : { lease }) };
}

/** The lease is on disk, as a worker's is, for nobody here would notice that its holder is gone. */
function takeAtOnce(
  k: Kernel,
  handle: RunHandle,
  key: string,
  { holder, untilMs }: NonNullable<StartSpec['leased']>,
): string {
  const lease = k.newLease();
  k.append(handle, { kind: 'lease', key, lease, untilMs, holder });
  k.holdCall(handle, key);
  return lease;
}

function findKnown(k: Kernel, spec: StartSpec): StartResult | null {
  const run =
    (spec.id !== undefined && k.find(spec.id) ? spec.id : null) ??
    (spec.alias !== undefined ? k.nameOf(`alias:${spec.alias}`) : null) ??
    (spec.dedupe ? keyed(k, spec.dedupe) : null);
  const handle = run === null ? null : k.find(run);
  return handle && { run: handle.state.head.id, deduplicated: true, createdAt: handle.state.head.createdAt };
}

/** The run that an idempotency key names, while it counts. */
function keyed(k: Kernel, { key, unless }: NonNullable<StartSpec['dedupe']>): string | null {
  const run = k.nameOf(`key:${key}`);
  if (run === null || !unless) return run;
  const status = k.find(run)?.state.status;
  return status !== undefined && unless.includes(status) ? null : run;
}

function limitsFor(k: Kernel, task: TaskRecord | null, spec: StartSpec, events: EventRecord[] | null): LimitSpec[] {
  const templated: LimitSpec[] = (task?.limits ?? []).map(({ expression, ...limit }) => {
    if (expression === undefined) return limit;
    const body = eventTextOf(events, spec.input);
    const compiled = compileExpression(expression);
    const value = compiled.ok
      ? evaluate(compiled.expression, {
          ...(body === null ? {} : { event: JSON.parse(body) as JsonValue }),
          nowMs: k.now,
        })
      : null;
    // A key that cannot be evaluated still bounds: all such runs share one key.
    const text = value?.ok
      ? typeof value.value === 'string'
        ? value.value
        : (JSON.stringify(value.value) ?? 'null')
      : '';
    return { ...limit, key: `${limit.key}:${text}` };
  });
  for (const limit of templated) k.declareLimit(limit);
  for (const limit of spec.limits ?? []) k.putLimit(limit);
  return inOrder([...templated, ...(spec.limits ?? [])]);
}
