import { shortCodeOf, shownDeploymentId } from '../deployment-ids.ts';
import { parseNaturalDuration } from '../durations.ts';
import { ApiError } from '../errors.ts';
import { engineNow, open, param, requireProject, type RouteContext } from '../request.ts';
import { listWorkers, promoteWorker, readWorker, type Worker } from '../workers.ts';

const DEFAULT_PAGE = 20;
const MAX_PAGE = 100;
const STATUSES = ['PENDING', 'BUILDING', 'DEPLOYING', 'DEPLOYED', 'FAILED', 'CANCELED', 'TIMED_OUT'];

/** GET /api/v1/deployments — builds of deployed workers, newest first. Those of development sessions are none. */
export async function listDeployments(c: RouteContext): Promise<Response> {
  const call = await open(c);
  const project = await requireProject(c, call);
  const query = c.req.query();
  const nowMs = await engineNow(c, call.cell);
  const status = query.status;
  if (status !== undefined && !STATUSES.includes(status)) throw new ApiError('bad_request', 'Invalid status');
  const periodMs = query.period === undefined ? undefined : parseNaturalDuration(query.period);
  if (periodMs === null) throw new ApiError('bad_request', 'Invalid period');
  const fromMs = timeOf(query.from, 'from') ?? (periodMs === undefined ? 0 : nowMs - periodMs);
  const toMs = timeOf(query.to, 'to') ?? Infinity;
  const all = (await listWorkers(call.cell, project)).filter(
    (build) =>
      build.deployed &&
      (status === undefined || status === 'DEPLOYED') &&
      build.createdAt >= fromMs &&
      build.createdAt <= toMs,
  );
  const after = query['page[after]'];
  const from = after === undefined ? 0 : all.findIndex((build) => shownDeploymentId(build.id) === after) + 1;
  if (after !== undefined && from === 0) throw new ApiError('bad_request', 'Invalid page cursor');
  const size = Math.min(MAX_PAGE, Math.max(1, Number(query['page[size]'] ?? DEFAULT_PAGE) || DEFAULT_PAGE));
  const shown = all.slice(from, from + size);
  const last = shown.at(-1);
  return c.json({
    data: shown.map((build) => deploymentOf(build, build.createdAt)),
    pagination: from + size < all.length && last ? { next: shownDeploymentId(last.id) } : {},
  });
}

/** GET /api/v1/deployments/current */
export async function currentDeployment(c: RouteContext): Promise<Response> {
  const call = await open(c);
  const project = await requireProject(c, call);
  const latest = await readWorker(call.cell, project, 'latest');
  const build = latest?.deployed
    ? (await listWorkers(call.cell, project)).find(({ version }) => version === latest.version)
    : undefined;
  if (!build) throw new ApiError('not_found', 'No deployment is current in this environment');
  return c.json(deploymentOf(build, build.createdAt));
}

/** POST /api/v1/deployments/:version/promote — new runs go to that build from now on. */
export async function promoteDeployment(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret', 'personal']);
  const project = await requireProject(c, call);
  const version = param(c, 'version');
  const build = /^\d{8}\.\d+$/.test(version) ? await readWorker(call.cell, project, version) : null;
  if (!build?.deployed || !build.tasks) throw new ApiError('not_found', `No deployment of version "${version}"`);
  const latest = await readWorker(call.cell, project, 'latest');
  if (latest?.version === version) throw new ApiError('bad_request', 'Deployment is already the current deployment');
  await promoteWorker(call.cell, project, build);
  return c.json({ id: shownDeploymentId(build.id), version, shortCode: shortCodeOf(build.version) });
}

/** @trigger.dev/core: v3/schemas/api.ts ApiDeploymentListResponseItem */
function deploymentOf(build: Worker, createdAt: number): Record<string, unknown> {
  const at = new Date(createdAt).toISOString();
  return {
    id: shownDeploymentId(build.id),
    createdAt: at,
    shortCode: shortCodeOf(build.version),
    version: build.version,
    runtime: 'node',
    runtimeVersion: null,
    status: 'DEPLOYED',
    deployedAt: at,
  };
}

function timeOf(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new ApiError('bad_request', `Invalid ${name}`);
  return ms;
}
