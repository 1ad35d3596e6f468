/** Random bitmap and HyperLogLog commands. */
import type { Draw } from './draw.ts';
import type { RandomCommand } from './random-commands.ts';

/** An offset of a bit, mostly within the first bytes. */
function bit(d: Draw): string {
  if (d.chance(30)) return d.pick(['-1', 'x', '', '4294967296', '9223372036854775807', '4294967295000', '#1', '1.5']);
  return String(d.chance(10) ? d.below(20_000) : d.below(100));
}

function range(d: Draw): string[] {
  if (d.chance(3)) return [];
  const end = () => (d.chance(20) ? d.integer() : String(d.below(60) - 30));
  const args = [end()];
  if (!d.chance(8)) args.push(end());
  if (args.length === 2 && d.chance(2)) args.push(d.pick(['BIT', 'byte', 'BIT', 'bit', 'BYTE', 'x']));
  return args;
}

function fieldType(d: Draw): string {
  if (d.chance(40)) return d.pick(['u64', 'i65', 'i0', 'u', '', 'x8', 'i-1', 'u08', 'I8', 'u8\0x', 'i1']);
  return (
    d.pick(['u', 'i']) + d.pick(['1', '2', '3', '5', '7', '8', '9', '16', '17', '31', '32', '33', '40', '63', '5'])
  );
}

function operation(d: Draw): string[] {
  const type = d.chance(8) ? 'i64' : fieldType(d);
  const offset = d.chance(3)
    ? `#${d.below(12)}`
    : d.chance(40)
      ? d.pick(['#x', '#', '#-1', '#9223372036854775807'])
      : bit(d);
  const value = () =>
    d.pick([
      () => d.integer(),
      () => String(d.below(512) - 256),
      () => String(d.random.nextU32() - 2 ** 31),
      () => String(BigInt.asIntN(64, (BigInt(d.random.nextU32()) << 32n) | BigInt(d.random.nextU32()))),
      () =>
        d.pick([
          '9223372036854775807',
          '-9223372036854775808',
          '4294967295',
          '-1',
          '127',
          '128',
          '255',
          '4503599627370497',
        ]),
    ])();
  switch (d.below(7)) {
    case 0:
    case 1:
      return [d.word('GET'), type, offset];
    case 2:
    case 3:
      return [d.word('SET'), type, offset, value()];
    case 4:
    case 5:
      return [d.word('INCRBY'), type, offset, value()];
    default:
      return [d.word('OVERFLOW'), d.chance(20) ? 'x' : d.word(d.pick(['WRAP', 'SAT', 'FAIL']))];
  }
}

function bitfield(d: Draw, key: string): RandomCommand {
  const args = d.some(8, () => operation(d)).flat();
  if (d.chance(40)) args.push(d.pick(['GET', 'x', 'OVERFLOW']));
  if (!d.chance(4)) return d.exact('BITFIELD', key, ...(d.chance(30) ? [] : args));
  const reads = d.some(4, () => ['GET', fieldType(d), bit(d)]).flat();
  return d.exact('BITFIELD_RO', key, ...(d.chance(8) ? args : reads));
}

/** A command of the bitmap group. */
export function randomBitmapCommand(d: Draw): RandomCommand {
  const key = d.key();
  switch (d.below(16)) {
    case 0:
    case 1:
    case 2:
      return d.exact('SETBIT', key, bit(d), d.chance(20) ? d.pick(['2', '-1', 'x', '']) : d.pick(['0', '1', '1']));
    case 3:
    case 4:
      return d.exact('GETBIT', key, bit(d));
    case 5:
    case 6:
      return d.exact('BITCOUNT', key, ...range(d));
    case 7:
    case 8:
      return d.exact('BITPOS', key, d.chance(30) ? d.pick(['2', '-1', 'x']) : d.pick(['0', '1']), ...range(d));
    case 9:
    case 10: {
      const op = d.chance(30) ? 'NAND' : d.word(d.pick(['AND', 'OR', 'XOR', 'NOT']));
      return d.exact('BITOP', op, d.key(), ...(op.toUpperCase() === 'NOT' && !d.chance(10) ? [d.key()] : d.keys(4)));
    }
    case 11:
    case 12:
    case 13:
      return bitfield(d, key);
    case 14:
      return d.exact(
        'SET',
        key,
        d.chance(3) ? d.integer() : d.pick(['\0\0\0\0\0\0', '\xff\xff\xff\xff\xff\xff\xff', d.text(d.below(40))]),
      );
    default:
      return d.exact(
        ...d.pick([
          ['GET', key],
          ['DEL', key],
          ['OBJECT', 'ENCODING', key],
          ['MEMORY', 'USAGE', key],
          ['STRLEN', key],
        ]),
      );
  }
}
