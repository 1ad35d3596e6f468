/** The hash table while it grows: commands between any two slices, and a growth that is not wanted. */
import { describe, expect, it } from 'vitest';
import { InProcess, parseStats } from './in-process.ts';

function tableOf(server: InProcess, conn: number): [power: number, bytes: number, expanding: number] {
  const stats = parseStats(server.send(conn, 'stats\r\n'));
  return [Number(stats['hash_power_level']), Number(stats['hash_bytes']), Number(stats['hash_is_expanding'])];
}

function fill(server: InProcess, conn: number, from: number, to: number): void {
  // In small batches: a core serves a few commands a turn, and the rest is handed over again each time.
  for (let i = from; i < to; i += 100) {
    let text = '';
    for (let j = i; j < Math.min(to, i + 100); j++) text += `set key:${j} 0 0 1 noreply\r\nx\r\n`;
    server.send(conn, text);
  }
}

describe('the hash table', () => {
  for (const hashAlgorithm of ['murmur3', 'jenkins', 'xxh3'] as const) {
    it(`finds, stores and deletes while buckets move (${hashAlgorithm})`, () => {
      const server = new InProcess({ hashPowerInit: 13, hashAlgorithm });
      const conn = server.open();
      const model = new Set<number>();
      const COUNT = 20_000;
      fill(server, conn, 0, COUNT);
      for (let i = 0; i < COUNT; i++) model.add(i);
      let grew = 0;
      let state = 7;
      for (let slice = 0; slice < 60; slice++) {
        server.core.background.runAll();
        grew += tableOf(server, conn)[2];
        for (let i = 0; i < 200; i++) {
          state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
          const key = (state >>> 8) % (COUNT * 2);
          if (state % 3 === 0) {
            expect(server.send(conn, `delete key:${key}\r\n`)).toBe(
              model.delete(key) ? 'DELETED\r\n' : 'NOT_FOUND\r\n',
            );
          } else if (state % 3 === 1) {
            expect(server.send(conn, `get key:${key}\r\n`).startsWith('VALUE')).toBe(model.has(key));
          } else {
            server.send(conn, `set key:${key} 0 0 1\r\nx\r\n`);
            model.add(key);
          }
        }
        server.core.verify();
      }
      expect(grew).toBeGreaterThan(5);
      expect(tableOf(server, conn)).toEqual([14, 2 ** 14 * 8, 0]);
    });
  }

  it('counts both tables while it grows', () => {
    const server = new InProcess({ hashPowerInit: 14 });
    const conn = server.open();
    fill(server, conn, 0, 2 ** 14 * 1.5);
    server.settle();
    expect(tableOf(server, conn)).toEqual([14, 2 ** 14 * 8, 0]);
    fill(server, conn, 2 ** 14 * 1.5, 2 ** 14 * 1.5 + 1);
    server.core.background.runAll();
    expect(tableOf(server, conn)).toEqual([15, (2 ** 15 + 2 ** 14) * 8, 1]);
    for (let i = 0; i < 20; i++) server.core.background.runAll();
    expect(tableOf(server, conn)).toEqual([15, 2 ** 15 * 8, 0]);
    server.core.verify();
  });

  it('stays as it is with no_hashexpand', () => {
    const server = new InProcess({ hashPowerInit: 12, hashExpand: false });
    const conn = server.open();
    fill(server, conn, 0, 20_000);
    server.settle();
    expect(tableOf(server, conn)).toEqual([12, 2 ** 12 * 8, 0]);
    server.core.verify();
  });
});
