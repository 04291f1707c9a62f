import type { Command } from '../../../core/model/command.ts';
import type { TaskSpec } from '../../../core/model/task.ts';
import type { CellApi } from '../../../core/ports.ts';
import { ApiError } from '../errors.ts';
import { machineNameFor } from '../machines.ts';
import { COLLECTIONS, defaultQueueOf, EXECUTOR, groupOf, poolOf, taskIdOf, versionPoolOf } from '../names.ts';
import { engineNow, open, projectParam, readBody, rememberProject, type RouteContext } from '../request.ts';
import type { TaskData } from '../run-meta.ts';
import { declarativeCommands } from '../schedules.ts';
import {
  MAX_WORKER_BODY_BYTES,
  RegisterWorkerBodySchema,
  type RegisterWorkerBody,
  type WorkerTask,
} from '../schema.ts';
import { keepTaskVersions, takeVersion, type Worker } from '../workers.ts';

/** POST /api/v1/projects/:project/background-workers — a build of the user's code: its tasks and queues. */
export async function registerWorker(c: RouteContext): Promise<Response> {
  const { cell } = await open(c);
  const project = projectParam(c);
  const { metadata } = await readBody(c, RegisterWorkerBodySchema, MAX_WORKER_BODY_BYTES);
  refuseDuplicates(metadata.tasks);
  const { contentHash } = metadata;
  const kind = { contentHash, environmentType: 'DEVELOPMENT' as const, deployed: false };
  const worker = await takeVersion(cell, project, kind, await engineNow(c, cell));
  await registerBuild(cell, project, metadata, worker);
  return c.json({ id: worker.id, version: worker.version, contentHash });
}

/** Makes the build the project's current one: its tasks replace those before. */
export async function registerBuild(
  cell: CellApi,
  project: string,
  metadata: RegisterWorkerBody['metadata'],
  worker: Worker,
): Promise<void> {
  refuseDuplicates(metadata.tasks);
  const schedules = await declarativeCommands(cell, project, metadata.tasks, worker.environmentType);
  const [registered] = await cell.apply([
    {
      type: 'register',
      group: groupOf(project),
      replace: true,
      tasks: metadata.tasks.map((task) => taskSpecOf(project, task, worker, metadata)),
    },
    ...queueCommands(project, metadata),
    ...schedules,
    rememberProject(project),
  ]);
  if (registered?.type === 'register') await keepTaskVersions(cell, project, worker, registered);
}

function refuseDuplicates(tasks: readonly WorkerTask[]): void {
  const seen = new Set<string>();
  for (const { id } of tasks) {
    if (seen.has(id)) throw new ApiError('invalid', `Duplicate task id "${id}": each task needs its own`);
    seen.add(id);
  }
}

export function taskSpecOf(
  project: string,
  task: WorkerTask,
  worker: Worker,
  metadata: RegisterWorkerBody['metadata'],
): TaskSpec {
  const queue = task.queue?.name ?? defaultQueueOf(task.id);
  const declared = metadata.queues?.find((other) => other.name === queue);
  const queueLimit = task.queue?.concurrencyLimit ?? declared?.concurrencyLimit ?? undefined;
  const { retry } = task;
  const data: TaskData = {
    filePath: task.filePath,
    queue,
    machine: machineNameFor(task.machine),
    hasRetry: retry !== undefined,
    workerId: worker.id,
    version: worker.version,
    environmentType: worker.environmentType,
    ...(retry?.outOfMemory?.machine === undefined ? {} : { outOfMemoryMachine: retry.outOfMemory.machine }),
    ...(task.exportName === undefined ? {} : { exportName: task.exportName }),
    ...(queueLimit === undefined ? {} : { queueLimit }),
    ...(task.maxDuration === undefined ? {} : { maxDuration: task.maxDuration }),
    ...(task.ttl === undefined ? {} : { ttl: task.ttl }),
    ...(task.triggerSource === undefined ? {} : { triggerSource: task.triggerSource }),
  };
  return {
    id: taskIdOf(project, task.id),
    group: groupOf(project),
    name: task.id,
    executor: EXECUTOR,
    mode: 'pull',
    pool: poolOf(project),
    // A run is tied to the build that is current when a worker takes it (trigger.dev: run-engine dequeueSystem).
    binding: 'lease',
    ...(worker.deployed ? { versionPool: versionPoolOf(project, worker.version) } : {}),
    triggers: [],
    // No retry settings at all: one attempt (trigger.dev: run-engine retrying.ts). Defaults: @trigger.dev/core v3/utils/retries.ts.
    maxAttempts: retry ? (retry.maxAttempts ?? 3) : 1,
    retry: {
      kind: 'exponential',
      factor: retry?.factor ?? 2,
      minMs: retry?.minTimeoutInMs ?? 1_000,
      maxMs: retry?.maxTimeoutInMs ?? 60_000,
      randomize: retry?.randomize ?? true,
    },
    // Limits depend on the queue and key of each trigger: they come with the run.
    limits: [],
    data: JSON.stringify(data),
  };
}

function queueCommands(project: string, metadata: RegisterWorkerBody['metadata']): Command[] {
  return (metadata.queues ?? []).map((queue) => ({
    type: 'put-record' as const,
    collection: COLLECTIONS.queues,
    id: `${project}/${queue.name}`,
    data: JSON.stringify({ concurrencyLimit: queue.concurrencyLimit ?? null }),
  }));
}
