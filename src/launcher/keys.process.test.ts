import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer, type Server } from './index.ts';

const BIN = fileURLToPath(new URL('../../bin/repoint.mjs', import.meta.url));
const SECRET = 'a-root-secret-of-thirty-two-characters-or-more';

let server: Server;
let dataDir: string;

beforeAll(async () => {
  dataDir = mkdtempSync(path.join(os.tmpdir(), 'repoint-keys-'));
  const env = { REPOINT_ROOT_SECRET: SECRET, REPOINT_API_KEY: 'the-api-key' };
  server = await startServer({ mode: 'production', dataDir, env });
});
afterAll(async () => {
  await server.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function keys(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number | null; output: string; errors: string }> {
  const child = spawn(process.execPath, [BIN, 'keys', ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [output, errors] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, output, errors };
}

describe('repoint keys', () => {
  it('prints the variables of an environment, and they open the server', async () => {
    const { code, output } = await keys(['shop-a', '--data', dataDir]);
    expect(code).toBe(0);
    const variables = Object.fromEntries(
      output
        .split('\n')
        .filter((line) => /^[A-Z_]+=/.test(line))
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    expect(variables).toMatchObject({
      INNGEST_BASE_URL: server.url,
      TRIGGER_API_URL: server.url,
      QSTASH_URL: server.url,
    });
    const status = async (bearer: string | undefined): Promise<number> =>
      (await fetch(`${server.url}/v2/queues`, { headers: { authorization: `Bearer ${bearer}` } })).status;
    expect(await status(variables.QSTASH_TOKEN)).toBe(200);
    expect(await status(`${variables.QSTASH_TOKEN}x`)).toBe(401);
    const event = await fetch(`${server.url}/e/${variables.INNGEST_EVENT_KEY}`, {
      method: 'POST',
      body: '{"name":"a/b"}',
    });
    expect(event.status).toBe(200);
  });

  it('asks a server elsewhere with its own key only', async () => {
    const there = ['shop-a', '--url', server.url];
    expect(await keys(there)).toMatchObject({ code: 2, errors: expect.stringContaining('REPOINT_API_KEY') });
    expect(await keys(there, { REPOINT_API_KEY: 'wrong' })).toMatchObject({ code: 1, output: '' });
    const local = await keys(['shop-a', '--data', dataDir]);
    expect((await keys(there, { REPOINT_API_KEY: 'the-api-key' })).output).toBe(local.output);
  });

  it('says what is wrong, and prints no key', async () => {
    for (const [args, code, words] of [
      [[], 2, 'the name of one environment'],
      [['Shop', '--data', dataDir], 1, 'small letters'],
      [['default', '--data', dataDir], 1, 'variables of the server'],
      [['shop-a', '--data', path.join(dataDir, 'nothing')], 1, 'no server runs on'],
      [['shop-a', '--url', 'nowhere'], 2, 'HTTP URL'],
      [['shop-a', '--colour'], 2, 'repoint keys --help'],
    ] as const)
      expect(await keys([...args])).toMatchObject({ code, output: '', errors: expect.stringContaining(words) });
  });

  it('leaves no key in the server’s log', async () => {
    const { output } = await keys(['shop-a', '--data', dataDir]);
    const values = output
      .split('\n')
      .flatMap((line) => (/KEY=|TOKEN=/.test(line) ? [line.split('=')[1] as string] : []));
    expect(values.length).toBeGreaterThan(5);
    for (const value of [...values, SECRET]) expect(server.log()).not.toContain(value);
  });
});
