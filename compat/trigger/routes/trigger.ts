import { publicToken, requireScope, spend } from '../auth.ts';
import { publicRunId } from '../ids.ts';
import { TOKEN_TTL_S } from '../jwt.ts';
import { taskIdOf } from '../names.ts';
import { engineNow, open, param, readBody, requestKey, requireProject, type RouteContext } from '../request.ts';
import { MAX_TASK_BODY_BYTES, TriggerBodySchema } from '../schema.ts';
import { parentIdOf, requireParent, startSpecOf, traceContextOf } from '../start-run.ts';
import { namedLimitsOf, queueBoundsOf } from '../limits.ts';
import { startAndWait, startRun, taskOrUnknown } from '../trigger-run.ts';
import { lockFor } from '../workers.ts';

/** POST /api/v1/tasks/:task/trigger */
export async function triggerTask(c: RouteContext): Promise<Response> {
  const call = await open(c, ['secret', 'public']);
  const { access, cell } = call;
  const slug = param(c, 'task');
  requireScope(access, 'trigger', [['tasks', slug]]);
  const { payload, options = {} } = await readBody(c, TriggerBodySchema, MAX_TASK_BODY_BYTES);
  const project = await requireProject(c, call);
  const parentId = parentIdOf(options);
  const [nowMs, known, parent, queueBounds, lock, namedLimits] = await Promise.all([
    engineNow(c, cell),
    cell.query({ type: 'task', id: taskIdOf(project, slug) }),
    parentId === null ? null : cell.query({ type: 'run-detail', run: parentId }),
    queueBoundsOf(cell, project, options.queue?.name),
    lockFor(cell, project, slug, options),
    namedLimitsOf(cell, project, options.concurrency),
  ]);
  const { context } = c.get('host');
  const key = requestKey(c);
  const spec = startSpecOf({
    project,
    task: taskOrUnknown(known, slug, project),
    lock,
    payload,
    options,
    parent,
    requestKey: key,
    traceContext: traceContextOf(
      { traceparent: c.req.header('traceparent'), tracestate: c.req.header('tracestate') },
      randomDigits,
    ),
    nowMs,
    clockOffsetMs: nowMs - context.wallClockMs(),
    isDevelopment: context.mode === 'dev',
    queueBounds,
    ...(namedLimits === undefined ? {} : { namedLimits }),
  });
  await spend(access, cell, key, nowMs);
  const hasKey = options.idempotencyKey !== undefined;
  const waits = options.resumeParentOnCompletion === true && parentId !== null;
  const { run, cached } = waits
    ? await startAndWait(cell, requireParent(parent), spec, `run:${key}`, hasKey)
    : await startRun(cell, spec, hasKey);
  const id = publicRunId(run);
  // What whoever started it may do with it; what a caller's own token does not show, this does not show either (trigger.dev: api.v1.tasks.$taskId.trigger).
  const scopes = [`read:runs:${id}`, `write:inputStreams:${id}`];
  const realtime = access.skipColumns.length === 0 ? {} : { realtime: { skipColumns: access.skipColumns } };
  c.header('x-trigger-jwt', await publicToken(context, scopes, TOKEN_TTL_S.trigger, realtime));
  return c.json({ id, isCached: cached });
}

export function randomDigits(): string {
  return crypto.randomUUID().replaceAll('-', '') + crypto.randomUUID().replaceAll('-', '');
}
