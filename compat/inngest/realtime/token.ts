import { sign, verify } from 'hono/jwt';
import * as z from 'zod';
import type { EnvironmentContext } from '../../../core/ports.ts';
import { tokenKey, tokenKeys } from '../auth.ts';

/** Of what is published to a channel; the vendor's other kinds are of its own making. */
export const TopicSchema = z.looseObject({
  channel: z.string().min(1).max(512),
  name: z.string().min(1).max(256),
  kind: z.literal('run').optional(),
});
export const MAX_TOPICS = 100;

export interface Topic {
  channel: string;
  name: string;
}

/** To connect with: an open connection outlives it (inngest/inngest: pkg/execution/realtime/token.go). */
const TTL_S = 60;
const ISSUER = 'repoint.realtime';
/** Signs tokens of a dev server without configured keys; dev mode is open anyway. */
const DEV_KEY = 'signkey-dev-realtime';

const ClaimsSchema = z.looseObject({ env: z.string().max(200), topics: z.array(TopicSchema).max(MAX_TOPICS) });

/** A token for whoever may listen to the topics, browsers too: it carries them. `ttlSeconds`: how long one may connect with it. */
export async function issueRealtimeToken(
  context: EnvironmentContext,
  topics: readonly Topic[],
  ttlSeconds: number = TTL_S,
): Promise<string> {
  const iat = Math.floor(context.wallClockMs() / 1_000);
  const claims = {
    iss: ISSUER,
    env: context.environment,
    publish: false,
    topics: topics.map(({ channel, name }) => ({ kind: 'run', channel, name })),
    iat,
    exp: iat + ttlSeconds,
  };
  return sign(claims, tokenKey(context, DEV_KEY), 'HS256');
}

/** The topics of a genuine token that has not run out, or null. */
export async function readRealtimeToken(context: EnvironmentContext, token: string): Promise<Topic[] | null> {
  for (const key of tokenKeys(context, DEV_KEY)) {
    try {
      const claims: unknown = await verify(token, key, { alg: 'HS256', iss: ISSUER });
      const parsed = ClaimsSchema.safeParse(claims);
      if (parsed.success && parsed.data.env === context.environment)
        return parsed.data.topics.map(({ channel, name }) => ({ channel, name }));
    } catch {
      // Another key's, forged, or too old.
    }
  }
  return null;
}

/** The environment that a token names, unproven: its keys prove it (environment-keys.ts). Null for text that is no token. */
export function environmentOfToken(token: string): string | null {
  try {
    const part = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const claims: unknown = JSON.parse(atob(part));
    const parsed = z.looseObject({ env: z.string().regex(/^[a-z][a-z0-9~-]{0,100}$/) }).safeParse(claims);
    return parsed.success ? parsed.data.env : null;
  } catch {
    return null;
  }
}
