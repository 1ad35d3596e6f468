/** The generator of math.random: drand48's, 48 bits, so that a script sees the same numbers as in the original. */

const LOW = 0x1000000;
/** The multiplier 0x5DEECE66D in halves of 24 bits. */
const A_LOW = 0xece66d;
const A_HIGH = 0x5de;
const C = 0xb;
const RANGE = 0x7fffffff;

export class Drand48 {
  /** What C's generator starts with when nobody seeds it. */
  private low = 0xcd330e;
  private high = 0x1234ab;

  /** @param seed 32 bits */
  seed(seed: number): void {
    this.high = (seed >>> 8) & 0xffffff;
    this.low = ((seed & 0xff) << 16) | 0x330e;
  }

  /** A number in [0, 1) with 31 bits. */
  next(): number {
    const product = this.low * A_LOW + C;
    const carry = Math.floor(product / LOW);
    const high = this.low * A_HIGH + this.high * A_LOW + carry;
    this.low = product % LOW;
    this.high = high % LOW;
    const bits = this.high * 128 + Math.floor(this.low / 131072);
    return (bits % RANGE) / RANGE;
  }
}
