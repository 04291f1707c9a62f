import { isEnvironmentName, keyedEnvironment } from '../../core/model/placement.ts';
import type { EnvironmentClaim, EnvironmentKeys } from '../../core/ports.ts';
import { environmentOfToken } from './realtime/token.ts';

/** `signkey-<environment>_v<version>-<hex>`: an SDK strips that prefix and sends it with the hash of what follows (npm inngest: hashSigningKey). */
const SIGNING = /^Bearer signkey-([a-z][a-z0-9_]*)_v(\d{1,6})-/i;
const EVENT_KEY = /\/e\/rp(\d{1,6})_([a-z][a-z0-9-]*)_[0-9a-f]{32}(?:$|[?/])/;
/** The environment under whose keys apps name branches, as the vendor's own branch keys do; a dev server lets every app name one. */
const BRANCHES = 'branch';
const MAX_BRANCH_CHARS = 255;
/** With its branch. */
const MAX_ENVIRONMENT_CHARS = 300;

export const inngestKeys: EnvironmentKeys = {
  claim(request, mode) {
    const keyed = claimOfKey(request);
    const branch = request.headers.get('x-inngest-env');
    const environment = keyed?.environment ?? 'default';
    const named = branch !== null && branch !== '' && branch.length <= MAX_BRANCH_CHARS;
    if (!named || (mode === 'production' && environment !== BRANCHES)) return keyed;
    return { ...keyed, environment, branch };
  },

  async variables(environment, keyVersion, derive) {
    const signing = async (version: number): Promise<string> =>
      `signkey-${environment.replaceAll('-', '_')}_v${version}-${await derive('inngest-signing', version)}`;
    const event = async (version: number): Promise<string> =>
      `rp${version}_${environment}_${(await derive('inngest-event', version)).slice(0, 32)}`;
    return {
      INNGEST_SIGNING_KEY: await signing(keyVersion),
      INNGEST_SIGNING_KEY_FALLBACK: '',
      INNGEST_EVENT_KEY: await event(keyVersion),
    };
  },
};

function claimOfKey(request: Request): EnvironmentClaim | null {
  if (request.url.includes('/v1/realtime/')) {
    const token = new URL(request.url).searchParams.get('token');
    const environment = token === null ? null : environmentOfToken(token);
    if (environment !== null) return { environment };
  }
  const authorization = request.headers.get('authorization');
  const signing = authorization?.startsWith('Bearer signkey-') ? SIGNING.exec(authorization) : null;
  const signed = signing?.[1]?.replaceAll('_', '-');
  if (signed !== undefined && isEnvironmentName(signed))
    return { environment: signed, keyVersion: Number(signing?.[2]) };
  if (request.url.includes('/v0/connect?')) {
    const env = new URL(request.url).searchParams.get('env') ?? '';
    return env.length <= MAX_ENVIRONMENT_CHARS && isEnvironmentName(keyedEnvironment(env))
      ? { environment: env }
      : null;
  }
  if (!request.url.includes('/e/rp')) return null;
  const match = EVENT_KEY.exec(request.url);
  return match?.[2] !== undefined && isEnvironmentName(match[2])
    ? { environment: match[2], keyVersion: Number(match[1]) }
    : null;
}
