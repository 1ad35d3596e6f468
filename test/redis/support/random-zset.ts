/** Random commands of sorted sets. */
import type { Draw } from './draw.ts';
import type { RandomCommand } from './random-commands.ts';

/** More than a listpack holds, so that conversions by size are met. */
const MANY = 200;
/** A scan with such a count passes everything at once: cursors are not comparable. */
const ALL = '100000';
const BAD_CURSORS = ['x', '', '1.5', ' 1', '99999999999999999999'];
const RANGE_OPTIONS = [['WITHSCORES'], ['REV'], ['BYSCORE'], ['BYLEX'], ['LIMIT', '1', '5'], ['x']];

function pairs(d: Draw): string[] {
  if (d.chance(12)) {
    const from = d.below(400) - 200;
    return d.times(d.below(MANY) + 1, () => '').flatMap((_, i) => [String((from + i * 7) % 50), `m${from + i}`]);
  }
  return d.some(12, () => '').flatMap(() => [d.score(), d.member()]);
}

function add(d: Draw): RandomCommand {
  const options: string[] = [];
  while (d.chance(3)) options.push(d.word(d.pick(['NX', 'XX', 'GT', 'LT', 'CH', 'INCR'])));
  const args = ['ZADD', d.key(), ...options, ...(options.includes('INCR') ? [d.score(), d.member()] : pairs(d))];
  if (d.chance(60)) args.pop();
  return d.exact(...args);
}

/** Ranges by member are only told where all scores are equal: else what a skip list finds depends on its random levels. */
const LEX_KEYS = ['lex0', 'lex1'];
const DUMP_KEY = 'zdump';

function addLex(d: Draw): RandomCommand {
  const count = d.chance(15) ? MANY : d.below(8) + 1;
  const members = d.times(count, () => (count === MANY ? `m${d.below(1000)}` : d.member()));
  return d.exact('ZADD', d.pick(LEX_KEYS), ...members.flatMap((member) => ['0', member]));
}

function scoreEnd(d: Draw): string {
  const open = d.chance(4) ? '(' : '';
  return open + d.pick([() => d.score(), () => d.pick(['-inf', '+inf', 'inf']), () => String(d.below(30) - 15)])();
}

function lexEnd(d: Draw): string {
  if (d.chance(3)) return d.pick(['-', '+']);
  if (d.chance(40)) return d.pick(['', 'x', '+x', '-\0', '+\0z']);
  return d.pick(['[', '(']) + d.member();
}

function limit(d: Draw): string[] {
  if (!d.chance(3)) return [];
  return [d.word('LIMIT'), String(d.below(12) - 2), d.chance(6) ? d.integer() : String(d.below(15) - 2)];
}

function scores(d: Draw): string[] {
  return d.chance(2) ? [d.word('WITHSCORES')] : [];
}

function ends(d: Draw, by: string): string[] {
  if (by === 'score') return [scoreEnd(d), scoreEnd(d)];
  return by === 'lex' ? [lexEnd(d), lexEnd(d)] : [d.integer(), d.integer()];
}

function range(d: Draw): RandomCommand {
  const store = d.chance(3) ? [d.key()] : [];
  const by = d.pick(['rank', 'score', 'lex']);
  const key = by === 'lex' ? d.pick(LEX_KEYS) : d.key();
  const args = [store.length === 0 ? 'ZRANGE' : 'ZRANGESTORE', ...store, key, ...ends(d, by)];
  if (by !== 'rank') args.push(d.word(`BY${by.toUpperCase()}`));
  if (d.chance(2)) args.push('REV');
  if (by !== 'rank') args.push(...limit(d));
  if (store.length === 0 && by !== 'lex') args.push(...scores(d));
  if (d.chance(25)) args.push(...d.pick(RANGE_OPTIONS));
  return d.exact(...args);
}

function oldRange(d: Draw): RandomCommand {
  const rev = d.chance(2) ? 'REV' : '';
  switch (d.below(3)) {
    case 0:
      return d.exact(`Z${rev}RANGE`, d.key(), d.integer(), d.integer(), ...scores(d));
    case 1:
      return d.exact(`Z${rev}RANGEBYSCORE`, d.key(), scoreEnd(d), scoreEnd(d), ...scores(d), ...limit(d));
    default:
      return d.exact(`Z${rev}RANGEBYLEX`, d.pick(LEX_KEYS), lexEnd(d), lexEnd(d), ...limit(d));
  }
}

function removeRange(d: Draw): RandomCommand {
  const by = d.pick(['rank', 'score', 'lex']);
  return d.exact(`ZREMRANGEBY${by.toUpperCase()}`, by === 'lex' ? d.pick(LEX_KEYS) : d.key(), ...ends(d, by));
}

