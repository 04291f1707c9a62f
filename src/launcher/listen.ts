// The sockets that the runtime listens on. They are opened here and handed down, so that they outlive the process that answers on them.
import { createServer, isIP, type Server } from 'node:net';

export interface ListeningSocket {
  /** Its name in the runtime's configuration. */
  name: string;
  fd: number;
  port: number;
  /** Gives up our copy. To be called before anything else is awaited: until then a connection may come to us, who do not answer. */
  release(): void;
}

/** Connections that wait to be taken, at most; the system may allow less (net.core.somaxconn). */
const BACKLOG = 1_024;

/**
 * A socket that listens; null where it must be left to the runtime: a name may mean several addresses.
 * @throws the system's error (EADDRINUSE, EACCES, ...)
 */
export async function openSocket(name: string, host: string, port: number): Promise<ListeningSocket | null> {
  if (host !== '*' && isIP(host) === 0) return null;
  const server = createServer((connection) => connection.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...(host === '*' ? {} : { host }), port, backlog: BACKLOG, exclusive: true }, resolve);
  });
  const fd = descriptorOf(server);
  const address = server.address();
  if (fd === null || address === null || typeof address === 'string') {
    server.close();
    return null;
  }
  return { name, fd, port: address.port, release: () => void server.close() };
}

/** No public name gives it; a Node that hides it elsewhere leaves the listening to the runtime. */
function descriptorOf(server: Server): number | null {
  const fd = (server as unknown as { _handle?: { fd?: unknown } | null })._handle?.fd;
  return typeof fd === 'number' && fd > 2 ? fd : null;
}
