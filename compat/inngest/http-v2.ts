import type { ContentfulStatusCode } from 'hono/utils/http-status';
import * as z from 'zod';
import type { RouteContext } from './http.ts';
import { InngestError } from './errors.ts';

/** Items of one page of the second API. */
const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 100;

export interface PageV2 {
  cursor: string | null;
  hasMore: boolean;
  limit: number;
}

/** Envelope of the second API. */
export function answerV2(c: RouteContext, data: unknown, page?: PageV2, status: ContentfulStatusCode = 200): Response {
  const metadata = { fetchedAt: new Date(c.var.host.context.wallClockMs()).toISOString(), cachedUntil: null };
  return c.json({ data, metadata, ...(page ? { page } : {}) }, status);
}

const PageSchema = z.object({
  cursor: z.string().max(512).optional(),
  limit: z.coerce.number().int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
});

export function pageOf(c: RouteContext): { cursor?: string; limit: number } {
  const parsed = PageSchema.safeParse(c.req.query());
  if (!parsed.success) throw new InngestError(400, 'invalid_request', `limit must lie between 1 and ${MAX_LIMIT}.`);
  const { cursor, limit } = parsed.data;
  return cursor ? { cursor, limit } : { limit };
}

/** A member by its camel or its snake case name: the vendor's gateway reads both. */
export function member(body: unknown, camel: string): unknown {
  if (typeof body !== 'object' || body === null) return undefined;
  const snake = camel.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const record = body as Record<string, unknown>;
  return record[camel] ?? record[snake];
}
