/** Random scripts: commands of all types called from Lua, and the libraries on random values. */
import type { Draw } from './draw.ts';
import type { RandomCommand } from './random-commands.ts';
import { randomHashCommand } from './random-hash.ts';
import { randomListCommand } from './random-list.ts';
import { randomSetCommand } from './random-set.ts';
import { randomZsetCommand } from './random-zset.ts';

const CALLS = [
  'return redis.call(unpack(ARGV))',
  'return redis.pcall(unpack(ARGV))',
  'local r = redis.pcall(unpack(ARGV)) if type(r) == "table" and r.err then return r.err end return r',
  'redis.setresp(3) return redis.call(unpack(ARGV))',
  'local ok, r = pcall(redis.call, unpack(ARGV)) if ok then return r end return tostring(r)',
  '#!lua flags=no-writes\nreturn redis.call(unpack(ARGV))',
];
const NUMBERS = [
  '0',
  '1',
  '-1',
  '0.1',
  '1.5',
  '-2.25',
  '1e15',
  '1e16',
  '123456789012',
  '-123456789012',
  '2147483648',
  '1e100',
  '1e-7',
  '1e308',
];
const FORMATS = [
  'b',
  'B',
  'h',
  'H',
  'i',
  'I',
  'l',
  'L',
  'i3',
  'I5',
  'i8',
  'f',
  'd',
  'x',
  'T',
  '!4',
  '!',
  '<',
  '>',
  ' ',
];
const BIT = ['band', 'bor', 'bxor', 'lshift', 'rshift', 'arshift', 'rol', 'ror', 'tohex'];

const lua = (d: Draw, script: string, ...args: string[]): RandomCommand => d.exact('EVAL', script, '0', ...args);

function number(d: Draw): string {
  if (d.chance(3)) return d.pick(NUMBERS);
  if (d.chance(2)) return String(d.below(100_000) - 50_000);
  return String((d.random.nextFloat() - 0.5) * 10 ** (d.below(40) - 20));
}

function bytes(d: Draw, most: number): string {
  return d.times(d.below(most), () => String.fromCharCode(d.below(256))).join('');
}

function json(d: Draw, depth: number): string {
  const kind = d.below(depth > 3 ? 5 : 8);
  if (kind === 0) return number(d);
  if (kind === 1) return d.pick(['true', 'false', 'null', '""', '0x1F', 'nan', '-inf', '01', '1.']);
  if (kind <= 3) {
    return `"${d.times(d.below(8), () => d.pick(['a', 'ü', '\\n', '\\u00e9', '\\ud83d\\ude00', '/', '\\/', '\x7f', 'b', '\\"', '\\\\'])).join('')}"`;
  }
  if (kind === 4) return String(d.below(300) - 150);
  if (kind === 5) return `[${d.times(d.below(5), () => json(d, depth + 1)).join(d.pick([',', ' , ']))}]`;
  return `{${d.times(d.below(3), () => `"${d.pick(['a', 'b', 'c', '1', '2'])}":${json(d, depth + 1)}`).join(',')}}`;
}

function brokenJson(d: Draw): string {
  const text = json(d, 0);
  const at = d.below(text.length + 1);
  return d.chance(2)
    ? text.slice(0, at)
    : `${text.slice(0, at)}${d.pick(['{', '}', ']', ',', ':', '"', '\\', 'x', '-', '\0'])}${text.slice(at)}`;
}

