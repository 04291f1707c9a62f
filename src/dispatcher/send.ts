import type { HttpCall, HttpResult } from '../../core/ports.ts';

/** Sends one request and reads at most `maxResponseBytes` of the answer. Redirects are an answer like any other. Never throws. */
export async function send(call: HttpCall): Promise<HttpResult> {
  const startedAt = Date.now();
  const took = (): number => Date.now() - startedAt;
  // workerd's fetch refuses a GET or HEAD request with a body.
  const bodyless = call.method === 'GET' || call.method === 'HEAD';
  const abort = new AbortController();
  let answered = false;
  const timer = setTimeout(() => abort.abort(), call.timeoutMs);
  try {
    const response = await fetch(call.url, {
      method: call.method,
      headers: call.headers,
      body: bodyless ? null : call.body,
      redirect: 'manual',
      signal: abort.signal,
    });
    answered = true;
    const { body, truncated } = await read(response, call.maxResponseBytes);
    const headers: Array<[string, string]> = [];
    response.headers.forEach((value, name) => headers.push([name, value]));
    return { ok: true, status: response.status, headers, body, truncated, durationMs: took() };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (abort.signal.aborted)
      return {
        ok: false,
        code: 'timeout',
        message: `no complete answer within ${call.timeoutMs} ms`,
        durationMs: took(),
      };
    return {
      ok: false,
      code: 'connection',
      ...(answered ? { answered } : {}),
      message: `${new URL(call.url).host} could not be reached or closed the connection: ${message}`,
      durationMs: took(),
    };
  } finally {
    clearTimeout(timer);
  }
}

async function read(response: Response, maxBytes: number): Promise<{ body: Uint8Array; truncated: boolean }> {
  const length = Number(response.headers.get('content-length') ?? NaN);
  // Its stream is not looked at: that would be one more object of the runtime.
  if (length <= maxBytes) return { body: new Uint8Array(await response.arrayBuffer()), truncated: false };
  if (!response.body) return { body: new Uint8Array(), truncated: false };
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { body: join(chunks, size), truncated: false };
    const room = maxBytes - size;
    chunks.push(value.byteLength > room ? value.subarray(0, room) : value);
    size += Math.min(value.byteLength, room);
    if (value.byteLength > room) {
      await reader.cancel().catch(() => {});
      return { body: join(chunks, size), truncated: true };
    }
  }
}

function join(chunks: Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}
