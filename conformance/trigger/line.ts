import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A line to the server that breaks when it is told to: what a client sees of a network that fails. */
export interface Line {
  readonly url: string;
  /** How many connections have been broken. */
  readonly broken: number;
  /** The next connection that sends so many bytes is broken there. */
  cutUploadAfter(bytes: number): void;
  /** The next answer is lost with its connection: the server has worked, the client does not know. */
  loseAnswer(): void;
  close(): void;
}

export async function openLine(target: string): Promise<Line> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let broken = 0;
  let uploadBytes = Infinity;
  let answersToLose = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    const breakBoth = (): void => {
      broken++;
      client.destroy();
      upstream.destroy();
    };
    let sent = 0;
    client.on('data', (bytes) => {
      sent += bytes.length;
      if (sent > uploadBytes) {
        uploadBytes = Infinity;
        return breakBoth();
      }
      if (!upstream.write(bytes)) client.pause();
    });
    upstream.on('drain', () => client.resume());
    upstream.on('data', (bytes) => {
      if (answersToLose > 0) {
        answersToLose--;
        return breakBoth();
      }
      client.write(bytes);
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get broken() {
      return broken;
    },
    cutUploadAfter: (bytes) => void (uploadBytes = bytes),
    loseAnswer: () => void answersToLose++,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
