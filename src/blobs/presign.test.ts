import { expect, it } from 'vitest';
import { presignedPath, verifyGrant, type Grant } from './presign.ts';

const GRANT: Grant = { method: 'PUT', environment: 'default', key: 'a/b c.json', expiresMs: 2_000, maxBytes: 10 };

async function asked(changes: { path?: (path: string) => string; method?: string; nowMs?: number; secret?: string }) {
  const path = await presignedPath('secret', GRANT);
  const url = new URL((changes.path ?? ((same) => same))(path), 'http://server');
  const [environment, key] = url.pathname.slice('/api/blobs/'.length).split('/').map(decodeURIComponent);
  return verifyGrant(
    changes.secret ?? 'secret',
    {
      method: changes.method ?? 'PUT',
      environment: environment as string,
      key: key as string,
      query: Object.fromEntries(url.searchParams),
    },
    changes.nowMs ?? 1_000,
  );
}

it('grants what was signed until it runs out', async () => {
  expect(await asked({})).toEqual(GRANT);
  expect(await asked({ nowMs: 2_000 })).toBeNull();
});

it('grants nothing else: another method, key, bound, time or secret', async () => {
  expect(await asked({ method: 'GET' })).toBeNull();
  expect(await asked({ path: (path) => path.replace('method=PUT', 'method=GET'), method: 'GET' })).toBeNull();
  expect(await asked({ path: (path) => path.replace('c.json', 'd.json') })).toBeNull();
  expect(await asked({ path: (path) => path.replace('/default/', '/other/') })).toBeNull();
  expect(await asked({ path: (path) => path.replace('max=10', 'max=100') })).toBeNull();
  expect(await asked({ path: (path) => path.replace('expires=2000', 'expires=9000') })).toBeNull();
  expect(await asked({ path: (path) => path.replace(/signature=\w+/, 'signature=00') })).toBeNull();
  expect(await asked({ secret: 'other' })).toBeNull();
});
