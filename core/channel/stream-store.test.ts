import { beforeEach, describe, expect, it } from 'vitest';
import { NodeSql } from '../testing/node-sql.ts';
import { LabelLog } from './label-log.ts';
import { StreamStore } from './stream-store.ts';

let nowMs = 1_000;
let store: StreamStore;

beforeEach(() => {
  nowMs = 1_000;
  store = new StreamStore(new NodeSql(), { now: () => nowMs }, 60_000);
});

const texts = (stream: string, after = 0, max?: number): string[] =>
  store.read(stream, after, max).chunks.map((chunk) => chunk.data);

describe('a stream', () => {
  it('keeps its chunks in order, numbered from 1, with their time', () => {
    store.append('s', { chunks: ['a', 'b'] });
    nowMs = 2_000;
    expect(store.append('s', { chunks: ['c'] })).toEqual({ last: 3, writerIndex: 0 });
    expect(store.read('s', 0)).toEqual({
      chunks: [
        { seq: 1, atMs: 1_000, data: 'a' },
        { seq: 2, atMs: 1_000, data: 'b' },
        { seq: 3, atMs: 2_000, data: 'c' },
      ],
      last: 3,
      closed: false,
    });
    expect(texts('s', 2)).toEqual(['c']);
    expect(texts('s', 0, 1)).toEqual(['a']);
    expect(texts('other')).toEqual([]);
  });

  it('drops what a writer has sent before, and takes what is new of the same request', () => {
    store.append('s', { chunks: ['0', '1'], writer: 'w', fromIndex: 0 });
    expect(store.append('s', { chunks: ['1', '2'], writer: 'w', fromIndex: 1 }).writerIndex).toBe(2);
    expect(store.append('s', { chunks: ['0', '1', '2'], writer: 'w', fromIndex: 0 })).toEqual({
      last: 3,
      writerIndex: 2,
    });
    store.append('s', { chunks: ['x'], writer: 'other', fromIndex: 0 });
    expect(texts('s')).toEqual(['0', '1', '2', 'x']);
    expect(store.info('s', 'w')).toEqual({ last: 4, closed: false, writerIndex: 2 });
    expect(store.info('s', 'unknown')?.writerIndex).toBe(-1);
    expect(() => store.append('s', { chunks: ['9'], writer: 'w', fromIndex: 9 })).toThrow('does not follow');
  });

  it('takes nothing after it was closed, but a repetition', () => {
    store.append('s', { chunks: ['a'], writer: 'w', fromIndex: 0, close: true });
    expect(store.append('s', { chunks: ['a'], writer: 'w', fromIndex: 0 }).last).toBe(1);
    expect(() => store.append('s', { chunks: ['b'] })).toThrow('closed');
    expect(store.read('s', 0)).toMatchObject({ last: 1, closed: true });
  });

  it('refuses a chunk that is too long, and keeps none of the request', () => {
    expect(() => store.append('s', { chunks: ['a', 'x'.repeat(600_001)] })).toThrow('payload-too-large');
    expect(store.info('s')).toBeNull();
  });

  it('is gone when its retention is over, counted from the newest append', () => {
    store.append('s', { chunks: ['a'] });
    nowMs += 50_000;
    store.append('s', { chunks: ['b'] });
    nowMs += 50_000;
    store.sweep();
    expect(texts('s')).toEqual(['a', 'b']);
    expect(store.nextExpiry()).toBe(1_000 + 50_000 + 60_000);
    nowMs += 10_000;
    expect(texts('s')).toEqual([]);
    store.sweep();
    expect(store.nextExpiry()).toBeNull();
    store.append('s', { chunks: ['new'] });
    expect(store.read('s', 0).chunks).toEqual([{ seq: 1, atMs: nowMs, data: 'new' }]);
  });
});

describe('the log of a label', () => {
  it('names each run that changed after a position once, in the order of the newest change', () => {
    const log = new LabelLog('e');
    const start = log.position;
    expect(log.add('r1', 1)).toBe(true);
    log.add('r2', 1);
    expect(log.add('r1', 5)).toBe(true);
    expect(log.add('r1', 4)).toBe(false);
    expect(log.after(start)).toEqual([
      { run: 'r2', seq: 1 },
      { run: 'r1', seq: 5 },
    ]);
    expect(log.after({ epoch: 'e', n: 2 })).toEqual([{ run: 'r1', seq: 5 }]);
    expect(log.after(log.position)).toEqual([]);
  });

  it('does not know positions of another epoch, or such that it has forgotten', () => {
    const log = new LabelLog('e');
    expect(log.after(null)).toBeNull();
    expect(log.after({ epoch: 'before', n: 0 })).toBeNull();
    for (let i = 0; i < 5_001; i++) log.add(`r${i}`, 1);
    expect(log.after({ epoch: 'e', n: 0 })).toBeNull();
    expect(log.after({ epoch: 'e', n: 1 })).toHaveLength(5_000);
  });
});
