import { publicToken, subjectFor } from '../auth.ts';
import { ApiError } from '../errors.ts';
import { tokenEndSeconds } from '../jwt.ts';
import { open, readBody, type RouteContext } from '../request.ts';
import { MAX_SMALL_BODY_BYTES, PublicTokenBodySchema } from '../schema.ts';

/** trigger.dev: api.v1.auth.public-tokens, MAX_PUBLIC_TOKEN_LIFETIME_SECONDS */
const MAX_LIFETIME_S = 30 * 86_400;

/** POST /api/v1/auth/jwt/claims — the claims that a client signs with its own secret key. */
export async function jwtClaims(c: RouteContext): Promise<Response> {
  const { access, cell } = await open(c);
  return c.json({ sub: await subjectFor(access, c.get('host').context, cell), pub: true });
}

/** POST /api/v1/auth/public-tokens — a token signed here. */
export async function createPublicToken(c: RouteContext): Promise<Response> {
  await open(c);
  const { scopes, expirationTime, realtime, oneTimeUse } = await readBody(
    c,
    PublicTokenBodySchema,
    MAX_SMALL_BODY_BYTES,
  );
  const { context } = c.get('host');
  const nowSeconds = Math.floor(context.wallClockMs() / 1_000);
  const endsAt = tokenEndSeconds(expirationTime, nowSeconds);
  if (endsAt === null)
    throw new ApiError(
      'bad_request',
      `Invalid expiration time: "${expirationTime}" is no length of time such as 15m, 24h or 7d`,
    );
  if (endsAt <= nowSeconds) throw new ApiError('bad_request', 'Expiration time must be in the future');
  if (endsAt - nowSeconds > MAX_LIFETIME_S) throw new ApiError('bad_request', 'Expiration time cannot exceed 30 days');
  const extra = { ...(realtime ? { realtime } : {}), ...(oneTimeUse ? { otu: true } : {}) };
  return c.json({ token: await publicToken(context, scopes, endsAt - nowSeconds, extra) });
}
