import { publicToken, subjectFor } from '../auth.ts';
import { tokenTtlSeconds } from '../jwt.ts';
import { open, readBody, type RouteContext } from '../request.ts';
import { MAX_SMALL_BODY_BYTES, PublicTokenBodySchema } from '../schema.ts';

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
  const extra = { ...(realtime ? { realtime } : {}), ...(oneTimeUse ? { otu: true } : {}) };
  return c.json({ token: await publicToken(c.get('host').context, scopes, tokenTtlSeconds(expirationTime), extra) });
}
