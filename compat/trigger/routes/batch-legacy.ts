import { publicToken, requireScope } from '../auth.ts';
import { BATCH_RETENTION_MS, claimBatch, triggerItems, type Batch } from '../batches.ts';
import { derivedId, publicRunId } from '../ids.ts';
import { engineNow, open, readBody, requestKey, requireProject, type RouteContext } from '../request.ts';
import { LegacyBatchBodySchema, MAX_BATCH_ITEM_BYTES } from '../schema.ts';
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
  const wanted: Batch = {
    id: await derivedId('batch', `request ${requestKey(c)}`),
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
  c.header('x-trigger-jwt', await publicToken(c.get('host').context, [`read:batch:${wanted.id}`]));
  return c.json(
    {
      id: wanted.id,
      runCount: wanted.runCount,
      isCached: false,
      runs: results.flatMap(({ task, index, triggered }) => {
        const key = body.items[index]?.options?.idempotencyKey;
        return triggered
          ? [
              {
                id: publicRunId(triggered.run),
                taskIdentifier: task,
                isCached: triggered.cached,
                ...(key === undefined ? {} : { idempotencyKey: key }),
              },
            ]
          : [];
      }),
    },
    202,
  );
}
