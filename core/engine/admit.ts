import type { RunHead } from '../history/state.ts';
import { decideDebounce, isFull } from '../flow/admission.ts';
import { rateIdleAt, rateRoom, type RateState, rateTake } from '../flow/rate.ts';
import type { StartSpec } from '../model/call.ts';
import type { EventRecord } from '../model/event.ts';
import { NEVER_MS } from '../model/limits.ts';
import type { JsonText } from '../model/payload.ts';
import type { Admission, TaskRecord } from '../model/task.ts';
import { assertNever } from '../model/errors.ts';
import { eventTextOf, type KeyReader } from './binding.ts';
import type { Kernel, RunHandle } from './kernel.ts';
import { takeSingle } from './single.ts';
import { closeWindow, openRun } from './window.ts';

/** What is asked for: by an event, or by a start of its own. */
export interface Arrival {
  /** Null where it is not registered yet. */
  task: TaskRecord | null;
  spec: StartSpec;
  events: EventRecord[] | null;
  /** The first of those that a start names by its id. */
  stored: EventRecord[] | null;
  /** Made of the input, where a batch takes events only; to be stored. */
  made: EventRecord | null;
}

export type Admitted =
  | { outcome: 'dropped' }
  /** It is part of a run that has not begun. */
  | { outcome: 'joined'; handle: RunHandle }
  /** The run is made; `skipped`: it ends at once. `window`: it collects first, until `dueAt`, and is asked about the rest when it stops. */
  | { outcome: 'started' | 'skipped'; holds: string[]; window: RunHead['window']; dueAt?: number };

/** Asks a task's admissions, in order, whether, when and with what a run starts. Writes what they remember. */
export function admit(k: Kernel, arrival: Arrival, keys: KeyReader): Admitted {
  const { task, spec } = arrival;
  const rules = spec.admit ?? task?.admit ?? [];
  const holds: string[] = [];
  if (rules.length === 0) return { outcome: 'started', holds, window: null };
  for (const rule of rules)
    switch (rule.kind) {
      case 'rate':
        if (!withinRate(k, rule, keys)) return { outcome: 'dropped' };
        break;
      case 'once': {
        if (keys.isFalse(rule)) break;
        const name = `once:${keys.name(rule)}`;
        if (k.names.runOf(name) !== null) return { outcome: 'dropped' };
        k.names.put(name, '', k.now + rule.ttlMs);
        break;
      }
      case 'single': {
        const single = takeSingle(k, rule, keys);
        if (single === 'taken') return { outcome: 'skipped', holds: [], window: null };
        if (single !== null) holds.push(single);
        break;
      }
      case 'debounce': {
        const name = `window:${keys.name(rule)}`;
        const joined = joinDebounce(k, name, rule, arrival);
        if (joined) return { outcome: 'joined', handle: joined };
        return {
          outcome: 'started',
          holds,
          window: { kind: 'debounce', name, chars: 0 },
          dueAt:
            rule.firstDueAt === undefined
              ? k.now + (rule.atMax === 'hold' ? Math.min(rule.delayMs, rule.maxDelayMs ?? NEVER_MS) : rule.delayMs)
              : Math.max(k.now, rule.firstDueAt),
        };
      }
      case 'batch': {
        // A schedule's tick is no event among others.
        if (spec.scheduledAt !== undefined || (rule.onlyIf !== undefined && !keys.isTrue(rule.onlyIf))) break;
        const event =
          arrival.events?.[0] ??
          (spec.eventIds?.length === 1 ? arrival.stored?.[0] : undefined) ??
          eventOfInput(k, arrival);
        if (!event) break;
        const name = `window:${keys.name(rule)}`;
        const chars = event.body.length;
        const joined = joinBatch(k, name, rule, event);
        if (joined && arrival.stored) k.events.addRun(event.id, joined.state.head.id);
        if (joined) return { outcome: 'joined', handle: joined };
        // One that is full with its first event does not wait for others.
        if (isFull(rule, 1, chars)) return { outcome: 'started', holds, window: null };
        return { outcome: 'started', holds, window: { kind: 'batch', name, chars }, dueAt: k.now + rule.waitMs };
      }
      default:
        assertNever(rule);
    }
  return { outcome: 'started', holds, window: null };
}

