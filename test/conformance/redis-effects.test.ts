/** What commands write to the append-only file: the same as the original's, and enough to get the data back. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import type { Random } from '../../engines/ports.ts';
import { Draw } from '../redis/support/draw.ts';
import { compareEffects, digestOf, EffectsPair, effectsBySteps, markOf } from '../redis/support/effects.ts';
import { AllCommands } from '../redis/support/random-all.ts';
import { CommandSource, type RandomCommand } from '../redis/support/random-commands.ts';
import { randomStreamCommand } from '../redis/support/random-stream.ts';
import { RandomTransactions } from '../redis/support/random-transactions.ts';
import { playScript } from '../redis/support/script.ts';
import type { TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { encodeCommand, RespClient } from '../support/resp-client.ts';
import { announceSeed, testScale, testSeed } from '../support/seed.ts';

/** One step a line; lines joined by "|" are one step of several connections. */
const scripts: Readonly<Record<string, readonly string[]>> = {
  'strings and their expiry': [
    'SET k v',
    'SET k v EX 100',
    'SET k v PX 100000',
    'SET k v EXAT 4000000000',
    'SET k v PXAT 4000000000000',
    'SET k v EX 100 NX',
    'SET k v XX EX 100 GET',
    'SET k v XX PXAT 4000000000000 GET',
    'SET k v GET',
    'set k v get keepttl',
    'SET k v GET XX',
    'SET n v NX',
    'SET n v NX',
    'SET k v PXAT 1000',
    'SET k v EXAT 1 GET',
    'GET k',
    'SET k v',
    'SETEX k 100 v',
    'PSETEX k 100000 v',
    'SETNX k w',
    'SETNX l w',
    'GETEX k',
    'GETEX k EX 100',
    'GETEX k PX 100000',
    'GETEX k EXAT 4000000000',
    'GETEX k PXAT 4000000000000',
    'GETEX k PERSIST',
    'GETEX k PERSIST',
    'GETEX k EXAT 1',
    'GETEX none EX 1',
    'SET k v',
    'GETDEL k',
    'GETDEL k',
    'GETSET k w',
    'GETSET k x',
    'SET k 1',
    'INCRBYFLOAT k 1.5',
    'INCRBYFLOAT none 1e2',
    'INCR none2',
    'DECRBY none2 5',
    'APPEND k x',
    'APPEND k ""',
    'SETRANGE k 3 abc',
    'SETRANGE k 3 ""',
    'MSET a 1 b 2',
    'MSETNX a 1 b 2',
    'MSETNX c 1 d 2',
    'SETBIT k 7 1',
    'SETBIT k 7 1',
    'BITFIELD k SET u8 0 1 INCRBY u8 0 1',
    'BITFIELD k GET u8 0',
    'BITOP AND t a b',
    'BITOP AND t none1 none3',
    'PFADD h a b c',
    'PFADD h a',
    'PFCOUNT h',
    'PFCOUNT h',
    'PFMERGE h2 h',
    'PFCOUNT h h2',
    'PFCOUNT h2',
  ],
  'EXPIRE and its kin': [
    'SET k v',
    'EXPIRE k 100',
    'expire k 200 gt',
    'EXPIRE k 100 GT',
    'PEXPIRE k 1000000 XX',
    'EXPIREAT k 4000000000',
    'PEXPIREAT k 4000000000001',
    'pexpireat k 4000000000002',
    'EXPIRE none 1',
    'PERSIST k',
    'PERSIST k',
    'EXPIRE k -1',
    'SET k v',
    'PEXPIREAT k 1',
    'SET k v',
    'EXPIRE k 0 NX',
    'CONFIG SET lazyfree-lazy-user-del yes',
    'SET k v',
    'EXPIRE k -1',
    'SET k v',
    'GETEX k EXAT 1',
    'SET k v',
    'GETDEL k',
    'CONFIG SET lazyfree-lazy-user-del no lazyfree-lazy-server-del yes',
    'SET k v',
    'EXPIRE k -1',
    'SET k v',
    'GETDEL k',
    'CONFIG SET lazyfree-lazy-expire yes lazyfree-lazy-user-del yes lazyfree-lazy-server-del yes',
    'SET k v',
    'EXPIRE k -1',
    'SET k v',
    'GETEX k EXAT 1',
    'SET k v',
    'GETDEL k',
    'SET k v',
    'DEL k none',
    'SET k v PX 20 | * 60 | A: GET k',
    'SADD s a b',
    'SPOP s 5',
    'RESTORE k 1 "\\x00\\xc0*\\x0a\\x00\\x81\\xfb\\x5c\\xfa\\x86cOP" ABSTTL REPLACE',
    'SET k v',
    'RESTORE k 1 "\\x00\\xc0*\\x0a\\x00\\x81\\xfb\\x5c\\xfa\\x86cOP" ABSTTL REPLACE',
    'CONFIG SET lazyfree-lazy-expire no lazyfree-lazy-user-del no lazyfree-lazy-server-del no',
    'SET k v',
    'RESTORE k 1 "\\x00\\xc0*\\x0a\\x00\\x81\\xfb\\x5c\\xfa\\x86cOP" ABSTTL REPLACE',
    'RESTORE k 0 "\\x00\\xc0*\\x0a\\x00\\x81\\xfb\\x5c\\xfa\\x86cOP"',
    'RESTORE k 100000 "\\x00\\xc0*\\x0a\\x00\\x81\\xfb\\x5c\\xfa\\x86cOP" REPLACE',
    'RESTORE k 100000 "\\x00\\xc0*\\x0a\\x00\\x81\\xfb\\x5c\\xfa\\x86cOP" REPLACE IDLETIME 10',
    'RESTORE k 4000000000000 "\\x00\\xc0*\\x0a\\x00\\x81\\xfb\\x5c\\xfa\\x86cOP" REPLACE ABSTTL',
    'SET k v PX 20 | * 60 | A: GET k',
    'SET k v PX 20 | * 60 | A: SET k w',
    'SET k v PX 20 | * 60 | A: DEL k',
    'SET k v PX 20 | * 60 | A: INCR k',
    'MSET k v l w | A: PEXPIRE k 20 | A: PEXPIRE l 20 | * 60 | A: MGET k l',
    'MSET k v l w | A: PEXPIRE k 20 | A: PEXPIRE l 20 | * 60 | A: EXISTS k l k',
    'MSET k v l w | A: PEXPIRE k 20 | A: PEXPIRE l 20 | * 60 | A: SCAN 0 COUNT 1000',
    'SET k v PX 20 | * 60 | A: KEYS *',
    'SET k v PX 20 | * 60 | A& MULTI ; GET k ; SET k w ; EXEC',
    'SELECT 7 | A: MSET k v l w | A: PEXPIRE k 20 | A: PEXPIRE l 20 | * 60 | A: RANDOMKEY | A: SELECT 0',
  ],
  'lists and waiting for them': [
    'RPUSH l a b c d e f g h',
    'LPUSHX l z',
    'LPUSHX none z',
    'LPOP l',
    'LPOP l 2',
    'RPOP none',
    'LMPOP 2 none l LEFT COUNT 2',
    'LMPOP 1 l RIGHT',
    'LMPOP 1 l RIGHT COUNT 100',
    'RPUSH l a b c d e f g h',
    'LMOVE l m LEFT RIGHT',
    'RPOPLPUSH l m',
    'BLMOVE l m RIGHT LEFT 0',
    'BRPOPLPUSH l m 0',
    'RPUSH l a b c d e f',
    'BLPOP none l 0',
    'BRPOP l 0',
    'BLMPOP 0 1 l LEFT COUNT 2',
    'BLMPOP 0 1 l LEFT COUNT 20',
    'RPUSH l a b c d',
    'LTRIM l 1 2',
    'LTRIM l 5 6',
    'RPUSH l a b c d',
    'LREM l 1 a',
    'LSET l 0 x',
    'LINSERT l BEFORE x y',
    'LINSERT l BEFORE q y',
    'DEL l m',
    'B! BLPOP l 0 | * 20 | A: RPUSH l a',
    'B! BLPOP l 0 | * 20 | A: RPUSH l a b',
    'B! BLPOP l 0 | * 20 | C! BRPOP l 0 | * 20 | A: RPUSH l a b c',
    'DEL l | B! BLMPOP 0 1 l LEFT COUNT 2 | * 20 | A: RPUSH l a b c',
    'DEL l | B! BLMOVE l m LEFT LEFT 0 | * 20 | A: RPUSH l a b c',
    'DEL l | B! BRPOPLPUSH l m 0 | * 20 | A: RPUSH l a b c',
    'DEL l m | B! BLMOVE l m LEFT LEFT 0 | * 20 | C! BLPOP m 0 | * 20 | A: RPUSH l a b c',
    'DEL l m | B! BLPOP l 0 | * 20 | C! BLPOP m 0 | * 20 | A& MULTI ; RPUSH l a ; RPUSH m b ; EXEC',
    'DEL l m | B! BLPOP l 0 | * 20 | A& MULTI ; RPUSH l a ; EXEC',
    'DEL l m | A& MULTI ; BLPOP l 0 ; RPUSH l a ; BLPOP l 0 ; BLMOVE l m LEFT LEFT 0 ; EXEC',
    'SET m str | B! BLMOVE l m LEFT LEFT 0 | * 20 | A: RPUSH l a | A: DEL m',
    'SELECT 3 | B? SELECT 3 | B! BLPOP l 0 | * 20 | A: RPUSH l a | A: SELECT 0',
    'RPUSH l 3 1 2',
    'SORT l STORE m',
    'SORT none STORE m',
    'SORT none STORE m',
  ],
  'sorted sets and waiting for them': [
    'ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h',
    'ZADD z NX 9 a',
    'ZADD z 1 a',
    'ZADD z INCR 1.5 a',
    'ZINCRBY z 2 b',
    'ZADD z GT CH 1 c',
    'ZREM z a x',
    'ZREM z x',
    'ZPOPMIN z',
    'ZPOPMAX z 2',
    'ZPOPMIN z 0',
    'ZPOPMIN none',
    'ZMPOP 2 none z MIN',
    'ZMPOP 1 z MAX COUNT 2',
    'ZMPOP 1 z MAX COUNT 20',
    'ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h',
    'BZPOPMIN z 0',
    'BZPOPMAX none z 0',
    'BZMPOP 0 1 z MIN COUNT 2',
    'BZMPOP 0 1 z MIN',
    'BZMPOP 0 1 z MIN COUNT 20',
    'ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h',
    'ZREMRANGEBYSCORE z 1 2',
    'ZREMRANGEBYSCORE z 100 200',
    'ZREMRANGEBYRANK z 0 0',
    'ZREMRANGEBYLEX z - [d',
    'ZRANGESTORE y z 0 1',
    'ZRANGESTORE y none 0 1',
    'ZUNIONSTORE y 2 z z',
    'ZINTERSTORE y 2 z none',
    'ZDIFFSTORE y 1 none',
    'GEOADD g 13 38 a 14 39 b',
    'GEOADD g 13 38 a',
    'GEOSEARCHSTORE y g FROMLONLAT 13 38 BYRADIUS 1000 KM',
    'GEORADIUS g 13 38 1000 KM STORE y',
    'GEORADIUS g 13 38 1 M STORE y',
    'DEL z y g',
    'B! BZPOPMIN z 0 | * 20 | A: ZADD z 1 a 2 b',
    'B! BZMPOP 0 1 q MAX COUNT 3 | * 20 | A: ZADD q 1 a 2 b',
    'B! BZPOPMAX q 0 | * 20 | C! BZPOPMIN q 0 | * 20 | A: ZADD q 1 a 2 b 3 c',
  ],
  'sets and hashes': [
    'SADD s a b c d',
    'SADD s a',
    'SREM s a x',
    'SREM s x',
    'SMOVE s t b',
    'SMOVE s t x',
    'SMOVE s s c',
    'SPOP s 100',
    'SADD s one',
    'SPOP s',
    'SPOP s',
    'SPOP t 0',
    'SADD s 1 2 3',
    'SINTERSTORE t s s',
    'SUNIONSTORE t none',
    'SUNIONSTORE t none',
    'SDIFFSTORE t s none',
    'HSET h f 1 g 2',
    'HMSET h f 1 g 2',
    'HSETNX h f 1',
    'HSETNX h n 1',
    'HINCRBY h f 2',
    'HINCRBYFLOAT h f 1.25',
    'HINCRBYFLOAT h new 1e3',
    'HDEL h f',
    'HDEL h f',
    'HGETALL h',
  ],
  streams: [
    'XADD s * f v',
    'XADD s 5000000000000-* f v',
    'XADD s 5000000000000-5 f v',
    'XADD s NOMKSTREAM 5000000000001-5 f v',
    'XADD none NOMKSTREAM * f v',
    'XADD s MAXLEN 2 5000000000002-* f v',
    'XADD s MAXLEN ~ 2 5000000000003-* f v',
    'xadd s maxlen ~ 2 limit 10 5000000000004-1 f v',
    'XADD s MAXLEN = 3 5000000000004-* f v',
    'XADD s MINID 5000000000003-0 5000000000005-* f v',
    'XADD s MINID ~ 5000000000003-0 5000000000006-* f v',
    'XADD s MINID ~ 5000000000003-0 LIMIT 5 5000000000007-1 f v',
    'XTRIM s MAXLEN ~ 1',
    'XTRIM s MAXLEN 3',
    'XTRIM s MAXLEN 3',
    'XTRIM s MINID 5000000000007',
    'CONFIG SET stream-node-max-entries 2',
    'XADD n 1-1 f v | A: XADD n 2-1 f v | A: XADD n 3-1 f v | A: XADD n 4-1 f v | A: XADD n 5-1 f v',
    'XTRIM n MAXLEN ~ 4',
    'XTRIM n MAXLEN ~ 2 LIMIT 2',
    'XTRIM n MINID ~ 5 LIMIT 100',
    'XADD n MAXLEN ~ 1 6-* f v',
    'XADD n MAXLEN ~ 1 LIMIT 1 7-1 f v',
    'XADD n MAXLEN 0 8-1 f v',
    'CONFIG SET stream-node-max-entries 100',
    'XDEL s 5000000000007-1 1-1',
    'XDEL s 1-1',
    'XADD x 1-1 f v | A: XADD x 2-1 f v | A: XADD x 3-1 f v | A: XADD x 4-1 f v',
    'XGROUP CREATE x g $',
    'XGROUP CREATE x g $',
    'XGROUP CREATE y g $ MKSTREAM',
    'XGROUP SETID x g 0',
    'XGROUP SETID x g 0 ENTRIESREAD 0',
    'XGROUP CREATECONSUMER x g alice',
    'XGROUP CREATECONSUMER x g alice',
    'XREADGROUP GROUP g alice COUNT 1 STREAMS x >',
    'XREADGROUP GROUP g bob COUNT 1 STREAMS x >',
    'XREADGROUP GROUP g carol COUNT 1 NOACK STREAMS x >',
    'XREADGROUP GROUP g carol NOACK STREAMS x y > >',
    'XREADGROUP GROUP g dave NOACK STREAMS x >',
    'XREADGROUP GROUP g bob STREAMS x 0',
    'XREADGROUP GROUP g erin STREAMS x 0',
    'XREADGROUP GROUP g erin NOACK STREAMS x 0',
    'XREADGROUP GROUP g erin STREAMS x >',
    'XADD x 5-1 f v | A: XADD x 6-1 f v | A: XADD x 7-1 f v',
    'XREADGROUP GROUP g alice STREAMS x y > >',
    'XACK x g 5-1 9-9',
    'XACK x g 9-9',
    'XCLAIM x g bob 0 1-1 6-1',
    'XCLAIM x g bob 0 1 6-1',
    'XCLAIM x g fred 0 3-1',
    'XCLAIM x g fred 0 3-1 FORCE',
    'XCLAIM x g fred 0 3-1 JUSTID IDLE 1000 RETRYCOUNT 7',
    'XCLAIM x g fred 1000000 3-1',
    'XCLAIM x g fred 0 9-1 LASTID 7-1',
    'XCLAIM x g fred 0 9-1 LASTID 8-1',
    'XDEL x 6-1 7-1',
    'XCLAIM x g alice 0 6-1',
    'XAUTOCLAIM x g greta 0 0 COUNT 1',
    'XAUTOCLAIM x g greta 0 - COUNT 10 JUSTID',
    'XAUTOCLAIM x g greta 100000 -',
    'XGROUP SETID x g $',
    'XGROUP DELCONSUMER x g alice',
    'XGROUP DELCONSUMER x g alice',
    'XGROUP DESTROY x g',
    'XGROUP DESTROY x g',
    'XSETID x 9-9',
    'XSETID x 9-9 ENTRIESADDED 100 MAXDELETEDID 7-5',
    'XGROUP CREATE x g $',
    'B! XREADGROUP GROUP g harry BLOCK 0 STREAMS x > | * 20 | A: XADD x 10-1 f v',
    'B! XREADGROUP GROUP g ida BLOCK 0 NOACK STREAMS x > | * 20 | A: XADD x 11-1 f v',
    'B! XREADGROUP GROUP g harry BLOCK 0 STREAMS x > | * 20 | C! XREAD BLOCK 0 STREAMS x $ | * 20 | A& MULTI ; XADD x 12-1 f v ; XADD x 13-1 f v ; EXEC',
    'A& MULTI ; XADD x * f v ; XREADGROUP GROUP g harry STREAMS x > ; EXEC',
  ],
  'databases, keys, flushing': [
    'SET k v',
    'COPY k l',
    'COPY k l',
    'COPY k l REPLACE DB 2',
    'RENAME k m',
    'RENAMENX m l',
    'RENAMENX m n',
    'RENAME n n',
    'MOVE n 1',
    'MOVE n 1',
    'SELECT 1 | A: SET x 1 | A: SELECT 0 | A: SET x 2 | A: SET x 3',
    'SWAPDB 0 1',
    'SWAPDB 0 0',
    'TOUCH x',
    'DEL x none',
    'UNLINK none',
    'SET u v',
    'UNLINK u none',
    'FLUSHDB',
    'FLUSHDB ASYNC',
    'SET u v',
    'FLUSHALL SYNC',
    'FLUSHALL',
    'PUBLISH c m',
    'SCRIPT LOAD "return 1"',
    'SCRIPT FLUSH',
    'CONFIG SET maxmemory 0',
    'CLIENT LIST',
    'OBJECT ENCODING u',
    'DEBUG SLEEP 0',
  ],
  'transactions and scripts': [
    'A& MULTI ; SET k 1 ; EXEC',
    'A& MULTI ; SET k 1 ; INCR k ; EXEC',
    'A& MULTI ; GET k ; EXEC',
    'A& MULTI ; GET k ; INCR k ; GET k ; EXEC',
    'A& MULTI ; EXEC',
    'A& MULTI ; SET k 1 ; DISCARD',
    'A& MULTI ; SET k 1 ; SELECT 2 ; SET k 2 ; SELECT 0 ; SET k 3 ; EXEC',
    'A& MULTI ; SELECT 2 ; EXEC',
    'SET k v',
    'A: SELECT 0',
    'A& MULTI ; SET s str ; LPUSH s x ; SET s str EX 100 ; INCRBYFLOAT f 1.5 ; EXEC',
    `EVAL "return redis.call('set',KEYS[1],ARGV[1])" 1 k v`,
    `EVAL "redis.call('set',KEYS[1],ARGV[1]) redis.call('incr','n') return 1" 1 k v`,
    `EVAL "redis.call('get','k') return 1" 0`,
    `EVAL "return redis.pcall('lpush','k','x')" 0`,
    `EVAL "redis.call('expire','k',100) redis.call('spop','none') redis.call('hincrbyfloat','hh','f','1.5')" 0`,
    `EVAL "redis.call('select','4') redis.call('set','x','1') redis.call('set','y','1')" 0`,
    'SET k after',
    `EVAL "redis.call('set','x','1') error('stop')" 0`,
    `EVAL "redis.call('set','x','1') redis.call('set','y','1') error('stop')" 0`,
    `A& MULTI ; EVAL "redis.call('set','x','1') redis.call('set','y','1')" 0 ; SET z 1 ; EXEC`,
    `EVAL "redis.set_repl(redis.REPL_NONE) redis.call('set','x','1') redis.set_repl(redis.REPL_ALL) redis.call('set','y','1')" 0`,
    `EVAL "redis.set_repl(redis.REPL_REPLICA) redis.call('set','x','1')" 0`,
    `EVAL "redis.set_repl(redis.REPL_AOF) redis.call('set','x','2')" 0`,
    `EVAL "redis.replicate_commands() redis.call('set','x','2')" 0`,
    `B! BLPOP l 0 | * 20 | EVAL "redis.call('rpush','l','a') redis.call('rpush','l','b')" 0`,
    `FUNCTION LOAD "#!lua name=lib\\x0aredis.register_function('put', function(keys, args) redis.call('set', keys[1], args[1]) return redis.call('incr','n') end)"`,
    'FCALL put 1 k v',
    'FUNCTION LIST',
    `FUNCTION LOAD REPLACE "#!lua name=lib\\x0aredis.register_function('put', function(keys, args) return redis.call('set', keys[1], args[1]) end)"`,
    'FCALL put 1 k v',
    'A& MULTI ; FCALL put 1 k v ; SET b 1 ; EXEC',
    'FUNCTION DELETE lib',
    'FUNCTION FLUSH',
    'FUNCTION RESTORE x',
    `A& MULTI ; FUNCTION FLUSH ; SET b 1 ; EXEC`,
  ],
};

