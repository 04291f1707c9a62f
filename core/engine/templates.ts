import type { LimitSpec, TaskRecord } from '../model/task.ts';
import type { KeyReader } from './binding.ts';
import type { Kernel } from './kernel.ts';

/** The limits that a task's templates give a run, known from now on. */
export function templateLimits(k: Kernel, task: TaskRecord, keys: KeyReader): LimitSpec[] {
  const limits = task.limits.map(({ expression, ...limit }) =>
    expression === undefined ? limit : { ...limit, sub: keys.text(expression) },
  );
  for (const limit of limits) k.places.declare(limit);
  return limits;
}

/** How much before their time a run's calls stand, by the task's rule. */
export function priorityOf(task: TaskRecord, keys: KeyReader): number {
  const { priority } = task;
  if (!priority) return 0;
  const value = keys.value(priority.expression);
  if (typeof value !== 'number' || !Number.isFinite(value)) return 0;
  const ms = Math.trunc(value) * priority.unitMs;
  return Math.min(priority.maxMs, Math.max(-priority.maxMs, ms)) + 0;
}
