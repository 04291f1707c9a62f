import type { CellApi } from '../../../core/ports.ts';
import { publicToken, requireScope, subjectFor } from '../auth.ts';
import { BATCH_RETENTION_MS, claimBatch, triggerItems, type Batch } from '../batches.ts';
import { parseKeyTtl } from '../durations.ts';
import { derivedId, publicRunId, sha256Hex } from '../ids.ts';
import { COLLECTIONS, labelOf, slugOf } from '../names.ts';
import { parseJson } from '../packets.ts';
import { engineNow, open, readBody, requestKey, requireProject, type Call, type RouteContext } from '../request.ts';
import { readRunMeta } from '../run-meta.ts';
import { LegacyBatchBodySchema, MAX_BATCH_ITEM_BYTES, MAX_LEGACY_BATCH_ITEMS } from '../schema.ts';
import { parentIdOf } from '../start-run.ts';
import { itemContext } from './batch-items.ts';

/** POST /api/v2/tasks/batch (4.0) and /api/v1/tasks/batch (3.x): all items at once; the answer is the union of what both read. */
export async function legacyBatch(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret', 'public']);
  const { access, cell } = call;
  const body = await readBody(c, LegacyBatchBodySchema, MAX_BATCH_ITEM_BYTES * 4);
  requireScope(
    access,
    'batchTrigger',
    body.items.map(({ task }) => ['tasks', task] as const),
  );
  const project = await requireProject(c, call);
  const parent = parentIdOf(body);
  const nowMs = await engineNow(c, cell);
  const key = c.req.header('idempotency-key');
  const id = await derivedId('batch', `request ${requestKey(c)}`);
  if (access.kind === 'secret') {
    // The 3.x client signs its token by itself, with these claims.
    const sub = await subjectFor(access, c.get('host').context, cell);
    c.header('x-trigger-jwt-claims', JSON.stringify({ sub, pub: true }));
  }
  const earlier =
    key === undefined
      ? id
      : await claimKey(call, project, { key, id, nowMs, ttl: c.req.header('idempotency-key-ttl') });
  if (earlier !== id) return answer(c, earlier, true, await runsUnder(cell, earlier));
  const wanted: Batch = {
    id,
    project,
    runCount: body.items.length,
    createdAt: nowMs,
    sealed: true,
    ...(parent === null ? {} : { parent }),
    ...(body.resumeParentOnCompletion ? { resume: true } : {}),
  };
  const context = await itemContext(c, cell, wanted);
  await claimBatch(cell, wanted, nowMs + BATCH_RETENTION_MS);
  const results = await triggerItems(
    context,
    body.items.map((item, index) => ({ ...item, index })),
  );
  results.sort((a, b) => a.index - b.index);
  return answer(
    c,
    id,
    false,
    results.flatMap(({ task, index, triggered }) => {
      const idempotencyKey = body.items[index]?.options?.idempotencyKey;
      return triggered
        ? [
            {
              id: publicRunId(triggered.run),
              taskIdentifier: task,
              isCached: triggered.cached,
              ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
            },
          ]
        : [];
    }),
    body.items.length,
  );
}

interface BatchedRun {
  id: string;
  taskIdentifier: string;
  isCached: boolean;
  idempotencyKey?: string;
}

async function answer(
  c: RouteContext,
  id: string,
  isCached: boolean,
  runs: BatchedRun[],
  runCount: number = runs.length,
): Promise<Response> {
  c.header('x-trigger-jwt', await publicToken(c.get('host').context, [`read:batch:${id}`]));
  return c.json({ id, runCount, isCached, runs }, 202);
}

/** The batch that the key means: this one, if it is the first in the key's time. */
async function claimKey(
  { cell }: Call,
  project: string,
  { key, id, nowMs, ttl }: { key: string; id: string; nowMs: number; ttl: string | undefined },
): Promise<string> {
  const data = JSON.stringify(id);
  const [put] = await cell.apply([
    {
      type: 'put-record',
      collection: COLLECTIONS.keys,
      id: `batch/${project}/${await sha256Hex(key)}`,
      data,
      ifAbsent: true,
      expiresAt: nowMs + parseKeyTtl(ttl),
    },
  ]);
  return put?.type === 'put-record' && !put.written ? String(parseJson(put.data)) : id;
}

/** In the order of the batch's items. */
async function runsUnder(cell: CellApi, batch: string): Promise<BatchedRun[]> {
  const { items } = await cell.query({
    type: 'runs',
    labels: [labelOf.batch(batch)],
    order: 'asc',
    limit: MAX_LEGACY_BATCH_ITEMS,
  });
  return items
    .map((record) => ({ record, meta: readRunMeta(record.meta) }))
    .sort((a, b) => (a.meta.batch?.index ?? 0) - (b.meta.batch?.index ?? 0))
    .map(({ record, meta }) => ({
      id: publicRunId(record.id),
      taskIdentifier: slugOf(record.task),
      isCached: true,
      ...(meta.idempotencyKey === undefined ? {} : { idempotencyKey: meta.idempotencyKey }),
    }));
}