/** Makes random commands; while `inside`, the next one belongs to the one before. */
interface Source {
  readonly inside?: boolean;
  next(): RandomCommand;
}

/** Calls the commands that stand in ARGV, each behind its number of words. */
const CALL_ALL =
  'local i = 1 while i <= #ARGV do local n = tonumber(ARGV[i]) local words = {} for k = 1, n do words[k] = ARGV[i + k] end ' +
  'redis.pcall(unpack(words)) i = i + n + 1 end';

function randomScripts(random: Random): Source {
  const commands = new AllCommands(random);
  return {
    next() {
      const inner = Array.from({ length: 1 + random.nextBelow(4) }, () => commands.next().args);
      return {
        args: ['EVAL', CALL_ALL, '0', ...inner.flatMap((args) => [String(args.length), ...args])],
        compare: 'exact',
      };
    },
  };
}

/** A line of a step for playScript. */
function lineOf(part: string): string {
  const line = part.trim();
  return /^(\w[:!?&] |\*)/.test(line) ? line : `A: ${line}`;
}

/** The steps as lines, each behind its mark. */
function script(steps: readonly string[]): string[] {
  return steps.flatMap((step, i) => [`M? SET "effects of step" ${i}`, ...step.split(/ \| /).map(lineOf)]);
}

