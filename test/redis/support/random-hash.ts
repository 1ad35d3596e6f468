/** Random hash commands. */
import type { Draw } from './draw.ts';
import type { RandomCommand } from './random-commands.ts';

/** More fields than a hash's listpack holds, so that conversions by size are met. */
const MANY_FIELDS = 560;
/** A scan with such a count passes everything at once: cursors are not comparable. */
const ALL = '100000';
const BAD_CURSORS = ['x', '', '1.5', ' 1', '99999999999999999999'];

function pairs(d: Draw, most: number): string[] {
  return d.some(most, () => '').flatMap(() => [d.field(), d.value()]);
}

function manyPairs(d: Draw): string[] {
  const all: string[] = [];
  for (let i = d.below(MANY_FIELDS); i >= 0; i--) all.push(`f${i}`, String(i));
  return all;
}

function scan(d: Draw, key: string): RandomCommand {
  const args = ['HSCAN', key, d.chance(20) ? d.pick(BAD_CURSORS) : '0', 'COUNT', ALL];
  if (d.chance(3)) args.push('match', d.pick(['f*', '*1*', '[0-9]*', '*', 'f?', 'x*']));
  if (d.chance(30)) args.push(d.pick(['COUNT', 'TYPE', 'NONSENSE']), d.pick(['0', '-1', 'x', 'hash']));
  return { args, compare: 'pairs' };
}

function randomField(d: Draw, key: string): RandomCommand {
  const withValues = d.chance(2) ? [d.pick(['WITHVALUES', 'withvalues', 'WITHVALUES', 'x'])] : [];
  switch (d.below(4)) {
    case 0:
      return { args: ['HRANDFIELD', key], compare: 'presence' };
    case 1:
      return {
        args: ['HRANDFIELD', key, '1000000', ...withValues],
        compare: withValues.length ? 'pairs' : 'unordered',
      };
    default: {
      const counts = ['0', 'x', '-9223372036854775808', '1', '-1', '3', '-7', '12', '-1200'];
      if (withValues.length > 0) counts.push('4611686018427387904', '-4611686018427387904');
      return { args: ['HRANDFIELD', key, d.pick(counts), ...withValues], compare: 'length' };
    }
  }
}

/** A command of the hash group, with OBJECT ENCODING and DEBUG DIGEST-VALUE of what it made now and then. */
export function randomHashCommand(d: Draw): RandomCommand {
  const key = d.key();
  switch (d.below(24)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return d.exact(d.chance(4) ? 'HMSET' : 'HSET', key, ...pairs(d, 12));
    case 4:
      if (d.chance(3)) return d.exact('HSET', key, ...manyPairs(d));
      return d.exact('HSET', key, d.field(), ...(d.chance(8) ? [] : [d.integer()]));
    case 5:
      return d.exact('HSETNX', key, d.field(), d.value());
    case 6:
      return d.exact('HGET', key, d.field());
    case 7:
      return d.exact('HMGET', key, ...d.some(8, () => d.field()));
    case 8:
      return { args: ['HGETALL', key], compare: 'pairs' };
    case 9:
      return d.unordered('HKEYS', key);
    case 10:
      return d.unordered('HVALS', key);
    case 11:
    case 12:
    case 13:
      return d.exact('HDEL', key, ...d.some(20, () => d.field()));
    case 14:
      return d.exact('HLEN', key);
    case 15:
      return d.exact('HSTRLEN', key, d.field());
    case 16:
      return d.exact('HEXISTS', key, d.field());
    case 17:
    case 18:
      return d.exact('HINCRBY', key, d.field(), d.integer());
    case 19:
      return d.exact('HINCRBYFLOAT', key, d.field(), d.score());
    case 20:
      return randomField(d, key);
    case 21:
      return scan(d, key);
    case 22:
      return d.exact(
        ...d.pick([
          ['OBJECT', 'ENCODING', key],
          ['DEBUG', 'DIGEST-VALUE', key],
          ['COPY', key, d.key()],
          ['TYPE', key],
        ]),
      );
    default:
      return d.exact(d.pick(['DEL', 'EXISTS', 'EXISTS']), key);
  }
}
