import { setTimeout as delay } from 'node:timers/promises';
import type { Sample } from '../measure.ts';
import type { Handed, TriggerWire } from './trigger-wire.ts';

export const TASK = 'bench-task';
export const CHILD = 'bench-child';
/** Ahead of now, of waits and delayed runs: long enough for all to stand still until then. */
const AHEAD_MS = 150;
const PAGE = 25;
/** What lists are asked for: all, and what each index serves. */
const LISTS = ['', '&filter[status]=QUEUED', `&filter[taskIdentifier]=${TASK}`, '&filter[tag]=one-in-twenty'];

/** On the clock of the server, which is the same machine's. */
const wallMs = (): number => performance.timeOrigin + performance.now();
const nothing = { duplicates: 0, lost: 0 };

export async function answered(wire: TriggerWire, count: number): Promise<Sample> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const at = performance.now();
    await wire.trigger(TASK);
    times.push(performance.now() - at);
  }
  return { of: 'trigger answered', times, ...nothing };
}

/** Trigger answered to message in the hands of a worker whose request is held open. */
export async function handedOut(wire: TriggerWire, count: number): Promise<Sample> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const handed = wire.dequeue().then((messages) => ({ messages, at: performance.now() }));
    await delay(5 + Math.random() * 15);
    const { id } = await wire.trigger(TASK);
    const answeredAt = performance.now();
    const { messages, at } = await handed;
    if (messages[0]?.run.friendlyId !== id) continue;
    // The message may be there before the answer is.
    times.push(Math.max(0, at - answeredAt));
    for (const message of messages) await wire.complete(await wire.start(message));
  }
  return { of: 'trigger answered to message', times, duplicates: 0, lost: count - times.length };
}

/** A delayed run's moment to message. */
export async function due(wire: TriggerWire, count: number): Promise<Sample> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const handed = wire.dequeue().then((messages) => ({ messages, at: wallMs() }));
    const dueAt = Math.ceil(wallMs()) + AHEAD_MS;
    await wire.trigger(TASK, { delay: new Date(dueAt).toISOString() });
    const { messages, at } = await handed;
    if (messages.length === 1) times.push(at - dueAt);
    for (const message of messages) await wire.complete(await wire.start(message));
  }
  return { of: 'due to message', times, duplicates: 0, lost: count - times.length };
}

async function executing(wire: TriggerWire): Promise<Handed> {
  const [handed] = await Promise.all([wire.dequeue(), wire.trigger(TASK)]);
  const started = await wire.start(handed[0]!);
  wire.subscribe(started.run.friendlyId);
  return started;
}

async function ended(wire: TriggerWire, run: Handed): Promise<void> {
  wire.unsubscribe(run.run.friendlyId);
  // A wait leaves the snapshot of the attempt's start behind: the newest is what the worker would name.
  const path = `/engine/v1/dev/runs/${run.run.friendlyId}/snapshots/latest`;
  const { execution } = await wire.call<{ execution: Handed }>('GET', path);
  await wire.complete({ run: run.run, snapshot: execution.snapshot });
}

/** `end` is called to the parent's snapshot that goes on in the worker's hands, with one look between. */
async function resume(
  wire: TriggerWire,
  count: number,
  of: string,
  wait: (run: string) => Promise<() => Promise<void>>,
): Promise<Sample> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const run = await executing(wire);
    const end = await wait(run.run.friendlyId);
    // What the wait itself has changed is told of too, and looked at before.
    await delay(10);
    const resumed = wire.resumed(run.run.friendlyId);
    const at = performance.now();
    await end();
    if (await resumed) times.push(performance.now() - at);
    await ended(wire, run);
  }
  return { of, times, duplicates: 0, lost: count - times.length };
}

export function byToken(wire: TriggerWire, count: number): Promise<Sample> {
  return resume(wire, count, 'completed to snapshot', async (run) => {
    const { id } = await wire.call<{ id: string }>('POST', '/api/v1/waitpoints/tokens', {});
    await wire.call('POST', `/engine/v1/runs/${run}/waitpoints/tokens/${id}/wait`, {});
    return () => wire.call('POST', `/api/v1/waitpoints/tokens/${id}/complete`, { data: 'done' });
  });
}

export function byChild(wire: TriggerWire, count: number): Promise<Sample> {
  return resume(wire, count, 'child completed to snapshot', async (run) => {
    await wire.trigger(CHILD, { parentRunId: run, resumeParentOnCompletion: true });
    const [child] = await wire.dequeue();
    const started = await wire.start(child!);
    return () => wire.complete(started);
  });
}

export async function byClock(wire: TriggerWire, count: number): Promise<Sample> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const run = await executing(wire);
    const id = run.run.friendlyId;
    const dueAt = Math.ceil(wallMs()) + AHEAD_MS;
    const resumed = wire.resumed(id).then((done) => (done ? times.push(wallMs() - dueAt) : 0));
    await wire.call('POST', `/engine/v1/runs/${id}/wait/duration`, { date: new Date(dueAt).toISOString() });
    await resumed;
    await ended(wire, run);
  }
  return { of: 'due to snapshot', times, duplicates: 0, lost: count - times.length };
}

/** Pages from the newest on, by turns of all and of what filters leave. */
export async function pages(wire: TriggerWire, count: number): Promise<Sample> {
  const times: number[] = [];
  const cursors = LISTS.map(() => '');
  for (let i = 0; i < count; i++) {
    const list = i % LISTS.length;
    const path = `/api/v1/runs?page[size]=${PAGE}${LISTS[list]!}${cursors[list]!}`;
    const at = performance.now();
    const page = await wire.call<{ data: unknown[]; pagination: { next?: string } }>('GET', path);
    times.push(performance.now() - at);
    cursors[list] = page.pagination.next === undefined ? '' : `&page[after]=${page.pagination.next}`;
  }
  return { of: 'page', times, ...nothing };
}

/** Each answers the ten that are next; their attempts begin, and end, between two of them. */
export async function dequeues(wire: TriggerWire, count: number): Promise<Sample> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const at = performance.now();
    const messages = await wire.dequeue();
    if (messages.length > 0) times.push(performance.now() - at);
    await Promise.all(messages.map(async (message) => wire.complete(await wire.start(message))));
  }
  return { of: 'dequeue', times, duplicates: 0, lost: count - times.length };
}
