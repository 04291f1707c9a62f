import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findDamage, logDamage } from './damage.ts';

const FRAME_BYTES = 24 + 4096;

let directory: string;
let file: string;
let log: string;

/** What a process that was killed leaves: ten commits, of which none is in the database yet. */
beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'repoint-damage-'));
  const live = path.join(directory, 'live.db');
  const database = new DatabaseSync(live);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x TEXT)');
  for (let i = 0; i < 10; i++) database.exec(`INSERT INTO t VALUES ('${'x'.repeat(3000)}')`);
  file = path.join(directory, 'copy.sqlite');
  log = `${file}-wal`;
  for (const suffix of ['', '-wal', '-shm']) copyFileSync(live + suffix, file + suffix);
  database.close();
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function flip(at: number): void {
  const bytes = readFileSync(log);
  bytes[at]! ^= 0xff;
  writeFileSync(log, bytes);
}

describe('a write-ahead log', () => {
  it('passes when it is whole, with or without its index', () => {
    expect(logDamage(file)).toBeUndefined();
    rmSync(`${file}-shm`);
    expect(findDamage(directory)).toBeUndefined();
  });

  it('passes with a last commit that is torn, which only the index tells from a lost one', () => {
    truncateSync(log, statSync(log).size - 100);
    expect(logDamage(file)).toMatch(/ends after \d+ of \d+ frames.*remove .*-shm/);
    rmSync(`${file}-shm`);
    expect(logDamage(file)).toBeUndefined();
  });

  it('passes with an index that is not whole', () => {
    truncateSync(log, Math.floor(statSync(log).size / 2));
    writeFileSync(`${file}-shm`, Buffer.alloc(32_768, 7));
    expect(logDamage(file)).toBeUndefined();
  });

  it('is damaged wherever a byte of what was committed is another, even without its index', () => {
    const whole = readFileSync(log);
    rmSync(`${file}-shm`);
    // The last two commits may be torn by a power cut, as far as anybody can tell.
    const certain = 32 + Math.floor((whole.length - 32) / FRAME_BYTES / 2) * FRAME_BYTES;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: certain - 1 }), (at) => {
        writeFileSync(log, whole);
        flip(at);
        return logDamage(file) !== undefined;
      }),
      { numRuns: 60 },
    );
  });

  it('is missed when it is gone', () => {
    rmSync(log);
    expect(logDamage(file)).toContain('its write-ahead log is gone');
    rmSync(`${file}-shm`);
    expect(logDamage(file)).toBeUndefined();
  });
});

describe('a page', () => {
  it('that was overwritten is found', () => {
    for (const suffix of ['-wal', '-shm']) rmSync(file + suffix);
    const database = new DatabaseSync(file);
    database.exec('CREATE TABLE u (x TEXT)');
    for (let i = 0; i < 10; i++) database.exec(`INSERT INTO u VALUES ('${'x'.repeat(3000)}')`);
    database.close();
    expect(findDamage(directory)).toBeUndefined();
    const bytes = readFileSync(file);
    bytes.fill(0xab, bytes.length - 4096);
    writeFileSync(file, bytes);
    expect(findDamage(directory)).toMatchObject({ file, what: expect.stringMatching(/page/i) });
  });
});
