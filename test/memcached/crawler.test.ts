/** The crawler in a core without sockets: what it frees, dumps to clients that read slowly or go away, and its place in lists that change. */
import { describe, expect, it } from 'vitest';
import { InProcess, parseStats } from './in-process.ts';

const VALUE = 'x'.repeat(200);

/** Sends in small batches: a core serves a few commands a turn, and the rest is handed over again each time. */
const BATCH = 100;

function fill(server: InProcess, conn: number, count: number, ttl = 0, prefix = 'key'): void {
  for (let from = 0; from < count; from += BATCH) {
    let text = '';
    for (let i = from; i < Math.min(count, from + BATCH); i++) {
      text += `set ${prefix}:${i} 0 ${ttl} ${VALUE.length} noreply\r\n${VALUE}\r\n`;
    }
    expect(server.send(conn, text)).toBe('');
  }
}

/** Runs the background jobs a number of times. */
function slices(server: InProcess, count: number): void {
  for (let i = 0; i < count; i++) server.core.background.runAll();
}

const keysOf = (dump: string): string[] => [...dump.matchAll(/^key=(\S+)/gm)].map((match) => match[1]!);

describe('the crawler', () => {
  it('frees what has expired in slices, while commands go on', () => {
    const server = new InProcess({ lruMaintainer: false, lruSegmented: false });
    const conn = server.open();
    fill(server, conn, 5_000, 10);
    fill(server, conn, 5_000, 0, 'lasting');
    server.advance(12);
    expect(server.send(conn, 'lru_crawler crawl all\r\n')).toBe('OK\r\n');
    slices(server, 1);
    const stats = parseStats(server.send(conn, 'stats\r\n'));
    expect(stats['lru_crawler_running']).toBe('1');
    expect(Number(stats['curr_items'])).toBeGreaterThan(9_000);
    expect(Number(stats['curr_items'])).toBeLessThan(10_000);
    expect(server.send(conn, 'lru_crawler crawl 1\r\n')).toBe('BUSY currently processing crawler request\r\n');
    slices(server, 200);
    const after = parseStats(server.send(conn, 'stats\r\n'));
    expect(after).toMatchObject({
      lru_crawler_running: '0',
      curr_items: '5000',
      crawler_reclaimed: '5000',
      crawler_items_checked: '10000',
      expired_unfetched: '5000',
    });
    server.core.verify();
  });

  it('keeps its place when the item it is to look at next goes', () => {
    const server = new InProcess({ lruMaintainer: false, lruSegmented: false });
    const conn = server.open();
    fill(server, conn, 2_000, 0);
    server.send(conn, 'lru_crawler crawl all\r\n');
    // Each slice ends in front of some item; those around it vanish, in both directions.
    for (let slice = 0; slice < 20; slice++) {
      slices(server, 1);
      for (let i = 0; i < 2_000; i += 7) server.send(conn, `delete key:${(i + slice) % 2_000} noreply\r\n`);
      server.core.verify();
    }
    slices(server, 100);
    expect(parseStats(server.send(conn, 'stats\r\n'))['lru_crawler_running']).toBe('0');
    server.core.verify();
  });

  it('goes by itself where there is much to free', () => {
    const server = new InProcess();
    const conn = server.open();
    server.settle();
    fill(server, conn, 3_000, 100);
    // A crawl every minute or so: the one after expiry frees everything.
    for (let second = 0; second < 300; second++) {
      server.advance(1);
      slices(server, 40);
    }
    const stats = parseStats(server.send(conn, 'stats\r\n'));
    expect(stats['curr_items']).toBe('0');
    expect(Number(stats['lru_crawler_starts'])).toBeGreaterThan(2);
    expect(Number(stats['crawler_reclaimed']) + Number(stats['reclaimed'])).toBe(3_000);
    server.core.verify();
  });
});

