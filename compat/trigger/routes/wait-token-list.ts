import type { CellApi } from '../../../core/ports.ts';
import { parseNaturalDuration } from '../durations.ts';
import { ApiError } from '../errors.ts';
import { COLLECTIONS } from '../names.ts';
import { engineNow, open, type RouteContext } from '../request.ts';
import { indexIdOf, readToken, tokenResponse, type Token } from '../tokens.ts';
import { callbackUrl } from './wait-tokens.ts';

const DEFAULT_PAGE = 25;
const MAX_PAGE = 100;
/** Tokens looked at for one page of a filter that matches rarely. */
const MAX_SCANNED = 5_000;
const STATUSES = ['WAITING', 'COMPLETED', 'TIMED_OUT'];

/** GET /api/v1/waitpoints/tokens — newest first, with filters. */
export async function listTokens(c: RouteContext): Promise<Response> {
  const { cell } = await open(c);
  const query = c.req.query();
  const nowMs = await engineNow(c, cell);
  const matches = filterOf(query, nowMs);
  const size = Math.min(MAX_PAGE, Math.max(1, Number(query['page[size]'] ?? DEFAULT_PAGE) || DEFAULT_PAGE));
  const after = query['page[after]'];
  const before = query['page[before]'];
  // A client that goes back from a later page sends both (@trigger.dev/core: CursorPage).
  const isBackwards = before !== undefined;
  let cursor = await indexIdFor(cell, before ?? after);
  const found: Array<Record<string, unknown>> = [];
  let last: string | undefined;
  for (let scanned = 0; scanned < MAX_SCANNED;) {
    const page = await cell.query({
      type: 'records',
      collection: COLLECTIONS.waitpointIndex,
      order: isBackwards ? 'asc' : 'desc',
      limit: MAX_PAGE,
      ...(cursor === undefined ? {} : { cursor }),
    });
    const tokens = await Promise.all(page.items.map(({ id }) => readToken(cell, id.slice(id.indexOf('-') + 1))));
    for (const token of tokens) {
      if (!token) continue;
      const shown = await tokenResponse(cell, token, await callbackUrl(c, token.id), nowMs);
      last = token.id;
      if (matches(token, shown)) found.push(shown);
      if (found.length > size) break;
    }
    scanned += Math.max(1, page.items.length);
    ({ cursor } = page);
    if (cursor === undefined || found.length > size) break;
  }
  const more = found.length > size;
  const data = found.slice(0, size);
  if (isBackwards) data.reverse();
  const next = isBackwards ? data.at(-1)?.id : more ? data.at(-1)?.id : cursor === undefined ? undefined : last;
  const previous = isBackwards ? (more ? data[0]?.id : undefined) : after === undefined ? undefined : data[0]?.id;
  return c.json({
    data: data.map(({ output: _o, outputType: _t, outputIsError: _e, ...item }) => item),
    pagination: { ...(next === undefined ? {} : { next }), ...(previous === undefined ? {} : { previous }) },
  });
}

async function indexIdFor(cell: CellApi, id: string | undefined): Promise<string | undefined> {
  if (id === undefined) return undefined;
  const token = await readToken(cell, id);
  if (!token) throw new ApiError('bad_request', 'Invalid page cursor');
  return indexIdOf(token);
}

function filterOf(
  query: Record<string, string>,
  nowMs: number,
): (token: Token, shown: Record<string, unknown>) => boolean {
  const list = (name: string): string[] => (query[`filter[${name}]`] ?? '').split(',').filter((text) => text !== '');
  const time = (name: string): number | undefined => {
    const text = query[`filter[createdAt][${name}]`];
    if (text === undefined) return undefined;
    const ms = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
    if (Number.isNaN(ms)) throw new ApiError('bad_request', `Invalid filter[createdAt][${name}]`);
    return ms;
  };
  const period = query['filter[createdAt][period]'];
  const periodMs = period === undefined ? undefined : parseNaturalDuration(period);
  if (periodMs === null) throw new ApiError('bad_request', 'Invalid filter[createdAt][period]');
  const fromMs = time('from') ?? (periodMs === undefined ? undefined : nowMs - periodMs);
  const toMs = time('to');
  const statuses = list('status');
  const unknown = statuses.find((status) => !STATUSES.includes(status));
  if (unknown !== undefined) throw new ApiError('bad_request', `Invalid filter[status]: "${unknown}"`);
  const tags = list('tags');
  const key = query['filter[idempotencyKey]'];
  return (token, shown) =>
    (statuses.length === 0 || statuses.includes(String(shown.status))) &&
    (tags.length === 0 || tags.some((tag) => token.tags.includes(tag))) &&
    (key === undefined || token.idempotencyKey === key) &&
    (fromMs === undefined || token.createdAt >= fromMs) &&
    (toMs === undefined || token.createdAt <= toMs);
}
