import { describe, expect, it } from 'vitest';
import type { Settings } from '../../engines/memcached/settings.ts';
import type { SlabReport } from '../../engines/memcached/slab-verify.ts';
import { InProcess, parseStats } from './in-process.ts';

const MEBIBYTE = 1024 * 1024;

class Server extends InProcess {
  readonly conn: number;

  constructor(settings: Partial<Settings> = {}) {
    super({ slabAutomove: 0, ...settings });
    this.conn = this.open();
  }

  ask(line: string): string {
    return this.send(this.conn, `${line}\r\n`).trimEnd();
  }

  set(key: string, bytes: number, fill = 'x'): string {
    return this.ask(`set ${key} 0 0 ${bytes}\r\n${fill.repeat(bytes)}`);
  }

  value(key: string): string | null {
    return /^VALUE [^\r]*\r\n([^\r]*)/.exec(this.ask(`get ${key}`))?.[1] ?? null;
  }

  stat(name: string): number {
    return Number(parseStats(this.send(this.conn, 'stats\r\n'))[name]);
  }

  /** Pages by class. */
  pages(): Record<string, number> {
    const pages: Record<string, number> = {};
    for (const [name, value] of Object.entries(parseStats(this.send(this.conn, 'stats slabs\r\n')))) {
      if (name.endsWith(':total_pages')) pages[name.split(':')[0]!] = Number(value);
    }
    return pages;
  }

  verify(): SlabReport {
    return this.core.verify();
  }
}

