import { runTopic } from '../../../core/model/channel.ts';
import type { ChannelSocket, SocketHost, SocketProtocol } from '../../../core/ports.ts';
import { publicRunId, runIdOf } from '../ids.ts';
import {
  connectedFrame,
  notifyFrame,
  openFrame,
  PING,
  PING_EVERY_MS,
  readFrame,
  refusedFrame,
  type Namespace,
} from './frames.ts';

export const DEV_PROTOCOL = 'trigger/dev-worker';

/**
 * A worker that is busy with one notification drops the next (trigger.dev: dev-run-controller handleSnapshotChangeLock), for as long as it takes to
 * flush a waiting task's telemetry; then it looks only after 5 s. So the newest is said again after these.
 */
const REPEATS_MS = [250, 1_000];
const MAX_SUBSCRIPTIONS = 500;
const MAX_FRAME_BYTES = 1_000_000;

/** Tells a worker about changes of the runs that it executes, until it lets go of them. */
export function devProtocol(host: SocketHost): SocketProtocol {
  /** Newest notification of each socket's run: an older one need not be repeated. */
  const newest = new Map<string, number>();
  let count = 0;
  const notify = async (socket: ChannelSocket, run: string): Promise<void> => {
    const key = `${socket.id} ${run}`;
    const own = ++count;
    newest.set(key, own);
    const frame = notifyFrame(namespaceOf(socket), publicRunId(run));
    socket.send(frame);
    let saidMs = 0;
    for (const atMs of REPEATS_MS) {
      await pause(atMs - saidMs);
      if (newest.get(key) !== own) return;
      if (!socket.topics().includes(runTopic(run))) break;
      socket.send(frame);
      saidMs = atMs;
    }
    newest.delete(key);
  };
  return {
    maxFrameBytes: MAX_FRAME_BYTES,
    opened: (socket) => socket.send(openFrame(socket.id)),
    received(socket, data) {
      if (typeof data !== 'string') return;
      const frame = readFrame(namespaceOf(socket), data);
      switch (frame.kind) {
        case 'ping':
          return socket.send('3');
        case 'connect':
          return socket.send(connectedFrame(namespaceOf(socket), socket.id));
        case 'close':
          return socket.close(1000);
        case 'subscribe':
          // The worker knows what was there when it subscribed: it hears of what comes.
          return socket.follow(topicsOf(frame.runs).slice(0, Math.max(0, MAX_SUBSCRIPTIONS - socket.topics().length)));
        case 'unsubscribe':
          return socket.unfollow(topicsOf(frame.runs));
        case 'pong':
          return;
        case 'other':
          if (data.startsWith('40')) socket.send(refusedFrame(namespaceOf(socket), 'Invalid namespace'));
      }
    },
    changed: (socket, _topic, change) => host.waitUntil(notify(socket, change.run)),
    tick: {
      everyMs: PING_EVERY_MS,
      run: () => {
        for (const socket of host.sockets()) socket.send(PING);
      },
    },
  };
}

function namespaceOf({ data }: ChannelSocket): Namespace {
  return data === '/workload' ? data : '/dev-worker';
}

function topicsOf(publicIds: readonly string[]): string[] {
  return publicIds.flatMap((id) => {
    const run = runIdOf(id);
    return run === null ? [] : [runTopic(run)];
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
