/** A picture for LOLWUT: a cache filling up, drawn with blocks. Bytes outside ASCII are UTF-8, one character a byte. */
import type { Random } from '../ports.ts';
import { REDIS_VERSION } from './commands/connection.ts';

const WIDTH_DEFAULT = 40;
const HEIGHT_DEFAULT = 8;
const SIZE_MAX = 200;
/** UTF-8 of the block elements U+2581 (lowest) to U+2588 (full). */
const blocks = Array.from({ length: 8 }, (_, i) => `\xe2\x96${String.fromCharCode(0x81 + i)}`);

function size(given: number | undefined, standard: number): number {
  return given === undefined || given < 1 ? standard : Math.min(SIZE_MAX, given);
}

/**
 * Columns are filled by a popularity that falls as Zipf's law does; chance moves each a little.
 * @param numbers width and height in characters, if wanted
 */
export function lolwut(random: Random, numbers: readonly number[]): string {
  const width = size(numbers[0], WIDTH_DEFAULT);
  const height = size(numbers[1], HEIGHT_DEFAULT);
  const columns: number[] = [];
  for (let x = 0; x < width; x++) {
    const popularity = 1 / (1 + x * 0.15);
    columns.push(popularity * height * 8 * (0.7 + 0.3 * random.nextFloat()));
  }
  let picture = '';
  for (let y = height - 1; y >= 0; y--) {
    let row = '';
    for (const filled of columns) {
      const eighths = Math.min(8, Math.floor(filled - y * 8));
      row += eighths <= 0 ? ' ' : blocks[eighths - 1];
    }
    picture += `${row.trimEnd()}\n`;
  }
  return `${picture}\nRedis ver. ${REDIS_VERSION}\n`;
}