describe('slabs reassign', () => {
  it('moves the oldest page and rescues its items, with the counts of the real server', () => {
    const server = new Server();
    for (let i = 0; i < 20_000; i++) server.set(`k${i}`, 80);
    for (let i = 0; i < 10_000; i++) server.ask(`delete k${i}`);
    expect(server.ask('slabs reassign 3 10')).toBe('OK');
    expect(server.ask('slabs reassign 3 10')).toBe('BUSY currently processing reassign request');
    server.settle();
    expect(server.pages()).toEqual({ 3: 2, 10: 1 });
    expect(server.stat('slab_reassign_rescues')).toBe(0);
    expect(server.verify().floatingChunks).toBe(0);
    expect(server.ask('slabs reassign 3 0')).toBe('OK');
    server.settle();
    const found = ['rescues', 'chunk_rescues', 'evictions_nomem', 'inline_reclaim', 'busy_items', 'busy_deletes'].map(
      (name) => server.stat(`slab_reassign_${name}`),
    );
    // Measured: two thirds of the free chunks lie in the page that leaves.
    expect(found).toEqual([694, 0, 3102, 3102, 0, 0]);
    expect(server.stat('slabs_moved')).toBe(2);
    expect(server.stat('slab_global_page_pool')).toBe(1);
    expect(server.stat('curr_items')).toBe(6898);
    expect(server.stat('total_items')).toBe(20_694);
    expect(server.pages()).toEqual({ 3: 1, 10: 1 });
    expect(server.verify().linkedChunks).toBe(6898);
    let alive = 0;
    for (let i = 10_000; i < 20_000; i++) if (server.value(`k${i}`) === 'x'.repeat(80)) alive++;
    expect(alive).toBe(6898);
    expect(server.ask('stats reset')).toBe('RESET');
    expect(server.stat('slabs_moved')).toBe(0);
  });

  it('gives a rescued item a new CAS id, as the original does', () => {
    const server = new Server();
    for (let i = 0; i < 20_000; i++) server.set(`k${i}`, 80);
    for (let i = 1; i < 7_000; i++) server.ask(`delete k${i}`);
    const casOf = (): string => /VALUE k0 0 80 (\d+)/.exec(server.ask('gets k0'))![1]!;
    const before = casOf();
    server.ask('slabs reassign 3 1');
    server.settle();
    expect(server.stat('slab_reassign_rescues')).toBe(1);
    expect(casOf()).not.toBe(before);
    server.verify();
  });

  it('answers as the original what it cannot do', () => {
    const server = new Server();
    const noSpare = 'NOSPARE source class has no spare pages';
    const badClass = 'BADCLASS invalid src or dst class id';
    const same = 'SAME src and dst class are identical';
    const wanted: Record<string, string> = {
      '1 2': noSpare,
      '0 1': noSpare,
      '39 1': noSpare,
      '-1 5': badClass,
      '99 1': badClass,
      '1 99': badClass,
      '-2 1': badClass,
      '1 -1': badClass,
      '40 1': badClass,
      '-1 -1': same,
      '99 99': same,
      'x 1': 'CLIENT_ERROR bad command line format',
      '1': 'ERROR',
      '1 2 noreply': 'ERROR',
    };
    for (const [what, reply] of Object.entries(wanted))
      expect([what, server.ask(`slabs reassign ${what}`)]).toEqual([what, reply]);
    const without = new Server({ slabReassign: false });
    expect(without.ask('slabs reassign 1 2')).toBe('CLIENT_ERROR slab reassignment disabled');
  });

  it('takes any class that has a page to spare, in turns', () => {
    const server = new Server();
    for (let i = 0; i < 25_000; i++) server.set(`a${i}`, 10);
    for (let i = 0; i < 4_000; i++) server.set(`b${i}`, 1_000);
    const before = server.pages();
    for (let i = 0; i < 4; i++) {
      expect(server.ask('slabs reassign -1 20')).toBe('OK');
      server.settle();
    }
    const after = server.pages();
    expect(after['20']).toBe(4);
    expect([before['1']! - after['1']!, before['12']! - after['12']!]).toEqual([2, 2]);
    server.verify();
  });

  it('moves pages under chunked items: headers and chunks keep their places', () => {
    const server = new Server({ slabChunkSizeMax: 16_384, maxBytes: 32 * MEBIBYTE });
    const size = (i: number): number => 40_000 + i * 97;
    for (let i = 0; i < 200; i++) server.set(`big${i}`, size(i), String.fromCharCode(97 + (i % 26)));
    for (let i = 0; i < 200; i += 2) server.ask(`delete big${i}`);
    const report = server.verify();
    const classes = Object.entries(server.pages()).filter(([, pages]) => pages > 1);
    expect(classes.length).toBeGreaterThan(0);
    for (const [id, pages] of classes) {
      for (let i = 1; i < pages / 2; i++) {
        expect(server.ask(`slabs reassign ${id} 0`)).toBe('OK');
        server.settle();
        server.verify();
      }
    }
    expect(server.stat('slab_reassign_chunk_rescues')).toBeGreaterThan(10);
    expect(server.verify().linkedChunks).toBeLessThanOrEqual(report.linkedChunks);
    let alive = 0;
    for (let i = 0; i < 200; i++) {
      const value = server.value(`big${i}`);
      if (value === null) continue;
      alive++;
      expect(value === String.fromCharCode(97 + (i % 26)).repeat(size(i))).toBe(true);
    }
    expect(alive).toBeGreaterThan(50);
  });

  it('moves a page full of the headers of chunked items', () => {
    const server = new Server({ slabChunkSizeMax: 1_024, itemSizeMax: 1_048_576, maxBytes: 64 * MEBIBYTE });
    // Headers of keys of 1 to 3 bytes lie in class 2, the last small piece of each value in class 1.
    for (let i = 0; i < 9_000; i++) server.set(`k${i}`, 1_100, 'v');
    for (let i = 0; i < 9_000; i += 2) server.ask(`delete k${i}`);
    const id = Object.entries(server.pages()).find(([, pages]) => pages > 1)![0];
    const before = server.stat('curr_items');
    server.ask(`slabs reassign ${id} 0`);
    server.settle();
    const rescued = server.stat('slab_reassign_rescues') + server.stat('slab_reassign_chunk_rescues');
    expect(rescued).toBeGreaterThan(0);
    server.verify();
    expect(server.stat('curr_items')).toBeGreaterThan(before / 2);
    for (let i = 1; i < 9_000; i += 2) {
      const value = server.value(`k${i}`);
      if (value !== null && value !== 'v'.repeat(1_100)) throw new Error(`k${i} is damaged`);
    }
  });

  it('waits for a value that is on its way to a client', () => {
    const server = new Server();
    for (let i = 0; i < 130; i++) server.set(`k${i}`, 20_000);
    const slow = server.open();
    server.stall(slow);
    server.send(slow, 'get k0\r\n');
    const [id] = Object.entries(server.pages()).find(([, pages]) => pages > 1)!;
    server.ask(`slabs reassign ${id} 1`);
    for (let i = 0; i < 400; i++) server.core.background.runAll();
    expect(server.stat('slab_reassign_running')).toBe(1);
    expect(server.stat('slab_reassign_busy_items')).toBeGreaterThan(10);
    expect(server.verify().floatingChunks).toBe(0);
    server.drain(slow);
    server.settle();
    expect(server.stat('slab_reassign_running')).toBe(0);
    expect(server.stat('slabs_moved')).toBe(1);
    expect(server.stat('slab_reassign_busy_deletes')).toBe(0);
    server.verify();
  });

  it('unlinks a held item after a thousand rounds, and its holder frees it', () => {
    const server = new Server();
    for (let i = 0; i < 130; i++) server.set(`k${i}`, 20_000);
    const slow = server.open();
    server.stall(slow);
    server.send(slow, 'get k0\r\n');
    const [id] = Object.entries(server.pages()).find(([, pages]) => pages > 1)!;
    server.ask(`slabs reassign ${id} 1`);
    for (let i = 0; i < 3_000; i++) server.core.background.runAll();
    expect(server.value('k0') === null).toBe(true);
    expect(server.verify().floatingChunks).toBe(1);
    expect(server.stat('slab_reassign_running')).toBe(1);
    server.drain(slow);
    server.settle();
    expect(server.stat('slabs_moved')).toBe(1);
    expect(server.stat('slab_reassign_busy_deletes')).toBe(1);
    expect(server.verify().floatingChunks).toBe(0);
  });

  it('waits for a value that is being read in', () => {
    const server = new Server();
    const sender = server.open();
    server.send(sender, 'set slow 0 0 20000\r\nxx');
    for (let i = 0; i < 60; i++) server.set(`k${i}`, 20_000);
    for (let i = 0; i < 30; i++) server.ask(`delete k${i}`);
    const [id] = Object.entries(server.pages()).find(([, pages]) => pages > 1)!;
    server.ask(`slabs reassign ${id} 1`);
    for (let i = 0; i < 3_000; i++) server.core.background.runAll();
    expect(server.stat('slab_reassign_running')).toBe(1);
    expect(server.verify().floatingChunks).toBe(1);
    expect(server.send(sender, `${'x'.repeat(19_998)}\r\n`)).toBe('STORED\r\n');
    server.settle();
    expect(server.stat('slabs_moved')).toBe(1);
    expect(server.value('slow')?.length).toBe(20_000);
    server.verify();
  });
});

