import { describe, expect, it } from 'vitest';
import { InProcess } from '../memcached/in-process.ts';
import { seededRandom } from '../support/seed.ts';

const STEPS = 20_000;

describe('the core against a Map', () => {
  for (const [name, settings] of [
    ['roomy', {}],
    ['evicting', { maxBytes: 3 * 1024 * 1024 }],
    ['flat', { lruMaintainer: false, lruSegmented: false, maxBytes: 3 * 1024 * 1024 }],
    ['without CAS', { useCas: false }],
  ] as const) {
    it(`never returns a wrong value and forgets only what it may (${name})`, { timeout: 60_000 }, () => {
      const random = seededRandom(`the core against a Map, ${name}`);
      const server = new InProcess(settings, 512 * 1024 * 1024);
      const conn = server.open();
      const model = new Map<string, { value: string; until: number }>();
      const mayEvict = name === 'evicting' || name === 'flat';
      let now = 0;
      for (let step = 0; step < STEPS; step++) {
        const key = `k${random.nextBelow(2_000)}`;
        const kind = random.nextBelow(10);
        if (kind < 5) {
          const size = random.nextBelow(300) === 0 ? random.nextBelow(900_000) : random.nextBelow(3_000);
          const value = String.fromCharCode(97 + (step % 26)).repeat(size);
          const ttl = random.nextBelow(4) === 0 ? 1 + random.nextBelow(20) : 0;
          expect(server.send(conn, `set ${key} 0 ${ttl} ${size}\r\n${value}\r\n`)).toBe('STORED\r\n');
          model.set(key, { value, until: ttl === 0 ? Number.POSITIVE_INFINITY : now + ttl });
        } else if (kind < 6) {
          const reply = server.send(conn, `delete ${key}\r\n`);
          const known = model.get(key);
          if (known === undefined || known.until <= now) expect(reply).toBe('NOT_FOUND\r\n');
          else if (!mayEvict) expect(reply).toBe('DELETED\r\n');
          model.delete(key);
        } else if (kind < 9) {
          const reply = server.send(conn, `get ${key}\r\n`);
          const known = model.get(key);
          if (known === undefined || known.until <= now) expect(reply).toBe('END\r\n');
          else {
            const expected = `VALUE ${key} 0 ${known.value.length}\r\n${known.value}\r\nEND\r\n`;
            if (!(mayEvict && reply === 'END\r\n')) expect(reply === expected).toBe(true);
          }
        } else {
          server.core.background.runAll();
          if (random.nextBelow(20) === 0) {
            server.advance(1);
            now++;
          }
        }
        if (step % 1_000 === 0) server.core.verify();
      }
      server.core.verify();
      expect(server.released).toBe(server.lent);
    });
  }
});
