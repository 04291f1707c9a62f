import { compileExpression, isTrue, type JsonValue } from '../events/expression/index.ts';
import type { EventInput, EventRecord } from '../model/event.ts';
import type { Kernel } from './kernel.ts';
import { holds } from './matching.ts';
import { resolve } from './resolve.ts';
import { start } from './start.ts';
import type { EventTrigger } from './task-book.ts';

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
    for (const [task, triggers] of k.tasks.startedBy(event.name)) {
      if (event.onlyTask !== undefined && event.onlyTask !== task.id) continue;
      if (!triggers.some((trigger) => matches(k, trigger, json))) continue;
      const key = event.dedupeId === undefined ? null : `event:${task.id}:${event.dedupeId}`;
      if (key !== null && k.nameOf(key) !== null) continue;
      const { run } = start(k, { task: task.id, input: null, dueAt: event.ts }, [record]);
      if (key !== null) k.putName(key, run, k.now + (event.dedupeMs ?? 86_400_000));
      record.runs.push(run);
      result.runs.push({ event: id, task: task.id, run });
    }
    if (!event.transient || record.runs.length > 0 || resumed) k.events.insert(record);
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
    for (const waiter of k.waiters(match)) {
      const wait = k.find(waiter.run)?.state.pending.get(waiter.key)?.wait;
      if (wait?.kind !== 'event' || wait.name !== event.name) continue;
      if (wait.expression !== undefined && !holds(wait.expression, json(), k.now)) continue;
      resumed = resolve(k, waiter.run, waiter.key, { source: 'event', data: event.body }) || resumed;
    }
  return resumed;
}
