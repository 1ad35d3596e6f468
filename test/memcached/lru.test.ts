/** What the tails of the LRUs give up, also when somebody holds it; and the LRUs' run-time settings. */
import { describe, expect, it } from 'vitest';
import { InProcess, parseStats } from './in-process.ts';

const LARGE = 'v'.repeat(100_000);

function itemStats(server: InProcess, conn: number): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, value] of Object.entries(parseStats(server.send(conn, 'stats items\r\n')))) {
    const key = name.split(':')[2]!;
    sums[key] = (sums[key] ?? 0) + Number(value);
  }
  return sums;
}

/** A client that has asked for the first large item and does not read. */
function withHeldItem(settings: ConstructorParameters<typeof InProcess>[0]) {
  const server = new InProcess({ maxBytes: 4 * 1024 * 1024, ...settings });
  const conn = server.open();
  const slow = server.open();
  server.settle();
  server.send(conn, `set held 0 0 ${LARGE.length}\r\n${LARGE}\r\n`);
  server.stall(slow);
  server.feed(slow, Buffer.from('get held\r\n'));
  return { server, conn, slow };
}

describe('an item at the tail that a reply still points to', () => {
  it('is evicted like any other, its bytes stay until the reply has left', () => {
    const { server, conn, slow } = withHeldItem({});
    for (let i = 0; i < 100; i++) {
      expect(server.send(conn, `set other${i} 0 0 ${LARGE.length}\r\n${'w'.repeat(LARGE.length)}\r\n`)).toBe(
        'STORED\r\n',
      );
    }
    expect(server.send(conn, 'get held\r\n')).toBe('END\r\n');
    const stats = itemStats(server, conn);
    expect(stats['evicted']).toBeGreaterThan(50);
    expect(stats['lrutail_reflocked']).toBeGreaterThan(0);
    server.drain(slow);
    expect(server.take(slow).toString('latin1')).toBe(`VALUE held 0 ${LARGE.length}\r\n${LARGE}\r\nEND\r\n`);
    expect(server.released).toBe(server.lent);
    server.core.verify();
  });

  it('is taken away by tail repair, and freed when the reply has left', () => {
    const { server, conn, slow } = withHeldItem({ tailRepairTime: 10, evictToFree: true });
    server.advance(20);
    for (let i = 0; i < 60; i++) server.send(conn, `set other${i} 0 0 ${LARGE.length}\r\n${LARGE}\r\n`);
    const stats = itemStats(server, conn);
    expect(stats['tailrepairs']).toBe(1);
    server.drain(slow);
    expect(server.take(slow).length).toBeGreaterThan(LARGE.length);
    server.core.verify();
  });
});

describe('the LRUs', () => {
  const fill = (server: InProcess, conn: number, count: number): void => {
    for (let i = 0; i < count; i++) server.send(conn, `set key:${i} 0 0 100\r\n${'x'.repeat(100)}\r\n`);
  };

  it('drain into COLD in flat mode, and are filled again in segmented mode', () => {
    const server = new InProcess();
    const conn = server.open();
    fill(server, conn, 1_000);
    server.settle();
    expect(itemStats(server, conn)['number_hot']).toBeGreaterThan(100);
    expect(server.send(conn, 'lru mode flat\r\n')).toBe('OK\r\n');
    server.settle();
    server.settle();
    expect(itemStats(server, conn)).toMatchObject({ number: 1_000, number_hot: 0, number_warm: 0, number_cold: 1_000 });
    expect(server.send(conn, 'lru mode segmented\r\n')).toBe('OK\r\n');
    server.send(conn, `set fresh 0 0 100\r\n${'x'.repeat(100)}\r\n`);
    expect(itemStats(server, conn)['number_hot']).toBe(1);
    server.core.verify();
  });

  it('keep items that expire soon in TEMP, where nobody moves them', () => {
    const server = new InProcess();
    const conn = server.open();
    expect(server.send(conn, 'lru temp_ttl 50\r\n')).toBe('OK\r\n');
    server.send(conn, 'set soon 0 50 1\r\nx\r\nset later 0 51 1\r\nx\r\nset never 0 0 1\r\nx\r\n');
    server.send(conn, 'get soon\r\nget soon\r\nget soon\r\n');
    server.advance(3);
    server.settle();
    expect(itemStats(server, conn)).toMatchObject({ number_temp: 1, number_cold: 2, number_hot: 0 });
    server.advance(50);
    server.settle();
    expect(itemStats(server, conn)).toMatchObject({ number: 1, reclaimed: 2 });
    server.core.verify();
  });

  it('give HOT no share but WARM’s when its own is none', () => {
    const server = new InProcess({ hotLruPct: 0, warmLruPct: 50 });
    const conn = server.open();
    fill(server, conn, 1_000);
    server.settle();
    // Half of the bytes, and keys are not of one length.
    expect(Math.abs(itemStats(server, conn)['number_hot']! - 500)).toBeLessThan(10);
  });

  it('refuse rather than evict with -M', () => {
    const server = new InProcess({ evictToFree: false, maxBytes: 2 * 1024 * 1024 });
    const conn = server.open();
    let refused = 0;
    for (let i = 0; i < 60; i++) {
      if (server.send(conn, `set k${i} 0 0 ${LARGE.length}\r\n${LARGE}\r\n`) !== 'STORED\r\n') refused++;
    }
    expect(refused).toBeGreaterThan(10);
    expect(itemStats(server, conn)['evicted']).toBe(0);
    server.core.verify();
  });
});