describeReal(['redis-server'], 'effects in the append-only file', () => {
  const pair = new EffectsPair();
  beforeAll(async () => {
    await pair.start();
    // Keys expire when they are met, not when the cron happens to find them.
    for (const { path } of [pair.ours, pair.real]) {
      const client = await RespClient.connect({ path });
      await client.command('DEBUG', 'SET-ACTIVE-EXPIRE', '0');
      await client.close();
    }
  });
  afterAll(() => pair.stop());
  let seenMine = 0;
  let seenTheirs = 0;

  /** What came since the last call. */
  function newEffects(): { mine: string[][]; theirs: string[][] } {
    const { mine, theirs } = pair.effects();
    const fresh = { mine: mine.slice(seenMine), theirs: theirs.slice(seenTheirs) };
    seenMine = mine.length;
    seenTheirs = theirs.length;
    return fresh;
  }

  for (const [title, steps] of Object.entries(scripts)) {
    it(`are the original's: ${title}`, { timeout: 60_000 }, async () => {
      const lines = ['M? FLUSHALL', 'M? SET "effects of step" start', ...script(steps)];
      const play = (server: TestServer) => playScript(server, lines);
      await Promise.all([play(pair.ours), play(pair.real)]);
      const { mine, theirs } = newEffects();
      const differences = compareEffects(['start', ...steps], effectsBySteps(mine), effectsBySteps(theirs));
      expect(differences.join('\n')).toBe('');
    });
  }

  const sources: Readonly<Record<string, (random: Random) => Source>> = {
    'strings and keys': (random) => new CommandSource(random),
    streams: (random) => {
      const draw = new Draw(random);
      return { next: () => randomStreamCommand(draw) };
    },
    transactions: (random) => new RandomTransactions(new Draw(random)),
    scripts: (random) => randomScripts(random),
    'all types': (random) => new AllCommands(random),
  };
  Object.entries(sources).forEach(([title, source], run) => {
    const seed = testSeed + run;
    it(`are the original's for random commands: ${title} (seed ${seed})`, { timeout: 60_000 * testScale }, async () => {
      announceSeed(`effects of ${title}`);
      const commands = source(createRandom(seed));
      const clients = await Promise.all([pair.ours, pair.real].map(({ path }) => RespClient.connect({ path })));
      try {
        for (const client of clients) await client.command('FLUSHALL');
        for (let batch = 0; batch < 10 * testScale; batch++) {
          const labels: string[] = [];
          const sent: Buffer[] = [];
          for (let i = 0; i < 200 || commands.inside === true; i++) {
            // A mark inside a transaction would be queued.
            if (commands.inside !== true) {
              sent.push(encodeCommand(markOf(i)));
              labels.push('');
            }
            const drawn = commands.next().args;
            // Loaded under another configuration a HyperLogLog may take another form.
            const args = /^config$/i.test(drawn[0]!) ? ['PING'] : drawn;
            sent.push(encodeCommand(args));
            labels[labels.length - 1] += ` ${JSON.stringify(args).slice(0, 200)}`;
          }
          await Promise.all(clients.map((client) => client.raw(Buffer.concat(sent), sent.length)));
          const { mine, theirs } = newEffects();
          const differences = compareEffects(labels, effectsBySteps(mine), effectsBySteps(theirs));
          expect(differences.slice(0, 3).join('\n'), `seed ${seed}`).toBe('');
        }
      } finally {
        await Promise.all(clients.map((client) => client.close()));
      }
    });
  });

  it('hold the data for either server', { timeout: 60_000 }, async () => {
    const expected = { ours: await digestOf(pair.ours), real: await digestOf(pair.real) };
    await pair.expectInterchange(expected);
  });
});
