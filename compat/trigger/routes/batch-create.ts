import { publicToken, requireScope, spend } from '../auth.ts';
import { claimBatch } from '../batches.ts';
import { ApiError } from '../errors.ts';
import { parseKeyTtl } from '../durations.ts';
import { derivedId } from '../ids.ts';
import { engineNow, open, readBody, requestKey, requireProject, type RouteContext } from '../request.ts';
import { CreateBatchBodySchema, MAX_BATCH_ITEMS, MAX_SMALL_BODY_BYTES, MAX_WAITED_BATCH_ITEMS } from '../schema.ts';
import { parentIdOf, requireParent } from '../start-run.ts';

/** POST /api/v3/batches — the first phase: how many items there will be and who waits for them. */
export async function createBatch(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret', 'public']);
  const { access, cell } = call;
  requireScope(access, 'batchTrigger', [['tasks', '']]);
  const body = await readBody(c, CreateBatchBodySchema, MAX_SMALL_BODY_BYTES);
  const max = body.resumeParentOnCompletion ? MAX_WAITED_BATCH_ITEMS : MAX_BATCH_ITEMS;
  if (body.runCount > max)
    throw new ApiError(
      'bad_request',
      `Batch runCount of ${body.runCount} exceeds maximum allowed of ${max}${body.resumeParentOnCompletion ? ' that one batch is waited for: wait for several batches one after the other' : ''}.`,
    );
  const project = await requireProject(c, call);
  const parent = parentIdOf(body);
  if (parent !== null && body.resumeParentOnCompletion)
    requireParent(await cell.query({ type: 'run-detail', run: parent }));
  const nowMs = await engineNow(c, cell);
  await spend(access, cell, requestKey(c), nowMs);
  const identity =
    body.idempotencyKey === undefined ? `request ${requestKey(c)}` : `key ${project} ${body.idempotencyKey}`;
  const wanted = {
    id: await derivedId('batch', identity),
    project,
    runCount: body.runCount,
    createdAt: nowMs,
    sealed: false,
    ...(parent === null ? {} : { parent }),
    ...(body.resumeParentOnCompletion ? { resume: true } : {}),
    ...(body.idempotencyKey === undefined ? {} : { idempotencyKey: body.idempotencyKey }),
  };
  const { batch, isNew } = await claimBatch(cell, wanted, nowMs + parseKeyTtl(undefined));
  c.header('x-trigger-jwt', await publicToken(c.get('host').context, [`read:batch:${batch.id}`]));
  return c.json(
    {
      id: batch.id,
      runCount: batch.runCount,
      isCached: !isNew && body.idempotencyKey !== undefined,
      ...(batch.idempotencyKey === undefined ? {} : { idempotencyKey: batch.idempotencyKey }),
    },
    202,
  );
}
