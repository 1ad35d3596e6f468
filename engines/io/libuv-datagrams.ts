/** Datagrams over Node's own sockets: the libuv loop's side of UDP. */
import dgram from 'node:dgram';
import net from 'node:net';
import type { Memory } from '../ports.ts';
import { WAITING_BYTES_MAX } from './datagrams.ts';
import { fromNodeError } from './system-error.ts';

export interface BoundDatagrams {
  readonly socket: dgram.Socket;
  readonly port: number;
}

/** Binds a socket to an IP literal. @throws SystemError */
export function bindDatagrams(host: string, port: number): Promise<BoundDatagrams> {
  const isV6 = net.isIPv6(host);
  // Node would ask for a literal's address too, and answer only in the next turn.
  const lookup = (
    name: string,
    _options: unknown,
    done: (error: null, address: string, family: number) => void,
  ): void => done(null, name, isV6 ? 6 : 4);
  const socket = dgram.createSocket({ type: isV6 ? 'udp6' : 'udp4', ipv6Only: isV6, lookup: lookup as never });
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      reject(fromNodeError(error, `Cannot receive datagrams on ${host}:${port}`));
    });
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      // What an earlier datagram met on its way is reported here; the socket goes on.
      socket.on('error', () => {});
      resolve({ socket, port: socket.address().port });
    });
  });
}

/** Sends arena bytes; Node queues them when the system takes no more, up to a bound. @returns bytes handed over */
export function sendDatagram(memory: Memory, socket: dgram.Socket, to: dgram.RemoteInfo, at: number, length: number) {
  if (socket.getSendQueueSize() + length > WAITING_BYTES_MAX) return 0;
  const bytes = Buffer.allocUnsafe(length);
  bytes.set(memory.u8.subarray(at, at + length));
  // A datagram that could not be sent is lost, as it may be anywhere.
  socket.send(bytes, to.port, to.address, () => {});
  return length;
}

/** @returns the descriptor, -1 where Node does not tell */
export function datagramDescriptor(socket: dgram.Socket): number {
  const handle = Object.getOwnPropertySymbols(socket)
    .map(
      (symbol) => (socket as unknown as Record<symbol, { handle?: { fd?: number } } | undefined>)[symbol]?.handle?.fd,
    )
    .find((fd) => typeof fd === 'number');
  return handle ?? -1;
}
