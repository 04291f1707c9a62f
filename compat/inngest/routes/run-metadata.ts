import { isId } from '../../../core/model/ids.ts';
import { InngestError } from '../errors.ts';
import { hashedStepId } from '../hex.ts';
import { cellOf, readJson } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { answerV2 } from '../http-v2.ts';
import { keepMetadata, MetadataSchema } from '../metadata.ts';
import { explain } from '../schema.ts';
import * as z from 'zod';

const MAX_BODY_BYTES = 2 * 1_048_576;
const MAX_SCORES = 100;

/** POST /v1/runs/:run/metadata: what an app says of a run or one of its steps, while it runs or after. Scores and experiments are kinds of it. */
export async function updateMetadata(c: RouteContext): Promise<Response> {
  const run = await runOf(c);
  const parsed = MetadataSchema.safeParse(await readJson(c, MAX_BODY_BYTES));
  if (!parsed.success)
    throw new InngestError(400, 'invalid_request', `The metadata is invalid: ${explain(parsed.error)}.`);
  const { target, metadata } = parsed.data;
  const step = target?.step_id;
  await keepMetadata(cellOf(c), run, {
    target: step ? await hashedStepId(step, target?.step_index ?? 0) : '',
    atMs: (await cellOf(c).query({ type: 'clock' })).nowMs,
    items: metadata,
  });
  return c.json({}, 200);
}

const ScoresSchema = z
  .array(
    z.looseObject({
      name: z.string().min(1).max(128),
      value: z.union([z.number(), z.boolean()]),
      stepId: z.string().max(512).nullish(),
    }),
  )
  .min(1)
  .max(MAX_SCORES);

/** POST /v2/runs/:run/scores: several scores at once. */
export async function addScores(c: RouteContext): Promise<Response> {
  const run = await runOf(c);
  const body = await readJson(c, MAX_BODY_BYTES);
  const list = Array.isArray(body) ? body : (body as { scores?: unknown } | null)?.scores;
  const parsed = ScoresSchema.safeParse(list);
  if (!parsed.success)
    throw new InngestError(400, 'invalid_request', `The scores are invalid: ${explain(parsed.error)}.`);
  for (const { name, value, stepId } of parsed.data)
    await keepMetadata(cellOf(c), run, {
      target: stepId ? await hashedStepId(stepId) : '',
      atMs: (await cellOf(c).query({ type: 'clock' })).nowMs,
      items: [{ kind: 'inngest.score', op: 'merge', values: { [name]: { value } } }],
    });
  return answerV2(c, { runId: run, count: parsed.data.length });
}

async function runOf(c: RouteContext): Promise<string> {
  const run = c.req.param('run') ?? '';
  if (!isId(run)) throw new InngestError(400, 'invalid_request', 'The run id is not a ULID.');
  if (!(await cellOf(c).query({ type: 'run', run }))) throw new InngestError(404, 'unknown-run', 'No such run.');
  return run;
}
