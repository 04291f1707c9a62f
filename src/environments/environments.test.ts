import { describe, expect, it } from 'vitest';
import { sign } from 'hono/jwt';
import { hashSigningKey } from '../../compat/inngest/auth.ts';
import type { Bindings } from '../bindings.ts';
import { contextOf } from '../context.ts';
import { identify } from './identify.ts';
import { environmentContext, keysOf } from './keys.ts';

const SECRET = 'a-root-secret-of-at-least-32-characters';

function bindings(vars: Record<string, string> = {}): Bindings {
  return { REPOINT_MODE: 'production', REPOINT_ROOT_SECRET: SECRET, ...vars } as unknown as Bindings;
}

async function meant(env: Bindings, headers: Record<string, string>, path = '/api/v1/runs'): Promise<string> {
  const request = new Request(`http://server${path}`, { headers });
  return (await identify(env, request, contextOf(env))).environment;
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

describe('keys of further environments', () => {
  it('say which environment they are for, in every form in which a vendor sends them', async () => {
    const env = bindings();
    const keys = (await keysOf(env, 'pr-12')) as Record<string, string>;
    const signing = keys.INNGEST_SIGNING_KEY as string;
    const hashed = `${/^signkey-\w+-/.exec(signing)?.[0]}${await hashSigningKey(signing)}`;
    for (const token of [
      keys.TRIGGER_SECRET_KEY,
      keys.TRIGGER_ACCESS_TOKEN,
      keys.QSTASH_TOKEN,
      keys.REPOINT_API_KEY,
      signing,
      hashed,
    ] as string[])
      expect(await meant(env, bearer(token)), token).toBe('pr-12');
    expect(await meant(env, {}, `/e/${keys.INNGEST_EVENT_KEY}`)).toBe('pr-12');
    expect(await meant(env, {}, `/v2/messages/x?qstash_token=${encodeURIComponent(keys.QSTASH_TOKEN as string)}`)).toBe(
      'pr-12',
    );
    expect(await meant(env, {}, '/v2/workflows/hooks/rp_pr-12/wfr_1/e')).toBe('pr-12');
    const callback = '/api/v1/waitpoints/tokens/waitpoint_1/callback/abc';
    expect(await meant(env, {}, `${callback}?environment=pr-12`)).toBe('pr-12');
    const token = await sign({ sub: 'env_pr-12', pub: true, scopes: [] }, keys.TRIGGER_SECRET_KEY as string, 'HS256');
    expect(await meant(env, bearer(token))).toBe('pr-12');
  });

  it('differ by environment, by version and by secret, and come out the same anywhere', async () => {
    const of = async (name: string, vars: Record<string, string> = {}): Promise<string[]> =>
      Object.values((await keysOf(bindings(vars), name)) ?? {}).filter((value) => value !== '');
    const staging = await of('staging');
    expect(await of('staging')).toEqual(staging);
    const others = [
      ...(await of('stagings')),
      ...(await of('staging', { REPOINT_KEY_VERSION: '3' })),
      ...(await of('staging', { REPOINT_ROOT_SECRET: `${SECRET}.` })),
    ];
    expect(new Set([...staging, ...others]).size).toBe(staging.length + others.length);
  });

  it('are those that the checks of the environment compare with, and of no other', async () => {
    const env = bindings({ TRIGGER_SECRET_KEY: 'tr_prod_default' });
    const keys = (await keysOf(env, 'staging')) as Record<string, string>;
    const own = await environmentContext(env, 'staging');
    expect(own).toMatchObject({ environment: 'staging', mode: 'production', vars: keys });
    expect((await environmentContext(env, 'default'))?.vars.TRIGGER_SECRET_KEY).toBe('tr_prod_default');
    // A key that names another environment is compared with that one's.
    const forged = (keys.TRIGGER_SECRET_KEY as string).replace('_staging_', '_other_');
    const claimed = await identify(env, new Request('http://server/', { headers: bearer(forged) }), contextOf(env));
    expect(claimed.environment).toBe('other');
    expect(claimed.vars.TRIGGER_SECRET_KEY).not.toBe(forged);
  });

  it('of the version before count until the next', async () => {
    const first = (await keysOf(bindings(), 'staging')) as Record<string, string>;
    const token = bearer(first.TRIGGER_SECRET_KEY as string);
    for (const [version, environment] of [
      ['2', 'staging'],
      ['3', 'default'],
    ]) {
      const env = bindings({ REPOINT_KEY_VERSION: version as string });
      expect(await meant(env, token)).toBe(environment);
    }
    const second = (await keysOf(bindings({ REPOINT_KEY_VERSION: '2' }), 'staging')) as Record<string, string>;
    expect(second.QSTASH_CURRENT_SIGNING_KEY).toBe(first.QSTASH_NEXT_SIGNING_KEY);
  });

  it('do not exist without a secret that is long enough', async () => {
    const keys = (await keysOf(bindings(), 'staging')) as Record<string, string>;
    for (const secret of ['', 'short']) {
      const env = bindings({ REPOINT_ROOT_SECRET: secret });
      expect(await keysOf(env, 'staging')).toBeNull();
      expect(await meant(env, bearer(keys.TRIGGER_SECRET_KEY as string))).toBe('default');
    }
  });
});

describe('a branch', () => {
  it('is an environment of its own under the keys of its own, where the vendor has branches', async () => {
    const env = bindings({ TRIGGER_SECRET_KEY: 'tr_preview_abc' });
    const branch = { 'x-trigger-branch': 'feature/x' };
    const one = await meant(env, { ...bearer('tr_preview_abc'), ...branch });
    expect(one).toMatch(/^default~feature-x-[0-9a-z]+$/);
    expect(await meant(env, { ...bearer('tr_preview_abc'), 'x-trigger-branch': 'feature-x' })).toBe(
      'default~feature-x',
    );
    expect((await environmentContext(env, one))?.vars.TRIGGER_SECRET_KEY).toBe('tr_preview_abc');
    expect(await meant(env, { ...bearer('tr_prod_abc'), ...branch })).toBe('default');
    const keys = (await keysOf(env, 'preview')) as Record<string, string>;
    expect(await meant(env, { ...bearer(keys.TRIGGER_SECRET_KEY as string), ...branch })).toMatch(
      /^preview~feature-x-/,
    );
  });

  it('of an app is taken from its header in dev mode, and in production under the keys of the environment "branch"', async () => {
    const dev = bindings({ REPOINT_MODE: 'dev' });
    expect(await meant(dev, { 'x-inngest-env': 'pr-1' }, '/e/any')).toBe('default~pr-1');
    const env = bindings();
    expect(await meant(env, { 'x-inngest-env': 'pr-1' }, '/e/any')).toBe('default');
    const keys = (await keysOf(env, 'branch')) as Record<string, string>;
    expect(await meant(env, { 'x-inngest-env': 'pr-1' }, `/e/${keys.INNGEST_EVENT_KEY}`)).toBe('branch~pr-1');
  });
});

describe('a key of the default environment', () => {
  it.each([
    'tr_dev_ref_proj_x',
    'tr_prod_rp1_x',
    'tr_prod_rp1_Staging_0123456789abcdef0123456789abcdef',
    'signkey-test-0123',
    'eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=',
    'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJlbnZfZGVmYXVsdCIsInB1YiI6dHJ1ZX0.x',
    'rp_api1_',
    '',
  ])('names none: %s', async (token) => {
    expect(await meant(bindings(), bearer(token))).toBe('default');
  });
});
