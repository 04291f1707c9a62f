import { isId } from '../../../core/model/ids.ts';
import type { RunStatus } from '../../../core/model/call.ts';
import type { Page, RunFacts, RunFilter, RunRecord } from '../../../core/model/query.ts';
import type { CellApi } from '../../../core/ports.ts';
import { functionsOf, pickFunction } from '../apps.ts';
import { InngestError } from '../errors.ts';
import { nameIn, textOf } from '../events.ts';
import { cellOf } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { answerV2, pageOf } from '../http-v2.ts';
import { slugOf, taskIdOf } from '../names.ts';
import { functionOf, originEvents } from '../read.ts';
import { outputId, outputOf, traceOfRun } from '../run-view.ts';
import { SharedReads } from '../shared-reads.ts';
import type { Span } from '../trace.ts';
import { functionOfPath } from './invoke.ts';

const STATUSES: Readonly<Record<string, RunStatus>> = {
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
  running: 'running',
  queued: 'running',
};

/** GET /v2/runs, GET /v2/apps/:app/functions/:fn/runs: newest first. */
export async function listRunsV2(c: RouteContext): Promise<Response> {
  const cell = new SharedReads(cellOf(c));
  const filter: RunFilter = {
    ...(c.req.param('fn') === undefined ? await byQuery(c) : { task: (await functionOfPath(c)).task.id }),
    ...statusesOf(c),
    ...timesOf(c),
  };
  const request = pageOf(c);
  const type = wantsOutput(c) ? ('runs' as const) : ('run-facts' as const);
  const page: Page<RunFacts | RunRecord> = await cell.query({ type, ...filter, ...request });
  // The vendor makes a run when its events are together.
  const shown = page.items.filter((run) => !run.open);
  const runs = await Promise.all(shown.map((run) => runV2(cell, run, wantsOutput(c))));
  return answerV2(c, runs, { cursor: page.cursor ?? null, hasMore: page.cursor !== undefined, limit: request.limit });
}

/** GET /v2/runs/:run */
export async function getRunV2(c: RouteContext): Promise<Response> {
  const cell = cellOf(c);
  return answerV2(c, await runV2(cell, await neededRun(c), c.req.query('includeOutput') !== 'false'));
}

/** GET /v2/runs/:run/trace: the run's steps, and with `includeOutput=true` what went into them and came out. */
export async function getTraceV2(c: RouteContext): Promise<Response> {
  const run = await neededRun(c);
  const root = await traceOfRun(cellOf(c), run);
  return answerV2(c, { runId: run.id, rootSpan: await spanV2(cellOf(c), root, wantsOutput(c)) });
}

/** POST /v2/runs/:run/cancel */
export async function cancelRunV2(c: RouteContext): Promise<Response> {
  const run = await neededRun(c);
  const [result] = await cellOf(c).apply([{ type: 'cancel', run: run.id }]);
  if (result?.type === 'cancel' && result.result === 'ended')
    throw new InngestError(400, 'run-ended', 'The run has ended already.');
  return answerV2(c, { runId: run.id });
}

/** GET /v2/events/:event/runs */
export async function eventRunsV2(c: RouteContext): Promise<Response> {
  const cell = new SharedReads(cellOf(c));
  const event = c.req.param('event') ?? '';
  if (!isId(event)) throw new InngestError(400, 'invalid_request', 'The event id is not a ULID.');
  const runs = await cell.query({ type: 'event-runs', event });
  const data = await Promise.all(runs.map((run) => runV2(cell, run, wantsOutput(c))));
  return answerV2(c, data, { cursor: null, hasMore: false, limit: data.length });
}

/** The run that a path names. Throws InngestError. */
export async function neededRun(c: RouteContext): Promise<RunRecord> {
  const id = c.req.param('run') ?? '';
  if (!isId(id)) throw new InngestError(400, 'invalid_request', 'The run id is not a ULID.');
  const run = await cellOf(c).query({ type: 'run', run: id });
  if (!run) throw new InngestError(404, 'unknown-run', 'No such run.');
  return run;
}

