import type { RunChange } from '../../core/model/channel.ts';
import type { SocketProtocol } from '../../core/ports.ts';

export const NATIVE_PROTOCOL = 'native';

/** The native API's: one JSON text frame a change; subscribers have nothing to say. */
export function nativeProtocol(): SocketProtocol {
  return {
    maxFrameBytes: 4_096,
    // The state at the time of the subscription, as the route has read it.
    opened: (socket) => socket.send(socket.data),
    received(socket, frame) {
      if (frame === 'ping') socket.send('pong');
    },
    changed: (socket, _topic, change) => socket.send(changeFrame(change)),
  };
}

export function changeFrame({ run, seq, status }: RunChange): string {
  return JSON.stringify({ type: 'run-changed', run, seq, status });
}
