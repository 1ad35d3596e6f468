/** Random stream commands. Ids are given, so that both servers have the same. */
import type { Draw } from './draw.ts';
import type { RandomCommand } from './random-commands.ts';

const GROUPS = ['g0', 'g1', 'g2', ''];
const CONSUMERS = ['alice', 'bob', 'al', ''];
const ODD_IDS = [
  '-',
  '+',
  '$',
  '>',
  '*',
  '0-0',
  '0',
  '18446744073709551615-18446744073709551615',
  '18446744073709551615-18446744073709551614',
  '18446744073709551615',
  '18446744073709551616',
  '9223372036854775808-1',
  'x',
  '1-x',
  '1-2-3',
  '',
  '(5-1',
  '(',
  '007-01',
  ' 7-1',
  '+7-+1',
  '1--1',
  '1--01',
  '1-',
  '-1',
  '9-1\0rest',
  '1'.repeat(130),
];
const FIELDS = ['f1', 'f2', 'f3', '12', ''];

/** An id that streams of a run are likely to hold, or one beside it. */
function id(d: Draw): string {
  if (d.chance(25)) return d.pick(ODD_IDS);
  if (d.chance(8)) return String(d.below(60));
  return `${d.below(60)}-${d.below(4)}`;
}

function bound(d: Draw): string {
  if (d.chance(4)) return d.pick(['-', '+']);
  return (d.chance(4) ? '(' : '') + id(d);
}

/** Ids grow while a run goes on: each stream's next one is likely to be greater. */
function newId(d: Draw): string {
  if (d.chance(12)) return `${d.below(400)}-*`;
  if (d.chance(30)) return d.pick(ODD_IDS.filter((one) => one !== '*'));
  return `${d.below(d.chance(3) ? 60 : 6000)}-${d.below(4)}`;
}

function fields(d: Draw): string[] {
  // Mostly the same names, so that entries share the master's.
  if (d.chance(2)) return ['f1', d.value(), 'f2', d.value()];
  return d.some(5, () => [d.pick(FIELDS), d.value()]).flat();
}

function trimOptions(d: Draw): string[] {
  const args = [d.word(d.pick(['MAXLEN', 'MINID', 'MAXLEN']))];
  const approximate = d.chance(2);
  if (approximate) args.push('~');
  else if (d.chance(3)) args.push('=');
  args.push(args[0]!.toUpperCase() === 'MINID' ? id(d) : d.chance(2) ? String(d.below(300)) : d.count());
  if (approximate ? d.chance(2) : d.chance(20)) args.push('LIMIT', d.chance(4) ? d.count() : String(d.below(400)));
  if (d.chance(40)) args.push(d.pick(['MAXLEN', 'MINID', 'LIMIT']), d.count());
  return args;
}

function add(d: Draw): RandomCommand {
  const args = ['XADD', d.key()];
  if (d.chance(6)) args.push(d.word('NOMKSTREAM'));
  if (d.chance(8)) args.push(...trimOptions(d));
  args.push(newId(d), ...fields(d));
  if (d.chance(60)) args.push('odd');
  return d.exact(...args);
}

/** A stream of many entries, so that it has several nodes. */
function rangeOptions(d: Draw): string[] {
  if (!d.chance(3)) return [];
  return d.chance(12) ? ['COUNT'] : [d.word('COUNT'), d.count()];
}

function read(d: Draw): RandomCommand {
  const keys = d.keys(3);
  const args = ['XREAD'];
  if (d.chance(2)) args.push(d.word('COUNT'), d.count());
  if (d.chance(30)) args.push(d.pick(['NOACK', 'GROUP', 'BLOCK', 'NONSENSE']), 'x', 'y');
  args.push(d.word('STREAMS'), ...keys, ...keys.map(() => (d.chance(6) ? '$' : id(d))));
  if (d.chance(40)) args.push('x');
  return d.exact(...args);
}

function readGroup(d: Draw): RandomCommand {
  const keys = d.keys(2);
  const args = ['XREADGROUP', d.word('GROUP'), d.pick(GROUPS), d.pick(CONSUMERS)];
  if (d.chance(2)) args.push('COUNT', d.chance(3) ? d.count() : String(d.below(6)));
  if (d.chance(6)) args.push(d.word('NOACK'));
  args.push('STREAMS', ...keys, ...keys.map(() => (d.chance(3) ? id(d) : '>')));
  if (d.chance(40)) args.splice(1, 3);
  return d.exact(...args);
}

function group(d: Draw): RandomCommand {
  const key = d.key();
  const name = d.pick(GROUPS);
  const from = d.chance(3) ? '$' : d.chance(2) ? '0' : id(d);
  switch (d.below(8)) {
    case 0:
    case 1:
    case 2: {
      const args = ['XGROUP', d.word('CREATE'), key, name, from];
      if (d.chance(3)) args.push(d.word('MKSTREAM'));
      if (d.chance(4)) args.push('ENTRIESREAD', d.chance(3) ? '-1' : d.integer());
      if (d.chance(40)) args.push('extra');
      return d.exact(...args);
    }
    case 3:
    case 4: {
      const args = ['XGROUP', 'SETID', key, name, from];
      if (d.chance(3)) args.push('ENTRIESREAD', d.chance(3) ? '-1' : d.integer());
      if (d.chance(40)) args.push('MKSTREAM');
      return d.exact(...args);
    }
    case 5:
      return d.exact('XGROUP', d.chance(3) ? 'DESTROY' : 'destroy', key, name);
    case 6:
      return d.exact('XGROUP', 'CREATECONSUMER', key, name, d.pick(CONSUMERS));
    default:
      return d.exact('XGROUP', 'DELCONSUMER', key, name, d.pick(CONSUMERS));
  }
}

