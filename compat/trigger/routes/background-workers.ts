import type { Command } from '../../../core/model/command.ts';
import type { TaskSpec } from '../../../core/model/task.ts';
import type { CellApi, EnvironmentContext } from '../../../core/ports.ts';
import { adoptParked } from '../adopt-parked.ts';
import { shortCodeOf, shownDeploymentId } from '../deployment-ids.ts';
import { ApiError, notServed } from '../errors.ts';
import { machineNameFor } from '../machines.ts';
import {
  COLLECTIONS,
  defaultQueueOf,
  EXECUTOR,
  groupOf,
  INLINE_PREFIX,
  limitKeyOf,
  poolOf,
  taskIdOf,
  versionPoolOf,
} from '../names.ts';
import { engineNow, open, projectParam, readBody, rememberProject, type RouteContext } from '../request.ts';
import type { NamedLimit, TaskData } from '../run-meta.ts';
import { declarativeCommands } from '../schedules.ts';
import {
  MAX_WORKER_BODY_BYTES,
  RegisterWorkerBodySchema,
  type RegisterWorkerBody,
  type WorkerQueue,
  type WorkerTask,
} from '../schema.ts';
import { keepTaskVersions, takeVersion, type Worker } from '../workers.ts';

/** POST /api/v1/projects/:project/background-workers — a build of the user's code: its tasks and queues. */
export async function registerWorker(c: RouteContext): Promise<Response> {
  const { cell } = await open(c);
  const project = projectParam(c);
  const { metadata } = await readBody(c, RegisterWorkerBodySchema, MAX_WORKER_BODY_BYTES);
  refuseDuplicates(metadata.tasks);
  refuseLimits(metadata);
  const { contentHash } = metadata;
  const kind = { contentHash, environmentType: 'DEVELOPMENT' as const, deployed: false };
  const worker = await takeVersion(cell, project, kind, await engineNow(c, cell));
  await registerBuild(cell, project, metadata, worker, c.get('host').context.vars);
  return c.json({ id: worker.id, version: worker.version, contentHash });
}

