import { beforeEach, expect, it } from 'vitest';
import { NodeSql } from '../testing/node-sql.ts';
import { BlobStore } from './blob-store.ts';

let nowMs = 1_000;
let sql: NodeSql;
let store: BlobStore;
let uploads = 0;

beforeEach(() => {
  nowMs = 1_000;
  sql = new NodeSql();
  store = new BlobStore(sql, { now: () => nowMs }, 60_000_000);
});

async function* pieces(...sizes: number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const size of sizes) yield Uint8Array.from({ length: size }, () => at++ % 251);
}

async function put(key: string, body: AsyncIterable<Uint8Array>, maxBytes = 10_000_000): Promise<number> {
  return (await store.put(key, `u${uploads++}`, body, { contentType: 'text/plain', maxBytes })).sizeBytes;
}

function read(key: string): Uint8Array | null {
  const info = store.info(key);
  if (!info) return null;
  return Buffer.concat(Array.from({ length: info.chunks }, (_, n) => store.chunk(info.upload, n)));
}

const rows = (): number => Number(sql.all(`SELECT COUNT(*) AS n FROM blob_chunks`)[0]?.n);

it('gives back the bytes that were put, however they arrived', async () => {
  expect(await put('a', pieces(10, 0, 1_799_990, 500_000))).toBe(2_300_000);
  const bytes = read('a') as Uint8Array;
  expect(bytes.byteLength).toBe(2_300_000);
  expect(bytes.every((byte, i) => byte === i % 251)).toBe(true);
  expect(store.info('a')).toMatchObject({ sizeBytes: 2_300_000, contentType: 'text/plain', chunks: 3 });
  expect(await put('empty', pieces())).toBe(0);
  expect(read('empty')?.byteLength).toBe(0);
  expect(read('unknown')).toBeNull();
});

it('keeps nothing of a body that is too long or breaks off, and what was there stays', async () => {
  await put('a', pieces(5));
  await expect(put('a', pieces(2_000_000), 1_000_000)).rejects.toThrow('payload-too-large');
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(2_000_000);
    throw new Error('gone');
  }
  await expect(put('a', broken())).rejects.toThrow('gone');
  expect(read('a')?.byteLength).toBe(5);
  expect(rows()).toBe(1);
});

it('replaces a file whole: who reads the old one learns of it', async () => {
  await put('a', pieces(5));
  const old = store.info('a');
  await put('a', pieces(7));
  expect(read('a')?.byteLength).toBe(7);
  expect(() => store.chunk(old?.upload ?? '', 0)).toThrow('replaced');
});

it('deletes files that ran out, and uploads whose process was lost', async () => {
  await put('a', pieces(5));
  sql.run(`INSERT INTO blob_uploads (upload, expires) VALUES ('lost', 2000)`);
  sql.run(`INSERT INTO blob_chunks (upload, n, data) VALUES ('lost', 0, x'00')`);
  expect(store.nextExpiry()).toBe(2_000);
  nowMs = 2_000;
  store.sweep();
  expect(rows()).toBe(1);
  nowMs = 60_001_000;
  expect(read('a')).toBeNull();
  store.sweep();
  expect(rows()).toBe(0);
  expect(store.nextExpiry()).toBeNull();
});
