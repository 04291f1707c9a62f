import { readBounded } from '../../../core/net/bounded-body.ts';
import { encode } from '../connect/wire.ts';
import type { Fields } from '../connect/wire.ts';
import { InngestError } from '../errors.ts';
import { cellOf } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { readExport } from '../otlp.ts';
import { keepSpans } from '../user-spans.ts';

/** Of one export, unpacked (inngest/inngest: apiv1 traces). */
const MAX_BODY_BYTES = 8 * 1_048_576;

/** POST /v1/traces/userland, POST /dev/traces: spans of the app's own, by OTLP over HTTP. They are shown in the traces of their runs. */
export async function receiveTraces(c: RouteContext): Promise<Response> {
  const type = c.req.header('content-type') ?? '';
  const isJson = type.startsWith('application/json');
  if (!isJson && !type.startsWith('application/x-protobuf'))
    throw new InngestError(415, 'unsupported_media_type', 'Traces come as application/json or application/x-protobuf.');
  const { spans, rejected: homeless } = readExport(await readUnpacked(c), isJson) ?? refuse(isJson);
  const cell = cellOf(c);
  const { nowMs } = await cell.query({ type: 'clock' });
  let rejected = homeless;
  for (const [run, list] of spans) rejected += await keepSpans(cell, run, list, nowMs);
  if (isJson) return c.json(rejected === 0 ? {} : { partialSuccess: { rejectedSpans: String(rejected) } });
  return c.body(rejected === 0 ? new Uint8Array(0) : partialSuccess(rejected), 200, {
    'content-type': 'application/x-protobuf',
  });
}

async function readUnpacked(c: RouteContext): Promise<Uint8Array> {
  const encoding = c.req.header('content-encoding') ?? 'identity';
  if (encoding !== 'identity' && encoding !== 'gzip')
    throw new InngestError(415, 'unsupported_media_type', 'Traces come as they are, or packed by gzip.');
  let { body } = c.req.raw;
  if (encoding === 'gzip' && body) body = body.pipeThrough(new DecompressionStream('gzip'));
  try {
    const bytes = await readBounded(body, MAX_BODY_BYTES);
    if (bytes !== null) return bytes;
  } catch {
    throw new InngestError(400, 'invalid_request', 'The body is not packed by gzip, or ends too early.');
  }
  throw new InngestError(413, 'payload_too_large', `An export has at most ${MAX_BODY_BYTES} bytes.`);
}

function refuse(isJson: boolean): never {
  const why = isJson ? 'resourceSpans is missing' : 'its Protocol Buffers cannot be read';
  throw new InngestError(400, 'invalid_request', `The body is no OTLP export: ${why}.`);
}

/** `ExportTraceServiceResponse` with `partial_success.rejected_spans`. */
function partialSuccess(rejected: number): Uint8Array<ArrayBuffer> {
  return encode(RESPONSE, { partialSuccess: { rejectedSpans: rejected } });
}

const RESPONSE = {
  partialSuccess: [1, 'message', { rejectedSpans: [1, 'number'] }],
} as const satisfies Fields;
