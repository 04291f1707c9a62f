import type { RunStatus } from '../../../core/model/call.ts';
import type { RunFilter as EngineFilter, RunRecord } from '../../../core/model/query.ts';
import type { CellApi } from '../../../core/ports.ts';
import { apiStatusOf, commonFields, versionOf } from '../api-status.ts';
import { requireScope } from '../auth.ts';
import { parseNaturalDuration } from '../durations.ts';
import { subjectOf } from '../environment-keys.ts';
import { ApiError } from '../errors.ts';
import { publicRunId, runIdOf } from '../ids.ts';
import { metadataOf } from '../metadata-store.ts';
import { groupOf, labelOf, slugOf, tagsOf, taskIdOf } from '../names.ts';
import { engineNow, open, projectParam, requireProject, type RouteContext } from '../request.ts';
import { readRunMeta, readTaskData, slugOfType } from '../run-meta.ts';

const DEFAULT_PAGE = 25;
const MAX_PAGE = 100;
/** Runs looked at for one page of a filter that no index serves. */
const MAX_SCANNED = 5_000;

/** @trigger.dev/core: v3/schemas/api.ts RunStatus, with the words of its earlier versions, which no run has any more. */
const RUN_STATUSES = new Set([
  'DELAYED',
  'PENDING_VERSION',
  'WAITING_FOR_DEPLOY',
  'QUEUED',
  'DEQUEUED',
  'EXECUTING',
  'WAITING',
  'REATTEMPTING',
  'FROZEN',
  'COMPLETED',
  'CANCELED',
  'FAILED',
  'CRASHED',
  'INTERRUPTED',
  'SYSTEM_FAILURE',
  'EXPIRED',
  'TIMED_OUT',
]);

/** What the SDK calls an environment whose slug is another. */
const ALIASES: Readonly<Record<string, string>> = { staging: 'stg' };

export interface RunFilter {
  statuses: string[];
  tasks: string[];
  versions: string[];
  tags: string[];
  queues: string[];
  machines: string[];
  regions: string[];
  /** Of a list for a whole project: names of environments as runs show them. A key is of one already (trigger.dev: ApiRunListPresenter). */
  environments?: string[];
  batch?: string;
  schedule?: string;
  bulkAction?: string;
  isTest?: boolean;
  fromMs?: number;
  toMs?: number;
}

/** GET /api/v1/runs */
export async function listRuns(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret', 'public']);
  const query = c.req.query();
  const nowMs = await engineNow(c, call.cell);
  const filter = readFilter(query, nowMs);
  requireScope(call.access, 'read', [
    ...filter.tags.map((tag) => ['tags', tag] as const),
    ...filter.tasks.map((task) => ['tasks', task] as const),
    ...(filter.batch ? [['batch', filter.batch] as const] : []),
    ['runs', ''],
  ]);
  return c.json(
    await pageOf(call.cell, await requireProject(c, call), filter, query, { nowMs, environmentId: environmentIdOf(c) }),
  );
}

/** GET /api/v1/projects/:project/runs — for personal tokens alone (trigger.dev: api.v1.projects.$projectRef.runs). */
export async function listProjectRuns(c: RouteContext): Promise<Response> {
  const { cell } = await open(c, ['personal']);
  const query = c.req.query();
  const nowMs = await engineNow(c, cell);
  const environments = (query['filter[env]'] ?? '').split(',').filter((name) => name !== '');
  const filter = { ...readFilter(query, nowMs), environments: environments.map((name) => ALIASES[name] ?? name) };
  return c.json(await pageOf(cell, projectParam(c), filter, query, { nowMs, environmentId: environmentIdOf(c) }));
}

export function readFilter(query: Record<string, string>, nowMs: number): RunFilter {
  const list = (name: string): string[] => (query[`filter[${name}]`] ?? '').split(',').filter((text) => text !== '');
  const number = (name: string): number | undefined => {
    const text = query[`filter[createdAt][${name}]`];
    if (text === undefined) return undefined;
    const value = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
    if (Number.isNaN(value)) throw new ApiError('bad_request', `Invalid filter[createdAt][${name}]`);
    return value;
  };
  const period = query['filter[createdAt][period]'];
  const periodMs = period === undefined ? undefined : parseNaturalDuration(period);
  if (periodMs === null) throw new ApiError('bad_request', 'Invalid filter[createdAt][period]');
  const fromMs = number('from') ?? (periodMs === undefined ? undefined : nowMs - periodMs);
  const toMs = number('to');
  const batch = query['filter[batch]'];
  const schedule = query['filter[schedule]'];
  const bulkAction = query['filter[bulkAction]'];
  const isTest = query['filter[isTest]'] || undefined;
  if (isTest !== undefined && isTest !== 'true' && isTest !== 'false')
    throw new ApiError('bad_request', `Invalid value for isTest: ${isTest}`);
  const invalid = list('status').filter((status) => !RUN_STATUSES.has(status));
  if (invalid.length > 0) throw new ApiError('bad_request', `Invalid status values: ${invalid.join(', ')}`);
  return {
    statuses: list('status'),
    tasks: list('taskIdentifier'),
    versions: list('version'),
    tags: list('tag'),
    queues: list('queue'),
    machines: list('machine'),
    regions: list('region'),
    ...(batch === undefined ? {} : { batch }),
    ...(schedule === undefined ? {} : { schedule }),
    ...(bulkAction === undefined ? {} : { bulkAction }),
    ...(isTest === undefined ? {} : { isTest: isTest === 'true' }),
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(toMs === undefined ? {} : { toMs }),
  };
}