function algebra(d: Draw): RandomCommand {
  const name = d.pick(['ZUNION', 'ZINTER', 'ZDIFF']);
  const keys = d.keys(4);
  const store = d.chance(2);
  const args = store ? [`${name}STORE`, d.key()] : [name];
  args.push(d.chance(25) ? d.integer() : String(keys.length), ...keys);
  if (name !== 'ZDIFF' || d.chance(20)) {
    if (d.chance(3)) args.push(d.word('WEIGHTS'), ...keys.map(() => d.score()));
    if (d.chance(3)) args.push(d.word('AGGREGATE'), d.chance(15) ? 'avg' : d.word(d.pick(['SUM', 'MIN', 'MAX'])));
  }
  if (d.chance(store ? 20 : 2)) args.push(d.word('WITHSCORES'));
  return d.exact(...args);
}

function intercard(d: Draw): RandomCommand {
  const keys = d.keys(3);
  const args = ['ZINTERCARD', d.chance(12) ? d.integer() : String(keys.length), ...keys];
  if (d.chance(3)) args.push(d.word('LIMIT'), d.count());
  if (d.chance(30)) args.push('LIMIT');
  return d.exact(...args);
}

function pop(d: Draw): RandomCommand {
  const end = d.pick(['MIN', 'MAX']);
  switch (d.below(3)) {
    case 0:
      return d.exact(`ZPOP${end}`, d.key(), ...(d.chance(2) ? [] : [d.count()]), ...(d.chance(40) ? ['1'] : []));
    case 1: {
      const keys = d.keys(3);
      const count = d.chance(2) ? [] : [d.word('COUNT'), d.count()];
      const numkeys = d.chance(20) ? d.integer() : String(keys.length);
      return d.exact('ZMPOP', numkeys, ...keys, d.chance(20) ? 'x' : d.word(end), ...count);
    }
    default:
      return d.exact(`ZPOP${end}`, d.key());
  }
}

function randomMember(d: Draw): RandomCommand {
  const count = d.pick(['0', '-9223372036854775808', '100000', '100000', '3', '-5', 'x']);
  if (d.chance(4)) return { args: ['ZRANDMEMBER', d.key()], compare: 'presence' };
  const args = ['ZRANDMEMBER', d.key(), count, ...scores(d)];
  return { args, compare: count === '100000' ? 'exact' : 'length' };
}

function scan(d: Draw): RandomCommand {
  const args = ['ZSCAN', d.key(), d.chance(20) ? d.pick(BAD_CURSORS) : '0', 'COUNT', ALL];
  if (d.chance(3)) args.push('match', d.pick(['m*', '*1*', '[0-9]*', '*', '?', 'x*']));
  if (d.chance(30)) args.push(d.pick(['COUNT', 'TYPE', 'NONSENSE']), d.pick(['0', '-1', 'x', 'set']));
  return { args, compare: 'pairs' };
}

function look(d: Draw): RandomCommand {
  const key = d.key();
  return d.exact(
    ...d.pick<() => string[]>([
      () => ['ZSCORE', key, d.member()],
      () => ['ZMSCORE', key, ...d.some(6, () => d.member())],
      () => [d.pick(['ZRANK', 'ZREVRANK']), key, d.member()],
      () => ['ZCARD', key],
      () => ['ZCOUNT', key, scoreEnd(d), scoreEnd(d)],
      () => ['ZLEXCOUNT', d.pick(LEX_KEYS), lexEnd(d), lexEnd(d)],
      () => ['OBJECT', 'ENCODING', key],
      () => ['DEBUG', 'DIGEST-VALUE', key],
      // Whatever has this name is a sorted set: a set's payload depends on the order of its dict.
      () => ['ZRANGESTORE', DUMP_KEY, key, '0', '-1'],
      () => ['DUMP', d.chance(2) ? DUMP_KEY : d.pick(LEX_KEYS)],
      () => ['COPY', key, d.key(), 'REPLACE'],
      () => ['TYPE', key],
    ])(),
  );
}

/** A command of the sorted set group, or one that looks at or copies what those have made. */
export function randomZsetCommand(d: Draw): RandomCommand {
  switch (d.below(20)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return add(d);
    case 4:
      return d.chance(2) ? addLex(d) : add(d);
    case 5:
      return d.exact('ZINCRBY', d.key(), d.score(), d.member());
    case 6:
      return d.exact('ZREM', d.key(), ...d.some(12, () => d.member()));
    case 7:
    case 8:
      return range(d);
    case 9:
    case 10:
      return oldRange(d);
    case 11:
      return d.chance(3) ? removeRange(d) : look(d);
    case 12:
    case 13:
      return algebra(d);
    case 14:
      return d.chance(2) ? pop(d) : look(d);
    case 15:
      return d.chance(2) ? randomMember(d) : scan(d);
    case 16:
      return d.chance(3) ? intercard(d) : d.exact('DEL', d.key());
    case 17:
      // Sets are sources of the operations too.
      return d.chance(2) ? d.exact('SADD', d.key(), ...d.some(8, () => d.member())) : look(d);
    default:
      return look(d);
  }
}
