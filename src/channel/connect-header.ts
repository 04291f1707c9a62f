import type { ConnectOptions } from '../../core/ports.ts';

/** How a channel is told who connects: a WebSocket is handed over by a request only. It is set anew on every request, so nobody outside can. */
export const CONNECT_HEADER = 'x-repoint-connect';

export function writeConnect(options: ConnectOptions): string {
  return encodeURIComponent(JSON.stringify(options));
}

export function readConnect(header: string | null): ConnectOptions | null {
  return header === null ? null : (JSON.parse(decodeURIComponent(header)) as ConnectOptions);
}
