import type { HttpCall, HttpResult } from '../../core/ports.ts';

/** 300 and 304 name no address to go to. */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Sends a request and follows the redirects that it allows (`HttpCall.redirects`). Each hop goes through `send`, which also decides whether
 * its address may be called; all of them share the request's time. The last answer is the result, a redirect that is not followed too.
 */
export async function follow(call: HttpCall, send: (hop: HttpCall) => Promise<HttpResult>): Promise<HttpResult> {
  let hop = call;
  let tookMs = 0;
  for (let left = call.redirects ?? 0; ; left--) {
    const result = await send(hop);
    tookMs += result.durationMs;
    const next = left > 0 ? nextUrl(hop.url, result) : null;
    const timeoutMs = call.timeoutMs - tookMs;
    if (next === null || timeoutMs <= 0) return { ...result, durationMs: tookMs };
    hop = { ...call, url: next, timeoutMs };
  }
}

/** The address that an answer sends on to, with the query of the one before laid over its own; null: it sends on to none. */
function nextUrl(url: string, result: HttpResult): string | null {
  if (!result.ok || !REDIRECTS.has(result.status)) return null;
  const location = result.headers.find(([name]) => name.toLowerCase() === 'location')?.[1];
  if (location === undefined || !URL.canParse(location, url)) return null;
  const next = new URL(location, url);
  for (const [name, value] of new URL(url).searchParams) next.searchParams.set(name, value);
  return next.href;
}
