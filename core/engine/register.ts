import type { Command, ResultOf } from '../model/command.ts';
import { EngineError } from '../model/errors.ts';
import type { TaskRecord, TaskSpec } from '../model/task.ts';
import { poolBucket } from '../flow/backlogs.ts';
import type { Kernel } from './kernel.ts';
import { openParked } from './orphan.ts';
import { deleteSchedule, putSchedule, schedules } from './schedules.ts';

/** Cron triggers of a task are schedules of this prefix and the trigger's number. */
function cronPrefix(task: string): string {
  return `task:${task}:`;
}

export function register(k: Kernel, command: Extract<Command, { type: 'register' }>): ResultOf<'register'> {
  const versions: Record<string, number> = {};
  let modified = false;
  for (const task of command.tasks) {
    const known = k.tasks.get(task.id);
    const { index: before = [], log } = known ?? {};
    const { version, modified: changed } = k.tasks.put(task, k.now);
    versions[task.id] = version;
    const record = k.tasks.get(task.id);
    if (record) openParked(k, record);
    if (known?.mode === 'pull' && record?.binding === 'current') leavePool(k, record, known.pool ?? '');
    for (const kind of task.index ?? []) if (version > 1 && !before.includes(kind)) k.runs.indexAll(task.id, kind);
    if (task.log !== undefined && version > 1 && log !== task.log) k.runs.logAll(task.id, task.log);
    if (changed) {
      modified = true;
      armCrons(k, task);
    }
  }
  const removed = command.replace
    ? k.tasks
        .list(command.group)
        .filter((task) => !(task.id in versions))
        .map((task) => task.id)
    : [];
  for (const id of removed) removeTask(k, id);
  return { type: 'register', modified: modified || removed.length > 0, versions, removed };
}

export function unregister(k: Kernel, group: string): ResultOf<'unregister'> {
  const removed = k.tasks.list(group).map((task) => task.id);
  for (const id of removed) removeTask(k, id);
  return { type: 'unregister', removed };
}

export function promote(k: Kernel, command: Extract<Command, { type: 'promote' }>): ResultOf<'promote'> {
  for (const [id, version] of Object.entries(command.versions)) {
    const task = k.tasks.at(id, version);
    if (task?.group !== command.group) throw new EngineError('unknown-task', `no task "${id}" of version ${version}`);
    k.tasks.promote(task);
    armCrons(k, task);
    openParked(k, task);
  }
  const removed = k.tasks
    .list(command.group)
    .filter((task) => !(task.id in command.versions))
    .map((task) => task.id);
  for (const id of removed) removeTask(k, id);
  return { type: 'promote', removed };
}

/** A task that its workers asked for is pushed now, or another pool's: what waits for them goes where the others of the task go. */
function leavePool(k: Kernel, task: TaskRecord, pool: string): void {
  if (task.mode === 'pull' && (task.pool ?? '') === pool) return;
  k.flush();
  const waiting = k.sql.all<{ owner: string; key: string }>(
    `SELECT pending.owner, pending.key FROM pending JOIN runs ON runs.id = pending.owner WHERE pending.bucket = ? AND runs.task = ?`,
    poolBucket(pool),
    task.id,
  );
  for (const { owner, key } of waiting) {
    const handle = k.find(owner);
    const call = handle?.state.pending.get(key);
    if (handle && call) k.moveLease(handle, key, call.dueAt);
  }
}

function removeTask(k: Kernel, id: string): void {
  k.tasks.remove(id);
  for (const schedule of schedules(k, cronPrefix(id))) deleteSchedule(k, schedule.id);
}

function armCrons(k: Kernel, task: TaskSpec): void {
  const wanted = new Map<string, Extract<TaskSpec['triggers'][number], { kind: 'cron' }>>(
    task.triggers.flatMap((trigger, i) =>
      trigger.kind === 'cron' ? [[`${cronPrefix(task.id)}${i}`, trigger] as const] : [],
    ),
  );
  for (const schedule of schedules(k, cronPrefix(task.id)))
    if (!wanted.has(schedule.id)) deleteSchedule(k, schedule.id);
  for (const [id, trigger] of wanted)
    putSchedule(k, {
      id,
      cron: trigger.cron,
      start: { task: task.id, input: null },
      ...(trigger.timezone === undefined ? {} : { timezone: trigger.timezone }),
      ...(trigger.jitterMs === undefined ? {} : { jitterMs: trigger.jitterMs }),
    });
}
