import { describe, expect, it } from 'vitest';
import { createEventLoop } from '../../engines/io/create-event-loop.ts';
import { seededRandom } from '../support/seed.ts';
import { until } from '../support/wait.ts';
import { loopNames, openDescriptors, testAllocator } from './support/loops.ts';

const CONNECTIONS = 400;
const SIDE_CLIENT = -1;

describe.each(loopNames)('the %s loop under random use', (name) => {
  it(`keeps its promises, whoever closes, pauses, lends or breaks off when`, async () => {
    const descriptors = openDescriptors();
    const random = seededRandom(`chaos of ${name}`);
    const allocator = testAllocator();
    const loop = createEventLoop(name, allocator, { hopMs: 4, outputChunkBytes: 1024, readBufferBytes: 4096 });
    const chance = (percent: number): boolean => random.nextBelow(100) < percent;
    /** Per open slot: which side it is, and what it still has to take in. */
    const open = new Map<number, number>();
    const leases = new Map<number, number>();
    const direct = new Map<number, { at: number; size: number }>();
    let nextLease = 1;
    let opened = 0;
    let closed = 0;
    let failures = 0;

    const send = (conn: number): void => {
      const size = 1 + random.nextBelow(chance(10) ? 100_000 : 500);
      if (chance(30)) {
        const at = allocator.alloc(size);
        const lease = nextLease++;
        leases.set(lease, at);
        loop.lend(conn, at, size, lease);
      } else {
        const at = loop.reserve(conn, size);
        loop.memory.u8.fill(conn & 255, at, at + size);
        if (chance(95)) loop.commit(conn, at + size);
      }
    };
    const meddle = (conn: number): void => {
      if (chance(60)) send(conn);
      if (chance(8)) loop.close(conn, chance(50));
      if (chance(15)) {
        loop.pause(conn);
        loop.addTimer(random.nextBelow(4), () => {
          if (open.has(conn)) loop.resume(conn);
          return -1;
        });
      }
      // Anyone may close anyone, at any time.
      const other = random.nextBelow(CONNECTIONS);
      if (chance(3) && open.has(other)) loop.close(other, chance(50));
    };
    loop.setHandler({
      onOpen(conn, listener) {
        if (open.has(conn)) failures++;
        open.set(conn, listener === -1 ? SIDE_CLIENT : listener);
        opened++;
        meddle(conn);
      },
      onInput(conn, start, end) {
        if (!open.has(conn) || end <= start) failures++;
        meddle(conn);
        if (chance(5)) {
          const size = 1 + random.nextBelow(20_000);
          const at = allocator.alloc(size);
          direct.set(conn, { at, size });
          loop.readInto(conn, at, size);
          return end;
        }
        // Sometimes only a part is taken; at the latest when much has piled up, all.
        return end - start > 30_000 || chance(60) ? end : start + random.nextBelow(end - start + 1);
      },
      onDirect(conn) {
        const target = direct.get(conn);
        if (target === undefined) failures++;
        else allocator.free(target.at);
        direct.delete(conn);
        meddle(conn);
      },
      onClose(conn) {
        closed++;
        open.delete(conn);
        const target = direct.get(conn);
        if (target !== undefined) allocator.free(target.at);
        direct.delete(conn);
      },
      onReleased(lease) {
        const at = leases.get(lease);
        if (at === undefined) failures++;
        else allocator.free(at);
        leases.delete(lease);
      },
      onTurn() {
        for (const conn of open.keys()) {
          if (chance(1)) send(conn);
          break;
        }
      },
    });
    const { port } = await loop.listenTcp('127.0.0.1', 0, 1024);
    const running = loop.run();
    let started = 0;
    loop.addTimer(0, () => {
      for (let i = 0; i < 10; i++) loop.connectTcp('127.0.0.1', port);
      started += 10;
      return started < CONNECTIONS ? 1 : -1;
    });
    await until('all have been opened', () => started === CONNECTIONS, 10_000);
    await new Promise((resolve) => setTimeout(resolve, 500));
    // What still waits to be accepted would be opened behind the back of the count.
    loop.closeListeners();
    for (const conn of open.keys()) loop.close(conn, false);
    await until('all are closed', () => loop.connectionCount === 0, 10_000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(failures).toBe(0);
    expect(open.size).toBe(0);
    expect(closed).toBeGreaterThanOrEqual(opened);
    expect(leases.size).toBe(0);
    expect(direct.size).toBe(0);
    loop.stop();
    await running;
    loop.destroy();
    expect(allocator.usedBytes).toBe(0);
    await until('no descriptor is left', () => openDescriptors() <= descriptors);
  });
});
