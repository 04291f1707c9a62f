import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

describe('trouble with the storage', () => {
  let module: typeof import('./storage-trouble.ts');
  let said: ReturnType<typeof vi.spyOn>;

  beforeEach(async () => {
    vi.resetModules();
    said = vi.spyOn(console, 'error').mockImplementation(() => {});
    module = await import('./storage-trouble.ts');
  });
  afterEach(() => said.mockRestore());

  it.each([
    ['database disk image is malformed: SQLITE_CORRUPT', 'data damaged'],
    ['file is not a database: SQLITE_NOTADB', 'data damaged'],
    ['database or disk is full: SQLITE_FULL', 'disk full'],
    ['disk I/O error: SQLITE_IOERR', 'disk failing'],
    ['attempt to write a readonly database: SQLITE_READONLY', 'disk failing'],
  ])('is known by the message "%s", and said once', (message, status) => {
    for (let i = 0; i < 3; i++) module.noteStorageError(new Error(message));
    expect(module.storageTrouble()?.status).toBe(status);
    expect(said).toHaveBeenCalledTimes(1);
  });

  it('is no other error', () => {
    module.noteStorageError(new Error('UNIQUE constraint failed: SQLITE_CONSTRAINT'));
    expect(module.storageTrouble()).toBeNull();
  });

  it('is over when it has not been met for ten seconds', () => {
    module.noteStorageError(new Error('SQLITE_FULL'), 1_000);
    module.noteStorageError(new Error('SQLITE_FULL'), 8_000);
    expect(module.storageTrouble(18_000)?.status).toBe('disk full');
    expect(module.storageTrouble(18_001)).toBeNull();
    module.noteStorageError(new Error('SQLITE_FULL'), 20_000);
    expect(said).toHaveBeenCalledTimes(2);
  });

  it('stays where the data are damaged', () => {
    module.noteStorageError(new Error('SQLITE_CORRUPT'), 1_000);
    module.noteStorageError(new Error('SQLITE_FULL'), 2_000);
    expect(module.storageTrouble(1e9)?.status).toBe('data damaged');
  });
});