describe('a dump', () => {
  const COUNT = 30_000;

  for (const what of ['all', 'hash']) {
    it(`by ${what} waits for a client that does not read, and goes on when it does`, () => {
      const server = new InProcess();
      const conn = server.open();
      const other = server.open();
      fill(server, conn, COUNT);
      server.stall(conn);
      server.feed(conn, Buffer.from(`lru_crawler metadump ${what}\r\nget key:7\r\n`));
      for (let i = 0; i < 50; i++) server.core.onTurn();
      expect(server.isPaused(conn)).toBe(true);
      expect(server.outputBytes(conn)).toBeLessThan(1_200_000);
      expect(server.send(other, 'lru_crawler metadump all\r\n')).toBe('BUSY currently processing crawler request\r\n');
      expect(server.send(other, 'get key:9\r\n')).toContain(VALUE);
      let dump = server.take(conn).toString();
      server.drain(conn);
      dump += server.take(conn).toString();
      const keys = keysOf(dump);
      expect(new Set(keys).size).toBe(COUNT);
      expect(keys).toHaveLength(COUNT);
      // What was sent behind the command is answered behind the dump.
      expect(dump.endsWith(`END\r\nVALUE key:7 0 ${VALUE.length}\r\n${VALUE}\r\nEND\r\n`)).toBe(true);
      expect(server.send(other, 'lru_crawler metadump 63\r\n')).toBe('END\r\n');
      server.core.verify();
    });
  }

  it('gives the crawler back when its client goes away', () => {
    const server = new InProcess();
    const conn = server.open();
    const other = server.open();
    fill(server, conn, COUNT);
    server.stall(conn);
    server.feed(conn, Buffer.from('lru_crawler metadump all\r\n'));
    server.hangUp(conn);
    expect(parseStats(server.send(other, 'stats\r\n'))['lru_crawler_running']).toBe('0');
    expect(keysOf(server.send(other, 'lru_crawler metadump hash\r\n'))).toHaveLength(COUNT);
    server.core.verify();
  });

  it('leaves the hash table as it is until it is over', () => {
    const server = new InProcess({ hashPowerInit: 12 });
    const conn = server.open();
    const other = server.open();
    fill(server, conn, COUNT);
    server.stall(conn);
    server.feed(conn, Buffer.from('lru_crawler metadump hash\r\n'));
    expect(server.isPaused(conn)).toBe(true);
    server.settle();
    expect(parseStats(server.send(other, 'stats\r\n'))['hash_power_level']).toBe('12');
    server.drain(conn);
    server.settle();
    server.settle();
    expect(Number(parseStats(server.send(other, 'stats\r\n'))['hash_power_level'])).toBeGreaterThan(13);
    server.core.verify();
  });

  it('shows no key as it is that could end the line', () => {
    const server = new InProcess();
    const conn = server.open();
    server.send(conn, 'set a%b~/ 1 0 1\r\nx\r\n');
    server.send(conn, 'get a%b~/\r\n');
    const now = server.core.items.now + server.core.items.processStarted;
    expect(server.send(conn, 'lru_crawler metadump all\r\n')).toBe(
      `key=a%25b~%2F exp=-1 la=${now} cas=1 fetch=yes cls=1 size=69\nEND\r\n`,
    );
  });
});

describe('fetches in COLD', () => {
  it('wait for the maintainer with a reference, and take the item to WARM', () => {
    const server = new InProcess();
    const conn = server.open();
    fill(server, conn, 100);
    server.advance(3);
    server.settle();
    const before = parseStats(server.send(conn, 'stats items\r\n'));
    expect(before['items:6:number_cold']).toBe('100');
    server.send(conn, 'get key:5\r\nget key:5\r\nget key:5\r\n');
    server.send(conn, 'set n 0 0 2\r\n10\r\n');
    server.core.verify();
    expect(parseStats(server.send(conn, 'stats items\r\n'))['items:6:number_warm']).toBe('0');
    server.settle();
    expect(parseStats(server.send(conn, 'stats items\r\n'))).toMatchObject({
      'items:6:number_warm': '1',
      'items:6:number_cold': '99',
      'items:6:moves_to_warm': '1',
    });
    server.core.verify();
  });
});
