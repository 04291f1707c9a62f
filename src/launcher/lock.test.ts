import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StartError } from './errors.ts';
import { acquireLock, lockFile, readLock, type LockContent } from './lock.ts';
import { identify, isRunning, processSpace } from './processes.ts';

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(path.join(os.tmpdir(), 'repoint-lock-'));
});
afterEach(() => {
  rmSync(dataDir, { recursive: true, force: true });
});

function plant(content: Partial<LockContent>): void {
  const lock = {
    token: 'planted',
    owner: identify(process.pid),
    host: os.hostname(),
    space: processSpace(),
    ...content,
  };
  writeFileSync(lockFile(dataDir), JSON.stringify(lock));
}

/** A pid that was somebody's a moment ago. */
async function endedPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  return child.pid!;
}

describe('the lock of a data directory', () => {
  it('is refused while its owner runs, with the pid and the address', () => {
    const lock = acquireLock(dataDir);
    lock.update({ url: 'http://127.0.0.1:8288' });
    expect(() => acquireLock(dataDir)).toThrow(StartError);
    expect(() => acquireLock(dataDir)).toThrow(
      new RegExp(`in use by another server, pid ${process.pid}, at http://127\\.0\\.0\\.1:8288`),
    );
    lock.release();
    acquireLock(dataDir).release();
    expect(readdirSync(dataDir)).toEqual([]);
  });

  it('is taken over from an owner that has crashed', async () => {
    plant({ owner: { pid: await endedPid(), startTicks: '1' } });
    const lock = acquireLock(dataDir);
    expect(readLock(dataDir)?.owner.pid).toBe(process.pid);
    lock.release();
  });

  it.runIf(process.platform === 'linux')('is taken over when the pid belongs to a later process', () => {
    plant({ owner: { pid: process.pid, startTicks: '1' } });
    acquireLock(dataDir).release();
  });

  it('is taken over when the file is not a lock', () => {
    writeFileSync(lockFile(dataDir), '{"tok');
    acquireLock(dataDir).release();
  });

  it('of another machine counts while it is touched, and not for long after', () => {
    plant({ space: 'another boot pid:[1]', host: 'elsewhere', owner: { pid: 1, startTicks: '1' } });
    expect(() => acquireLock(dataDir)).toThrow('pid 1 on host elsewhere');
    const aMinuteAgo = new Date(Date.now() - 60_000);
    utimesSync(lockFile(dataDir), aMinuteAgo, aMinuteAgo);
    acquireLock(dataDir).release();
  });

  it('ends the runtime that a crashed owner left on the directory', async () => {
    const orphan = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', path.join(dataDir, 'workerd.capnp')]);
    await once(orphan, 'spawn');
    const exit = once(orphan, 'exit');
    const runtime = identify(orphan.pid!);
    plant({ owner: { pid: await endedPid(), startTicks: '1' }, runtime });
    const lock = acquireLock(dataDir);
    expect(isRunning(runtime)).toBe(false);
    expect((await exit)[1]).toBe('SIGKILL');
    lock.release();
  });

  it('leaves alone a process that only has the pid of the lost runtime', async () => {
    const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    await once(stranger, 'spawn');
    plant({ owner: { pid: await endedPid(), startTicks: '1' }, runtime: identify(stranger.pid!) });
    acquireLock(dataDir).release();
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
    stranger.kill('SIGKILL');
    await once(stranger, 'exit');
  });

  it('is not released by somebody who lost it', () => {
    const lost = acquireLock(dataDir);
    plant({ token: 'the new owner' });
    lost.release();
    expect(readLock(dataDir)?.token).toBe('the new owner');
  });
});