describe('cache_memlimit', () => {
  it('keeps the pages of classes, and gives back those that reach the pool, as the real server', () => {
    const server = new Server({ maxBytes: 32 * MEBIBYTE });
    for (let i = 0; i < 16_000; i++) server.set(`k${i}`, 2_000);
    for (let i = 0; i < 100; i++) server.set(`x${i}`, 100);
    const malloced = (): number =>
      Number(parseStats(server.send(server.conn, 'stats slabs\r\n'))['total_malloced']) / MEBIBYTE;
    const reassign = (what: string): void => {
      expect([what, server.ask(`slabs reassign ${what}`)]).toEqual([what, 'OK']);
      server.settle();
      server.verify();
    };
    expect(malloced()).toBe(33);
    expect(server.ask('cache_memlimit 16')).toBe('OK');
    expect(malloced()).toBe(33);
    reassign('15 0');
    expect(malloced()).toBe(32);
    reassign('-1 0');
    expect(malloced()).toBe(31);
    reassign('15 3');
    reassign('15 20');
    expect(malloced()).toBe(31);
    expect(server.stat('slab_global_page_pool')).toBe(0);
    expect(server.ask('cache_memlimit 64')).toBe('OK');
    for (let i = 0; i < 3; i++) reassign('15 0');
    expect(server.stat('slab_global_page_pool')).toBe(3);
    reassign('0 21');
    expect(server.stat('slab_global_page_pool')).toBe(2);
    for (let i = 0; i < 1_000; i++) server.set(`y${i}`, 300);
    expect(server.stat('slab_global_page_pool')).toBe(1);
    expect(server.ask('cache_memlimit 16')).toBe('OK');
    expect(server.stat('slab_global_page_pool')).toBe(0);
    expect(malloced()).toBe(30);
    for (let i = 0; i < 4_000; i++) server.set(`z${i}`, 500);
    expect(malloced()).toBe(31);
    expect(server.pages()).toEqual({ 3: 1, 4: 1, 7: 1, 9: 1, 15: 25, 20: 1, 21: 1 });
    // Pages that were given back are taken first when there is room again.
    expect(server.ask('cache_memlimit 64')).toBe('OK');
    const free = (server.memory as unknown as { freePages: number }).freePages;
    for (let i = 0; i < 3_000; i++) server.set(`w${i}`, 500);
    expect(malloced()).toBe(33);
    expect((server.memory as unknown as { freePages: number }).freePages).toBe(free);
    server.verify();
  });

  it('changes nothing where all memory was taken at the start', () => {
    const server = new Server({ preallocate: true });
    const stats = parseStats(server.send(server.conn, 'stats slabs\r\n'));
    expect([stats['total_malloced'], stats['active_slabs']]).toEqual(['40894464', '39']);
    expect(server.ask('cache_memlimit 128')).toBe('MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust');
    expect(server.stat('limit_maxbytes')).toBe(64 * MEBIBYTE);
  });
});

