import { askGateway } from '../connect/ask.ts';
import { REQUEST_REF, SDK_RESPONSE } from '../connect/messages.ts';
import { decode, encode, WireError } from '../connect/wire.ts';
import { InngestError } from '../errors.ts';
import { MAX_RESPONSE_BYTES } from '../limits.ts';
import { readBytes, type RouteContext } from '../http.ts';

/** Room for what is around the answer of an app. */
const MAX_BODY_BYTES = MAX_RESPONSE_BYTES + 65_536;

/** POST /v0/connect/flush: a worker's reply that its connection could not carry. */
export async function connectFlush(c: RouteContext): Promise<Response> {
  const bytes = await readBytes(c, MAX_BODY_BYTES);
  const requestId = requestIn(bytes);
  let binary = '';
  for (let at = 0; at < bytes.length; at += 8_192) binary += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  await askGateway(c, { type: 'reply', response: btoa(binary) });
  return c.body(encode(REQUEST_REF, { requestId }), 200, { 'content-type': 'application/octet-stream' });
}

function requestIn(bytes: Uint8Array): string {
  try {
    const { requestId } = decode(SDK_RESPONSE, bytes);
    if (requestId) return requestId;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
  throw new InngestError(400, 'invalid_request', 'The body is not a reply of a Connect worker.');
}
