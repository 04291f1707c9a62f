import type { RunRecord } from '../../../core/model/query.ts';
import { apiStatusOf } from '../api-status.ts';
import { requireScope } from '../auth.ts';
import { ApiError } from '../errors.ts';
import { publicRunId } from '../ids.ts';
import { slugOf } from '../names.ts';
import type { TelemetryRecord } from '../otlp.ts';
import { engineNow, open, param, runParam, type RouteContext } from '../request.ts';
import { resourcesOf } from '../run-access.ts';
import { readRunMeta } from '../run-meta.ts';
import { rootOf, telemetryOf, treeOf, type SpanNode } from '../telemetry.ts';

interface Trace {
  record: RunRecord;
  root: TelemetryRecord;
  spans: TelemetryRecord[];
  nowMs: number;
}

const DEFAULT_PAGE = 1_000;
const MAX_PAGE = 10_000;

/** GET /api/v1/runs/:run/events — spans and log lines of the run, by time, flat. */
export async function runEvents(c: RouteContext): Promise<Response> {
  const { root, spans } = await read(c);
  return c.json({
    events: [root, ...spans].map((span) => ({
      ...flat(span),
      parentId: span.parentId ?? (span === root ? null : root.id),
      kind: span.kind,
      properties: span.properties,
      events: eventsOf(span),
    })),
  });
}

/** GET /api/v1/runs/:run/trace — the tree or, with `page[size]`, pages of it, parents first. */
export async function runTrace(c: RouteContext): Promise<Response> {
  const trace = await read(c);
  const tree = treeOf(trace.root, trace.spans);
  const size = c.req.query('page[size]');
  if (size === undefined) return c.json({ trace: { traceId: trace.root.traceId, rootSpan: spanTree(tree, trace) } });
  return c.json(page(tree, Number(size), c.req.query('page[after]')));
}

/** GET /api/v1/runs/:run/spans/:span */
export async function runSpan(c: RouteContext): Promise<Response> {
  const { record, root, spans, nowMs } = await read(c);
  const wanted = param(c, 'span');
  const span = [root, ...spans].find(({ id }) => id === wanted);
  if (!span) throw new ApiError('not_found', 'Span not found');
  const { cell } = await open(c, ['secret', 'public']);
  const children = span === root ? await cell.query({ type: 'runs', parent: record.id, limit: 50 }) : { items: [] };
  return c.json({
    spanId: span.id,
    parentId: span.parentId ?? null,
    runId: publicRunId(span.run),
    message: span.message,
    isError: span.isError,
    isPartial: span.isPartial,
    isCancelled: record.status === 'cancelled' && span.isPartial,
    level: span.level,
    startTime: iso(span.startMs),
    durationMs: span.durationMs,
    properties: span.properties,
    events: eventsOf(span),
    ...(children.items.length === 0
      ? {}
      : {
          triggeredRuns: children.items.map((child) => ({
            runId: publicRunId(child.id),
            taskIdentifier: slugOf(child.task),
            status: apiStatusOf(child, nowMs),
            createdAt: iso(child.createdAt),
          })),
        }),
  });
}

async function read(c: RouteContext): Promise<Trace> {
  const { access, cell } = await open(c, ['secret', 'public']);
  const run = runParam(c);
  const [record, spans, nowMs] = await Promise.all([
    cell.query({ type: 'run', run }),
    telemetryOf(cell, run),
    engineNow(c, cell),
  ]);
  if (!record) throw new ApiError('not_found', 'Run not found');
  requireScope(access, 'read', resourcesOf(record));
  const { traceContext } = readRunMeta(record.meta);
  const root = rootOf(record, traceContext?.traceparent, slugOf(record.task), nowMs);
  return { record, root, spans: spans.filter(({ id }) => id !== root.id), nowMs };
}

/** @trigger.dev/core: v3/schemas/api.ts RetrieveRunTraceSpan. Durations in nanoseconds. */
function spanTree(node: SpanNode, trace: Trace): Record<string, unknown> {
  const span = node.record;
  const meta = readRunMeta(trace.record.meta);
  return {
    id: span.id,
    ...(span.parentId === undefined || span === trace.root ? {} : { parentId: span.parentId }),
    runId: publicRunId(span.run),
    data: {
      message: span.message,
      taskSlug: slugOf(trace.record.task),
      events: eventsOf(span),
      startTime: iso(span.startMs),
      duration: nanos(span.durationMs),
      isError: span.isError,
      isPartial: span.isPartial,
      isCancelled: trace.record.status === 'cancelled' && span.isPartial,
      level: span.level,
      queueName: meta.queue,
      ...(meta.machine === undefined ? {} : { machinePreset: meta.machine }),
      properties: span.properties,
    },
    children: node.children.map((child) => spanTree(child, trace)),
  };
}

function page(tree: SpanNode, wanted: number, after: string | undefined): Record<string, unknown> {
  const size = Number.isInteger(wanted) && wanted > 0 ? Math.min(wanted, MAX_PAGE) : DEFAULT_PAGE;
  const all: TelemetryRecord[] = [];
  const walk = [tree];
  for (let node = walk.shift(); node !== undefined; node = walk.shift()) {
    all.push(node.record);
    walk.unshift(...node.children);
  }
  const from = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1;
  if (after !== undefined && from === 0) throw new ApiError('bad_request', 'Invalid page cursor');
  const data = all.slice(from, from + size);
  const last = data.at(-1);
  return {
    data: data.map(flat),
    attemptFailures: data
      .filter((span) => span.isError && span.attempt !== undefined)
      .map((span) => ({ spanId: span.id, attemptNumber: span.attempt, runId: publicRunId(span.run) })),
    pagination: from + size < all.length && last ? { next: last.id } : {},
  };
}

function flat(span: TelemetryRecord): Record<string, unknown> {
  return {
    id: span.id,
    ...(span.parentId === undefined ? {} : { parentId: span.parentId }),
    runId: publicRunId(span.run),
    message: span.message,
    startTime: iso(span.startMs),
    duration: nanos(span.durationMs),
    isError: span.isError,
    isPartial: span.isPartial,
    isCancelled: false,
    level: span.level,
    ...(span.attempt === undefined ? {} : { attemptNumber: span.attempt }),
  };
}

function eventsOf(span: TelemetryRecord): Array<Record<string, unknown>> {
  return span.events.map(({ name, timeMs, properties }) => ({ name, time: iso(timeMs), properties }));
}

function nanos(ms: number): number {
  return Math.round(ms * 1_000_000);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
