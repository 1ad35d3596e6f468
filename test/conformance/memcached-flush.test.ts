/** `flush_all` and expiry from second to second: the core's clock is moved whenever the real server's has moved. */
import { expect, it } from 'vitest';
import { parseMemcachedOptions } from '../../engines/servers/memcached-options.ts';
import { InProcess, parseStats } from '../memcached/in-process.ts';
import { type RawConnection, RealMemcached } from '../memcached/real-memcached.ts';
import { describeReal } from '../support/real.ts';

const VERSION_REPLY = Buffer.from('VERSION 1.6.18\r\n');
const END = Buffer.from('END\r\n');
/** Another second passes before what follows is sent. */
const NEXT_SECOND = null;

/** `{T+n}` stands for a Unix time n seconds from now, by the server's own clock. */
type Step = string | typeof NEXT_SECOND;

const set = (key: string, exptime: number | string = 0): string => `set ${key} 0 ${exptime} 1\r\nx\r\n`;

const STORIES: [name: string, steps: Step[]][] = [
  [
    'at once, and what is stored in the same second or later',
    [
      `${set('a')}flush_all\r\nget a\r\n${set('b')}get b\r\nflush_all\r\nget b\r\n`,
      `${set('c')}gets c\r\nflush_all\r\nadd c 0 0 1\r\ny\r\nreplace d 0 0 1\r\ny\r\nincr c 1\r\nappend c 0 0 1\r\nz\r\nget c\r\n`,
      NEXT_SECOND,
      'get a b c\r\n',
      `${set('a')}flush_all\r\n`,
      NEXT_SECOND,
      'get a\r\nget a b c\r\n',
    ],
  ],
  [
    'after a delay',
    [
      `${set('a')}${set('later')}flush_all 2\r\nget a\r\n${set('b')}`,
      NEXT_SECOND,
      `get a b\r\n${set('c')}get c\r\n`,
      NEXT_SECOND,
      `get a b c\r\n${set('d')}get d\r\n`,
      NEXT_SECOND,
      `get a b c d\r\n${set('e')}get e\r\n`,
      NEXT_SECOND,
      'get later d e\r\n',
    ],
  ],
  [
    'delayed and then told otherwise',
    [
      `${set('a')}flush_all 1\r\nflush_all 3\r\n`,
      NEXT_SECOND,
      'get a\r\n',
      NEXT_SECOND,
      `get a\r\nflush_all 0\r\nget a\r\n${set('a')}get a\r\n`,
      NEXT_SECOND,
      'get a\r\nflush_all 5 noreply\r\nget a\r\nflush_all noreply\r\nget a\r\n',
    ],
  ],
  [
    'with times that are negative, absolute, past or no times',
    [
      `${set('a')}flush_all -1\r\nget a\r\n${set('a')}flush_all -2592001\r\nget a\r\n`,
      `${set('a')}flush_all 1500000000\r\nget a\r\nflush_all 2592000\r\nget a\r\nflush_all 2592001\r\nget a\r\n`,
      `${set('a')}flush_all x\r\nflush_all 1 2\r\nflush_all 1 noreply x\r\nflush_all 99999999999\r\nflush_all 2147483648\r\nget a\r\n`,
      `${set('a')}flush_all 1x\r\nflush_all  \r\nget a\r\n${set('b')}flush_all {T+1}\r\nget b\r\n`,
      NEXT_SECOND,
      `get b\r\n${set('c')}get c\r\n`,
      NEXT_SECOND,
      `get b c\r\n${set('d')}flush_all {T-1}\r\nget d\r\n${set('e')}flush_all {T+0}\r\nget e\r\n`,
    ],
  ],
  [
    'beside expiry',
    [
      `${set('one', 1)}${set('two', 2)}${set('abs', '{T+1}')}${set('now', '{T+0}')}${set('past', '{T-5}')}${set('neg', -1)}get one two abs now past neg\r\n`,
      NEXT_SECOND,
      'get one two abs\r\ntouch two 1\r\nadd one 0 1 1\r\ny\r\ngat 1 two\r\n',
      NEXT_SECOND,
      'get one two abs\r\nstats items\r\n',
    ],
  ],
];

