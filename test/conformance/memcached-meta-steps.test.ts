import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Random } from '../../engines/ports.ts';
import { parseMemcachedOptions } from '../../engines/servers/memcached-options.ts';
import { InProcess, parseStats } from '../memcached/in-process.ts';
import { type RawConnection, RealMemcached } from '../memcached/real-memcached.ts';
import { describeReal } from '../support/real.ts';
import { seededRandom } from '../support/seed.ts';

const CONNECTIONS = 4;
const STEPS_A_SECOND = 400;
const SECONDS = 7;
const KEYS = 12;
const MARK = Buffer.from('MN\r\n');
const SETTINGS = ['-m', '64', '-o', 'no_lru_maintainer'];

/** Lives and recache times that are over within the test. */
const TIMES = [0, 1, 1, 2, 2, 3, 4, 5, 6, -1];

class StepMaker {
  readonly #random: Random;
  /** CAS ids that replies have shown. */
  readonly seen: string[] = ['1'];

  constructor(random: Random) {
    this.#random = random;
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.nextBelow(from.length)]!;
  }

  /** A flag with a time, or none. */
  #timed(letter: string, oneIn: number): string {
    return this.#random.nextBelow(oneIn) === 0 ? ` ${letter}${this.#pick(TIMES)}` : '';
  }

  #cas(oneIn: number): string {
    if (this.#random.nextBelow(oneIn) !== 0) return '';
    return ` C${this.#pick(this.seen.slice(-40))}${this.#pick(['', ' I'])}`;
  }

  next(): string {
    const key = `k${this.#random.nextBelow(KEYS)}`;
    const value = String(this.#random.nextBelow(1_000));
    const answers = this.#pick(['', ' c', ' t', ' s h', ' c t l h', ' k O1', ' u', ' f s', ' t l h u']);
    const kind = this.#random.nextBelow(12);
    if (kind < 5) {
      return `mg ${key}${this.#pick([' v', ' v', ''])}${this.#timed('N', 3)}${this.#timed('R', 3)}${this.#timed('T', 8)}${answers}\r\n`;
    }
    if (kind < 7) {
      const mode = this.#pick(['', '', '', ' MA', ' ME', ' MR', ' MP']);
      return `ms ${key} ${value.length}${mode}${this.#timed('T', 2)}${this.#cas(2)}${this.#pick(['', ' c', ' F7'])}\r\n${value}\r\n`;
    }
    if (kind < 9) {
      return `md ${key}${this.#pick(['', ' I', ' I', ' I'])}${this.#timed('T', 3)}${this.#pick(['', '', ` C${this.#pick(this.seen.slice(-40))}`])}\r\n`;
    }
    if (kind === 9) {
      return `ma ${key}${this.#timed('N', 2)}${this.#timed('T', 3)} ${this.#pick(['v', 't', 'c t', 'J5 v', 'MD D3 v', 'D900 v t c'])}\r\n`;
    }
    return this.#pick([
      `me ${key}\r\n`,
      `get ${key}\r\n`,
      `gat ${this.#pick(TIMES)} ${key}\r\n`,
      `touch ${key} ${this.#pick(TIMES)}\r\n`,
      `set ${key} 0 ${this.#pick(TIMES)} ${value.length}\r\n${value}\r\n`,
      `add ${key} 1 ${this.#pick(TIMES)} ${value.length}\r\n${value}\r\n`,
      `append ${key} 0 0 ${value.length}\r\n${value}\r\n`,
      `incr ${key} 5\r\n`,
      `delete ${key}\r\n`,
    ]);
  }
}

describeReal(['memcached'], 'clients that share keys', () => {
  let real: RealMemcached;
  const sockets: RawConnection[] = [];
  beforeAll(async () => {
    real = await RealMemcached.start(SETTINGS);
    for (let i = 0; i < CONNECTIONS; i++) sockets.push(await real.connect());
  });
  afterAll(() => real?.stop());

  async function uptime(): Promise<number> {
    const stats = await sockets[0]!.ask('stats\r\n', Buffer.from('END\r\n'));
    return Number(parseStats(stats.toString('latin1'))['uptime']);
  }

  it('see the same stale, won, expired and recached items as at the real server, second by second', {
    timeout: 60_000,
  }, async () => {
    const server = new InProcess(parseMemcachedOptions(SETTINGS).settings, 256 * 1024 * 1024, Date.now());
    const conns = sockets.map(() => server.open());
    const random = seededRandom('meta commands by the second');
    const maker = new StepMaker(random);
    const met = new Set<string>();
    let last = await uptime();
    for (let second = 0; second < SECONDS; second++) {
      // Steps are made right after the real server's clock has advanced, so that both are in the same second.
      let now = last;
      while (now === last) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        now = await uptime();
      }
      last = now;
      server.core.items.now = now + 60;
      for (let step = 0; step < STEPS_A_SECOND; step++) {
        const who = random.nextBelow(CONNECTIONS);
        const command = maker.next();
        const theirs = (await sockets[who]!.ask(`${command}mn\r\n`, MARK)).toString('latin1');
        const mine = server.send(conns[who]!, `${command}mn\r\n`);
        // On a machine too busy to finish within the second, one side may have met an expiry before the other: no more can be said then.
        if (mine !== theirs && (await uptime()) !== now) return;
        expect(mine, `second ${second}, step ${step}: ${command}`).toBe(theirs);
        for (const match of theirs.matchAll(/ c(\d+)(?=[ \r])/g)) maker.seen.push(match[1]!);
        for (const match of theirs.matchAll(/ [WXZ](?=[ \r])|^(?:HD|VA|EN|EX|NF|NS)/gm)) met.add(match[0].trim());
      }
    }
    server.core.verify();
    // The steps are of use only if they meet everything.
    expect([...met].sort()).toEqual(['EN', 'EX', 'HD', 'NF', 'NS', 'VA', 'W', 'X', 'Z']);
  });
});
