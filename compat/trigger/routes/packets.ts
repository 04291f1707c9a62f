import type { RunRecord } from '../../../core/model/query.ts';
import { requireScope } from '../auth.ts';
import { ApiError } from '../errors.ts';
import { newId, publicRunId } from '../ids.ts';
import { tagsOf } from '../names.ts';
import { STORE_TYPE } from '../packets.ts';
import { open, param, runParam, type RouteContext } from '../request.ts';
import { readOutcomeMeta, readRunMeta } from '../run-meta.ts';

/** How long an address is good for (trigger.dev: apps/webapp objectStore presign, 5 minutes). */
const TTL_MS = 300_000;
/** Outputs may be 10 MB (trigger.dev: TASK_RUN_METADATA, MAXIMUM_OUTPUT). */
const MAX_PACKET_BYTES = 12 * 1_024 * 1_024;
const MAX_NAME_CHARS = 500;

/** PUT /api/v2/packets/:name — where to write a payload that is too large for a request; the path is sent in its place. */
export async function uploadPacket(c: RouteContext): Promise<Response> {
  const { access } = await open(c, ['secret', 'public']);
  if (access.kind === 'public' && !access.scopes.some((scope) => /^(?:admin$|write|trigger|batchTrigger)/.test(scope)))
    throw new ApiError('forbidden', 'The public access token lacks a scope to trigger or write');
  // A path of its own for each upload: a name alone could be another's.
  const storagePath = `${newId('packet')}/${nameParam(c)}`;
  const presignedUrl = await presign(c, access.environment, 'PUT', storagePath);
  return c.json({ presignedUrl, storagePath });
}

/** PUT /api/v1/packets/:name — as clients before 4.1 ask: the path is the name that they chose. */
export async function uploadNamedPacket(c: RouteContext): Promise<Response> {
  const { access } = await open(c);
  return c.json({ presignedUrl: await presign(c, access.environment, 'PUT', nameParam(c)) });
}

/** GET /api/v1/packets/:name — where to read it. */
export async function downloadPacket(c: RouteContext): Promise<Response> {
  const { access } = await open(c);
  return c.json({ presignedUrl: await presign(c, access.environment, 'GET', nameParam(c)) });
}

/** GET /api/v1/runs/:run/packets/:field — the payload or output of a run that one may read. */
export async function runPacket(c: RouteContext): Promise<Response> {
  const { access, cell } = await open(c, ['secret', 'public']);
  const run = runParam(c);
  const record = await cell.query({ type: 'run', run });
  if (!record) throw new ApiError('not_found', 'Run not found');
  const batch = readRunMeta(record.meta).batch;
  requireScope(access, 'read', [
    ['runs', publicRunId(run)],
    ...tagsOf(record).map((tag) => ['tags', tag] as const),
    ...(batch ? [['batch', batch.id] as const] : []),
  ]);
  const stored = storedPaths(record)[param(c, 'field') as 'payload' | 'output'];
  if (stored === undefined) throw new ApiError('not_found', 'The run has no such packet in the store');
  return c.json({ presignedUrl: await presign(c, access.environment, 'GET', stored) });
}

/** Paths of the packets of a run that lie in the store. */
export function storedPaths(record: RunRecord): { payload?: string; output?: string } {
  const isStored = (type: string | undefined): boolean => type === STORE_TYPE;
  return {
    ...(isStored(readRunMeta(record.meta).payloadType) && typeof record.input === 'string'
      ? { payload: record.input }
      : {}),
    ...(isStored(readOutcomeMeta(record.outcomeMeta).outputType) && typeof record.output === 'string'
      ? { output: record.output }
      : {}),
  };
}

/** An address for a file of this vendor's. */
export function presign(c: RouteContext, environment: string, method: 'GET' | 'PUT', path: string): Promise<string> {
  const options = { ttlMs: TTL_MS, maxBytes: MAX_PACKET_BYTES };
  return c.get('host').blobs(environment).presign(method, `trigger/${path}`, options);
}

function nameParam(c: RouteContext): string {
  const name = param(c, 'name');
  if (name.length === 0 || name.length > MAX_NAME_CHARS)
    throw new ApiError('bad_request', `A packet's name has 1 to ${MAX_NAME_CHARS} characters`);
  return name;
}
