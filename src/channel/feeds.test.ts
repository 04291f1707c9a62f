import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RunChange } from '../../core/model/channel.ts';
import { Feeds } from './feeds.ts';

let asked: string[][];
let heard: string[];
let sockets: Set<string>;
let instance: string;
let newest: Record<string, number>;
let feeds: Feeds;

beforeEach(() => {
  vi.useFakeTimers({ now: 100_000 });
  asked = [];
  heard = [];
  sockets = new Set();
  instance = 'first';
  newest = { r: 3 };
  feeds = new Feeds({
    follow: async (topics) => {
      asked.push(topics);
      return {
        instance,
        changes: topics.map((topic) => {
          const seq = newest[topic.slice(4)];
          return topic.startsWith('run:') && seq !== undefined ? change(topic.slice(4), seq) : null;
        }),
      };
    },
    hasSockets: (topic) => sockets.has(topic),
    onChange: (topic, { run, seq }) => heard.push(`${topic} ${run} ${seq}`),
  });
});
afterEach(() => void vi.useRealTimers());

const change = (run: string, seq: number): RunChange => ({ run, seq, status: 'running' });
const told = (topic: string, run: string, seq: number): boolean[] => feeds.told([{ topic, change: change(run, seq) }]);

describe('a run that is followed', () => {
  it('costs one question to the cell, however many ask', async () => {
    for (let i = 0; i < 1_000; i++) expect((await feeds.run('run:r'))?.seq).toBe(3);
    expect(asked).toEqual([['run:r']]);
    told('run:r', 'r', 4);
    expect((await feeds.run('run:r'))?.seq).toBe(4);
    expect(asked).toHaveLength(1);
  });

  it('is heard of once for each change', async () => {
    await feeds.run('run:r');
    expect(told('run:r', 'r', 5)).toEqual([true]);
    told('run:r', 'r', 5);
    told('run:r', 'r', 4);
    expect(heard).toEqual(['run:r r 5']);
  });

  it('is not wanted any more some time after the last reader has gone, but while a socket is open', async () => {
    await feeds.run('run:r');
    feeds.leave('run:r');
    vi.advanceTimersByTime(29_000);
    expect(told('run:r', 'r', 4)).toEqual([true]);
    vi.advanceTimersByTime(2_000);
    sockets.add('run:r');
    expect(told('run:r', 'r', 5)).toEqual([true]);
    sockets.clear();
    expect(told('run:r', 'r', 6)).toEqual([false]);
    expect(told('run:r', 'r', 7)).toEqual([false]);
    newest.r = 7;
    expect((await feeds.run('run:r'))?.seq).toBe(7);
  });

  it('is heard of at the renewal when the cell has lost its memory', async () => {
    await feeds.run('run:r');
    instance = 'second';
    newest.r = 9;
    vi.advanceTimersByTime(10_000);
    expect(await feeds.renew([])).toBe(true);
    expect(heard).toEqual(['run:r r 9']);
  });

  it('is null when nobody knows it, and asked for again: it may start later', async () => {
    expect(await feeds.run('run:nobody')).toBeNull();
    newest.nobody = 1;
    expect((await feeds.run('run:nobody'))?.seq).toBe(1);
  });

  it('is heard of by sockets also after the channel has slept', () => {
    sockets.add('run:r');
    expect(told('run:r', 'r', 4)).toEqual([true]);
    expect(heard).toEqual(['run:r r 4']);
  });
});

describe('a label that is followed', () => {
  it('tells the runs that changed after a position', async () => {
    const log = await feeds.label('label:l');
    const start = log.position;
    told('label:l', 'a', 1);
    told('label:l', 'b', 1);
    told('label:l', 'a', 2);
    expect(log.after(start)?.map(({ run }) => run)).toEqual(['b', 'a']);
    expect(asked).toEqual([['label:l']]);
  });

  it('begins anew when the cell has lost its memory: what happened in between is not known', async () => {
    const { position } = await feeds.label('label:l');
    vi.advanceTimersByTime(10_000);
    await feeds.renew([]);
    expect(feeds.peekLabel('label:l')?.after(position)).toEqual([]);
    instance = 'second';
    vi.advanceTimersByTime(10_000);
    await feeds.renew([]);
    expect(feeds.peekLabel('label:l')?.after(position)).toBeNull();
  });
});
