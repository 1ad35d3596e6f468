/**
 * Keys: a fixed text and the key's decimal number, zero-padded to a fixed length if the scenario gives one. Written as bytes, because a
 * driver writes millions of them a second.
 */

const ZERO = 48;

function digitsOf(n: number): number {
  let digits = 1;
  for (let bound = 10; n >= bound; bound *= 10) digits++;
  return digits;
}

export class KeyWriter {
  readonly #prefix: Uint8Array;
  readonly #keyBytes: number;
  readonly #digits: number;

  /**
   * @param prefix text before the number (UTF-8)
   * @param keyBytes length of every key in bytes; 0: prefix and number, unpadded
   * @param indexes number of indexes that will be asked for
   * @throws RangeError when the largest number does not fit into `keyBytes`
   */
  constructor(prefix: string, keyBytes: number, indexes: number) {
    this.#prefix = new TextEncoder().encode(prefix);
    this.#keyBytes = keyBytes;
    this.#digits = keyBytes === 0 ? 0 : keyBytes - this.#prefix.length;
    const needed = digitsOf(indexes - 1);
    if (keyBytes !== 0 && this.#digits < needed) {
      throw new RangeError(
        `Cannot number ${indexes} keys in ${keyBytes} bytes: the prefix takes ${this.#prefix.length} and the number ${needed}`,
      );
    }
  }

  /** Length in bytes of a key. */
  length(index: number): number {
    return this.#keyBytes !== 0 ? this.#keyBytes : this.#prefix.length + digitsOf(index);
  }

  /** Writes a key. @returns the offset after its last byte */
  write(u8: Uint8Array, offset: number, index: number): number {
    const prefix = this.#prefix;
    for (let i = 0; i < prefix.length; i++) u8[offset + i] = prefix[i];
    const start = offset + prefix.length;
    const end = start + (this.#digits !== 0 ? this.#digits : digitsOf(index));
    let rest = index >>> 0;
    for (let at = end - 1; at >= start; at--) {
      // The shift tells the compiler that both are 32-bit integers: it then multiplies instead of dividing.
      const tenth = (rest / 10) >>> 0;
      u8[at] = ZERO + rest - tenth * 10;
      rest = tenth;
    }
    return end;
  }
}
