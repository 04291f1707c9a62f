import * as z from 'zod';
import { runIdOf } from './ids.ts';

/**
 * Spans and log lines of user code as OTLP JSON brings them (opentelemetry-proto: trace/v1, logs/v1), read into what is kept of them.
 * Unknown members are ignored; what names no run is left out.
 */

const MAX_RECORDS = 5_000;
const MAX_ATTRIBUTES = 256;
const MAX_TEXT = 8_192;
const MAX_EVENTS = 64;

const AnyValue = z.record(z.string(), z.unknown());
const Attributes = z.array(z.object({ key: z.string(), value: AnyValue.optional() })).max(10_000);
/** 64-bit numbers travel as text or, from some exporters, as numbers. */
const Nanos = z.union([z.string().regex(/^\d{1,20}$/), z.number().nonnegative()]);
const Id = z.string().max(64);

const SpanSchema = z.object({
  traceId: Id,
  spanId: Id,
  parentSpanId: Id.optional(),
  name: z.string(),
  startTimeUnixNano: Nanos,
  endTimeUnixNano: Nanos.optional(),
  attributes: Attributes.optional(),
  events: z
    .array(z.object({ timeUnixNano: Nanos.optional(), name: z.string().optional(), attributes: Attributes.optional() }))
    .max(10_000)
    .optional(),
  status: z.object({ code: z.union([z.number(), z.string()]).optional(), message: z.string().optional() }).optional(),
});
const LogSchema = z.object({
  timeUnixNano: Nanos.optional(),
  observedTimeUnixNano: Nanos.optional(),
  severityNumber: z.number().optional(),
  severityText: z.string().optional(),
  body: AnyValue.optional(),
  attributes: Attributes.optional(),
  traceId: Id.optional(),
  spanId: Id.optional(),
});
const Resource = z.object({ attributes: Attributes.optional() }).optional();

export const TracesSchema = z.object({
  resourceSpans: z
    .array(
      z.object({
        resource: Resource,
        scopeSpans: z
          .array(z.object({ spans: z.array(SpanSchema).max(MAX_RECORDS).optional() }))
          .max(1_000)
          .optional(),
      }),
    )
    .max(1_000)
    .optional(),
});
export const LogsSchema = z.object({
  resourceLogs: z
    .array(
      z.object({
        resource: Resource,
        scopeLogs: z
          .array(z.object({ logRecords: z.array(LogSchema).max(MAX_RECORDS).optional() }))
          .max(1_000)
          .optional(),
      }),
    )
    .max(1_000)
    .optional(),
});

export type Level = 'TRACE' | 'DEBUG' | 'LOG' | 'INFO' | 'WARN' | 'ERROR';

/** A span, or a log line as one without length. */
export interface TelemetryRecord {
  kind: 'span' | 'log';
  /** Bare id. */
  run: string;
  traceId: string;
  /** Of a log line: made here. */
  id: string;
  parentId?: string;
  message: string;
  level: Level;
  startMs: number;
  durationMs: number;
  isError: boolean;
  /** The span has begun and not ended. */
  isPartial: boolean;
  attempt?: number;
  properties: Record<string, unknown>;
  events: Array<{ name: string; timeMs: number; properties: Record<string, unknown> }>;
}

export function spansOf(body: z.infer<typeof TracesSchema>): TelemetryRecord[] {
  const records: TelemetryRecord[] = [];
  for (const { resource, scopeSpans } of body.resourceSpans ?? [])
    for (const { spans } of scopeSpans ?? [])
      for (const span of spans ?? []) {
        const attributes = attributesOf(span.attributes);
        const context = contextOf(attributes, attributesOf(resource?.attributes));
        if (!context || records.length >= MAX_RECORDS) continue;
        const isPartial = attributes['$span.partial'] === true;
        const startMs = msOf(span.startTimeUnixNano);
        const endMs = isPartial || span.endTimeUnixNano === undefined ? startMs : msOf(span.endTimeUnixNano);
        const real = attributes['$span.span_id'];
        records.push({
          kind: 'span',
          ...context,
          traceId: span.traceId,
          id: isPartial && typeof real === 'string' ? real : span.spanId,
          ...(span.parentSpanId ? { parentId: span.parentSpanId } : {}),
          message: span.name.slice(0, MAX_TEXT),
          level: 'TRACE',
          startMs,
          durationMs: Math.max(0, endMs - startMs),
          isError: span.status?.code === 2 || span.status?.code === 'STATUS_CODE_ERROR',
          isPartial,
          properties: shown(attributes),
          events: (span.events ?? []).slice(0, MAX_EVENTS).map((event) => ({
            name: (event.name ?? '').slice(0, MAX_TEXT),
            timeMs: event.timeUnixNano === undefined ? startMs : msOf(event.timeUnixNano),
            properties: shown(attributesOf(event.attributes)),
          })),
        });
      }
  return records;
}

