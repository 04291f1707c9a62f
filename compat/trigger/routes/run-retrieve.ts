import type { RunDetail, RunRecord } from '../../../core/model/query.ts';
import type { CellApi } from '../../../core/ports.ts';
import { endedAttemptOf } from '../attempt-number.ts';
import { requireScope } from '../auth.ts';
import { retrieveResponse, type RelatedRun, type RunPresentation } from '../api-status.ts';
import { ApiError } from '../errors.ts';
import { metadataOf, readMetadata } from '../metadata-store.ts';
import { engineNow, open, runParam, type RouteContext } from '../request.ts';
import { resourcesOf } from '../run-access.ts';
import { readRunMeta } from '../run-meta.ts';
import { presign, storedPaths } from './packets.ts';
import { mainCallOf } from '../waitpoints.ts';

/** Children shown with a run. */
const MAX_CHILDREN = 50;
/** Clients before this header existed know no state between queued and executing. */
const VERSION_HEADER = 'x-trigger-api-version';

/** GET /api/v3/runs/:run */
export async function retrieveRun(c: RouteContext): Promise<Response> {
  const { access, cell } = await open(c, ['secret', 'public']);
  const run = runParam(c);
  const [nowMs, detail, metadata, children] = await Promise.all([
    engineNow(c, cell),
    cell.query({ type: 'run-detail', run }),
    readMetadata(cell, run),
    cell.query({ type: 'runs', parent: run, limit: MAX_CHILDREN }),
  ]);
  if (!detail) throw new ApiError('not_found', 'Run not found');
  requireScope(access, 'read', resourcesOf(detail));
  const [related, attemptCount] = await Promise.all([
    relatedRuns(cell, detail, children.items),
    attemptCountOf(cell, detail),
  ]);
  const body = retrieveResponse({ record: detail, metadata, attemptCount, related, nowMs });
  // What lies in the store is read there.
  const stored = storedPaths(detail);
  if (stored.payload !== undefined)
    body.payloadPresignedUrl = await presign(c, access.environment, 'GET', stored.payload);
  if (stored.output !== undefined) body.outputPresignedUrl = await presign(c, access.environment, 'GET', stored.output);
  if (body.status === 'DEQUEUED' && c.req.header(VERSION_HEADER) === undefined) body.status = 'EXECUTING';
  return c.json(body);
}

export async function attemptCountOf(cell: CellApi, detail: RunDetail): Promise<number> {
  if (detail.status !== 'running') return (await endedAttemptOf(cell, detail)) ?? 0;
  if (detail.startedAt === null) return 0;
  const main = mainCallOf(detail);
  return main ? main.attempt + (main.leased || main.attempt === 0 ? 1 : 0) : 1;
}

async function relatedRuns(
  cell: CellApi,
  detail: RunRecord,
  children: readonly RunRecord[],
): Promise<RunPresentation['related']> {
  const { parentRun, rootRun } = readRunMeta(detail.meta);
  const [parent, root] = await Promise.all([
    parentRun === undefined ? null : cell.query({ type: 'run', run: parentRun }),
    rootRun === undefined || rootRun === parentRun ? null : cell.query({ type: 'run', run: rootRun }),
  ]);
  const top = root ?? (rootRun === undefined ? null : parent);
  const records = [top, parent, ...children].filter((record) => record !== null);
  const metadata = await metadataOf(cell, records);
  const shown = new Map(records.map((record, i) => [record.id, { record, metadata: metadata[i] ?? null }]));
  const of = (record: RunRecord | null): RelatedRun | undefined => (record ? shown.get(record.id) : undefined);
  const [shownRoot, shownParent] = [of(top), of(parent)];
  return {
    ...(shownRoot ? { root: shownRoot } : {}),
    ...(shownParent ? { parent: shownParent } : {}),
    children: children.flatMap((child) => of(child) ?? []),
  };
}
