import { cancelChildrenOf } from './children.ts';
import { dropGuards } from './guards.ts';
import { ingest } from './ingest.ts';
import type { Ending, Kernel, RunHandle } from './kernel.ts';
import { runMatch } from './matching.ts';
import { resolve } from './resolve.ts';
import { start } from './start.ts';
import { waiters } from './timers.ts';

/** Ends a run once: frees what it holds, tells whoever waits, and lets its vendor add what follows, all in this transaction. */
export function endRun(k: Kernel, handle: RunHandle, ending: Ending): void {
  const { state } = handle;
  if (state.status !== 'running') return;
  const run = state.head.id;
  const attempt = ending.attempt ?? Math.max(0, ...[...state.pending.values()].map((pending) => pending.attempt));
  for (const [key, pending] of state.pending) {
    const lease = k.leases.of(run, key);
    if (lease) {
      k.dropPush(lease);
      state.startedAt ??= lease.takenAt;
    }
    if (lease || pending.lease !== null) k.places.releaseCall(handle, key);
  }
  const places = k.places.runLimitsOf(handle);
  k.append(
    handle,
    {
      kind: 'end',
      status: ending.status,
      ...(ending.reason === undefined ? {} : { reason: ending.reason }),
      ...(ending.meta === undefined ? {} : { meta: ending.meta }),
    },
    ending.data,
  );
  dropGuards(k, state);
  const { window, holds } = state.head;
  for (const name of window ? [...holds, window.name] : holds) k.names.drop(name, run);
  if (ending.status === 'cancelled') cancelChildrenOf(k, run);
  afterEnd(k, handle, ending, attempt);
  // Only now: what follows may go on with the place.
  for (const limit of places) k.places.release(limit, state.head.holder ?? run, run);
  for (const waiter of waiters(k, runMatch(run)))
    resolve(k, waiter.run, waiter.key, {
      source: 'run',
      data: ending.data,
      error: ending.status !== 'completed',
      from: {
        run,
        status: ending.status,
        reason: ending.reason ?? null,
        ...(ending.meta === undefined ? {} : { meta: ending.meta }),
      },
    });
}

function afterEnd(k: Kernel, handle: RunHandle, ending: Ending, attempt: number): void {
  const { state } = handle;
  const { head } = state;
  const translator = k.translators[head.executor];
  if (!translator?.ended) return;
  const task = k.taskOf(handle);
  const deadLetterId = k.ids.next(k.now);
  const effects = translator.ended(
    {
      run: head.id,
      alias: head.alias,
      task: { id: head.task, executor: head.executor, data: task?.data ?? '{}' },
      status: ending.status,
      output: ending.status === 'completed' ? ending.data : null,
      error: ending.status === 'completed' ? null : ending.data,
      reason: ending.reason ?? null,
      input: state.input,
      meta: head.meta,
      events: k.eventsOf(handle),
      createdAt: head.createdAt,
      startDueAt: head.dueAt,
      endedAt: k.now,
      attempt,
      outcomeMeta: ending.meta ?? null,
      parent: head.parent,
      scheduledAt: head.scheduledAt,
      labels: head.labels,
      holder: head.holder ?? head.id,
      steps: state.steps,
      deadLetterId,
      listens: (name) => k.listens(name),
    },
    k.records.reader,
  );
  if (effects.deadLetter) k.deadLetters.put(deadLetterId, head.id, effects.deadLetter.data);
  // A task that was removed since is not started: a run's end never fails, or it would be tried for ever.
  for (const spec of effects.starts ?? []) if (k.tasks.get(spec.task)) start(k, spec);
  if (effects.events && effects.events.length > 0) ingest(k, effects.events);
}
