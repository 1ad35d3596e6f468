import dgram from 'node:dgram';
import { afterEach, describe, expect, it } from 'vitest';
import { Datagrams, WAITING_BYTES_MAX } from '../../engines/io/datagrams.ts';
import { readIpAddress, SOCKET_ADDRESS_BYTES, writeIpAddress } from '../../engines/io/socket-address.ts';
import type { SystemCalls } from '../../engines/io/system.ts';
import { errnoOf } from '../../engines/io/system-error.ts';
import { createArena } from '../../engines/memory/arena.ts';
import { createJemalloc } from '../../engines/memory/jemalloc.ts';
import { until } from '../support/wait.ts';
import { loopNames, type RunningLoop, startLoop } from './support/loops.ts';

/** A client that gathers the datagrams it gets. */
class Client {
  readonly socket: dgram.Socket;
  readonly got: Buffer[] = [];
  constructor(isV6 = false) {
    this.socket = dgram.createSocket(isV6 ? 'udp6' : 'udp4');
    this.socket.on('message', (bytes) => this.got.push(bytes));
  }
  ask(port: number, bytes: Buffer, host = '127.0.0.1'): void {
    this.socket.send(bytes, port, host);
  }
  async answers(count: number): Promise<string[]> {
    await until(`${count} datagrams have come`, () => this.got.length >= count);
    return this.got.splice(0).map((bytes) => bytes.toString('latin1'));
  }
}

describe.each(loopNames)('datagrams on the %s loop', (name) => {
  let running: RunningLoop | null = null;
  const clients: Client[] = [];
  const client = (isV6 = false): Client => {
    const made = new Client(isV6);
    clients.push(made);
    return made;
  };
  afterEach(async () => {
    for (const { socket } of clients.splice(0)) socket.close();
    await running?.end();
    running = null;
  });

  /** Sends each datagram back twice, its length in front. */
  const answering = (): { sockets: number[]; closed: number[] } => {
    const seen = { sockets: [] as number[], closed: [] as number[] };
    running = startLoop(name, (loop) => ({
      onDatagramSocket: (conn) => seen.sockets.push(conn),
      onClose: (conn) => seen.closed.push(conn),
      onDatagram(conn, start, end) {
        const { u8 } = loop.memory;
        u8.copyWithin(start + 1, start, end);
        for (const mark of [65, 66]) {
          u8[start] = mark;
          loop.sendDatagram!(conn, start, end - start + 1);
        }
      },
    }));
    return seen;
  };

  it('come one by one and are answered to whoever sent them', async () => {
    const seen = answering();
    const { loop } = running!;
    const { port } = await loop.listenUdp('127.0.0.1', 0);
    expect(seen.sockets).toHaveLength(1);
    expect(loop.localName(seen.sockets[0]!)).toBe(`127.0.0.1:${port}`);
    const [one, two] = [client(), client()];
    one.ask(port, Buffer.from('one'));
    two.ask(port, Buffer.from('two'));
    two.ask(port, Buffer.alloc(0));
    expect(await one.answers(2)).toEqual(['Aone', 'Bone']);
    expect(await two.answers(4)).toEqual(['Atwo', 'Btwo', 'A', 'B']);
    one.ask(port, Buffer.alloc(60_000, 'x'));
    expect((await one.answers(2)).map((bytes) => bytes.length)).toEqual([60_001, 60_001]);
    expect(loop.counters.bytesIn).toBe(60_006);
    await running!.end();
    running = null;
    expect(seen.closed).toEqual(seen.sockets);
  });

  it('come over IPv6 too, and a port is refused that is taken', async () => {
    answering();
    const { loop } = running!;
    const { port } = await loop.listenUdp('::1', 0);
    const v6 = client(true);
    v6.ask(port, Buffer.from('six'), '::1');
    expect(await v6.answers(2)).toEqual(['Asix', 'Bsix']);
    await expect(loop.listenUdp('::1', port)).rejects.toThrow(/EADDRINUSE|Address already in use|Cannot receive/);
  });

  if (name === 'epoll')
    it('of one socket come to whichever loop is there first', async () => {
      answering();
      const bound = running!.loop.bindUdp!('127.0.0.1', 0);
      const conn = running!.loop.adoptUdp!(bound.fd, 0);
      expect(conn).toBeGreaterThanOrEqual(0);
      const one = client();
      one.ask(bound.port, Buffer.from('shared'));
      expect(await one.answers(2)).toEqual(['Ashared', 'Bshared']);
      await running!.end();
      running = null;
      // The descriptor was not the loop's to close.
      bound.close();
    });
});

