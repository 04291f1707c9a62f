import { patternsFor } from '../events/patterns.ts';
import type { TaskRecord, TaskSpec, Trigger } from '../model/task.ts';
import type { Sql } from '../ports.ts';

interface TaskRow extends Record<string, string | number> {
  id: string;
  version: number;
  grp: string;
  current: number;
  spec: string;
  created_at: number;
  updated_at: number;
}

export type EventTrigger = Extract<Trigger, { kind: 'event' }>;

/** Registered tasks by id, by version and by the events that start them. The current versions are kept in memory. */
export class TaskBook {
  #sql: Sql;
  #current = new Map<string, TaskRecord & { hash: string }>();
  #versions = new Map<string, TaskRecord>();
  #byPattern = new Map<string, Array<{ task: TaskRecord; trigger: EventTrigger }>>();

  constructor(sql: Sql) {
    this.#sql = sql;
    this.reload();
  }

  reload(): void {
    this.#current.clear();
    this.#versions.clear();
    for (const row of this.#sql.all<TaskRow>(`SELECT * FROM tasks WHERE current = 1`))
      this.#current.set(row.id, { ...recordOf(row), hash: row.spec });
    this.#index();
  }

  #index(): void {
    this.#byPattern.clear();
    for (const task of this.#current.values())
      for (const trigger of task.triggers) {
        if (trigger.kind !== 'event') continue;
        const list = this.#byPattern.get(trigger.pattern);
        if (list) list.push({ task, trigger });
        else this.#byPattern.set(trigger.pattern, [{ task, trigger }]);
      }
  }

  get(id: string): TaskRecord | null {
    return this.#current.get(id) ?? null;
  }

  list(group?: string): TaskRecord[] {
    return [...this.#current.values()].filter((task) => group === undefined || task.group === group);
  }

  /** A version that is not current any more is read once and kept. */
  at(id: string, version: number): TaskRecord | null {
    const current = this.#current.get(id);
    if (current?.version === version) return current;
    const key = `${id} ${version}`;
    let task = this.#versions.get(key);
    if (!task) {
      const row = this.#sql.all<TaskRow>(`SELECT * FROM tasks WHERE id = ? AND version = ?`, id, version)[0];
      if (!row) return null;
      task = recordOf(row);
      this.#versions.set(key, task);
    }
    return task;
  }

  /** Tasks whose triggers name this event, each with its triggers in order. */
  startedBy(eventName: string): Map<TaskRecord, EventTrigger[]> {
    const found = new Map<TaskRecord, EventTrigger[]>();
    for (const pattern of patternsFor(eventName))
      for (const { task, trigger } of this.#byPattern.get(pattern) ?? []) {
        const list = found.get(task);
        if (list) list.push(trigger);
        else found.set(task, [trigger]);
      }
    return found;
  }

  listens(eventName: string): boolean {
    return patternsFor(eventName).some((pattern) => this.#byPattern.has(pattern));
  }

  /** Returns the version, and whether anything was written. An unchanged task keeps its version. */
  put(spec: TaskSpec, nowMs: number): { version: number; modified: boolean } {
    const hash = JSON.stringify(spec);
    const before = this.#current.get(spec.id);
    if (before?.hash === hash) return { version: before.version, modified: false };
    const newest =
      this.#sql.all<{ version: number | null }>(`SELECT max(version) AS version FROM tasks WHERE id = ?`, spec.id)[0]
        ?.version ?? 0;
    const version = newest + 1;
    this.#sql.run(`UPDATE tasks SET current = 0 WHERE id = ? AND current = 1`, spec.id);
    this.#sql.run(
      `INSERT INTO tasks (id, version, grp, current, spec, created_at, updated_at) VALUES (?, ?, ?, 1, ?, ?, ?)`,
      spec.id,
      version,
      spec.group,
      hash,
      before?.createdAt ?? nowMs,
      nowMs,
    );
    this.#current.set(spec.id, { ...spec, version, createdAt: before?.createdAt ?? nowMs, updatedAt: nowMs, hash });
    this.#index();
    return { version, modified: true };
  }

  /** A version that is stored becomes the current one. */
  promote(task: TaskRecord): void {
    const row = this.#sql.all<TaskRow>(`SELECT * FROM tasks WHERE id = ? AND version = ?`, task.id, task.version)[0];
    if (!row) return;
    this.#sql.run(`UPDATE tasks SET current = (version = ?) WHERE id = ?`, task.version, task.id);
    this.#current.set(task.id, { ...recordOf(row), hash: row.spec });
    this.#index();
  }

  remove(id: string): void {
    this.#sql.run(`UPDATE tasks SET current = 0 WHERE id = ? AND current = 1`, id);
    this.#current.delete(id);
    this.#index();
  }
}

function recordOf(row: TaskRow): TaskRecord {
  return {
    ...(JSON.parse(row.spec) as TaskSpec),
    version: row.version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
