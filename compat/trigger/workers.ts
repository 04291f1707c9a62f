import type { ResultOf } from '../../core/model/command.ts';
import type { Query, QueryResult } from '../../core/model/query.ts';
import type { CellApi } from '../../core/ports.ts';
import { ApiError } from './errors.ts';
import { sha256Hex } from './ids.ts';
import { COLLECTIONS, groupOf, slugOf, taskIdOf, versionPoolOf } from './names.ts';
import { isRecord, parseJson } from './packets.ts';
import type { EnvironmentType } from './run-meta.ts';
import type { TaskSchedule, TriggerOptions, WorkerTask } from './schema.ts';
import { declarativeCommands } from './schedules.ts';
import { versionAfter, workerIdOf } from './versions.ts';

/** A build of a project's code, as it was registered. */
export interface Worker {
  id: string;
  version: string;
  contentHash: string;
  environmentType: EnvironmentType;
  /** Executed by deployed workers, which have this version only; else by a development session. */
  deployed: boolean;
  /** The name under which it was deployed, if any. */
  externalId?: string;
  /** The engine's versions of its tasks, by slug. */
  tasks?: Record<string, number>;
  /** What its tasks declare, by slug. */
  schedules?: Record<string, TaskSchedule>;
}

/** Attempts at a version number before giving up: each means that another session took it first. */
const MAX_TRIES = 20;

/** The same code again keeps its version; new code gets the day's next number. */
export async function takeVersion(
  cell: CellApi,
  project: string,
  build: Pick<Worker, 'contentHash' | 'environmentType' | 'deployed'>,
  nowMs: number,
): Promise<Worker> {
  for (let i = 0; i < MAX_TRIES; i++) {
    const known = await readWorker(cell, project, 'latest');
    if (known?.contentHash === build.contentHash && known.deployed === build.deployed) return known;
    const version = versionAfter(known?.version ?? null, nowMs);
    const id = workerIdOf(version, await sha256Hex(`${project} ${version} ${build.contentHash}`));
    const data = JSON.stringify({ ...build, id, version } satisfies Worker);
    const [claimed] = await cell.apply([putWorker(project, version, data, true)]);
    const mine = claimed?.type === 'put-record' && claimed.data === data;
    await cell.apply([
      putWorker(project, 'latest', mine || claimed?.type !== 'put-record' ? data : claimed.data, false),
    ]);
    if (mine) return { ...build, id, version };
  }
  throw new ApiError('overloaded', 'Too many workers register at once');
}

/** Keeps which of the engine's versions belong to the build, so that a run can be tied to it. */
export async function keepTaskVersions(
  cell: CellApi,
  project: string,
  worker: Worker,
  { versions }: ResultOf<'register'>,
  declared: readonly WorkerTask[],
): Promise<void> {
  const tasks = Object.fromEntries(Object.entries(versions).map(([id, version]) => [slugOf(id), version]));
  const schedules = Object.fromEntries(declared.flatMap(({ id, schedule }) => (schedule ? [[id, schedule]] : [])));
  const data = JSON.stringify({ ...worker, tasks, schedules } satisfies Worker);
  await cell.apply([putWorker(project, worker.version, data, false), putWorker(project, 'latest', data, false)]);
}

function putWorker(
  project: string,
  version: string,
  data: string,
  ifAbsent: boolean,
): { type: 'put-record'; collection: string; id: string; data: string; ifAbsent?: true } {
  return {
    type: 'put-record',
    collection: COLLECTIONS.workers,
    id: `${project}/${version}`,
    data,
    ...(ifAbsent ? { ifAbsent } : {}),
  };
}

/** A build by its version, or the `latest`. */
export async function readWorker(cell: CellApi, project: string, version: string): Promise<Worker | null> {
  const record = await cell.query({ type: 'record', collection: COLLECTIONS.workers, id: `${project}/${version}` });
  const value = record === null ? null : parseJson(record.data);
  return isRecord(value) && typeof value.id === 'string' && typeof value.contentHash === 'string'
    ? ({ environmentType: 'DEVELOPMENT', deployed: false, ...value } as unknown as Worker)
    : null;
}

/** All builds of a project, newest first, with the time of their registration. */
export async function listWorkers(cell: CellApi, project: string): Promise<Array<Worker & { createdAt: number }>> {
  const builds: Array<Worker & { createdAt: number }> = [];
  const prefix = `${project}/`;
  let cursor: string | undefined = `${prefix}\uffff`;
  do {
    const page: QueryResult<Extract<Query, { type: 'records' }>> = await cell.query({
      type: 'records',
      collection: COLLECTIONS.workers,
      order: 'desc',
      limit: 200,
      cursor,
    });
    for (const { id, data, updatedAt } of page.items) {
      if (!id.startsWith(prefix)) return byVersion(builds);
      const value = id === `${prefix}latest` ? null : parseJson(data);
      if (isRecord(value) && typeof value.id === 'string')
        builds.push({
          environmentType: 'DEVELOPMENT',
          deployed: false,
          ...value,
          createdAt: updatedAt,
        } as unknown as Worker & { createdAt: number });
    }
    ({ cursor } = page);
  } while (cursor !== undefined);
  return byVersion(builds);
}

