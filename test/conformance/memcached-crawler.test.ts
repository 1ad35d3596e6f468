/** `lru`, `lru_crawler` and the growth of the hash table beside the real server: replies, dumps byte for byte, what is freed and counted. */
import net from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type RawConnection, RealMemcached } from '../memcached/real-memcached.ts';
import { ServedMemcached } from '../memcached/support/served-memcached.ts';
import { describeReal } from '../support/real.ts';

const TIMEOUT = { timeout: 60_000 };
/** Ends each exchange: its reply is known and nothing else looks like it. */
const MARK = Buffer.from('VERSION 1.6.18\r\n');
const END = Buffer.from('END\r\n');

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A real server and the engine, asked the same. */
class Pair {
  #servers: { path: string; stop(): Promise<void> }[] = [];
  #clients: RawConnection[] = [];

  /** @param ours further arguments of the engine */
  async start(args: string[] = [], ours: string[] = []): Promise<void> {
    const [real, engine] = await Promise.all([RealMemcached.start(args), ServedMemcached.start([...args, ...ours])]);
    this.#servers = [real, engine];
    this.#clients = [await real.connect(), await engine.connect()];
  }

  get paths(): string[] {
    return this.#servers.map((server) => server.path);
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.socket.destroy();
    await Promise.all(this.#servers.map((server) => server.stop()));
  }

  /** Sends commands to both. @returns what each replied */
  async ask(text: string): Promise<[real: string, engine: string]> {
    const bytes = Buffer.from(`${text}version\r\n`, 'latin1');
    const replies = await Promise.all(this.#clients.map((client) => client.ask(bytes, MARK, 20_000)));
    return [replies[0]!.toString('latin1'), replies[1]!.toString('latin1')];
  }

  /** Sends bytes to both. @returns what each replied up to `end` */
  async exchange(text: string, end: Buffer): Promise<[real: string, engine: string]> {
    const replies = await Promise.all(this.#clients.map((client) => client.ask(Buffer.from(text), end, 20_000)));
    return [replies[0]!.toString('latin1'), replies[1]!.toString('latin1')];
  }

  /** A dump is alone in its batch: the original does not look at what follows it until more comes. */
  async dump(what: string): Promise<[real: string, engine: string]> {
    const replies = await Promise.all(
      this.#clients.map((client) => client.ask(`lru_crawler metadump ${what}\r\n`, END, 20_000)),
    );
    return [withoutTimes(replies[0]!), withoutTimes(replies[1]!)];
  }

  /** Waits until lines of `stats` are as they are to be, for both. */
  async until(wanted: RegExp, holds: (lines: string[]) => boolean): Promise<void> {
    const deadline = Date.now() + 20_000;
    for (let lines = await this.stats('', wanted); !lines.every(holds); lines = await this.stats('', wanted)) {
      if (Date.now() > deadline) throw new Error(`Cannot wait any longer: ${JSON.stringify(lines)}`);
      await sleep(10);
    }
  }

  /** Waits until neither crawls. */
  crawled(): Promise<void> {
    return this.until(/lru_crawler_running/, (lines) => lines.every((line) => line.endsWith(' 0')));
  }

  async stats(what: string, wanted: RegExp): Promise<[real: string[], engine: string[]]> {
    const replies = await Promise.all(this.#clients.map((client) => client.ask(`stats${what}\r\n`, END, 20_000)));
    const lines = (reply: Buffer): string[] =>
      reply
        .toString('latin1')
        .split('\r\n')
        .filter((line) => wanted.test(line));
    return [lines(replies[0]!), lines(replies[1]!)];
  }
}

/** The two servers' seconds do not begin together. */
const withoutTimes = (dump: Buffer): string => dump.toString('latin1').replace(/(exp|la)=\d+/g, '$1=time');

const COMMANDS =
  `lru_crawler crawl all|lru_crawler crawl hash|lru_crawler crawl 1,2,|lru_crawler crawl ,|lru_crawler crawl 0
lru_crawler crawl 64|lru_crawler crawl 63,a|lru_crawler crawl 1 noreply|lru_crawler crawl noreply|lru_crawler crawl
lru_crawler metadump 0|lru_crawler metadump 99|lru_crawler metadump|lru_crawler mgdump all|lru_crawler mgdump hash
lru_crawler enable|lru_crawler disable|lru_crawler|lru_crawler x|lru_crawler x y|lru_crawler enable noreply
lru_crawler tocrawl -1|lru_crawler tocrawl 4294967295|lru_crawler tocrawl 4294967296|lru_crawler tocrawl 0|lru_crawler tocrawl x
lru_crawler sleep 1000001|lru_crawler sleep 1000000|lru_crawler sleep a|lru_crawler sleep 0|lru_crawler sleep 100
lru|lru x|lru x 1|lru mode|lru mode x|lru mode flat|lru mode segmented|lru mode segmented 1 2|lru mode flat noreply
lru tune|lru tune 10 25 0.1 2.0|lru tune 10 25 0.1 2.0 noreply|lru tune 10 25 0.1|lru tune 50 40 0.1 2|lru tune a 40 0.1 2
lru tune 10 40 0 2|lru tune 10 40 0.1 x|lru tune 10 40 0.1 -1|lru tune 10 40 0.1 1 2 3|lru tune 10 40 1x 2|lru tune 10 40 1e-1 .5
lru temp_ttl|lru temp_ttl -1|lru temp_ttl 61|lru temp_ttl a|lru temp_ttl 61 noreply|lru temp_ttl 4294967296|lru temp_ttl 2147483648
lru_crawler crawl 4294967297|lru_crawler crawl 1,+2,003|lru_crawler crawl 1\t|lru_crawler crawl -18446744073709551615|lru_crawler crawl 1,4294967296`
    .split(/[|\n]/)
    .map((line) => `${line}\r\n`);

/**
 * Deterministic, of many sizes; a third expires after two seconds. Nothing is fetched twice: when the maintainer takes such items to WARM is a
 * matter of milliseconds, and so is their order there.
 */
function dataSet(count: number): string {
  let text = '';
  for (let i = 0; i < count; i++) {
    const size = [1, 20, 80, 200, 500, 1200, 3000][((i * 7) % 11) % 7]!;
    const ttl = i % 3 === 0 ? 2 : i % 5 === 0 ? 5_000 : 0;
    text += `set key-${i} ${i % 4} ${ttl} ${size} noreply\r\n${'x'.repeat(size)}\r\n`;
    if (i % 4 === 0) text += `get key-${Math.floor(i / 2)}\r\n`;
  }
  return text;
}

describeReal(['memcached'], 'the commands of LRU and crawler', () => {
  for (const args of [[], ['-o', 'no_lru_maintainer'], ['-o', 'no_lru_crawler'], ['-X']]) {
    it(`answer as the original does ${args.join(' ')}`, TIMEOUT, async () => {
      const pair = new Pair();
      await pair.start(args);
      try {
        // One after the other: a crawl that is still running would make the next one BUSY.
        for (const command of COMMANDS) {
          const [real, engine] = await pair.ask(command);
          expect(engine, command).toBe(real);
          if (real.startsWith('OK') && command.includes('crawl')) await pair.crawled();
        }
        const [real, engine] = await pair.stats(' settings', /lru|temp|pct|factor|ttl/);
        expect(engine).toEqual(real);
      } finally {
        await pair.stop();
      }
    });
  }

  it('takes and prints numbers as C reads and prints them', TIMEOUT, async () => {
    const pair = new Pair();
    await pair.start(['-o', 'slab_automove=0']);
    try {
      const factors = '0.125 0.375 -0 1e23 9007199254740993 inf -inf nan 0x1p3 1.005 1e400 1e-310 5\v .'.split(' ');
      const percents = ['4294967295 20', '2147483648 2147483648', '4294967295 1', '-1 1', '10 18446744073709551615'];
      for (const command of [
        ...factors.flatMap((factor) => [`slabs automove ratio ${factor}`, `lru tune 10 20 ${factor} 1`]),
        ...factors.map((factor) => `lru tune 10 20 1 ${factor}`),
        ...percents.map((percent) => `lru tune ${percent} 1 1`),
      ]) {
        const [real, engine] = await pair.ask(`${command}\r\n`);
        expect(engine, command).toBe(real);
        const [theirs, ours] = await pair.stats(' settings', /pct|factor|ratio/);
        expect(ours, command).toEqual(theirs);
      }
    } finally {
      await pair.stop();
    }
  });
});

/** Commands whose replies the original has not sent yet when the next one comes in the same packet. */
const STACKED = [
  ...[
    'mg none v',
    'mg k v',
    'mg none v q',
    'set a 0 0 1\r\nx',
    'set a 0 0 1 noreply\r\nx',
    'ms a 1\r\nx',
    'ms a 1 q\r\nx',
    'me k',
  ],
  ...[
    'delete none',
    'delete none noreply',
    'version',
    'verbosity 0',
    'foo',
    'incr none 1',
    'touch none 0',
    'stats settings',
  ],
  ...['flush_all 100000 noreply', 'lru_crawler enable', 'get k\r\nmg none v'],
];
/** Commands whose replies leave at once. */
const SENT = ['get none', 'get k', 'mn', 'gat 0 k', 'mg none v\r\nget k', 'mg k v\r\nmn'];

describeReal(['memcached'], 'a dump', () => {
  it('is refused behind commands of the same packet whose replies have not left', TIMEOUT, async () => {
    const pair = new Pair();
    await pair.start();
    const dump = 'lru_crawler metadump all\r\n';
    const refused = 'ERROR cannot pipeline other commands before metadump\r\n';
    try {
      await pair.ask('set k 0 0 1\r\nx\r\n');
      for (const [commands, end] of [[STACKED, refused] as const, [SENT, 'size=61\nEND\r\n'] as const]) {
        for (const command of commands) {
          const [real, engine] = await pair.exchange(`${command}\r\n${dump}`, Buffer.from(end));
          expect(real.endsWith(end), command).toBe(true);
          if (end === refused) expect(engine.split('\r\n').at(-2), command).toBe(refused.trim());
          else expect(engine.endsWith(end), command).toBe(true);
          await pair.crawled();
        }
      }
    } finally {
      await pair.stop();
    }
  });
});

/**
 * The lines of a dump by class, each in its order. Classes take turns, and a turn may find an item that has expired, which leaves no line: whether it is
 * still there depends on when the maintainer came by.
 */
function byClass(dump: string): Map<string, string[]> {
  const classes = new Map<string, string[]>();
  for (const line of dump.split('\n')) {
    const id = /cls=(\d+)/.exec(line)?.[1] ?? '';
    classes.set(id, [...(classes.get(id) ?? []), line]);
  }
  return classes;
}

describeReal(['memcached'], 'the crawler', () => {
  const pair = new Pair();
  beforeAll(() => pair.start(), 30_000);
  afterAll(() => pair.stop());

  it('dumps what there is, encoded, in the order of the lists or of the buckets', TIMEOUT, async () => {
    const odd = `set a%b~c(d)e!*'_-.+/ 5 0 3\r\nabc\r\nset \xc3\xa4:;,?@&=$#[] 0 0 0\r\n\r\nset \x7f\x01\x80\xff"<>\\^\`{|} 0 100 0\r\n\r\n`;
    let [real, engine] = await pair.ask(odd + dataSet(3_000));
    expect(engine).toBe(real);
    // Everything has left HOT, and what is to expire has.
    await sleep(5_000);
    for (const what of ['all', '1', '3,5,6', '9,9,1,', '40', 'hash']) {
      [real, engine] = await pair.dump(what);
      if (what === 'hash') expect(engine).toBe(real);
      else expect(byClass(engine), what).toEqual(byClass(real));
    }
    expect(real.split('\n').length).toBeGreaterThan(1_500);
  });

  it('dumps nothing that was flushed', TIMEOUT, async () => {
    await pair.ask('flush_all\r\n');
    await sleep(1_500);
    const [real, engine] = await pair.dump('all');
    expect(real).toBe('END\r\n');
    expect(engine).toBe(real);
  });
});

describeReal(['memcached'], 'the crawler alone', () => {
  const pair = new Pair();
  beforeAll(() => pair.start(['-o', 'no_lru_maintainer']), 30_000);
  afterAll(() => pair.stop());

  it('frees what has expired, as far as it is told to go, and counts it as the original does', TIMEOUT, async () => {
    const [real, engine] = await pair.ask(dataSet(3_000));
    expect(engine).toBe(real);
    await sleep(4_000);
    for (const command of ['tocrawl 10', 'crawl 1,3,6', 'tocrawl 0', 'crawl 9', 'crawl 63', 'crawl all']) {
      const replies = await pair.ask(`lru_crawler ${command}\r\n`);
      expect(replies[1]).toBe(replies[0]);
      await pair.crawled();
      for (const what of ['', ' items']) {
        const [there, here] = await pair.stats(what, /crawler|number|mem_requested|reclaimed|unfetched|curr_items/);
        expect(here, command).toEqual(there);
        expect(here.length).toBeGreaterThan(5);
      }
    }
  });

  it('is busy while it crawls, and says so', TIMEOUT, async () => {
    await pair.ask('lru_crawler sleep 1000000\r\n');
    for (const command of ['crawl all', 'crawl 1', 'metadump all']) {
      const [real, engine] = await pair.ask(`lru_crawler ${command}\r\n`);
      expect(engine).toBe(real);
      expect(real).toContain(command === 'crawl all' ? 'OK' : 'BUSY');
    }
    const [there, here] = await pair.stats('', /lru_crawler/);
    expect(here).toEqual(there);
    expect(here[0]).toContain('running 1');
  });
});

/** Sends a command, ends its side at once, and reads only after a while. @returns all that came */
async function askAndEnd(path: string, command: string): Promise<string> {
  const socket = net.connect({ path, allowHalfOpen: true });
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  socket.pause();
  socket.end(command);
  await sleep(500);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('latin1');
}

describeReal(['memcached'], 'a client that ends its side behind its command', () => {
  for (const args of [
    ['-t', '1'],
    ['-t', '1', '--event-loop', 'libuv'],
    ['-t', '2'],
  ]) {
    it(`gets all of a dump and of large values (${args.join(' ')})`, TIMEOUT, async () => {
      const pair = new Pair();
      await pair.start([], args);
      try {
        const large = 'v'.repeat(900_000);
        await pair.ask(`set large 0 0 ${large.length} noreply\r\n${large}\r\n`);
        let text = '';
        for (let i = 0; i < 30_000; i++) text += `set key:${i} 0 0 1 noreply\r\nx\r\n`;
        await pair.ask(text);
        await sleep(2_000);
        for (const command of ['get large\r\n', 'get large\r\n'.repeat(5), 'lru_crawler metadump all\r\n']) {
          const [real, engine] = await Promise.all(pair.paths.map((path) => askAndEnd(path, command)));
          // The item that was just fetched may be on its way from one list to another.
          expect(Math.abs(engine!.length - real!.length), command).toBeLessThan(200);
          expect(engine!.endsWith('END\r\n')).toBe(true);
        }
      } finally {
        await pair.stop();
      }
    });
  }
});

describeReal(['memcached'], 'the hash table', () => {
  for (const [algorithm, power] of [
    ['murmur3', 15],
    ['jenkins', 14],
    ['xxh3', 13],
  ] as const) {
    it(`grows as the original's with ${algorithm}, and its buckets hold the same items`, TIMEOUT, async () => {
      const pair = new Pair();
      await pair.start(['-o', `hash_algorithm=${algorithm},hashpower=${power}`]);
      try {
        let text = '';
        for (let i = 0; i < 1.6 * 2 ** power; i++) text += `set key:${i % 7}:${i} 0 0 1 noreply\r\nx\r\n`;
        await pair.ask(text);
        const table = /hash_|curr_items/;
        // Gets go on meanwhile.
        const [, hits] = await pair.ask(`get key:1:1 key:2:100 key:0:${7 * 1_000}\r\n`);
        expect(hits.match(/VALUE/g)).toHaveLength(3);
        await pair.until(/hash_(power_level|is_expanding)/, (lines) =>
          lines.join().endsWith(`hash_power_level ${power + 1},STAT hash_is_expanding 0`),
        );
        const [real, engine] = await pair.stats('', table);
        expect(engine).toEqual(real);
        expect(engine.join()).toContain(`hash_power_level ${power + 1}`);
        const [dump, ours] = await pair.dump('hash');
        expect(sortedByBucket(ours)).toBe(sortedByBucket(dump));
      } finally {
        await pair.stop();
      }
    });
  }
});

/** Growing turns the order within a bucket round for items that were there before, which depends on when it began. */
function sortedByBucket(dump: string): string {
  return dump.split('\n').sort().join('\n');
}
