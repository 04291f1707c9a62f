import type { Command } from '../../../core/model/command.ts';
import type { TaskSpec } from '../../../core/model/task.ts';
import type { CellApi } from '../../../core/ports.ts';
import { ApiError } from '../errors.ts';
import { sha256Hex } from '../ids.ts';
import { machineNameFor } from '../machines.ts';
import { COLLECTIONS, defaultQueueOf, EXECUTOR, groupOf, poolOf, taskIdOf } from '../names.ts';
import { isRecord, parseJson } from '../packets.ts';
import { engineNow, open, projectParam, readBody, rememberProject, type RouteContext } from '../request.ts';
import type { TaskData } from '../run-meta.ts';
import {
  MAX_WORKER_BODY_BYTES,
  RegisterWorkerBodySchema,
  type RegisterWorkerBody,
  type WorkerTask,
} from '../schema.ts';
import { versionAfter, workerIdOf } from '../versions.ts';

interface Worker {
  id: string;
  version: string;
  contentHash: string;
}

/** Attempts at a version number before giving up: each means that another session took it first. */
const MAX_TRIES = 20;

/** POST /api/v1/projects/:project/background-workers — a build of the user's code: its tasks and queues. */
export async function registerWorker(c: RouteContext): Promise<Response> {
  const { cell } = await open(c);
  const project = projectParam(c);
  const { metadata } = await readBody(c, RegisterWorkerBodySchema, MAX_WORKER_BODY_BYTES);
  refuseDuplicates(metadata.tasks);
  const worker = await takeVersion(cell, project, metadata.contentHash, await engineNow(c, cell));
  await cell.apply([
    {
      type: 'register',
      group: groupOf(project),
      replace: true,
      tasks: metadata.tasks.map((task) => taskSpecOf(project, task, worker, metadata)),
    },
    ...queueCommands(project, metadata),
    rememberProject(project),
  ]);
  const warnings = scheduleWarnings(metadata.tasks);
  return c.json(warnings.length > 0 ? { ...worker, warnings } : worker);
}

/** The CLI prints these; its schema knows two codes only (@trigger.dev/core: BackgroundWorkerWarning). */
function scheduleWarnings(tasks: readonly WorkerTask[]): Array<{ code: string; message: string }> {
  return tasks
    .filter((task) => task.schedule !== undefined && task.schedule !== null)
    .map((task) => ({
      code: 'schedule_default_window',
      message: `Schedules are not served yet: task "${task.id}" is registered, but its schedule will not start it.`,
    }));
}

function refuseDuplicates(tasks: readonly WorkerTask[]): void {
  const seen = new Set<string>();
  for (const { id } of tasks) {
    if (seen.has(id)) throw new ApiError('invalid', `Duplicate task id "${id}": each task needs its own`);
    seen.add(id);
  }
}

/** The same code again keeps its version; new code gets the day's next number. */
async function takeVersion(cell: CellApi, project: string, contentHash: string, nowMs: number): Promise<Worker> {
  for (let i = 0; i < MAX_TRIES; i++) {
    const latest = await cell.query({ type: 'record', collection: COLLECTIONS.workers, id: `${project}/latest` });
    const known = latest === null ? null : readWorker(latest.data);
    if (known?.contentHash === contentHash) return known;
    const version = versionAfter(known?.version ?? null, nowMs);
    const worker: Worker = {
      id: workerIdOf(version, await sha256Hex(`${project} ${version} ${contentHash}`)),
      version,
      contentHash,
    };
    const data = JSON.stringify(worker);
    const [claimed] = await cell.apply([
      { type: 'put-record', collection: COLLECTIONS.workers, id: `${project}/${version}`, data, ifAbsent: true },
    ]);
    const mine = claimed?.type === 'put-record' && claimed.data === data;
    await cell.apply([
      {
        type: 'put-record',
        collection: COLLECTIONS.workers,
        id: `${project}/latest`,
        data: mine || claimed?.type !== 'put-record' ? data : claimed.data,
      },
    ]);
    if (mine) return worker;
  }
  throw new ApiError('overloaded', 'Too many workers register at once');
}

function readWorker(text: string): Worker | null {
  const value = parseJson(text);
  return isRecord(value) &&
    typeof value.id === 'string' &&
    typeof value.version === 'string' &&
    typeof value.contentHash === 'string'
    ? { id: value.id, version: value.version, contentHash: value.contentHash }
    : null;
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
    environmentType: 'DEVELOPMENT',
    ...(task.exportName === undefined ? {} : { exportName: task.exportName }),
    ...(queueLimit === undefined ? {} : { queueLimit }),
    ...(task.maxDuration === undefined ? {} : { maxDuration: task.maxDuration }),
    ...(task.ttl === undefined ? {} : { ttl: task.ttl }),
  };
  return {
    id: taskIdOf(project, task.id),
    group: groupOf(project),
    name: task.id,
    executor: EXECUTOR,
    mode: 'pull',
    pool: poolOf(project),
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
