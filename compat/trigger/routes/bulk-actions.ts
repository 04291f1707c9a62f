import type { CellApi } from '../../../core/ports.ts';
import { bulkPrefixOf, bulkResponse, partsOf, readBulkData, sweepsOf, type BulkData } from '../bulk.ts';
import { parseNaturalDuration } from '../durations.ts';
import { ApiError } from '../errors.ts';
import { runIdOf, sha256Hex } from '../ids.ts';
import { COLLECTIONS } from '../names.ts';
import { isRecord, parseJson } from '../packets.ts';
import { engineNow, open, param, readBody, requestKey, requireProject, type RouteContext } from '../request.ts';
import { BulkActionBodySchema, MAX_BULK_RUNS, MAX_SMALL_BODY_BYTES, type BulkFilter } from '../schema.ts';
import { engineFilter, matchesFilter, type RunFilter } from './run-list.ts';

const DEFAULT_PAGE = 25;
const MAX_PAGE = 100;
/** How long a repeated request answers the action that it made the first time. */
const REQUEST_KEY_MS = 3_600_000;

/** POST /api/v1/bulk-actions — cancels or replays the runs that match now; it goes on by itself. */
export async function createBulkAction(c: RouteContext): Promise<Response> {
  const call = await open(c);
  const { cell } = call;
  const body = await readBody(c, BulkActionBodySchema, MAX_SMALL_BODY_BYTES);
  const project = await requireProject(c, call);
  const nowMs = await engineNow(c, cell);
  const digest = (await sha256Hex(`bulk ${project} ${requestKey(c)}`)).slice(0, 16);
  const wanted = `bulk_${nowMs.toString(36).padStart(9, '0')}${digest}`;
  const [claim] = await cell.apply([
    {
      type: 'put-record',
      collection: COLLECTIONS.keys,
      id: `bulk/${digest}`,
      data: JSON.stringify({ id: wanted }),
      ifAbsent: true,
      expiresAt: nowMs + REQUEST_KEY_MS,
    },
  ]);
  const claimed = claim?.type === 'put-record' ? parseJson(claim.data) : null;
  const id = isRecord(claimed) && typeof claimed.id === 'string' ? claimed.id : wanted;
  const runs = body.runIds
    ? [...new Set(body.runIds.map((run) => runIdOf(run) ?? run))]
    : await matchingRuns(cell, project, filterOf(body.filter as BulkFilter, nowMs), nowMs);
  const data: BulkData = {
    id,
    action: body.action,
    total: runs.length,
    ...(body.name === undefined ? {} : { name: body.name }),
    ...(body.targetRegion === undefined ? {} : { region: body.targetRegion }),
  };
  await cell.apply(sweepsOf(project, data, runs).map((sweep) => ({ type: 'sweep' as const, sweep })));
  return c.json({ id });
}

