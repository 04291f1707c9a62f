import { requireScope } from '../auth.ts';
import { parseNaturalDuration } from '../durations.ts';
import { ApiError } from '../errors.ts';
import { labelOf } from '../names.ts';
import { engineNow, open, type RouteContext } from '../request.ts';
import { labelShape, sinceOfHandle } from '../realtime/label-shape.ts';
import { readShapeRequest } from '../realtime/shape.ts';

/** How far back a subscription looks, by default and at most (trigger.dev: REALTIME_MAXIMUM_CREATED_AT_FILTER_AGE_IN_MS). */
const MAX_AGE_MS = 86_400_000;
const MAX_TAGS = 10;

/** GET /realtime/v1/runs?tags=a,b&createdAt=1h — the runs that have all of the tags. */
export async function realtimeRuns(c: RouteContext): Promise<Response> {
  const { access, cell } = await open(c, ['secret', 'public']);
  const tags = [...new Set((c.req.query('tags') ?? '').split(',').map((tag) => tag.trim()))].filter(
    (tag) => tag !== '',
  );
  if (tags.length === 0 || tags.length > MAX_TAGS)
    throw new ApiError('bad_request', `A subscription to runs names 1 to ${MAX_TAGS} tags: ?tags=a,b`);
  // Every run of the selection has all of the tags: who may read one of them may read the run.
  requireScope(access, 'read', [...tags.map((tag) => ['tags', tag] as const), ['runs', '']]);
  const request = readShapeRequest(c, access.skipColumns);
  const sinceMs = sinceOfHandle(request.handle) ?? (await engineNow(c, cell)) - ageOf(c.req.query('createdAt'));
  return labelShape(c, access.environment, request, { label: labelOf.tag(tags[0] as string), tags, sinceMs });
}

function ageOf(createdAt: string | undefined): number {
  if (createdAt === undefined || createdAt === '') return MAX_AGE_MS;
  const ms = parseNaturalDuration(createdAt);
  if (ms === null)
    throw new ApiError('bad_request', `Invalid createdAt: "${createdAt}". Expected a duration like 30m, 1h, 1d`);
  return Math.min(ms, MAX_AGE_MS);
}
