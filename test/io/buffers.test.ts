import { describe, expect, it } from 'vitest';
import { InputBuffers } from '../../engines/io/input-buffers.ts';
import { OutputQueues } from '../../engines/io/output-queues.ts';
import { seededRandom } from '../support/seed.ts';
import { testAllocator } from './support/loops.ts';

describe('output queues', () => {
  it('send on from every position of a queue of chunks and lent ranges', () => {
    const allocator = testAllocator();
    const { u8 } = allocator.memory;
    const queues = new OutputQueues(allocator, 4, 32);
    const base = allocator.usedBytes;
    const released: number[] = [];
    queues.onReleased = (lease) => {
      released.push(lease);
    };
    const lent = allocator.alloc(64);
    for (let i = 0; i < 64; i++) u8[lent + i] = 100 + i;
    const fill = (): number[] => {
      const all: number[] = [];
      const put = (length: number): void => {
        const at = queues.reserve(2, length);
        for (let i = 0; i < length; i++) all.push((u8[at + i] = (all.length * 7) & 255));
        queues.commit(2, at + length);
      };
      put(20);
      put(12);
      put(5);
      queues.lend(2, lent, 64, 9);
      for (let i = 0; i < 64; i++) all.push(100 + i);
      queues.lend(2, lent, 0, 10);
      put(50);
      put(3);
      return all;
    };
    const waiting = (): number[] => {
      const bytes: number[] = [];
      for (let range = queues.head[2]!; range >= 0; range = queues.next[range]!) {
        for (let i = queues.sent[range]!; i < queues.used[range]!; i++) bytes.push(u8[queues.base[range]! + i]!);
      }
      return bytes;
    };
    const total = fill().length;
    queues.drop(2);
    for (let first = 0; first <= total; first++) {
      const all = fill();
      queues.advance(2, first);
      expect(waiting()).toEqual(all.slice(first));
      const second = Math.min(total - first, 17);
      queues.advance(2, second);
      expect(waiting()).toEqual(all.slice(first + second));
      expect(queues.bytes[2]).toBe(total - first - second);
      queues.advance(2, total - first - second);
      expect([queues.head[2], queues.held[2], queues.ranges[2]]).toEqual([-1, 0, 0]);
    }
    expect(released.length).toBe(2 * (total + 2));
    allocator.free(lent);
    expect(allocator.usedBytes).toBe(base);
    queues.destroy();
    expect(allocator.usedBytes).toBe(0);
  });

  it('give chunks that were reserved and never filled back', () => {
    const allocator = testAllocator();
    const queues = new OutputQueues(allocator, 1, 16_384);
    const base = allocator.usedBytes;
    queues.reserve(0, 10);
    queues.reserve(0, 100_000);
    expect(queues.held[0]).toBe(100_000);
    queues.advance(0, 0);
    expect(queues.held[0]).toBe(0);
    expect(allocator.usedBytes).toBe(base);
    queues.destroy();
  });
});

describe('input buffers', () => {
  it('hand over the same bytes in whatever slices they come', () => {
    const random = seededRandom('input buffers');
    const allocator = testAllocator();
    const { u8, view } = allocator.memory;
    const buffers = new InputBuffers(allocator, 3, 4096, 2 ** 24);
    const base = allocator.usedBytes;
    const streams = [0, 1, 2].map(() => {
      const sizes: number[] = [];
      for (let i = 0; i < 60; i++) sizes.push(random.nextBelow(random.nextBelow(8) === 0 ? 200_000 : 300));
      const bytes = Buffer.alloc(sizes.reduce((sum, size) => sum + 4 + size, 0));
      let at = 0;
      for (const size of sizes) {
        bytes.writeUInt32LE(size, at);
        for (let i = 0; i < size; i++) bytes[at + 4 + i] = (at + i * 13) & 255;
        at += 4 + size;
      }
      return { bytes, sent: 0, seen: [] as Buffer[], direct: 0, directSize: 0 };
    });
    const parse = (conn: number): void => {
      const stream = streams[conn]!;
      let at = buffers.start;
      while (buffers.end - at >= 4) {
        const size = view.getUint32(at, true);
        if (buffers.end - at < 4 + size) {
          if (size > 150_000) {
            // The value goes to a place of its own: what has come of it is copied, the rest is read there.
            const there = buffers.end - at - 4;
            stream.direct = allocator.alloc(size);
            stream.directSize = size;
            u8.copyWithin(stream.direct, at + 4, buffers.end);
            stream.seen.push(Buffer.from(u8.slice(at, at + 4)));
            buffers.setDirect(conn, stream.direct + there, size - there);
            at = buffers.end;
          }
          break;
        }
        stream.seen.push(Buffer.from(u8.slice(at, at + 4 + size)));
        at += 4 + size;
      }
      expect(buffers.keep(conn, at, buffers.end)).toBe(true);
    };
    while (streams.some((stream) => stream.sent < stream.bytes.length)) {
      const conn = random.nextBelow(3);
      const stream = streams[conn]!;
      if (stream.sent === stream.bytes.length) continue;
      expect(buffers.prepare(conn)).toBe(true);
      const limit = random.nextBelow(2) === 0 ? 50 : 5_000;
      const count = Math.min(buffers.readRoom, stream.bytes.length - stream.sent, 1 + random.nextBelow(limit));
      u8.set(stream.bytes.subarray(stream.sent, stream.sent + count), buffers.readAt);
      stream.sent += count;
      if (!buffers.arrived(conn, count)) parse(conn);
      else if (!buffers.isDirect(conn)) {
        stream.seen.push(Buffer.from(u8.slice(stream.direct, stream.direct + stream.directSize)));
        allocator.free(stream.direct);
      }
    }
    for (const stream of streams) expect(Buffer.concat(stream.seen).equals(stream.bytes)).toBe(true);
    expect(allocator.usedBytes).toBe(base);
    buffers.destroy();
  });
});
