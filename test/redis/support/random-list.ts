/** Random list commands. */
import type { Draw } from './draw.ts';
import type { RandomCommand } from './random-commands.ts';

const SIDES = ['LEFT', 'RIGHT'];
/** Some elements of this length make several nodes. */
const WIDE = 900;

function side(d: Draw): string {
  return d.chance(40) ? 'MIDDLE' : d.word(d.pick(SIDES));
}

function element(d: Draw): string {
  return d.chance(12) ? d.pick(['a', 'b', 'xyz']).repeat(d.below(WIDE)) : d.value();
}

function position(d: Draw, key: string): RandomCommand {
  const args = ['LPOS', key, d.member()];
  if (d.chance(3)) args.push(d.word('RANK'), d.integer());
  if (d.chance(3)) args.push(d.word('COUNT'), d.count());
  if (d.chance(4)) args.push('MAXLEN', d.count());
  if (d.chance(40)) args.push(d.pick(['COUNT', 'x']));
  return d.exact(...args);
}

function multiPop(d: Draw): RandomCommand {
  const keys = d.keys(3);
  const args = [d.chance(15) ? d.integer() : String(keys.length), ...keys, side(d)];
  if (d.chance(2)) args.push(d.word('COUNT'), d.count());
  if (d.chance(40)) args.push('COUNT');
  // A client in a random test may not wait: what would is asked with a timeout that is none.
  return d.chance(8) ? d.exact('BLMPOP', d.pick(['x', '-1', '1e400']), ...args) : d.exact('LMPOP', ...args);
}

/** Takes at least one of a few keys that is a list, or answers an error. */
function blockingError(d: Draw): RandomCommand {
  const timeout = d.pick(['x', '-1', '', 'nan', '1e19']);
  return d.pick([
    () => d.exact(d.pick(['BLPOP', 'BRPOP']), ...d.keys(3), timeout),
    () => d.exact('BLMOVE', d.key(), d.key(), side(d), side(d), timeout),
    () => d.exact('BRPOPLPUSH', d.key(), d.key(), timeout),
  ])();
}

function inspect(d: Draw, key: string): RandomCommand {
  return d.exact(
    ...d.pick([
      ['OBJECT', 'ENCODING', key],
      ['DEBUG', 'DIGEST-VALUE', key],
      ['COPY', key, d.key()],
      ['TYPE', key],
      ['LRANGE', key, '0', '-1'],
      ['MEMORY', 'USAGE', key, 'SAMPLES', '0'],
      ['DUMP', key],
      ['RENAME', key, d.key()],
    ]),
  );
}

/** A command of the list group, with looks at what it made now and then. */
export function randomListCommand(d: Draw): RandomCommand {
  const key = d.key();
  switch (d.below(24)) {
    case 0:
    case 1:
    case 2:
      return d.exact('RPUSH', key, ...d.some(12, () => element(d)));
    case 3:
    case 4:
    case 5:
      return d.exact('LPUSH', key, ...d.some(12, () => element(d)));
    case 6:
      return d.exact(d.pick(['LPUSHX', 'RPUSHX']), key, ...d.some(4, () => element(d)));
    case 7:
      return d.exact(d.pick(['LPOP', 'RPOP']), key);
    case 8:
      return d.exact(d.pick(['LPOP', 'RPOP']), key, d.count());
    case 9:
    case 10:
      return d.exact(
        'LINSERT',
        key,
        d.chance(30) ? 'BESIDE' : d.word(d.pick(['BEFORE', 'AFTER'])),
        d.member(),
        element(d),
      );
    case 11:
      return d.exact('LLEN', key);
    case 12:
    case 13:
      return d.exact('LINDEX', key, d.integer());
    case 14:
    case 15:
      return d.exact('LSET', key, d.integer(), element(d));
    case 16:
      return d.exact('LRANGE', key, d.integer(), d.integer());
    case 17:
      return d.chance(4) ? d.exact('LTRIM', key, d.integer(), d.integer()) : d.exact('LTRIM', key, '0', '-2');
    case 18:
      return d.exact('LREM', key, d.integer(), d.member());
    case 19:
      return position(d, key);
    case 20:
      return d.chance(6)
        ? d.exact('RPOPLPUSH', key, d.key())
        : d.exact('LMOVE', key, d.chance(4) ? key : d.key(), side(d), side(d));
    case 21:
      return d.chance(6) ? blockingError(d) : multiPop(d);
    case 22:
      return d.chance(2) ? inspect(d, key) : d.exact(d.pick(['DEL', 'EXISTS', 'EXISTS']), key);
    default:
      return inspect(d, key);
  }
}
