import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ChannelSocket, SocketHost, SocketProtocol } from '../../../core/ports.ts';
import { devProtocol } from './dev-protocol.ts';
import { notifyFrame } from './frames.ts';

const RUN = '01J0000000000000000000000A';
const PUBLIC = `run_${RUN.toLowerCase()}`;
const TOPIC = `run:${RUN}`;

let followed: Set<string>;
let sent: string[];
let closed: boolean;
let socket: ChannelSocket;
let protocol: SocketProtocol;

beforeEach(() => {
  vi.useFakeTimers();
  followed = new Set();
  sent = [];
  closed = false;
  socket = {
    id: 'sid',
    data: '',
    state: '',
    send: (frame) => void sent.push(String(frame)),
    close: () => void (closed = true),
    topics: () => [...followed],
    follow: (topics) => topics.forEach((topic) => followed.add(topic)),
    unfollow: (topics) => topics.forEach((topic) => followed.delete(topic)),
  };
  const host = { sockets: () => [socket], waitUntil: () => {} } as Partial<SocketHost> as SocketHost;
  protocol = devProtocol(host);
});
afterEach(() => void vi.useRealTimers());

const said = (event: string, run: string): string =>
  `42/dev-worker,${JSON.stringify([event, { version: '1', runFriendlyIds: [run, 'nonsense'] }])}`;
const changed = (seq: number): void => protocol.changed?.(socket, TOPIC, { run: RUN, seq, status: 'running' });

describe("the worker's socket", () => {
  it('opens, connects the namespace, and answers pings', async () => {
    await protocol.opened(socket);
    expect(sent[0]).toContain('"sid":"sid"');
    await protocol.received(socket, '40/dev-worker,');
    await protocol.received(socket, '2');
    await protocol.received(socket, '40/other,');
    expect(sent.slice(1)).toEqual([
      '40/dev-worker,{"sid":"sid"}',
      '3',
      '44/dev-worker,{"message":"Invalid namespace"}',
    ]);
    void protocol.tick?.run();
    expect(sent.at(-1)).toBe('2');
    await protocol.received(socket, '1');
    expect(closed).toBe(true);
  });

  it('follows the runs that the worker names, until it lets go of them', async () => {
    await protocol.received(socket, said('run:subscribe', PUBLIC));
    expect([...followed]).toEqual([TOPIC]);
    await protocol.received(socket, said('run:unsubscribe', PUBLIC));
    expect([...followed]).toEqual([]);
  });

  it('says the newest change three times, an older one no more', async () => {
    followed.add(TOPIC);
    changed(1);
    await vi.advanceTimersByTimeAsync(100);
    changed(2);
    expect(sent).toEqual([notifyFrame('/dev-worker', PUBLIC), notifyFrame('/dev-worker', PUBLIC)]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(sent).toHaveLength(4);
  });

  it('repeats nothing of a run that was let go of', async () => {
    followed.add(TOPIC);
    changed(1);
    followed.clear();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(sent).toHaveLength(1);
  });
});
