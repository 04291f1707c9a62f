import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startServer, type Server, type StartServerOptions } from './index.ts';
import { lockFile } from './lock.ts';
import { identify, isRunning } from './processes.ts';

const WORKER = fileURLToPath(new URL('./testing/throwaway-worker.js', import.meta.url));
const BIN = fileURLToPath(new URL('../../bin/repoint.mjs', import.meta.url));

let dataDir: string;
let servers: Server[];

beforeEach(() => {
  dataDir = mkdtempSync(path.join(os.tmpdir(), 'repoint-server-'));
  servers = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.kill9()));
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(options: StartServerOptions = {}): Promise<Server> {
  const server = await startServer({ dataDir, worker: WORKER, ...options });
  servers.push(server);
  return server;
}

/** A port that is free together with the one above it. */
async function pairOfPorts(): Promise<number> {
  for (;;) {
    const [low, high] = [createServer(), createServer()];
    try {
      await once(low.listen(0, '127.0.0.1'), 'listening');
      const { port } = low.address() as AddressInfo;
      await once(high.listen(port + 1, '127.0.0.1'), 'listening');
      return port;
    } catch {
      // Somebody has the one above.
    } finally {
      await Promise.all([low, high].map((one) => new Promise((resolve) => one.close(resolve))));
    }
  }
}

async function text(url: string, init?: RequestInit): Promise<string> {
  return (await fetch(url, init)).text();
}

describe('a running server', () => {
  it('answers with its mode and version, has every binding, and sees the keys it was given', async () => {
    const server = await start({
      mode: 'production',
      env: { QSTASH_TOKEN: 'mine', REPOINT_URL: 'https://flows.example.com', REPOINT_DISPATCHER: '1' },
    });
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await (await fetch(`${server.url}/health`)).json()).toEqual({ status: 'ok', mode: 'production', version });
    const { names, dispatcher } = (await (await fetch(`${server.url}/bindings`)).json()) as Record<string, unknown>;
    expect(names).toEqual(expect.arrayContaining(['CELL', 'CHANNEL', 'DISPATCHER', 'INGEST', 'DEAD_LETTER']));
    expect(dispatcher).toBe('pong');
    expect(await text(`${server.url}/variable?name=QSTASH_TOKEN`)).toBe('mine');
    expect(await text(`${server.url}/variable?name=REPOINT_URL`)).toBe('https://flows.example.com');
    expect(await text(`${server.url}/variable?name=HOME`)).toBe('absent');
  });

  it('listens on the port above as well where that is asked for', async () => {
    const port = await pairOfPorts();
    const server = await start({ port, env: { REPOINT_CONNECT_PORT: '1' } });
    expect(server.port).toBe(port);
    for (const each of [port, port + 1])
      expect(await (await fetch(`http://127.0.0.1:${each}/health`)).json()).toMatchObject({ status: 'ok' });
  });

  it('reaches local apps in development mode; in production only when that is allowed', async () => {
    const app = createServer((_request, response) => response.end()).listen(0, '127.0.0.1');
    await once(app, 'listening');
    const reach = `reach?url=http://127.0.0.1:${(app.address() as AddressInfo).port}/`;
    const results: string[] = [];
    for (const options of [
      { mode: 'dev' },
      { mode: 'production' },
      { mode: 'production', env: { REPOINT_ALLOW_PRIVATE: '1' } },
    ] satisfies StartServerOptions[]) {
      const server = await startServer({ worker: WORKER, ...options });
      results.push(await text(`${server.url}/${reach}`));
      await server.stop();
    }
    app.close();
    expect(results).toEqual(['status 200', expect.stringMatching(/^refused/), 'status 200']);
  });

  it('is ready in less than a second and prints what to copy', async () => {
    const child = spawn(process.execPath, [BIN, '--port', '0', '--data', dataDir, '--worker', WORKER]);
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const exit = once(child, 'exit');
    await vi.waitFor(() => expect(output).toMatch(/QSTASH_DEV_PORT=\d+\n/), { timeout: 10_000, interval: 5 });
    child.kill('SIGTERM');
    expect((await exit)[0]).toBe(0);
    const url = /^repoint ready on (http:\/\/127\.0\.0\.1:\d+)$/m.exec(output)?.[1];
    expect(output).toContain(`INNGEST_DEV=${url}`);
    expect(output).toContain(`TRIGGER_API_URL=${url} TRIGGER_SECRET_KEY=tr_dev_`);
    expect(output).toContain('TRIGGER_ACCESS_TOKEN=tr_pat_');
    expect(output).toContain(`QSTASH_URL=${url} QSTASH_TOKEN=`);
    expect(Number(/· (\d+) ms$/m.exec(output)?.[1])).toBeLessThan(1000);
  });
});

