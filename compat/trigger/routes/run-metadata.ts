import { requireScope } from '../auth.ts';
import { ApiError } from '../errors.ts';
import { publicRunId } from '../ids.ts';
import { seedMetadata } from '../api-status.ts';
import { FlushedMetadataSchema } from '../metadata.ts';
import { flushMetadata, readMetadata } from '../metadata-store.ts';
import { open, readBody, requestKey, runParam, type RouteContext } from '../request.ts';
import { readRunMeta } from '../run-meta.ts';
import { MAX_SMALL_BODY_BYTES } from '../schema.ts';

/** PUT /api/v1/runs/:run/metadata */
export async function updateMetadata(c: RouteContext): Promise<Response> {
  const { access, cell } = await open(c, ['secret', 'public']);
  const run = runParam(c);
  requireScope(access, 'write', [['runs', publicRunId(run)]]);
  const flushed = await readBody(c, FlushedMetadataSchema, MAX_SMALL_BODY_BYTES);
  return c.json({ metadata: await flushMetadata(cell, run, flushed, requestKey(c)) });
}

/** GET /api/v1/runs/:run/metadata */
export async function getMetadata(c: RouteContext): Promise<Response> {
  const { access, cell } = await open(c, ['secret', 'public']);
  const run = runParam(c);
  requireScope(access, 'read', [['runs', publicRunId(run)]]);
  const [record, metadata] = await Promise.all([cell.query({ type: 'run', run }), readMetadata(cell, run)]);
  if (!record) throw new ApiError('not_found', 'Run not found');
  return c.json({ metadata: metadata ?? seedMetadata(readRunMeta(record.meta)) ?? {} });
}