export function logsOf(body: z.infer<typeof LogsSchema>): TelemetryRecord[] {
  const records: TelemetryRecord[] = [];
  for (const { resource, scopeLogs } of body.resourceLogs ?? [])
    for (const { logRecords } of scopeLogs ?? [])
      for (const log of logRecords ?? []) {
        const attributes = attributesOf(log.attributes);
        const context = contextOf(attributes, attributesOf(resource?.attributes));
        if (!context || records.length >= MAX_RECORDS) continue;
        const nanos = log.timeUnixNano ?? log.observedTimeUnixNano ?? 0;
        const level = levelOf(log.severityNumber, log.severityText);
        records.push({
          kind: 'log',
          ...context,
          traceId: log.traceId ?? '',
          // The same line of a repeated request has the same id.
          id: `log-${String(nanos)}-${records.length}`,
          ...(log.spanId ? { parentId: log.spanId } : {}),
          message: textOf(valueOf(log.body)).slice(0, MAX_TEXT),
          level,
          startMs: msOf(nanos),
          durationMs: 0,
          isError: level === 'ERROR',
          isPartial: false,
          properties: shown(attributes),
          events: [],
        });
      }
  return records;
}

/** @opentelemetry/api-logs: SeverityNumber; the SDK's `logger.log` has the text LOG. */
function levelOf(number: number | undefined, text: string | undefined): Level {
  if (text !== undefined && text.toUpperCase() === 'LOG') return 'LOG';
  if (number === undefined) return 'INFO';
  if (number >= 17) return 'ERROR';
  if (number >= 13) return 'WARN';
  if (number >= 9) return 'INFO';
  return number >= 5 ? 'DEBUG' : 'TRACE';
}

/** Names that the SDK gives what belongs to the run, not to the span (@trigger.dev/core: semanticInternalAttributes). */
const CONTEXT = ['', '$metadata.'];

function contextOf(
  attributes: Record<string, unknown>,
  resource: Record<string, unknown>,
): { run: string; attempt?: number } | null {
  const find = (name: string): unknown => {
    for (const prefix of CONTEXT) {
      const value = attributes[prefix + name] ?? resource[prefix + name];
      if (value !== undefined) return value;
    }
    return undefined;
  };
  const id = find('ctx.run.id');
  const run = typeof id === 'string' ? runIdOf(id) : null;
  if (run === null) return null;
  const attempt = find('ctx.attempt.number');
  return { run, ...(typeof attempt === 'number' ? { attempt } : {}) };
}

/** What user code set: neither the run's context nor what styles the vendor's dashboard. */
function shown(attributes: Record<string, unknown>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  let count = 0;
  for (const [name, value] of Object.entries(attributes)) {
    if (/^(?:\$|ctx\.|project\.dir$)/.test(name) || name === '__proto__') continue;
    if (++count > MAX_ATTRIBUTES) break;
    kept[name.slice(0, 256)] = typeof value === 'string' ? value.slice(0, MAX_TEXT) : value;
  }
  return kept;
}

function attributesOf(list: z.infer<typeof Attributes> | undefined): Record<string, unknown> {
  return Object.fromEntries((list ?? []).slice(0, 4 * MAX_ATTRIBUTES).map(({ key, value }) => [key, valueOf(value)]));
}

/** An OTLP AnyValue as plain JSON; deeper than a few levels it is text. */
function valueOf(value: Record<string, unknown> | undefined, depth = 0): unknown {
  if (value === undefined) return null;
  if ('stringValue' in value) return value.stringValue;
  if ('boolValue' in value) return value.boolValue;
  if ('intValue' in value) return Number(value.intValue);
  if ('doubleValue' in value) return value.doubleValue;
  if (depth < 3 && isObject(value.arrayValue) && Array.isArray(value.arrayValue.values))
    return value.arrayValue.values.slice(0, 256).map((item) => (isObject(item) ? valueOf(item, depth + 1) : null));
  return JSON.stringify(value).slice(0, MAX_TEXT);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

function msOf(nanos: string | number): number {
  return Math.round(Number(nanos) / 1_000) / 1_000;
}
