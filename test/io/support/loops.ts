/** Loops and handlers that the tests of this room share. */
import { readdirSync } from 'node:fs';
import { createEventLoop } from '../../../engines/io/create-event-loop.ts';
import type { EventLoop, EventLoopName, EventLoopOptions } from '../../../engines/io/event-loop.ts';
import { addressOf, purgePages, systemAvailable } from '../../../engines/io/system.ts';
import { createArena } from '../../../engines/memory/arena.ts';
import { createJemalloc } from '../../../engines/memory/jemalloc.ts';
import type { Allocator, ConnectionHandler, Memory } from '../../../engines/ports.ts';

/** Every loop that can be had here: the same tests run over each. */
export const loopNames: EventLoopName[] = systemAvailable() ? ['epoll', 'libuv'] : ['libuv'];

let shared: Memory | null = null;

/** One arena for all tests of a file: address space is plentiful, but each arena is 1 GiB of it. */
export function testMemory(): Memory {
  shared ??= createArena({ byteLength: 2 ** 30, addressOf, purge: purgePages });
  return shared;
}

export function testAllocator(): Allocator {
  return createJemalloc(testMemory(), { classes: 'debian' });
}

/** A loop that is running, and how to end it: `end` stops, waits, destroys. */
export interface RunningLoop {
  loop: EventLoop;
  allocator: Allocator;
  end(): Promise<void>;
}

export function startLoop(
  name: EventLoopName,
  makeHandler: (loop: EventLoop, allocator: Allocator) => Partial<ConnectionHandler>,
  options?: EventLoopOptions,
): RunningLoop {
  const allocator = testAllocator();
  const loop = createEventLoop(name, allocator, { hopMs: 4, ...options });
  loop.setHandler({ ...silentHandler(), ...makeHandler(loop, allocator) });
  const running = loop.run();
  return {
    loop,
    allocator,
    async end() {
      loop.stop();
      await running;
      loop.destroy();
    },
  };
}

export function silentHandler(): ConnectionHandler {
  return {
    onOpen() {},
    onInput: (_conn, _start, end) => end,
    onDirect() {},
    onClose() {},
    onReleased() {},
    onTurn() {},
  };
}

/** Stores bytes as output of a connection. */
export function sendBytes(loop: EventLoop, conn: number, bytes: Uint8Array): void {
  const offset = loop.reserve(conn, bytes.length);
  if (offset === 0) throw new Error(`Cannot send ${bytes.length} bytes: the arena is exhausted`);
  loop.memory.u8.set(bytes, offset);
  loop.commit(conn, offset + bytes.length);
}

/** A handler that sends back whatever comes. */
export function echoHandler(loop: EventLoop): Partial<ConnectionHandler> {
  return {
    onInput(conn, start, end) {
      const offset = loop.reserve(conn, end - start);
      loop.memory.u8.copyWithin(offset, start, end);
      loop.commit(conn, offset + end - start);
      return end;
    },
  };
}

/**
 * A handler of frames: 4 bytes of length (little-endian), then as many bytes. Each whole frame is sent back as it came. A
 * frame is only consumed whole, so it exercises what is kept of incomplete input.
 */
export function frameHandler(loop: EventLoop): Partial<ConnectionHandler> {
  return {
    onInput(conn, start, end) {
      const { u8, view } = loop.memory;
      let at = start;
      while (end - at >= 4) {
        const total = 4 + view.getUint32(at, true);
        if (end - at < total) break;
        const offset = loop.reserve(conn, total);
        u8.copyWithin(offset, at, at + total);
        loop.commit(conn, offset + total);
        at += total;
      }
      return at;
    },
  };
}

export function frame(payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(4 + payload.length);
  bytes.writeUInt32LE(payload.length, 0);
  bytes.set(payload, 4);
  return bytes;
}

/** Open descriptors of this process that are sockets, epoll sets or eventfds. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