describe('datagrams that the system does not take', () => {
  const EAGAIN = errnoOf('EAGAIN');

  /** Datagrams over calls that take as many as `room` says. */
  function withRoom() {
    const arena = createArena({ byteLength: 64 * 1024 * 1024 });
    const allocator = createJemalloc(arena, { classes: 'debian' });
    const sent: string[] = [];
    const world = { room: 0, errno: EAGAIN, inbox: [] as string[], sent };
    const sys = {
      errno: () => world.errno,
      recvfrom(_fd: number, at: number, _length: number, _flags: number, name: number, nameLength: number): number {
        const text = world.inbox.shift();
        if (text === undefined) return -1;
        arena.u8.set(Buffer.from(text, 'latin1'), at);
        arena.u32[nameLength >>> 2] = writeIpAddress(arena, name, '127.0.0.1', 1_000 + text.charCodeAt(0));
        return text.length;
      },
      sendto(_fd: number, at: number, length: number, _flags: number, name: number): number {
        if (world.room <= 0) return -1;
        world.room--;
        const bytes = Buffer.from(arena.u8.slice(at, at + length)).toString('latin1');
        sent.push(`${readIpAddress(arena, name)} ${bytes}`);
        return length;
      },
    } as unknown as SystemCalls;
    const datagrams = new Datagrams(sys, allocator);
    expect(datagrams.prepare()).toBe(true);
    return { world, datagrams, allocator };
  }

  it('wait in order with their addresses, and nothing is received meanwhile', () => {
    const { world, datagrams, allocator } = withRoom();
    const used = allocator.usedBytes;
    world.inbox.push('a1', 'b1', 'c1');
    world.room = 1;
    const echo = (start: number, end: number): void => {
      datagrams.send(5, start, end - start);
      datagrams.send(5, start, 1);
    };
    datagrams.receive(5, echo);
    expect(world.sent).toEqual(['127.0.0.1:1097 a1']);
    expect(world.inbox).toEqual(['b1', 'c1']);
    expect(datagrams.isBlocked(5)).toBe(true);
    datagrams.receive(5, echo);
    expect(world.inbox).toHaveLength(2);
    expect(datagrams.flush(5)).toBe(0);
    world.room = 2;
    expect(datagrams.flush(5)).toBe(1);
    expect(datagrams.isBlocked(5)).toBe(false);
    datagrams.receive(5, echo);
    expect(world.sent).toEqual(['127.0.0.1:1097 a1', '127.0.0.1:1097 a', '127.0.0.1:1098 b1']);
    world.room = 100;
    datagrams.flush(5);
    datagrams.receive(5, echo);
    expect(world.sent.slice(3)).toEqual(['127.0.0.1:1098 b', '127.0.0.1:1099 c1', '127.0.0.1:1099 c']);
    expect(allocator.usedBytes).toBe(used);
    expect(datagrams.dropped).toBe(0);
  });

  it('are given up beyond the bound, and when the system refuses them', () => {
    const { world, datagrams, allocator } = withRoom();
    const used = allocator.usedBytes;
    world.inbox.push('a'.repeat(60_000));
    let sends = 0;
    datagrams.receive(5, (start, end) => {
      for (; sends < 100; sends++) datagrams.send(5, start, end - start);
    });
    expect(datagrams.dropped).toBe(100 - Math.floor(WAITING_BYTES_MAX / 60_000));
    expect(allocator.usedBytes - used).toBeLessThan(WAITING_BYTES_MAX * 1.2 + SOCKET_ADDRESS_BYTES * 100);
    datagrams.forget(5);
    expect(allocator.usedBytes).toBe(used);
    world.errno = errnoOf('EMSGSIZE');
    const before = datagrams.dropped;
    expect(datagrams.send(5, 4_096, 10)).toBe(false);
    expect(datagrams.dropped).toBe(before + 1);
    expect(datagrams.isBlocked(5)).toBe(false);
    datagrams.destroy();
  });
});
