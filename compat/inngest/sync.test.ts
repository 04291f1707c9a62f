import { afterEach, expect, test, vi } from 'vitest';
import type { EnvironmentContext } from '../../core/ports.ts';
import { requestApp } from './sync.ts';

const CONTEXT: EnvironmentContext = {
  mode: 'production',
  environment: 'default',
  serverUrl: 'http://server.test',
  wallClockMs: () => 1_760_000_000_000,
  vars: { INNGEST_SIGNING_KEY: 'signkey-test-00ff' },
};

afterEach(() => void vi.restoreAllMocks());

/** What stands at each address; notes who was asked. */
function network(answers: Record<string, () => Response>): string[] {
  const asked: string[] = [];
  vi.spyOn(globalThis, 'fetch').mockImplementation((input, init) => {
    asked.push(`${init?.method} ${String(input)} ${new Headers(init?.headers).has('x-inngest-signature')}`);
    return Promise.resolve(answers[String(input)]?.() ?? new Response('nobody', { status: 404 }));
  });
  return asked;
}

const to =
  (location: string, status = 307) =>
  (): Response =>
    new Response(null, { status, headers: { location } });

test('an app is asked where its address points to, with the same request', async () => {
  const asked = network({
    'https://app.example.com/api': to('/moved', 302),
    'https://app.example.com/moved': to('https://other.example.com/api', 308),
    'https://other.example.com/api': () => new Response('here'),
  });
  const response = await requestApp(CONTEXT, 'https://app.example.com/api', 'PUT', '{}');
  expect(await response.text()).toBe('here');
  expect(asked).toEqual([
    'PUT https://app.example.com/api true',
    'PUT https://app.example.com/moved true',
    'PUT https://other.example.com/api true',
  ]);
});

test('no address is called by way of another that may not be called itself', async () => {
  const asked = network({ 'https://app.example.com/api': to('http://169.254.169.254/latest') });
  await expect(requestApp(CONTEXT, 'https://app.example.com/api', 'PUT', null)).rejects.toThrow(/is not called/);
  expect(asked.length).toBe(1);
});

test('an address that points to itself is left after ten times', async () => {
  const asked = network({ 'https://app.example.com/api': to('https://app.example.com/api') });
  expect((await requestApp(CONTEXT, 'https://app.example.com/api', 'GET', null)).status).toBe(307);
  expect(asked.length).toBe(11);
});
