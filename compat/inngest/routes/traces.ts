import { InngestError } from '../errors.ts';
import { cellOf, readBytes } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { newEventId } from '../ids.ts';

/** Of one export (inngest/inngest: apiv1 traces). */
const MAX_BODY_BYTES = 8 * 1_048_576;
/** Exports are kept for looking at, not for ever. */
const KEPT_MS = 7 * 86_400_000;
/** Collection of what was exported, as it came: JSON as text, protobuf as base 64. */
export const TRACES = 'inngest/traces';

/** POST /v1/traces/userland, POST /dev/traces: spans of the app's own, by OTLP over HTTP. */
export async function receiveTraces(c: RouteContext): Promise<Response> {
  const type = c.req.header('content-type') ?? '';
  const isJson = type.startsWith('application/json');
  if (!isJson && !type.startsWith('application/x-protobuf'))
    throw new InngestError(415, 'unsupported_media_type', 'Traces come as application/json or application/x-protobuf.');
  if (Number(c.req.header('content-length') ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const body = await readBytes(c, MAX_BODY_BYTES);
  const text = isJson ? new TextDecoder().decode(body) : base64(body);
  if (isJson && !isExport(text))
    throw new InngestError(400, 'invalid_request', 'The body is no OTLP export: resourceSpans is missing.');
  const { nowMs } = await cellOf(c).query({ type: 'clock' });
  const data = JSON.stringify({
    type: isJson ? 'json' : 'protobuf',
    encoding: c.req.header('content-encoding') ?? null,
    body: text,
  });
  await cellOf(c).apply([
    { type: 'put-record', collection: TRACES, id: newEventId(nowMs), data, expiresAt: nowMs + KEPT_MS },
  ]);
  if (isJson) return c.json({});
  return c.body(new Uint8Array(0), 200, { 'content-type': 'application/x-protobuf' });
}

function isExport(text: string): boolean {
  try {
    const value = JSON.parse(text) as { resourceSpans?: unknown } | null;
    return Array.isArray(value?.resourceSpans);
  } catch {
    return false;
  }
}

function base64(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function tooLarge(): InngestError {
  return new InngestError(413, 'payload_too_large', `An export has at most ${MAX_BODY_BYTES} bytes.`);
}
