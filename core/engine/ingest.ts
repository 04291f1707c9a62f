import { compileExpression, isTrue, type JsonValue } from '../events/expression/index.ts';
import type { EventInput, EventRecord } from '../model/event.ts';
import type { TaskRecord } from '../model/task.ts';
import { fireEventGuard } from './guards.ts';
import type { Kernel } from './kernel.ts';
import { holds } from './matching.ts';
import { resolve } from './resolve.ts';
import { start } from './start.ts';
import type { EventTrigger } from './task-book.ts';
import { eventWaiters } from './timers.ts';

export interface Ingested {
  ids: string[];
  runs: Array<{ event: string; task: string; run: string }>;
}

/** Stores events, starts the tasks they trigger and ends the waits they match. An event whose id is known changes nothing. */
export function ingest(k: Kernel, events: EventInput[]): Ingested {
  const result: Ingested = { ids: [], runs: [] };
  for (const event of events) {
    const id = event.id ?? k.ids.next(k.now);
    result.ids.push(id);
    if (event.id !== undefined && k.events.has(id)) continue;
    const record: EventRecord = {
      id,
      dedupeId: event.dedupeId ?? null,
      name: event.name,
      ts: event.ts,
      receivedAt: k.now,
      body: event.body,
      runs: [],
    };
    let parsed: JsonValue | undefined;
    const json = (): JsonValue => (parsed ??= JSON.parse(event.body) as JsonValue);
    const resumed = resumeWaits(k, record, json);
    let taken = false;
    for (const [task, triggers] of k.tasks.startedBy(event.name)) {
      if (event.onlyTask !== undefined && event.onlyTask !== task.id) continue;
      if (!triggers.some((trigger) => matches(k, trigger, json))) continue;
      const key = event.dedupeId === undefined || collects(task) ? null : `event:${task.id}:${event.dedupeId}`;
      const before = key === null ? null : k.names.runOf(key);
      // The same event again may still put off the run that waits for quiet.
      if (before !== null && k.find(before)?.state.head.window?.kind !== 'debounce') continue;
      const { run, outcome } = start(k, { task: task.id, input: null, dueAt: event.ts }, [record]);
      if (outcome === 'dropped') continue;
      taken = true;
      if (key !== null) k.names.put(key, run, k.now + (event.dedupeMs ?? 86_400_000));
      // A run that waits for quiet belongs to the event that it ends up with.
      if (k.find(run)?.state.head.window?.kind !== 'debounce') record.runs.push(run);
      result.runs.push({ event: id, task: task.id, run });
    }
    if (!event.transient || taken || resumed) k.events.insert(record);
  }
  return result;
}

function matches(k: Kernel, trigger: EventTrigger, json: () => JsonValue): boolean {
  if (trigger.expression === undefined) return true;
  const compiled = compileExpression(trigger.expression);
  return compiled.ok && isTrue(compiled.expression, { event: json(), nowMs: k.now });
}

function resumeWaits(k: Kernel, event: EventRecord, json: () => JsonValue): boolean {
  if (!k.waits.waitsFor(event.name)) return false;
  let resumed = false;
  for (const match of k.waits.probes(event.name, json))
    for (const waiter of eventWaiters(k, match)) {
      if (waiter.guard !== null && !holds(waiter.guard, json(), k.now)) continue;
      if (waiter.kind === 'guard') {
        resumed = fireEventGuard(k, waiter, event.name) || resumed;
        continue;
      }
      const wait = k.find(waiter.owner)?.state.pending.get(waiter.key)?.wait;
      if (wait?.kind !== 'event' || wait.name !== event.name) continue;
      // Rows of an older schema have it in the history only.
      if (waiter.guard === null && wait.expression !== undefined && !holds(wait.expression, json(), k.now)) continue;
      resumed = resolve(k, waiter.owner, waiter.key, { source: 'event', data: event.body }) || resumed;
    }
  return resumed;
}

/** Of a batch's events each counts. */
function collects(task: TaskRecord): boolean {
  return task.admit?.some((rule) => rule.kind === 'batch') ?? false;
}
