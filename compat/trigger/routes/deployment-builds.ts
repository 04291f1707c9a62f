import * as z from 'zod';
import { deploymentIdOf, shortCodeOf, type Deployment } from '../deployment-ids.ts';
import { PROJECT_REF, signingKey, verifiedDeployment } from '../auth.ts';
import { ApiError } from '../errors.ts';
import { COLLECTIONS } from '../names.ts';
import { isRecord, parseJson } from '../packets.ts';
import { engineNow, open, param, readBody, requireProject, type Call, type RouteContext } from '../request.ts';
import type { EnvironmentType } from '../run-meta.ts';
import { MAX_WORKER_BODY_BYTES, MAX_SMALL_BODY_BYTES, RegisterWorkerBodySchema } from '../schema.ts';
import { readWorker, takeVersion } from '../workers.ts';
import { registerBuild } from './background-workers.ts';

const CreateBodySchema = z.object({
  contentHash: z.string().min(1).max(256),
  externalId: z
    .string()
    .max(256)
    .transform((text) => text.trim())
    .nullish(),
  runtime: z.string().max(100).nullish(),
});
const FailBodySchema = z.object({ error: z.unknown().optional() });

interface DeploymentRecord {
  version: string;
  contentHash: string;
  status: 'PENDING' | 'DEPLOYED' | 'FAILED';
  createdAt: number;
  deployedAt?: number;
  externalId?: string;
  runtime?: string;
  errorData?: unknown;
}

/** POST /api/v1/deployments — a version for a build. Images are neither built nor kept here: its workers run it from a folder. */
export async function createDeployment(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret', 'personal']);
  const { cell } = call;
  const body = await readBody(c, CreateBodySchema, MAX_SMALL_BODY_BYTES);
  // A server that has not seen the project yet learns of it by its first deployment.
  const named = c.req.header('x-trigger-workload-project-ref');
  const project = named !== undefined && PROJECT_REF.test(named) ? named : await requireProject(c, call);
  const nowMs = await engineNow(c, cell);
  // Further machines of a deployment bring the build that is known already, also when it is not the current one any more.
  const known = (await recordsOf(call, project)).find(
    ({ contentHash, status }) => contentHash === body.contentHash && status === 'DEPLOYED',
  );
  const kind = { contentHash: body.contentHash, environmentType: typeOf(call), deployed: true };
  const version = known?.version ?? (await takeVersion(cell, project, kind, nowMs)).version;
  if (!known)
    await writeRecord(call, project, {
      version,
      contentHash: body.contentHash,
      status: 'PENDING',
      createdAt: nowMs,
      ...(body.externalId ? { externalId: body.externalId } : {}),
      ...(body.runtime ? { runtime: body.runtime } : {}),
    });
  const id = await idOf(c, project, version);
  return c.json({
    id,
    ...facts(version, body.contentHash),
    imageTag: `${project}:${version}`,
    outcome: known ? 'existing' : 'created',
  });
}

/** POST /api/v1/deployments/:deployment/background-workers — its tasks; it is the current version from now on. */
export async function registerDeployedWorker(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret', 'personal']);
  const { project, version } = await deploymentParam(c);
  const { metadata } = await readBody(c, RegisterWorkerBodySchema, MAX_WORKER_BODY_BYTES);
  const record = await readRecord(call, project, version);
  if (!record) throw new ApiError('not_found', 'Deployment not found');
  if (record.contentHash !== metadata.contentHash)
    throw new ApiError(
      'invalid',
      'The build is not the one that this deployment was made for: its contentHash differs',
    );
  const worker = await readWorker(call.cell, project, version);
  if (!worker) throw new ApiError('not_found', 'Deployment not found');
  const latest = await readWorker(call.cell, project, 'latest');
  // A machine that comes back with an older build works on what is tied to that, and does not make it current again.
  if (record.status !== 'DEPLOYED' || latest?.version === version)
    await registerBuild(
      call.cell,
      project,
      metadata,
      { ...worker, ...(record.externalId === undefined ? {} : { externalId: record.externalId }) },
      c.get('host').context.vars,
    );
  if (record.status !== 'DEPLOYED')
    await writeRecord(call, project, { ...record, status: 'DEPLOYED', deployedAt: await engineNow(c, call.cell) });
  return c.json({ id: worker.id, version: worker.version, contentHash: worker.contentHash });
}

