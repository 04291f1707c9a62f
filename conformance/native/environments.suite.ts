import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, suite, type PrivateServer } from '../harness/index.ts';

interface Keys {
  keyVersion: number;
  variables: Record<string, string>;
}

suite({ vendor: 'native', name: 'environments', sdk: 'HTTP' }, (s) => {
  const API_KEY = 'native-api-key-of-the-default-environment';
  const secret = randomBytes(24).toString('hex');

  const keysOf = async (server: PrivateServer, name: string): Promise<Keys> => {
    const response = await fetch(`${server.url}/api/environments/${name}/keys`, {
      headers: { authorization: `Bearer ${API_KEY}` },
    });
    expect.equal(response.status, 200);
    return (await response.json()) as Keys;
  };
  const runsOf = async (server: PrivateServer, key: string): Promise<number> => {
    const response = await fetch(`${server.url}/api/executions`, { headers: { authorization: `Bearer ${key}` } });
    expect.equal(response.status, 200);
    return ((await response.json()) as { items: unknown[] }).items.length;
  };

  s.case(
    ['N-8'],
    'a server in production makes the keys of further environments from one secret; data, keys and their rotation are separate, also over a restart',
    async (context) => {
      const env = {
        REPOINT_ROOT_SECRET: secret,
        REPOINT_API_KEY: API_KEY,
        QSTASH_TOKEN: btoa('{"UserID":"u","Password":"p"}'),
      };
      const dataDir = mkdtempSync(path.join(tmpdir(), 'repoint-environments-'));
      context.onCleanup(() => rmSync(dataDir, { recursive: true, force: true }));
      const first = await context.startServer({ mode: 'production', env, dataDir });
      let server = first;
      const [staging, other] = [await keysOf(server, 'staging'), await keysOf(server, 'other')];
      const publish = (token: string): Promise<Response> =>
        fetch(`${server.url}/v2/publish/https://example.com/`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'upstash-delay': '1h' },
          body: 'x',
        });
      expect.equal((await publish(staging.variables.QSTASH_TOKEN as string)).status, 200);
      expect.equal(await runsOf(server, staging.variables.REPOINT_API_KEY as string), 1);
      expect.equal(await runsOf(server, other.variables.REPOINT_API_KEY as string), 0);
      expect.equal(await runsOf(server, API_KEY), 0);
      // One of another environment, made to name this one.
      const forged = (other.variables.REPOINT_API_KEY as string).replace('_other_', '_staging_');
      const refused = await fetch(`${server.url}/api/executions`, { headers: { authorization: `Bearer ${forged}` } });
      expect.equal(refused.status, 401);
      expect.equal((await fetch(`${server.url}/api/environments/staging/keys`)).status, 401);

      await first.stop();
      server = await context.startServer({ mode: 'production', env: { ...env, REPOINT_KEY_VERSION: '2' }, dataDir });
      const next = await keysOf(server, 'staging');
      expect.equal(next.keyVersion, 2);
      expect(next.variables.QSTASH_TOKEN !== staging.variables.QSTASH_TOKEN);
      for (const keys of [staging, next])
        expect.equal(await runsOf(server, keys.variables.REPOINT_API_KEY as string), 1);
      const list = await fetch(`${server.url}/api/environments`, { headers: { authorization: `Bearer ${API_KEY}` } });
      const { items } = (await list.json()) as { items: Array<{ name: string }> };
      expect.deepEqual(
        items.map(({ name }) => name),
        ['default', 'other', 'staging'],
      );
    },
    { timeoutMs: 60_000 },
  );
});
