import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as B from '../../engines/memcached/protocol/binary.ts';
import {
  binaryArithmetic,
  binaryBare,
  binaryConcat,
  binaryGet,
  binaryStore,
  binaryTouch,
} from '../../engines/memcached/protocol/encode.ts';
import { parseMemcachedOptions } from '../../engines/servers/memcached-options.ts';
import { InProcess } from '../memcached/in-process.ts';
import { type RawConnection, RealMemcached } from '../memcached/real-memcached.ts';
import { describeReal } from '../support/real.ts';
import { seededRandom, testScale } from '../support/seed.ts';
import { CommandMaker } from './memcached-commands.ts';
import { MetaMaker } from './memcached-meta-commands.ts';

const OPTIONS = ['-m', '64', '-R', '1000', '-o', 'no_lru_maintainer,no_lru_crawler'];
const EVENTS = 'fetchers mutations evictions';
const RANDOM_COMMANDS = 4_000 * testScale;
const BATCH = 25;

/** Log lines without what differs between any two servers: times (also those that a date far away leaves) and descriptors. */
function normal(lines: string): string[] {
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) =>
      line
        .replace(/^ts=\d+\.\d+ /, 'ts=T ')
        .replace(/ cfd=-?\d+/, ' cfd=N')
        .replace(/ la=\d+/, ' la=N')
        // The original shows what its stack happens to hold there.
        .replace(/(status=(?:too_large|no_memory) .* clsid=)\d+/, '$1N')
        .replace(/ ttl=(?!60 )[1-9]\d*/, ' ttl=N'),
    );
}

/** One server of each kind, each with a watcher and a connection that sends commands. */
class Watched {
  readonly server = new InProcess(parseMemcachedOptions(OPTIONS).settings, 1024 * 1024 * 1024);
  readonly mine = this.server.open();
  readonly myWatcher = this.server.open();
  readonly theirs: RawConnection;
  readonly theirWatcher: RawConnection;

  constructor(theirs: RawConnection, theirWatcher: RawConnection) {
    this.theirs = theirs;
    this.theirWatcher = theirWatcher;
  }

  myLines(): string[] {
    this.server.core.background.runAll();
    return normal(this.server.take(this.myWatcher).toString('latin1'));
  }

  async theirLines(count: number): Promise<string[]> {
    const lines: string[] = [];
    const deadline = Date.now() + 15_000;
    do {
      lines.push(...normal((await this.theirWatcher.ask('', Buffer.from('\n'), 200)).toString('latin1')));
    } while (lines.length < count && Date.now() < deadline);
    return lines;
  }

  /** Sends the same to both and compares log lines, and replies (those to meta commands tell times). */
  async compare(
    bytes: Buffer | string,
    mark = Buffer.from('VERSION 1.6.18\r\nMN\r\n'),
    withReplies = true,
  ): Promise<string[]> {
    const all = Buffer.isBuffer(bytes) ? bytes : Buffer.from(`${bytes}version\r\nmn\r\n`, 'latin1');
    this.server.feed(this.mine, all);
    const reply = this.server.take(this.mine);
    const theirs = await this.theirs.ask(all, mark, undefined, withReplies ? reply.length : 0);
    if (withReplies) expect(reply.toString('latin1')).toBe(theirs.toString('latin1'));
    const lines = this.myLines();
    expect(lines).toEqual(await this.theirLines(lines.length));
    return lines;
  }
}

