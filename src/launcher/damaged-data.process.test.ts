import { spawnSync } from 'node:child_process';
import {
  closeSync,
  globSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startServer, type Server, type StartServerOptions } from './index.ts';

const PAGE_BYTES = 4096;

let dataDir: string;
let servers: Server[];

beforeEach(() => {
  dataDir = mkdtempSync(path.join(os.tmpdir(), 'repoint-damage-'));
  servers = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.kill9()));
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(options: StartServerOptions = {}): Promise<Server> {
  const server = await startServer({ dataDir, ...options });
  servers.push(server);
  return server;
}

async function send(server: Server, count: number): Promise<number> {
  const events = Array.from({ length: count }, (_, i) => ({
    name: 'test/kept',
    data: { i, filling: 'x'.repeat(2_000) },
  }));
  return (await fetch(`${server.url}/e/key`, { method: 'POST', body: JSON.stringify(events) })).status;
}

/** The file of the environment's cell: the largest of its class. */
function cellFile(): string {
  const [file] = globSync(path.join(dataDir, 'objects/repoint-cell/*.sqlite')).sort((a, b) => sizeOf(b) - sizeOf(a));
  return file!;
}

function sizeOf(file: string): number {
  return statSync(file).size + (statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0);
}

/** Every n-th page, the first and the root pages of the schema left whole. */
function overwritePages(file: string, from: number, every: number): void {
  const fd = openSync(file, 'r+');
  for (let page = from; page < statSync(file).size / PAGE_BYTES; page += every)
    writeSync(fd, Buffer.alloc(PAGE_BYTES, 0xab), 0, PAGE_BYTES, page * PAGE_BYTES);
  closeSync(fd);
}

describe('a start', () => {
  it('names the database in which one page was overwritten', async () => {
    const server = await start();
    expect(await send(server, 100)).toBe(200);
    await server.stop();
    const file = cellFile();
    const pages = statSync(file).size / PAGE_BYTES;
    overwritePages(file, Math.floor(pages / 2), pages);
    await expect(start()).rejects.toThrow(/the database .*repoint-cell.*\.sqlite is damaged: .*[Pp]age.*Restore/);
  });

  it.each([
    [
      'cut in two',
      (log: string) => truncateSync(log, Math.floor(statSync(log).size / 2)),
      /ends after \d+ of \d+ frames/,
    ],
    ['lost', (log: string) => rmSync(log), /write-ahead log is gone, with \d+ pages/],
    ['overwritten at its head', (log: string) => overwrite(log, 0), 'the head of its write-ahead log is not one'],
    [
      'overwritten in the middle',
      (log: string) => overwrite(log, 9_000),
      /write-ahead log (ends|is damaged)|frame \d+ of its/,
    ],
  ])('names the database whose log was %s while the server was down', async (_name, harm, message) => {
    const server = await start();
    for (let i = 0; i < 10; i++) expect(await send(server, 5)).toBe(200);
    await server.kill9();
    harm(`${cellFile()}-wal`);
    await expect(start()).rejects.toThrow(message);
    // Refused as long as nobody has decided what to do.
    await expect(start()).rejects.toThrow(/is damaged.*Restore/);
  });

  it('goes on after a kill under load, whatever was being written', async () => {
    const server = await start();
    for (let round = 0; round < 3; round++) {
      const sent = Array.from({ length: 40 }, () => send(server, 20).catch(() => 0));
      await Promise.race(sent);
      await server.kill9();
      await Promise.all(sent);
      await server.restart();
    }
    expect(await send(server, 1)).toBe(200);
  });

  it('fails at once where no directory can be made', async ({ skip }) => {
    skip(process.platform !== 'linux', 'needs /proc');
    await expect(start({ dataDir: '/proc/repoint/data' })).rejects.toThrow(
      /\/proc\/repoint\/data.*takes no new entries/,
    );
  });
});

function shell(command: string): number | null {
  return spawnSync('/bin/sh', ['-c', command]).status;
}

function overwrite(file: string, at: number): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.alloc(64, 0xab), 0, 64, at);
  closeSync(fd);
}

describe('a running server', () => {
  it('says in its log and in its health that its data are damaged', async () => {
    const server = await start();
    for (let i = 0; i < 20; i++) await send(server, 100);
    await server.stop();
    await server.restart();
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    overwritePages(cellFile(), 3, 2);
    await vi.waitFor(
      async () => {
        const answer = await fetch(`${server.url}/v1/events?limit=100`, { headers: { authorization: 'Bearer any' } });
        await answer.text();
        await send(server, 100);
        const health = await fetch(`${server.url}/health`);
        expect(health.status).toBe(503);
        expect(await health.json()).toMatchObject({ status: 'data damaged', mend: expect.stringContaining('restore') });
      },
      { timeout: 20_000 },
    );
    expect(server.log()).toContain('a database in the data directory is damaged');
    expect((await fetch(`${server.url}/readyz`)).status).toBe(503);
    expect(await send(server, 1)).toBe(500);
  });

  it('says that its disk is full, and works again when there is room', async ({ skip }) => {
    const mounted = shell(`mount -t tmpfs -o size=40m none ${dataDir}`) === 0;
    skip(!mounted, 'needs the right to mount a file system of its own');
    try {
      const server = await start();
      expect(await send(server, 1)).toBe(200);
      const filler = path.join(dataDir, 'filler');
      const { bavail, bsize } = statfsSync(dataDir);
      writeFileSync(filler, Buffer.alloc(bavail * bsize));
      const answers: number[] = [];
      while (!answers.some((status) => status >= 500) && answers.length < 200) answers.push(await send(server, 100));
      const health = await fetch(`${server.url}/health`);
      expect(health.status).toBe(503);
      expect(await health.json()).toMatchObject({ status: 'disk full' });
      await vi.waitFor(() => expect(server.log()).toContain('free some space'));
      rmSync(filler);
      await vi.waitFor(async () => expect(await send(server, 1)).toBe(200), { timeout: 10_000 });
      await vi.waitFor(async () => expect((await fetch(`${server.url}/health`)).status).toBe(200), {
        timeout: 20_000,
        interval: 250,
      });
    } finally {
      await Promise.all(servers.map((server) => server.kill9()));
      shell(`umount -l ${dataDir}`);
    }
  });
});
