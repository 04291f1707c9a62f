import * as z from 'zod';
import type { ChannelSocket, SocketHost, SocketProtocol } from '../../../core/ports.ts';
import { readRealtimeToken, type Topic } from './token.ts';

export const REALTIME_PROTOCOL = 'inngest/realtime';

/** inngest/inngest: pkg/execution/realtime/broadcaster.go */
const KEEP_ALIVE_MS = 15_000;
const MAX_FRAME_BYTES = 16_384;
const POLICY_VIOLATION = 1008;

const FrameSchema = z.looseObject({ kind: z.enum(['sub', 'unsub']), data: z.string().max(MAX_FRAME_BYTES) });

/** Subscribers of one channel; what is published comes as it was made (messages.ts). */
export function realtimeProtocol(host: SocketHost): SocketProtocol {
  return {
    maxFrameBytes: MAX_FRAME_BYTES,
    opened: () => {},
    async received(socket, frame) {
      const parsed = FrameSchema.safeParse(typeof frame === 'string' ? parse(frame) : null);
      // Answers to pings and whatever else a client may say.
      if (!parsed.success) return;
      const topics = await readRealtimeToken(host.context, parsed.data.data);
      if (topics === null) return socket.close(POLICY_VIOLATION, 'the token is not valid');
      change(socket, parsed.data.kind, topics);
    },
    tick: {
      everyMs: KEEP_ALIVE_MS,
      run: () => {
        for (const socket of host.sockets()) socket.send('{"kind":"ping"}');
      },
    },
  };
}

function change(socket: ChannelSocket, kind: 'sub' | 'unsub', topics: readonly Topic[]): void {
  const { channel } = JSON.parse(socket.data) as { channel: string };
  const names = topics.filter((topic) => topic.channel === channel).map(({ name }) => name);
  if (kind === 'unsub') socket.unfollow(names);
  else if (names.length < topics.length)
    socket.close(POLICY_VIOLATION, 'another channel: open a connection of its own for it');
  else socket.follow(names);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
