/**
 * Slab memory beside the real server's: random commands that store, join, delete and fetch items of all sizes, move pages, change the memory
 * limit. Every reply must be the same, and now and then all figures of `stats slabs`, `stats items` and the mover's; without the LRU
 * maintainer, whose timing decides what is evicted.
 */
import { expect, it } from 'vitest';
import type { Random } from '../../engines/ports.ts';
import { parseMemcachedOptions } from '../../engines/servers/memcached-options.ts';
import { InProcess, parseStats } from '../memcached/in-process.ts';
import { type RawConnection, RealMemcached } from '../memcached/real-memcached.ts';
import { describeReal } from '../support/real.ts';
import { seededRandom, testScale } from '../support/seed.ts';

const ROUNDS = 40 * testScale;
/** All figures are compared after so many rounds. */
const ROUNDS_COMPARED = 5;
const COMMANDS_PER_ROUND = 150;
/** Commands are sent in pieces of about this size. */
const PIECE_BYTES = 500_000;
const MOVE_TIMEOUT_MS = 5_000;
const CONTEXT_COMMANDS = 8;
/** What depends on the second in which it is asked, or on what else runs in the original. */
const TIMED =
  /^(pid|uptime|time|version|libevent|pointer_size|rusage_.*|.*:age(_.*)?|lru_maintainer_juggles|bytes_(read|written)|.*evicted_time)$/;
const TOTALS = /^(slab.*|.*_misses)$/;

interface Profile {
  readonly title: string;
  readonly args: string;
  /** Value sizes, each varied by a tenth. */
  readonly sizes: readonly number[];
  readonly keys: number;
  /** A part of the rounds is enough where values are large. */
  readonly share?: number;
}

const profiles: readonly Profile[] = [
  { title: 'default classes', args: '-m 16', sizes: [10, 100, 400, 1_500, 6_000, 25_000], keys: 6_000 },
  {
    title: 'given classes',
    args: '-m 16 -o slab_sizes=120-250-600-1500-9000',
    sizes: [20, 150, 500, 1_200, 8_000, 60_000],
    keys: 6_000,
  },
  {
    title: 'small chunks',
    args: '-m 16 -o slab_chunk_max=16384',
    sizes: [50, 3_000, 14_000, 17_000, 40_000, 300_000],
    keys: 1_500,
  },
  { title: 'tiny chunks', args: '-m 16 -o slab_chunk_max=1024', sizes: [50, 700, 1_100, 2_500, 10_000], keys: 3_000 },
  {
    title: 'large items',
    args: '-m 64 -I 8m',
    sizes: [100, 100_000, 520_000, 530_000, 1_100_000, 3_000_000],
    keys: 60,
    share: 0.15,
  },
  {
    title: 'small items only',
    args: '-m 16 -I 16k -o slab_chunk_max=16384',
    sizes: [100, 5_000, 15_000, 16_200, 17_000],
    keys: 3_000,
  },
  {
    title: 'another factor and minimum',
    args: '-m 16 -f 1.08 -n 10',
    sizes: [1, 30, 90, 300, 2_000, 10_000],
    keys: 6_000,
  },
  { title: 'no evictions', args: '-m 10 -M', sizes: [10, 400, 1_500, 6_000, 25_000], keys: 6_000 },
  { title: 'all memory at the start', args: '-m 44 -L', sizes: [10, 400, 6_000, 25_000], keys: 9_000 },
  {
    title: 'no page mover',
    args: '-m 10 -o no_slab_reassign,slab_chunk_max=1048576',
    sizes: [10, 400, 6_000, 400_000, 900_000],
    keys: 4_000,
    share: 0.4,
  },
];

/** One command with its data. */
function command(random: Random, profile: Profile): string {
  const key = `key${random.nextBelow(profile.keys)}`;
  const dice = random.nextBelow(1_000);
  if (dice < 620) {
    const how = dice < 550 ? 'set' : dice < 570 ? 'add' : dice < 590 ? 'replace' : dice < 605 ? 'append' : 'prepend';
    const size = profile.sizes[random.nextBelow(profile.sizes.length)]!;
    const bytes = size + random.nextBelow(Math.ceil(size / 10));
    const flags = random.nextBelow(4) === 0 ? 7 : 0;
    return `${how} ${key} ${flags} 0 ${bytes}\r\n${String.fromCharCode(97 + random.nextBelow(26)).repeat(bytes)}\r\n`;
  }
  if (dice < 800) return `delete ${key}\r\n`;
  if (dice < 900) return `get ${key}\r\n`;
  if (dice < 960) return `incr ${key} ${random.nextBelow(1_000)}\r\n`;
  return `touch ${key} 0\r\n`;
}

/** One of the commands after which pages may be on their way. */
function move(random: Random, pages: readonly { id: number; count: number }[], profile: Profile): string {
  const rich = pages.filter(({ count }) => count > 1);
  const oneOf = (classes: typeof pages): number =>
    random.nextBelow(6) === 0 || classes.length === 0
      ? random.nextBelow(45) - 2
      : classes[random.nextBelow(classes.length)]!.id;
  const source = oneOf(rich);
  const destination = oneOf(pages);
  const dice = random.nextBelow(10);
  if (dice === 0 && !profile.args.includes('-L')) return `cache_memlimit ${8 + random.nextBelow(12)}\r\n`;
  if (dice === 1) return `slabs reassign ${source} 0\r\n`;
  if (dice === 2) return `slabs reassign 0 ${destination}\r\n`;
  if (dice === 3) return `slabs reassign -1 ${destination}\r\n`;
  return `slabs reassign ${source} ${destination}\r\n`;
}

