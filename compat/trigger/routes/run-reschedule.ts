import { ApiError } from '../errors.ts';
import { engineNow, open, readBody, runParam, type RouteContext } from '../request.ts';
import { readRunMeta } from '../run-meta.ts';
import { MAX_SMALL_BODY_BYTES, RescheduleBodySchema } from '../schema.ts';
import { parseMoment, parseNaturalDuration } from '../durations.ts';
import { at } from '../start-run.ts';
import { retrieveRun } from './run-retrieve.ts';

/** POST /api/v1/runs/:run/reschedule — another time for a run that is delayed; its time to live counts from there. */
export async function rescheduleRun(c: RouteContext): Promise<Response> {
  const { cell } = await open(c);
  const { delay } = await readBody(c, RescheduleBodySchema, MAX_SMALL_BODY_BYTES);
  const record = await cell.query({ type: 'run', run: runParam(c) });
  if (!record) throw new ApiError('not_found', 'Run not found');
  const nowMs = await engineNow(c, cell);
  // A 400 in both cases (trigger.dev: api.v1.runs.$runParam.reschedule), where a trigger answers 422.
  const moment = parseMoment(delay);
  if (moment === null) throw new ApiError('bad_request', `Invalid delay value: "${String(delay)}"`);
  const dueAt = at(moment, nowMs, nowMs - c.get('host').context.wallClockMs());
  const { ttl } = readRunMeta(record.meta);
  const ttlMs = ttl === undefined ? 0 : (parseNaturalDuration(ttl) ?? 0);
  const [result] = await cell.apply([
    {
      type: 'amend',
      run: record.id,
      when: 'delayed',
      change: { dueAt, ...(ttlMs === 0 ? {} : { expireAt: Math.max(nowMs, dueAt) + ttlMs }) },
    },
  ]);
  if (result?.type !== 'amend' || result.result !== 'amended')
    throw new ApiError('bad_request', 'Cannot reschedule a run that is not delayed');
  return retrieveRun(c);
}