describeReal(['memcached'], 'the event log and the real memcached’s', () => {
  let real: RealMemcached;
  let pair: Watched;
  beforeAll(async () => {
    real = await RealMemcached.start(OPTIONS);
    pair = new Watched(await real.connect(), await real.connect());
    const ok = Buffer.from('OK\r\n');
    expect((await pair.theirWatcher.ask(`watch ${EVENTS}\r\n`, ok)).toString()).toBe('OK\r\n');
    expect(pair.server.send(pair.myWatcher, `watch ${EVENTS}\r\n`)).toBe('OK\r\n');
  });
  afterAll(() => real?.stop());

  const ASKED = [
    'get a\r\n',
    'set a 0 0 1\r\nx\r\n',
    'get a a b\r\n',
    'add a 0 0 1\r\ny\r\n',
    'replace zz 0 0 1\r\ny\r\n',
    'append a 5 0 1\r\nz\r\n',
    'prepend a 5 100 1\r\nz\r\n',
    'cas a 0 0 1 999\r\nx\r\n',
    'cas none 0 0 1 999\r\nx\r\n',
    'incr a 1\r\n',
    'set n 5 60 1\r\n1\r\n',
    'incr n 1\r\nincr n 100\r\ndecr none 1\r\n',
    'touch n 100\r\ngat 50 n\r\ngats 50 n none\r\n',
    'delete n\r\ndelete n\r\n',
    'set k%20x~!"#\x80\xff 0 0 1\r\nz\r\nget k%20x~!"#\x80\xff\r\n',
    'set q 0 0 2\r\nabc\r\n',
    'set quiet 0 0 1 noreply\r\nx\r\n',
    'set past 0 -1 1\r\nx\r\nget past\r\n',
    'flush_all\r\nget a\r\nget a\r\n',
    'me a\r\nmn\r\n',
    'bogus\r\nset foo\r\n',
    `set ${'k'.repeat(250)} 4294967295 0 0\r\n\r\n`,
  ];
  for (const sent of ASKED) {
    it(`tells the same of ${JSON.stringify(sent.slice(0, 60))}`, async () => {
      await pair.compare(sent);
    });
  }

  it('tells the same of binary requests', async () => {
    const out = new Uint8Array(1_000);
    const key = Buffer.from('bin');
    const value = Buffer.from('12');
    const noop = Buffer.from(out.subarray(0, binaryBare(out, 0, 77)));
    const mark = Buffer.from(noop);
    mark[0] = 0x81;
    const theirs = await real.connect();
    const mine = pair.server.open();
    const bytes = (end: number): Buffer => Buffer.from(out.subarray(0, end));
    const store = (opcode: number, cas = 0n): Buffer =>
      Buffer.concat([bytes(binaryStore(out, 0, key, 0, 3, 0, 0, 2, 1, opcode, cas)), value]);
    const requests = [
      bytes(binaryGet(out, 0, key, 0, 3, 1, B.OP_GET)),
      store(B.OP_SET),
      store(B.OP_ADD),
      store(B.OP_REPLACE),
      store(B.OP_SETQ, 99_999n),
      bytes(binaryGet(out, 0, key, 0, 3, 1, B.OP_GETKQ)),
      Buffer.concat([bytes(binaryConcat(out, 0, B.OP_APPEND, key, 0, 3, 2, 1)), value]),
      bytes(binaryArithmetic(out, 0, key, 0, 3, 1n, 5n, 0, 1, B.OP_INCREMENT)),
      bytes(binaryArithmetic(out, 0, Buffer.from('new'), 0, 3, 1n, 5n, 0, 1, B.OP_INCREMENT)),
      bytes(binaryTouch(out, 0, key, 0, 3, 100, 1, B.OP_TOUCH)),
      bytes(binaryTouch(out, 0, key, 0, 3, 100, 1, B.OP_GAT)),
      bytes(binaryGet(out, 0, key, 0, 3, 1, B.OP_DELETE)),
    ];
    for (const request of requests) {
      const all = Buffer.concat([request, noop]);
      pair.server.feed(mine, all);
      const reply = pair.server.take(mine);
      expect(await theirs.ask(all, mark, undefined, reply.length)).toEqual(reply);
      const lines = pair.myLines();
      expect(lines).toEqual(await pair.theirLines(lines.length));
    }
    theirs.socket.destroy();
  });

  it(`tells the same of ${RANDOM_COMMANDS} random commands`, { timeout: 60_000 * testScale }, async () => {
    const maker = new CommandMaker(seededRandom('watched commands'), 60);
    let lines = 0;
    for (let sent = 0; sent < RANDOM_COMMANDS; sent += BATCH) {
      const commands = Array.from({ length: BATCH }, () => maker.ascii()).filter((command) => isWhole(command));
      lines += (await pair.compare(commands.join(''))).length;
    }
    expect(lines).toBeGreaterThan(RANDOM_COMMANDS / 2);
  });

  it(`tells the same of ${RANDOM_COMMANDS} random commands, most of them meta`, {
    timeout: 60_000 * testScale,
  }, async () => {
    const random = seededRandom('watched meta commands');
    const maker = new CommandMaker(random, 60);
    const meta = new MetaMaker(random, maker);
    let lines = 0;
    for (let sent = 0; sent < RANDOM_COMMANDS; sent += BATCH) {
      const commands = Array.from({ length: BATCH }, () => (random.nextBelow(4) === 0 ? maker.ascii() : meta.next()));
      const whole = commands.filter((command) => isWhole(command) && isWholeMeta(command));
      lines += (await pair.compare(whole.join(''), undefined, false)).length;
    }
    expect(lines).toBeGreaterThan(RANDOM_COMMANDS / 2);
  });

  it('tells the same of evictions', async () => {
    const value = 'v'.repeat(500_000);
    let evicted = 0;
    for (let i = 0; i < 200; i++) {
      const lines = await pair.compare(
        `set e${i} 0 0 ${value.length}\r\n${value}\r\n${i % 3 === 0 ? `get e${i}\r\n` : ''}`,
      );
      evicted += lines.filter((line) => line.includes('type=eviction')).length;
    }
    expect(evicted).toBeGreaterThan(50);
  });
});