/** `YYYYMMDD.N`: the number within a day has no fixed width. */
function byVersion<T extends { version: string }>(builds: T[]): T[] {
  const parts = (version: string): [string, number] => [version.slice(0, 8), Number(version.slice(9))];
  return builds.sort((a, b) => {
    const [x, y] = [parts(a.version), parts(b.version)];
    return x[0] === y[0] ? y[1] - x[1] : x[0] < y[0] ? 1 : -1;
  });
}

/** Makes an earlier build the project's current one, with its tasks and the schedules that they declare. */
export async function promoteWorker(cell: CellApi, project: string, worker: Worker): Promise<void> {
  const versions = Object.fromEntries(
    Object.entries(worker.tasks ?? {}).map(([slug, version]) => [taskIdOf(project, slug), version]),
  );
  const declared = Object.entries(worker.schedules ?? {}).map(([id, schedule]) => ({ id, schedule }));
  await cell.apply([
    { type: 'promote', group: groupOf(project), versions },
    ...(await declarativeCommands(cell, project, declared, worker.environmentType)),
    putWorker(project, 'latest', JSON.stringify(worker), false),
  ]);
}

/** What ties a run to a build: the engine's version of its task, and the pool of the build's workers if they are deployed. */
export interface VersionLock {
  version: number;
  pool?: string;
}

/** A run that waits for the deployment of that name. */
export interface AwaitedDeployment {
  deployment: string;
}

/**
 * The lock that a trigger asks for, by version or by the name under which a build was deployed. A version that does not exist locks nothing (trigger.dev: triggerTask looks it up and goes on without).
 * A deployment that does not exist yet is waited for.
 * @throws ApiError 422 for a version that has no such task, and for a queue that no build declares
 */
export async function lockFor(
  cell: CellApi,
  project: string,
  slug: string,
  options: Pick<TriggerOptions, 'lockToVersion' | 'externalDeploymentId' | 'queue'>,
): Promise<VersionLock | AwaitedDeployment | null> {
  const { externalDeploymentId } = options;
  // A client reports both where it knows both; the version governs (trigger.dev: triggerTask.externalDeploymentId.test.ts).
  const named =
    options.lockToVersion ??
    (externalDeploymentId ? await versionOfDeployment(cell, project, externalDeploymentId) : undefined);
  if (named === null && externalDeploymentId) return { deployment: externalDeploymentId };
  const lockToVersion = named ?? undefined;
  if (lockToVersion === undefined || !/^\d{8}\.\d+$/.test(lockToVersion)) return null;
  const worker = await readWorker(cell, project, lockToVersion);
  if (!worker?.tasks) return null;
  const version = Object.hasOwn(worker.tasks, slug) ? worker.tasks[slug] : undefined;
  if (version === undefined)
    throw new ApiError('invalid', `Task "${slug}" is not part of version ${lockToVersion}, to which the run is locked`);
  const queue = options.queue?.name;
  if (
    queue !== undefined &&
    !(await cell.query({ type: 'record', collection: COLLECTIONS.queues, id: `${project}/${queue}` }))
  )
    throw new ApiError(
      'invalid',
      `Specified queue '${queue}' not found or not associated with locked version '${lockToVersion}'.`,
    );
  return { version, ...(worker.deployed ? { pool: versionPoolOf(project, lockToVersion) } : {}) };
}

/** The highest version of that name, null where there is none yet. In development, where no deployment can ever have it, it means nothing. */
async function versionOfDeployment(
  cell: CellApi,
  project: string,
  externalId: string,
): Promise<string | null | undefined> {
  const page = await cell.query({
    type: 'records',
    collection: `${COLLECTIONS.deployments}/${project}`,
    limit: 1_000,
    order: 'desc',
  });
  const named = page.items.flatMap(({ id, data }) => {
    const value = parseJson(data);
    return isRecord(value) && value.externalId === externalId && value.status === 'DEPLOYED' ? [{ version: id }] : [];
  });
  const [newest] = byVersion(named);
  if (newest) return newest.version;
  const latest = await readWorker(cell, project, 'latest');
  return latest && !latest.deployed ? undefined : null;
}
