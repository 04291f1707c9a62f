import { expect, test } from 'vitest';
import type { EnvironmentContext } from '../../core/ports.ts';
import { authenticate, configuredKeys } from './auth.ts';
import { DEV_CURRENT_KEY, DEV_NEXT_KEY } from './constants.ts';

const TOKEN = btoa('{"UserID":"u","Password":"p"}');
const KEYS = { QSTASH_CURRENT_SIGNING_KEY: 'sig_a', QSTASH_NEXT_SIGNING_KEY: 'sig_b' };

function context(mode: 'dev' | 'production', vars: Record<string, string> = {}): EnvironmentContext {
  return { mode, vars, environment: 'default', serverUrl: 'http://x', wallClockMs: () => 0 };
}

function request(authorization?: string, method = 'POST', url = 'http://x/v2/keys'): [Request, string] {
  return [new Request(url, { method, headers: authorization === undefined ? {} : { authorization } }), url];
}

function status(parameters: [Request, string], where: EnvironmentContext): number {
  try {
    expect(authenticate(...parameters, where)).toBe('default');
    return 200;
  } catch (error) {
    return (error as { status: number }).status;
  }
}

test('in dev mode every well-formed token means the default environment', () => {
  expect(status(request(`Bearer ${TOKEN}`), context('dev'))).toBe(200);
  expect(status(request(`bearer  ${TOKEN} `), context('dev'))).toBe(200);
  expect(
    status(request(undefined, 'POST', `http://x/v2/keys?qstash_token=${encodeURIComponent(TOKEN)}`), context('dev')),
  ).toBe(200);
  for (const bad of [
    undefined,
    'Bearer',
    'Bearer nonsense',
    `Basic ${TOKEN}`,
    `Bearer ${btoa('{}')}`,
    `Bearer ${btoa('{"UserID":1}')}`,
  ]) {
    expect(status(request(bad), context('dev'))).toBe(401);
  }
});

test('in production only the configured tokens count, and only with signing keys', () => {
  const vars = { QSTASH_TOKEN: TOKEN, REPOINT_QSTASH_READONLY_TOKEN: 'read', ...KEYS };
  expect(status(request(`Bearer ${TOKEN}`), context('production', vars))).toBe(200);
  expect(status(request(`Bearer ${btoa('{"UserID":"v"}')}`), context('production', vars))).toBe(401);
  expect(status(request(`Bearer ${TOKEN}`), context('production'))).toBe(401);
  expect(status(request(`Bearer ${TOKEN}`), context('production', { QSTASH_TOKEN: TOKEN }))).toBe(503);
  expect(status(request('Bearer read', 'GET'), context('production', vars))).toBe(200);
  expect(status(request('Bearer read'), context('production', vars))).toBe(403);
});

test('keys come from the environment; dev mode falls back to the public ones', () => {
  expect(configuredKeys(context('production', KEYS))).toEqual({ current: 'sig_a', next: 'sig_b' });
  expect(configuredKeys(context('production'))).toBeNull();
  expect(configuredKeys(context('dev'))).toEqual({ current: DEV_CURRENT_KEY, next: DEV_NEXT_KEY });
});
