import { sign, verify } from 'hono/jwt';
import { parseJson, isRecord } from './packets.ts';

/** @trigger.dev/core: v3/jwt.ts */
const ISSUER = 'https://id.trigger.dev';
const AUDIENCE = 'https://api.trigger.dev';

export interface PublicClaims {
  /** Id of the environment, or of the key that signs in dev mode (auth.ts). */
  sub: string;
  scopes: string[];
  oneTimeUse: boolean;
  /** Columns that subscriptions with this token leave out. */
  skipColumns: string[];
  jti: string | null;
  /** Seconds since the epoch; null for one that does not end. */
  expiresAt: number | null;
}

export const TOKEN_TTL_S = { trigger: 3_600, waitpoint: 86_400, default: 900 } as const;

/** A public access token, signed with the environment's secret key. */
export async function issueToken(
  key: string,
  sub: string,
  scopes: string[],
  nowMs: number,
  ttlSeconds: number,
  extra: Record<string, unknown> = {},
): Promise<string> {
  const iat = Math.floor(nowMs / 1_000);
  return sign(
    { ...extra, sub, pub: true, scopes, iss: ISSUER, aud: AUDIENCE, iat, exp: iat + ttlSeconds },
    key,
    'HS256',
  );
}

/** The subject of a token that says it is public, unverified: it names the key to verify with. */
export function peekSubject(token: string): string | null {
  const part = token.split('.')[1];
  if (part === undefined || token.split('.').length !== 3) return null;
  try {
    const claims = parseJson(
      new TextDecoder().decode(
        Uint8Array.from(atob(part.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0)),
      ),
    );
    return isRecord(claims) && claims.pub === true && typeof claims.sub === 'string' ? claims.sub : null;
  } catch {
    return null;
  }
}

/** Null when the signature, issuer, audience or time does not fit. */
export async function verifyToken(token: string, key: string): Promise<PublicClaims | null> {
  try {
    const claims: Record<string, unknown> = await verify(token, key, { alg: 'HS256', iss: ISSUER, aud: AUDIENCE });
    if (claims.pub !== true || typeof claims.sub !== 'string') return null;
    return {
      sub: claims.sub,
      scopes: textsOf(claims.scopes),
      oneTimeUse: claims.otu === true,
      skipColumns: textsOf(isRecord(claims.realtime) ? claims.realtime.skipColumns : undefined),
      jti: typeof claims.jti === 'string' ? claims.jti : null,
      expiresAt: typeof claims.exp === 'number' ? claims.exp : null,
    };
  } catch {
    return null;
  }
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

/** A scope to write is one to trigger too (@trigger.dev/core: v3/jwt.ts). */
const ALSO: Readonly<Record<string, readonly string[]>> = { write: ['trigger', 'batchTrigger'] };

/**
 * `read`, `read:runs`, `read:runs:<id>` all allow reading that run; `admin` allows all (trigger.dev: apps/webapp authorization.server.ts). Of several
 * resources one is enough. An id of '' stands for all of a kind: a scope for one of them is not enough.
 */
export function allows(
  scopes: readonly string[],
  action: string,
  resources: ReadonlyArray<readonly [type: string, id: string]>,
): boolean {
  return scopes.some((scope) => {
    if (scope === 'admin') return true;
    const [granted, type, ...id] = scope.split(':');
    if (granted !== action && !(ALSO[granted ?? ''] ?? []).includes(action)) return false;
    if (type === undefined || type === 'all') return true;
    return resources.some(
      ([wantedType, wantedId]) => wantedType === type && (id.length === 0 || id.join(':') === wantedId),
    );
  });
}

const RELATIVE =
  /^(\+|-)? ?(\d+(?:\.\d+)?) ?(seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w|years?|yrs?|y)(?: (ago|from now))?$/i;
const UNIT_S = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800, y: 31_557_600 };

/**
 * When a token ends, in seconds since the epoch, as the clients write it: a number is that, a text such as `15m`, `24h` or `2 days` counts from
 * now. Null for a text that is none (jose's times; trigger.dev: api.v1.auth.public-tokens).
 */
export function tokenEndSeconds(value: number | string | undefined, nowSeconds: number): number | null {
  if (typeof value === 'number') return value;
  if (value === undefined) return nowSeconds + TOKEN_TTL_S.default;
  const [, sign, amount = '', unit = '', way] = RELATIVE.exec(value) ?? [];
  if (amount === '' || (sign !== undefined && way !== undefined)) return null;
  const seconds = Math.round(Number(amount) * UNIT_S[unit.charAt(0).toLowerCase() as keyof typeof UNIT_S]);
  return nowSeconds + (sign === '-' || way?.toLowerCase() === 'ago' ? -seconds : seconds);
}