const pick = (stats: Record<string, string>, wanted: RegExp | null): Record<string, string> =>
  Object.fromEntries(
    Object.entries(stats).filter(([name]) => !TIMED.test(name) && (wanted === null || wanted.test(name))),
  );

class Pair {
  readonly #engine: InProcess;
  readonly #conn: number;
  readonly #real: RawConnection;
  readonly #recent: string[] = [];

  constructor(engine: InProcess, real: RawConnection) {
    this.#engine = engine;
    this.#conn = engine.open();
    this.#real = real;
  }

  /** Sends commands to both. @returns their common reply */
  async ask(commands: string): Promise<string> {
    const bytes = Buffer.from(`${commands}mn\r\n`, 'latin1');
    const real = (await this.#real.ask(bytes, Buffer.from('MN\r\n'))).toString('latin1');
    const engine = this.#engine.send(this.#conn, bytes);
    for (const line of commands.split('\r\n')) if (line.length < 60 && line !== '') this.#recent.push(line);
    this.#recent.splice(0, this.#recent.length - CONTEXT_COMMANDS);
    if (engine !== real) {
      let at = 0;
      while (engine[at] === real[at]) at++;
      const around = (text: string): string => JSON.stringify(text.slice(Math.max(0, at - 100), at + 60));
      throw new Error(`after ${this.#recent.join(' | ')}:\nengine ${around(engine)}\nreal   ${around(real)}`);
    }
    return real;
  }

  async stats(what: string): Promise<{ engine: Record<string, string>; real: Record<string, string> }> {
    const line = what === '' ? 'stats\r\n' : `stats ${what}\r\n`;
    const real = parseStats((await this.#real.ask(line, Buffer.from('END\r\n'))).toString('latin1'));
    return { engine: parseStats(this.#engine.send(this.#conn, line)), real };
  }

  /** Waits until both have moved their pages. */
  async settle(): Promise<void> {
    this.#engine.settle();
    const deadline = Date.now() + MOVE_TIMEOUT_MS;
    for (;;) {
      const { engine, real } = await this.stats('');
      if (real['slab_reassign_running'] !== '1' && engine['slabs_moved'] === real['slabs_moved']) return;
      if (Date.now() > deadline) {
        throw new Error(
          `pages moved: engine ${engine['slabs_moved']}, real ${real['slabs_moved']} after ${this.#recent.join(' | ')}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  async moves(): Promise<string> {
    const { real } = await this.stats('');
    return JSON.stringify(Object.entries(real).filter(([name]) => /^(slab|evictions)/.test(name)));
  }

  async compareStats(): Promise<void> {
    for (const [what, wanted] of [
      ['slabs', null],
      ['items', null],
      ['', TOTALS],
    ] as const) {
      const { engine, real } = await this.stats(what);
      expect(pick(engine, wanted), this.#recent.join(' | ')).toEqual(pick(real, wanted));
    }
    // The order of the LRUs: it tells in which order items were rescued, hence where in their page they lay.
    for (const id of [1, 2, 5, 9, 23, 39]) {
      const line = `stats cachedump ${id} 0\r\n`;
      const real = (await this.#real.ask(line, Buffer.from('END\r\n'))).toString('latin1');
      const engine = this.#engine.send(this.#conn, line);
      const items = (reply: string): string[] => reply.replaceAll(/; \d+ s\]/g, ']').split('\r\n');
      expect(items(engine), `${line} after ${this.#recent.join(' | ')}`).toEqual(items(real));
    }
    this.#engine.core.verify();
  }
}

describeReal(['memcached'], 'slab memory beside the real server', () => {
  for (const profile of profiles) {
    it(`is the same with ${profile.title} (${profile.args})`, { timeout: 60_000 * testScale }, async () => {
      const random = seededRandom(profile.title);
      const options = profile.args.includes('-o') ? `${profile.args},` : `${profile.args} -o `;
      const args = `${options}no_lru_maintainer,no_lru_crawler,slab_automove=0`.split(' ');
      const server = await RealMemcached.start(args);
      const engine = new InProcess(parseMemcachedOptions(args).settings);
      try {
        const pair = new Pair(engine, await server.connect());
        for (let round = 0; round < ROUNDS * (profile.share ?? 1); round++) {
          let commands = '';
          for (let i = 0; i < COMMANDS_PER_ROUND; i++) {
            const one = command(random, profile);
            // The original holds what was fetched until its reply has left, and cannot evict it meanwhile.
            if (one.startsWith('get') && commands !== '') {
              await pair.ask(commands);
              commands = '';
            }
            commands += one;
            if (commands.length > PIECE_BYTES || one.startsWith('get')) {
              await pair.ask(commands);
              commands = '';
            }
          }
          if (commands !== '') await pair.ask(commands);
          const { engine: mine } = await pair.stats('slabs');
          const pages = Object.entries(mine).flatMap(([name, count]) => {
            const id = /^(\d+):total_pages$/.exec(name)?.[1];
            return id === undefined ? [] : [{ id: Number(id), count: Number(count) }];
          });
          await pair.ask(move(random, pages, profile));
          await pair.settle();
          if (round % ROUNDS_COMPARED === 0) await pair.compareStats();
        }
        await pair.compareStats();
        if (process.env['CACHELAB_SHOW'] === '1') console.log(await pair.moves());
      } finally {
        await server.stop();
      }
    });
  }
});
