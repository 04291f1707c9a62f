import { isId } from '../../core/model/ids.ts';
import { decode, WireError } from './connect/wire.ts';
import type { Fields, Message } from './connect/wire.ts';
import { readReference } from './trace-context.ts';
import type { CallReference } from './trace-context.ts';

/**
 * OTLP over HTTP, as far as the spans of the SDKs' extended traces go (opentelemetry-proto: trace/v1/trace.proto, common/v1/common.proto; npm inngest:
 * src/components/execution/otel). What else an exporter sends is skipped.
 */

/** Of one span: what is beyond is left out. */
const MAX_ATTRIBUTES = 128;
const MAX_TEXT_CHARS = 4_096;
const MAX_NAME_CHARS = 512;
const MAX_VALUE_DEPTH = 4;
/** The SDK's own span around a call. It stands between the call and the app's spans, and is never shown. */
const WRAPPER = 'inngest.execution';
const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'];
const STATUS_ERROR = 2;
/** What the SDK says to the server by an attribute, and to nobody else (inngest/inngest: pkg/api/apiv1 commitSpan). */
const OWN_ATTRIBUTES = /^(inngest\.(traceparent|traceref|step\..*)|sdk\.(run|app)\.id|sys\.(app|function)\.id)$/;

/** A span that an app made while one of its functions was called. */
export interface UserSpan {
  id: string;
  parent: string | null;
  name: string;
  kind: string;
  startMs: number;
  endMs: number;
  failed: boolean;
  service: string | null;
  scope: string | null;
  scopeVersion: string | null;
  attributes: Record<string, unknown>;
  resource: Record<string, unknown>;
  /** Hashed id and attempt of the step that ran, where the SDK knows. */
  step: { key: string; attempt: number } | null;
  call: CallReference | null;
}

export interface Export {
  /** By the run that they say. */
  spans: Map<string, UserSpan[]>;
  /** Without a run. */
  rejected: number;
}

/** Reads an export. Null: the bytes are none. */
export function readExport(body: Uint8Array, isJson: boolean): Export | null {
  const raw = isJson ? fromJson(body) : fromProtobuf(body);
  if (raw === null) return null;
  const spans = new Map<string, UserSpan[]>();
  let rejected = 0;
  for (const { resource, scopes } of raw)
    for (const { name, version, spans: list } of scopes)
      for (const one of list) {
        if (one.name === WRAPPER) continue;
        const run = one.attributes['sdk.run.id'];
        if (typeof run !== 'string' || !isId(run) || one.id === '') rejected++;
        else spans.set(run, [...(spans.get(run) ?? []), toUserSpan(one, resource, { name, version })]);
      }
  return { spans, rejected };
}

type Attributes = Record<string, unknown>;

interface RawSpan {
  id: string;
  parent: string;
  name: string;
  kind: number;
  startNs: bigint;
  endNs: bigint;
  status: number;
  attributes: Attributes;
}

interface RawResource {
  resource: Attributes;
  scopes: Array<{ name: string; version: string; spans: RawSpan[] }>;
}

function toUserSpan(raw: RawSpan, resource: Attributes, scope: { name: string; version: string }): UserSpan {
  const { attributes } = raw;
  const key = attributes['inngest.step.hash'];
  const attempt = attributes['inngest.step.attempt'];
  const reference = attributes['inngest.traceref'];
  const service = resource['service.name'];
  return {
    id: raw.id,
    parent: raw.parent === '' ? null : raw.parent,
    name: raw.name.slice(0, MAX_NAME_CHARS),
    kind: KINDS[raw.kind] ?? 'unspecified',
    startMs: Number(raw.startNs / 1_000_000n),
    endMs: Number(raw.endNs / 1_000_000n),
    failed: raw.status === STATUS_ERROR,
    service: typeof service === 'string' ? service : null,
    scope: scope.name || null,
    scopeVersion: scope.version || null,
    attributes: Object.fromEntries(Object.entries(attributes).filter(([name]) => !OWN_ATTRIBUTES.test(name))),
    resource,
    step: typeof key === 'string' ? { key, attempt: typeof attempt === 'number' ? attempt : 0 } : null,
    call: typeof reference === 'string' ? readReference(reference) : null,
  };
}