function withinRate(k: Kernel, rule: Extract<Admission, { kind: 'rate' }>, keys: KeyReader): boolean {
  if (keys.isFalse(rule)) return true;
  const name = `rate:${keys.name(rule)}`;
  const text = k.names.runOf(name);
  const state = text === null ? null : (JSON.parse(text) as RateState);
  if (rateRoom(rule.bound, state, k.now) < 1) return false;
  const after = rateTake(rule.bound, state, k.now);
  k.names.put(name, JSON.stringify(after), rateIdleAt(rule.bound, after, k.now));
  return true;
}

function joinDebounce(
  k: Kernel,
  name: string,
  rule: Extract<Admission, { kind: 'debounce' }>,
  { spec, events, stored }: Arrival,
): RunHandle | null {
  const handle = openRun(k, name);
  if (!handle) return null;
  const { head } = handle.state;
  const kept = rule.keep === 'last' ? k.firstEventOf(handle) : null;
  const decision = decideDebounce(
    rule,
    { openedMs: head.createdAt, dueAt: head.dueAt, ts: kept?.ts ?? head.createdAt },
    { nowMs: k.now, ts: (events ?? stored)?.[0]?.ts ?? k.now },
  );
  switch (decision.do) {
    case 'ignore':
      return handle;
    case 'renew':
      closeWindow(k, handle);
      return null;
    case 'push':
      break;
    default:
      assertNever(decision);
  }
  const { dueAt, replace } = decision;
  const labels = labelsAfter(head.labels, spec.labels, rule.labelPrefix);
  if (!replace) {
    if (dueAt > head.dueAt) k.append(handle, { kind: 'amend', ...later(head, dueAt) });
    return handle;
  }
  if (labels) handle.labelsBefore ??= head.labels;
  k.append(
    handle,
    {
      kind: 'amend',
      input: true,
      events: events?.map((event) => event.id) ?? spec.eventIds ?? [],
      meta: rule.patch === undefined ? (spec.meta ?? null) : patched(head.meta, rule.patch),
      scheduledAt: spec.scheduledAt ?? null,
      ...(spec.maxAttempts === undefined ? {} : { maxAttempts: spec.maxAttempts }),
      ...(labels ? { labels } : {}),
      ...later(head, dueAt),
    },
    spec.input,
  );
  handle.events = events;
  return handle;
}

/** Undefined where they stay as they are. */
function labelsAfter(
  before: readonly string[],
  brought: string[] | undefined,
  prefix: string | undefined,
): string[] | undefined {
  if (!brought || prefix === undefined) return brought;
  const replacing = brought.filter((label) => label.startsWith(prefix));
  if (replacing.length === 0) return undefined;
  return [...replacing, ...before.filter((label) => !label.startsWith(prefix))];
}

function joinBatch(
  k: Kernel,
  name: string,
  rule: Extract<Admission, { kind: 'batch' }>,
  event: EventRecord,
): RunHandle | null {
  const handle = openRun(k, name);
  if (!handle) return null;
  const { window, eventIds } = handle.state.head;
  const chars = (window?.chars ?? 0) + event.body.length;
  // Read anew when they are asked for: this one is stored at the end of its transition.
  handle.events = null;
  k.append(handle, { kind: 'amend', addEvents: [event.id], grown: chars });
  if (isFull(rule, eventIds.length + 1, chars)) closeWindow(k, handle, k.now);
  return handle;
}

/** A deadline moves with the time from which it counts. */
function later(head: RunHead, dueAt: number): { dueAt?: number; expireAt?: number } {
  const byMs = dueAt - head.dueAt;
  if (byMs <= 0) return {};
  return { dueAt, ...(head.expireAt === null ? {} : { expireAt: head.expireAt + byMs }) };
}

/** An input that is JSON counts as the run's event in expressions; among others it has to be one. Takes the input's place in the arrival. */
function eventOfInput(k: Kernel, arrival: Arrival): EventRecord | null {
  const { spec } = arrival;
  if (spec.eventIds && spec.eventIds.length > 0) return null;
  const body = eventTextOf(null, spec.input);
  if (body === null) return null;
  const value = JSON.parse(body) as { name?: unknown; ts?: unknown } | null;
  const event: EventRecord = {
    id: k.ids.next(k.now),
    dedupeId: null,
    name: typeof value?.name === 'string' ? value.name : spec.task,
    ts: typeof value?.ts === 'number' ? value.ts : k.now,
    receivedAt: k.now,
    body,
    runs: [],
  };
  arrival.made = event;
  arrival.events = [event];
  arrival.spec = { ...spec, input: null };
  return event;
}

function patched(meta: JsonText | null, patch: JsonText): JsonText {
  return JSON.stringify({ ...(JSON.parse(meta ?? '{}') as object), ...(JSON.parse(patch) as object) });
}