/** Makes the build the project's current one: its tasks replace those before. */
export async function registerBuild(
  cell: CellApi,
  project: string,
  metadata: RegisterWorkerBody['metadata'],
  worker: Worker,
  vars: EnvironmentContext['vars'],
): Promise<void> {
  refuseDuplicates(metadata.tasks);
  refuseLimits(metadata);
  const schedules = await declarativeCommands(cell, project, metadata.tasks, worker.environmentType);
  const tasks = metadata.tasks.map((task) => taskSpecOf(project, task, worker, metadata));
  await adoptParked(cell, project, tasks, metadata);
  const [registered] = await cell.apply([
    {
      type: 'register',
      group: groupOf(project),
      replace: true,
      tasks,
    },
    ...queueCommands(project, metadata),
    ...environmentCommands(project, vars[ENVIRONMENT_LIMIT]),
    ...schedules,
    rememberProject(project),
  ]);
  if (registered?.type === 'register') await keepTaskVersions(cell, project, worker, registered, metadata.tasks);
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
  const queueTotal = task.queue?.combinedConcurrencyLimit ?? declared?.combinedConcurrencyLimit ?? undefined;
  const limits = namedLimitsOfTask(task, metadata);
  const { retry } = task;
  const data: TaskData = {
    filePath: task.filePath,
    queue,
    machine: machineNameFor(task.machine),
    hasRetry: retry !== undefined,
    ...(retry?.maxAttempts === undefined ? {} : { maxAttempts: retry.maxAttempts }),
    workerId: worker.id,
    version: worker.version,
    environmentType: worker.environmentType,
    ...(retry?.outOfMemory?.machine === undefined ? {} : { outOfMemoryMachine: retry.outOfMemory.machine }),
    ...(task.exportName === undefined ? {} : { exportName: task.exportName }),
    ...(queueLimit === undefined ? {} : { queueLimit }),
    ...(queueTotal === undefined ? {} : { queueTotal }),
    ...(limits.length === 0 ? {} : { limits }),
    ...(task.maxDuration === undefined ? {} : { maxDuration: task.maxDuration }),
    ...(task.ttl === undefined ? {} : { ttl: task.ttl }),
    ...(task.triggerSource === undefined ? {} : { triggerSource: task.triggerSource }),
    ...(worker.deployed ? { deployment: deploymentFacts(worker, metadata) } : {}),
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
    ...(worker.externalId === undefined ? {} : { release: worker.externalId }),
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

function deploymentFacts(
  { id, version, externalId }: Worker,
  { runtime = 'node', runtimeVersion = '' }: RegisterWorkerBody['metadata'],
): NonNullable<TaskData['deployment']> {
  return {
    id: shownDeploymentId(id),
    shortCode: shortCodeOf(version),
    version,
    runtime,
    runtimeVersion,
    ...(externalId === undefined ? {} : { externalId }),
  };
}

/** Queues and limits are known from the build on that declares them: the default queue of each task, those that tasks name, those of their own. */
function queueCommands(project: string, metadata: RegisterWorkerBody['metadata']): Command[] {
  const queues = new Map<string, { concurrencyLimit: number | null; combinedConcurrencyLimit: number | null }>();
  const declare = (name: string, queue: Partial<WorkerQueue> | undefined): void => {
    const before = queues.get(name);
    queues.set(name, {
      concurrencyLimit: queue?.concurrencyLimit ?? before?.concurrencyLimit ?? null,
      combinedConcurrencyLimit: queue?.combinedConcurrencyLimit ?? before?.combinedConcurrencyLimit ?? null,
    });
  };
  for (const queue of metadata.queues ?? []) declare(queue.name, queue);
  for (const task of metadata.tasks) declare(task.queue?.name ?? defaultQueueOf(task.id), task.queue);
  return [
    ...[...queues].map(([name, queue]) => record(COLLECTIONS.queues, `${project}/${name}`, queue)),
    ...limitsOf(metadata).map(({ name, ...bounds }) => record(COLLECTIONS.limits, `${project}/${name}`, bounds)),
  ];
}

function record(collection: string, id: string, value: unknown): Command {
  return { type: 'put-record', collection, id, data: JSON.stringify(value) };
}

/** Named limits, and those that a task has for itself under its own name. */
function limitsOf(metadata: RegisterWorkerBody['metadata']): NamedLimit[] {
  return [
    ...(metadata.concurrencyLimits ?? []).map(shapeOf),
    ...metadata.tasks.flatMap(({ id, concurrency }) =>
      concurrency?.inline ? [shapeOf({ ...concurrency.inline, name: INLINE_PREFIX + id })] : [],
    ),
  ];
}

function shapeOf({
  name,
  perKey,
  total,
}: {
  name: string;
  perKey?: number | undefined;
  total?: number | undefined;
}): NamedLimit {
  return { name, ...(perKey === undefined ? {} : { perKey }), ...(total === undefined ? {} : { total }) };
}

function namedLimitsOfTask(task: WorkerTask, metadata: RegisterWorkerBody['metadata']): NamedLimit[] {
  const declared = new Map(limitsOf(metadata).map((limit) => [limit.name, limit]));
  const names = [...(task.concurrency?.inline ? [INLINE_PREFIX + task.id] : []), ...(task.concurrency?.limits ?? [])];
  return names.map((name) => declared.get(name) ?? { name });
}

/** What cannot be kept is refused: a limit that is not there would let everything through. */
function refuseLimits(metadata: RegisterWorkerBody['metadata']): void {
  const declared = new Set((metadata.concurrencyLimits ?? []).map(({ name }) => name));
  for (const { id, concurrency, gates } of metadata.tasks) {
    if (gates && gates.length > 0) throw notServed(`"gates" of the task "${id}"`);
    const missing = concurrency?.limits?.find((name) => !declared.has(name));
    if (missing !== undefined)
      throw new ApiError('invalid', `The task "${id}" names the concurrency limit "${missing}", which is not declared`);
  }
}

/** The vendor's own variable (its webapp's `env.server.ts`): how many runs of an environment are executed at once. */
const ENVIRONMENT_LIMIT = 'DEFAULT_ENV_EXECUTION_CONCURRENCY_LIMIT';

function environmentCommands(project: string, value: string | undefined): Command[] {
  const max = Number(value ?? '');
  return Number.isInteger(max) && max > 0 ? [{ type: 'set-limit', key: limitKeyOf.environment(project), max }] : [];
}