const VALUE = {
  stringValue: [1, 'string'],
  boolValue: [2, 'bool'],
  intValue: [3, 'number'],
  doubleValue: [4, 'double'],
} as const satisfies Fields;
const ATTRIBUTE = { key: [1, 'string'], value: [2, 'message', VALUE] } as const satisfies Fields;
const EXPORT = {
  resourceSpans: [
    1,
    'messages',
    {
      resource: [1, 'message', { attributes: [1, 'messages', ATTRIBUTE] }],
      scopeSpans: [
        2,
        'messages',
        {
          scope: [1, 'message', { name: [1, 'string'], version: [2, 'string'] }],
          spans: [
            2,
            'messages',
            {
              spanId: [2, 'bytes'],
              parentSpanId: [4, 'bytes'],
              name: [5, 'string'],
              kind: [6, 'number'],
              startTimeUnixNano: [7, 'fixed64'],
              endTimeUnixNano: [8, 'fixed64'],
              attributes: [9, 'messages', ATTRIBUTE],
              status: [15, 'message', { code: [3, 'number'] }],
            },
          ],
        },
      ],
    },
  ],
} as const satisfies Fields;

function fromProtobuf(body: Uint8Array): RawResource[] | null {
  let message: Message<typeof EXPORT>;
  try {
    message = decode(EXPORT, body);
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
  return (message.resourceSpans ?? []).map(({ resource, scopeSpans }) => ({
    resource: attributesOf(resource?.attributes),
    scopes: (scopeSpans ?? []).map(({ scope, spans }) => ({
      name: scope?.name ?? '',
      version: scope?.version ?? '',
      spans: (spans ?? []).map((span) => ({
        id: hex(span.spanId),
        parent: hex(span.parentSpanId),
        name: span.name ?? '',
        kind: span.kind ?? 0,
        startNs: span.startTimeUnixNano ?? 0n,
        endNs: span.endTimeUnixNano ?? 0n,
        status: span.status?.code ?? 0,
        attributes: attributesOf(span.attributes),
      })),
    })),
  }));
}

function hex(bytes: Uint8Array | undefined): string {
  return [...(bytes?.subarray(0, 8) ?? [])].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

type Json = Record<string, unknown>;

function fromJson(body: Uint8Array): RawResource[] | null {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(body));
  } catch {
    return null;
  }
  const { resourceSpans } = objectOf(value);
  if (!Array.isArray(resourceSpans)) return null;
  return listOf(resourceSpans).map((one) => ({
    resource: attributesOf(listOf(objectOf(one['resource'])['attributes'])),
    scopes: listOf(one['scopeSpans']).map(({ scope, spans }) => ({
      name: textOf(objectOf(scope)['name']),
      version: textOf(objectOf(scope)['version']),
      spans: listOf(spans).map((span) => ({
        id: spanIdOf(span['spanId']),
        parent: spanIdOf(span['parentSpanId']),
        name: textOf(span['name']),
        kind: Number(span['kind'] ?? 0),
        startNs: nanosOf(span['startTimeUnixNano']),
        endNs: nanosOf(span['endTimeUnixNano']),
        status: Number(objectOf(span['status'])['code'] ?? 0),
        attributes: attributesOf(listOf(span['attributes'])),
      })),
    })),
  }));
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function listOf(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(objectOf) : [];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function spanIdOf(value: unknown): string {
  return typeof value === 'string' && /^[0-9a-f]{16}$/i.test(value) ? value.toLowerCase() : '';
}

/** A number or its digits; the exporters of JavaScript say either. */
function nanosOf(value: unknown): bigint {
  if (typeof value === 'string' && /^\d{1,20}$/.test(value)) return BigInt(value);
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? BigInt(Math.trunc(value)) : 0n;
}

function attributesOf(list: ReadonlyArray<{ key?: unknown; value?: unknown }> | undefined): Attributes {
  const entries = (list ?? [])
    .filter(({ key }) => typeof key === 'string' && key !== '')
    .slice(0, MAX_ATTRIBUTES)
    .map(({ key, value }) => [(key as string).slice(0, MAX_NAME_CHARS), plainValue(value, 0)] as const);
  return Object.fromEntries(entries);
}

/** `AnyValue`, in either form. Lists are told by the exporters of JSON only. */
function plainValue(value: unknown, depth: number): unknown {
  const { stringValue, boolValue, intValue, doubleValue, arrayValue } = objectOf(value);
  if (typeof stringValue === 'string') return stringValue.slice(0, MAX_TEXT_CHARS);
  if (typeof boolValue === 'boolean') return boolValue;
  if (intValue !== undefined) return Number(intValue);
  if (typeof doubleValue === 'number') return Number.isFinite(doubleValue) ? doubleValue : String(doubleValue);
  if (arrayValue !== undefined && depth < MAX_VALUE_DEPTH)
    return listOf(objectOf(arrayValue)['values'])
      .slice(0, MAX_ATTRIBUTES)
      .map((one) => plainValue(one, depth + 1));
  return '';
}
