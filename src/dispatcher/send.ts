import type { HttpCall, HttpResult } from '../../core/ports.ts';
import { readAtMost } from './read-at-most.ts';

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
      headers: headersInit(call.headers),
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

/** As an object, unless a name comes twice: pairs are read through iterators, which takes a run of four calls a twentieth longer. */
function headersInit(pairs: Array<[string, string]>): HeadersInit {
  const byName = Object.fromEntries(pairs);
  return Object.keys(byName).length === pairs.length ? byName : pairs;
}

async function read(response: Response, maxBytes: number): Promise<{ body: Uint8Array; truncated: boolean }> {
  const length = Number(response.headers.get('content-length') ?? NaN);
  // Its stream is not looked at: that would be one more object of the runtime. Of what is compressed the length says nothing.
  if (length <= maxBytes && !response.headers.has('content-encoding'))
    return { body: new Uint8Array(await response.arrayBuffer()), truncated: false };
  return readAtMost(response.body, maxBytes);
}