/** False for a storing command that carries more or fewer bytes than it says: whether its rest comes in one piece would then matter. */
function isWhole(command: string): boolean {
  const match = /^(?:set|add|replace|append|prepend|cas) +\S+ \S+ \S+ (-?\d+)[^\r\n]*\r?\n/.exec(command);
  return match === null || command.length - match[0].length === Number(match[1]) + 2;
}

/** The same for `ms`. */
function isWholeMeta(command: string): boolean {
  if (!command.startsWith('ms')) return true;
  const match = /^ms +\S+ S?(\d+)[^\r\n]*\r?\n/.exec(command);
  return match !== null && command.length - match[0].length === Number(match[1]) + 2;
}

describe('a watcher', () => {
  it('gets fetches by default, and nobody gets what came before', () => {
    const server = new InProcess();
    const conn = server.open();
    server.send(conn, 'get before\r\n');
    const watcher = server.open();
    expect(server.send(watcher, 'watch\r\n')).toBe('OK\r\n');
    server.send(conn, 'get a\r\nset a 0 0 1\r\nx\r\n');
    server.core.background.runAll();
    expect(normal(server.take(watcher).toString())).toEqual([
      'ts=T gid=2 type=item_get key=a status=not_found clsid=0 cfd=N size=0',
      'ts=T gid=3 type=item_get key=a status=not_found clsid=0 cfd=N size=0',
    ]);
  });

  it('that does not read is told how many lines it has missed, and holds no more memory than it may', () => {
    const server = new InProcess({ watcherLogbufSize: 8_192 });
    const watcher = server.open();
    const conn = server.open();
    server.send(watcher, 'watch fetchers\r\n');
    server.stall(watcher);
    for (let i = 0; i < 500; i++) {
      server.send(conn, `get key${i}\r\n`);
      server.core.background.runAll();
    }
    expect(server.outputBytes(watcher)).toBeLessThanOrEqual(8_192);
    const before = server.take(watcher).toString().split('\n').length - 1;
    server.drain(watcher);
    server.send(conn, 'get last\r\n');
    server.core.background.runAll();
    const [skipped, last] = server.take(watcher).toString().split('\n');
    expect(skipped).toBe(`skipped=${500 - before}`);
    expect(last).toContain('key=last');
    const stats = server.send(conn, 'stats\r\n');
    expect(stats).toContain(`STAT log_watcher_skipped ${500 - before}\r\n`);
    expect(stats).toContain(`STAT log_watcher_sent ${before + 1}\r\n`);
    expect(stats).toContain('STAT log_worker_written 501\r\n');
    expect(stats).toContain('STAT log_watchers 1\r\n');
  });

  it('makes workers drop entries, not wait, when nobody reads their ring', () => {
    const server = new InProcess({ workerLogbufSize: 4_096 });
    const watcher = server.open();
    const conn = server.open();
    server.send(watcher, 'watch fetchers\r\n');
    for (let i = 0; i < 200; i++) server.send(conn, `get key${i}\r\n`);
    server.core.background.runAll();
    const seen = server.take(watcher).toString().split('\n').length - 1;
    expect(seen).toBeGreaterThan(20);
    expect(server.send(conn, 'stats\r\n')).toContain(`STAT log_worker_dropped ${200 - seen}\r\n`);
    // The ring goes on where it was.
    for (let i = 0; i < 300; i++) {
      server.send(conn, `get other${i}\r\n`);
      server.core.background.runAll();
      expect(server.take(watcher).toString()).toContain(`key=other${i} `);
    }
  });

  it('gets the events that it asked for, whatever others want', () => {
    const server = new InProcess();
    const wanted = ['fetchers', 'mutations', 'connevents', 'fetchers connevents', 'sysevents'];
    const watchers = wanted.map(() => server.open());
    watchers.forEach((watcher, i) => {
      server.send(watcher, `watch ${wanted[i]}\r\n`);
    });
    const conn = server.open();
    server.send(conn, 'set a 0 0 1\r\nx\r\nget a\r\nquit\r\n');
    server.hangUp(conn);
    server.core.background.runAll();
    const kinds = watchers.map(
      (watcher) =>
        server
          .take(watcher)
          .toString()
          .match(/type=\w+/g)
          ?.join(' ') ?? '',
    );
    expect(kinds).toEqual([
      'type=item_get type=item_get',
      'type=item_store',
      'type=conn_new type=conn_close',
      'type=conn_new type=item_get type=item_get type=conn_close',
      '',
    ]);
    for (const watcher of watchers) server.hangUp(watcher);
    // Nobody watches: nothing is written down any more.
    const written = (): string | undefined =>
      /log_worker_written \d+/.exec(server.send(server.open(), 'stats\r\n'))?.[0];
    const before = written();
    server.send(server.open(), 'get a\r\n');
    expect(written()).toBe(before);
  });

  it('costs its place until it goes; there are twenty', () => {
    const server = new InProcess();
    const watchers = Array.from({ length: 20 }, () => server.open());
    for (const watcher of watchers) expect(server.send(watcher, 'watch\r\n')).toBe('OK\r\n');
    const another = server.open();
    expect(server.send(another, 'watch\r\n')).toBe('WATCHER_TOO_MANY log watcher limit reached\r\n');
    server.hangUp(watchers[3]!);
    expect(server.send(another, 'watch evictions\r\n')).toBe('OK\r\n');
  });

  it('is refused with the original’s words, and ignored once it watches', () => {
    const server = new InProcess();
    const conn = server.open();
    expect(server.send(conn, 'watch bogus\r\n')).toBe('ERROR\r\n');
    expect(server.send(conn, 'watch fetchers bogus\r\n')).toBe('ERROR\r\n');
    expect(server.send(conn, 'watch noreply\r\n')).toBe('');
    expect(server.send(conn, 'set k 0 0 1 noreply\r\nx\r\nwatch\r\n')).toBe(
      'ERROR cannot pipeline other commands before watch\r\n',
    );
    expect(server.send(conn, 'get none\r\nwatch rawcmds proxyreqs proxyevents proxyuser sysevents\r\nget a\r\n')).toBe(
      'END\r\nOK\r\n',
    );
    expect(server.send(conn, 'get a\r\n')).toBe('');
    const refusing = new InProcess({ watchEnabled: false });
    expect(refusing.send(refusing.open(), 'watch\r\n')).toBe('CLIENT_ERROR watch commands not allowed\r\n');
  });
});
