import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseMemcachedOptions } from '../../engines/servers/memcached-options.ts';
import { InProcess, parseStats } from './in-process.ts';

interface Model {
  tables: Record<string, { args: string; classes: [number, number, number][] }>;
  items: {
    cas: boolean;
    key_len: number;
    value_len: number;
    flags: number;
    reply: string;
    cls: number | null;
    size: number | null;
  }[];
  settings: Record<string, unknown>;
  small: { slabs: Record<string, number>; items: Record<string, number>; stats: Record<string, unknown> };
}

// Measured on the real server; the folder is laid beside the project, and the tests do without where it is not.
const path = new URL('../../../shared/data/memcached-slabs/model.json', import.meta.url);
const model: Model | null = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : null;
const suite = model === null ? describe.skip : describe;

suite(`slabs as measured on memcached 1.6.18${model === null ? ' (skipped: the measured data are not here)' : ''}`, () => {
  for (const [name, table] of Object.entries(model?.tables ?? {})) {
    it(`lays out the classes of "${name}"`, () => {
      const { settings } = parseMemcachedOptions(table.args.split(' '));
      const { slabs } = new InProcess(settings).core.items;
      const classes = [];
      for (let id = 1; id <= slabs.largestClass; id++) classes.push([id, slabs.chunkSize[id], slabs.chunksPerPage[id]]);
      expect(classes).toEqual(table.classes);
    });
  }

  for (const cas of [true, false]) {
    it(`gives every measured item its class and size (CAS ${cas ? 'on' : 'off'})`, () => {
      const server = new InProcess({ useCas: cas });
      const conn = server.open();
      for (const item of model!.items) {
        if (item.cas !== cas) continue;
        const key = 'k'.padEnd(item.key_len, 'x');
        const value = 'a'.repeat(item.value_len);
        const reply = server.send(conn, `set ${key} ${item.flags} 0 ${item.value_len}\r\n${value}\r\n`);
        expect(reply).toBe(`${item.reply}\r\n`);
        const known = server.send(conn, `me ${key}\r\n`);
        expect([Number(/cls=(\d+)/.exec(known)?.[1]), Number(/size=(\d+)/.exec(known)?.[1])]).toEqual([
          item.cls,
          item.size,
        ]);
        expect(server.send(conn, `get ${key}\r\n`)).toBe(
          `VALUE ${key} ${item.flags} ${item.value_len}\r\n${value}\r\nEND\r\n`,
        );
        if (item.value_len > 100_000) server.send(conn, `delete ${key}\r\n`);
      }
      server.core.verify();
      expect(server.released).toBe(server.lent);
    });
  }

  it('reports slabs, items and totals of a small data set as the real server does', () => {
    const server = new InProcess();
    // The maintainer's first crawl comes at the start, when there is nothing.
    server.settle();
    const conn = server.open();
    for (const size of [10, 50, 100, 150, 300, 500, 1000, 2000, 5000, 20000]) {
      const value = 'a'.repeat(size);
      for (let i = 0; i < 1000; i++) {
        const key = `key:${String(size).padStart(5, '0')}:${String(i).padStart(6, '0')}`;
        expect(server.send(conn, `set ${key} 0 0 ${size}\r\n${value}\r\n`)).toBe('STORED\r\n');
      }
    }
    server.advance(2);
    server.settle();
    const numbers = (command: string): Record<string, number> => {
      const stats = parseStats(server.send(conn, command));
      return Object.fromEntries(Object.entries(stats).map(([name, value]) => [name, Number(value)]));
    };
    expect(numbers('stats slabs\r\n')).toEqual(model!.small.slabs);
    const items = numbers('stats items\r\n');
    // Ages depend on when exactly the real server was asked.
    for (const name of Object.keys(items)) if (name.endsWith(':age')) items[name] = model!.small.items[name]!;
    expect(items).toEqual(model!.small.items);
    const stats = numbers('stats\r\n');
    for (const name of [
      'bytes',
      'curr_items',
      'total_items',
      'cmd_set',
      'hash_bytes',
      'hash_power_level',
      'moves_to_cold',
    ]) {
      expect([name, stats[name]]).toEqual([name, model!.small.stats[name]]);
    }
    server.core.verify();
  });

  it('knows the settings by the names and values of the real server', () => {
    const server = new InProcess({ ...parseMemcachedOptions(['-p', '17611', '-U', '0', '-vv']).settings });
    const stats = parseStats(server.send(server.open(), 'stats settings\r\n'));
    expect(Object.keys(stats)).toEqual(Object.keys(model!.settings));
    for (const [name, value] of Object.entries(model!.settings)) {
      if (name === 'inter') continue;
      const mine = /^[\d.]+$/.test(stats[name]!) ? Number(stats[name]) : stats[name];
      expect([name, mine]).toEqual([name, value]);
    }
  });
});

describe('slab pages', () => {
  it('give a class its first page even beyond the limit, and no second one', () => {
    const server = new InProcess({ maxBytes: 2 * 1024 * 1024, evictToFree: false });
    const conn = server.open();
    for (const size of [10, 1000, 5000, 20_000, 100_000]) {
      expect(server.send(conn, `set a${size} 0 0 ${size}\r\n${'x'.repeat(size)}\r\n`)).toBe('STORED\r\n');
    }
    let reply = '';
    let stored = 0;
    for (; stored < 20_000 && reply !== 'SERVER_ERROR out of memory storing object\r\n'; stored++) {
      reply = server.send(conn, `set b${stored} 0 0 10\r\n0123456789\r\n`);
    }
    expect(stored).toBe(Math.floor(1_048_576 / 96));
    server.core.verify();
  });

  it('are reused by eviction from the tail', () => {
    const server = new InProcess({ maxBytes: 2 * 1024 * 1024 });
    const conn = server.open();
    const value = 'v'.repeat(1000);
    for (let i = 0; i < 10_000; i++) expect(server.send(conn, `set k${i} 0 0 1000\r\n${value}\r\n`)).toBe('STORED\r\n');
    const stats = parseStats(server.send(conn, 'stats\r\n'));
    expect(Number(stats['curr_items']) + Number(stats['evictions'])).toBe(10_000);
    expect(server.send(conn, 'get k9999\r\n')).toContain('VALUE');
    expect(server.send(conn, 'get k0\r\n')).toBe('END\r\n');
    server.core.verify();
  });

  it('grow the hash table in the background without losing an item', () => {
    const server = new InProcess({ hashPowerInit: 12 });
    const conn = server.open();
    for (let i = 0; i < 20_000; i++) {
      server.send(conn, `set k${i} 0 0 1\r\nx\r\n`);
      if (i % 100 === 0) server.core.background.runAll();
      if (i % 1000 === 0) server.core.verify();
    }
    for (let i = 0; i < 1_000; i++) server.core.background.runAll();
    expect(parseStats(server.send(conn, 'stats\r\n'))['hash_power_level']).toBe('14');
    for (let i = 0; i < 20_000; i++) expect(server.send(conn, `get k${i}\r\n`)).toContain('VALUE');
    server.core.verify();
  });
});