async function runV2(cell: CellApi, run: RunFacts | RunRecord, withOutput: boolean): Promise<object> {
  const fn = await functionOf(cell, run.task);
  const events = await originEvents(cell, run);
  const result = 'output' in run ? (run.status === 'completed' ? run.output : run.error) : null;
  return {
    id: run.id,
    status: run.status === 'running' && run.startedAt === null ? 'QUEUED' : run.status.toUpperCase(),
    app: fn && { id: fn.app },
    function: { id: fn?.id ?? null, slug: fn?.slug ?? slugOf(run.task), version: run.taskVersion },
    trigger: {
      eventName: nameIn(events[0] ?? '{}'),
      eventIds: run.eventIds,
      isBatch: run.eventIds.length > 1,
      cron: run.scheduledAt === null ? null : (fn?.crons[0] ?? null),
    },
    queuedAt: iso(run.createdAt),
    startedAt: iso(run.startedAt),
    endedAt: iso(run.endedAt),
    originalRunId: run.from?.run ?? null,
    ...(withOutput ? { output: result === null ? null : (JSON.parse(textOf(result)) as unknown) } : {}),
  };
}

async function spanV2(cell: CellApi, span: Span, withOutput: boolean): Promise<object> {
  const { children, outputSeq, stepInfo, userland, ...plain } = span;
  const id = outputId(span);
  const output = withOutput && id !== null ? await outputOf(cell, id) : null;
  return {
    spanId: plain.spanID,
    parentSpanId: plain.parentSpanID,
    name: plain.name,
    status: plain.status,
    attempts: plain.attempts,
    stepId: plain.stepID,
    stepOp: plain.stepOp,
    stepInfo,
    queuedAt: iso(plain.queuedAt),
    startedAt: iso(plain.startedAt),
    endedAt: iso(plain.endedAt),
    durationMs: plain.startedAt === null || plain.endedAt === null ? null : plain.endedAt - plain.startedAt,
    outputId: outputSeq === null ? null : id,
    metadata: plain.metadata,
    isUserland: userland !== null,
    ...(userland === null ? {} : { userland: { ...userland, step: undefined, call: undefined } }),
    ...(output === null ? {} : { input: json(output.input), output: json(output.data), error: json(output.error) }),
    children: await Promise.all(children.map((child) => spanV2(cell, child, withOutput))),
  };
}

async function byQuery(c: RouteContext): Promise<RunFilter> {
  const wanted = c.req.query('functionId') ?? c.req.query('function_id');
  const app = c.req.query('appId') ?? c.req.query('app_id');
  if (wanted === undefined && app === undefined) return { taskPrefix: taskIdOf('') };
  const functions = await functionsOf(cellOf(c), app);
  if (wanted === undefined) return { tasks: functions.map(({ task }) => task.id) };
  const found = pickFunction(functions, app ?? null, wanted);
  if (!found) throw new InngestError(404, 'unknown-function', `No function "${wanted}" is registered.`);
  return { task: found.task.id };
}

function statusesOf(c: RouteContext): RunFilter {
  const given = (c.req.queries('status') ?? []).flatMap((text) => text.split(',')).filter((text) => text !== '');
  if (given.length === 0) return {};
  const statuses = given.map((text) => {
    const status = STATUSES[text.toLowerCase()];
    if (!status)
      throw new InngestError(
        400,
        'invalid_request',
        `status "${text}" is none of ${Object.keys(STATUSES).join(', ')}.`,
      );
    return status;
  });
  return { status: [...new Set(statuses)] };
}

function timesOf(c: RouteContext): RunFilter {
  const read = (name: string): number | undefined => {
    const text = c.req.query(name);
    if (text === undefined || text === '') return undefined;
    const ms = Date.parse(text);
    if (Number.isNaN(ms)) throw new InngestError(400, 'invalid_request', `${name} is not a date.`);
    return ms;
  };
  const fromMs = read('from');
  const toMs = read('until');
  return { ...(fromMs === undefined ? {} : { fromMs }), ...(toMs === undefined ? {} : { toMs }) };
}

function wantsOutput(c: RouteContext): boolean {
  return (c.req.query('includeOutput') ?? c.req.query('include_output')) === 'true';
}

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

function json(text: string | null): unknown {
  return text === null ? null : (JSON.parse(text) as unknown);
}
