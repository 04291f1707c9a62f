import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { readBounded, readBoundedText } from '../../core/net/bounded-body.ts';
import type { CellApi, RouteEnv } from '../../core/ports.ts';
import { requireSigningKey, serverKind } from './auth.ts';
import { InngestError, toErrorBody } from './errors.ts';

export type RouteContext = Context<RouteEnv>;

export type RouteHandler = (c: RouteContext) => Response | Promise<Response>;

/**
 * A route that sets the common headers itself, or needs none. Errors are rendered here and not by Hono's onError: for its sake Hono runs every handler
 * of a path in a chain of its own.
 */
export function plain(handler: RouteHandler): RouteHandler {
  return async (c) => {
    try {
      return await handler(c);
    } catch (error) {
      // For the log, as Hono would.
      c.error = error instanceof Error ? error : new Error(String(error));
      return onError(error, c);
    }
  };
}

/** A route of which every answer tells what kind of server this is and may be read by any page: the event API is called from browsers. */
export function open(handler: RouteHandler): RouteHandler {
  const answer = plain(handler);
  return async (c) => {
    const response = await answer(c);
    for (const [name, value] of Object.entries(commonHeaders(c))) response.headers.set(name, value);
    return response;
  };
}

/** Routes that the SDKs and people's scripts call with the signing key. */
export function guarded(handler: RouteHandler): RouteHandler {
  return open(keyed(handler));
}

/** As it stands, for callers with the signing key. */
export function keyed(handler: RouteHandler): RouteHandler {
  return async (c) => {
    await requireSigningKey(c.var.host.context, c.req.header('authorization'));
    return handler(c);
  };
}

function commonHeaders(c: RouteContext): Record<string, string> {
  return { 'x-inngest-server-kind': serverKind(c.var.host.context), 'access-control-allow-origin': '*' };
}

/** JSON text with the common headers, for the busiest routes: one object of the runtime where setting them afterwards takes three. */
export function completeJson(c: RouteContext, text: string | null, status = 200): Response {
  const headers = commonHeaders(c);
  if (text !== null) headers['content-type'] = 'application/json';
  return new Response(text, { status, headers });
}

export function preflight(c: RouteContext): Response {
  c.header('access-control-allow-methods', 'GET, POST, PUT, PATCH, DELETE, OPTIONS');
  c.header('access-control-allow-headers', c.req.header('access-control-request-headers') ?? '*');
  c.header('access-control-max-age', '86400');
  return c.body(null, 204);
}

export function onError(error: unknown, c: RouteContext): Response {
  const body = toErrorBody(error);
  if (body.status >= 500 && body.status !== 501) console.error('inngest', c.req.method, pathForLog(c), error);
  const status = body.status as ContentfulStatusCode;
  for (const [name, value] of Object.entries(commonHeaders(c))) c.header(name, value);
  // The second API has an envelope of its own.
  if (/^\/(api\/)?v2\//.test(c.req.path)) return c.json({ errors: [{ code: body.code, message: body.error }] }, status);
  return c.json(body, status);
}

/** The path of an event names its key, which is no secret of the log's. */
function pathForLog(c: RouteContext): string {
  return c.req.path.replace(/^\/e\/[^/]+/, '/e/…');
}

export function cellOf(c: RouteContext): CellApi {
  const { host } = c.var;
  return host.cell(host.context.environment);
}

/** The body as text, refused when it is longer. */
export async function readText(c: RouteContext, maxBytes: number): Promise<string> {
  const text = await readBoundedText(c.req.raw, maxBytes);
  if (text === null) throw tooLarge(maxBytes);
  return text;
}

/** The body, refused when it is longer: nothing is declared of one that comes in chunks, so it is counted as it comes. */
export async function readBytes(c: RouteContext, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readBounded(c.req.raw, maxBytes);
  if (bytes === null) throw tooLarge(maxBytes);
  return bytes;
}

export async function readJson(c: RouteContext, maxBytes: number): Promise<unknown> {
  return parseJson(await readText(c, maxBytes));
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new InngestError(400, 'invalid_json', 'The body is not valid JSON.');
  }
}

function tooLarge(maxBytes: number): InngestError {
  return new InngestError(413, 'payload_too_large', `The body is larger than ${maxBytes} bytes.`);
}

/** Envelope of the v1 API. `data` is JSON text. */
export function envelope(c: RouteContext, data: string): Response {
  const fetchedAt = new Date(c.var.host.context.wallClockMs()).toISOString();
  return jsonText(c, `{"data":${data},"metadata":{"fetched_at":"${fetchedAt}","cached_until":null}}`);
}

export function jsonText(c: RouteContext, text: string): Response {
  return c.body(text, 200, { 'content-type': 'application/json' });
}
