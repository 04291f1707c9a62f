/** Name under which tasks of this vendor are executed: workers lease them (pull). */
export const EXECUTOR = 'trigger';

const PREFIX = 'trigger/';

/** A task of a project as a task of the engine, and back. */
export function taskIdOf(project: string, task: string): string {
  return `${PREFIX}${project}/${task}`;
}

export function slugOf(taskId: string): string {
  return taskId.slice(taskId.indexOf('/', PREFIX.length) + 1);
}

export function projectOf(taskId: string): string {
  return taskId.slice(PREFIX.length, taskId.indexOf('/', PREFIX.length));
}

/** Tasks of one worker session are registered and replaced together. */
export function groupOf(project: string): string {
  return `${PREFIX}${project}`;
}

/** Workers of a project's environment lease from this pool. */
export function poolOf(project: string): string {
  return `${PREFIX}${project}/dev`;
}

/** Deployed workers of one version lease from this pool too: the runs that are tied to their version. */
export function versionPoolOf(project: string, version: string): string {
  return `${PREFIX}${project}/v/${version}`;
}

/** Names of a project's limits. They are asked in the order of their names, so the environment's, which all share, comes last. */
export const limitKeyOf = {
  /** Counted for each concurrency key by itself. */
  queue: (project: string, queue: string): string => `${PREFIX}${project}/queue/${queue}`,
  /** All concurrency keys of a queue together. */
  queueTotal: (project: string, queue: string): string => `${PREFIX}${project}/queue-total/${queue}`,
  /** A named limit: for each concurrency key by itself, and in all. */
  named: (project: string, name: string): string => `${PREFIX}${project}/limit/${name}`,
  namedTotal: (project: string, name: string): string => `${PREFIX}${project}/limit-total/${name}`,
  environment: (project: string): string => `${PREFIX}${project}/whole-environment`,
};

/** The queue of a task that names none (trigger.dev: run-engine `task/<id>`). */
export function defaultQueueOf(task: string): string {
  return `task/${task}`;
}

/** How the name of a limit begins that a task has for itself; no other name has a slash. */
export const INLINE_PREFIX = 'task/';

/** Schedules of a project, by their public ids. */
export function schedulePrefixOf(project: string): string {
  return `${PREFIX}${project}/`;
}

/** A wait token as a token of the engine. */
export function tokenOf(waitpointId: string): string {
  return `${PREFIX}${waitpointId}`;
}

/** Collections of records kept for this vendor. */
export const COLLECTIONS = {
  workers: `${PREFIX}workers`,
  queues: `${PREFIX}queues`,
  limits: `${PREFIX}limits`,
  /** When the bound of a queue or limit was overridden. */
  overrides: `${PREFIX}overrides`,
  settings: `${PREFIX}settings`,
  batches: `${PREFIX}batches`,
  batchItems: `${PREFIX}batch-items`,
  waitpoints: `${PREFIX}waitpoints`,
  waitpointResults: `${PREFIX}waitpoint-results`,
  waitpointIndex: `${PREFIX}waitpoint-index`,
  waitpointKeys: `${PREFIX}waitpoint-keys`,
  telemetry: `${PREFIX}telemetry`,
  variables: `${PREFIX}variables`,
  keys: `${PREFIX}keys`,
  deployments: `${PREFIX}deployments`,
  inputWaits: `${PREFIX}input-waits`,
} as const;

/** Labels of runs, for lists. */
export const TAG_PREFIX = `${PREFIX}tag/`;
const STREAM_PREFIX = `${PREFIX}stream/`;

export const labelOf = {
  tag: (tag: string): string => TAG_PREFIX + tag,
  batch: (batchId: string): string => `trigger/batch/${batchId}`,
  /** The run has a stream of this name. */
  stream: (stream: string): string => STREAM_PREFIX + stream,
  schedule: (id: string): string => `trigger/schedule/${id}`,
  bulkAction: (id: string): string => `trigger/bulk/${id}`,
};

/** What is listened to in one channel. */
export const channelOf = {
  /** A run's changes and its streams. */
  run: (run: string): string => `${PREFIX}run/${run}`,
  label: (label: string): string => `${PREFIX}label/${label}`,
  /** Workers that hear of their runs. */
  worker: (sid: string): string => `${PREFIX}worker/${sid}`,
};

/** The names of a run's streams, in the order of their making. */
export function streamsOf(run: { labels: readonly string[] }): string[] {
  return run.labels
    .filter((label) => label.startsWith(STREAM_PREFIX))
    .map((label) => label.slice(STREAM_PREFIX.length));
}

/** A run's tags: those of its trigger and those added later. */
export function tagsOf(run: { labels: readonly string[] }): string[] {
  return run.labels.filter((label) => label.startsWith(TAG_PREFIX)).map((label) => label.slice(TAG_PREFIX.length));
}