/** POST /api/v1/deployments/:deployment/fail — the build could not be indexed. */
export async function failDeployment(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret', 'personal']);
  const { project, version } = await deploymentParam(c);
  const { error } = await readBody(c, FailBodySchema, MAX_SMALL_BODY_BYTES);
  const record = await readRecord(call, project, version);
  if (!record) throw new ApiError('not_found', 'Deployment not found');
  await writeRecord(call, project, {
    ...record,
    status: 'FAILED',
    ...(error === undefined ? {} : { errorData: error }),
  });
  return c.json({ id: param(c, 'deployment') });
}

/** GET /api/v1/deployments/:deployment */
export async function retrieveDeployment(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret', 'personal']);
  const { project, version } = await deploymentParam(c);
  const record = await readRecord(call, project, version);
  if (!record) throw new ApiError('not_found', 'Deployment not found');
  return c.json(await view(c, call, project, record));
}

async function view(
  c: RouteContext,
  call: Call,
  project: string,
  record: DeploymentRecord,
): Promise<Record<string, unknown>> {
  const { version, status, contentHash, createdAt, deployedAt, runtime, externalId, errorData } = record;
  const worker = status === 'DEPLOYED' ? await readWorker(call.cell, project, version) : null;
  return {
    id: await idOf(c, project, version),
    status,
    ...facts(version, contentHash),
    createdAt: new Date(createdAt).toISOString(),
    ...(deployedAt === undefined ? {} : { deployedAt: new Date(deployedAt).toISOString() }),
    ...(runtime === undefined ? {} : { runtime }),
    ...(externalId === undefined ? {} : { externalId }),
    ...(errorData === undefined ? {} : { errorData, error: errorData }),
    ...(worker
      ? {
          worker: {
            id: worker.id,
            version,
            tasks: Object.keys(worker.tasks ?? {}).map((slug) => ({ id: slug, slug, filePath: '' })),
          },
        }
      : {}),
  };
}

function facts(version: string, contentHash: string): Record<string, unknown> {
  return { contentHash, version, shortCode: shortCodeOf(version), imagePlatform: '', imageTag: '' };
}

function idOf(c: RouteContext, project: string, version: string): Promise<string> {
  const { context } = c.get('host');
  return deploymentIdOf({ environment: context.environment, project, version }, signingKey(context));
}

async function deploymentParam(c: RouteContext): Promise<Deployment> {
  const deployment = await verifiedDeployment(param(c, 'deployment'), c.get('host').context);
  if (!deployment) throw new ApiError('not_found', 'Deployment not found');
  return deployment;
}

/** What the environment is for its workers: its key says so; a personal token's does not. */
function typeOf({ access }: Call): EnvironmentType {
  if (access.token.startsWith('tr_stg_')) return 'STAGING';
  return access.token.startsWith('tr_preview_') ? 'PREVIEW' : 'PRODUCTION';
}

async function recordsOf({ cell }: Call, project: string): Promise<DeploymentRecord[]> {
  const page = await cell.query({ type: 'records', collection: collectionOf(project), limit: 1_000, order: 'desc' });
  return page.items.flatMap(({ data }) => {
    const value = parseJson(data);
    return isRecord(value) ? [value as unknown as DeploymentRecord] : [];
  });
}

async function readRecord({ cell }: Call, project: string, version: string): Promise<DeploymentRecord | null> {
  const record = await cell.query({ type: 'record', collection: collectionOf(project), id: version });
  const value = record === null ? null : parseJson(record.data);
  return isRecord(value) ? (value as unknown as DeploymentRecord) : null;
}

async function writeRecord({ cell }: Call, project: string, record: DeploymentRecord): Promise<void> {
  await cell.apply([
    { type: 'put-record', collection: collectionOf(project), id: record.version, data: JSON.stringify(record) },
  ]);
}

function collectionOf(project: string): string {
  return `${COLLECTIONS.deployments}/${project}`;
}