/** On a busy machine a step may take longer than its second: then nothing can be said. */
class Late extends Error {}
const TRIES = 4;

class Pair {
  readonly server: InProcess;
  readonly mine: number;
  readonly theirs: RawConnection;
  #second = 0;

  constructor(server: InProcess, theirs: RawConnection) {
    this.server = server;
    this.mine = server.open();
    this.theirs = theirs;
  }

  async #theirTime(): Promise<number> {
    return Number(parseStats((await this.theirs.ask('stats\r\n', END)).toString('latin1'))['time']);
  }

  /** Waits until the real server's second begins, and moves the other's clock. */
  async nextSecond(): Promise<void> {
    const before = this.#second === 0 ? await this.#theirTime() : this.#second;
    while ((this.#second = await this.#theirTime()) === before) await new Promise((resolve) => setTimeout(resolve, 10));
    this.server.advance(this.#second - before);
  }

  /** @throws Late where the real server is in another second than the step was begun in */
  async #checkSecond(): Promise<void> {
    if ((await this.#theirTime()) !== this.#second) throw new Late();
  }

  async same(step: string): Promise<void> {
    const withTime = (now: number): Buffer =>
      Buffer.from(`${step.replace(/\{T([+-]\d+)\}/g, (_, n) => String(now + Number(n)))}version\r\n`);
    const myTime = Number(parseStats(this.server.send(this.mine, 'stats\r\n'))['time']);
    const mine = this.server.send(this.mine, withTime(myTime));
    const theirs = (await this.theirs.ask(withTime(this.#second), VERSION_REPLY)).toString('latin1');
    if (mine !== theirs) await this.#checkSecond();
    expect(mine, step).toBe(theirs);
    const [a, b] = [
      this.server.send(this.mine, 'stats\r\n'),
      (await this.theirs.ask('stats\r\n', END)).toString('latin1'),
    ].map(parseStats);
    for (const name of [
      'cmd_flush',
      'get_flushed',
      'get_expired',
      'get_hits',
      'get_misses',
      'curr_items',
      'reclaimed',
    ]) {
      if (a![name] !== b![name]) await this.#checkSecond();
      expect([name, a![name]], step).toEqual([name, b![name]]);
    }
  }
}

async function tell(steps: Step[], args: string[]): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await tellOnce(steps, args);
    } catch (error) {
      if (!(error instanceof Late) || tries === TRIES) throw error;
    }
  }
}

async function tellOnce(steps: Step[], args: string[]): Promise<void> {
  const real = await RealMemcached.start(args);
  try {
    const pair = new Pair(new InProcess(parseMemcachedOptions(args).settings, 256 * 1024 * 1024), await real.connect());
    await pair.nextSecond();
    for (const step of steps) {
      if (step === NEXT_SECOND) await pair.nextSecond();
      else await pair.same(step);
    }
  } finally {
    await real.stop();
  }
}

describeReal(['memcached'], 'flush_all does the same as in the real memcached, second by second,', () => {
  for (const extra of [[], ['-C'], ['-F']]) {
    // Nearly all of the time is waiting: the stories are told side by side, each to servers of its own.
    it.concurrent(`with ${extra.join() || 'no options'}`, { timeout: 60_000 }, async () => {
      const args = ['-o', 'no_lru_maintainer,no_lru_crawler', ...extra];
      const told = STORIES.map(([name, steps]) =>
        tell(steps, args).catch((error: unknown) => {
          throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
        }),
      );
      for (const { status, reason } of (await Promise.allSettled(told)) as { status: string; reason?: unknown }[]) {
        if (status === 'rejected') throw reason;
      }
    });
  }
});