function library(d: Draw): RandomCommand {
  switch (d.below(11)) {
    case 0:
      return lua(d, 'return cjson.encode(cjson.decode(ARGV[1]))', d.chance(3) ? brokenJson(d) : json(d, 0));
    case 1:
      return lua(d, 'return cmsgpack.pack(cjson.decode(ARGV[1]))', json(d, 0));
    case 2:
      return lua(
        d,
        'return cjson.encode({cmsgpack.unpack(cmsgpack.pack(cjson.decode(ARGV[1]), tonumber(ARGV[2])))})',
        json(d, 0),
        number(d),
      );
    case 3:
      return lua(
        d,
        'local r = {pcall(cmsgpack.unpack, ARGV[1])} local ok, t = pcall(cjson.encode, r) return {tostring(ok), t}',
        bytes(d, 12),
      );
    case 4:
      return lua(
        d,
        'return struct.pack(ARGV[1], unpack(ARGV, 2))',
        d.times(1 + d.below(4), () => d.pick(FORMATS)).join(''),
        ...d.times(5, () => String(d.below(100_000) - 50_000)),
      );
    case 5:
      return lua(
        d,
        'local r = {struct.unpack(ARGV[1], ARGV[2])} for i = 1, #r do r[i] = string.format("%.17g", r[i]) end return r',
        d.times(1 + d.below(4), () => d.pick(FORMATS)).join(''),
        bytes(d, 40),
      );
    case 6:
      return lua(
        d,
        `return tostring(bit.${d.pick(BIT)}(tonumber(ARGV[1]), tonumber(ARGV[2])))`,
        number(d),
        String(d.below(80) - 40),
      );
    case 7:
      return lua(
        d,
        'local n = tonumber(ARGV[1]) return {tostring(n), n, string.format("%.14g|%5.3e|%g", n, n, n), {double = n}}',
        number(d),
      );
    case 8:
      return lua(
        d,
        'return {redis.call("echo", tonumber(ARGV[1])), string.format("%d|%5d|%-9d|%x|%05i", unpack(ARGV))}',
        ...d.times(5, () => String(d.below(1e9) * d.pick([1, 1000, 1_000_000]))),
      );
    case 9:
      return lua(
        d,
        'return tostring(tonumber(ARGV[1], tonumber(ARGV[2])))',
        d.pick(['ff', 'ffffffffff', '-ff', 'zz', '0x10', ' 101 ', 'ffffffffffffffffff', '']),
        d.pick(['16', '36', '2', '8', '10']),
      );
    default:
      return lua(
        d,
        'local t = {} for i = 1, 5 do t[i] = math.random(tonumber(ARGV[1])) end return {#t, t[1] <= tonumber(ARGV[1])}',
        d.pick(['1', '10', '5000000000']),
      );
  }
}

function called(d: Draw): RandomCommand {
  const make = d.pick([randomHashCommand, randomListCommand, randomSetCommand, randomZsetCommand]);
  let { args, compare } = make(d);
  // The bytes of a hash table's dump follow its order, and a skip list's size its random levels.
  while (args[0] === 'DUMP' || args[0] === 'MEMORY') ({ args, compare } = make(d));
  return { args: ['EVAL', d.pick(CALLS), '0', ...args], compare };
}

/** EVAL of something. */
export function randomScriptCommand(d: Draw): RandomCommand {
  const kind = d.below(100);
  if (kind === 0) return d.exact('SCRIPT', 'FLUSH', ...d.pick([[], ['SYNC'], ['ASYNC']]));
  if (kind === 1) return d.exact('SCRIPT', 'LOAD', d.pick(CALLS));
  if (kind < 4) return d.exact('EVALSHA', 'e0e1f9fabfc9d4800c877a703b823ac0578ff8db', '0');
  if (kind === 4) return d.exact('EVAL', 'return 1', d.pick(['0', '1', '-1', 'x']));
  if (kind === 5) return d.exact('SCRIPT', 'EXISTS', 'e0e1f9fabfc9d4800c877a703b823ac0578ff8db', 'x');
  if (kind === 6) return d.exact('EVAL_RO', d.pick(CALLS), '0', 'SET', d.key(), 'x');
  if (kind === 7) return d.exact('EVAL', 'return {KEYS, ARGV, #KEYS}', '2', d.key(), d.key(), d.value());
  return kind < 55 ? called(d) : library(d);
}
