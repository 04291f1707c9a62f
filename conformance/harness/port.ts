import { createServer } from 'node:net';

// Below the ports that systems hand out for outgoing connections (Linux: from 32768, others: from 49152), so that nobody takes the
// port while a server that is to be started again on it is down.
const FROM = 10_000;
const TO = 32_000;

/** A free port of the loopback interface that stays free while nobody listens on it. */
export async function stablePort(): Promise<number> {
  for (;;) {
    const port = FROM + Math.floor(Math.random() * (TO - FROM));
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}
