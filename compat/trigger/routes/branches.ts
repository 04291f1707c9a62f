import * as z from 'zod';
import { branchEnvironment, keyedEnvironment } from '../../../core/model/placement.ts';
import { subjectOf } from '../environment-keys.ts';
import { open, projectParam, readBody, type RouteContext } from '../request.ts';
import { MAX_SMALL_BODY_BYTES } from '../schema.ts';

const BodySchema = z.object({
  env: z.string().max(40).optional(),
  branch: z.string().min(1, 'A branch needs a name').max(255),
});

/** POST /api/v1/projects/:project/branches — a branch is there as soon as a request names it (`x-trigger-branch`): this says its id. */
export async function upsertBranch(c: RouteContext): Promise<Response> {
  await open(c, ['personal', 'secret']);
  projectParam(c);
  const { branch } = await readBody(c, BodySchema, MAX_SMALL_BODY_BYTES);
  const { environment } = c.get('host').context;
  return c.json({ id: subjectOf(branchEnvironment(keyedEnvironment(environment), branch)) });
}
