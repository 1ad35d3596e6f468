import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { SystemError } from '../../engines/io/system-error.ts';
import { TIMED } from '../support/timed.ts';
import { sleep, until } from '../support/wait.ts';
import {
  echoHandler,
  frame,
  frameHandler,
  loopNames,
  openDescriptors,
  type RunningLoop,
  sendBytes,
  startLoop,
} from './support/loops.ts';
import { connect, exchange, receive } from './support/peers.ts';

describe.each(loopNames)('the %s loop', (name) => {
  let running: RunningLoop | null = null;
  afterEach(async () => {
    await running?.end();
    running = null;
  });

  it('sends back what comes', async () => {
    running = startLoop(name, echoHandler);
    const { port } = await running.loop.listenTcp('127.0.0.1', 0, 128);
    expect((await exchange(port, [Buffer.from('hello')], 5)).toString()).toBe('hello');
  });

  it('hands over a frame whole, wherever it is split', async () => {
    running = startLoop(name, frameHandler);
    const { port } = await running.loop.listenTcp('127.0.0.1', 0, 128);
    const bytes = Buffer.concat([frame(Buffer.from('abc')), frame(Buffer.alloc(0)), frame(Buffer.from('defghij'))]);
    for (let at = 1; at < bytes.length; at++) {
      const back = await exchange(port, [bytes.subarray(0, at), bytes.subarray(at)], bytes.length);
      expect(back.equals(bytes)).toBe(true);
    }
  });

  it('keeps a growing incomplete command and gives its buffer back afterwards', async () => {
    let conn = -1;
    running = startLoop(name, (loop) => ({
      ...frameHandler(loop),
      onOpen(opened) {
        conn = opened;
      },
    }));
    const { loop } = running;
    const { port } = await loop.listenTcp('127.0.0.1', 0, 128);
    const big = Buffer.alloc(3_000_000, 'x');
    big.writeUInt32LE(big.length - 4, 0);
    const socket = await connect(port);
    socket.write(big.subarray(0, 1));
    await until('one byte is kept', () => conn >= 0 && loop.inputBytes(conn) === 1);
    expect(loop.inputCapacity(conn)).toBeGreaterThan(0);
    const back = receive(socket, big.length + 7);
    socket.write(big.subarray(1, big.length - 1));
    await until('all but one byte is kept', () => loop.inputBytes(conn) === big.length - 1);
    expect(loop.inputCapacity(conn)).toBeLessThan(4 * big.length);
    // A small frame follows in the same piece: the end of the large one must not swallow it.
    socket.write(Buffer.concat([big.subarray(big.length - 1), frame(Buffer.from('end'))]));
    expect((await back).equals(Buffer.concat([big, frame(Buffer.from('end'))]))).toBe(true);
    expect(loop.inputBytes(conn)).toBe(0);
    expect(loop.inputCapacity(conn)).toBe(0);
    socket.destroy();
  });

  it('costs a constant a byte for a command that comes in small pieces', TIMED, async () => {
    let handed = 0;
    running = startLoop(name, () => ({
      onInput(_conn, start, end) {
        handed = end - start;
        return start;
      },
    }));
    const { port } = await running.loop.listenTcp('127.0.0.1', 0, 128);
    const socket = await connect(port);
    const total = 24 * 2 ** 20;
    const began = process.cpuUsage();
    for (let sent = 0; sent < total; sent += 65_536) socket.write(Buffer.alloc(65_536));
    await until('all has been handed over', () => handed === total, 20_000);
    const { user, system } = process.cpuUsage(began);
    // Quadratic copying would move 4.6 GB and take seconds.
    expect(user + system).toBeLessThan(2_000_000);
    socket.destroy();
  });

  it('closes a connection whose input outgrows its limit', async () => {
    const reasons: number[] = [];
    running = startLoop(
      name,
      () => ({
        onInput: (_conn, start) => start,
        onClose(_conn, reason) {
          reasons.push(reason);
        },
      }),
      { inputLimitBytes: 100_000 },
    );
    const { port } = await running.loop.listenTcp('127.0.0.1', 0, 128);
    const socket = await connect(port);
    socket.write(Buffer.alloc(1_000_000));
    await until('it is closed', () => reasons.length === 1);
    expect(reasons[0]).toBeGreaterThan(0);
    socket.destroy();
  });

  it('reads a 64 MiB value straight into place and lends it out again', async () => {
    const size = 64 * 2 ** 20;
    const released: number[] = [];
    let hasPlace = false;
    running = startLoop(name, (loop, allocator) => {
      let value = 0;
      let ready = false;
      return {
        onInput(conn, _start, end) {
          if (!ready) {
            value = allocator.alloc(size);
            loop.readInto(conn, value, size);
            hasPlace = true;
          }
          return end;
        },
        onDirect(conn) {
          ready = true;
          sendBytes(loop, conn, Buffer.from('<'));
          loop.lend(conn, value, size, 77);
          expect(loop.outputBytes(conn)).toBe(size + 1);
          sendBytes(loop, conn, Buffer.from('>'));
        },
        onReleased(lease) {
          released.push(lease);
          allocator.free(value);
        },
      };
    });
    const { port } = await running.loop.listenTcp('127.0.0.1', 0, 128);
    const value = Buffer.alloc(size);
    for (let i = 0; i < size; i += 4) value.writeUInt32LE(Math.imul(i, 2654435761) >>> 0, i);
    const socket = await connect(port);
    const back = receive(socket, size + 2, 20_000);
    socket.write('P');
    await until('the value has its place', () => hasPlace);
    socket.write(value);
    const bytes = await back;
    expect(bytes.subarray(0, 1).toString() + bytes.subarray(-1).toString()).toBe('<>');
    expect(bytes.subarray(1, -1).equals(value)).toBe(true);
    await until('the lease is back', () => released.length === 1);
    expect(released).toEqual([77]);
    socket.destroy();
  }, 60_000);

  it('sends pieces of all sizes in the order of reserve and lend', async () => {
    const parts = [1, 100, 16_384, 16_385, 3, 70_000, 0, 5, 300_000, 9];
    const whole = Buffer.alloc(parts.reduce((sum, part) => sum + part, 0));
    for (let i = 0; i < whole.length; i++) whole[i] = (i * 31 + (i >>> 8)) & 255;
    let leases = 0;
    running = startLoop(name, (loop, allocator) => ({
      onOpen(conn) {
        let at = 0;
        parts.forEach((part, i) => {
          const bytes = whole.subarray(at, at + part);
          at += part;
          if (i % 3 === 2) {
            const offset = allocator.alloc(Math.max(1, part));
            loop.memory.u8.set(bytes, offset);
            loop.lend(conn, offset, part, offset);
            leases++;
          } else {
            // More is reserved than stored.
            const offset = loop.reserve(conn, part + 50);
            loop.memory.u8.set(bytes, offset);
            loop.commit(conn, offset + part);
          }
        });
        loop.close(conn, true);
      },
      onReleased(lease) {
        leases--;
        allocator.free(lease);
      },
    }));
    const { port } = await running.loop.listenTcp('127.0.0.1', 0, 128);
    const socket = await connect(port);
    expect((await receive(socket, whole.length)).equals(whole)).toBe(true);
    await until('it is closed', () => running!.loop.connectionCount === 0);
    expect(leases).toBe(0);
    socket.destroy();
  });

  it('lets others live beside a client that never reads, and frees all when it is closed', async () => {
    const conns: number[] = [];
    running = startLoop(name, (loop) => ({
      onOpen(conn) {
        conns.push(conn);
      },
      onInput(conn, start, end) {
        // "x" asks for a megabyte; anything else comes back.
        for (let at = start; at < end; at++) {
          if (loop.memory.u8[at] === 120) sendBytes(loop, conn, Buffer.alloc(2 ** 20));
          else sendBytes(loop, conn, loop.memory.u8.slice(at, at + 1));
        }
        return end;
      },
    }));
    const { loop, allocator } = running;
    const { port } = await loop.listenTcp('127.0.0.1', 0, 128);
    const base = allocator.usedBytes;
    const lazy = await connect(port);
    lazy.pause();
    lazy.write('x'.repeat(40));
    await until('output piles up', () => conns.length > 0 && loop.outputBytes(conns[0]!) > 20 * 2 ** 20);
    expect(loop.outputMemory(conns[0]!)).toBeGreaterThanOrEqual(loop.outputBytes(conns[0]!));
    expect(loop.outputChunks(conns[0]!)).toBeGreaterThan(10);
    expect((await exchange(port, [Buffer.from('abc')], 3)).toString()).toBe('abc');
    loop.close(conns[0]!, false);
    await until('both are closed', () => loop.connectionCount === 0);
    await until('all is free', () => allocator.usedBytes === base);
    lazy.destroy();
  });

  it('writes on where the system stopped taking, at any position', async () => {
    running = startLoop(name, echoHandler);
    const { port } = await running.loop.listenTcp('127.0.0.1', 0, 128);
    const bytes = Buffer.alloc(8 * 2 ** 20);
    for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32LE(i, i);
    const socket = await connect(port);
    const received: Buffer[] = [];
    let count = 0;
    socket.on('data', (data) => {
      received.push(data);
      count += data.length;
      // A reader that stops and goes.
      socket.pause();
      setTimeout(() => socket.resume(), count % 3);
    });
    socket.write(bytes);
    await until('all is back', () => count === bytes.length, 25_000);
    expect(Buffer.concat(received).equals(bytes)).toBe(true);
    socket.destroy();
  }, 40_000);

  it('holds input back during a pause and hands it over when resumed', async () => {
    const seen: string[] = [];
    let conn = -1;
    running = startLoop(name, (loop) => ({
      onOpen(opened) {
        conn = opened;
      },
      onInput(opened, start, end) {
        seen.push(Buffer.from(loop.memory.u8.slice(start, end)).toString());
        if (loop.memory.u8[start] === 112) {
          loop.pause(opened);
          return start + 1;
        }
        return end;
      },
    }));
    const { loop } = running;
    const { port } = await loop.listenTcp('127.0.0.1', 0, 128);
    const socket = await connect(port);
    socket.write('pabc');
    await until('input has come', () => seen.length === 1);
    socket.write('def');
    await sleep(40);
    expect(seen).toEqual(['pabc']);
    expect(loop.inputBytes(conn)).toBe(3);
    loop.resume(conn);
    await until('the rest has come', () => seen.slice(1).join('') === 'abcdef');
    expect(loop.inputBytes(conn)).toBe(0);
    socket.destroy();
    await until('it is closed', () => loop.connectionCount === 0);
  });

  it('answers what came before a half-close, then closes', async () => {
    const reasons: number[] = [];
    running = startLoop(name, (loop) => ({
      ...echoHandler(loop),
      onClose(_conn, reason) {
        reasons.push(reason);
      },
    }));
    const { port } = await running.loop.listenTcp('127.0.0.1', 0, 128);
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const all: Buffer[] = [];
    socket.on('data', (data) => all.push(data));
    const ended = new Promise((resolve) => socket.once('end', resolve));
    socket.end('last words');
    await ended;
    expect(Buffer.concat(all).toString()).toBe('last words');
    await until('it is closed', () => reasons.length === 1);
    expect(reasons).toEqual([0]);
    socket.destroy();
  });

  it('survives resets, also with output waiting', async () => {
    let closed = 0;
    running = startLoop(name, (loop) => ({
      onOpen(conn) {
        sendBytes(loop, conn, Buffer.alloc(4 * 2 ** 20));
      },
      onClose() {
        closed++;
      },
    }));
    const { port } = await running.loop.listenTcp('127.0.0.1', 0, 128);
    for (let i = 0; i < 10; i++) {
      const socket = await connect(port);
      socket.resetAndDestroy();
    }
    await until('all are closed', () => closed === 10);
    expect(running.loop.connectionCount).toBe(0);
  });

  it('gives a closed connection a sink and releases what is lent to it at once', async () => {
    const released: number[] = [];
    let closed = 0;
    running = startLoop(name, (loop) => ({
      onInput(conn, _start, end) {
        loop.close(conn, false);
        sendBytes(loop, conn, Buffer.alloc(100_000));
        loop.lend(conn, 64, 10, 5);
        loop.close(conn, true);
        expect(loop.outputBytes(conn)).toBe(0);
        return end;
      },
      onReleased(lease) {
        released.push(lease);
      },
      onClose() {
        closed++;
      },
    }));
    const { port } = await running.loop.listenTcp('127.0.0.1', 0, 128);
    const socket = await connect(port);
    socket.write('x');
    await until('it is closed', () => closed === 1);
    expect(released).toEqual([5]);
    socket.destroy();
  });

  it('tells a connection too many why it is refused', async () => {
    running = startLoop(name, echoHandler, { maxConnections: 2 });
    running.loop.onRefused = () => Buffer.from('-ERR max number of clients reached\r\n');
    const { port } = await running.loop.listenTcp('127.0.0.1', 0, 128);
    const first = await connect(port);
    const second = await connect(port);
    await until('two are open', () => running!.loop.connectionCount === 2);
    const third = await connect(port);
    expect((await receive(third, 36)).toString()).toBe('-ERR max number of clients reached\r\n');
    expect(running.loop.counters.refused).toBe(1);
    running.loop.maxConnections = 5_000;
    expect((await exchange(port, [Buffer.from('ok')], 2)).toString()).toBe('ok');
    for (const socket of [first, second, third]) socket.destroy();
  });

  it('serves 1,000 connections', async () => {
    const descriptors = openDescriptors();
    running = startLoop(name, echoHandler);
    const client = startLoop(name, (loop) => ({
      onOpen(conn) {
        sendBytes(loop, conn, Buffer.from('ping'));
      },
      onInput(_conn, start, end) {
        got += end - start;
        return end;
      },
    }));
    let got = 0;
    const { port } = await running.loop.listenTcp('127.0.0.1', 0, 1024);
    for (let i = 0; i < 1_000; i++) client.loop.connectTcp('127.0.0.1', port);
    await until('all have their echo', () => got === 4_000, 20_000);
    expect(running.loop.connectionCount).toBe(1_000);
    await client.end();
    await until('all are closed', () => running!.loop.connectionCount === 0);
    await running.end();
    running = null;
    await until('no descriptor is left', () => openDescriptors() <= descriptors);
  });

  it('gives back every descriptor and byte when it is destroyed', async () => {
    await startLoop(name, echoHandler).end();
    const descriptors = openDescriptors();
    const started = startLoop(name, (loop) => ({
      onOpen(conn) {
        sendBytes(loop, conn, Buffer.alloc(3_000_000));
      },
      onInput: (_conn, start) => start,
    }));
    const { port } = await started.loop.listenTcp('127.0.0.1', 0, 128);
    const sockets: net.Socket[] = [];
    for (let i = 0; i < 20; i++) {
      const socket = await connect(port);
      socket.pause();
      socket.on('error', () => {});
      socket.write(Buffer.alloc(i * 1_000));
      sockets.push(socket);
    }
    await until('all are open', () => started.loop.connectionCount === 20);
    await started.end();
    expect(started.allocator.usedBytes).toBe(0);
    for (const socket of sockets) socket.destroy();
    await until('no descriptor is left', () => openDescriptors() <= descriptors);
  });

  it('says what is wrong when a port is in use', async () => {
    running = startLoop(name, echoHandler);
    const { port } = await running.loop.listenTcp('127.0.0.1', 0, 128);
    const error = await running.loop.listenTcp('127.0.0.1', port, 128).catch((reason) => reason);
    expect(error).toBeInstanceOf(SystemError);
    expect(error.code).toBe('EADDRINUSE');
    expect(error.message).toContain(`127.0.0.1:${port}`);
  });

  it('reports a connection that is refused with its errno and without onOpen', async () => {
    const events: string[] = [];
    running = startLoop(name, () => ({
      onOpen() {
        events.push('open');
      },
      onClose(_conn, reason) {
        events.push(`close ${reason}`);
      },
    }));
    const probe = net.createServer();
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const { port } = probe.address() as net.AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    running.loop.connectTcp('127.0.0.1', port);
    running.loop.connectUnix('/nonexistent/socket');
    await until('both have failed', () => events.length === 2);
    expect(events.sort()).toEqual(['close 111', 'close 2']);
  });

  it('names both ends of IPv4 and IPv6 connections', async () => {
    for (const host of ['127.0.0.1', '::1']) {
      const names: string[] = [];
      const started = startLoop(name, (loop) => ({
        onOpen(conn, listener) {
          if (listener >= 0) names.push(loop.peerName(conn), loop.localName(conn));
        },
      }));
      const { port } = await started.loop.listenTcp(host, 0, 128);
      const socket = net.connect({ port, host });
      await until('it is open', () => names.length === 2);
      const shown = host === '::1' ? '[::1]' : host;
      expect(names).toEqual([`${shown}:${socket.localPort}`, `${shown}:${port}`]);
      socket.destroy();
      await started.end();
    }
  });

  it('listens on a Unix socket with its mode, over a stale one, and removes it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cachelab-io-'));
    const path = join(folder, 'server.sock');
    // What a killed server leaves: a socket file that nobody listens on.
    const leftover = startLoop(name, echoHandler);
    await leftover.loop.listenUnix(join(folder, 'other.sock'), 16, 0);
    const names: string[] = [];
    running = startLoop(name, (loop) => ({
      ...echoHandler(loop),
      onOpen(conn) {
        names.push(loop.peerName(conn));
      },
    }));
    await running.loop.listenUnix(join(folder, 'other.sock'), 16, 0);
    await leftover.end();
    const listener = await running.loop.listenUnix(path, 16, 0o700);
    expect(listener.port).toBe(0);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    const socket = net.connect({ path });
    socket.write('over unix');
    expect((await receive(socket, 9)).toString()).toBe('over unix');
    expect(names).toEqual([`${path}:0`]);
    socket.destroy();
    const file = join(folder, 'file');
    writeFileSync(file, 'not a socket');
    const error = await running.loop.listenUnix(file, 16, 0).catch((reason) => reason);
    expect(error.code).toBe('EADDRINUSE');
    running.loop.closeListeners();
    await until('the socket file is gone', () => !existsSync(path));
    rmSync(folder, { recursive: true });
  });

  it('connects to a Unix socket also while its backlog is full', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cachelab-io-'));
    const path = join(folder, 'server.sock');
    let echoed = 0;
    running = startLoop(name, (loop) => ({
      onOpen(conn, listener) {
        if (listener < 0) sendBytes(loop, conn, Buffer.from('x'));
      },
      onInput(conn, start, end) {
        if (loop.peerName(conn) === `${path}:0` && conns.has(conn)) echoed += end - start;
        else sendBytes(loop, conn, loop.memory.u8.slice(start, end));
        return end;
      },
    }));
    const { loop } = running;
    const conns = new Set<number>();
    await loop.listenUnix(path, 4, 0);
    for (let i = 0; i < 100; i++) conns.add(loop.connectUnix(path));
    await until('all have their echo', () => echoed === 100);
    rmSync(folder, { recursive: true });
  });
});
