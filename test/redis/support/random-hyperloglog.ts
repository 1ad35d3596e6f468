/** Random HyperLogLog commands. */
import type { Draw } from './draw.ts';
import type { RandomCommand } from './random-commands.ts';

const HEADER = 'HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80';
/** Strings that look like one: empty, with runs in all forms, with too few or too many registers, cut off, of unknown encodings. */
const FORGED = [
  `${HEADER}\x7f\xff`,
  `${HEADER}\x7f\xfe\x80`,
  `${HEADER}\x7f\xfe\x83`,
  `${HEADER}\x7f\xfa\xff\x00`,
  `${HEADER}\x7f\xff\x80`,
  `${HEADER}`,
  `${HEADER}\xff\xff\xff`,
  `${HEADER}\x3f\x7f\xbf`,
  'HYLL\0\0\0\0\0\0\0\0\0\0\0\x80\x7f\xff',
  `HYLL\0\0\0\0\0\0\0\0\0\0\0\x80${'\x11'.repeat(12_288)}`,
  `HYLL\0\0\0\0\x07\0\0\0\0\0\0\0${'\0'.repeat(12_288)}`,
  'HYLL\x02\0\0\0\0\0\0\0\0\0\0\x80\x7f\xff',
  'HYLL',
  'hyll\x01\0\0\0\0\0\0\0\0\0\0\x80\x7f\xff',
  '12',
  '',
];

function elements(d: Draw): string[] {
  if (!d.chance(5)) return d.some(8, () => d.member());
  const from = d.below(10_000);
  return Array.from({ length: d.below(400) }, (_, i) => `element:${from + i}`);
}

/** A command of the HyperLogLog group. */
export function randomHyperLogLogCommand(d: Draw): RandomCommand {
  const key = d.key();
  switch (d.below(20)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
      return d.exact('PFADD', key, ...elements(d));
    case 7:
    case 8:
    case 9:
      return d.exact('PFCOUNT', ...(d.chance(2) ? [key] : d.keys(4)));
    case 10:
      return d.exact('PFMERGE', key, ...(d.chance(5) ? [] : d.keys(3)));
    case 11:
    case 12:
      return d.exact('PFDEBUG', d.pick(['ENCODING', 'decode', 'encoding', 'DECODE', 'x']), key);
    case 13:
      if (d.chance(3)) return d.exact('PFDEBUG', d.pick(['TODENSE', 'ENCODING']), key, ...(d.chance(4) ? ['x'] : []));
      return d.exact('MEMORY', 'USAGE', key);
    case 14:
      return d.chance(10) ? d.exact('PFDEBUG', 'GETREG', key) : d.exact('GET', key);
    case 15:
      return d.exact('MEMORY', 'USAGE', key);
    case 16:
      return d.chance(3) ? d.exact('SET', key, d.pick(FORGED)) : d.exact('STRLEN', key);
    case 17:
      return d.chance(3)
        ? d.exact('CONFIG', 'SET', 'hll-sparse-max-bytes', d.pick(['20', '100', '3000', '3000', '400', '16000']))
        : d.exact('COPY', key, d.key());
    case 18:
      return d.exact('DUMP', key);
    default:
      return d.exact('DEL', key);
  }
}
