import { requireScope } from '../auth.ts';
import { ApiError } from '../errors.ts';
import { publicRunId } from '../ids.ts';
import { labelOf, tagsOf } from '../names.ts';
import { open, readBody, runParam, type RouteContext } from '../request.ts';
import { MAX_SMALL_BODY_BYTES, MAX_TAGS, TagsBodySchema } from '../schema.ts';

/** POST /api/v1/runs/:run/tags — adds to a run, also after its end. */
export async function addTags(c: RouteContext): Promise<Response> {
  const { access, cell } = await open(c, ['secret', 'public']);
  const run = runParam(c);
  requireScope(access, 'write', [['runs', publicRunId(run)]]);
  const { tags } = await readBody(c, TagsBodySchema, MAX_SMALL_BODY_BYTES);
  const record = await cell.query({ type: 'run', run });
  if (!record) throw new ApiError('not_found', 'Run not found');
  const known = tagsOf(record);
  const added = [...new Set(tags)].filter((tag) => !known.includes(tag));
  if (added.length === 0) return c.json({ message: 'No new tags to add' });
  const total = known.length + added.length;
  if (total > MAX_TAGS)
    throw new ApiError(
      'invalid',
      `Runs can only have ${MAX_TAGS} tags, you're trying to set ${total}. These tags have not been set: ${added.map((tag) => `'${tag}'`).join(', ')}.`,
    );
  const [reported] = await cell.apply([
    {
      type: 'report',
      run,
      anyLease: true,
      final: false,
      outcome: { ops: [{ op: 'label', labels: added.map(labelOf.tag) }] },
    },
  ]);
  if (reported?.type !== 'report' || reported.result === 'unknown') throw new ApiError('not_found', 'Run not found');
  return c.json({ message: `Successfully set ${added.length} new tags.` });
}
