/** Meta commands of many clients at the same keys, with four threads at work: what only one may win, only one wins, and nothing is lost. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RawConnection } from './real-memcached.ts';
import { ServedMemcached } from './support/served-memcached.ts';

const CLIENTS = 12;
const ROUNDS = 40;
const KEYS = 25;
const MARK = Buffer.from('MN\r\n');
const TIMEOUT_MS = 60_000;

describe('Meta commands over four threads', () => {
  let server: ServedMemcached;
  const clients: RawConnection[] = [];
  beforeAll(async () => {
    server = await ServedMemcached.start(['-t', '4', '-m', '64', '--verify-on-exit']);
    for (let i = 0; i < CLIENTS; i++) clients.push(await server.connect());
  }, TIMEOUT_MS);
  afterAll(() => server?.stop());

  /** Sends every client's commands at once. @returns each client's replies, one a line */
  async function all(commands: (client: number) => string): Promise<string[][]> {
    const replies = await Promise.all(clients.map((client, i) => client.ask(`${commands(i)}mn\r\n`, MARK, TIMEOUT_MS)));
    return replies.map((reply) => reply.toString('latin1').split('\r\n').slice(0, -2));
  }

  const keys = (line: (key: string) => string): string =>
    Array.from({ length: KEYS }, (_, i) => line(`key:${i}`)).join('');

  /** How many replies at each key, over all clients, match. */
  function count(replies: string[][], pattern: RegExp): number[] {
    return Array.from({ length: KEYS }, (_, i) => replies.filter((lines) => pattern.test(lines[i]!)).length);
  }

  const once = new Array<number>(KEYS).fill(1);

  it('let exactly one client fill what is missing, and exactly one renew what is stale', {
    timeout: TIMEOUT_MS,
  }, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      await all((client) => (client === 0 ? keys((key) => `md ${key} q\r\n`) : ''));
      expect(count(await all(() => keys((key) => `mg ${key} N60\r\n`)), / W$/)).toEqual(once);
      await all((client) => (client === 0 ? keys((key) => `md ${key} I\r\n`) : ''));
      const stale = await all(() => keys((key) => `mg ${key} s\r\n`));
      expect(count(stale, / W$/)).toEqual(once);
      expect(count(stale, / X/)).toEqual(once.map(() => CLIENTS));
    }
  });

  it('let exactly one client store with a CAS id that all have seen', { timeout: TIMEOUT_MS }, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const [seen] = await all((client) => (client === 0 ? keys((key) => `ms ${key} 5 c\r\nfirst\r\n`) : ''));
      const stored = await all((client) =>
        Array.from({ length: KEYS }, (_, i) => {
          const cas = / c(\d+)/.exec(seen![i]!)![1]!;
          const value = `client ${client}`.padEnd(40 + client * 9, '.');
          return `ms key:${i} ${value.length} C${cas}\r\n${value}\r\n`;
        }).join(''),
      );
      expect(count(stored, /^HD/)).toEqual(once);
      expect(count(stored, /^EX/)).toEqual(once.map(() => CLIENTS - 1));
      // Who stored is who is read.
      const [read] = await all((client) => (client === 0 ? keys((key) => `mg ${key} v\r\n`) : ''));
      for (let i = 0; i < KEYS; i++) {
        const winner = stored.findIndex((lines) => lines[i] === 'HD');
        expect(read![2 * i + 1]!.replace(/\.+$/, '')).toBe(`client ${winner}`);
      }
    }
  });

  it('lose no count, whether the number fits its item or not', { timeout: TIMEOUT_MS }, async () => {
    await all((client) => (client === 0 ? keys((key) => `ms ${key} 1\r\n0\r\n`) : ''));
    for (let round = 0; round < ROUNDS; round++) {
      await all((client) => keys((key) => `ma ${key} D${7 + client}\r\nmg ${key} h\r\nma ${key} MD D7 q\r\n`));
    }
    const perRound = Array.from({ length: CLIENTS }, (_, client) => client).reduce((sum, client) => sum + client, 0);
    const [read] = await all((client) => (client === 0 ? keys((key) => `ma ${key} D0 v\r\n`) : ''));
    for (let i = 0; i < KEYS; i++) expect(read![2 * i + 1]).toBe(String(ROUNDS * perRound));
  });

  it('append what every client appends, in whole pieces', { timeout: TIMEOUT_MS }, async () => {
    await all((client) => (client === 0 ? keys((key) => `ms ${key} 0\r\n\r\n`) : ''));
    for (let round = 0; round < 10; round++) {
      await all((client) =>
        keys((key) => `ms ${key} 6 M${round % 2 === 0 ? 'A' : 'P'} q\r\n<c${String(client).padStart(3, '0')}>\r\n`),
      );
    }
    const [read] = await all((client) => (client === 0 ? keys((key) => `mg ${key} v s\r\n`) : ''));
    for (let i = 0; i < KEYS; i++) {
      const pieces = read![2 * i + 1]!.match(/<c\d{3}>/g)!;
      expect(pieces.join('')).toBe(read![2 * i + 1]);
      for (let client = 0; client < CLIENTS; client++) {
        expect(pieces.filter((piece) => piece === `<c${String(client).padStart(3, '0')}>`)).toHaveLength(10);
      }
    }
  });

  it('leave memory exact', { timeout: TIMEOUT_MS }, async () => {
    expect(await server.end()).toMatch(/verify: all is right/);
  });
});
