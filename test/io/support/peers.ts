/** The other side of a connection under test, over Node's own sockets. */
import net from 'node:net';

export function connect(port: number, host = '127.0.0.1'): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host, noDelay: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      // A reset of a connection that a test has done with is no news.
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

/** Collects `wanted` bytes. @throws Error when the peer closes or `ms` pass before */
export function receive(socket: net.Socket, wanted: number, ms = 10_000): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const received: Buffer[] = [];
    let count = 0;
    const failed = (what: string): void => finish(() => reject(new Error(`${what} after ${count} of ${wanted} bytes`)));
    const timer = setTimeout(() => failed(`Waited ${ms} ms`), ms);
    const onClose = (): void => failed('The peer closed');
    const onData = (data: Buffer): void => {
      received.push(data);
      count += data.length;
      if (count >= wanted) finish(() => resolve(Buffer.concat(received)));
    };
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      socket.off('close', onClose);
      socket.off('data', onData);
      settle();
    };
    socket.on('close', onClose);
    socket.on('data', onData);
  });
}

/** Connects, sends the pieces one by one, collects `wanted` bytes and closes. */
export async function exchange(port: number, pieces: Uint8Array[], wanted: number): Promise<Buffer> {
  const socket = await connect(port);
  const all = receive(socket, wanted);
  for (const piece of pieces) {
    await new Promise<void>((resolve) => socket.write(piece, () => setImmediate(resolve)));
  }
  const bytes = await all;
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.destroy();
  await closed;
  return bytes;
}