export function matchesFilter(record: RunRecord, filter: RunFilter, nowMs: number): boolean {
  const meta = readRunMeta(record.meta);
  const among = (wanted: string[], value: string | undefined): boolean =>
    wanted.length === 0 || (value !== undefined && wanted.includes(value));
  return (
    among(filter.statuses, apiStatusOf(record, nowMs)) &&
    among(filter.tasks, slugOf(record.task)) &&
    among(filter.versions, versionOf(record)) &&
    among(filter.queues, meta.queue) &&
    among(filter.machines, meta.machine) &&
    among(filter.regions, meta.region) &&
    among(filter.environments ?? [], environmentOf(record)) &&
    (filter.tags.length === 0 || filter.tags.some((tag) => tagsOf(record).includes(tag))) &&
    (filter.batch === undefined || meta.batch?.id === filter.batch) &&
    (filter.schedule === undefined || meta.schedule?.id === filter.schedule) &&
    (filter.isTest === undefined || (meta.test ?? false) === filter.isTest)
  );
}

/** Engine statuses that API statuses can have; undefined when any. */
function engineStatusesFor(statuses: readonly string[]): RunStatus[] | undefined {
  const wanted = new Set<RunStatus>();
  for (const status of statuses) {
    if (status === 'COMPLETED') wanted.add('completed');
    else if (['FAILED', 'CRASHED', 'SYSTEM_FAILURE', 'EXPIRED', 'TIMED_OUT'].includes(status)) wanted.add('failed');
    // A run that is being canceled already shows as CANCELED.
    else if (status === 'CANCELED') wanted.add('cancelled').add('running');
    else wanted.add('running');
  }
  return wanted.size === 0 ? undefined : [...wanted];
}

/** What of a filter the engine's indexes serve. */
export function engineFilter(project: string, filter: RunFilter): EngineFilter {
  const labels = [
    ...(filter.batch === undefined ? [] : [labelOf.batch(filter.batch)]),
    ...(filter.schedule === undefined ? [] : [labelOf.schedule(filter.schedule)]),
    ...(filter.bulkAction === undefined ? [] : [labelOf.bulkAction(filter.bulkAction)]),
  ];
  const status = engineStatusesFor(filter.statuses);
  return {
    ...(filter.tasks.length > 0
      ? { tasks: filter.tasks.map((task) => taskIdOf(project, task)) }
      : { taskPrefix: `${groupOf(project)}/` }),
    ...(labels.length === 0 ? {} : { labels }),
    ...(filter.tags.length === 0 ? {} : { anyLabels: filter.tags.map(labelOf.tag) }),
    ...(status === undefined ? {} : { status }),
    ...(filter.fromMs === undefined ? {} : { fromMs: filter.fromMs }),
    ...(filter.toMs === undefined ? {} : { toMs: filter.toMs }),
  };
}

function environmentOf(record: RunRecord): string {
  return slugOfType(readTaskData(record.taskData ?? '{}').environmentType);
}

function environmentIdOf(c: RouteContext): string {
  return subjectOf(c.get('host').context.environment);
}

async function pageOf(
  cell: CellApi,
  project: string,
  filter: RunFilter,
  query: Record<string, string>,
  { nowMs, environmentId }: { nowMs: number; environmentId: string },
): Promise<Record<string, unknown>> {
  const size = Number(query['page[size]'] ?? DEFAULT_PAGE);
  if (!Number.isInteger(size) || size < 1 || size > MAX_PAGE)
    throw new ApiError('bad_request', `Invalid page[size]: a page has 1 to ${MAX_PAGE} runs`);
  const after = query['page[after]'];
  const before = query['page[before]'];
  // A client that goes back from a later page sends both (@trigger.dev/core: CursorPage).
  const backwards = before !== undefined;
  const start = before ?? after;
  let cursor = start === undefined ? undefined : (runIdOf(start) ?? undefined);
  if (start !== undefined && cursor === undefined) throw new ApiError('bad_request', 'Invalid page cursor');
  const where = engineFilter(project, filter);
  const found: RunRecord[] = [];
  let more = false;
  for (let scanned = 0; scanned < MAX_SCANNED;) {
    const page = await cell.query({
      type: 'runs',
      ...where,
      ...(cursor === undefined ? {} : { cursor }),
      order: backwards ? 'asc' : 'desc',
      limit: size + 1,
    });
    for (const record of page.items) if (matchesFilter(record, filter, nowMs)) found.push(record);
    scanned += Math.max(1, page.items.length);
    more = found.length > size;
    cursor = page.cursor;
    if (more || cursor === undefined) break;
  }
  // Not all has been looked at: the next page goes on where this one stopped, though it may be short.
  const stoppedAt = more ? undefined : cursor;
  const shown = found.slice(0, size);
  if (backwards) shown.reverse();
  const first = shown[0];
  const last = shown.at(-1);
  const hasNext = backwards ? true : more;
  const hasPrevious = backwards ? more : after !== undefined;
  const next = hasNext ? last?.id : backwards ? undefined : stoppedAt;
  const previous = hasPrevious ? first?.id : backwards ? stoppedAt : undefined;
  const metadata = await metadataOf(cell, shown);
  return {
    data: shown.map((record, i) => ({
      ...commonFields(record, nowMs),
      ...(metadata[i] ? { metadata: metadata[i] } : {}),
      env: { id: environmentId, name: environmentOf(record) },
    })),
    pagination: {
      ...(next === undefined ? {} : { next: publicRunId(next) }),
      ...(previous === undefined ? {} : { previous: publicRunId(previous) }),
    },
  };
}
