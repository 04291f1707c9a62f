import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkDatabases, checkPort, explainWriteFailure, prepareDataDir } from './preflight.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'repoint-preflight-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe('the data directory', () => {
  it('is made where it is missing', () => {
    const wanted = path.join(directory, 'a/b');
    expect(prepareDataDir(wanted)).toBe(wanted);
    expect(prepareDataDir(wanted)).toBe(wanted);
  });

  it('may not be a file, nor be inside one', () => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    expect(() => prepareDataDir(file)).toThrow(`${file} is a file, not a directory`);
    expect(() => prepareDataDir(path.join(file, 'inside'))).toThrow('is a file, not a directory');
  });

  it.each([
    ['ENOSPC', 'is full'],
    ['EACCES', 'no permission to write'],
    ['EROFS', 'read-only'],
    ['EIO', 'cannot use'],
  ])('that fails with %s is explained with the mend', (code, reason) => {
    const message = explainWriteFailure('/data', Object.assign(new Error(code), { code }));
    expect(message).toContain(reason);
    expect(message).toContain('--data');
  });
});

describe('the databases', () => {
  function objectFile(): string {
    mkdirSync(path.join(directory, 'objects/repoint-cell'), { recursive: true });
    return path.join(directory, 'objects/repoint-cell/1234.sqlite');
  }

  function makeDatabase(file: string): void {
    const database = new DatabaseSync(file);
    database.exec('CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(20000))');
    database.close();
  }

  it('pass when they are whole, or not yet written', () => {
    makeDatabase(objectFile());
    writeFileSync(path.join(path.dirname(objectFile()), '5678.sqlite'), '');
    expect(() => checkDatabases(directory)).not.toThrow();
  });

  it('are refused when one is something else', () => {
    writeFileSync(objectFile(), 'x'.repeat(8192));
    expect(() => checkDatabases(directory)).toThrow(
      /1234\.sqlite is damaged: it does not begin as a SQLite file.*backup/,
    );
  });

  it.each([50, 6000])('are refused when one was cut to %d bytes', (sizeBytes) => {
    makeDatabase(objectFile());
    truncateSync(objectFile(), sizeBytes);
    expect(() => checkDatabases(directory)).toThrow('1234.sqlite is damaged');
  });
});

describe('the port', () => {
  let taken: Server;
  beforeEach(async () => {
    taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    await new Promise((resolve) => taken.close(resolve));
  });

  it('that is in use is refused with its owner', async () => {
    const { port } = taken.address() as AddressInfo;
    const owner = process.platform === 'linux' ? `pid ${process.pid} \\(.*\\)` : 'another process';
    await expect(checkPort('127.0.0.1', port)).rejects.toThrow(
      new RegExp(`port ${port} on 127.0.0.1 is in use by ${owner}`),
    );
  });

  it('is free when nobody listens, and 0 always is', async () => {
    const { port } = taken.address() as AddressInfo;
    await new Promise((resolve) => taken.close(resolve));
    await expect(checkPort('127.0.0.1', port)).resolves.toBeUndefined();
    await expect(checkPort('127.0.0.1', 0)).resolves.toBeUndefined();
    taken = createServer().listen(0, '127.0.0.1');
  });

  it('needs an address of this machine', async () => {
    await expect(checkPort('192.0.2.1', 8288)).rejects.toThrow('this machine has no address "192.0.2.1"');
  });
});
