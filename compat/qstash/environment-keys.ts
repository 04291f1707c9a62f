import { isEnvironmentName } from '../../core/model/placement.ts';
import type { EnvironmentClaim, EnvironmentKeys } from '../../core/ports.ts';
import { fromBase64 } from './encoding.ts';

/** Base 64 of `{"Password":"rp`: with the password first, these tokens are told from others by how they begin. */
const BEGINNING = 'eyJQYXNzd29yZCI6InJw';
/** Users of derived tokens: hook addresses carry the user and no token. */
const USER_PREFIX = 'rp_';
const HOOK = /\/v2\/workflows\/hooks\/rp_([a-z0-9-]+)\//;
const MAX_TOKEN_LENGTH = 512;

export const qstashKeys: EnvironmentKeys = {
  claim(request) {
    const authorization = request.headers.get('authorization');
    const token = authorization?.slice(7) ?? queryToken(request.url);
    if (token === null && request.url.includes('/hooks/rp_')) return claimOfHook(request.url);
    if (!token?.startsWith(BEGINNING) || token.length > MAX_TOKEN_LENGTH) return null;
    const bytes = fromBase64(token.trim());
    const match =
      bytes &&
      /^\{"Password":"rp(\d{1,6})_[0-9a-f]{32}","UserID":"rp_([a-z0-9-]+)"\}$/.exec(new TextDecoder().decode(bytes));
    return match?.[2] !== undefined && isEnvironmentName(match[2])
      ? { environment: match[2], keyVersion: Number(match[1]) }
      : null;
  },

  async variables(environment, keyVersion, derive) {
    const password = `rp${keyVersion}_${(await derive('qstash-token')).slice(0, 32)}`;
    const signing = async (version: number): Promise<string> =>
      `sig_${(await derive('qstash-signing', version)).slice(0, 28)}`;
    return {
      QSTASH_TOKEN: btoa(JSON.stringify({ Password: password, UserID: USER_PREFIX + environment })),
      REPOINT_QSTASH_READONLY_TOKEN: '',
      // Rotation is the next version: what is next becomes current with it.
      QSTASH_CURRENT_SIGNING_KEY: await signing(keyVersion),
      QSTASH_NEXT_SIGNING_KEY: await signing(keyVersion + 1),
    };
  },
};

function claimOfHook(url: string): EnvironmentClaim | null {
  const environment = HOOK.exec(url)?.[1];
  return environment !== undefined && isEnvironmentName(environment) ? { environment } : null;
}

function queryToken(url: string): string | null {
  const at = url.indexOf(`qstash_token=${BEGINNING}`);
  return at < 0 ? null : new URL(url).searchParams.get('qstash_token');
}
