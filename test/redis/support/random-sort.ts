/** Random SORT commands, and commands that make what they sort. */
import type { Draw } from './draw.ts';
import type { RandomCommand } from './random-commands.ts';

const KINDS = ['list', 'set', 'zset'] as const;
const PATTERNS = ['w_*', 'w_*', 'h_*->f', 'h_*->g', 'w_*_x', '*', 'w_*->f', 'h_*->', '#', 'h_*->f->g'];
const CONSTANTS = ['nosort', 'x', '->f', '#', '', 'w_\0*'];

function element(d: Draw): string {
  if (d.chance(25))
    return d.pick(['', 'x', '1e3', ' 4', '0x10', '1.5', '-0', '9223372036854775807', 'inf', 'a\0b', '10a']);
  return String(d.below(60) - 20);
}

/** Nothing beyond a double's range: having met it once, the original goes on to refuse good numbers (errno is never reset). */
function weight(d: Draw): string {
  return d.chance(12) ? d.pick(['', 'x', 'b\0c', 'b\0a', 'nan', ' 1']) : String(d.below(6));
}

function fill(d: Draw): RandomCommand {
  const n = String(d.below(3));
  switch (d.below(7)) {
    case 0:
      return d.exact('RPUSH', `list${n}`, ...d.some(60, () => element(d)));
    case 1:
      return d.exact('SADD', `set${n}`, ...d.some(40, () => element(d)));
    case 2:
      return d.exact('ZADD', `zset${n}`, ...d.some(20, () => [String(d.below(9)), element(d)]).flat());
    case 3:
      return d.exact('SET', `w_${element(d)}`, weight(d));
    case 4:
      return d.exact('MSET', ...d.some(20, () => [`w_${element(d)}`, weight(d)]).flat());
    case 5:
      return d.exact('HSET', `h_${element(d)}`, d.pick(['f', 'g']), weight(d));
    default:
      return d.chance(3) ? d.exact('DEL', `${d.pick(KINDS)}${n}`) : d.exact('SET', `w_${element(d)}_x`, weight(d));
  }
}

function sort(d: Draw): RandomCommand {
  const kind = d.pick(KINDS);
  const args: string[] = [`${kind}${d.below(4)}`];
  const alpha = d.chance(2);
  // What ties is ordered by the hash function, which differs between two servers.
  const mayTie = kind !== 'list' && alpha;
  let constant = false;
  if (d.chance(2)) {
    constant = mayTie || d.chance(3);
    args.push(d.word('BY'), constant ? d.pick(CONSTANTS) : d.pick(PATTERNS.filter((one) => one.includes('*'))));
  }
  // Without an order the members of a set come as they please, and two that look alike up to a NUL tie.
  const unordered = kind === 'set' && constant;
  if (!unordered && !mayTie && d.chance(3))
    args.push('LIMIT', d.chance(20) ? d.integer() : String(d.below(12) - 1), d.count());
  while (d.chance(3)) args.push(d.word('GET'), d.chance(6) ? d.pick(CONSTANTS) : d.pick(PATTERNS));
  if (alpha) args.push(d.word('ALPHA'));
  if (d.chance(3)) args.push(d.pick(['DESC', 'ASC', 'desc']));
  if (d.chance(60)) args.push(d.pick(['LIMIT', 'BY', 'NONSENSE', 'STORE']));
  if (!mayTie && d.chance(4)) return d.exact('SORT', ...args, 'STORE', d.pick(['list3', 'out', 'set3']));
  const name = d.chance(4) ? 'SORT_RO' : 'SORT';
  return unordered || mayTie ? d.unordered(name, ...args) : d.exact(name, ...args);
}

export function randomSortCommand(d: Draw): RandomCommand {
  if (d.chance(3)) return fill(d);
  if (d.chance(25)) return d.exact('LRANGE', d.pick(['out', 'list3', 'set3']), '0', '-1');
  if (d.chance(40)) return d.exact('OBJECT', 'ENCODING', `${d.pick(KINDS)}${d.below(3)}`);
  if (d.chance(40)) return d.exact('MEMORY', 'USAGE', 'out');
  return sort(d);
}