/** GET /api/v1/bulk-actions — newest first. */
export async function listBulkActions(c: RouteContext): Promise<Response> {
  const call = await open(c);
  const { cell } = call;
  const project = await requireProject(c, call);
  const query = c.req.query();
  const size = Math.min(MAX_PAGE, Math.max(1, Number(query['page[size]'] ?? DEFAULT_PAGE) || DEFAULT_PAGE));
  const after = query['page[after]'];
  const before = query['page[before]'];
  // A client that goes back from a later page sends both (@trigger.dev/core: CursorPage).
  const isBackwards = before !== undefined;
  const edge = before ?? after;
  // Every action has a first part; its others are read with it.
  const found: string[] = [];
  let cursor = edge === undefined ? undefined : `${bulkPrefixOf(project)}${edge}.${isBackwards ? '999' : '000'}`;
  do {
    const page = await cell.query({
      type: 'sweeps',
      prefix: bulkPrefixOf(project),
      order: isBackwards ? 'asc' : 'desc',
      limit: 200,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const sweep of page.items) if (sweep.id.endsWith('.000')) found.push(readBulkData(sweep)?.id ?? '');
    ({ cursor } = page);
  } while (cursor !== undefined && found.length <= size);
  const shown = found.slice(0, size);
  if (isBackwards) shown.reverse();
  const more = found.length > size;
  const data = await Promise.all(shown.map((id) => objectOf(cell, project, id)));
  return c.json({
    data: data.filter((item) => item !== null),
    pagination: {
      ...((isBackwards ? edge !== undefined : more) && shown.length > 0 ? { next: shown.at(-1) } : {}),
      ...((isBackwards ? more : after !== undefined) && shown.length > 0 ? { previous: shown[0] } : {}),
    },
  });
}

/** GET /api/v1/bulk-actions/:bulk */
export async function retrieveBulkAction(c: RouteContext): Promise<Response> {
  const call = await open(c);
  const found = await objectOf(call.cell, await requireProject(c, call), param(c, 'bulk'));
  if (!found) throw new ApiError('not_found', 'Bulk action not found');
  return c.json(found);
}

/** POST /api/v1/bulk-actions/:bulk/abort — what it has done stays done. */
export async function abortBulkAction(c: RouteContext): Promise<Response> {
  const call = await open(c);
  const id = param(c, 'bulk');
  const parts = await partsOf(call.cell, await requireProject(c, call), id);
  if (parts.length === 0) throw new ApiError('not_found', 'Bulk action not found');
  if (!parts.some((part) => part.status === 'running'))
    throw new ApiError('conflict', 'Bulk action is already completed');
  await call.cell.apply(parts.map((part) => ({ type: 'stop-sweep' as const, id: part.id })));
  return c.json({ id });
}

async function objectOf(cell: CellApi, project: string, id: string): Promise<Record<string, unknown> | null> {
  const parts = /^bulk_[0-9a-z]{1,60}$/.test(id) ? await partsOf(cell, project, id) : [];
  const data = parts[0] && readBulkData(parts[0]);
  return data ? bulkResponse(data, parts) : null;
}

async function matchingRuns(cell: CellApi, project: string, filter: RunFilter, nowMs: number): Promise<string[]> {
  const runs: string[] = [];
  const where = engineFilter(project, filter);
  let cursor: string | undefined;
  do {
    const page = await cell.query({ type: 'runs', ...where, limit: 500, ...(cursor === undefined ? {} : { cursor }) });
    for (const record of page.items) if (matchesFilter(record, filter, nowMs)) runs.push(record.id);
    if (runs.length > MAX_BULK_RUNS)
      throw new ApiError(
        'invalid',
        `More than ${MAX_BULK_RUNS} runs match: narrow the filter, for example by its time`,
      );
    ({ cursor } = page);
  } while (cursor !== undefined);
  return runs;
}

function filterOf(filter: BulkFilter, nowMs: number): RunFilter {
  const time = (value: string | number | undefined, name: string): number | undefined => {
    if (value === undefined) return undefined;
    const ms = typeof value === 'number' ? value : /^\d+$/.test(value) ? Number(value) : Date.parse(value);
    if (Number.isNaN(ms)) throw new ApiError('bad_request', `Invalid filter "${name}"`);
    return ms;
  };
  const periodMs = filter.period === undefined ? undefined : parseNaturalDuration(filter.period);
  if (periodMs === null) throw new ApiError('bad_request', 'Invalid filter "period"');
  const fromMs = time(filter.from, 'from') ?? (periodMs === undefined ? undefined : nowMs - periodMs);
  const toMs = time(filter.to, 'to');
  return {
    statuses: filter.status ?? [],
    tasks: filter.taskIdentifier ?? [],
    versions: filter.version ?? [],
    tags: filter.tag ?? [],
    queues: (filter.queue ?? []).map(({ type, name }) => (type === 'task' ? `task/${name}` : name)),
    machines: filter.machine ?? [],
    regions: filter.region ?? [],
    ...(filter.batch === undefined ? {} : { batch: filter.batch }),
    ...(filter.schedule === undefined ? {} : { schedule: filter.schedule }),
    ...(filter.bulkAction === undefined ? {} : { bulkAction: filter.bulkAction }),
    ...(filter.isTest === undefined ? {} : { isTest: filter.isTest }),
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(toMs === undefined ? {} : { toMs }),
  };
}
