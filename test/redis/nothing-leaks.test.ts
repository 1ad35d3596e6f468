/** After a flush of everything, whatever was done before, exactly the bytes that were allocated at the start are allocated again. */
import { describe, expect, it } from 'vitest';
import { createLuaInterpreter } from '../../engines/lua/interpreter.ts';
import type { Random } from '../../engines/ports.ts';
import { attachAdmin } from '../../engines/redis/admin.ts';
import { CLIENT_BLOCKED } from '../../engines/redis/client.ts';
import { attachScripting } from '../../engines/redis/scripting/scripting.ts';
import { verifyCore } from '../../engines/redis/verify.ts';
import { encodeCommand } from '../support/resp-client.ts';
import { seededRandom, testScale } from '../support/seed.ts';
import { Draw } from './support/draw.ts';
import { Loopback } from './support/loopback.ts';
import { AllCommands } from './support/random-all.ts';
import { randomBitmapCommand } from './support/random-bitmap.ts';
import { CommandSource, type RandomCommand } from './support/random-commands.ts';
import { randomGeoCommand } from './support/random-geo.ts';
import { randomHashCommand } from './support/random-hash.ts';
import { randomHyperLogLogCommand } from './support/random-hyperloglog.ts';
import { randomListCommand } from './support/random-list.ts';
import { randomScriptCommand } from './support/random-script.ts';
import { randomSetCommand } from './support/random-set.ts';
import { randomSortCommand } from './support/random-sort.ts';
import { randomStreamCommand } from './support/random-stream.ts';
import { RandomTransactions } from './support/random-transactions.ts';
import { randomZsetCommand } from './support/random-zset.ts';

const ARENA_BYTES = 128 * 1024 * 1024;
const COMMANDS = 3_000 * testScale;
const VERIFY_EVERY = 500;
/** After a longer request a client would keep a larger buffer for a while. */
const LONGEST_BYTES = 10_000;
const WAITING_CLIENTS = 6;

type Source = (random: Random) => { next(): RandomCommand };

const drawn =
  (next: (d: Draw) => RandomCommand): Source =>
  (random) => {
    const draw = new Draw(random);
    return { next: () => next(draw) };
  };

/** Commands that wait, and those that end a wait. */
function randomWait(d: Draw): RandomCommand {
  return d.pick([
    () => d.exact('BLPOP', d.key(), d.key(), '0'),
    () => d.exact('BLMOVE', d.key(), d.key(), 'LEFT', 'RIGHT', '0'),
    () => d.exact('BLMPOP', '0', '2', d.key(), d.key(), 'LEFT', 'COUNT', '3'),
    () => d.exact('BZPOPMIN', d.key(), d.key(), '0'),
    () => d.exact('BZMPOP', '0', '1', d.key(), 'MAX', 'COUNT', '2'),
    () => d.exact('XREAD', 'BLOCK', '0', 'STREAMS', d.key(), '$'),
    () => d.exact('XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', '0', 'STREAMS', d.key(), '>'),
    () => d.exact('XGROUP', 'CREATE', d.key(), 'g', '$', 'MKSTREAM'),
    () => d.exact('RPUSH', d.key(), d.member(), d.member()),
    () => d.exact('ZADD', d.key(), '1', d.member(), '2', d.member()),
    () => d.exact('XADD', d.key(), '*', d.field(), d.value()),
    () => d.exact('DEL', ...d.keys(3)),
    () => d.exact('RENAME', d.key(), d.key()),
  ])();
}

const workloads: Readonly<Record<string, Source>> = {
  strings: (random) => new CommandSource(random),
  lists: drawn(randomListCommand),
  sets: drawn(randomSetCommand),
  hashes: drawn(randomHashCommand),
  'sorted sets': drawn(randomZsetCommand),
  places: drawn(randomGeoCommand),
  streams: drawn(randomStreamCommand),
  bitmaps: drawn(randomBitmapCommand),
  HyperLogLogs: drawn(randomHyperLogLogCommand),
  SORT: drawn(randomSortCommand),
  transactions: (random) => new RandomTransactions(new Draw(random)),
  scripts: drawn(randomScriptCommand),
  'commands of all types': (random) => new AllCommands(random),
  'waiting clients': drawn(randomWait),
};

function start(): Loopback {
  // A command's first call would allocate its latency histogram, which stays.
  const lab = new Loopback(ARENA_BYTES, (config) => {
    config.latencyTracking = false;
  });
  attachAdmin(lab.core);
  attachScripting(lab.core, createLuaInterpreter);
  for (let conn = 0; conn <= WAITING_CLIENTS; conn++) lab.open(conn);
  return lab;
}

const isWaiting = (lab: Loopback, conn: number): boolean => {
  const c = lab.core.clients[conn];
  return c !== null && c !== undefined && (c.flags & CLIENT_BLOCKED) !== 0;
};

/** Sends the workload's commands; where clients wait, others go on. */
function work(lab: Loopback, random: Random, make: Source): void {
  const source = make(random);
  const conns = make === workloads['waiting clients'] ? WAITING_CLIENTS : 1;
  for (let i = 0; i < COMMANDS; i++) {
    const { args } = source.next();
    if (args.some((arg) => arg.length > LONGEST_BYTES)) continue;
    const conn = 1 + random.nextBelow(conns);
    // The last one that does not wait yet would leave nobody to end a wait.
    const free = isWaiting(lab, conn) ? 0 : conn;
    const waits = /^(B|XREAD)/.test(args[0]!) && conns > 1;
    if (!(waits && free === 0)) lab.feed(free, encodeCommand(args));
    for (let one = 0; one <= WAITING_CLIENTS; one++) lab.take(one);
    if (random.nextBelow(50) === 0 && conns > 1) {
      lab.core.onClose(conn, 0);
      lab.open(conn);
    }
    if (i % VERIFY_EVERY === 0) verifyCore(lab.core);
  }
}

/** Ends all waits and transactions and removes all data. */
function clear(lab: Loopback): void {
  for (let conn = 1; conn <= WAITING_CLIENTS; conn++) {
    if (isWaiting(lab, conn)) lab.command(0, 'CLIENT', 'UNBLOCK', lab.core.clients[conn]!.id);
    lab.take(conn);
  }
  lab.command(1, 'RESET');
  // Room for a script's arguments and replies is kept up to a size, and given back after a larger one.
  lab.command(0, 'EVAL', "return #redis.call('ECHO', string.rep('x', 1000000))", '0');
  for (const command of [['RESET'], ['FLUSHALL'], ['SCRIPT', 'FLUSH'], ['FUNCTION', 'FLUSH']])
    lab.command(0, ...command);
  lab.settle();
  // What is freed in slices is freed when the server has time.
  lab.core.lazyFree.drain(lab.core.heap);
}

describe('allocated memory', () => {
  for (const [name, make] of Object.entries(workloads)) {
    it(`returns to the base after ${name}`, { timeout: 60_000 * testScale }, () => {
      const random = seededRandom(`leaks of ${name}`);
      const lab = start();
      clear(lab);
      const before = lab.allocator.usedBytes;
      work(lab, random, make);
      expect(lab.core.stats.totalCommandsProcessed).toBeGreaterThan(COMMANDS / 2);
      clear(lab);
      verifyCore(lab.core);
      expect(lab.allocator.usedBytes).toBe(before);
    });
  }
});