function pending(d: Draw): RandomCommand {
  const args = ['XPENDING', d.key(), d.pick(GROUPS)];
  if (d.chance(2)) return d.exact(...args);
  if (d.chance(4)) args.push(d.word('IDLE'), d.chance(3) ? d.integer() : d.pick(['0', '100000000']));
  args.push(bound(d), bound(d), d.count());
  if (d.chance(3)) args.push(d.pick(CONSUMERS));
  if (d.chance(40)) args.splice(-2);
  return { args, compare: 'deliveries' };
}

function claimed(d: Draw): RandomCommand {
  if (d.chance(2)) {
    const args = ['XAUTOCLAIM', d.key(), d.pick(GROUPS), d.pick(CONSUMERS), d.pick(['0', '0', '100000000', 'x', '-1'])];
    args.push(d.chance(2) ? '0' : bound(d));
    if (d.chance(2)) args.push('COUNT', d.count());
    if (d.chance(3)) args.push(d.word('JUSTID'));
    if (d.chance(40)) args.push('NONSENSE');
    return d.exact(...args);
  }
  const args = ['XCLAIM', d.key(), d.pick(GROUPS), d.pick(CONSUMERS), d.pick(['0', '0', '100000000', 'x', '-1'])];
  args.push(...d.some(5, () => id(d)));
  while (d.chance(2)) {
    args.push(
      ...d.pick([
        ['FORCE'],
        ['JUSTID'],
        ['IDLE', d.pick(['0', '200000000', 'x', '-1'])],
        ['TIME', d.pick(['0', '1000', '-5', '99999999999999', 'x'])],
        ['RETRYCOUNT', d.integer()],
        ['LASTID', id(d)],
        ...(d.chance(10) ? [['NONSENSE']] : []),
      ]),
    );
  }
  return d.exact(...args);
}

function info(d: Draw): RandomCommand {
  const key = d.key();
  switch (d.below(4)) {
    case 0:
      return d.exact('XINFO', d.word('STREAM'), key);
    case 1: {
      const args = ['XINFO', 'STREAM', key, 'FULL'];
      if (d.chance(2)) args.push('COUNT', d.count());
      if (d.chance(20)) args.push('x');
      return { args, compare: 'deliveries' };
    }
    case 2:
      return d.exact('XINFO', 'GROUPS', key);
    default:
      return { args: ['XINFO', 'CONSUMERS', key, d.pick(GROUPS)], compare: 'deliveries' };
  }
}

function setId(d: Draw): RandomCommand {
  const args = ['XSETID', d.key(), d.chance(2) ? id(d) : `${6000 + d.below(50)}-0`];
  if (d.chance(3)) args.push('ENTRIESADDED', d.chance(3) ? d.integer() : String(d.below(2_000)));
  if (d.chance(3)) args.push('MAXDELETEDID', id(d));
  if (d.chance(40)) args.push('NONSENSE');
  return d.exact(...args);
}

/** A command of the stream group, with MEMORY USAGE and digests of what it made now and then. */
export function randomStreamCommand(d: Draw): RandomCommand {
  const key = d.key();
  switch (d.below(26)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
      return add(d);
    case 6:
      return d.exact('XTRIM', key, ...trimOptions(d));
    case 7:
      return d.exact('XLEN', key);
    case 8:
    case 9:
      return d.exact('XRANGE', key, bound(d), bound(d), ...rangeOptions(d));
    case 10:
    case 11:
      return d.exact('XREVRANGE', key, bound(d), bound(d), ...rangeOptions(d));
    case 12:
      return d.exact('XDEL', key, ...d.some(6, () => id(d)));
    case 13:
    case 14:
      return read(d);
    case 15:
    case 16:
      return readGroup(d);
    case 17:
    case 18:
      return group(d);
    case 19:
      return pending(d);
    case 20:
      return claimed(d);
    case 21:
      return d.exact('XACK', key, d.pick(GROUPS), ...d.some(5, () => id(d)));
    case 22:
      return info(d);
    case 23:
      return d.chance(3) ? setId(d) : d.exact('MEMORY', 'USAGE', key, 'SAMPLES', d.pick(['0', '1', '5']));
    case 24:
      return d.pick([
        () => d.exact('DEBUG', 'DIGEST-VALUE', key),
        () => d.exact('OBJECT', 'ENCODING', key),
        () => d.exact('TYPE', key),
        () => d.exact('COPY', key, d.key(), 'REPLACE'),
      ])();
    default:
      return d.chance(4) ? d.exact('DEL', key) : d.exact('RENAME', key, d.key());
  }
}
