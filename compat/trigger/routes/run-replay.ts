import { ApiError } from '../errors.ts';
import { publicRunId } from '../ids.ts';
import { projectOf, slugOf } from '../names.ts';
import { replaySpecOf } from '../replay.ts';
import { engineNow, open, readBody, requestKey, runParam, type RouteContext } from '../request.ts';
import { MAX_TASK_BODY_BYTES, ReplayBodySchema } from '../schema.ts';
import { traceContextOf } from '../start-run.ts';
import { queueBoundsOf } from '../limits.ts';
import { startRun, taskOrUnknown } from '../trigger-run.ts';
import { lockFor } from '../workers.ts';
import { readRunMeta } from '../run-meta.ts';
import { randomDigits } from './trigger.ts';

/** POST /api/v1/runs/:run/replay — the same again as a new run; the body may change payload and options. */
export async function replayRun(c: RouteContext): Promise<Response> {
  const { cell } = await open(c);
  const { version, ...overrides } = await readBody(c, ReplayBodySchema, MAX_TASK_BODY_BYTES);
  const record = await cell.query({ type: 'run', run: runParam(c) });
  if (!record) throw new ApiError('not_found', 'Run not found');
  const project = projectOf(record.task);
  const [task, nowMs, queueBounds] = await Promise.all([
    cell.query({ type: 'task', id: record.task }),
    engineNow(c, cell),
    queueBoundsOf(cell, project, overrides.queue ?? readRunMeta(record.meta).queue),
  ]);
  const { context } = c.get('host');
  const spec = replaySpecOf(
    record,
    taskOrUnknown(task, slugOf(record.task), project),
    { ...overrides, ...(version === undefined ? {} : { lockToVersion: version }) },
    {
      lock: await lockFor(cell, project, slugOf(record.task), { lockToVersion: version }),
      requestKey: requestKey(c),
      traceContext: traceContextOf({}, randomDigits),
      nowMs,
      clockOffsetMs: nowMs - context.wallClockMs(),
      isDevelopment: context.mode === 'dev',
      queueBounds,
    },
  );
  const { run } = await startRun(cell, spec, overrides.idempotencyKey !== undefined);
  return c.json({ id: publicRunId(run) });
}
