import type { EnvironmentContext } from '../../../core/ports.ts';
import { callbackHash } from '../tokens.ts';
import { isSame, signingKey } from '../auth.ts';
import { ApiError } from '../errors.ts';
import { LogsSchema, logsOf, spansOf, TracesSchema } from '../otlp.ts';
import { parseJson } from '../packets.ts';
import { engineNow, param, readText, type RouteContext } from '../request.ts';
import { keepTelemetry } from '../telemetry.ts';

/** Of one request, unpacked. */
const MAX_BYTES = 8 * 1_024 * 1_024;

/** The exporters send no key: the address that a worker is given carries a proof instead. */
export async function telemetryPath(context: EnvironmentContext): Promise<string> {
  const proof = await callbackHash(`otlp ${context.environment}`, signingKey(context));
  return `/otel/${context.environment}/${proof.slice(0, 32)}`;
}

/** POST /otel/:environment/:proof/v1/traces|logs|metrics — OTLP JSON, also gzipped; metrics are dropped. */
export async function keepOtlp(c: RouteContext): Promise<Response> {
  const host = c.get('host');
  const path = `/otel/${param(c, 'environment')}/${param(c, 'proof')}`;
  if (!(await isSame(path, await telemetryPath(host.context))))
    throw new ApiError('unauthorized', 'Not an address that this server has given to a worker');
  const signal = param(c, 'signal');
  if (signal === 'metrics') return dropOtlp(c);
  if (/protobuf/.test(c.req.header('content-type') ?? ''))
    throw new ApiError('bad_request', 'Only OTLP over JSON is read: set OTEL_EXPORTER_OTLP_PROTOCOL=http/json');
  const body = parseJson(await readBodyText(c));
  const parsed = signal === 'traces' ? TracesSchema.safeParse(body) : LogsSchema.safeParse(body);
  if (!parsed.success) throw new ApiError('bad_request', 'The body is not OTLP JSON');
  const records =
    signal === 'traces'
      ? spansOf(parsed.data as Parameters<typeof spansOf>[0])
      : logsOf(parsed.data as Parameters<typeof logsOf>[0]);
  const cell = host.cell(host.context.environment);
  await keepTelemetry(cell, records, await engineNow(c, cell));
  return c.json({ partialSuccess: {} });
}

/** POST /otel/v1/traces|logs|metrics — of workers that were given no proof: accepted and dropped. */
export async function dropOtlp(c: RouteContext): Promise<Response> {
  await readText(c, MAX_BYTES);
  return c.json({});
}

async function readBodyText(c: RouteContext): Promise<string> {
  if (c.req.header('content-encoding') !== 'gzip') return readText(c, MAX_BYTES);
  const { body } = c.req.raw;
  if (!body) return '';
  const reader = body
    .pipeThrough(new DecompressionStream('gzip') as ReadableWritablePair<Uint8Array, Uint8Array>)
    .getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (let size = 0; ;) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      size += value.byteLength;
      if (size > MAX_BYTES) throw new ApiError('payload_too_large', `More than ${MAX_BYTES} bytes unpacked`);
      text += decoder.decode(value, { stream: true });
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError('bad_request', 'The body is not gzip, though its content-encoding says so');
  } finally {
    await reader.cancel().catch(() => {});
  }
}