describe('the end of a server', () => {
  it('is clean on SIGTERM: open requests are drained and answered, the exit code is 0, the lock is gone', async () => {
    const server = await start();
    const runtime = identify(server.workerdPid);
    const slow = text(`${server.url}/slow?ms=300`);
    await vi.waitFor(async () => expect(await text(`${server.url}/health`)).toContain('ok'));
    const code = await server.stop();
    expect(await slow).toBe('drained');
    expect(code).toBe(0);
    expect(isRunning(runtime)).toBe(false);
    expect(existsSync(lockFile(dataDir))).toBe(false);
  });

  it('does not wait for ever for a request that hangs', async () => {
    const server = await start();
    const hanging = text(`${server.url}/slow?ms=60000`).catch(() => 'cut');
    await text(`${server.url}/health`);
    process.kill(server.pid, 'SIGTERM');
    // Once the runtime has begun to end, a late request may be answered, refused or left waiting.
    await vi.waitFor(async () => {
      const late = text(`${server.url}/slow?ms=0`, { signal: AbortSignal.timeout(200) });
      expect(await late.catch(() => 'ending')).not.toBe('not drained');
    });
    // A second signal asks for the end at once.
    process.kill(server.pid, 'SIGTERM');
    expect(await server.stop()).toBe(0);
    expect(await hanging).toBe('cut');
  });

  it('follows when its parent closes standard input', async () => {
    const args = [BIN, '--port', '0', '--data', dataDir, '--worker', WORKER, '--end-with-stdin'];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const exit = once(child, 'exit');
    await once(child.stdout, 'data');
    child.stdin.end();
    expect((await exit)[0]).toBe(0);
  });

  it('takes the runtime along when the launcher is killed', async () => {
    const server = await start();
    const runtime = identify(server.workerdPid);
    process.kill(server.pid, 'SIGKILL');
    await vi.waitFor(() => expect(isRunning(runtime)).toBe(false), { timeout: 5_000, interval: 10 });
  });

  it('is reported with a code when the runtime dies', async () => {
    const server = await start();
    process.kill(server.workerdPid, 'SIGKILL');
    await vi.waitFor(() => expect(server.log()).toContain('the runtime was ended by SIGKILL'), { timeout: 5_000 });
    expect(await server.stop()).toBe(1);
    expect(existsSync(lockFile(dataDir))).toBe(false);
  });
});

