import { ApiError, notServed } from '../errors.ts';
import { derivedId } from '../ids.ts';
import { engineNow, open, readBody, requestKey, runParam, type RouteContext } from '../request.ts';
import { MAX_SMALL_BODY_BYTES, WaitDurationBodySchema } from '../schema.ts';
import { attemptOf } from '../start-run.ts';
import { writeWaitMeta } from '../waitpoints.ts';

/** POST /engine/v1/runs/:run/wait/duration — `wait.for` and `wait.until` of more than 5 s. */
export async function waitDuration(c: RouteContext): Promise<Response> {
  const { cell } = await open(c);
  const run = runParam(c);
  const body = await readBody(c, WaitDurationBodySchema, MAX_SMALL_BODY_BYTES);
  if (body.idempotencyKey !== undefined) throw notServed('A wait with an idempotency key');
  const wallMs = Date.parse(body.date);
  if (Number.isNaN(wallMs)) throw new ApiError('bad_request', `Invalid date: "${body.date}"`);
  const [nowMs, detail] = await Promise.all([engineNow(c, cell), cell.query({ type: 'run-detail', run })]);
  if (!detail) throw new ApiError('not_found', 'Run not found');
  const id = await derivedId('waitpoint', `${run} ${requestKey(c)}`);
  // The worker names a moment by its own clock.
  const untilMs = wallMs + (nowMs - c.get('host').context.wallClockMs());
  const meta = writeWaitMeta({ type: 'DATETIME', id, attempt: attemptOf(detail), completedAfterMs: wallMs });
  const [reported] = await cell.apply([
    {
      type: 'report',
      run,
      anyLease: true,
      final: false,
      outcome: { ops: [{ op: 'sleep', key: `wait:${id}`, untilMs, again: 'none', meta }] },
    },
  ]);
  if (reported?.type !== 'report' || reported.result === 'ended' || reported.result === 'unknown')
    throw new ApiError('invalid', 'The run has already finished');
  return c.json({ waitUntil: new Date(wallMs).toISOString(), waitpoint: { id } });
}
