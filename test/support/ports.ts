/** Ports of 127.0.0.1 for servers that have to be told theirs. */
import dgram from 'node:dgram';
import net from 'node:net';

/**
 * They lie below those that the kernel gives to connections and to servers that do not care (32,768 and up on Linux): a port from there that is
 * free when it is asked for may belong to somebody's connection when the server listens.
 */
const FIRST_PORT = 10_000;
const PORTS = 22_000;
/** Test files run in processes of their own at the same time: each begins elsewhere. The factor keeps neighbours far apart. */
const APART = 131;

let next = (process.pid * APART) % PORTS;

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

function binds(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket('udp4');
    socket.once('error', () => resolve(false));
    socket.bind(port, '127.0.0.1', () => socket.close(() => resolve(true)));
  });
}

/**
 * @param count how many in a row
 * @returns the first of so many ports that are free for TCP and UDP, and that this process is not given again soon
 */
export async function freePort(count = 1): Promise<number> {
  for (let tries = 0; tries < PORTS; tries++) {
    if (next + count > PORTS) next = 0;
    const first = FIRST_PORT + next;
    let free = 0;
    while (free < count && (await listens(first + free)) && (await binds(first + free))) free++;
    next += free + 1;
    if (free === count) return first;
  }
  throw new Error(`Cannot find ${count} free ports in a row from ${FIRST_PORT} on`);
}
