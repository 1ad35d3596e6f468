/** Random set commands. */
import type { Draw } from './draw.ts';
import type { RandomCommand } from './random-commands.ts';

/** More than a set's intset holds, so that conversions by size are met. */
const MANY_INTEGERS = 600;
/** A scan with such a count passes everything at once: cursors are not comparable. */
const ALL = '100000';
const BAD_CURSORS = ['x', '', '1.5', ' 1', '99999999999999999999'];

function scan(d: Draw, key: string): RandomCommand {
  const args = ['SSCAN', key, d.chance(20) ? d.pick(BAD_CURSORS) : '0', 'COUNT', ALL];
  if (d.chance(3)) args.push('match', d.pick(['m*', '*1*', '[0-9]*', '*', '?', 'x*']));
  if (d.chance(30)) args.push(d.pick(['COUNT', 'TYPE', 'NONSENSE']), d.pick(['0', '-1', 'x', 'set']));
  return d.unordered(...args);
}

function manyIntegers(d: Draw): string[] {
  const from = d.below(2_000) - 1_000;
  const step = d.pick([1, 3, 1_000]);
  return d.times(d.below(MANY_INTEGERS) + 1, () => '').map((_, i) => String(from + i * step));
}

function algebra(d: Draw): RandomCommand {
  const store = d.chance(3);
  const name = d.pick(['SINTER', 'SUNION', 'SDIFF']);
  if (store) return d.exact(`${name}STORE`, d.key(), ...d.keys(4));
  return d.unordered(name, ...d.keys(4));
}

function intercard(d: Draw): RandomCommand {
  const keys = d.keys(3);
  const args = ['SINTERCARD', d.chance(12) ? d.integer() : String(keys.length), ...keys];
  if (d.chance(3)) args.push(d.word('LIMIT'), d.count());
  if (d.chance(30)) args.push('LIMIT');
  return d.exact(...args);
}

/** SPOP takes different members on the two servers, so what is left would differ: it is asked only for nothing or for all. */
function pop(d: Draw): RandomCommand {
  if (d.chance(4)) return d.exact('SPOP', `missing:${d.key()}`);
  return d.unordered('SPOP', d.key(), d.pick(['0', '-1', 'x', '100000', '100000', '9223372036854775807']));
}

function randomMember(d: Draw): RandomCommand {
  if (d.chance(3)) return { args: ['SRANDMEMBER', d.key()], compare: 'presence' };
  const count = d.pick(['0', 'x', '-9223372036854775808', '1000000', '1', '-1', '3', '-7', '12']);
  const compare = count === '1000000' ? 'unordered' : 'length';
  return { args: ['SRANDMEMBER', d.key(), count], compare };
}

/**
 * A command of the set group, with OBJECT ENCODING and DEBUG DIGEST-VALUE of what it made now and then. (MEMORY USAGE is not compared: how
 * long a dict has two tables depends on its hash function's seed.)
 */
export function randomSetCommand(d: Draw): RandomCommand {
  const key = d.key();
  switch (d.below(22)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      return d.exact('SADD', key, ...d.some(12, () => d.member()));
    case 5:
      return d.exact('SADD', key, ...(d.chance(3) ? manyIntegers(d) : d.some(30, () => String(d.below(60)))));
    case 6:
      return d.exact('SADD', key, ...d.some(5, () => d.integer()));
    case 7:
    case 8:
      return d.exact('SREM', key, ...d.some(12, () => d.member()));
    case 9:
      return d.exact('SREM', key, ...(d.chance(3) ? manyIntegers(d) : d.some(30, () => String(d.below(60)))));
    case 10:
      return d.exact('SISMEMBER', key, d.member());
    case 11:
      return d.exact('SMISMEMBER', key, ...d.some(6, () => d.member()));
    case 12:
      return d.exact('SCARD', key);
    case 13:
      return d.exact('SMOVE', key, d.key(), d.member());
    case 14:
      return pop(d);
    case 15:
      return randomMember(d);
    case 16:
      return d.unordered('SMEMBERS', key);
    case 17:
      return intercard(d);
    case 18:
      return scan(d, key);
    case 19:
      return d.exact(
        ...d.pick([
          ['OBJECT', 'ENCODING', key],
          ['DEBUG', 'DIGEST-VALUE', key],
          ['COPY', key, d.key()],
          ['TYPE', key],
        ]),
      );
    case 20:
      return d.exact(d.pick(['DEL', 'DEL', 'EXISTS']), key);
    default:
      return algebra(d);
  }
}