describe('slabs automove', () => {
  it('2 takes a page for every class that evicts, from whoever has one', () => {
    const server = new Server({ maxBytes: 16 * MEBIBYTE, slabAutomove: 2 });
    for (let i = 0; i < 70_000; i++) server.set(`k${i}`, 150);
    for (let i = 0; i < 20_000; i++) {
      server.set(`b${i}`, 3_000);
      if (i % 50 === 0) server.settle();
    }
    expect(server.pages()['5']).toBe(1);
    expect(server.pages()['17']).toBe(16);
    expect(server.stat('slabs_moved')).toBe(15);
    server.verify();
  });

  it('moves nothing where pages may not move', () => {
    const server = new Server({
      maxBytes: 8 * MEBIBYTE,
      slabAutomove: 2,
      slabReassign: false,
      slabChunkSizeMax: MEBIBYTE,
    });
    for (let i = 0; i < 40_000; i++) server.set(`k${i}`, 150);
    const before = server.pages();
    for (let i = 0; i < 500; i++) server.set(`b${i}`, 3_000);
    server.settle();
    expect(server.pages()).toEqual({ ...before, 17: 1 });
    server.verify();
  });

  it('1 lets a class that stays half empty give its pages to the pool, after a window without a shortage', () => {
    const server = new Server({ slabAutomove: 1 });
    for (let i = 0; i < 15_000; i++) server.set(`k${i}`, 2_000);
    for (let i = 0; i < 14_990; i++) server.ask(`delete k${i}`);
    for (let second = 0; second < 28; second++) {
      server.advance(1);
      server.settle();
    }
    expect(server.stat('slabs_moved')).toBe(0);
    for (let second = 0; second < 4; second++) {
      server.advance(1);
      server.settle();
    }
    // Measured on the real server: 32 pages at once, two remain.
    expect(server.stat('slab_global_page_pool')).toBe(32);
    expect(server.pages()).toEqual({ 15: 2 });
    server.verify();
  });

  it('reads its arguments as the original', () => {
    const server = new Server();
    const wanted: Record<string, string> = {
      '': 'ERROR',
      '3': 'ERROR',
      x: 'CLIENT_ERROR bad command line format',
      ratio: 'ERROR',
      'ratio x': 'ERROR',
      'ratio 0.5': 'OK',
      'ratio 0.5 noreply x': 'OK',
      '1 2': 'OK',
      '1 2 3': 'OK',
      'ratio -3': 'OK',
      'ratio 1e400': 'ERROR',
      'ratio 0x10': 'OK',
      'ratio nan': 'OK',
      'ratio inf': 'OK',
      'ratio 0.5abc': 'ERROR',
      'ratio .5': 'OK',
    };
    for (const [what, reply] of Object.entries(wanted))
      expect([what, server.ask(`slabs automove ${what}`)]).toEqual([what, reply]);
    expect(parseStats(server.send(server.conn, 'stats settings\r\n'))['slab_automove_ratio']).toBe('0.50');
  });
});