describe('a runtime that is begun anew', () => {
  /** A request on a connection of its own. */
  const ask = (server: Server): Promise<string> => text(`${server.url}/health`, { headers: { connection: 'close' } });

  it('answers everybody: who is there, who comes meanwhile, and who comes later', async () => {
    const server = await start();
    const [before, data] = [identify(server.workerdPid), { kept: true }];
    await text(`${server.url}/send?queue=INGEST`, { method: 'POST', body: JSON.stringify(data) });
    const slow = text(`${server.url}/slow?ms=300`);
    await ask(server);
    process.kill(server.pid, 'SIGUSR2');
    let asked = 0;
    while (!server.log().includes('started anew')) {
      expect(await ask(server)).toContain('ok');
      asked++;
    }
    expect(asked).toBeGreaterThan(0);
    expect(await slow).toBe('drained');
    expect(isRunning(before)).toBe(false);
    expect(server.workerdPid).not.toBe(before.pid);
    await vi.waitFor(async () => expect(await text(`${server.url}/seen`)).toContain('kept'));
    // Once more, and its end is as that of the first.
    const after = identify(server.workerdPid);
    process.kill(server.pid, 'SIGUSR2');
    await vi.waitFor(() => expect(isRunning(after)).toBe(false));
    expect(await ask(server)).toContain('ok');
    const last = identify(server.workerdPid);
    expect(await server.stop()).toBe(0);
    expect(isRunning(last)).toBe(false);
  });

  it('ends with its server, asked or killed, also in the middle of it', async () => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const server = await start();
      const before = identify(server.workerdPid);
      process.kill(server.pid, 'SIGUSR2');
      await vi.waitFor(() => expect(isRunning(before)).toBe(false), { interval: 1 });
      process.kill(server.pid, signal);
      if (signal === 'SIGTERM') expect(await server.stop()).toBe(0);
      else await server.kill9();
      // Nobody answers, and the directory and the port are free.
      await vi.waitFor(() => expect(ask(server)).rejects.toThrow('fetch failed'));
      const next = await start({ port: server.port });
      expect(await ask(next)).toContain('ok');
      await next.stop();
      servers = [];
    }
  });
});

describe('a start that cannot succeed', () => {
  it('is refused on a directory that another server uses, and that one goes on', async () => {
    const first = await start();
    await expect(start()).rejects.toThrow(
      new RegExp(`the server ended with code 1.*\\s.*in use by another server, pid ${first.pid}, at ${first.url}`),
    );
    expect(await text(`${first.url}/health`)).toContain('ok');
  });

  it('names who has the port', async () => {
    const first = await start();
    const second = startServer({ worker: WORKER, port: first.port });
    const owner = process.platform === 'linux' ? `pid ${first.workerdPid} ` : '';
    await expect(second).rejects.toThrow(`port ${first.port} on 127.0.0.1 is in use by ${owner}`);
  });

  it('names a damaged database', async () => {
    const first = await start();
    await text(`${first.url}/seen`);
    await first.stop();
    const { globSync } = await import('node:fs');
    const [database] = globSync(path.join(dataDir, 'objects/repoint-cell/*.sqlite'));
    writeFileSync(database!, 'not a database at all, but long enough to be read as one'.repeat(200));
    await expect(start()).rejects.toThrow(/the database .*\.sqlite is damaged.*Restore/);
  });

  it('shows what the runtime said about a Worker it cannot load', async () => {
    const broken = path.join(dataDir, 'broken.js');
    writeFileSync(broken, 'export default {');
    await expect(start({ worker: broken })).rejects.toThrow(/the runtime ended with code 1[\s\S]*SyntaxError/);
  });

  it('names a wrong flag and exits with 2', async () => {
    const child = spawn(process.execPath, [BIN, '--mode', 'test']);
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    const [code] = await once(child, 'close');
    expect(code).toBe(2);
    expect(errors).toContain('--mode takes dev or production, not "test"');
  });
});

describe('a server that was killed', () => {
  it('is followed by exactly one of those that start at the same time', async () => {
    const killed = await start();
    await killed.kill9();
    const attempts = await Promise.allSettled([start(), start(), start()]);
    const refused = attempts.filter((attempt) => attempt.status === 'rejected');
    expect(refused.map(({ reason }) => String(reason))).toEqual([
      expect.stringContaining('in use by another server'),
      expect.stringContaining('in use by another server'),
    ]);
  });

  it('takes its directory over and keeps its port and data', async () => {
    const server = await start();
    const before = { url: server.url, pid: server.pid };
    await text(`${server.url}/send?queue=INGEST`, { method: 'POST', body: '{"kept":true}' });
    await vi.waitFor(async () => expect(await text(`${server.url}/seen`)).toContain('kept'));
    for (let round = 0; round < 3; round++) {
      await server.kill9();
      await server.restart();
      expect(await text(`${server.url}/seen`)).toContain('kept');
    }
    expect(server.url).toBe(before.url);
    expect(server.pid).not.toBe(before.pid);
  });
});
